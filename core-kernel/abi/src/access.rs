//! What each call does to others, and by which class of access that is judged.
//!
//! A call that reaches beyond its caller belongs to one class. For each class the kernel keeps, for each domain, to
//! whom it may do so; [`AccessSet`](CallNumber::AccessSet) changes that, and so does the monitor, if there is one, by
//! [`VerdictSet`](CallNumber::VerdictSet).

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
        /// The classes about which a monitor can be asked: those by which something flows from one domain to
        /// another while both live.
        const ASKED = Self::CALL.bits() | Self::SIGNAL.bits() | Self::SHARE.bits() | Self::START.bits();
    }
}

/// What is decided about a class of access of one domain to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Decision {
    /// It may not.
    Deny = 0,
    /// It may.
    Allow = 1,
    /// The monitor is asked when it is about to.
    Ask = 2,
}

impl Decision {
    /// The decision with this number.
    #[must_use]
    pub fn from_number(number: u64) -> Option<Self> {
        [Self::Deny, Self::Allow, Self::Ask].get(usize::try_from(number).ok()?).copied()
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

    /// The class with this number.
    #[must_use]
    pub fn from_number(number: u64) -> Option<Self> {
        Self::ALL.get(usize::try_from(number).ok()?).copied()
    }

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

/// What a domain is about to do, for which it waits until the monitor has decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Question {
    /// Index of the domain that is judged: of the lender, where memory is lent, else of the one that waits.
    pub subject: u8,
    /// Index of the domain to which it is done.
    pub object: u8,
    /// By which class it is judged.
    pub class: Class,
    /// The number of the call.
    pub call: u8,
    /// The slot that the call names.
    pub slot: u8,
    /// Index of the domain that waits.
    pub asker: u8,
}

impl Question {
    /// The question, as a result of a call.
    #[must_use]
    pub const fn to_bits(self) -> u64 {
        let Self { subject, object, class, call, slot, asker } = self;
        u64::from_le_bytes([subject, object, class as u8, call, slot, asker, 0, 0])
    }

    /// The question that this result of a call is.
    #[must_use]
    pub fn from_bits(bits: u64) -> Option<Self> {
        let [subject, object, class, call, slot, asker, ..] = bits.to_le_bytes();
        let class = Class::from_number(class.into())?;
        Some(Self { subject, object, class, call, slot, asker })
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
            Self::DomainStart | Self::DomainRestore => Class::Start,
            Self::RegionRevoke => Class::TakeBack,
            Self::DebugWrite => Class::Tell,
            Self::LogRead
            | Self::CensusRead
            | Self::Figures
            | Self::Shutdown
            | Self::AskRead
            | Self::VerdictSet
            | Self::VerdictRead => Class::Hold,
            Self::FaultRead
            | Self::DomainStop
            | Self::DomainReset
            | Self::DomainAttend
            | Self::DomainPause
            | Self::DomainCapture
            | Self::DomainInfo => Class::Handle,
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
            | Self::RegionDelete
            | Self::RegionBack
            | Self::RegionVacate => Class::Build,
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
            assert_eq!(Class::from_number(place as u64), Some(class));
            assert_eq!(class.bit().bits(), 1 << place);
        }
        assert_eq!(
            Class::ALL.into_iter().fold(Classes::empty(), |all, class| all | class.bit()),
            Classes::all()
        );
    }

    #[test]
    fn a_question_travels() {
        let question = Question { subject: 5, object: 2, class: Class::Share, call: 9, slot: 127, asker: 31 };
        assert_eq!(Question::from_bits(question.to_bits()), Some(question));
        assert_eq!(Question::from_bits(0xff << 16), None);
    }

    #[test]
    fn each_decision_has_its_number() {
        for decision in [Decision::Deny, Decision::Allow, Decision::Ask] {
            assert_eq!(Decision::from_number(decision as u64), Some(decision));
        }
        assert_eq!(Decision::from_number(3), None);
    }

    #[test]
    fn a_call_without_a_slot_is_about_the_caller_or_the_log() {
        for (_, call) in CallNumber::ALL {
            assert!(call.takes_slot() || matches!(call.class(), None | Some(Class::Tell)), "{call:?}");
        }
    }
}
