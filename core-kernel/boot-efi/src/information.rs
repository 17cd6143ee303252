//! What the kernel is told: Multiboot2 information (*Multiboot2 Specification* 2.0, section 3.6).

/// Numbers of tags.
mod tag {
    pub(super) const END: u32 = 0;
    pub(super) const COMMAND_LINE: u32 = 1;
    pub(super) const MODULE: u32 = 3;
    pub(super) const MEMORY_MAP: u32 = 6;
    pub(super) const ACPI_ROOT: u32 = 15;
}

/// What every tag begins at a multiple of.
const ALIGNMENT: usize = 8;
/// Length of an entry of the memory map.
const AREA_BYTES: u32 = 24;

/// What memory is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Anything.
    Available = 1,
    /// Nothing that the system knows of.
    Reserved = 2,
    /// ACPI's tables.
    AcpiTables = 3,
    /// Firmware, also while the machine sleeps.
    AcpiNonVolatile = 4,
    /// Nothing: it is defective.
    Defective = 5,
}

/// A run of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Area {
    /// Its address.
    pub start: u64,
    /// Its length.
    pub bytes: u64,
    /// What it is for.
    pub kind: Kind,
}

/// The information as far as it is written.
#[derive(Debug)]
pub struct Information<'a> {
    buffer: &'a mut [u8],
    end: usize,
    is_full: bool,
}

impl<'a> Information<'a> {
    /// To be written here. The address has to be a multiple of 8.
    #[must_use]
    pub fn new(buffer: &'a mut [u8]) -> Self {
        let mut information = Self { buffer, end: 0, is_full: false };
        // Its length, which is not known yet.
        information.put(&[0; 8]);
        information
    }

    /// Text for the kernel.
    pub fn command_line(&mut self, text: &str) {
        self.tag(tag::COMMAND_LINE, &[text.as_bytes(), &[0]]);
    }

    /// A file in memory, below 4 GiB.
    pub fn module(&mut self, start: u32, end: u32, name: &str) {
        self.tag(tag::MODULE, &[&start.to_le_bytes(), &end.to_le_bytes(), name.as_bytes(), &[0]]);
    }

    /// A copy of ACPI's root pointer, version 2.
    pub fn acpi_root(&mut self, root: &[u8]) {
        self.tag(tag::ACPI_ROOT, &[root]);
    }

    /// The memory map.
    pub fn memory_map(&mut self, areas: impl Iterator<Item = Area>) {
        let start = self.end;
        self.tag(tag::MEMORY_MAP, &[&AREA_BYTES.to_le_bytes(), &0_u32.to_le_bytes()]);
        for area in areas {
            self.put(&area.start.to_le_bytes());
            self.put(&area.bytes.to_le_bytes());
            self.put(&(area.kind as u64).to_le_bytes());
        }
        let bytes = (self.end - start) as u32;
        self.set(start + 4, bytes);
    }

    /// Ends it. None if it has no room.
    #[must_use]
    pub fn finish(mut self) -> Option<usize> {
        self.tag(tag::END, &[]);
        let bytes = self.end as u32;
        self.set(0, bytes);
        (!self.is_full).then_some(self.end)
    }

    fn tag(&mut self, number: u32, parts: &[&[u8]]) {
        let bytes: usize = parts.iter().map(|part| part.len()).sum();
        self.put(&number.to_le_bytes());
        self.put(&(bytes as u32 + 8).to_le_bytes());
        parts.iter().for_each(|part| self.put(part));
        let padding = self.end.next_multiple_of(ALIGNMENT) - self.end;
        self.put(&[0; ALIGNMENT][..padding]);
    }

    fn put(&mut self, bytes: &[u8]) {
        let place = self.buffer.get_mut(self.end..).and_then(|rest| rest.get_mut(..bytes.len()));
        let Some(place) = place else {
            self.is_full = true;
            return;
        };
        place.copy_from_slice(bytes);
        self.end += bytes.len();
    }

    fn set(&mut self, place: usize, value: u32) {
        if let Some(word) = self.buffer.get_mut(place..).and_then(<[u8]>::first_chunk_mut) {
            *word = value.to_le_bytes();
        }
    }
}

#[cfg(test)]
mod tests {
    use multiboot2::{BootInformation, BootInformationHeader};

    use super::*;

    const AREAS: [Area; 2] = [
        Area { start: 0, bytes: 0xa_0000, kind: Kind::Available },
        Area { start: 0x10_0000, bytes: 0x1000, kind: Kind::Reserved },
    ];

    fn write(buffer: &mut [u8]) -> Option<usize> {
        let mut information = Information::new(buffer);
        information.command_line("unmeasured");
        information.module(0x20_0000, 0x20_1000, "system.img");
        information.module(0x30_0000, 0x30_0123, "event log");
        information.acpi_root(&[7; 36]);
        information.memory_map(AREAS.into_iter());
        information.finish()
    }

    #[test]
    fn what_is_written_is_what_the_kernel_reads() {
        let mut words = [0_u64; 64];
        let buffer = zerocopy::IntoBytes::as_mut_bytes(&mut words);
        let length = write(buffer).unwrap();
        #[expect(unsafe_code, reason = "the kernel's own way to read it")]
        // SAFETY: the buffer is aligned, and what has just been written says how long it is.
        let read = unsafe { BootInformation::load(words.as_ptr().cast::<BootInformationHeader>()) }.unwrap();
        assert_eq!(read.total_size(), length);
        assert_eq!(read.command_line_tag().unwrap().cmdline(), Ok("unmeasured"));
        let modules: Vec<_> =
            read.module_tags().map(|tag| (tag.start_address(), tag.end_address())).collect();
        assert_eq!(modules, [(0x20_0000, 0x20_1000), (0x30_0000, 0x30_0123)]);
        let areas = read.memory_map_tag().unwrap().memory_areas();
        let areas: Vec<_> =
            areas.iter().map(|area| (area.start_address(), area.size(), area.typ().into())).collect();
        assert_eq!(areas, AREAS.map(|area| (area.start, area.bytes, area.kind as u32)));
        let root = read.rsdp_v2_tag().unwrap();
        assert_eq!(
            zerocopy::IntoBytes::as_bytes(&words)[..length].windows(36).filter(|run| *run == [7; 36]).count(),
            1
        );
        assert!(!root.checksum_is_valid());
    }

    #[test]
    fn what_has_no_room_is_not_half_written() {
        let mut buffer = [0; 512];
        let length = write(&mut buffer).unwrap();
        assert_eq!(write(&mut buffer[..length]), Some(length));
        assert_eq!(write(&mut buffer[..length - 1]), None);
        assert_eq!(write(&mut []), None);
    }
}
