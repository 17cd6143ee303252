//! The switches that carry frames between domains that are judged: they are told what is withdrawn, in each of their lives.

use cloison_abi::{CallError, Name};
use cloison_ipc::Failure;
use cloison_rt::{log, sys::info};
use ore_api::control::{Client, Refusal};

/// What `domain.toml` calls the gates into switches.
const GATES: [&str; 2] = ["switch", "switch-2"];

/// The switches, and the events by which they say that a life begins.
#[derive(Debug)]
pub struct Switches {
    switches: [Option<Switch>; GATES.len()],
}

#[derive(Clone, Copy, Debug)]
struct Switch {
    name: Name,
    gate: Client,
    event: u64,
}

impl Switches {
    /// Those that the manifest gives this domain.
    pub fn find() -> Self {
        let switches = GATES.map(|gate| {
            let entry = info::get().find::<info::Use>(gate)?;
            let (name, event) = (entry.channel.peer, info::event_mask(entry));
            Some(Switch { name, gate: Client::new(info::slot(entry)?), event })
        });
        Self { switches }
    }

    /// The events by which switches say that a life begins.
    pub fn events(&self) -> u64 {
        self.all().fold(0, |events, switch| events | switch.event)
    }

    /// Tells those switches whose event is among these what is withdrawn, and has them carry all else.
    pub fn tell(&self, events: u64, withdrawn: impl Iterator<Item = [Name; 2]> + Clone) {
        for switch in self.all().filter(|switch| switch.event & events != 0) {
            let told = withdrawn.clone().try_for_each(|ends| switch.narrow(ends, true));
            // One that could not be told carries nothing.
            switch.complain(told.and_then(|()| switch.gate.open().map(drop)));
        }
    }

    /// From now on, frames of one domain do not reach another one, or do again.
    pub fn narrow(&self, ends: [Name; 2], is_closed: bool) {
        self.all().for_each(|switch| switch.complain(switch.narrow(ends, is_closed)));
    }

    fn all(&self) -> impl Iterator<Item = &Switch> {
        self.switches.iter().flatten()
    }
}

impl Switch {
    fn narrow(&self, [from, to]: [Name; 2], is_closed: bool) -> Result<(), Failure<Refusal>> {
        let done = match is_closed {
            true => self.gate.close(from, to).map(drop),
            false => self.gate.give_back(from, to).map(drop),
        };
        match done {
            // Then nothing passes from one to the other.
            Ok(()) | Err(Failure::Refused(Refusal::NoPort)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// One that has failed says so when it is back, and begins with nothing that passes.
    fn complain(&self, told: Result<(), Failure<Refusal>>) {
        match told {
            Ok(()) | Err(Failure::Call(CallError::PeerFailed)) => {}
            Err(error) => log!("error: the switch {} does not do as it is told: {error}", self.name),
        }
    }
}
