//! What a domain has for its guest: the guest itself, its memory, the files that it begins with.

use cloison_abi::Rights;
use cloison_abi::guest::GUEST_REGIONS;
use cloison_abi::info::{
    GUEST_FRAME, GUEST_NUMBERS, GUEST_RAM, GUEST_SAVED, GUEST_SHARED, GuestMemory, SETTINGS_INITRAMFS,
    SETTINGS_KERNELS, Settings,
};
use cloison_abi::limits::PAGE_BYTES;
use cloison_abi::plan::{GuestEntry, ImageEntry, NONE, RegionEntry};

use super::{Assigner, index, memory, own_source};
use crate::plan::{FilePlan, GUEST_ADDRESS, name::name, page_count};
use crate::system::{DomainId, FileId, Guest, PAGES_IN_MIB, least_mib};

/// What the region of a guest's page tables is called in reports.
const TABLES: &str = "guest-tables";

impl Assigner<'_> {
    /// Gives a domain its guest. All of it that the domain sees lies far from what else it sees, so that the memory of a
    /// guest can have any length.
    pub(super) fn guest(&mut self, id: DomainId, guest: &Guest) {
        let near = std::mem::replace(&mut self.domains[id.0].address, GUEST_ADDRESS);
        let (slot, sizes) = (self.slot(id), &guest.sizes);
        // No owner: the kernel keeps its page tables, and nobody fills them again.
        let tables = self.region(memory(name(TABLES), sizes.tables as u32));
        let shown = [
            (GUEST_RAM, sizes.ram, true),
            (GUEST_SHARED, sizes.shared, true),
            (GUEST_NUMBERS, sizes.numbers, false),
        ];
        let (mut attached, mut writable) = ([NONE; GUEST_REGIONS], 0);
        // Its own memory it has while its domain is started; what it has beside that is little.
        let own = own_source(self.system.domain(id));
        for (number, (local, pages, is_writable)) in
            shown.into_iter().filter(|(_, pages, _)| *pages > 0).enumerate()
        {
            attached[number] = self.guest_memory(id, index(id), (local, pages), number as u32);
            if local == GUEST_RAM {
                self.tables.regions[attached[number] as usize].source = own;
            }
            writable |= u32::from(is_writable) << number;
        }
        let frame = self.guest_memory(id, index(id), (GUEST_FRAME, sizes.frame), NONE);
        if sizes.saved > 0 {
            // No owner: it stays when the domain is restarted.
            self.guest_memory(id, NONE, (GUEST_SAVED, sizes.saved), NONE);
        }
        self.tables.guests.push(GuestEntry { domain: index(id), slot, tables, frame, attached, writable });
        self.info[id.0].guest_slot = Some(slot);
        for (local, kernel) in SETTINGS_KERNELS.into_iter().zip(guest.kernels()) {
            self.file(id, local, kernel);
        }
        guest.initramfs.into_iter().for_each(|file| self.file(id, SETTINGS_INITRAMFS, file));
        self.domains[id.0].address = near;
        if self.system.domain(id).on_request.is_some() {
            guest.kernels().for_each(|kernel| self.guest_image(id, guest, kernel));
        }
    }

    /// A kernel with which a guest can be started on request, and how much memory it needs then.
    fn guest_image(&mut self, id: DomainId, guest: &Guest, kernel: FileId) {
        let file = |file: FileId| &self.system.files[file.0];
        let initramfs_bytes = guest.initramfs.and_then(|initramfs| file(initramfs).bytes.as_ref());
        let initramfs_bytes = initramfs_bytes.map_or(0, |bytes| bytes.len() as u64);
        let bytes = file(kernel).bytes.as_deref().unwrap_or_default();
        self.tables.images.push(ImageEntry {
            name: name(file(kernel).image_name()),
            domain: index(id),
            least_pages: least_mib(bytes, initramfs_bytes).saturating_mul(PAGES_IN_MIB) as u32,
        });
    }

    /// Memory that the domain sees for its guest; `number`: which of the guest's regions it is.
    fn guest_memory(&mut self, id: DomainId, owner: u32, (local, pages): (&str, u64), number: u32) -> u32 {
        let region = self.region(RegionEntry { owner, ..memory(name(local), pages as u32) });
        let address = self.map(id, region, 0..pages as u32, Rights::READ | Rights::WRITE);
        let (name, bytes) = (name(local), pages * PAGE_BYTES);
        self.info[id.0].guest_memory.push(GuestMemory { name, number, reserved: 0, address, bytes });
        region
    }

    /// Shows a domain a file. All domains see the same memory, which nobody writes to.
    fn file(&mut self, id: DomainId, local: &str, file: FileId) {
        let bytes = self.system.files[file.0].bytes.clone().unwrap_or_default();
        let (length, pages) = (bytes.len() as u64, page_count(bytes.len() as u64) as u32);
        let known = self.files.iter().find(|known| known.file == file).map(|known| known.region);
        let region = known.unwrap_or_else(|| {
            let region = self.region(memory(name(local), pages));
            self.files.push(FilePlan { file, region, bytes });
            region
        });
        let address = self.map(id, region, 0..pages, Rights::READ);
        self.info[id.0].settings.push(Settings { name: name(local), address, bytes: length });
    }
}
