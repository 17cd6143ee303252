//! The tables of the plan that name no part of the image.

use cloison_abi::PciFunction;
use cloison_abi::plan::{
    AreaEntry, ConfigurationPageEntry, DeviceEntry, DmaEntry, EventEntry, GateEntry, GuestEntry, ImageEntry,
    InterruptEntry, IoRangeEntry, MappingEntry, RegionEntry, RegionSlotEntry, RegionSource, RightEntry,
    SupervisionEntry,
};

/// What is given to the domains, as the plan's tables have it.
#[derive(Debug, Default)]
pub struct Tables {
    /// The regions: first the private one of each domain, in their order.
    pub regions: Vec<RegionEntry>,
    /// The mappings, by domain and address.
    pub mappings: Vec<MappingEntry>,
    /// The devices that domains drive.
    pub devices: Vec<DeviceEntry>,
    /// Their registers in memory.
    pub areas: Vec<AreaEntry>,
    /// Their pages of PCI's configuration space.
    pub configuration_pages: Vec<ConfigurationPageEntry>,
    /// Their I/O ports.
    pub io_ranges: Vec<IoRangeEntry>,
    /// Their interrupts.
    pub interrupts: Vec<InterruptEntry>,
    /// Memory that they may read and write by themselves.
    pub dma: Vec<DmaEntry>,
    /// Gates, by domain and slot, as are the tables below.
    pub gates: Vec<GateEntry>,
    /// Events.
    pub events: Vec<EventEntry>,
    /// Regions in slots.
    pub region_slots: Vec<RegionSlotEntry>,
    /// Who handles whose faults.
    pub supervisions: Vec<SupervisionEntry>,
    /// Rights.
    pub rights: Vec<RightEntry>,
    /// Guests, by domain.
    pub guests: Vec<GuestEntry>,
    /// What domains can be started with, by domain.
    pub images: Vec<ImageEntry>,
}

impl Tables {
    /// Puts the entries into their order.
    pub(super) fn sort(&mut self) {
        self.mappings.sort_by_key(|entry| (entry.domain, entry.address));
        self.gates.sort_by_key(|entry| (entry.domain, entry.slot));
        self.events.sort_by_key(|entry| (entry.domain, entry.slot));
        self.region_slots.sort_by_key(|entry| (entry.domain, entry.slot));
        self.supervisions.sort_by_key(|entry| (entry.domain, entry.slot));
        self.rights.sort_by_key(|entry| (entry.domain, entry.slot));
    }

    /// A region.
    #[must_use]
    pub fn region(&self, index: u32) -> &RegionEntry {
        &self.regions[index as usize]
    }

    /// The regions that are memory of their own, page tables and the budget aside, in pages.
    #[must_use]
    pub fn memory_pages(&self) -> u64 {
        let memory = self.regions.iter().filter(|region| region.source == RegionSource::Memory as u32);
        memory.map(|region| u64::from(region.pages)).sum()
    }

    /// The place of the first image of a domain, if it has any.
    #[must_use]
    pub fn first_image(&self, domain: u32) -> Option<u32> {
        (0..).zip(&self.images).find(|(_, image)| image.domain == domain).map(|(place, _)| place)
    }

    /// The area of a device that a region shows, if it shows one.
    #[must_use]
    pub fn area_of(&self, region: u32) -> Option<&AreaEntry> {
        self.areas.iter().find(|area| area.region == region)
    }

    /// The PCI function whose configuration page a region is, if it is one.
    #[must_use]
    pub fn function_of(&self, region: u32) -> Option<PciFunction> {
        let page = self.configuration_pages.iter().find(|page| page.region == region)?;
        let number = self.devices[page.device as usize].pci_function;
        u16::try_from(number).ok().map(PciFunction::new)
    }
}

/// Whether a region takes memory. The log of a boot that was not measured does.
#[must_use]
pub fn is_memory(region: &RegionEntry) -> bool {
    ![RegionSource::Device as u32, RegionSource::ConfigurationPage as u32].contains(&region.source)
}
