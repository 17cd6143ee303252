//! `event_channel_op(command, argument)`.

use cloison_xen::event::{self, AllocUnbound, BindIpi, BindVcpu, BindVirq};
use cloison_xen::{DOMAIN_SELF, Errno};

use crate::events::Port;
use crate::guest::Guest;
use crate::machine::Machine;
use crate::xenstore::BACKEND;

impl Guest {
    pub(super) fn event_channel_op(
        &mut self,
        machine: &mut impl Machine,
        command: u64,
        at: u64,
    ) -> Result<(), Errno> {
        match command {
            event::BIND_VIRQ => self.bind_virq(machine, at),
            event::BIND_IPI => self.bind_ipi(machine, at),
            event::ALLOC_UNBOUND => self.alloc_unbound(machine, at),
            event::BIND_VCPU => {
                let bind: BindVcpu = self.get(machine, at)?;
                self.channels.taken(bind.port)?;
                only_cpu(bind.vcpu)
            }
            event::CLOSE => {
                let port = self.get(machine, at)?;
                self.channels.close(machine, port)
            }
            event::SEND => {
                let port = self.get(machine, at)?;
                self.channels.send(machine, port)
            }
            event::UNMASK => {
                let port = self.get(machine, at)?;
                self.channels.unmask(machine, port)
            }
            _ => Err(Errno::NotOffered),
        }
    }

    fn bind_virq(&mut self, machine: &mut impl Machine, at: u64) -> Result<(), Errno> {
        let bind: BindVirq = self.get(machine, at)?;
        only_cpu(bind.vcpu)?;
        let port = self.channels.bind_virq(bind.virq)?;
        self.put(machine, at, &BindVirq { port, ..bind })
    }

    fn bind_ipi(&mut self, machine: &mut impl Machine, at: u64) -> Result<(), Errno> {
        let bind: BindIpi = self.get(machine, at)?;
        only_cpu(bind.vcpu)?;
        let port = self.channels.allocate(Port::Ipi)?;
        self.put(machine, at, &BindIpi { port, ..bind })
    }

    fn alloc_unbound(&mut self, machine: &mut impl Machine, at: u64) -> Result<(), Errno> {
        let wanted: AllocUnbound = self.get(machine, at)?;
        if wanted.domain != DOMAIN_SELF {
            return Err(Errno::NotPermitted);
        }
        // Without a xenstore beside it, Linux makes a port to itself in case that one comes later.
        if ![BACKEND, DOMAIN_SELF].contains(&wanted.remote) {
            return Err(Errno::NoDomain);
        }
        let port = self.channels.allocate(Port::Device)?;
        self.put(machine, at, &AllocUnbound { port, ..wanted })
    }
}

/// There is one virtual CPU.
fn only_cpu(number: u32) -> Result<(), Errno> {
    if number == 0 { Ok(()) } else { Err(Errno::NotFound) }
}
