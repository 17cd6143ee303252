//! The backend of a second terminal, `/dev/hvc1`: its page is a console's, which the guest grants. What is written there goes
//! to the clerk of the machine, and what that says comes back.

use super::{Backend, Device, State, Step};
use crate::byte_ring::Damaged;
use crate::console::Console;
use crate::machine::{Clerk, Memory};
use crate::saved::carried;
use crate::xenstore::{Refusal, Xenstore};

/// Bytes that the clerk hears at a time: few, so that not many lines are answered at once.
const CHUNK_BYTES: usize = 64;

/// A terminal's connection to the guest.
pub struct Terminal {
    backend: Backend,
    line: Option<Line>,
}

struct Line {
    console: Console,
    port: u32,
}

impl Default for Line {
    fn default() -> Self {
        Self { console: Console::new(0), port: 0 }
    }
}

carried!(Terminal { backend, line });
carried!(Line { console, port });

impl Terminal {
    /// Offers the machine's clerk to a guest that does not run yet, if there is one.
    ///
    /// # Errors
    /// [`Refusal::Full`].
    pub fn new(store: &mut Xenstore, clerk: &impl Clerk) -> Result<Option<Self>, Refusal> {
        if !clerk.has_clerk() {
            return Ok(None);
        }
        // Number 0 is the console with which a guest begins.
        let device = Device { kind: "console", id: 1 };
        device.offer(store)?;
        Ok(Some(Self { backend: Backend::wait(device, store)?, line: None }))
    }

    /// The guest's event channel, once it is connected.
    #[must_use]
    pub fn port(&self) -> Option<u32> {
        self.line.as_ref().map(|line| line.port)
    }

    /// Goes on where the guest's side has gone on; to be called when xenstore has changed.
    ///
    /// # Errors
    /// [`Refusal::Full`] if the guest has filled xenstore.
    pub fn look(&mut self, store: &mut Xenstore, memory: &impl Memory) -> Result<(), Refusal> {
        match self.backend.follow(store)? {
            Step::Stay => Ok(()),
            Step::Connect => self.connect(store, memory),
            Step::Stop => {
                self.line = None;
                Ok(())
            }
        }
    }

    /// Lets the clerk hear what the guest has written, and gives the guest what it says; returns the event channel if there is
    /// something for the guest. A page that contradicts itself ends the connection.
    ///
    /// # Errors
    /// [`Refusal::Full`].
    pub fn serve<M: Memory + Clerk>(
        &mut self,
        store: &mut Xenstore,
        machine: &mut M,
    ) -> Result<Option<u32>, Refusal> {
        let Some(line) = &self.line else { return Ok(None) };
        match line.run(machine) {
            Ok(is_moved) => Ok(is_moved.then_some(line.port)),
            Err(Damaged) => {
                self.line = None;
                self.backend.enter(store, State::Closing).map(|()| None)
            }
        }
    }

    fn connect(&mut self, store: &mut Xenstore, memory: &impl Memory) -> Result<(), Refusal> {
        let device = self.backend.device;
        let page = device.ring(store, memory, "ring-ref");
        let (Some(page), Some(port)) = (page, device.heard_number(store, "port")) else {
            return self.backend.enter(store, State::Closing);
        };
        self.line = Some(Line { console: Console::new(page), port });
        self.backend.enter(store, State::Connected)
    }
}

impl Line {
    /// Whether something has gone to the guest or come from it. Nothing more is heard before all is said: what the clerk has to
    /// say has no other bound.
    fn run<M: Memory + Clerk>(&self, machine: &mut M) -> Result<bool, Damaged> {
        let mut is_moved = false;
        loop {
            is_moved |= self.say(machine)?;
            let mut chunk = [0; CHUNK_BYTES];
            let heard = if machine.says().is_empty() { self.console.take(machine, &mut chunk)? } else { 0 };
            if heard == 0 {
                return Ok(is_moved);
            }
            is_moved = true;
            machine.hear(&chunk[..heard]);
        }
    }

    fn say<M: Memory + Clerk>(&self, machine: &mut M) -> Result<bool, Damaged> {
        let mut chunk = [0; CHUNK_BYTES];
        let mut is_moved = false;
        loop {
            let says = machine.says();
            let bytes = says.len().min(chunk.len());
            chunk[..bytes].copy_from_slice(&says[..bytes]);
            let taken = self.console.give(machine, &chunk[..bytes])?;
            if taken == 0 {
                return Ok(is_moved);
            }
            is_moved = true;
            machine.said(taken);
        }
    }
}
