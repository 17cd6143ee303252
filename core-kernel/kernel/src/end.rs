//! The end of the system.

use cloison_abi::call::{NO_DEADLINE, SystemEnd};
use cloison_rules::{Peer, ThreadId, thread::State};

use crate::{
    arch::{cpu, time},
    state::Kernel,
};

/// How long the reader of the log has to bring out what it holds, in microseconds.
const GRACE_US: u64 = 1_000_000;

/// An end that is about to come.
pub struct Ending {
    /// How the system ends: the number of a [`SystemEnd`], or 0 while it does not.
    how: u8,
    /// Whether the reader of the log knows.
    announced: bool,
    /// When, at the latest.
    pub deadline: u64,
}

impl Ending {
    /// Nothing yet, all zeros: what stands in until boot.
    pub const NONE: Self = Self { how: 0, announced: false, deadline: 0 };
    /// The system goes on.
    pub const NEVER: Self = Self { how: 0, announced: false, deadline: NO_DEADLINE };
}

impl Kernel {
    /// Ends the system: at once if nobody reads the log, else when the reader has brought it out, or a moment
    /// later.
    pub fn end_system(&mut self, how: SystemEnd) {
        if self.ending.how != 0 {
            return;
        }
        let deadline = time::now().saturating_add(self.machine.timer.ticks(GRACE_US));
        self.ending = Ending { how: how as u8, announced: false, deadline };
        self.threads.expect(deadline);
        let Some(reader) = self.log.reader() else { self.finish() };
        if how == SystemEnd::Halt {
            self.stop_all_but(reader.target);
        }
        self.notify(reader);
    }

    /// A halt means that nobody does anything any more but to bring out the reason.
    fn stop_all_but(&mut self, reader: Peer) {
        for id in ThreadId::all().filter(|id| *id != reader.thread.id) {
            if self.threads.get(id).state != State::Free {
                self.threads.halt(id, State::Stopped);
            }
        }
    }

    /// The reader of the log has read everything. Returns true if it should print it and call again; if it
    /// has done so, this is the end.
    pub fn log_is_read(&mut self) -> bool {
        if self.ending.how == 0 {
            return false;
        }
        if self.ending.announced {
            self.finish();
        }
        self.ending.announced = true;
        true
    }

    /// Ends the system now.
    pub fn finish(&mut self) -> ! {
        self.log.flush();
        self.machine.exit.write(self.ending.how);
        cpu::stop()
    }
}
