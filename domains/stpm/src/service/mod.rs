//! Several clients, one command each, one command in the TPM at a time.

#[cfg(test)]
mod tests;

use alloc::vec::Vec;
use core::{task::Poll, time::Duration};

use cloison_abi::Badge;
use cloison_sys::{Instant, Message, Received};
use cloison_tpm::{
    MAX_MESSAGE_BYTES,
    header::{CommandFault, CommandHeader, check_command},
};
use cloison_tpm_gate::{
    Progress,
    tpm::{self, Cancelled, Closed, Finished, Opened, Refusal, Server, Submitted},
};

use crate::{
    allowance::Allowance,
    chip::{Chip, ChipError},
};

/// The memory shared with clients, and the way to wake them. Clients are numbered by their badges, from 0.
pub trait Mail {
    /// Copies out the start of a client's command. False if the plan gave the two no memory, or too little.
    fn fetch(&mut self, client: usize, command: &mut [u8]) -> bool;

    /// Copies a response in. False if the plan gave the two no memory, or too little.
    fn deliver(&mut self, client: usize, response: &[u8]) -> bool;

    /// Tells a client that its command has come to an end.
    fn wake(&mut self, client: usize);
}

/// How messages come and answers go. A test can imitate it.
pub trait Callers {
    /// Answers the client that was heard last, if any, and waits for the next message, for the end of a client's life, or
    /// for the deadline.
    fn reply_wait(&mut self, reply: Message, deadline: Instant) -> Received;

    /// The clients that have ended a life, each once.
    fn gone(&mut self) -> impl Iterator<Item = Badge>;
}

/// The service: all decisions that concern more than one client.
pub struct Service<C, M> {
    chip: C,
    mail: M,
    clients: Vec<Client>,
    /// Whose command is in the TPM.
    running: Option<usize>,
    /// Who is looked at first when the TPM is free: the one after the last that had its turn.
    next: usize,
    /// The TPM is being brought up, for a client or at the start.
    coming_up: bool,
}

struct Client {
    may: Allowance,
    state: State,
    /// The service's own copy of the command, so that the client cannot change it after the check.
    command: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Closed,
    Idle,
    Waiting(CommandHeader),
    Running,
    Ended(Result<u32, Refusal>),
}

impl<C: Chip, M: Mail> Service<C, M> {
    /// A service for as many clients as there are allowances: each has its own, which the plan gave it.
    pub fn new(chip: C, mail: M, allowances: impl Iterator<Item = Allowance>) -> Self {
        let client = |may| Client {
            may,
            state: State::Closed,
            // Once and for all, so that no client can make memory run out later.
            command: Vec::with_capacity(MAX_MESSAGE_BYTES),
        };
        let clients = allowances.map(client).collect();
        Self { chip, mail, clients, running: None, next: 0, coming_up: true }
    }

    /// Waits for a message until the deadline, answers it, and answers those that have come meanwhile. `reply` is the
    /// answer to the client that was heard last; what is returned is the next one.
    ///
    /// The TPM has its turn after that, by [`Self::step`], so that a client has its answer before the TPM is given
    /// anything. One that calls again and again does not keep the TPM from the others: there are no more rounds than
    /// clients, and one.
    pub fn hear(&mut self, mut reply: Message, callers: &mut impl Callers, mut deadline: Instant) -> Message {
        for _ in 0..=self.clients.len() {
            match callers.reply_wait(core::mem::take(&mut reply), deadline) {
                Received::Message { badge, message } => reply = tpm::answer(self, badge, message),
                Received::Events(_) => callers.gone().for_each(|badge| self.forget(badge)),
                Received::TimedOut => break,
            }
            deadline = Instant::PAST;
        }
        reply
    }

    /// Goes on with what there is to do. True if the TPM needs to be given time, and `step` to be called
    /// again.
    pub fn step(&mut self, now: Duration) -> bool {
        // Each round ends a command or the bring-up, and nobody can submit meanwhile.
        loop {
            let went_on = match self.running {
                Some(client) => self.go_on(client, now),
                None => match self.next_waiting() {
                    Some((client, header)) => self.start(client, &header, now),
                    None if self.coming_up => self.bring_up(now).map(drop),
                    None => return false,
                },
            };
            if went_on.is_pending() {
                return true;
            }
        }
    }

    /// The client whose turn it is: round robin among those that wait.
    fn next_waiting(&self) -> Option<(usize, CommandHeader)> {
        let count = self.clients.len();
        let turns = (0..count).map(|step| (self.next + step) % count);
        turns.into_iter().find_map(|index| match self.clients.get(index)?.state {
            State::Waiting(header) => Some((index, header)),
            _ => None,
        })
    }

    fn bring_up(&mut self, now: Duration) -> Poll<Result<(), ChipError>> {
        let outcome = self.chip.bring_up(now);
        self.coming_up = outcome.is_pending();
        outcome
    }

    /// Brings the TPM up if need be, then begins a command.
    fn start(&mut self, index: usize, header: &CommandHeader, now: Duration) -> Poll<()> {
        let is_up = match self.bring_up(now) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(outcome) => outcome.map_err(ChipError::refusal),
        };
        self.next = index + 1;
        let started = is_up.and_then(|()| self.send(index, header, now));
        if let Err(refusal) = started {
            self.end(index, Err(refusal));
        }
        Poll::Ready(())
    }

    fn send(&mut self, index: usize, header: &CommandHeader, now: Duration) -> Result<(), Refusal> {
        // The limit may have become known only now.
        let client = self.clients.get_mut(index).ok_or(Refusal::NotOpen)?;
        if client.command.len() > self.chip.max_command_bytes() {
            return Err(Refusal::TooLong);
        }
        self.chip.send(client.may.locality, header, &client.command, now).map_err(ChipError::refusal)?;
        client.state = State::Running;
        self.running = Some(index);
        Ok(())
    }

    fn go_on(&mut self, index: usize, now: Duration) -> Poll<()> {
        let outcome = match self.chip.poll(now) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Err(error)) => Err(error.refusal()),
            Poll::Ready(Ok(response)) => {
                let length = u32::try_from(response.len()).unwrap_or(0);
                if self.mail.deliver(index, response) { Ok(length) } else { Err(Refusal::NotOpen) }
            }
        };
        self.running = None;
        self.end(index, outcome);
        Poll::Ready(())
    }

    fn end(&mut self, index: usize, outcome: Result<u32, Refusal>) {
        if let Some(client) = self.clients.get_mut(index) {
            client.state = State::Ended(outcome);
            self.mail.wake(index);
        }
    }

    /// A client has ended: what it left open is closed, and a command of it that is in the TPM is cancelled.
    pub fn forget(&mut self, badge: Badge) {
        // One that has nothing open leaves nothing.
        let _ = self.close(badge);
    }

    /// Takes a client's command back, wherever it is.
    fn withdraw(&mut self, index: usize) {
        if self.running == Some(index) {
            self.chip.cancel();
            self.running = None;
        }
    }
}

/// An open client, by its badge, and its number.
fn open_client(clients: &mut [Client], badge: Badge) -> Result<(usize, &mut Client), Refusal> {
    let index = badge.index();
    let client = clients.get_mut(index).filter(|client| client.state != State::Closed);
    client.map(|client| (index, client)).ok_or(Refusal::NotOpen)
}

impl<C: Chip, M: Mail> Server for Service<C, M> {
    /// A client that was restarted does not know what it left open: opening closes first.
    fn open(&mut self, badge: Badge) -> Result<Opened, Refusal> {
        let index = badge.index();
        self.withdraw(index);
        self.clients.get_mut(index).ok_or(Refusal::NotOpen)?.state = State::Idle;
        Ok(Opened { max_bytes: u32::try_from(self.chip.max_command_bytes()).unwrap_or(u32::MAX) })
    }

    fn submit(&mut self, badge: Badge, bytes: u32) -> Result<Submitted, Refusal> {
        let limit = self.chip.max_command_bytes();
        let (index, client) = open_client(&mut self.clients, badge)?;
        if client.state != State::Idle {
            return Err(Refusal::Busy);
        }
        let length = usize::try_from(bytes).unwrap_or(usize::MAX);
        if length > limit {
            return Err(Refusal::TooLong);
        }
        // One copy, and only then the check: the client can change its memory at any time.
        client.command.resize(length, 0);
        if !self.mail.fetch(index, &mut client.command) {
            return Err(Refusal::NotOpen);
        }
        let header = check_command(&client.command, limit).map_err(refusal)?;
        if !client.may.allows(&header, &client.command) {
            return Err(Refusal::Forbidden);
        }
        client.state = State::Waiting(header);
        Ok(Submitted {})
    }

    fn finish(&mut self, badge: Badge) -> Result<Finished, Refusal> {
        let (_, client) = open_client(&mut self.clients, badge)?;
        match client.state {
            State::Closed => Err(Refusal::NotOpen),
            State::Idle => Err(Refusal::NothingSubmitted),
            State::Waiting(_) | State::Running => Ok(Finished { progress: Progress::Pending, bytes: 0 }),
            State::Ended(outcome) => {
                client.state = State::Idle;
                outcome.map(|bytes| Finished { progress: Progress::Done, bytes })
            }
        }
    }

    fn cancel(&mut self, badge: Badge) -> Result<Cancelled, Refusal> {
        let (index, client) = open_client(&mut self.clients, badge)?;
        if client.state == State::Idle {
            return Err(Refusal::NothingSubmitted);
        }
        client.state = State::Idle;
        self.withdraw(index);
        Ok(Cancelled {})
    }

    fn close(&mut self, badge: Badge) -> Result<Closed, Refusal> {
        let (index, client) = open_client(&mut self.clients, badge)?;
        client.state = State::Closed;
        self.withdraw(index);
        Ok(Closed {})
    }
}

fn refusal(fault: CommandFault) -> Refusal {
    match fault {
        CommandFault::TooLong { .. } => Refusal::TooLong,
        CommandFault::TooShort { .. }
        | CommandFault::WrongLength { .. }
        | CommandFault::WrongTag { .. }
        | CommandFault::WrongOrdinal { .. } => Refusal::Malformed,
    }
}
