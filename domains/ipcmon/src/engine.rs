//! What is decided, and what a person is told of it.

use core::fmt;

use cloison_abi::{
    Name,
    access::{Classes, Decision, Question},
};
use heapless::Vec;
use ipcmon_api::control::{Counted, Refusal};

use crate::Policy;

/// Pairs of domains of which something can be withdrawn at one time.
pub const MAX_WITHDRAWN: usize = 32;

/// The monitor.
#[derive(Debug)]
pub struct Engine<'a> {
    policy: Policy<'a>,
    withdrawn: Vec<Withdrawn, MAX_WITHDRAWN>,
    counted: Counted,
}

/// What one domain may not do to another one, whatever the policy says.
#[derive(Clone, Copy, Debug)]
struct Withdrawn {
    subject: u8,
    object: u8,
    by: Name,
    /// How often the subject had been refused when it first tried.
    refusals_before: Option<u32>,
}

/// What was denied, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Denial {
    /// What was asked.
    pub question: Question,
    /// Names of both ends.
    pub ends: [Name; 2],
    /// Why.
    pub reason: Reason,
}

/// Why something is denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// This domain has withdrawn it.
    WithdrawnBy(Name),
    /// No rule allows it: the types of both ends.
    NoRule([Name; 2]),
}

impl fmt::Display for Reason {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WithdrawnBy(by) => write!(out, "withdrawn by {by}"),
            Self::NoRule([from, to]) => write!(out, "no rule lets {from} do so to {to}"),
        }
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Question { subject, object, class, slot, .. } = self.question;
        let ([name, other], class, reason) = (self.ends, class.name(), self.reason);
        write!(
            out,
            "ipc {subject:x} -> {object:x} DENIED! ({name} -> {other}, {class}, slot {slot}: {reason})"
        )
    }
}

/// What the policy decides again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Restored {
    /// Indices of both ends.
    pub ends: (u8, u8),
    /// How often it was refused since it was first denied.
    pub refused: u32,
}

impl fmt::Display for Restored {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ((subject, object), refused) = (self.ends, self.refused);
        write!(out, "ipc {subject:x} -> {object:x} allowed again; {refused} more were denied meanwhile")
    }
}

impl<'a> Engine<'a> {
    /// Nothing is withdrawn.
    #[must_use]
    pub fn new(policy: Policy<'a>) -> Self {
        let counted = Counted { questions: 0, allowed: 0, denied: 0 };
        Self { policy, withdrawn: Vec::new(), counted }
    }

    /// The policy.
    #[must_use]
    pub fn policy(&self) -> &Policy<'a> {
        &self.policy
    }

    /// What has been asked so far.
    #[must_use]
    pub fn counted(&self) -> Counted {
        self.counted
    }

    /// Answers a question. `refusals`: how often the subject has been refused so far. A denial comes with what a person
    /// is told of it.
    pub fn judge(&mut self, question: Question, refusals: u32) -> (Decision, Option<Denial>) {
        self.counted.questions += 1;
        let Question { subject, object, class, .. } = question;
        let withdrawn = self.place(subject, object).map(|place| &mut self.withdrawn[place]);
        let reason = match withdrawn {
            Some(withdrawn) => {
                withdrawn.refusals_before.get_or_insert(refusals);
                Reason::WithdrawnBy(withdrawn.by)
            }
            None if self.policy.allows(subject, object, class) => {
                self.counted.allowed += 1;
                return (Decision::Allow, None);
            }
            None => Reason::NoRule([subject, object].map(|index| self.policy.kind(index))),
        };
        self.counted.denied += 1;
        let ends = [subject, object].map(|index| self.policy.name(index));
        (Decision::Deny, Some(Denial { question, ends, reason }))
    }

    /// The indices of two domains of which one is to be withdrawn something.
    ///
    /// # Errors
    /// [`Refusal::Unknown`], [`Refusal::NotJudged`].
    pub fn ends(&self, subject: Name, object: Name) -> Result<(u8, u8), Refusal> {
        let find = |name| self.policy.find(name).ok_or(Refusal::Unknown);
        let (subject, object) = (find(subject)?, find(object)?);
        let is_judged =
            self.policy.judged().any(|(index, classes)| index == subject && classes == Classes::ASKED);
        if is_judged && subject != object { Ok((subject, object)) } else { Err(Refusal::NotJudged) }
    }

    /// From now on the subject may do nothing to the object; `by`: who wants it so.
    ///
    /// # Errors
    /// [`Refusal::Full`].
    pub fn withdraw(&mut self, (subject, object): (u8, u8), by: Name) -> Result<(), Refusal> {
        if self.place(subject, object).is_some() {
            return Ok(());
        }
        let withdrawn = Withdrawn { subject, object, by, refusals_before: None };
        self.withdrawn.push(withdrawn).map_err(|_| Refusal::Full)
    }

    /// The policy decides again. `refusals`: how often the subject has been refused so far. Nothing if nothing was
    /// withdrawn.
    pub fn restore(&mut self, ends: (u8, u8), refusals: u32) -> Option<Restored> {
        let withdrawn = self.withdrawn.swap_remove(self.place(ends.0, ends.1)?);
        // The first is the one of which a person was told.
        let refused =
            withdrawn.refusals_before.map_or(0, |before| refusals.wrapping_sub(before).saturating_sub(1));
        Some(Restored { ends, refused })
    }

    fn place(&self, subject: u8, object: u8) -> Option<usize> {
        self.withdrawn.iter().position(|one| (one.subject, one.object) == (subject, object))
    }
}
