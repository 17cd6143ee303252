//! What both interfaces do alike: take a command in, take one step after the other, give a response out.

use core::{task::Poll, time::Duration};

use cloison_tpm::{MAX_MESSAGE_BYTES, header::HEADER_BYTES};

use super::{Identity, Interface, InterfaceError, Locality, Step, Timeouts};

/// The exchange that is going on, or was the last. `S` is how far it can have come.
pub(super) struct Exchange<S> {
    /// How far it has come; `None`: there is nothing to do.
    state: Option<S>,
    /// First the command, then the response.
    pub(super) message: [u8; MAX_MESSAGE_BYTES],
    /// Bytes of the command; while receiving: of the response, as far as known.
    pub(super) length: usize,
    /// How long the command may take.
    pub(super) longest: Duration,
    /// Until when the command may take that is in the TPM, or was abandoned there.
    pub(super) busy_until: Duration,
    pub(super) timeouts: Timeouts,
}

/// What one step led to.
pub(super) enum Advance<S> {
    /// The TPM is not there yet.
    Wait,
    /// On to this state, at once.
    To(S),
    /// The response is complete.
    Done,
}

/// What one step led to, or why there is no response.
pub(super) type Outcome<S> = Result<Advance<S>, InterfaceError>;

/// What each interface does in its own way. [`Interface`] is made of it.
pub(super) trait Steps {
    /// How far an exchange can have come.
    type State: Copy;

    const NAME: &'static str;

    fn exchange(&self) -> &Exchange<Self::State>;

    fn exchange_mut(&mut self) -> &mut Exchange<Self::State>;

    /// As [`Interface::identify`].
    fn ask_identity(&mut self) -> Result<Identity, InterfaceError>;

    /// Takes the first step of an exchange whose command has been taken in.
    fn begin(&mut self, locality: Locality, now: Duration) -> Self::State;

    /// Takes the next step. Each leads forward or moves at least one byte, so that they come to an end.
    fn advance(&mut self, state: Self::State, now: Duration) -> Outcome<Self::State>;

    /// Lets the TPM go after a complete response.
    fn finish(&mut self);

    /// Tells the TPM to abort the command of an exchange that had come so far.
    fn abort(&mut self, state: Self::State);
}

impl<S> Exchange<S> {
    /// None yet.
    pub(super) const fn new() -> Self {
        Self {
            state: None,
            message: [0; MAX_MESSAGE_BYTES],
            length: 0,
            longest: Duration::ZERO,
            busy_until: Duration::ZERO,
            timeouts: Timeouts::DEFAULT,
        }
    }

    fn take_in(&mut self, command: &[u8], longest: Duration) -> Result<(), InterfaceError> {
        let place = self.message.get_mut(..command.len()).filter(|place| place.len() >= HEADER_BYTES);
        place.ok_or(InterfaceError::CommandLength { given: command.len() })?.copy_from_slice(command);
        self.length = command.len();
        self.longest = longest;
        Ok(())
    }

    /// Ends the exchange without a word to the TPM: a device that hangs can hang its writer, and the
    /// client has to be told first. The next exchange begins with an abort anyway.
    fn forget(&mut self) -> Option<S> {
        self.length = 0;
        self.state.take()
    }

    fn response(&self) -> &[u8] {
        let ended = self.state.is_none();
        self.message.get(..self.length).filter(|_| ended).unwrap_or_default()
    }

    /// The length that the response states in its header, bytes 2 to 5.
    pub(super) fn stated_length(&self) -> Result<usize, InterfaceError> {
        let [_, _, a, b, c, d, ..] = self.message;
        let stated = u32::from_be_bytes([a, b, c, d]);
        let possible = HEADER_BYTES..=MAX_MESSAGE_BYTES;
        let length = usize::try_from(stated).ok().filter(|length| possible.contains(length));
        length.ok_or(InterfaceError::ResponseLength { stated })
    }
}

impl<D: Steps> Interface for D {
    fn name(&self) -> &'static str {
        D::NAME
    }

    fn identify(&mut self) -> Result<Identity, InterfaceError> {
        self.ask_identity()
    }

    fn set_timeouts(&mut self, timeouts: Timeouts) {
        self.exchange_mut().timeouts = timeouts;
    }

    fn send(
        &mut self,
        locality: Locality,
        command: &[u8],
        longest: Duration,
        now: Duration,
    ) -> Result<(), InterfaceError> {
        self.exchange_mut().take_in(command, longest)?;
        let state = self.begin(locality, now);
        self.exchange_mut().state = Some(state);
        Ok(())
    }

    fn poll(&mut self, now: Duration) -> Poll<Result<&[u8], InterfaceError>> {
        loop {
            let Some(state) = self.exchange().state else {
                return Poll::Ready(Err(InterfaceError::NothingSent));
            };
            match self.advance(state, now) {
                Ok(Advance::Wait) => return Poll::Pending,
                Ok(Advance::To(state)) => self.exchange_mut().state = Some(state),
                Ok(Advance::Done) => {
                    self.exchange_mut().state = None;
                    self.finish();
                    return Poll::Ready(Ok(self.response()));
                }
                Err(error) => {
                    self.exchange_mut().forget();
                    return Poll::Ready(Err(error));
                }
            }
        }
    }

    fn response(&self) -> &[u8] {
        self.exchange().response()
    }

    fn cancel(&mut self) {
        if let Some(state) = self.exchange_mut().forget() {
            self.abort(state);
        }
    }
}

/// Waits for the TPM, unless it has had its time.
pub(super) fn wait<S>(now: Duration, until: Duration, step: Step) -> Outcome<S> {
    if now < until { Ok(Advance::Wait) } else { Err(InterfaceError::TimedOut(step)) }
}
