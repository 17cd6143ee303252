//! The whole service over the simulated TPM's registers.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    string::String,
    thread_local, vec,
    vec::Vec,
};

use cloison_abi::Badge;
use cloison_drivers::tpm::{
    Step,
    tis::simulated::{SimulatedTpm, Trouble},
};
use cloison_tpm::{Command, Family, tpm12, tpm20};
use cloison_tpm_gate::tpm::{Refusal, Server};
use proptest::{collection::vec as some, prelude::*};

use super::*;
use crate::{Mail, Service};

thread_local! {
    /// What the chip under test has logged. Each test has a thread of its own.
    static LOG: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

fn log(line: fmt::Arguments<'_>) {
    LOG.with_borrow_mut(|lines| lines.push(std::format!("{line}")));
}

fn logged() -> Vec<String> {
    LOG.with_borrow_mut(core::mem::take)
}

const PROBED: &str = "crb: not offered at 0xfed40000; next: tis";
const FOUND: &str = "tis: vendor 0x1014 (IBM) device 0x0001 rev: 1";

/// A TPM as firmware left it or, with `fresh`, as power left it.
fn tpm(family: Family, fresh: bool) -> SimulatedTpm {
    tpm_that_may_be_reset(family, Rc::new(Cell::new(fresh)))
}

/// The same, for a test that resets it.
fn tpm_that_may_be_reset(family: Family, fresh: Rc<Cell<bool>>) -> SimulatedTpm {
    SimulatedTpm::new(move |command| {
        let ordinal = u32::from_be_bytes([command[6], command[7], command[8], command[9]]);
        let own = matches!((family, command[0]), (Family::Tpm12, 0x00) | (Family::Tpm20, 0x80));
        let (refusal, startup) = match family {
            Family::Tpm12 => (ReturnCode::INVALID_POST_INIT, tpm12::ordinal::STARTUP),
            Family::Tpm20 => (ReturnCode::INITIALIZE, tpm20::code::STARTUP),
        };
        match ordinal {
            _ if !own => response(family, 10, &[]),
            _ if ordinal == startup => {
                let code = if fresh.replace(false) { 0 } else { refusal.0 };
                response(family, code, &[])
            }
            _ if fresh.get() => response(family, refusal.0, &[]),
            tpm12::ordinal::GET_CAPABILITY => response(family, 0, &capability_12(command[21])),
            tpm20::code::GET_CAPABILITY => response(family, 0, &max_command_20()),
            _ => response(family, 0, b"body"),
        }
    })
}

fn response(family: Family, code: u32, body: &[u8]) -> Vec<u8> {
    let tag: [u8; 2] = if family == Family::Tpm12 { [0x00, 0xc4] } else { [0x80, 0x01] };
    let length = u32::try_from(10 + body.len()).expect("a short body");
    [&tag[..], &length.to_be_bytes(), &code.to_be_bytes(), body].concat()
}

/// What no TPM would state: any bytes, or sound in form and impossible in value.
fn nonsense() -> impl Strategy<Value = Vec<u8>> {
    let number = prop_oneof![0..20_u32, any::<u32>()];
    prop_oneof![some(any::<u8>(), 0..24), some(number, 1..5).prop_map(|numbers| sized(&numbers))]
}

/// Numbers with their length in bytes in front.
fn sized(values: &[u32]) -> Vec<u8> {
    let bytes = values.iter().flat_map(|value| value.to_be_bytes());
    let length = u32::try_from(4 * values.len()).expect("few values");
    length.to_be_bytes().into_iter().chain(bytes).collect()
}

/// Longest command 512 bytes; timeouts of 3 s; durations of 1, 2 and 4 s.
fn capability_12(property: u8) -> Vec<u8> {
    let values: &[u32] = match property {
        0x24 => &[512],
        0x15 => &[3_000_000; 4],
        _ => &[1_000_000, 2_000_000, 4_000_000],
    };
    sized(values)
}

fn max_command_20() -> Vec<u8> {
    [0, 0, 0, 0, 6, 0, 0, 0, 1, 0, 0, 1, 0x1e, 0, 0, 2, 0].to_vec()
}

#[derive(Clone)]
struct Memory(Rc<RefCell<Vec<u8>>>);

impl Mail for Memory {
    fn fetch(&mut self, _: usize, command: &mut [u8]) -> bool {
        command.copy_from_slice(&self.0.borrow()[..command.len()]);
        true
    }

    fn deliver(&mut self, _: usize, response: &[u8]) -> bool {
        self.0.borrow_mut()[..response.len()].copy_from_slice(response);
        true
    }

    fn wake(&mut self, _: usize) {}
}

/// One client, its memory, and the time that passes.
struct Bench {
    service: Service<TpmChip, Memory>,
    memory: Memory,
    now: Duration,
}

impl Bench {
    fn new(tpm: &SimulatedTpm) -> Self {
        let memory = Memory(Rc::new(RefCell::new(vec![0; MAX_MESSAGE_BYTES])));
        let chip = TpmChip::new(tpm.clone(), log);
        let localities = [Locality::EVERYDAY].into_iter();
        let mut service = Service::new(chip, memory.clone(), localities.map(crate::Allowance::all_at));
        service.open(Badge(0)).expect("it opens");
        Self { service, memory, now: Duration::ZERO }
    }

    /// Lets time pass until the service has nothing to wait for. Returns how long that took.
    fn run(&mut self) -> Duration {
        let start = self.now;
        while self.service.step(self.now) {
            self.now += Duration::from_millis(10);
            assert!(self.now < start + Duration::from_secs(1000), "the service waits for ever");
        }
        self.now - start
    }

    fn transmit(&mut self, command: &impl Command) -> Result<Vec<u8>, Refusal> {
        let mut buffer = [0; 64];
        let command = command.write(&mut buffer).expect("enough room");
        self.memory.0.borrow_mut()[..command.len()].copy_from_slice(command);
        self.service.submit(Badge(0), u32::try_from(command.len()).expect("a short command"))?;
        self.run();
        let finished = self.service.finish(Badge(0))?;
        Ok(self.memory.0.borrow()[..finished.bytes as usize].to_vec())
    }
}

const READ_12: tpm12::PcrRead = tpm12::PcrRead { register: 0 };

#[test]
fn tpm_is_brought_up_before_the_first_command() {
    for family in [Family::Tpm12, Family::Tpm20] {
        for fresh in [false, true] {
            let tpm = tpm(family, fresh);
            let mut bench = Bench::new(&tpm);
            bench.run();
            assert_eq!(logged(), [PROBED, FOUND]);
            assert_eq!(bench.service.open(Badge(0)).map(|opened| opened.max_bytes), Ok(512));
            let questions = tpm.commands().len();
            let expected = if family == Family::Tpm12 { 4 } else { 2 } + if fresh { 3 } else { 0 };
            assert_eq!(questions, expected, "{family:?}, fresh: {fresh}");
        }
    }
}

#[test]
fn commands_of_both_versions_pass() {
    let tpm = tpm(Family::Tpm12, false);
    let mut bench = Bench::new(&tpm);
    assert_eq!(bench.transmit(&READ_12), Ok(response(Family::Tpm12, 0, b"body")));
    let probe = bench.transmit(&Family::PROBE).expect("an answer");
    assert_eq!(Family::from_probe(&probe), Ok(Family::Tpm12));
}

#[test]
fn no_tpm_is_said_once_and_to_each_client() {
    let tpm = tpm(Family::Tpm12, false);
    tpm.set_trouble(Trouble::Absent);
    let mut bench = Bench::new(&tpm);
    for _ in 0..3 {
        assert_eq!(bench.transmit(&READ_12), Err(Refusal::NoTpm));
    }
    assert_eq!(logged(), [PROBED, "tis: no TPM answers at 0xfed40000"]);
    tpm.set_trouble(Trouble::None);
    assert!(bench.transmit(&READ_12).is_ok());
    assert_eq!(logged(), [FOUND]);
}

#[test]
fn tpm_that_hangs_is_given_up_after_its_own_time_and_taken_up_again() {
    let tpm = tpm(Family::Tpm12, false);
    let mut bench = Bench::new(&tpm);
    bench.run();
    tpm.set_trouble(Trouble::Hangs(Step::Execute));
    let start = bench.now;
    assert_eq!(bench.transmit(&READ_12), Err(Refusal::TimedOut));
    let took = bench.now - start;
    assert!((Duration::from_secs(1)..Duration::from_millis(1100)).contains(&took), "it took {took:?}");
    tpm.set_trouble(Trouble::None);
    assert!(bench.transmit(&READ_12).is_ok());
    let hung = "tis: the TPM did not carry out the command in time; the next command starts afresh";
    assert_eq!(logged(), [PROBED, FOUND, hung, FOUND]);
}

#[test]
fn tpm_that_vanishes_or_says_garbage_is_an_error_until_it_is_back() {
    for (trouble, refusal) in [(Trouble::Absent, Refusal::NoTpm), (Trouble::GivesMore, Refusal::Garbage)] {
        let tpm = tpm(Family::Tpm20, false);
        let mut bench = Bench::new(&tpm);
        bench.run();
        tpm.set_trouble(trouble);
        assert_eq!(bench.transmit(&Family::PROBE), Err(refusal));
        assert_eq!(bench.transmit(&Family::PROBE), Err(refusal));
        tpm.set_trouble(Trouble::None);
        assert!(bench.transmit(&Family::PROBE).is_ok());
    }
}

#[test]
fn tpm_that_says_it_failed_is_asked_afresh() {
    let failing = Rc::new(RefCell::new(false));
    let (says, mut inside) = (failing.clone(), tpm_12_inside());
    let tpm = SimulatedTpm::new(move |command| {
        if *says.borrow() { response(Family::Tpm12, ReturnCode::FAIL.0, &[]) } else { inside(command) }
    });
    let mut bench = Bench::new(&tpm);
    bench.run();
    *failing.borrow_mut() = true;
    assert_eq!(bench.transmit(&READ_12), Ok(response(Family::Tpm12, ReturnCode::FAIL.0, &[])));
    assert_eq!(bench.transmit(&READ_12), Err(Refusal::Failed));
    *failing.borrow_mut() = false;
    assert!(bench.transmit(&READ_12).is_ok());
}

#[test]
fn tpm_that_was_reset_is_started_again() {
    for family in [Family::Tpm12, Family::Tpm20] {
        let fresh = Rc::new(Cell::new(false));
        let tpm = tpm_that_may_be_reset(family, fresh.clone());
        let mut bench = Bench::new(&tpm);
        let mut ask = || match family {
            Family::Tpm12 => bench.transmit(&READ_12),
            Family::Tpm20 => bench.transmit(&Family::PROBE),
        };
        let answer = ask();
        fresh.set(true);
        let refused = ask().expect("the TPM's own answer");
        assert!(return_code(&refused).is_some_and(ReturnCode::wants_startup));
        assert_eq!(ask(), answer, "{family:?}");
    }
}

#[test]
fn client_that_starts_a_started_tpm_changes_nothing() {
    let tpm = tpm(Family::Tpm12, false);
    let mut bench = Bench::new(&tpm);
    bench.run();
    let before = tpm.commands().len();
    let refusal = response(Family::Tpm12, ReturnCode::INVALID_POST_INIT.0, &[]);
    assert_eq!(bench.transmit(&tpm12::Startup), Ok(refusal));
    assert!(bench.transmit(&READ_12).is_ok());
    assert_eq!(tpm.commands().len(), before + 2);
    assert_eq!(logged(), [PROBED, FOUND]);
}

/// What a TPM need not say, it may say in any form.
#[test]
fn tpm_with_answers_of_its_own_form_is_used_all_the_same() {
    let short = [0, 0, 0, 2, 1, 1];
    for body in [&[][..], &[0, 0, 0, 0], &short, &[0, 0, 0, 9, 1]] {
        let body = body.to_vec();
        let tpm = SimulatedTpm::new(move |command| match (command[0], command[9]) {
            (0x80, _) => response(Family::Tpm12, 10, &[]),
            (_, 0x65) => response(Family::Tpm12, 0, &body),
            _ => response(Family::Tpm12, 0, b"body"),
        });
        let mut bench = Bench::new(&tpm);
        assert_eq!(bench.transmit(&READ_12), Ok(response(Family::Tpm12, 0, b"body")));
        assert_eq!(logged(), [PROBED, FOUND]);
    }
}

/// A TPM whose self-test still runs when it is brought up states its limits a little later.
#[test]
fn busy_tpm_is_brought_up_when_it_is_done() {
    let (mut busy, mut inside) = (3, tpm_12_inside());
    let tpm = SimulatedTpm::new(move |command| {
        if busy > 0 {
            busy -= 1;
            return response(Family::Tpm12, ReturnCode::DOING_SELF_TEST.0, &[]);
        }
        inside(command)
    });
    let mut bench = Bench::new(&tpm);
    assert_eq!(bench.transmit(&READ_12), Ok(response(Family::Tpm12, 0, b"body")));
    assert_eq!(bench.service.open(Badge(0)).map(|opened| opened.max_bytes), Ok(512));
}

fn tpm_12_inside() -> impl FnMut(&[u8]) -> Vec<u8> {
    |command| match command[9] {
        0x65 => response(Family::Tpm12, 0, &capability_12(command[21])),
        _ if command[0] == 0x80 => response(Family::Tpm12, 10, &[]),
        _ => response(Family::Tpm12, 0, b"body"),
    }
}

proptest! {
    /// Whatever the registers say and whenever that begins: each command ends, and the TPM is used once it is
    /// sound.
    #[test]
    fn garbage_in_the_registers_is_survived(seed in any::<u64>(), is_up in any::<bool>()) {
        let tpm = tpm(Family::Tpm12, false);
        tpm.set_noise(seed);
        let mut bench = Bench::new(&tpm);
        if is_up {
            bench.run();
        }
        tpm.set_trouble(Trouble::Garbage);
        for _ in 0..3 {
            let _ = bench.transmit(&READ_12);
        }
        tpm.set_trouble(Trouble::None);
        let _ = bench.transmit(&READ_12);
        prop_assert_eq!(bench.transmit(&READ_12), Ok(response(Family::Tpm12, 0, b"body")));
    }

    /// Whatever a TPM states about itself: commands still reach it, and none may take for ever.
    #[test]
    fn nonsense_in_the_answers_is_survived(
        bodies in some(nonsense(), 1..6),
        refuses in any::<bool>(),
    ) {
        let mut bodies = bodies.into_iter().cycle();
        let tpm = SimulatedTpm::new(move |command| match (command[0], command[9]) {
            (0x80, _) => response(Family::Tpm12, 10, &[]),
            (_, 0x65) => {
                let body = bodies.next().unwrap_or_default();
                let code = if refuses { u32::from(body.first().copied().unwrap_or(0)) } else { 0 };
                response(Family::Tpm12, code, if code == 0 { &body } else { &[] })
            }
            _ => response(Family::Tpm12, 0, b"body"),
        });
        let mut bench = Bench::new(&tpm);
        bench.run();
        let outcome = bench.transmit(&READ_12);
        prop_assert_ne!(&outcome, &Err(Refusal::TooLong));
        if outcome.is_ok() {
            tpm.set_trouble(Trouble::Hangs(Step::Execute));
            prop_assert_eq!(bench.transmit(&READ_12), Err(Refusal::TimedOut));
        }
    }
}
