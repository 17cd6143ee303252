//! The calls of the monitor: the domain that decides what others may do to one another.

use cloison_abi::{
    CallError, CallNumber, Name,
    access::{Class, Classes, Decision, Question},
    call::{ASK_NONE, EVERYONE},
};

use crate::{Slot, raw::enter};

/// A question that waits for an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// What is asked.
    pub question: Question,
    /// Until what the answer has to come: an answer names it.
    pub epoch: u32,
    /// Name of the domain that waits.
    pub name: Name,
}

/// The first question that waits; none if nobody does. `right` is the slot of the monitor right.
///
/// # Errors
/// [`CallError::WrongType`] if the slot holds something else.
pub fn ask_read(right: Slot) -> Result<Option<Asked>, CallError> {
    let outcome = enter(CallNumber::AskRead, right.0, 0, [0; 6]);
    outcome.done()?;
    if outcome.status == ASK_NONE {
        return Ok(None);
    }
    let [bits, _, low, high] = outcome.words;
    // A class that this version does not know is nothing that it could answer.
    let question = Question::from_bits(bits).ok_or(CallError::BadArgument)?;
    Ok(Some(Asked { question, epoch: outcome.label, name: Name::from_words([low, high]) }))
}

/// Answers a question.
///
/// # Errors
/// [`CallError::BadState`] if its epoch is over; the question waits still, if its asker does.
pub fn answer(right: Slot, asked: &Asked, decision: Decision) -> Result<(), CallError> {
    let Question { subject, object, class, .. } = asked.question;
    set(right, asked.epoch, subject, object.into(), class.bit(), decision).map(drop)
}

/// Decides what the domain with the index `subject` may do to `object`, or, with None, to all others. Returns the epoch
/// that begins with it.
///
/// # Errors
/// [`CallError::BadArgument`] if the monitor is not asked about one of these classes.
pub fn verdict_set(
    right: Slot,
    subject: u8,
    object: Option<u8>,
    classes: Classes,
    decision: Decision,
) -> Result<u32, CallError> {
    set(right, 0, subject, object.map_or(EVERYONE, u64::from), classes, decision)
}

fn set(
    right: Slot,
    epoch: u32,
    subject: u8,
    object: u64,
    classes: Classes,
    decision: Decision,
) -> Result<u32, CallError> {
    let arguments = [subject.into(), object, classes.bits().into(), decision as u64, 0, 0];
    let outcome = enter(CallNumber::VerdictSet, right.0, epoch, arguments);
    outcome.done().map(|()| outcome.words[0] as u32)
}

/// What is decided about a domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdicts {
    /// Name of the domain; empty if there is none with this index.
    pub name: Name,
    /// The domains to which it may do what is of the class, as bits by their indices.
    pub may: u32,
    /// Those to which the monitor has denied it.
    pub refused: u32,
    /// How often it has asked, in all its lives and classes.
    pub questions: u32,
    /// How often it was refused.
    pub refusals: u32,
    /// How many of its lives have ended.
    pub lives_ended: u32,
}

/// What is decided about the domain with this index.
///
/// # Errors
/// [`CallError::BadArgument`] if no domain can have this index.
pub fn verdict_read(right: Slot, domain: u8, class: Class) -> Result<Verdicts, CallError> {
    let outcome = enter(CallNumber::VerdictRead, right.0, 0, [domain.into(), class as u64, 0, 0, 0, 0]);
    outcome.done()?;
    let [rows, counts, low, high] = outcome.words;
    let (half, name) = (|word: u64| (word as u32, (word >> 32) as u32), Name::from_words([low, high]));
    let ((may, refused), (questions, refusals)) = (half(rows), half(counts));
    Ok(Verdicts { name, may, refused, questions, refusals, lives_ended: outcome.label })
}
