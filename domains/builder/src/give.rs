//! What a domain is given: devices, and what fills its slots.

use cloison_abi::{InterruptSource, ObjectKind, Rights, guest::GUEST_REGIONS, plan::NONE};
use cloison_sys::{Slot, build::GuestParts};

use crate::{BuildError, Kernel, Site, Step};

impl<K: Kernel> Site<'_, K> {
    /// Gives a domain its devices, each as a whole: the registers are mapped already.
    pub(crate) fn give_devices(&mut self, domain: u32) -> Result<(), BuildError> {
        let slot = self.shell(domain)?.slot;
        for device in self.plan.devices_of(domain) {
            for range in self.plan.io_ranges.iter().filter(|range| range.device == device) {
                self.carry_out(Step::GivePorts { domain: slot, first: range.first, count: range.count })?;
            }
            for interrupt in self.plan.interrupts.iter().filter(|interrupt| interrupt.device == device) {
                let source = InterruptSource::from_bits(interrupt.source);
                let source = source.ok_or(BuildError::Image("the source of an interrupt is unknown"))?;
                if self.plan.domain_of(interrupt.thread)? != domain {
                    return Err(BuildError::Image("an interrupt reaches another domain than its device's"));
                }
                let (to, event) = (own_slot(interrupt.slot)?, interrupt.event);
                self.carry_out(Step::GiveInterrupt { domain: slot, to, source, event })?;
            }
            for dma in self.plan.dma.iter().filter(|dma| dma.device == device) {
                let region = self.plan.regions.get(dma.region as usize);
                if region.is_none_or(|region| region.owner != domain) {
                    return Err(BuildError::Image("a device reaches memory of another domain than its own"));
                }
            }
        }
        Ok(())
    }

    /// Fills the slots of a domain.
    pub(crate) fn fill_slots(&mut self, domain: u32) -> Result<(), BuildError> {
        let slot = self.shell(domain)?.slot;
        for entry in self.plan.region_slots.iter().filter(|entry| entry.domain == domain) {
            let (to, region) = (own_slot(entry.slot)?, self.region(entry.region as usize)?);
            let rights = Rights::from_bits_truncate(entry.rights);
            self.carry_out(Step::GiveRegion { domain: slot, to, region, rights })?;
        }
        for entry in self.plan.gates.iter().filter(|entry| entry.domain == domain) {
            let (to, server) = (own_slot(entry.slot)?, self.shell(self.plan.domain_of(entry.server)?)?.slot);
            let grants = (own_slot(entry.first_grant)?.0, own_slot(entry.grants)?.0);
            self.carry_out(Step::GiveGate { domain: slot, to, server, badge: entry.badge, grants })?;
        }
        for entry in self.plan.events.iter().filter(|entry| entry.domain == domain) {
            let (to, target) = (own_slot(entry.slot)?, self.shell(self.plan.domain_of(entry.target)?)?.slot);
            self.carry_out(Step::GiveEvent { domain: slot, to, target, event: entry.event })?;
        }
        for entry in self.plan.supervisions.iter().filter(|entry| entry.domain == domain) {
            let (to, subject) = (own_slot(entry.slot)?, self.shell(entry.subject)?.slot);
            let rights = Rights::HANDLE_FAULT;
            self.carry_out(Step::GiveDomain { domain: slot, to, subject, rights })?;
        }
        self.give_guests(domain, slot)?;
        self.give_rights(domain, slot)
    }

    fn give_guests(&mut self, domain: u32, slot: Slot) -> Result<(), BuildError> {
        for entry in self.plan.guests.iter().filter(|entry| entry.domain == domain) {
            let (to, tables) = (own_slot(entry.slot)?, self.region(entry.tables as usize)?);
            let frame = self.region(entry.frame as usize)?;
            let mut attached = [None; GUEST_REGIONS];
            for (number, region) in
                entry.attached.into_iter().enumerate().filter(|(_, region)| *region != NONE)
            {
                attached[number] = Some((self.region(region as usize)?, entry.writable & (1 << number) != 0));
            }
            let parts = GuestParts { tables, frame, attached };
            self.carry_out(Step::GiveGuest { domain: slot, to, parts })?;
        }
        Ok(())
    }

    fn give_rights(&mut self, domain: u32, slot: Slot) -> Result<(), BuildError> {
        for entry in self.plan.rights.iter().filter(|entry| entry.domain == domain) {
            let to = own_slot(entry.slot)?;
            let kind = ObjectKind::from_number(entry.kind).ok_or(BuildError::Image("a right is unknown"))?;
            let event = if entry.event == NONE { 0 } else { entry.event };
            if kind == ObjectKind::ManageRight {
                self.admit_manager(slot, to, event)?;
            } else {
                self.carry_out(Step::GiveRight { domain: slot, to, kind, event })?;
            }
        }
        Ok(())
    }
}

/// A slot of a domain, or a number of them.
fn own_slot(number: u32) -> Result<Slot, BuildError> {
    u8::try_from(number).map(Slot).map_err(|_| BuildError::Image("a slot's number is too large"))
}
