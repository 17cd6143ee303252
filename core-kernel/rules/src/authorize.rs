//! The place of the reference monitor: whether a domain may do what a call asks for.
//!
//! A call first looks its objects up in the caller's slots, with type and rights. Then it says, as an
//! [`Operation`], what it is about to do and to whom, and asks here, once. Without a monitor the plan is the policy: what
//! was put into a slot may be used, unless [`Access::set`] has taken it back. For domains whose builder wants it so, a
//! monitor decides the rest ([`Access::judge`]): once for each pair of domains and class, when it is asked first.

use cloison_abi::access::{Class, Classes, Decision};

use crate::{DomainId, DomainSet, RegionRef};

/// What a domain is about to do, with both ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Something about itself alone.
    Own,
    /// Call into a server; the server's reply belongs to it.
    Call {
        /// The server.
        server: DomainId,
    },
    /// Set an event bit.
    Signal {
        /// The domain whose bit it is.
        target: DomainId,
    },
    /// Let a domain see memory.
    Share {
        /// The domain that lends it; the borrower itself for memory of its own.
        lender: DomainId,
        /// The domain that sees it then.
        borrower: DomainId,
    },
    /// Start a domain.
    Start {
        /// The domain.
        domain: DomainId,
    },
    /// Take memory back that was lent.
    TakeBack {
        /// The memory.
        region: RegionRef,
    },
    /// Write a line to the log.
    Tell {
        /// The domain that reads the log, if there is one.
        reader: Option<DomainId>,
    },
    /// Use a right that is not about one domain.
    Hold,
    /// Learn of a domain's fault, and decide what happens then.
    Handle {
        /// The domain.
        domain: DomainId,
    },
    /// Make or change a domain, memory or a device.
    Build {
        /// The domain that is changed; none if there is none yet, or what is changed is nobody's.
        to: Option<DomainId>,
        /// The domain to which that one gets access.
        toward: Option<DomainId>,
    },
    /// Shape or run a guest of its own.
    Guest,
}

impl Operation {
    /// The class by which it is judged.
    #[must_use]
    #[inline(always)]
    pub fn class(&self) -> Option<Class> {
        Some(match self {
            Self::Own => return None,
            Self::Call { .. } => Class::Call,
            Self::Signal { .. } => Class::Signal,
            Self::Share { .. } => Class::Share,
            Self::Start { .. } => Class::Start,
            Self::TakeBack { .. } => Class::TakeBack,
            Self::Tell { .. } => Class::Tell,
            Self::Hold => Class::Hold,
            Self::Handle { .. } => Class::Handle,
            Self::Build { .. } => Class::Build,
            Self::Guest => Class::Guest,
        })
    }

    /// Who does it, if that is not the caller: memory that was lent is judged by its lender, who asked first.
    #[must_use]
    pub fn subject(&self) -> Option<DomainId> {
        match *self {
            Self::Share { lender, .. } => Some(lender),
            _ => None,
        }
    }

    /// The domain to which it is done, and a second one for which it has to be allowed too.
    #[must_use]
    #[inline(always)]
    pub fn objects(&self) -> (Option<DomainId>, Option<DomainId>) {
        match *self {
            Self::Own | Self::Hold | Self::Guest | Self::TakeBack { .. } => (None, None),
            Self::Call { server: object }
            | Self::Signal { target: object }
            | Self::Share { borrower: object, .. }
            | Self::Start { domain: object }
            | Self::Handle { domain: object } => (Some(object), None),
            Self::Tell { reader } => (reader, None),
            Self::Build { to, toward } => (to, toward),
        }
    }
}

/// The answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may.
    Allowed,
    /// It may not.
    Denied,
    /// Nobody has decided yet: the monitor is asked.
    Ask,
}

/// A set of domains for each class. Bit 0 stands for nobody: it is the object of what is done to no domain.
type Row = [DomainSet; Class::ALL.len()];

/// What one domain, the subject, may do to whom. Its size is a power of two, as that of a task is.
#[derive(Clone, Debug)]
#[repr(align(256))]
pub struct Access {
    may: Row,
    /// What the builder or the subject itself decided against. A bit that is set neither here, nor in `may`, nor in
    /// `refused`, is undecided.
    denied: Row,
    /// What the builder decided against: with this each life begins.
    planned: Row,
    /// What the monitor decided against.
    refused: Row,
    /// The classes in which what nobody has denied is for the monitor to decide.
    asked: Classes,
    /// The domains with which the subject may not have memory together. It is not asked about while it is read and
    /// written, so what was decided last holds, in all lives.
    cut: DomainSet,
    /// How often the subject has asked, and how often it was refused, in all its lives.
    pub counts: Counts,
}

/// How often something was asked, and refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Questions to the monitor.
    pub questions: u32,
    /// What was about to be done and was denied.
    pub refusals: u32,
}

impl Access {
    /// Nothing is decided; all zeros.
    pub const NONE: Self = Self {
        may: [0; Class::ALL.len()],
        denied: [0; Class::ALL.len()],
        planned: [0; Class::ALL.len()],
        refused: [0; Class::ALL.len()],
        asked: Classes::empty(),
        cut: 0,
        counts: Counts { questions: 0, refusals: 0 },
    };
    /// What a new domain may: all that its slots allow.
    pub const ALL: Self = Self { may: [DomainSet::MAX; Class::ALL.len()], ..Self::NONE };

    /// Another domain is new: nothing that was decided about the one that had its number before is about it. What is
    /// denied toward everyone is denied toward it; that stands in the bit of nobody, which is set in no other way.
    pub fn admit(&mut self, object: DomainId) {
        let put = |set: &mut DomainSet, on: bool| {
            *set = if on { *set | object.bit() } else { *set & !object.bit() }
        };
        self.cut &= !object.bit();
        for class in 0..Class::ALL.len() {
            let denies_all = |set: DomainSet| set & 1 != 0;
            let is_asked = self.is_asked(class);
            put(&mut self.may[class], !is_asked && !denies_all(self.denied[class]));
            put(&mut self.refused[class], false);
            for row in [&mut self.denied, &mut self.planned] {
                let denies = denies_all(row[class]);
                put(&mut row[class], denies);
            }
        }
    }

    /// The subject begins its next life: what it has denied itself in the last one, it may again, and what the monitor
    /// decided is undecided. `own`: its own bit, about which nobody is asked.
    pub fn start_over(&mut self, own: DomainSet) {
        self.denied = self.planned;
        for class in 0..Class::ALL.len() {
            let within = if self.is_asked(class) { own } else { DomainSet::MAX };
            self.may[class] = within & !self.planned[class];
            self.refused[class] = 0;
        }
    }

    /// Another domain begins its next life: what the monitor decided about what is done to it is undecided.
    pub fn forget(&mut self, object: DomainId) {
        self.decide(object.bit(), self.asked, Decision::Ask);
    }

    /// From the subject's next life on the monitor is asked about these classes.
    pub fn ask(&mut self, classes: Classes) {
        self.asked |= classes;
    }

    /// What the monitor decides about what the subject does to `objects`. What the builder or the subject itself has
    /// denied stays denied. Returns false, and does nothing, if the monitor is not asked about one of the classes.
    pub fn judge(&mut self, objects: DomainSet, classes: Classes, decision: Decision) -> bool {
        let is_asked = self.asked.contains(classes);
        if is_asked {
            self.decide(objects, classes, decision);
        }
        is_asked
    }

    /// What the monitor decides about the memory that the subject has together with `objects`. To be asked later is no
    /// decision: who reads and writes does not ask.
    pub fn judge_memory(&mut self, objects: DomainSet, decision: Decision) {
        match decision {
            Decision::Deny => self.cut |= objects,
            Decision::Allow => self.cut &= !objects,
            Decision::Ask => {}
        }
    }

    /// The domains with which the subject may not have memory together.
    #[must_use]
    pub fn cut(&self) -> DomainSet {
        self.cut
    }

    fn decide(&mut self, objects: DomainSet, classes: Classes, decision: Decision) {
        for class in Class::ALL.into_iter().filter(|class| classes.contains(class.bit())) {
            let class = class as usize;
            self.may[class] &= !objects;
            self.refused[class] &= !objects;
            match decision {
                Decision::Allow => self.may[class] |= objects & !self.denied[class],
                Decision::Deny => self.refused[class] |= objects,
                Decision::Ask => {}
            }
        }
    }

    fn is_asked(&self, class: usize) -> bool {
        self.asked.bits() >> class & 1 != 0
    }

    /// To whom the subject may do what is of this class, and to whom the monitor has denied it.
    #[must_use]
    pub fn row(&self, class: Class) -> (DomainSet, DomainSet) {
        (self.may[class as usize], self.refused[class as usize])
    }

    /// Allows or denies what the subject does to `objects`, for this life; with `for_good`, for all later ones too. What
    /// is allowed in a class about which the monitor is asked is undecided then.
    pub fn set(&mut self, objects: DomainSet, classes: Classes, allow: bool, for_good: bool) {
        let put = |set: &mut DomainSet, on: bool| *set = if on { *set | objects } else { *set & !objects };
        for class in Class::ALL.into_iter().filter(|class| classes.contains(class.bit())) {
            let class = class as usize;
            let allows = allow && !self.is_asked(class);
            put(&mut self.may[class], allows);
            put(&mut self.denied[class], !allow);
            if for_good {
                put(&mut self.planned[class], !allow);
            }
        }
    }

    /// Whether the subject may carry out `operation`. The objects have been looked up in slots, with type and rights.
    #[must_use]
    #[inline(always)]
    pub fn authorize(&self, operation: Operation) -> Verdict {
        let Some(class) = operation.class() else { return Verdict::Allowed };
        let (object, other) = operation.objects();
        let all = |row: &Row| has(row, class, object) && (other.is_none() || has(row, class, other));
        let any = |row: &Row| has(row, class, object) || (other.is_some() && has(row, class, other));
        if all(&self.may) {
            Verdict::Allowed
        } else if any(&self.denied) || any(&self.refused) {
            Verdict::Denied
        } else {
            Verdict::Ask
        }
    }
}

#[inline(always)]
fn has(row: &Row, class: Class, object: Option<DomainId>) -> bool {
    row[class as usize] >> index(object) & 1 != 0
}

/// The bit of a domain in a row; that of nobody if there is none.
#[inline(always)]
fn index(object: Option<DomainId>) -> usize {
    object.map_or(0, DomainId::index)
}

#[cfg(test)]
mod tests;
