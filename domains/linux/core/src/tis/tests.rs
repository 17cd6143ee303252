//! The registers by themselves, and with a driver in front of them.

use core::time::Duration;
use std::vec;
use std::vec::Vec;

use cloison_drivers::registers::Registers;
use cloison_drivers::tpm::{Interface, InterfaceError, Locality, Step, tis};
use proptest::prelude::*;

use super::*;
use crate::testing::FakeTpm;

/// The registers, and the TPM behind them.
struct Bench {
    tis: Tis,
    tpm: FakeTpm,
}

impl Bench {
    /// With the locality held, and ready for a command.
    fn ready() -> Self {
        let mut bench = Self { tis: Tis::new(), tpm: FakeTpm::default() };
        bench.write(ACCESS, 1, Access::REQUEST_USE.into());
        bench.write(STATUS, 1, Status::COMMAND_READY.into());
        bench
    }

    fn read(&mut self, offset: u64, size: u8) -> u64 {
        self.tis.read(&mut self.tpm, offset, size)
    }

    fn write(&mut self, offset: u64, size: u8, value: u64) {
        self.tis.write(&mut self.tpm, offset, size, value);
    }

    /// The flags of the status, and the burst count.
    fn status(&mut self) -> (u8, usize) {
        let status = Status(self.read(STATUS, 4) as u32);
        (status.0 as u8, status.burst())
    }

    fn put(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write(DATA_FIFO, 1, (*byte).into()));
    }

    fn go(&mut self) {
        self.write(STATUS, 1, Status::GO.into());
    }

    fn take(&mut self, bytes: usize) -> Vec<u8> {
        (0..bytes).map(|_| self.read(DATA_FIFO, 1) as u8).collect()
    }
}

/// A command that states its length, or another one.
fn command(bytes: usize, stated: usize) -> Vec<u8> {
    let mut command: Vec<u8> = (0..bytes).map(|at| at as u8).collect();
    command[..2].copy_from_slice(&[0x80, 1]);
    command[2..6].copy_from_slice(&(stated as u32).to_be_bytes());
    command
}

const READY: (u8, usize) = (Status::COMMAND_READY, MAX_MESSAGE_BYTES);
const BUSY: (u8, usize) = (0, 0);
const TAKES_NO_MORE: (u8, usize) = (Status::VALID, 0);
const HAS: u8 = Status::VALID | Status::DATA_AVAILABLE;
const WANTS: u8 = Status::VALID | Status::EXPECT;

#[test]
fn a_command_goes_in_and_its_response_comes_out() {
    let mut bench = Bench::ready();
    bench.tpm.delay = 2;
    let sent = command(12, 12);
    assert_eq!(bench.status(), READY);
    bench.put(&sent[..11]);
    assert_eq!(bench.status(), (WANTS, MAX_MESSAGE_BYTES - 11));
    bench.put(&sent[11..]);
    assert_eq!(bench.status(), TAKES_NO_MORE);
    assert!(bench.tpm.commands.is_empty(), "nothing goes before it is said");
    bench.go();
    assert_eq!(bench.tpm.commands, vec![sent.clone()]);
    assert_eq!(bench.status(), BUSY);
    assert_eq!(bench.status(), (HAS, 12));
    assert_eq!(bench.take(5), sent[..5]);
    assert_eq!(bench.status(), (HAS, 7));
    assert_eq!(bench.take(7), sent[5..]);
    assert_eq!(bench.status(), TAKES_NO_MORE);
    bench.write(STATUS, 1, Status::COMMAND_READY.into());
    assert_eq!(bench.status(), READY);
    assert_eq!(bench.tpm.cancels, 0);
}

#[test]
fn a_register_reads_the_same_whatever_the_width() {
    let mut bench = Bench::ready();
    for (offset, word) in [
        (0x00, 0x0000_00a1),
        (0x04, 0xffff_ffff),
        (0x08, 0),
        (0x0c, 0),
        (0x10, 0),
        (0x14, 0x2000_0000),
        (0x18, 0x0010_0040),
        (0x1c, 0xffff_ffff),
        (0x30, 0xffff_ffff),
        (0xf00, 0x0001_1014),
        (0xf04, 1),
        (0xffc, 0xffff_ffff),
    ] {
        assert_eq!(bench.read(offset, 4), word, "{offset:#x}");
        for byte in 0..4 {
            assert_eq!(bench.read(offset + byte, 1), word >> (8 * byte) & 0xff, "{offset:#x}");
        }
        assert_eq!(bench.read(offset + 2, 2), word >> 16, "{offset:#x}");
    }
    assert_eq!(bench.read(0x10, 8), 0x2000_0000_0000_0000);
}

#[test]
fn the_fifo_takes_and_gives_as_many_bytes_as_are_written_or_read() {
    let mut bench = Bench::ready();
    let sent = command(14, 14);
    bench.write(DATA_FIFO, 4, 0x0000_0180);
    bench.write(DATA_FIFO, 2, 0x0e00);
    bench.write(DATA_FIFO + 2, 2, 0x0706);
    bench.write(DATA_FIFO, 4, 0x0b0a_0908);
    bench.write(DATA_FIFO, 4, 0xffff_0d0c);
    bench.go();
    assert_eq!(bench.tpm.commands, vec![sent.clone()], "what is beyond the command is lost");
    assert_eq!(bench.status(), (HAS, 14));
    assert_eq!(bench.read(DATA_FIFO, 4), 0x0000_0180);
    assert_eq!(bench.take(8), sent[4..12]);
    assert_eq!(bench.read(DATA_FIFO, 4), 0xffff_0d0c, "behind the end there is nothing");
    assert_eq!(bench.read(DATA_FIFO, 4), 0xffff_ffff);
}

#[test]
fn the_other_localities_are_not_there() {
    let mut bench = Bench::ready();
    for locality in 1..5 {
        for offset in [ACCESS, STATUS, DATA_FIFO, CAPABILITY, VENDOR_AND_DEVICE, REVISION] {
            let at = locality * LOCALITY_BYTES + offset;
            bench.write(at, 4, 0xffff_ffff);
            assert_eq!(bench.read(at, 4), 0xffff_ffff, "{at:#x}");
        }
        assert_eq!(bench.status(), READY, "nothing has come of it");
        assert_eq!(bench.read(ACCESS, 1), 0xa1);
    }
}

#[test]
fn without_the_locality_nothing_can_be_done() {
    let mut bench = Bench { tis: Tis::new(), tpm: FakeTpm::default() };
    bench.write(STATUS, 1, Status::COMMAND_READY.into());
    bench.put(&command(10, 10));
    bench.go();
    assert_eq!(bench.read(ACCESS, 1), 0x81);
    assert_eq!(bench.read(STATUS, 4), 0xffff_ffff);
    assert_eq!(bench.read(DATA_FIFO, 1), 0xff);
    bench.write(ACCESS, 1, Access::REQUEST_USE.into());
    assert_eq!(bench.status(), BUSY, "it is not ready by itself");
    bench.put(&command(10, 10));
    bench.go();
    assert!(bench.tpm.commands.is_empty());
}

#[test]
fn a_locality_that_is_given_up_takes_its_command_with_it() {
    let mut bench = Bench::ready();
    bench.tpm.delay = 1;
    bench.put(&command(10, 10));
    bench.go();
    bench.write(ACCESS, 1, Access::ACTIVE.into());
    assert_eq!(bench.tpm.cancels, 1);
    bench.write(ACCESS, 1, Access::REQUEST_USE.into());
    assert_eq!(bench.status(), BUSY, "idle, without a response");
}

#[test]
fn a_command_is_aborted_by_being_ready() {
    let mut bench = Bench::ready();
    bench.tpm.delay = 1;
    bench.put(&command(10, 10));
    bench.write(STATUS, 1, Status::COMMAND_READY.into());
    assert_eq!(bench.status(), READY, "before it goes");
    assert_eq!(bench.tpm.cancels, 0);
    bench.put(&command(10, 10));
    bench.go();
    bench.write(STATUS, 1, Status::COMMAND_READY.into());
    assert_eq!((bench.tpm.cancels, bench.status()), (1, READY), "while the TPM has it");
    bench.write(STATUS, 1, Status::COMMAND_READY.into());
    assert_eq!(bench.tpm.cancels, 1, "once");
}

#[test]
fn only_a_whole_command_goes() {
    for bytes in [0, 1, 5, 6, 9] {
        let mut bench = Bench::ready();
        bench.put(&command(10, 10)[..bytes]);
        bench.go();
        assert!(bench.tpm.commands.is_empty(), "{bytes}");
    }
    // One that states less than a header is whole with its length: the service says what is wrong with it.
    for stated in [0, 5, 6] {
        let mut bench = Bench::ready();
        bench.put(&command(10, stated));
        bench.go();
        assert_eq!(bench.tpm.commands, vec![command(6, stated)], "{stated}");
    }
}

#[test]
fn a_command_that_is_too_long_is_not_wanted() {
    let longest = MAX_MESSAGE_BYTES;
    for stated in [longest + 1, 0x1_0000, 0xffff_ffff] {
        let mut bench = Bench::ready();
        bench.put(&command(10, stated));
        assert_eq!(bench.status(), TAKES_NO_MORE, "{stated}");
        bench.put(&vec![0; longest]);
        bench.go();
        assert_eq!(bench.status(), TAKES_NO_MORE, "{stated}");
        assert!(bench.tpm.commands.is_empty(), "{stated}");
    }
    let mut bench = Bench::ready();
    let sent = command(longest, longest);
    bench.put(&sent);
    bench.go();
    assert_eq!(bench.tpm.commands, vec![sent.clone()]);
    assert_eq!(bench.status(), (HAS, longest));
    assert_eq!(bench.take(longest), sent);
}

#[test]
fn a_response_is_given_once_more() {
    let mut bench = Bench::ready();
    bench.write(STATUS, 1, Status::RESPONSE_RETRY.into());
    assert_eq!(bench.status(), READY, "there is none");
    bench.put(&command(10, 10));
    bench.go();
    assert_eq!(bench.status(), (HAS, 10));
    assert_eq!(bench.take(10), command(10, 10));
    bench.go();
    bench.write(STATUS, 1, Status::RESPONSE_RETRY.into());
    assert_eq!(bench.status(), (HAS, 10));
    assert_eq!(bench.take(10), command(10, 10));
    assert_eq!(bench.tpm.commands.len(), 1);
}

#[test]
fn a_command_waits_for_a_service_that_is_restarted() {
    let mut bench = Bench::ready();
    bench.tpm.submissions = [Submission::Later; 3].into();
    bench.put(&command(10, 10));
    bench.go();
    assert_eq!((bench.status(), bench.status()), (BUSY, BUSY));
    assert_eq!(bench.status(), (HAS, 10));
    assert_eq!(bench.tpm.commands, vec![command(10, 10); 4]);
}

#[test]
fn a_command_that_waits_is_given_up_without_a_word() {
    let mut bench = Bench::ready();
    bench.tpm.submissions = [Submission::Later; 3].into();
    bench.put(&command(10, 10));
    bench.go();
    bench.write(STATUS, 1, Status::COMMAND_READY.into());
    assert_eq!((bench.status(), bench.tpm.cancels, bench.tpm.commands.len()), (READY, 0, 1));
}

#[test]
fn a_malformed_command_is_answered_as_both_versions_do() {
    let mut bench = Bench::ready();
    bench.tpm.submissions = [Submission::Malformed].into();
    bench.put(&command(10, 10));
    bench.go();
    assert_eq!(bench.status(), (HAS, 10));
    assert_eq!(bench.take(10), [0, 0xc4, 0, 0, 0, 10, 0, 0, 0, 0x1e]);
    assert_eq!(bench.status(), TAKES_NO_MORE);
}

#[test]
fn a_command_that_is_lost_leaves_a_tpm_that_is_ready() {
    let at_once = FakeTpm { submissions: [Submission::Lost].into(), ..FakeTpm::default() };
    let later = FakeTpm { delay: 1, loses: true, ..FakeTpm::default() };
    let too_long = FakeTpm { stated: Some(MAX_MESSAGE_BYTES + 1), ..FakeTpm::default() };
    for tpm in [at_once, later, too_long] {
        let mut bench = Bench { tpm, ..Bench::ready() };
        bench.put(&command(10, 10));
        bench.go();
        assert_eq!((bench.status(), bench.status()), (READY, READY));
        assert_eq!(bench.take(3), [0xff; 3]);
        bench.tpm = FakeTpm::default();
        bench.put(&command(11, 11));
        bench.go();
        assert_eq!(bench.status(), (HAS, 11), "the next one is carried out");
    }
}

#[test]
fn a_reset_takes_back_what_is_under_way() {
    let mut bench = Bench::ready();
    bench.tpm.delay = 1;
    bench.put(&command(10, 10));
    bench.go();
    bench.tis.reset(&mut bench.tpm);
    assert_eq!(bench.tpm.cancels, 1);
    assert_eq!(bench.read(ACCESS, 1), 0x81);
}

#[test]
fn a_command_under_way_when_the_guest_was_saved_is_lost() {
    let mut bench = Bench::ready();
    bench.tpm.delay = 1;
    bench.put(&command(10, 10));
    bench.go();
    bench.tis.resume(&mut bench.tpm);
    assert_eq!((bench.tpm.cancels, bench.status()), (1, READY));
}

#[test]
fn without_a_tpm_nothing_drives_the_bus() {
    struct None;
    impl Tpm for None {}
    let mut tis = Tis::new();
    tis.write(&mut None, ACCESS, 1, Access::REQUEST_USE.into());
    for offset in (0..5 * LOCALITY_BYTES).step_by(4) {
        assert_eq!(tis.read(&mut None, offset, 4), 0xffff_ffff, "{offset:#x}");
    }
}

impl Registers for &mut Bench {
    fn read8(&mut self, offset: u64) -> u8 {
        self.read(offset, 1) as u8
    }

    fn read16(&mut self, offset: u64) -> u16 {
        self.read(offset, 2) as u16
    }

    fn read32(&mut self, offset: u64) -> u32 {
        self.read(offset, 4) as u32
    }

    fn write8(&mut self, offset: u64, value: u8) {
        self.write(offset, 1, value.into());
    }

    fn write16(&mut self, offset: u64, value: u16) {
        self.write(offset, 2, value.into());
    }

    fn write32(&mut self, offset: u64, value: u32) {
        self.write(offset, 4, value.into());
    }
}

/// A driver sends a command through the registers.
fn drive(bench: &mut Bench, locality: u32, command: &[u8]) -> Result<Vec<u8>, InterfaceError> {
    let mut driver = tis::Tis::new(bench);
    driver.identify().expect("there is one");
    let locality = Locality::new(locality).expect("one of five");
    let mut now = Duration::ZERO;
    driver.send(locality, command, Duration::from_secs(60), now).expect("a command");
    loop {
        now += Duration::from_millis(10);
        if let Poll::Ready(outcome) = driver.poll(now) {
            return outcome.map(<[u8]>::to_vec);
        }
    }
}

#[test]
fn a_driver_gets_no_other_locality() {
    for locality in 1..5 {
        let mut bench = Bench { tis: Tis::new(), tpm: FakeTpm::default() };
        let outcome = drive(&mut bench, locality, &command(10, 10));
        assert_eq!(outcome, Err(InterfaceError::Absent), "{locality}");
    }
}

#[test]
fn a_driver_is_told_of_nothing_when_a_command_is_lost() {
    let mut bench = Bench { tis: Tis::new(), tpm: FakeTpm { loses: true, ..FakeTpm::default() } };
    let outcome = drive(&mut bench, 0, &command(10, 10));
    assert_eq!(outcome, Err(InterfaceError::TimedOut(Step::Execute)));
}

proptest! {
    /// Whatever the lengths and however long it takes: a driver gets the response to its command, each time.
    #[test]
    fn a_driver_gets_responses(
        exchanges in prop::collection::vec(
            (10..=MAX_MESSAGE_BYTES, 10..=MAX_MESSAGE_BYTES, 0_usize..50, 0_usize..50), 1..4),
    ) {
        let mut bench = Bench { tis: Tis::new(), tpm: FakeTpm::default() };
        for (sent, answered, later, delay) in exchanges {
            let (sent, answered) = (command(sent, sent), command(answered, answered));
            bench.tpm = FakeTpm {
                submissions: vec![Submission::Later; later].into(),
                delay,
                response: Some(answered.clone()),
                ..FakeTpm::default()
            };
            prop_assert_eq!(drive(&mut bench, 0, &sent), Ok(answered));
            prop_assert_eq!(bench.tpm.commands.last(), Some(&sent));
            prop_assert_eq!(bench.tpm.cancels, 0);
        }
    }
}
