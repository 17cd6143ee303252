//! What firmware measures whose values are known ahead (TCG *PC Client Platform Firmware Profile*, section 3.3.4, for UEFI;
//! SeaBIOS 1.16, `src/tcgbios.c`, for a BIOS).
//!
//! Its own code, its settings and the keys of Secure Boot go into the registers 0, 1 and 7: only the machine knows
//! those.

use crate::{Digests, log::kind};

/// The register for the boot loader.
const PCR_LOADER: u32 = 4;
/// The register for how the boot loader is configured, and for how firmware ends.
const PCR_END: u32 = 5;
/// What firmware measures before it starts a boot loader, and when it ends.
const CALLING: &[u8] = b"Calling EFI Application from Boot Option";
const EXIT: [&[u8]; 2] = [b"Exit Boot Services Invocation", b"Exit Boot Services Returned with Success"];
/// What separates what comes before a loader from the rest, with UEFI and with a BIOS.
const UEFI_SEPARATOR: &[u8] = &[0; 4];
const BIOS_SEPARATOR: &[u8] = &[0xff; 4];
/// The registers that nothing but what is known goes into.
const KNOWN: [u32; 5] = [2, 3, PCR_LOADER, PCR_END, 6];
const BIOS_KNOWN: [u32; 6] = [0, 3, PCR_LOADER, PCR_END, 6, 7];
/// What a BIOS says it does.
const BIOS_CALLING: &[u8] = b"Calling INT 19h";
const FROM_DISK: &[u8] = b"Booting BCV device 80h (HDD)";
const FROM_DRIVE: &[u8] = b"Booting from CD ROM device";
/// Of the first sector of a disk: the program; and the table of partitions, up to the mark that ends the sector.
const PROGRAM_BYTES: usize = 440;
const SECTOR: usize = 512;
/// Of a disc in a drive (*El Torito*, 1.0): its sectors, where one says that there is something to start, and in that one and
/// in the catalog that it names the numbers of sectors.
const DRIVE_SECTOR: usize = 2048;
const RECORD: usize = 17 * DRIVE_SECTOR;
const RECORD_MARK: &[u8] = b"\0CD001\x01EL TORITO SPECIFICATION\0";
const RECORD_CATALOG: usize = 0x47;
const CATALOG_START: usize = 0x28;

/// An event of firmware.
#[derive(Clone, Copy, Debug)]
pub struct FirmwareEvent {
    /// What it is.
    pub name: &'static str,
    /// The register.
    pub pcr: u32,
    /// Its kind; see [`kind`].
    pub kind: u32,
    /// What the register is extended with.
    pub digests: Digests,
    /// What it says about itself.
    pub data: &'static [u8],
}

impl FirmwareEvent {
    fn new(name: &'static str, pcr: u32, kind: u32, data: &'static [u8]) -> Self {
        Self { name, pcr, kind, digests: Digests::of(data), data }
    }
}

/// What comes before a boot loader that has these digests.
pub fn before(loader: Digests) -> impl Iterator<Item = FirmwareEvent> {
    let calling = FirmwareEvent::new("start of a loader", PCR_LOADER, kind::UEFI_ACTION, CALLING);
    // What it says about itself is where in memory and on which disc it lies.
    let (name, kind) = ("loader", kind::UEFI_APPLICATION);
    let application = FirmwareEvent { name, pcr: PCR_LOADER, kind, digests: loader, data: &[] };
    let separators = separators(KNOWN, UEFI_SEPARATOR);
    core::iter::once(calling).chain(separators).chain([application])
}

/// What comes beside that if the loader is on a disk with a GPT (*UEFI Specification* 2.10, section 5.3; that document,
/// section 10.2.6): the table's header, how many partitions there are, and those. None: the disk has no such table.
#[must_use]
pub fn partitions(disk: &[u8]) -> Option<FirmwareEvent> {
    const MAGIC: &[u8] = b"EFI PART";
    const HEADER_BYTES: usize = 92;
    /// In the header: the entries' first sector, their number and their length.
    const ENTRIES: usize = 72;
    const COUNT: usize = 80;
    const LENGTH: usize = 84;
    const ENTRY_BYTES: usize = 128;
    let header = disk.get(SECTOR..)?.get(..HEADER_BYTES)?;
    let word = |place: usize| Some(u32::from_le_bytes(*header.get(place..)?.first_chunk()?) as usize);
    let (start, count) = (word(ENTRIES)?.checked_mul(SECTOR)?, word(COUNT)?);
    if !header.starts_with(MAGIC) || word(ENTRIES + 4)? != 0 || word(LENGTH)? != ENTRY_BYTES {
        return None;
    }
    let entries = disk.get(start..)?.get(..count.checked_mul(ENTRY_BYTES)?)?;
    // What has no type is no partition.
    let used = entries.chunks_exact(ENTRY_BYTES).filter(|entry| entry.iter().take(16).any(|byte| *byte != 0));
    let number = (used.clone().count() as u64).to_le_bytes();
    let digests = Digests::of_parts([header, &number].into_iter().chain(used));
    Some(FirmwareEvent {
        name: "table of partitions",
        pcr: PCR_END,
        kind: kind::UEFI_GPT,
        digests,
        data: &[],
    })
}

/// Whether an event of a register and a kind is in another register of a TPM 1.2, or beside what only the machine knows: UEFI
/// firmware that measures by the older of its protocols says in the register of its end that it starts a loader, and how it is set up.
#[must_use]
pub const fn goes_elsewhere_in_tpm_12(pcr: u32, kind: u32) -> bool {
    pcr == PCR_END || (pcr == PCR_LOADER && kind == kind::UEFI_ACTION)
}

/// What comes when the boot loader has ended firmware.
pub fn after() -> impl Iterator<Item = FirmwareEvent> {
    EXIT.into_iter().map(|text| FirmwareEvent::new("end of firmware", PCR_END, kind::UEFI_ACTION, text))
}

/// What a BIOS measures that starts from this disc. Of what GRUB loads it measures nothing. None: the disc is none.
#[must_use]
pub fn bios(disc: &[u8]) -> Option<impl Iterator<Item = FirmwareEvent>> {
    let action = |text| FirmwareEvent::new("start of a disc", PCR_LOADER, kind::ACTION, text);
    let of_disc = |name, pcr, kind, bytes: &[u8], data| FirmwareEvent {
        name,
        pcr,
        kind,
        digests: Digests::of(bytes),
        data,
    };
    let events = if let Some((catalog, start)) = in_drive(disc) {
        [
            action(FROM_DRIVE),
            of_disc("catalog", PCR_END, kind::LOADER_DATA, catalog, b"BOOT CATALOG"),
            action(FROM_DRIVE),
            of_disc("first sector", PCR_LOADER, kind::LOADER, start, b"EL TORITO IPL"),
        ]
        .map(Some)
    } else {
        let (program, table) = disc.get(..SECTOR)?.split_at_checked(PROGRAM_BYTES)?;
        [
            Some(action(FROM_DISK)),
            Some(of_disc("first sector", PCR_LOADER, kind::LOADER, program, b"MBR")),
            Some(of_disc("table of partitions", PCR_END, kind::LOADER_DATA, table, b"MBR PARTITION TABLE")),
            None,
        ]
    };
    let calling = FirmwareEvent::new("start of a loader", PCR_LOADER, kind::ACTION, BIOS_CALLING);
    let separators = separators(BIOS_KNOWN, BIOS_SEPARATOR);
    Some(core::iter::once(calling).chain(separators).chain(events.into_iter().flatten()))
}

/// The catalog of a disc in a drive, and the first sector of what it has a BIOS start.
fn in_drive(disc: &[u8]) -> Option<(&[u8], &[u8])> {
    let record = disc.get(RECORD..)?;
    let catalog = sector(disc, record.strip_prefix(RECORD_MARK).and(record.get(RECORD_CATALOG..))?)?;
    let start = sector(disc, catalog.get(CATALOG_START..)?)?;
    Some((catalog, start.get(..SECTOR)?))
}

/// The sector of a disc in a drive whose number these bytes begin with.
fn sector<'a>(disc: &'a [u8], number: &[u8]) -> Option<&'a [u8]> {
    let number = u32::from_le_bytes(*number.first_chunk()?) as usize;
    disc.get(number.checked_mul(DRIVE_SECTOR)?..)?.get(..DRIVE_SECTOR)
}

fn separators<const N: usize>(
    pcrs: [u32; N],
    separator: &'static [u8],
) -> impl Iterator<Item = FirmwareEvent> {
    pcrs.into_iter().map(move |pcr| FirmwareEvent::new("separator", pcr, kind::SEPARATOR, separator))
}

/// The digests by which firmware measures a program in the form PE32+: all of it but its checksum and what signs it
/// (Microsoft, *Windows Authenticode Portable Executable Signature Format*, "Calculating the PE Image Hash"). None if
/// it is no such program, or a signed one.
#[must_use]
pub fn program(file: &[u8]) -> Option<Digests> {
    /// From the magic of the optional header on: the checksum, and the entry of the directory that names signatures.
    const CHECKSUM: usize = 64;
    const SIGNATURES: usize = 144;
    const MAGIC: u16 = 0x20b;
    let start = u32::from_le_bytes(*file.get(0x3c..)?.first_chunk()?) as usize;
    let header = file.get(start..)?.strip_prefix(b"PE\0\0")?.get(20..)?;
    if u16::from_le_bytes(*header.first_chunk()?) != MAGIC
        || header.get(SIGNATURES..SIGNATURES + 8)? != [0; 8]
    {
        return None;
    }
    let optional = file.len() - header.len();
    let (checksum, signatures) = (optional + CHECKSUM, optional + SIGNATURES);
    // Headers and sections follow each other in a program that a linker has made: it is the rest of the file.
    Some(Digests::of_parts([
        file.get(..checksum)?,
        file.get(checksum + 4..signatures)?,
        file.get(signatures + 8..)?,
    ]))
}
