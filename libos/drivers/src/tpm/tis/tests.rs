//! The driver against the simulated TPM.

use core::task::Poll;
use std::{vec, vec::Vec};

use cloison_tpm::{Command, MAX_MESSAGE_BYTES, tpm12};
use proptest::prelude::*;

use super::{
    simulated::{SimulatedTpm, Trouble},
    *,
};
use crate::tpm::{Interface, Timeouts};

const LONGEST: Duration = Duration::from_secs(5);
/// How much time passes between two polls.
const TICK: Duration = Duration::from_millis(10);

/// A TPM whose response is the command's header, marked as a response, and `body`.
fn tpm_with(body: &[u8]) -> SimulatedTpm {
    let body = body.to_vec();
    SimulatedTpm::new(move |_| response(&body))
}

fn response(body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(HEADER_BYTES + body.len()).expect("a short body");
    [&[0, 0xc4][..], &length.to_be_bytes(), &[0; 4], body].concat()
}

fn command() -> Vec<u8> {
    let mut buffer = [0; 64];
    tpm12::PcrRead { register: 7 }.write(&mut buffer).expect("enough room").to_vec()
}

/// Runs an exchange to its end; returns it and how long it took.
fn exchange(tis: &mut Tis<SimulatedTpm>, now: Duration) -> (Result<Vec<u8>, InterfaceError>, Duration) {
    exchange_at(tis, Locality::EVERYDAY, now)
}

fn exchange_at(
    tis: &mut Tis<SimulatedTpm>,
    locality: Locality,
    start: Duration,
) -> (Result<Vec<u8>, InterfaceError>, Duration) {
    tis.send(locality, &command(), LONGEST, start).expect("a good command");
    finish(tis, start)
}

fn finish(tis: &mut Tis<SimulatedTpm>, start: Duration) -> (Result<Vec<u8>, InterfaceError>, Duration) {
    let mut now = start;
    while now < start + Duration::from_secs(60) {
        if let Poll::Ready(outcome) = tis.poll(now) {
            return (outcome.map(<[u8]>::to_vec), now - start);
        }
        now += TICK;
    }
    panic!("the exchange never ended");
}

#[test]
fn identity_is_what_the_registers_say() {
    let mut tis = Tis::new(tpm_with(&[]));
    assert_eq!(tis.identify(), Ok(Identity { vendor: 0x1014, device: 1, revision: 1 }));
}

#[test]
fn nothing_there_is_absent() {
    let tpm = tpm_with(&[]);
    tpm.set_trouble(Trouble::Absent);
    let mut tis = Tis::new(tpm);
    assert_eq!(tis.identify(), Err(InterfaceError::Absent));
    assert_eq!(exchange(&mut tis, Duration::ZERO).0, Err(InterfaceError::Absent));
}

#[test]
fn response_comes_back_at_every_pace() {
    let body: Vec<u8> = (0..=255).collect();
    for (burst, delay) in [(1, 0), (1, 3), (7, 1), (64, 0), (4096, 0), (u16::MAX, 2)] {
        let tpm = tpm_with(&body);
        tpm.set_pace(burst, delay);
        let mut tis = Tis::new(tpm.clone());
        assert_eq!(exchange(&mut tis, Duration::ZERO).0, Ok(response(&body)), "burst {burst}, delay {delay}");
        assert_eq!(tpm.commands(), [(0, command())]);
        assert_eq!(tpm.active(), None, "the locality is given up");
    }
}

#[test]
fn longest_response_fits_and_a_longer_one_is_refused() {
    let mut tis = Tis::new(tpm_with(&[1; MAX_MESSAGE_BYTES - HEADER_BYTES]));
    assert_eq!(exchange(&mut tis, Duration::ZERO).0.map(|bytes| bytes.len()), Ok(MAX_MESSAGE_BYTES));
    let mut tis = Tis::new(tpm_with(&[1; MAX_MESSAGE_BYTES - HEADER_BYTES + 1]));
    let stated = MAX_MESSAGE_BYTES as u32 + 1;
    assert_eq!(exchange(&mut tis, Duration::ZERO).0, Err(InterfaceError::ResponseLength { stated }));
}

#[test]
fn commands_of_impossible_length_never_reach_the_tpm() {
    let mut tis = Tis::new(tpm_with(&[]));
    for given in [0, HEADER_BYTES - 1, MAX_MESSAGE_BYTES + 1] {
        let sent = tis.send(Locality::EVERYDAY, &vec![0; given], LONGEST, Duration::ZERO);
        assert_eq!(sent, Err(InterfaceError::CommandLength { given }));
        assert_eq!(tis.poll(Duration::ZERO), Poll::Ready(Err(InterfaceError::NothingSent)));
    }
}

#[test]
fn commands_go_to_their_locality() {
    let tpm = tpm_with(&[]);
    let mut tis = Tis::new(tpm.clone());
    for number in [0, 3, 1, 4] {
        let locality = Locality::new(number).expect("a locality");
        assert!(exchange_at(&mut tis, locality, Duration::ZERO).0.is_ok());
    }
    let localities: Vec<u64> = tpm.commands().iter().map(|(locality, _)| *locality).collect();
    assert_eq!(localities, [0, 3, 1, 4]);
    assert_eq!(Locality::new(5), None);
}

#[test]
fn locality_left_active_by_firmware_is_given_up_first() {
    let mut tpm = tpm_with(&[]);
    tpm.write8(at(Locality(0), register::ACCESS), Access::REQUEST_USE);
    assert_eq!(tpm.active(), Some(0));
    let mut tis = Tis::new(tpm.clone());
    assert!(exchange_at(&mut tis, Locality(2), Duration::ZERO).0.is_ok());
}

#[test]
fn each_step_that_hangs_ends_at_its_own_timeout() {
    let Timeouts { a, b, c: _, d } = Timeouts::DEFAULT;
    let steps = [
        (Step::Locality, a),
        (Step::Ready, b),
        (Step::Send, d),
        (Step::Execute, LONGEST),
        (Step::Receive, d),
    ];
    for (step, timeout) in steps {
        let tpm = tpm_with(&[]);
        tpm.set_trouble(Trouble::Hangs(step));
        let mut tis = Tis::new(tpm.clone());
        let (outcome, took) = exchange(&mut tis, Duration::from_secs(100));
        assert_eq!(outcome, Err(InterfaceError::TimedOut(step)));
        assert!((timeout..timeout + 2 * TICK).contains(&took), "{step:?} took {took:?}");
        tpm.set_trouble(Trouble::None);
        assert_eq!(exchange(&mut tis, Duration::from_secs(200)).0, Ok(response(&[])), "after {step:?}");
    }
}

#[test]
fn bytes_that_do_not_add_up_are_an_error() {
    let last = command().len() - 1;
    for trouble in [Trouble::WantsFewer(last), Trouble::WantsMore, Trouble::GivesMore] {
        let tpm = tpm_with(&[1, 2, 3]);
        tpm.set_trouble(trouble);
        let mut tis = Tis::new(tpm.clone());
        assert_eq!(exchange(&mut tis, Duration::ZERO).0, Err(InterfaceError::LostBytes), "{trouble:?}");
        tpm.set_trouble(Trouble::None);
        assert!(exchange(&mut tis, Duration::ZERO).0.is_ok(), "after {trouble:?}");
    }
}

#[test]
fn cancelled_command_is_aborted_and_the_next_one_runs() {
    let tpm = tpm_with(&[]);
    tpm.set_trouble(Trouble::Hangs(Step::Execute));
    let mut tis = Tis::new(tpm.clone());
    tis.send(Locality::EVERYDAY, &command(), LONGEST, Duration::ZERO).expect("a good command");
    assert_eq!(tis.poll(Duration::ZERO), Poll::Pending);
    tis.cancel();
    assert_eq!(tpm.aborts(), 1);
    assert_eq!(tis.poll(TICK), Poll::Ready(Err(InterfaceError::NothingSent)));
    tpm.set_trouble(Trouble::None);
    assert!(exchange(&mut tis, TICK).0.is_ok());
}

#[test]
fn next_command_waits_for_an_abandoned_one_as_long_as_that_may_take() {
    let tpm = tpm_with(&[]);
    tpm.set_trouble(Trouble::Hangs(Step::Execute));
    let mut tis = Tis::new(tpm.clone());
    tis.send(Locality::EVERYDAY, &command(), LONGEST, Duration::ZERO).expect("a good command");
    assert_eq!(tis.poll(Duration::ZERO), Poll::Pending);
    tpm.set_trouble(Trouble::Hangs(Step::Ready));
    tis.cancel();
    let (outcome, took) = exchange(&mut tis, Duration::ZERO);
    assert_eq!((outcome, took), (Err(InterfaceError::TimedOut(Step::Ready)), LONGEST));
}

#[test]
fn tpm_that_vanishes_is_noticed_at_once() {
    let tpm = tpm_with(&[]);
    tpm.set_trouble(Trouble::Hangs(Step::Execute));
    let mut tis = Tis::new(tpm.clone());
    tis.send(Locality::EVERYDAY, &command(), LONGEST, Duration::ZERO).expect("a good command");
    assert_eq!(tis.poll(Duration::ZERO), Poll::Pending);
    tpm.set_trouble(Trouble::Absent);
    assert_eq!(tis.poll(TICK), Poll::Ready(Err(InterfaceError::Absent)));
}

#[test]
fn stated_timeouts_lengthen_the_defaults_only() {
    assert_eq!(Timeouts::from_stated([750_000, 2_000_000, 750_000, 750_000]), Timeouts::DEFAULT);
    assert_eq!(Timeouts::from_stated([750, 2000, 750, 750]), Timeouts::DEFAULT, "milliseconds");
    assert_eq!(Timeouts::from_stated([0; 4]), Timeouts::DEFAULT);
    assert_eq!(Timeouts::from_stated([1_000_000; 4]).a, Duration::from_secs(1));
    assert_eq!(Timeouts::from_stated([1, u32::MAX, 0, 0]).b, Timeouts::MAX, "nonsense");
}

proptest! {
    /// Whatever the registers say, the exchange ends, and the driver works once the TPM does.
    #[test]
    fn garbage_ends_and_is_survived(seed in any::<u64>(), good_polls in 0..4_usize) {
        let tpm = tpm_with(&[1, 2, 3]);
        tpm.set_pace(4, 1);
        tpm.set_noise(seed);
        let mut tis = Tis::new(tpm.clone());
        tis.send(Locality::EVERYDAY, &command(), LONGEST, Duration::ZERO).expect("a good command");
        for _ in 0..good_polls {
            prop_assert!(tis.poll(Duration::ZERO).is_pending());
        }
        tpm.set_trouble(Trouble::Garbage);
        let _ = finish(&mut tis, Duration::ZERO);
        tpm.set_trouble(Trouble::None);
        let (outcome, _) = exchange(&mut tis, Duration::from_secs(100));
        prop_assert_eq!(outcome, Ok(response(&[1, 2, 3])));
    }
}
