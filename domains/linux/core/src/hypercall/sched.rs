//! `sched_op(command, argument)`.

use cloison_xen::Errno;
use cloison_xen::sched::{self, reason};

use super::Arguments;
use crate::guest::{Flow, Guest, Shutdown};
use crate::machine::Machine;

impl Guest {
    pub(super) fn sched_op(&mut self, machine: &mut impl Machine, a: Arguments) -> Result<Flow, Errno> {
        match a[0] {
            // There is one virtual CPU: what it polls for comes when it goes on.
            sched::YIELD | sched::POLL => Ok(Flow::Run),
            sched::BLOCK => {
                self.channels.set_masked(machine, false);
                Ok(Flow::Block)
            }
            sched::SHUTDOWN => Ok(Flow::End(match self.get(machine, a[1])? {
                reason::POWER_OFF => Shutdown::PowerOff,
                reason::REBOOT => Shutdown::Reboot,
                reason::SUSPEND => Shutdown::Suspend,
                reason::CRASH => Shutdown::Crash,
                _ => return Err(Errno::Invalid),
            })),
            _ => Err(Errno::NotOffered),
        }
    }
}
