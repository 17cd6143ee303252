//! What every typed gate shares: the way to the server, the errors, and the labels of answers.

use cloison_abi::CallError;
use cloison_sys::{Badge, Instant, Message, Received, Slot, info, reply_wait};

use crate::wire::Malformed;

/// Label of an answer: the request was carried out, the words are the reply.
pub const ANSWER_DONE: u32 = 0;
/// Label of an answer: the server could not make sense of the request.
pub const ANSWER_MALFORMED: u32 = 1;
/// Label of an answer: the first reason to refuse that the interface declares; the others follow.
pub const ANSWER_REFUSED: u32 = 2;

/// The way to a server: a gate on the target, anything in a test.
pub trait Transport {
    /// Sends a message and waits for the answer.
    ///
    /// # Errors
    /// Those of the gate call.
    fn call(&self, message: Message) -> Result<Message, CallError>;
}

impl Transport for Slot {
    #[inline]
    fn call(&self, message: Message) -> Result<Message, CallError> {
        cloison_sys::call(*self, message)
    }
}

impl<T: Transport + ?Sized> Transport for &T {
    fn call(&self, message: Message) -> Result<Message, CallError> {
        (**self).call(message)
    }
}

/// The slot of the gate that this domain's `domain.toml` calls `name`, if the manifest gave one.
#[must_use]
pub fn find(name: &str) -> Option<Slot> {
    info::get().slot::<info::Use>(name)
}

/// Answers messages for ever, each as `answer` says from the client's badge and the message. For a server
/// that has nothing else to wait for; one that has calls [`reply_wait`] itself.
pub fn serve(mut answer: impl FnMut(Badge, Message) -> Message) -> ! {
    let mut reply = Message::default();
    loop {
        // No events and no deadline: nothing but a message comes.
        if let Received::Message { badge, message } = reply_wait(reply, 0, Instant::NEVER) {
            reply = answer(badge, message);
        }
    }
}

/// Why a client got no reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure<R> {
    /// The domain was given no gate of this name.
    NotGiven(&'static str),
    /// The message did not get there, or the server failed.
    Call(CallError),
    /// One side sent what the other's interface does not declare: they were built from different versions.
    Malformed,
    /// The server refused, for a reason that the interface declares.
    Refused(R),
}

impl<R> From<CallError> for Failure<R> {
    fn from(error: CallError) -> Self {
        Self::Call(error)
    }
}

impl<R> From<Malformed> for Failure<R> {
    fn from(_: Malformed) -> Self {
        Self::Malformed
    }
}

impl<R: core::fmt::Display> core::fmt::Display for Failure<R> {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::NotGiven(name) => {
                write!(out, "this domain was given no gate `{name}`; its domain.toml names those it needs")
            }
            Self::Call(error) => error.fmt(out),
            Self::Malformed => Malformed.fmt(out),
            Self::Refused(reason) => reason.fmt(out),
        }
    }
}

impl<R: core::fmt::Debug + core::fmt::Display> core::error::Error for Failure<R> {}
