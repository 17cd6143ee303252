//! The driver against a simulated TPM.

use core::task::Poll;
use std::{cell::RefCell, rc::Rc, vec, vec::Vec};

use proptest::prelude::*;

use super::*;
use crate::tpm::{Interface, Timeouts};

const LONGEST: Duration = Duration::from_secs(5);
const TICK: Duration = Duration::from_millis(10);
/// The buffer lies behind the registers of locality 0, as in QEMU.
const BUFFER: usize = 0x80;
const BUFFER_BYTES: usize = 0xf80;

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    None,
    Absent,
    Garbage,
    NoLocality,
    NeverReady,
    NeverDone,
    Fails,
    LongResponse,
    BufferElsewhere,
}

struct Inside {
    trouble: Trouble,
    noise: u32,
    active: Option<u64>,
    idle: bool,
    started: bool,
    cancelled: bool,
    buffer: Vec<u8>,
    localities: Vec<u64>,
}

#[derive(Clone)]
struct Simulated(Rc<RefCell<Inside>>);

impl Simulated {
    fn new() -> Self {
        Self(Rc::new(RefCell::new(Inside {
            trouble: Trouble::None,
            noise: 1,
            active: None,
            idle: true,
            started: false,
            cancelled: false,
            buffer: vec![0; BUFFER_BYTES],
            localities: Vec::new(),
        })))
    }

    fn set_trouble(&self, trouble: Trouble) {
        self.0.borrow_mut().trouble = trouble;
    }
}

impl Registers for Simulated {
    fn read8(&mut self, offset: u64) -> u8 {
        let mut inside = self.0.borrow_mut();
        match inside.trouble {
            Trouble::Absent => u8::MAX,
            Trouble::Garbage => inside.next_noise() as u8,
            _ => inside.buffer[offset as usize - BUFFER],
        }
    }

    fn read16(&mut self, offset: u64) -> u16 {
        u16::from_le_bytes([self.read8(offset), self.read8(offset + 1)])
    }

    fn read32(&mut self, offset: u64) -> u32 {
        let mut inside = self.0.borrow_mut();
        match inside.trouble {
            Trouble::Absent => u32::MAX,
            Trouble::Garbage => inside.next_noise(),
            _ => inside.read(offset >> 12, offset & 0xfff),
        }
    }

    fn write8(&mut self, offset: u64, value: u8) {
        let mut inside = self.0.borrow_mut();
        if let Some(byte) = (offset as usize).checked_sub(BUFFER).and_then(|at| inside.buffer.get_mut(at)) {
            *byte = value;
        }
    }

    fn write16(&mut self, offset: u64, value: u16) {
        let [low, high] = value.to_le_bytes();
        self.write8(offset, low);
        self.write8(offset + 1, high);
    }

    fn write32(&mut self, offset: u64, value: u32) {
        self.0.borrow_mut().write(offset >> 12, offset & 0xfff, value);
    }
}

impl Inside {
    fn next_noise(&mut self) -> u32 {
        self.noise ^= self.noise << 13;
        self.noise ^= self.noise >> 17;
        self.noise ^= self.noise << 5;
        self.noise
    }

    fn read(&mut self, locality: u64, register: u64) -> u32 {
        match register {
            LOCALITY_STATUS => u32::from(self.active == Some(locality)),
            register::INTERFACE_ID => 0x0700_4001,
            register::VENDOR_AND_DEVICE => 0x0001_1014,
            REQUEST => u32::from(self.idle),
            STATUS => u32::from(self.trouble == Trouble::Fails),
            START => u32::from(self.goes_on()),
            COMMAND_BYTES | RESPONSE_BYTES => BUFFER_BYTES as u32,
            COMMAND_ADDRESS | RESPONSE_ADDRESS if self.trouble == Trouble::BufferElsewhere => 0x7f00_0000,
            COMMAND_ADDRESS | RESPONSE_ADDRESS => TPM_ADDRESS as u32 + BUFFER as u32,
            _ => 0,
        }
    }

    /// Whether the command goes on; a cancelled one ends. The response is the command's bytes after a good
    /// header.
    fn goes_on(&mut self) -> bool {
        let hangs = self.trouble == Trouble::NeverDone && !self.cancelled;
        if self.started && !hangs {
            self.started = false;
            self.buffer[1] = 0x01;
            if self.trouble == Trouble::LongResponse {
                self.buffer[2..6].copy_from_slice(&(BUFFER_BYTES as u32 + 1).to_be_bytes());
            }
        }
        self.started
    }

    fn write(&mut self, locality: u64, register: u64, value: u32) {
        match (register, value) {
            (LOCALITY_CONTROL, register::LOCALITY_REQUEST) if self.trouble != Trouble::NoLocality => {
                self.active = self.active.or(Some(locality));
            }
            (LOCALITY_CONTROL, register::LOCALITY_RELINQUISH) if self.active == Some(locality) => {
                self.active = None
            }
            (REQUEST, register::REQUEST_READY) => self.idle = self.trouble == Trouble::NeverReady,
            (REQUEST, register::REQUEST_IDLE) => self.idle = true,
            (CANCEL, _) => self.cancelled = value == 1,
            (START, 1) if self.active == Some(locality) && !self.idle => {
                self.started = true;
                self.localities.push(locality);
            }
            _ => {}
        }
    }
}

fn command() -> Vec<u8> {
    vec![0x80, 0x01, 0, 0, 0, 12, 0, 0, 1, 0x7b, 0, 16]
}

fn exchange(crb: &mut Crb<Simulated>, locality: Locality) -> (Result<Vec<u8>, InterfaceError>, Duration) {
    crb.send(locality, &command(), LONGEST, Duration::ZERO).expect("a good command");
    let mut now = Duration::ZERO;
    while now < Duration::from_secs(60) {
        if let Poll::Ready(outcome) = crb.poll(now) {
            return (outcome.map(<[u8]>::to_vec), now);
        }
        now += TICK;
    }
    panic!("the exchange never ended");
}

#[test]
fn interface_and_identity_are_what_the_registers_say() {
    let mut tpm = Simulated::new();
    assert!(is_offered(&mut tpm));
    let identity = Identity { vendor: 0x1014, device: 1, revision: 7 };
    assert_eq!(Crb::new(tpm.clone()).identify(), Ok(identity));
    tpm.set_trouble(Trouble::Absent);
    assert!(!is_offered(&mut tpm));
    assert_eq!(Crb::new(tpm).identify(), Err(InterfaceError::Absent));
}

#[test]
fn response_comes_back_and_the_locality_is_given_up() {
    let tpm = Simulated::new();
    let mut crb = Crb::new(tpm.clone());
    for number in [0, 2, 0] {
        let locality = Locality::new(number).expect("a locality");
        assert_eq!(exchange(&mut crb, locality).0, Ok(command()));
        assert_eq!(tpm.0.borrow().active, None);
    }
    assert_eq!(tpm.0.borrow().localities, [0, 2, 0]);
}

#[test]
fn each_trouble_ends_at_its_time_and_is_survived() {
    let Timeouts { a, b: _, c, d: _ } = Timeouts::DEFAULT;
    let elsewhere = InterfaceError::BufferElsewhere { address: 0x7f00_0000, bytes: BUFFER_BYTES as u64 };
    let troubles = [
        (Trouble::Absent, InterfaceError::Absent, Duration::ZERO),
        (Trouble::NoLocality, InterfaceError::TimedOut(Step::Locality), a),
        (Trouble::NeverReady, InterfaceError::TimedOut(Step::Ready), c),
        (Trouble::NeverDone, InterfaceError::TimedOut(Step::Execute), LONGEST),
        (Trouble::Fails, InterfaceError::Failed, Duration::ZERO),
        (Trouble::LongResponse, InterfaceError::LostBytes, Duration::ZERO),
        (Trouble::BufferElsewhere, elsewhere, Duration::ZERO),
    ];
    for (trouble, error, time) in troubles {
        let tpm = Simulated::new();
        tpm.set_trouble(trouble);
        let mut crb = Crb::new(tpm.clone());
        let (outcome, took) = exchange(&mut crb, Locality::EVERYDAY);
        assert_eq!(outcome, Err(error), "{trouble:?}");
        assert!((time..time + 2 * TICK).contains(&took), "{trouble:?} took {took:?}");
        tpm.set_trouble(Trouble::None);
        assert_eq!(exchange(&mut crb, Locality::EVERYDAY).0, Ok(command()), "after {trouble:?}");
    }
}

#[test]
fn cancelled_command_is_aborted_before_the_next_one_runs() {
    let tpm = Simulated::new();
    tpm.set_trouble(Trouble::NeverDone);
    let mut crb = Crb::new(tpm.clone());
    crb.send(Locality::EVERYDAY, &command(), LONGEST, Duration::ZERO).expect("a good command");
    assert_eq!(crb.poll(Duration::ZERO), Poll::Pending);
    crb.cancel();
    assert!(tpm.0.borrow().cancelled);
    assert_eq!(crb.poll(TICK), Poll::Ready(Err(InterfaceError::NothingSent)));
    tpm.set_trouble(Trouble::None);
    let other = Locality::new(3).expect("a locality");
    assert_eq!(exchange(&mut crb, other).0, Ok(command()));
    assert!(!tpm.0.borrow().cancelled, "the next command is not cancelled");
    assert_eq!(tpm.0.borrow().localities, [0, 3]);
}

proptest! {
    /// Whatever the registers say, the exchange ends.
    #[test]
    fn garbage_ends(seed in 1..u32::MAX) {
        let tpm = Simulated::new();
        tpm.0.borrow_mut().noise = seed;
        tpm.set_trouble(Trouble::Garbage);
        let _ = exchange(&mut Crb::new(tpm), Locality::EVERYDAY);
    }
}
