//! Commands to a TPM that is told how often to answer what.

use std::{cell::RefCell, rc::Rc, vec, vec::Vec};

use cloison_drivers::tpm::{
    InterfaceError, Step,
    tis::{
        Tis,
        simulated::{SimulatedTpm, Trouble},
    },
};
use cloison_tpm::header::check_command;
use proptest::{collection::vec as some, prelude::*};

use super::*;

const READ_12: [u8; 14] = [0x00, 0xc1, 0, 0, 0, 14, 0, 0, 0, 0x15, 0, 0, 0, 0];
const READ_20: [u8; 20] = [0x80, 1, 0, 0, 0, 20, 0, 0, 1, 0x7e, 0, 0, 0, 1, 0, 4, 3, 1, 0, 0];
const LIMITS: Limits = Limits { command: Duration::from_secs(1), self_test: Duration::from_secs(5) };

/// What the TPM says and hears: answers to come (each a code; then success for ever), and the last byte of each
/// command's ordinal with the time at which the command came.
#[derive(Default)]
struct Talk {
    now: Duration,
    answers: Vec<u32>,
    heard: Vec<(Duration, u8)>,
}

struct Bench {
    repeater: Repeater,
    tpm: SimulatedTpm,
    talk: Rc<RefCell<Talk>>,
}

impl Bench {
    fn new(answers: &[u32]) -> Self {
        let talk = Rc::new(RefCell::new(Talk { answers: answers.to_vec(), ..Talk::default() }));
        let inside = talk.clone();
        let tpm = SimulatedTpm::new(move |command| {
            let mut talk = inside.borrow_mut();
            let now = talk.now;
            talk.heard.push((now, command[9]));
            let code = if talk.answers.is_empty() { 0 } else { talk.answers.remove(0) };
            let tag: [u8; 2] = if command[0] == 0 { [0, 0xc4] } else { [0x80, 1] };
            [&tag[..], &[0, 0, 0, 10], &code.to_be_bytes()].concat()
        });
        Self { repeater: Repeater::new(Box::new(Tis::new(tpm.clone()))), tpm, talk }
    }

    /// Sends a command and lets time pass until its answer. Returns the answer's code, and how long that took.
    fn run(&mut self, command: &[u8]) -> (Result<u32, ChipError>, Duration) {
        let begun = self.send(command);
        loop {
            let now = self.talk.borrow().now;
            assert!(now < begun + Duration::from_secs(100), "the command never ends");
            if let Poll::Ready(answer) = self.repeater.poll(now) {
                return (answer.map(|answer| return_code(answer).expect("a header").0), now - begun);
            }
            self.talk.borrow_mut().now += Duration::from_millis(1);
        }
    }

    fn send(&mut self, command: &[u8]) -> Duration {
        let header = check_command(command, command.len()).expect("a sound command");
        let now = self.talk.borrow().now;
        self.repeater.send(Locality::EVERYDAY, &header, command, LIMITS, now).expect("it is sent");
        now
    }

    fn ordinals(&self) -> Vec<u8> {
        self.talk.borrow().heard.iter().map(|(_, ordinal)| *ordinal).collect()
    }
}

#[test]
fn a_command_is_repeated_until_the_tpm_has_an_answer() {
    for (command, code) in
        [(&READ_12[..], 0x800), (&READ_12, 0x802), (&READ_20, 0x922), (&READ_20, 0x908), (&READ_20, 0x90a)]
    {
        for count in 1..5 {
            let mut bench = Bench::new(&vec![code; count]);
            assert_eq!(bench.run(command).0, Ok(0), "{code:#x}, {count} times");
            assert_eq!(bench.ordinals(), vec![command[9]; count + 1]);
        }
    }
}

#[test]
fn pauses_double_up_to_two_seconds() {
    // Of a self-test, which has 5 s here, more pauses fit in.
    let mut bench = Bench::new(&[0x90a; 9]);
    assert_eq!(bench.run(&READ_20).0, Ok(0));
    let times: Vec<Duration> = bench.talk.borrow().heard.iter().map(|(time, _)| *time).collect();
    let pauses = times.windows(2).map(|pair| (pair[1] - pair[0]).as_millis());
    // An exchange takes a few milliseconds, since this clock ticks by one.
    for (pause, expected) in pauses.zip([20, 40, 80, 160, 320, 640, 1280, 2000]) {
        assert!((expected..expected + 10).contains(&pause), "{pause} ms instead of {expected}");
    }
}

#[test]
fn repetitions_end_with_the_commands_time_and_the_tpms_own_words() {
    let cases = [
        (&READ_12[..], 0x800, LIMITS.command),
        (&READ_20, 0x922, LIMITS.command),
        (&READ_20, 0x908, LIMITS.command),
        (&READ_12, 0x802, LIMITS.self_test),
        (&READ_20, 0x90a, LIMITS.self_test),
    ];
    for (command, code, limit) in cases {
        let mut bench = Bench::new(&vec![code; 100]);
        let (answer, took) = bench.run(command);
        assert_eq!(answer, Ok(code));
        assert!((limit..limit + Duration::from_millis(10)).contains(&took), "{code:#x} took {took:?}");
    }
}

#[test]
fn a_self_test_is_sent_if_the_tpm_needs_one() {
    for (command, code, test) in [(&READ_12[..], 0x801, 0x53), (&READ_20, 0x153, 0x43)] {
        let mut bench = Bench::new(&[code]);
        assert_eq!(bench.run(command).0, Ok(0));
        assert_eq!(bench.ordinals(), [command[9], test, command[9]]);
        let [_, self_test, _] = &bench.tpm.commands()[..] else { panic!("three commands") };
        check_command(&self_test.1, 64).expect("a sound command");
    }
}

/// A TPM 1.2 answers to `ContinueSelfTest` before the test is over, a TPM 2.0 may do so.
#[test]
fn a_self_test_that_goes_on_is_waited_for() {
    let mut old = Bench::new(&[0x801, 0, 0x802, 0x802]);
    assert_eq!(old.run(&READ_12).0, Ok(0));
    assert_eq!(old.ordinals(), [0x15, 0x53, 0x15, 0x15, 0x15]);
    let mut new = Bench::new(&[0x153, 0x90a, 0x90a]);
    assert_eq!(new.run(&READ_20).0, Ok(0));
    assert_eq!(new.ordinals(), [0x7e, 0x43, 0x7e, 0x7e]);
}

#[test]
fn after_a_self_test_that_fails_the_command_says_so() {
    let mut bench = Bench::new(&[0x801, 0x1c, 0x1c]);
    assert_eq!(bench.run(&READ_12).0, Ok(0x1c));
    assert_eq!(bench.ordinals(), [0x15, 0x53, 0x15]);
}

#[test]
fn a_tpm_that_wants_self_tests_for_ever_is_left_to_it() {
    let mut bench = Bench::new(&[0x153, 0].repeat(100));
    let (answer, took) = bench.run(&READ_20);
    assert_eq!(answer, Ok(0x153));
    assert!(took < LIMITS.self_test + LONGEST_PAUSE + Duration::from_millis(20), "it took {took:?}");
}

/// To a client that asks for a self-test, *it is running* is the answer, and asking again may begin another.
#[test]
fn a_self_test_is_not_repeated_because_it_runs() {
    let continue_12 = [0, 0xc1, 0, 0, 0, 10, 0, 0, 0, 0x53];
    let test_20 = [0x80, 1, 0, 0, 0, 11, 0, 0, 1, 0x43, 1];
    for (command, code) in
        [(&continue_12[..], 0x802), (&continue_12, 0x801), (&test_20, 0x90a), (&test_20, 0x153)]
    {
        let mut bench = Bench::new(&[code]);
        assert_eq!(bench.run(command).0, Ok(code));
        assert_eq!(bench.ordinals().len(), 1);
    }
    let mut busy = Bench::new(&[0x922]);
    assert_eq!(busy.run(&test_20).0, Ok(0), "a busy TPM is asked again for this as well");
}

#[test]
fn other_refusals_are_answers() {
    for code in [1, 0x8, 0x23, 0x803, 0x9a2, 0x18b, 0x902, 0x920, 0x921, 0xb22] {
        let mut bench = Bench::new(&[code]);
        assert_eq!(bench.run(&READ_20).0, Ok(code));
        assert_eq!(bench.ordinals().len(), 1, "{code:#x}");
    }
}

#[test]
fn a_command_is_cancelled_in_a_pause_too() {
    let mut bench = Bench::new(&[0x922]);
    bench.send(&READ_20);
    let start = Duration::from_millis(5);
    while bench.talk.borrow().heard.is_empty() || bench.repeater.state == State::Asked {
        let _ = bench.repeater.poll(start);
    }
    bench.repeater.cancel();
    let later = Duration::from_secs(3);
    let nothing = Poll::Ready(Err(ChipError::Interface(InterfaceError::NothingSent)));
    assert_eq!(bench.repeater.poll(later), nothing);
    bench.talk.borrow_mut().now = later;
    assert_eq!(bench.run(&READ_12).0, Ok(0));
    assert_eq!(bench.ordinals(), [0x7e, 0x15]);
}

#[test]
fn a_tpm_that_hangs_in_a_repetition_is_given_up() {
    for code in [0x922, 0x153] {
        let mut bench = Bench::new(&[code]);
        bench.send(&READ_20);
        while bench.talk.borrow().heard.is_empty() || bench.repeater.state == State::Asked {
            assert!(bench.repeater.poll(Duration::ZERO).is_pending());
        }
        bench.tpm.set_trouble(Trouble::Hangs(Step::Execute));
        let late = LIMITS.command + Duration::from_secs(1);
        let mut now = Duration::ZERO;
        let error = loop {
            assert!(now < late, "the TPM is waited for");
            match bench.repeater.poll(now) {
                Poll::Pending => now += Duration::from_millis(1),
                Poll::Ready(answer) => break answer.expect_err("it hangs"),
            }
        };
        assert_eq!(error, ChipError::Interface(InterfaceError::TimedOut(Step::Execute)));
        assert!(now >= LIMITS.command);
    }
}

proptest! {
    /// Whatever the TPM answers, and in which order: the command ends, and not long after its time.
    #[test]
    fn every_command_ends(
        answers in some(prop_oneof![
            Just(0x800_u32), Just(0x801), Just(0x802), Just(0x922), Just(0x908), Just(0x90a), Just(0x153), Just(0),
            any::<u32>(),
        ], 0..200),
        is_old in any::<bool>(),
    ) {
        let mut bench = Bench::new(&answers);
        let (answer, took) = bench.run(if is_old { &READ_12 } else { &READ_20 });
        prop_assert!(answer.is_ok());
        prop_assert!(took < LIMITS.self_test + LONGEST_PAUSE + Duration::from_millis(50));
    }
}
