//! Turns, refusals and cancelling, with a chip that does what the test says.

use std::{cell::RefCell, rc::Rc, vec, vec::Vec};

use cloison_drivers::tpm::{InterfaceError, Locality};
use cloison_tpm_gate::tpm;
use proptest::prelude::*;

use super::*;
use crate::Commands;

const NOW: Duration = Duration::ZERO;

/// What the chip does with the command in it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Answers,
    TakesLong,
    Fails,
}

struct Desk {
    mode: Mode,
    comes_up: Result<(), ChipError>,
    limit: usize,
    /// Commands that reached the chip: the locality, and the last byte of the ordinal.
    sent: Vec<(Locality, u8)>,
    cancelled: usize,
    response: Vec<u8>,
    /// Commands that clients have written, and responses they got.
    memory: Vec<Vec<u8>>,
    woken: Vec<usize>,
}

#[derive(Clone)]
struct Fake(Rc<RefCell<Desk>>);

impl Chip for Fake {
    fn bring_up(&mut self, _: Duration) -> Poll<Result<(), ChipError>> {
        Poll::Ready(self.0.borrow().comes_up)
    }

    fn max_command_bytes(&self) -> usize {
        self.0.borrow().limit
    }

    fn send(&mut self, at: Locality, header: &CommandHeader, _: &[u8], _: Duration) -> Result<(), ChipError> {
        self.0.borrow_mut().sent.push((at, header.ordinal as u8));
        Ok(())
    }

    fn poll(&mut self, _: Duration) -> Poll<Result<&[u8], ChipError>> {
        match self.0.borrow().mode {
            Mode::Answers => Poll::Ready(Ok(b"response")),
            Mode::TakesLong => Poll::Pending,
            Mode::Fails => Poll::Ready(Err(ChipError::Interface(InterfaceError::Absent))),
        }
    }

    fn cancel(&mut self) {
        self.0.borrow_mut().cancelled += 1;
    }
}

impl Mail for Fake {
    fn fetch(&mut self, client: usize, command: &mut [u8]) -> bool {
        let desk = self.0.borrow();
        command.copy_from_slice(&desk.memory[client][..command.len()]);
        true
    }

    fn deliver(&mut self, _: usize, response: &[u8]) -> bool {
        self.0.borrow_mut().response = response.to_vec();
        true
    }

    fn wake(&mut self, client: usize) {
        self.0.borrow_mut().woken.push(client);
    }
}

/// A service for a number of clients, all open; client n has locality n.
fn service(clients: u32) -> (Service<Fake, Fake>, Fake) {
    let fake = Fake(Rc::new(RefCell::new(Desk {
        mode: Mode::Answers,
        comes_up: Ok(()),
        limit: 64,
        sent: Vec::new(),
        cancelled: 0,
        response: Vec::new(),
        memory: (0..clients).map(|client| command(client as u8 + 1)).collect(),
        woken: Vec::new(),
    })));
    let allowances = (0..clients).map(|number| Allowance {
        locality: Locality::new(number).expect("a locality"),
        registers: 0,
        commands: Commands::Govern,
    });
    let mut service = Service::new(fake.clone(), fake.clone(), allowances);
    for client in 0..clients {
        service.open(Badge(client)).expect("it opens");
    }
    (service, fake)
}

fn command(ordinal: u8) -> Vec<u8> {
    let mut bytes = vec![0; 64];
    bytes[..10].copy_from_slice(&[0, 0xc1, 0, 0, 0, 10, 0, 0, 0, ordinal]);
    bytes
}

fn done(bytes: u32) -> Result<Finished, Refusal> {
    Ok(Finished { progress: Progress::Done, bytes })
}

fn pending() -> Result<Finished, Refusal> {
    Ok(Finished { progress: Progress::Pending, bytes: 0 })
}

#[test]
fn command_goes_to_the_chip_and_its_response_comes_back() {
    let (mut service, fake) = service(2);
    assert!(service.submit(Badge(1), 10).is_ok());
    assert_eq!(service.finish(Badge(1)), pending());
    assert!(!service.step(NOW), "nothing left to wait for");
    assert_eq!(service.finish(Badge(1)), done(8));
    assert_eq!(service.finish(Badge(1)), Err(Refusal::NothingSubmitted));
    let desk = fake.0.borrow();
    assert_eq!((&*desk.sent, &*desk.woken), (&[(Locality::new(1).expect("a locality"), 2)][..], &[1][..]));
    assert_eq!(desk.response, b"response");
}

#[test]
fn clients_take_turns() {
    let (mut service, fake) = service(4);
    fake.0.borrow_mut().mode = Mode::TakesLong;
    service.submit(Badge(2), 10).expect("accepted");
    assert!(service.step(NOW), "the TPM needs time");
    for client in [0, 1, 3].map(Badge) {
        service.submit(client, 10).expect("accepted");
    }
    fake.0.borrow_mut().mode = Mode::Answers;
    service.step(NOW);
    assert_eq!(fake.0.borrow().woken, [2, 3, 0, 1]);
}

#[test]
fn one_command_at_a_time_for_each_client() {
    let (mut service, _) = service(1);
    service.submit(Badge(0), 10).expect("accepted");
    assert_eq!(service.submit(Badge(0), 10), Err(Refusal::Busy));
    service.step(NOW);
    assert_eq!(service.submit(Badge(0), 10), Err(Refusal::Busy), "the response was not fetched");
    assert_eq!(service.finish(Badge(0)), done(8));
    assert!(service.submit(Badge(0), 10).is_ok());
}

#[test]
fn bad_commands_never_reach_the_chip() {
    let (mut service, fake) = service(1);
    assert_eq!(service.submit(Badge(0), 65), Err(Refusal::TooLong));
    assert_eq!(service.submit(Badge(0), u32::MAX), Err(Refusal::TooLong));
    for bytes in [0, 9, 11, 64] {
        assert_eq!(service.submit(Badge(0), bytes), Err(Refusal::Malformed), "{bytes} bytes");
    }
    fake.0.borrow_mut().memory[0][1] = 0xc4;
    assert_eq!(service.submit(Badge(0), 10), Err(Refusal::Malformed));
    service.step(NOW);
    assert_eq!(fake.0.borrow().sent, []);
    assert_eq!(service.finish(Badge(0)), Err(Refusal::NothingSubmitted));
}

/// What a client may not do does not reach the chip, and the client can send another command.
#[test]
fn a_forbidden_command_never_reaches_the_chip() {
    let (mut service, fake) = service(1);
    // TPM_Extend of register 9, and TPM_PCRRead.
    let (mut extend, read) = (command(0x14), command(0x15));
    (extend[5], extend[13]) = (14, 9);
    fake.0.borrow_mut().memory[0] = extend;
    assert_eq!(service.submit(Badge(0), 14), Err(Refusal::Forbidden));
    service.step(NOW);
    assert_eq!(fake.0.borrow().sent, []);
    fake.0.borrow_mut().memory[0] = read;
    assert!(service.submit(Badge(0), 10).is_ok());
}

#[test]
fn command_that_the_client_changes_after_the_check_is_sent_as_it_was() {
    let (mut service, fake) = service(1);
    service.submit(Badge(0), 10).expect("accepted");
    fake.0.borrow_mut().memory[0] = vec![0xff; 64];
    service.step(NOW);
    assert_eq!(fake.0.borrow().sent, [(Locality::EVERYDAY, 1)]);
}

#[test]
fn limit_that_becomes_known_late_still_holds() {
    let (mut service, fake) = service(1);
    service.submit(Badge(0), 10).expect("accepted");
    fake.0.borrow_mut().limit = 9;
    service.step(NOW);
    assert_eq!(service.finish(Badge(0)), Err(Refusal::TooLong));
    assert_eq!(fake.0.borrow().sent, []);
}

#[test]
fn no_tpm_is_an_error_for_each_command_and_the_service_goes_on() {
    let (mut service, fake) = service(2);
    fake.0.borrow_mut().comes_up = Err(ChipError::Interface(InterfaceError::Absent));
    service.submit(Badge(0), 10).expect("accepted");
    service.submit(Badge(1), 10).expect("accepted");
    assert!(!service.step(NOW));
    assert_eq!(service.finish(Badge(0)), Err(Refusal::NoTpm));
    assert_eq!(service.finish(Badge(1)), Err(Refusal::NoTpm));
    fake.0.borrow_mut().comes_up = Ok(());
    service.submit(Badge(0), 10).expect("accepted");
    service.step(NOW);
    assert_eq!(service.finish(Badge(0)), done(8));
}

#[test]
fn chip_that_fails_fails_one_command() {
    let (mut service, fake) = service(2);
    fake.0.borrow_mut().mode = Mode::Fails;
    service.submit(Badge(0), 10).expect("accepted");
    service.step(NOW);
    assert_eq!(service.finish(Badge(0)), Err(Refusal::NoTpm));
    fake.0.borrow_mut().mode = Mode::Answers;
    service.submit(Badge(1), 10).expect("accepted");
    service.step(NOW);
    assert_eq!(service.finish(Badge(1)), done(8));
}

#[test]
fn cancel_close_and_open_take_the_command_out_of_the_chip() {
    let acts: [fn(&mut Service<Fake, Fake>); 4] = [
        |service| assert!(service.cancel(Badge(0)).is_ok()),
        |service| assert!(service.close(Badge(0)).is_ok()),
        |service| assert!(service.open(Badge(0)).is_ok()),
        // It has ended.
        |service| service.forget(Badge(0)),
    ];
    for (number, act) in acts.into_iter().enumerate() {
        let (mut service, fake) = service(2);
        fake.0.borrow_mut().mode = Mode::TakesLong;
        service.submit(Badge(0), 10).expect("accepted");
        assert!(service.step(NOW));
        service.submit(Badge(1), 10).expect("accepted");
        act(&mut service);
        assert_eq!(fake.0.borrow().cancelled, 1, "act {number}");
        fake.0.borrow_mut().mode = Mode::Answers;
        service.step(NOW);
        assert_eq!(service.finish(Badge(1)), done(8), "the other client has its turn");
        let refusal = if number % 2 == 1 { Refusal::NotOpen } else { Refusal::NothingSubmitted };
        assert_eq!(service.finish(Badge(0)), Err(refusal));
    }
}

#[test]
fn a_client_that_has_ended_leaves_nothing() {
    let (mut service, fake) = service(2);
    service.submit(Badge(0), 10).expect("accepted");
    service.step(NOW);
    service.submit(Badge(1), 10).expect("accepted");
    for badge in [0, 1, 1, 2, u32::MAX].map(Badge) {
        service.forget(badge);
    }
    service.step(NOW);
    assert_eq!(fake.0.borrow().sent.len(), 1, "what had not begun never does");
    for badge in [0, 1].map(Badge) {
        assert_eq!(service.finish(badge), Err(Refusal::NotOpen));
        assert!(service.open(badge).is_ok());
        assert_eq!(
            service.finish(badge),
            Err(Refusal::NothingSubmitted),
            "the next life begins as the first"
        );
    }
}

#[test]
fn waiting_command_is_cancelled_without_the_chip() {
    let (mut service, fake) = service(1);
    service.submit(Badge(0), 10).expect("accepted");
    assert!(service.cancel(Badge(0)).is_ok());
    assert_eq!(service.cancel(Badge(0)), Err(Refusal::NothingSubmitted));
    service.step(NOW);
    let desk = fake.0.borrow();
    assert_eq!((desk.sent.len(), desk.cancelled, desk.woken.len()), (0, 0, 0));
}

#[test]
fn strangers_and_closed_clients_get_nothing() {
    let (mut service, _) = service(1);
    service.close(Badge(0)).expect("it was open");
    for badge in [0, 1, u32::MAX].map(Badge) {
        assert_eq!(service.submit(badge, 10), Err(Refusal::NotOpen));
        assert_eq!(service.finish(badge), Err(Refusal::NotOpen));
        assert_eq!(service.cancel(badge), Err(Refusal::NotOpen));
        assert_eq!(service.close(badge), Err(Refusal::NotOpen));
    }
    assert_eq!(service.open(Badge(1)), Err(Refusal::NotOpen));
}

/// Callers that do as they are told, and what they were told at each wait: the answer, the deadline, and how many commands
/// had reached the chip.
struct Script {
    desk: Fake,
    comes: Vec<Received>,
    seen: Vec<(u32, Instant, usize)>,
}

impl Callers for Script {
    fn reply_wait(&mut self, reply: Message, deadline: Instant) -> Received {
        self.seen.push((reply.label, deadline, self.desk.0.borrow().sent.len()));
        if self.comes.is_empty() { Received::TimedOut } else { self.comes.remove(0) }
    }

    fn gone(&mut self) -> impl Iterator<Item = Badge> {
        [Badge(1)].into_iter()
    }
}

fn asks(client: u32, request: tpm::Request) -> Received {
    Received::Message { badge: Badge(client), message: request.encode() }
}

#[test]
fn an_answer_goes_out_before_the_tpm_is_given_anything() {
    let (mut service, fake) = service(2);
    let comes = vec![asks(0, tpm::Request::Submit { bytes: 10 }), asks(1, tpm::Request::Finish {})];
    let mut callers = Script { desk: fake.clone(), comes, seen: Vec::new() };
    let reply = service.hear(Message::default(), &mut callers, Instant::NEVER);
    let refused = tpm::answer(&mut service, Badge(1), tpm::Request::Finish {}.encode()).label;
    assert_ne!(refused, 0);
    assert_eq!(callers.seen, [(0, Instant::NEVER, 0), (0, Instant::PAST, 0), (refused, Instant::PAST, 0)]);
    assert_eq!(reply, Message::default(), "all answers are out");
    service.step(NOW);
    assert_eq!(fake.0.borrow().sent.len(), 1);
}

#[test]
fn a_client_that_calls_without_end_leaves_the_tpm_its_turn() {
    let (mut service, fake) = service(2);
    let comes = vec![asks(0, tpm::Request::Finish {}); 9];
    let mut callers = Script { desk: fake, comes, seen: Vec::new() };
    let reply = service.hear(Message::default(), &mut callers, Instant::NEVER);
    assert_eq!(callers.seen.len(), 3);
    assert_ne!(reply, Message::default(), "the last answer waits for the next round");
}

#[test]
fn who_has_ended_is_forgotten_when_that_is_heard() {
    let (mut service, fake) = service(2);
    let mut callers = Script { desk: fake, comes: vec![Received::Events(1)], seen: Vec::new() };
    service.hear(Message::default(), &mut callers, Instant::NEVER);
    assert_eq!(service.finish(Badge(0)), Err(Refusal::NothingSubmitted));
    assert_eq!(service.finish(Badge(1)), Err(Refusal::NotOpen));
}

proptest! {
    /// However clients behaved, all who wait get their turn as soon as the TPM is free.
    #[test]
    fn all_who_wait_are_served(acts in proptest::collection::vec((0..4_u32, 0..4_u8), 1..200)) {
        let (mut service, fake) = service(4);
        for (client, act) in acts {
            let client = Badge(client);
            let _ = match act {
                0 | 1 => service.submit(client, 10).map(drop),
                2 => service.cancel(client).map(drop),
                _ => service.finish(client).map(drop),
            };
        }
        let waiting = |service: &Service<Fake, Fake>| {
            service.clients.iter().filter(|client| matches!(client.state, State::Waiting(_))).count()
        };
        let before = waiting(&service);
        service.step(NOW);
        prop_assert_eq!(waiting(&service), 0);
        prop_assert_eq!(fake.0.borrow().woken.len(), before);
    }

    /// Whatever messages come from whomever, while the TPM fails, answers or takes its time: a client that
    /// behaves is served as soon as the TPM answers again.
    #[test]
    fn no_message_harms_another_client(
        acts in proptest::collection::vec((0..5_u32, 0..7_u32, 0..80_u64, any::<u64>(), 0..9_usize), 1..200),
    ) {
        const HONEST: Badge = Badge(3);
        let (mut service, fake) = service(4);
        for (badge, label, bytes, rest, mode) in acts {
            if let Some(mode) = [Mode::Answers, Mode::TakesLong, Mode::Fails].get(mode) {
                fake.0.borrow_mut().mode = *mode;
            }
            let words = if rest % 2 == 0 { [bytes, 0, 0, 0] } else { [rest; 4] };
            let badge = Some(Badge(badge)).filter(|badge| *badge != HONEST).unwrap_or(Badge(rest as u32 | 4));
            let _ = tpm::answer(&mut service, badge, Message { label, words });
            fake.0.borrow_mut().memory[0][rest as usize % 64] = bytes as u8;
            service.step(NOW);
        }
        prop_assert!(service.submit(HONEST, 10).is_ok());
        fake.0.borrow_mut().mode = Mode::Answers;
        prop_assert!(!service.step(NOW));
        prop_assert_eq!(service.finish(HONEST), done(8));
    }
}
