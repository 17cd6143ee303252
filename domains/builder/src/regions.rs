//! Where the regions of a domain come from: memory, registers of devices, the boot loader's log.

use alloc::vec::Vec;

use cloison_abi::{
    call::{BUILDER_SLOT_CONFIGURATION_SPACE, BUILDER_SLOT_LOG},
    plan::RegionSource,
};
use cloison_sys::Slot;

use crate::{
    BuildError, Kernel, Site, Step,
    plan::{is_memory, source},
    site::Held,
};

impl<K: Kernel> Site<'_, K> {
    /// Makes the regions that a domain owns or sees, as far as no other domain has needed them before. `made`: those.
    pub(crate) fn make_regions(&mut self, domain: u32, made: &mut Vec<usize>) -> Result<(), BuildError> {
        for (place, entry) in self.plan.regions.iter().enumerate() {
            if self.regions[place].is_some() || !self.plan.needs(domain, place) {
                continue;
            }
            let held = match source(entry)? {
                RegionSource::Memory => self.carve(entry.pages)?,
                RegionSource::Budget => self.carve_budget(entry.pages)?,
                RegionSource::Device => self.registers(place, entry.pages)?,
                RegionSource::BootLog => self.boot_log(entry.pages)?,
                RegionSource::ConfigurationPage => self.configuration_page(place)?,
            };
            self.regions[place] = Some(held);
            made.push(place);
            self.load_files(place)?;
        }
        Ok(())
    }

    /// Loads the files that a region holds.
    fn load_files(&mut self, place: usize) -> Result<(), BuildError> {
        for file in self.plan.files_of(place) {
            let (region, bytes) =
                (self.filled(place)?, self.image.range(file.image_offset, file.image_bytes)?);
            self.carry_out(Step::Load { region, offset: 0, bytes })?;
        }
        Ok(())
    }

    /// A region that is filled from the image. To write to registers does what their device makes of it.
    pub(crate) fn filled(&self, place: usize) -> Result<Slot, BuildError> {
        if is_memory(self.plan.region(place)?) {
            return self.region(place);
        }
        Err(BuildError::Image("what is loaded goes to a region that is no memory"))
    }

    /// The log of what was measured. If there is none, memory with nothing in it.
    fn boot_log(&mut self, pages: u32) -> Result<Held, BuildError> {
        let slot = self.take_slot()?;
        let log = Slot(BUILDER_SLOT_LOG);
        if self.carry_out(Step::Carve { run: log, receiver: slot, first: 0, pages: pages.into() }).is_ok() {
            return Ok(Held { slot, piece: None });
        }
        self.slots.give_back(slot.0);
        self.carve(pages)
    }

    fn registers(&mut self, place: usize, pages: u32) -> Result<Held, BuildError> {
        let area = self.plan.area_of(place)?;
        let (device, address) = (self.plan.device(area.device)?.name, area.physical_address);
        let slot = self.take_slot()?;
        self.kernel.carry_out(&Step::Registers { receiver: slot, address, pages: pages.into() }).map_err(
            |error| {
                self.slots.give_back(slot.0);
                BuildError::Registers { device, address, error }
            },
        )?;
        Ok(Held { slot, piece: None })
    }

    /// A page out of PCI's configuration space, wherever the kernel has found that: the page of a function has the place that
    /// its number is. It is one page, whatever the plan says of the region.
    fn configuration_page(&mut self, place: usize) -> Result<Held, BuildError> {
        let (device, function) = self.plan.function_of(place)?;
        let slot = self.take_slot()?;
        let space = Slot(BUILDER_SLOT_CONFIGURATION_SPACE);
        let step = Step::Carve { run: space, receiver: slot, first: function.number().into(), pages: 1 };
        self.kernel.carry_out(&step).map_err(|error| {
            self.slots.give_back(slot.0);
            BuildError::ConfigurationPage { device: device.name, function, error }
        })?;
        Ok(Held { slot, piece: None })
    }
}
