//! ACPI, far enough to find the interrupt controllers, a clock to calibrate others by, and PCI's configuration space.

use core::ptr::NonNull;

use acpi::{
    AcpiHandler, AcpiTable, AcpiTables, PhysicalMapping,
    address::AddressSpace,
    fadt::Fadt,
    madt::{Madt, MadtEntry},
    mcfg::Mcfg,
};
use cloison_rules::{
    memory::Run,
    pci::{self, Buses},
};
use heapless::Vec;

use super::{memory::BootFacts, physical::direct};
use crate::arch::space::MAX_CONTROLLERS;

/// I/O APICs beside the first that a machine can have.
const MAX_IO_APICS: usize = MAX_CONTROLLERS - 2;

/// What ACPI says about the machine. Only [`read`] makes one.
#[derive(Clone, Debug)]
pub struct Found {
    /// Physical address of the local APIC's registers.
    pub(super) local_apic: u64,
    /// Physical address of the registers of the I/O APIC that has line 0.
    pub(super) io_apic: u64,
    /// Physical addresses of those of the other I/O APICs.
    pub(super) other_io_apics: Vec<u64, MAX_IO_APICS>,
    /// Port of the power management timer, which runs at 3.579545 MHz.
    pub(super) timer_port: u16,
    /// CPUs that firmware has found.
    pub cpus: usize,
    /// The pages of PCI's configuration space; none if no table says where they are.
    pub configuration_space: Run,
}

impl Found {
    /// The controllers' registers, each a page.
    pub(super) fn controllers(&self) -> impl Iterator<Item = u64> {
        [self.local_apic, self.io_apic].into_iter().chain(self.other_io_apics.iter().copied())
    }
}

/// The tables are read where they lie, in the direct map.
#[derive(Clone)]
struct InPlace;

impl AcpiHandler for InPlace {
    unsafe fn map_physical_region<T>(&self, physical: usize, size: usize) -> PhysicalMapping<Self, T> {
        let end = (physical as u64).checked_add(size as u64);
        assert!(
            end.is_some_and(|end| end <= 4 << 30),
            "an ACPI table lies above 4 GiB, where the kernel does not look"
        );
        let address = NonNull::new(direct(physical as u64) as *mut T).unwrap_or(NonNull::dangling());
        // SAFETY: the boot tables map the first 4 GiB, where the table lies, as has just been checked; the
        // crate vouches for `T` being there.
        unsafe { PhysicalMapping::new(physical, address, size, size, Self) }
    }

    fn unmap_physical_region<T>(_region: &PhysicalMapping<Self, T>) {}
}

/// Reads the tables. The error says what is missing.
pub fn read(facts: &BootFacts) -> Result<Found, &'static str> {
    let root = facts.acpi_root().ok_or("the boot loader found no ACPI tables")?;
    // SAFETY: the boot loader vouches for the root pointer; everything lies in the first 4 GiB, which the boot tables
    // map. They are in use as long as there are boot facts: what comes after needs the memory of those.
    let tables =
        unsafe { AcpiTables::from_rsdp(InPlace, root) }.map_err(|_| "the ACPI tables are damaged")?;
    let fadt = tables.find_table::<Fadt>().map_err(|_| "there is no ACPI table FADT")?;
    let timer = fadt.pm_timer_block().ok().flatten().filter(|at| at.address_space == AddressSpace::SystemIo);
    let timer_port = timer.and_then(|at| u16::try_from(at.address).ok());
    let madt = tables.find_table::<Madt>().map_err(|_| "there is no ACPI table MADT")?;
    let mut io_apic = None;
    let mut other_io_apics = Vec::new();
    let mut cpus = 0;
    for entry in madt.get().entries() {
        match entry {
            MadtEntry::IoApic(found) if found.global_system_interrupt_base == 0 => {
                io_apic = Some(u64::from(found.io_apic_address));
            }
            MadtEntry::IoApic(found) => other_io_apics
                .push(found.io_apic_address.into())
                .map_err(|_| "there are more I/O APICs than the kernel knows how to mask")?,
            MadtEntry::LocalApic(found) if found.flags & 1 != 0 => cpus += 1,
            _ => {}
        }
    }
    Ok(Found {
        local_apic: u64::from(madt.get().local_apic_address),
        io_apic: io_apic.ok_or("there is no I/O APIC")?,
        other_io_apics,
        timer_port: timer_port.ok_or("there is no power management timer")?,
        cpus,
        configuration_space: configuration_space(&tables).unwrap_or(Run::NONE),
    })
}

fn configuration_space(tables: &AcpiTables<InPlace>) -> Option<Run> {
    // A table that is too short for its own head has a number of entries that is none.
    let table = tables.find_table::<Mcfg>().ok();
    let table = table.filter(|table| table.header().length as usize >= size_of::<Mcfg>())?;
    pci::configuration_space(table.entries().iter().map(|entry| Buses {
        base: entry.base_address,
        segment: entry.pci_segment_group,
        first: entry.bus_number_start,
        last: entry.bus_number_end,
    }))
}
