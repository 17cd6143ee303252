//! What the builder asks of the kernel.

use cloison_abi::{CallError, Fault, InterruptSource, Name, ObjectKind, Rights, access::Classes};
use cloison_sys::{
    Slot,
    build::{Configuration, GuestParts},
};

/// Who carries out the steps of building.
pub trait Kernel {
    /// Carries out a step.
    ///
    /// # Errors
    /// The error of the call that the step is.
    fn carry_out(&mut self, step: &Step<'_>) -> Result<(), CallError>;

    /// Why the last life of a domain has ended.
    ///
    /// # Errors
    /// That of the call.
    fn end_of(&mut self, domain: Slot) -> Result<Fault, CallError>;

    /// Four registers with which a domain has stopped, the `part`th.
    ///
    /// # Errors
    /// That of the call.
    fn registers_of(&mut self, domain: Slot, part: u8) -> Result<[u64; 4], CallError>;

    /// Four words of what a domain that is held goes on with, a part of those of [`cloison_abi::capture`].
    ///
    /// # Errors
    /// That of the call.
    fn capture(&mut self, domain: Slot, part: u64) -> Result<[u64; 4], CallError>;

    /// Copies bytes out of a region.
    ///
    /// # Errors
    /// Those of the calls.
    fn read(&mut self, region: Slot, offset: u64, bytes: &mut [u8]) -> Result<(), CallError>;

    /// How a domain is.
    ///
    /// # Errors
    /// That of the call.
    fn life_of(&mut self, domain: Slot) -> Result<Life, CallError>;
}

/// What the kernel knows of a domain's life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Life {
    /// How many have ended before.
    pub lives_ended: u32,
    /// For how long its account has paid in this one, in microseconds.
    pub cpu_us: u64,
    /// How often it was refused what it was about to do, in all of them.
    pub refusals: u32,
    /// Who waits for it to answer, as bits, by places in the plan.
    pub waiting: u32,
}

/// A step of building. Slots are the builder's own, but for `to`, which is the domain's.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "the fields are the arguments of the call, which says what they mean")]
pub enum Step<'a> {
    /// Takes memory out of a run, as a region of its own.
    Carve { run: Slot, receiver: Slot, first: u64, pages: u64 },
    /// Makes a region of a device's registers.
    Registers { receiver: Slot, address: u64, pages: u64 },
    /// Ends a region: its memory is a part of its run again.
    Delete { region: Slot },
    /// Gives a vacant region pages of a run.
    Back { region: Slot, run: Slot, first: u64, pages: u64 },
    /// Takes the memory of a region, which is vacant then.
    Vacate { region: Slot },
    /// Creates a domain, with a region for its page tables.
    Create { receiver: Slot, tables: Slot, name: Name },
    /// Destroys a domain.
    Destroy { domain: Slot },
    /// Copies bytes into a region.
    Load { region: Slot, offset: u64, bytes: &'a [u8] },
    /// Fills a region with zeros.
    Clear { region: Slot },
    /// Maps pages of a region into a domain.
    Map { domain: Slot, region: Slot, address: u64, first: u64, pages: u64, rights: Rights },
    /// Gives a range of I/O ports.
    GivePorts { domain: Slot, first: u16, count: u16 },
    /// Gives an interrupt.
    GiveInterrupt { domain: Slot, to: Slot, source: InterruptSource, event: u32 },
    /// Gives a region.
    GiveRegion { domain: Slot, to: Slot, region: Slot, rights: Rights },
    /// Gives a gate.
    GiveGate { domain: Slot, to: Slot, server: Slot, badge: u32, grants: (u8, u8) },
    /// Gives an event of another domain.
    GiveEvent { domain: Slot, to: Slot, target: Slot, event: u32 },
    /// Gives a domain whose faults the receiver handles.
    GiveDomain { domain: Slot, to: Slot, subject: Slot, rights: Rights },
    /// Gives a right. The event is for those that say that there is something to be done.
    GiveRight { domain: Slot, to: Slot, kind: ObjectKind, event: u32 },
    /// Gives a guest.
    GiveGuest { domain: Slot, to: Slot, parts: GuestParts },
    /// Says how a domain runs.
    Configure { domain: Slot, how: Configuration },
    /// Has the monitor asked about what a domain does.
    Judge { domain: Slot, classes: Classes },
    /// Makes a domain what it was before its first life.
    Reset { domain: Slot },
    /// The same, but for what it sees: that comes when it begins its next life.
    Strip { domain: Slot },
    /// Starts a domain.
    Start { domain: Slot, entry: u64, stack: u64 },
    /// Restores a part of what a domain goes on with; with the last one it does.
    Restore { domain: Slot, part: u64, words: [u64; 4] },
    /// Stops a domain.
    Stop { domain: Slot },
    /// Holds a domain where it is.
    Pause { domain: Slot },
    /// Lets it go on.
    Resume { domain: Slot },
    /// Sets an event.
    Signal { event: Slot },
    /// Gives up the rights to a slot's object beside these.
    Limit { slot: Slot, kept: Rights },
    /// Empties a slot.
    Drop { slot: Slot },
}

impl Step<'_> {
    /// What the step is called where it is refused.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Carve { .. } => "memory",
            Self::Registers { .. } => "region of a device",
            Self::Delete { .. } => "ending a region",
            Self::Back { .. } => "giving memory",
            Self::Vacate { .. } => "taking memory",
            Self::Create { .. } => "creating a domain",
            Self::Destroy { .. } => "destroying a domain",
            Self::Load { .. } => "loading",
            Self::Clear { .. } => "clearing memory",
            Self::Map { .. } => "mapping",
            Self::GivePorts { .. } => "I/O ports",
            Self::GiveInterrupt { .. } => ObjectKind::Interrupt.name(),
            Self::GiveRegion { .. } => ObjectKind::Region.name(),
            Self::GiveGate { .. } => ObjectKind::Gate.name(),
            Self::GiveEvent { .. } => ObjectKind::Event.name(),
            Self::GiveDomain { .. } => ObjectKind::Domain.name(),
            Self::GiveRight { kind, .. } => kind.name(),
            Self::GiveGuest { .. } => ObjectKind::Guest.name(),
            Self::Configure { .. } => "configuring a domain",
            Self::Judge { .. } => "having a domain judged",
            Self::Reset { .. } => "a new life",
            Self::Strip { .. } => "forgetting a life",
            Self::Start { .. } => "starting a domain",
            Self::Restore { .. } => "restoring registers",
            Self::Stop { .. } => "stopping a domain",
            Self::Pause { .. } => "holding a domain",
            Self::Resume { .. } => "letting a domain go on",
            Self::Signal { .. } => "setting an event",
            Self::Limit { .. } | Self::Drop { .. } => "giving up rights",
        }
    }
}
