//! A TPM behind simulated registers, which can be told to misbehave.

use std::{boxed::Box, cell::RefCell, collections::VecDeque, rc::Rc, vec::Vec};

use cloison_tpm::tis::{ACCESS, Access, DATA_FIFO, REVISION, STATUS, Status, VENDOR_AND_DEVICE};

use super::Step;
use crate::registers::Registers;

/// A fault that a test has the device show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Nothing.
    None,
    /// No TPM is there: all registers read as all ones.
    Absent,
    /// All registers read as anything.
    Garbage,
    /// This step never ends.
    Hangs(Step),
    /// The TPM wants no more bytes after this many.
    WantsFewer(usize),
    /// The TPM wants more bytes than the command has.
    WantsMore,
    /// The response has more bytes than its header says.
    GivesMore,
}

/// What the TPM is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Idle,
    Ready,
    Receiving,
    Executing,
    Completed,
}

/// The simulated TPM. Clones are the same TPM, so that a test can watch and disturb it while a driver has it.
#[derive(Clone)]
pub struct SimulatedTpm(Rc<RefCell<Inside>>);

/// What the TPM makes of a command: its response.
type Answer = Box<dyn FnMut(&[u8]) -> Vec<u8>>;

struct Inside {
    trouble: Trouble,
    burst: u16,
    /// How often the status is read before the TPM gets on.
    delay: u32,
    waited: u32,
    noise: u64,
    phase: Phase,
    active: Option<u64>,
    command: Vec<u8>,
    response: VecDeque<u8>,
    answer: Answer,
    commands: Vec<(u64, Vec<u8>)>,
    aborts: usize,
}

impl SimulatedTpm {
    /// A TPM that answers each command with what `answer` makes of it.
    pub fn new(answer: impl FnMut(&[u8]) -> Vec<u8> + 'static) -> Self {
        Self(Rc::new(RefCell::new(Inside {
            trouble: Trouble::None,
            burst: 64,
            delay: 0,
            waited: 0,
            noise: 0x9e37_79b9_7f4a_7c15,
            phase: Phase::Idle,
            active: None,
            command: Vec::new(),
            response: VecDeque::new(),
            answer: Box::new(answer),
            commands: Vec::new(),
            aborts: 0,
        })))
    }

    /// Sets what goes wrong from now on.
    pub fn set_trouble(&self, trouble: Trouble) {
        self.0.borrow_mut().trouble = trouble;
    }

    /// Sets how many bytes the TPM takes at once, and how often it has to be asked before it gets on.
    pub fn set_pace(&self, burst: u16, delay: u32) {
        let mut inside = self.0.borrow_mut();
        (inside.burst, inside.delay) = (burst, delay);
    }

    /// Sets from what the noise of [`Trouble::Garbage`] is made.
    pub fn set_noise(&self, seed: u64) {
        self.0.borrow_mut().noise = seed | 1;
    }

    /// The commands carried out so far, each with its locality.
    #[must_use]
    pub fn commands(&self) -> Vec<(u64, Vec<u8>)> {
        self.0.borrow().commands.clone()
    }

    /// How many commands were aborted while the TPM carried them out.
    #[must_use]
    pub fn aborts(&self) -> usize {
        self.0.borrow().aborts
    }

    /// The locality that is active.
    #[must_use]
    pub fn active(&self) -> Option<u64> {
        self.0.borrow().active
    }
}

impl Registers for SimulatedTpm {
    fn read8(&mut self, offset: u64) -> u8 {
        let mut inside = self.0.borrow_mut();
        match inside.trouble {
            Trouble::Absent => u8::MAX,
            Trouble::Garbage => inside.next_noise() as u8,
            _ => inside.read8(offset),
        }
    }

    fn read16(&mut self, offset: u64) -> u16 {
        u16::from_le_bytes([self.read8(offset), self.read8(offset + 1)])
    }

    fn read32(&mut self, offset: u64) -> u32 {
        let mut inside = self.0.borrow_mut();
        match inside.trouble {
            Trouble::Absent => u32::MAX,
            Trouble::Garbage => inside.next_noise() as u32,
            _ => inside.read32(offset),
        }
    }

    fn write8(&mut self, offset: u64, value: u8) {
        let mut inside = self.0.borrow_mut();
        if inside.trouble != Trouble::Absent {
            inside.write8(offset, value);
        }
    }

    fn write16(&mut self, offset: u64, value: u16) {
        let [low, high] = value.to_le_bytes();
        self.write8(offset, low);
        self.write8(offset + 1, high);
    }

    fn write32(&mut self, offset: u64, value: u32) {
        // This interface has no register that is written so; a device takes the bytes one by one.
        for (address, byte) in (offset..).zip(value.to_le_bytes()) {
            self.write8(address, byte);
        }
    }
}

impl Inside {
    fn next_noise(&mut self) -> u64 {
        self.noise ^= self.noise << 13;
        self.noise ^= self.noise >> 7;
        self.noise ^= self.noise << 17;
        self.noise >> 16
    }

    fn read8(&mut self, offset: u64) -> u8 {
        let (locality, register) = (offset >> 12, offset & 0xfff);
        match register {
            ACCESS if self.active == Some(locality) => Access::VALID | Access::ACTIVE,
            ACCESS => Access::VALID,
            DATA_FIFO if self.active == Some(locality) => self.response.pop_front().unwrap_or(u8::MAX),
            REVISION => 1,
            _ => u8::MAX,
        }
    }

    fn read32(&mut self, offset: u64) -> u32 {
        let (locality, register) = (offset >> 12, offset & 0xfff);
        match register {
            STATUS if self.active == Some(locality) => self.status(),
            STATUS => 0,
            VENDOR_AND_DEVICE => 0x0001_1014,
            _ => u32::MAX,
        }
    }

    fn write8(&mut self, offset: u64, value: u8) {
        let (locality, register) = (offset >> 12, offset & 0xfff);
        match register {
            ACCESS => self.write_access(locality, value),
            STATUS if self.active == Some(locality) => self.write_status(locality, value),
            DATA_FIFO if self.active == Some(locality) => self.take_byte(value),
            _ => {}
        }
    }

    fn write_access(&mut self, locality: u64, value: u8) {
        let hangs = self.trouble == Trouble::Hangs(Step::Locality);
        if value == Access::REQUEST_USE && self.active.is_none() && !hangs {
            self.active = Some(locality);
        }
        if value == Access::ACTIVE && self.active == Some(locality) {
            self.active = None;
        }
    }

    fn write_status(&mut self, locality: u64, value: u8) {
        match (value, self.phase) {
            (Status::COMMAND_READY, Phase::Executing) => {
                self.aborts += 1;
                self.get_ready();
            }
            (Status::COMMAND_READY, _) => self.get_ready(),
            (Status::GO, Phase::Receiving) => {
                self.commands.push((locality, self.command.clone()));
                self.response = (self.answer)(&self.command).into();
                if self.trouble == Trouble::GivesMore {
                    self.response.push_back(0);
                }
                self.phase = Phase::Executing;
            }
            _ => {}
        }
    }

    fn get_ready(&mut self) {
        let hangs = self.trouble == Trouble::Hangs(Step::Ready);
        self.phase = if hangs { Phase::Idle } else { Phase::Ready };
        self.command.clear();
        self.response.clear();
    }

    fn take_byte(&mut self, value: u8) {
        if matches!(self.phase, Phase::Ready | Phase::Receiving) {
            self.phase = Phase::Receiving;
            self.command.push(value);
        }
    }

    /// The status register. A slow TPM shows nothing but that it is there, as often as its delay says.
    fn status(&mut self) -> u32 {
        self.waited += 1;
        if self.waited <= self.delay {
            return 0;
        }
        self.waited = 0;
        let burst = u32::from(self.burst) << 8;
        match self.phase {
            Phase::Idle => 0,
            Phase::Ready => burst | u32::from(Status::VALID | Status::COMMAND_READY),
            Phase::Receiving if self.trouble == Trouble::Hangs(Step::Send) => {
                u32::from(Status::VALID | Status::EXPECT)
            }
            Phase::Receiving if self.wants_more() => burst | u32::from(Status::VALID | Status::EXPECT),
            Phase::Receiving => burst | u32::from(Status::VALID),
            Phase::Executing if self.trouble == Trouble::Hangs(Step::Execute) => 0,
            Phase::Executing => {
                self.phase = Phase::Completed;
                0
            }
            Phase::Completed if self.trouble == Trouble::Hangs(Step::Receive) => {
                u32::from(Status::DATA_AVAILABLE | Status::VALID)
            }
            Phase::Completed if self.response.is_empty() => u32::from(Status::VALID),
            Phase::Completed => {
                let left = u32::try_from(self.response.len()).unwrap_or(0).min(self.burst.into());
                left << 8 | u32::from(Status::VALID | Status::DATA_AVAILABLE)
            }
        }
    }

    /// Whether the TPM expects more of the command, by the length in its header.
    fn wants_more(&self) -> bool {
        let stated = match *self.command {
            [_, _, a, b, c, d, ..] => u32::from_be_bytes([a, b, c, d]) as usize,
            _ => usize::MAX,
        };
        match self.trouble {
            Trouble::WantsFewer(most) => self.command.len() < most.min(stated),
            Trouble::WantsMore => true,
            _ => self.command.len() < stated,
        }
    }
}
