//! `vcpu_op(command, cpu, argument)`.

use cloison_abi::limits::PAGE_BYTES;
use cloison_xen::Errno;
use cloison_xen::cpu::{RegisterInfo, SINGLESHOT_FUTURE, SingleShot, vcpu};
use cloison_xen::shared::VcpuInfo;

use crate::guest::Guest;
use crate::machine::Machine;

impl Guest {
    pub(super) fn vcpu_op(
        &mut self,
        machine: &mut impl Machine,
        command: u64,
        cpu: u64,
        at: u64,
    ) -> Result<u64, Errno> {
        if cpu as u32 != 0 {
            return Err(Errno::NotFound);
        }
        match command {
            vcpu::IS_UP => return Ok(1),
            // The area stays as the guest left it: it has run all the time. A periodic timer there is none.
            vcpu::REGISTER_RUNSTATE | vcpu::STOP_PERIODIC_TIMER => {}
            vcpu::SET_SINGLESHOT_TIMER => self.set_timer(machine, at)?,
            vcpu::STOP_SINGLESHOT_TIMER => self.clock.stop_timer(),
            vcpu::REGISTER_INFO => self.register_info(machine, at)?,
            vcpu::REGISTER_TIME => {
                let place: u64 = self.get(machine, at)?;
                self.put(machine, place, &self.clock.info())?;
                self.clock.is_copied_to(place);
            }
            _ => return Err(Errno::NotOffered),
        }
        Ok(0)
    }

    fn set_timer(&mut self, machine: &mut impl Machine, at: u64) -> Result<(), Errno> {
        let timer: SingleShot = self.get(machine, at)?;
        let ticks = machine.ticks();
        if timer.flags & SINGLESHOT_FUTURE != 0 && self.clock.has_passed(timer.timeout_ns, ticks) {
            return Err(Errno::TimePassed);
        }
        self.clock.set_timer(timer.timeout_ns);
        Ok(())
    }

    fn register_info(&mut self, machine: &mut impl Machine, at: u64) -> Result<(), Errno> {
        let place: RegisterInfo = self.get(machine, at)?;
        let offset = u64::from(place.offset);
        let is_right = place.frame < machine.pages().into()
            && offset.is_multiple_of(size_of::<u64>() as u64)
            && offset <= PAGE_BYTES - size_of::<VcpuInfo>() as u64;
        if !is_right {
            return Err(Errno::Invalid);
        }
        self.channels.move_info(machine, place.frame * PAGE_BYTES + offset)?;
        self.tell_stub(machine);
        Ok(())
    }
}
