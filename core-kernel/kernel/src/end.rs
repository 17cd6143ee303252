//! The end of the system.

use cloison_abi::call::SystemEnd;

use crate::{
    arch::{cpu, serial::write_exit_port, time},
    kernel::Kernel,
};

/// How long the reader of the log has to bring out what it holds, in microseconds.
const GRACE_US: u64 = 1_000_000;

/// An end that is about to come.
pub struct Ending {
    /// How the system ends.
    pub how: SystemEnd,
    /// When, at the latest.
    pub deadline: u64,
    /// Whether the reader of the log knows.
    pub announced: bool,
}

impl Kernel {
    /// Ends the system: at once if nobody reads the log, else when the reader has brought it out, or a moment later.
    pub fn end_system(&mut self, how: SystemEnd) {
        if self.ending.is_some() {
            return;
        }
        let deadline = time::now().saturating_add(self.machine.timer.ticks(GRACE_US));
        self.ending = Some(Ending { how, deadline, announced: false });
        match self.log.reader() {
            Some(reader) => self.notify(reader),
            None => self.finish(),
        }
    }

    /// The reader of the log has read everything. Returns true if it shall bring it out and come again; if it has done so,
    /// this is the end.
    pub fn log_is_read(&mut self) -> bool {
        match &mut self.ending {
            None => false,
            Some(ending) if !ending.announced => {
                ending.announced = true;
                true
            }
            Some(_) => self.finish(),
        }
    }

    /// Ends the system now.
    pub fn finish(&mut self) -> ! {
        self.log.flush();
        let how = self.ending.as_ref().map_or(SystemEnd::Halt, |ending| ending.how);
        write_exit_port(self.machine.exit_port, how as u8);
        cpu::stop()
    }
}
