//! Firmware, for as long as it serves: memory, tables, text for a person, protocols; and its end (*UEFI Specification*
//! 2.10, chapters 4, 7 and 8).
#![expect(unsafe_code, reason = "firmware is a table of functions, and names memory by its address")]

use core::{
    fmt::{self, Write},
    ptr::{self, NonNull},
};

use boot_efi::{Area, Kind};
use uefi_raw::{
    Guid, Handle, Status,
    protocol::loaded_image::LoadedImageProtocol,
    table::{
        boot::{AllocateType, BootServices, MemoryDescriptor, MemoryType, PAGE_SIZE},
        configuration::ConfigurationTable,
        runtime::{ResetType, RuntimeServices},
        system::SystemTable,
    },
};

/// What firmware calls ACPI's root pointer, version 2, and how long that is (*ACPI Specification* 6.5, section 5.2.5.3).
const ACPI_ROOT: Guid = uefi_raw::guid!("8868e871-e4f1-11d3-bc22-0080c73c8881");
pub(crate) const ACPI_ROOT_BYTES: usize = 36;
/// How often firmware is asked to end: its list of memory may change while it is told so, once.
const TRIES: usize = 2;
/// How long a person has to read why nothing is started, in microseconds.
const READING_US: usize = 3_000_000;
/// The most letters that are shown at once, the last of which is the end.
const LETTERS: usize = 64;

/// Firmware. Nothing outlives it that borrows it.
pub(crate) struct Firmware {
    image: Handle,
    table: &'static SystemTable,
    services: &'static BootServices,
}

/// What is left of firmware when it has ended.
pub(crate) struct Ended(*const RuntimeServices);

impl Firmware {
    /// # Safety
    /// These are the arguments with which firmware has started the loader, and this is the one value made of them.
    pub(crate) unsafe fn new(image: Handle, table: *const SystemTable) -> Self {
        // SAFETY: firmware's table is there for as long as firmware is.
        let table = unsafe { &*table };
        // SAFETY: so are its services.
        Self { image, table, services: unsafe { &*table.boot_services } }
    }

    /// Shows a line.
    pub(crate) fn say(&self, text: fmt::Arguments<'_>) {
        // A console that does not take it is no reason to stop.
        let _ = writeln!(Console { firmware: self, letters: [0; LETTERS], count: 0 }, "boot | {text}");
    }

    /// Whole pages for this many bytes, not zeroed.
    pub(crate) fn pages(
        &self,
        how: AllocateType,
        kind: MemoryType,
        mut address: u64,
        bytes: usize,
    ) -> Result<NonNull<u8>, Status> {
        // SAFETY: the address is a place for the answer.
        done(unsafe {
            (self.services.allocate_pages)(how, kind, bytes.div_ceil(PAGE_SIZE), &raw mut address)
        })?;
        NonNull::new(address as *mut u8).ok_or(Status::OUT_OF_RESOURCES)
    }

    /// A protocol of a thing.
    pub(crate) fn protocol_of<P>(&self, thing: Handle, guid: &Guid) -> Result<NonNull<P>, Status> {
        let mut found = ptr::null_mut();
        // SAFETY: the last is a place for the answer.
        done(unsafe { (self.services.handle_protocol)(thing, guid, &raw mut found) })?;
        NonNull::new(found.cast()).ok_or(Status::NOT_FOUND)
    }

    /// A protocol of whatever thing has it.
    pub(crate) fn protocol<P>(&self, guid: &Guid) -> Result<NonNull<P>, Status> {
        let mut found = ptr::null_mut();
        // SAFETY: the last is a place for the answer.
        done(unsafe { (self.services.locate_protocol)(guid, ptr::null(), &raw mut found) })?;
        NonNull::new(found.cast()).ok_or(Status::NOT_FOUND)
    }

    /// What firmware says of the loader itself.
    pub(crate) fn loaded(&self) -> Result<&LoadedImageProtocol, Status> {
        let found = self.protocol_of(self.image, &LoadedImageProtocol::GUID)?;
        // SAFETY: firmware keeps it for as long as the loader runs.
        Ok(unsafe { found.as_ref() })
    }

    /// The options that the loader was started with.
    pub(crate) fn options(&self) -> &[u8] {
        let Ok(image) = self.loaded() else { return &[] };
        if image.load_options.is_null() {
            return &[];
        }
        // SAFETY: firmware says where they are, and how many bytes.
        unsafe { core::slice::from_raw_parts(image.load_options.cast(), image.load_options_size as usize) }
    }

    /// Where firmware keeps a table.
    pub(crate) fn table(&self, guid: Guid) -> Option<*const u8> {
        let (tables, count) =
            (self.table.configuration_table, self.table.number_of_configuration_table_entries);
        let found = (0..count).map(|place| {
            // SAFETY: firmware says how many there are.
            let table: &ConfigurationTable = unsafe { &*tables.add(place) };
            (table.vendor_guid, table.vendor_table.cast_const().cast())
        });
        found.into_iter().find(|(name, _)| *name == guid).map(|(_, table)| table)
    }

    /// A copy of ACPI's root pointer.
    pub(crate) fn acpi_root(&self) -> Option<[u8; ACPI_ROOT_BYTES]> {
        let root = self.table(ACPI_ROOT)?.cast::<[u8; ACPI_ROOT_BYTES]>();
        // SAFETY: under this name firmware keeps a root pointer of version 2, in memory that stays.
        Some(unsafe { root.read_unaligned() })
    }

    /// Ends firmware: from here on the machine is the loader's. Returns what memory there is, as noted in this room.
    pub(crate) fn end(self, room: &mut [u8]) -> (Ended, MemoryMap<'_>) {
        let ended = Ended(self.table.runtime_services);
        for _ in 0..TRIES {
            let (mut bytes, mut key, mut entry_bytes, mut version) = (room.len(), 0, 0, 0);
            let start = room.as_mut_ptr().cast::<MemoryDescriptor>();
            // SAFETY: the room has as many bytes, and the others are places for answers.
            let status = unsafe {
                (self.services.get_memory_map)(
                    &raw mut bytes,
                    start,
                    &raw mut key,
                    &raw mut entry_bytes,
                    &raw mut version,
                )
            };
            if done(status).is_err() {
                break;
            }
            // SAFETY: nothing that the loader has from firmware is used behind this but pages of its own and tables in
            // memory that stays: all else borrows what is gone now.
            if done(unsafe { (self.services.exit_boot_services)(self.image, key) }).is_ok() {
                return (ended, MemoryMap { bytes: room.get(..bytes).unwrap_or_default(), entry_bytes });
            }
        }
        ended.give_up()
    }

    /// Starts the machine over, when a person has had the time to read what was said.
    pub(crate) fn give_up(self) -> ! {
        // SAFETY: firmware only waits.
        let _ = unsafe { (self.services.stall)(READING_US) };
        Ended(self.table.runtime_services).give_up()
    }
}

impl Ended {
    /// Starts the machine over.
    pub(crate) fn give_up(self) -> ! {
        // SAFETY: this service stays when the others have ended, and takes no data.
        unsafe { ((*self.0).reset_system)(ResetType::COLD, Status::ABORTED, 0, ptr::null()) }
    }
}

/// Whether firmware has done what it was asked to.
pub(crate) fn done(status: Status) -> Result<(), Status> {
    if status == Status::SUCCESS { Ok(()) } else { Err(status) }
}

/// Firmware's console, which takes lines of UTF-16.
struct Console<'a> {
    firmware: &'a Firmware,
    letters: [u16; LETTERS],
    count: usize,
}

impl Console<'_> {
    fn put(&mut self, letter: u16) {
        self.letters[self.count] = letter;
        self.count += 1;
        if self.count == LETTERS - 1 || letter == u16::from(b'\n') {
            self.letters[self.count] = 0;
            self.count = 0;
            let out = self.firmware.table.stdout;
            if !out.is_null() {
                // SAFETY: firmware's own console, and a text that a zero ends.
                let _ = unsafe { ((*out).output_string)(out, self.letters.as_ptr()) };
            }
        }
    }
}

impl Write for Console<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for letter in text.encode_utf16() {
            if letter == u16::from(b'\n') {
                self.put(u16::from(b'\r'));
            }
            self.put(letter);
        }
        Ok(())
    }
}

/// The memory of the machine once firmware has ended.
pub(crate) struct MemoryMap<'a> {
    bytes: &'a [u8],
    entry_bytes: usize,
}

impl MemoryMap<'_> {
    /// Its parts.
    pub(crate) fn areas(&self) -> impl Iterator<Item = Area> {
        // An entry may be longer than what this version of firmware's interface says.
        let entries = self.bytes.chunks_exact(self.entry_bytes.max(size_of::<MemoryDescriptor>()));
        entries.map(|bytes| {
            // SAFETY: any bytes make a descriptor, and there are enough.
            let entry = unsafe { bytes.as_ptr().cast::<MemoryDescriptor>().read_unaligned() };
            let bytes = entry.page_count * PAGE_SIZE as u64;
            Area { start: entry.phys_start, bytes, kind: kind(entry.ty) }
        })
    }
}

/// What memory is for, once firmware has ended.
fn kind(kind: MemoryType) -> Kind {
    match kind {
        MemoryType::CONVENTIONAL
        | MemoryType::LOADER_CODE
        | MemoryType::LOADER_DATA
        | MemoryType::BOOT_SERVICES_CODE
        | MemoryType::BOOT_SERVICES_DATA => Kind::Available,
        MemoryType::ACPI_RECLAIM => Kind::AcpiTables,
        MemoryType::ACPI_NON_VOLATILE => Kind::AcpiNonVolatile,
        MemoryType::UNUSABLE => Kind::Defective,
        _ => Kind::Reserved,
    }
}
