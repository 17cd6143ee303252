//! What each call does to others, and by which class of access that is judged.
//!
//! A call that reaches beyond its caller belongs to one class. For each class the kernel keeps, for each domain, to
//! whom it may do so; [`AccessSet`](CallNumber::AccessSet) changes that.

use bitflags::bitflags;

use crate::CallNumber;

bitflags! {
    /// Classes of access, as a set.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
    pub struct Classes: u32 {
        /// Call into a server.
        const CALL = 1 << 0;
        /// Set an event bit of a domain.
        const SIGNAL = 1 << 1;
        /// Lend memory to a domain.
        const SHARE = 1 << 2;
        /// Start a domain.
        const START = 1 << 3;
        /// Take lent memory back.
        const TAKE_BACK = 1 << 4;
        /// Write lines that the reader of the log reads.
        const TELL = 1 << 5;
        /// Use a right that is not about one domain.
        const HOLD = 1 << 6;
        /// Learn what a domain did wrong, and decide what happens then.
        const HANDLE = 1 << 7;
        /// Build, change or destroy a domain, shape memory, hand out devices.
        const BUILD = 1 << 8;
        /// Shape and run a guest.
        const GUEST = 1 << 9;
    }
}

/// One class of access.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Class {
    /// [`Classes::CALL`].
    Call = 0,
    /// [`Classes::SIGNAL`].
    Signal = 1,
    /// [`Classes::SHARE`].
    Share = 2,
    /// [`Classes::START`].
    Start = 3,
    /// [`Classes::TAKE_BACK`].
    TakeBack = 4,
    /// [`Classes::TELL`].
    Tell = 5,
    /// [`Classes::HOLD`].
    Hold = 6,
    /// [`Classes::HANDLE`].
    Handle = 7,
    /// [`Classes::BUILD`].
    Build = 8,
    /// [`Classes::GUEST`].
    Guest = 9,
}

impl Class {
    /// Every class, in the order of their numbers.
    pub const ALL: [Self; 10] = [
        Self::Call,
        Self::Signal,
        Self::Share,
        Self::Start,
        Self::TakeBack,
        Self::Tell,
        Self::Hold,
        Self::Handle,
        Self::Build,
        Self::Guest,
    ];

    /// The set of this class alone.
    #[must_use]
    pub const fn bit(self) -> Classes {
        Classes::from_bits_retain(1 << self as u32)
    }

    /// The name of the class in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Call => "call",
            Self::Signal => "signal",
            Self::Share => "share",
            Self::Start => "start",
            Self::TakeBack => "take-back",
            Self::Tell => "tell",
            Self::Hold => "hold",
            Self::Handle => "handle",
            Self::Build => "build",
            Self::Guest => "guest",
        }
    }

    /// Who does it, and to whom.
    #[must_use]
    pub const fn ends(self) -> &'static str {
        match self {
            Self::Call => "caller to server, and the reply back",
            Self::Signal => "caller to target",
            Self::Share => "lender to borrower",
            Self::Start | Self::Handle => "caller to domain",
            Self::TakeBack => "caller to its own memory",
            Self::Tell => "caller to reader of the log",
            Self::Hold => "caller to the object of the right",
            Self::Build => "caller to domain, and to the domain that it gets access to",
            Self::Guest => "caller to its own guest",
        }
    }
}

impl CallNumber {
    /// The class by which a call is judged; none for a call that is about the caller alone, or that only gives
    /// something up. A call that is not named here does not compile.
    #[must_use]
    pub const fn class(self) -> Option<Class> {
        Some(match self {
            // A reply belongs to its call, and was judged with it.
            Self::ReplyWait
            | Self::Wait
            | Self::Exit
            | Self::Panic
            | Self::Clock
            | Self::RegionUnmap
            | Self::RegionInfo
            | Self::SlotInfo
            | Self::SlotDrop
            | Self::SlotLimit
            | Self::InterruptAcknowledge
            | Self::GoneRead
            | Self::Retire => return None,
            Self::Call => Class::Call,
            Self::Signal | Self::SignalReplyWait => Class::Signal,
            Self::RegionGrant | Self::RegionMap => Class::Share,
            Self::DomainStart => Class::Start,
            Self::RegionRevoke => Class::TakeBack,
            Self::DebugWrite => Class::Tell,
            Self::LogRead | Self::CensusRead | Self::Figures | Self::Shutdown => Class::Hold,
            Self::FaultRead | Self::DomainStop | Self::DomainReset | Self::DomainAttend => Class::Handle,
            Self::AccessSet
            | Self::DomainCreate
            | Self::DomainConfigure
            | Self::DomainMap
            | Self::DomainGiveRegion
            | Self::DomainGiveGate
            | Self::DomainGiveEvent
            | Self::DomainGiveInterrupt
            | Self::DomainGivePorts
            | Self::DomainGiveRight
            | Self::DomainGiveDomain
            | Self::DomainGiveGuest
            | Self::DomainDestroy
            | Self::RegionCarve
            | Self::RegionDevice
            | Self::RegionDelete => Class::Build,
            Self::GuestSpace | Self::GuestMap | Self::GuestUnmap | Self::GuestEnter => Class::Guest,
        })
    }

    /// Whether a call looks its object up in the slot that `rax` names.
    #[must_use]
    pub const fn takes_slot(self) -> bool {
        !matches!(
            self,
            Self::ReplyWait
                | Self::Wait
                | Self::DebugWrite
                | Self::Exit
                | Self::Clock
                | Self::RegionUnmap
                | Self::Panic
                | Self::Retire
                | Self::GoneRead
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_class_has_a_bit_of_its_own() {
        for (place, class) in Class::ALL.into_iter().enumerate() {
            assert_eq!(class as usize, place);
            assert_eq!(class.bit().bits(), 1 << place);
        }
        assert_eq!(
            Class::ALL.into_iter().fold(Classes::empty(), |all, class| all | class.bit()),
            Classes::all()
        );
    }

    #[test]
    fn a_call_without_a_slot_is_about_the_caller_or_the_log() {
        for (_, call) in CallNumber::ALL {
            assert!(call.takes_slot() || matches!(call.class(), None | Some(Class::Tell)), "{call:?}");
        }
    }
}
