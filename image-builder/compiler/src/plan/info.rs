//! What the information page of a domain says, and the page itself.

use cloison_abi::ABI_VERSION;
use cloison_abi::info::{
    Area, Channel, Client, ConfigurationPage, GuestMemory, INFO_MAGIC, InfoHeader, Interrupt, IoRange, Party,
    Region, Right, Settings, Subject, Use,
};
use cloison_abi::limits::PAGE_BYTES;
use cloison_abi::plan::{NONE, Table};
use cloison_abi::{Name, image::Digest};
use zerocopy::{FromZeros, Immutable, IntoBytes};

use super::Layout;

/// The records of an information page.
#[derive(Clone, Debug, Default)]
pub struct Info {
    /// The gates that it calls.
    pub uses: Vec<Use>,
    /// The clients that call it, in the order of their badges.
    pub clients: Vec<Client>,
    /// Registers of its devices.
    pub areas: Vec<Area>,
    /// Configuration pages of those that are on PCI.
    pub configuration_pages: Vec<ConfigurationPage>,
    /// I/O ports of its devices.
    pub io_ranges: Vec<IoRange>,
    /// Interrupts of its devices.
    pub interrupts: Vec<Interrupt>,
    /// Its rights.
    pub rights: Vec<Right>,
    /// The domains whose faults it handles.
    pub subjects: Vec<Subject>,
    /// Memory of its own, to map.
    pub regions: Vec<Region>,
    /// What the manifest fixes.
    pub settings: Vec<Settings>,
    /// What it and its guest see.
    pub guest_memory: Vec<GuestMemory>,
    /// The slot of its guest, if it runs one.
    pub guest_slot: Option<u32>,
    /// The event that asks it to end, if it is started on request.
    pub shutdown_event: Option<u32>,
}

impl Info {
    /// What the domain has to do with others: the name by which it knows it, and the rest.
    pub fn channels(&self) -> impl Iterator<Item = (Name, &Channel)> {
        let uses = self.uses.iter().map(|gate_use| (gate_use.name, gate_use.channel()));
        uses.chain(self.clients.iter().map(|client| (client.name, client.channel())))
    }

    /// The page of a domain, as far as it is not zero.
    pub fn page(&self, domain: Name, system: Name, manifest: Digest, layout: &Layout) -> Vec<u8> {
        let mut header = InfoHeader::new_zeroed();
        header.magic = INFO_MAGIC;
        header.abi_version = ABI_VERSION;
        header.guest_slot = self.guest_slot.unwrap_or(NONE);
        header.shutdown_event = self.shutdown_event.unwrap_or(NONE);
        (header.domain, header.system, header.manifest) = (domain, system, manifest);
        if let Some(heap) = layout.heap {
            (header.heap_address, header.heap_bytes) = (heap.address, heap.pages * PAGE_BYTES);
        }
        let mut tables = Vec::new();
        header.uses = add(&mut tables, &self.uses);
        header.clients = add(&mut tables, &self.clients);
        header.areas = add(&mut tables, &self.areas);
        header.configuration_pages = add(&mut tables, &self.configuration_pages);
        header.io_ranges = add(&mut tables, &self.io_ranges);
        header.interrupts = add(&mut tables, &self.interrupts);
        header.rights = add(&mut tables, &self.rights);
        header.subjects = add(&mut tables, &self.subjects);
        header.regions = add(&mut tables, &self.regions);
        header.settings = add(&mut tables, &self.settings);
        header.guest_memory = add(&mut tables, &self.guest_memory);
        [header.as_bytes(), &tables].concat()
    }
}

/// Adds a table to those that stand behind the header. Returns where it lies in the page.
fn add<T: IntoBytes + Immutable>(tables: &mut Vec<u8>, records: &[T]) -> Table {
    let offset = (size_of::<InfoHeader>() + tables.len()) as u32;
    tables.extend_from_slice(records.as_bytes());
    Table { offset, count: records.len() as u32 }
}
