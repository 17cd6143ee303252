//! What the boot loader says about memory, and the system image that it has loaded.

use cloison_abi::{
    image::{BuilderSegment, IMAGE_MAGIC, ImageHeader, checksum},
    limits::{KERNEL_BASE, PAGE_BYTES},
};
use cloison_rules::memory::{BadPlace, MAX_RUNS, Run, add_run, image_place};
use heapless::Vec;
use multiboot2::{BootInformation, BootInformationHeader, MemoryAreaType};

use super::{
    boot::Information,
    layout::kernel_image,
    physical::direct,
    serial::{ExitPort, Serial},
};
use crate::arch::frames::{FreeMemory, ImagePart};

/// What the kernel takes from the boot loader's information before it gives up the memory in which that lies. There is
/// one value of this type: it stands for all memory that is not used yet.
pub struct BootFacts {
    memory: Vec<Run, MAX_RUNS>,
    image: Option<(u64, u64)>,
    log: Run,
    acpi_root: Option<usize>,
}

impl BootFacts {
    /// Reads the boot loader's information.
    pub fn read(information: Information) -> Self {
        let nothing = Self { memory: Vec::new(), image: None, log: Run::NONE, acpi_root: None };
        let header = (KERNEL_BASE + information.address()) as *const BootInformationHeader;
        // SAFETY: the boot code checked the loader's magic number, so this is the address of Multiboot2
        // information; the boot tables map the first 4 GiB, and nothing writes there before this function is
        // done.
        let Ok(information) = (unsafe { BootInformation::load(header) }) else { return nothing };
        let mut memory = Vec::new();
        for area in information.memory_map_tag().map_or(&[][..], |tag| tag.memory_areas()) {
            let run = Run::usable(area.start_address(), area.end_address());
            if let Some(run) = run.filter(|_| area.typ() == MemoryAreaType::Available) {
                add_run(&mut memory, run);
            }
        }
        let places =
            information.module_tags().map(|tag| (tag.start_address().into(), tag.end_address().into()));
        let mut places = places.fuse();
        let image = places.next();
        let log = places.next().map_or(Run::NONE, |(start, end)| Run::around(start, end));
        let version_2 = information.rsdp_v2_tag().map(|tag| core::ptr::from_ref(tag) as usize);
        let version_1 = information.rsdp_v1_tag().map(|tag| core::ptr::from_ref(tag) as usize);
        // The root pointer follows the tag's own header of 8 bytes (Multiboot2 specification, section 3.6.11).
        let acpi_root = version_2.or(version_1).map(|tag| tag + 8 - KERNEL_BASE as usize);
        Self { memory, image, log, acpi_root }
    }

    /// Address of the ACPI root pointer.
    pub(super) fn acpi_root(&self) -> Option<usize> {
        self.acpi_root
    }

    /// The pages that the boot loader says hold its log; none if it has handed on no log.
    pub fn log(&self) -> Run {
        self.log
    }

    /// The system image, if the boot loader has loaded one.
    ///
    /// # Errors
    /// Why it cannot be used where it lies.
    pub fn image(&self) -> Option<Result<SystemImage, BadPlace>> {
        let (start, end) = self.image?;
        let placed = image_place(start, end, kernel_image());
        Some(placed.map(|pages| SystemImage { pages, bytes: end - start }))
    }

    /// All memory, and what neither the kernel nor the image takes of it. The boot loader's information is not read any
    /// more from here on.
    pub fn into_memory(self, image: &SystemImage) -> (Vec<Run, MAX_RUNS>, FreeMemory) {
        // SAFETY: the boot loader says that this is memory. All that is in it beside the kernel and the image is the
        // boot loader's own information and the ACPI tables, if those are in it, and both have been read. There is
        // one value of `BootFacts`, which ends here.
        let free = unsafe { FreeMemory::new(&self.memory, &[kernel_image(), image.pages]) };
        (self.memory, free)
    }
}

/// The system image where the boot loader has put it. It is there from boot to the end, and no memory of the kernel's.
pub struct SystemImage {
    pages: Run,
    bytes: u64,
}

impl SystemImage {
    /// Its pages.
    pub fn pages(&self) -> Run {
        self.pages
    }

    /// How many bytes the boot loader has loaded.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Copies its header.
    pub fn header(&self) -> ImageHeader {
        const { assert!(size_of::<ImageHeader>() <= PAGE_BYTES as usize) };
        let start = direct(self.pages.first.address()) as *const ImageHeader;
        // SAFETY: the boot loader has put the image there, at least a page of it, which is mapped; any bytes make
        // a header.
        unsafe { start.read() }
    }

    /// The serial line and the port for the end that it names, if it is an image at all. The platform's description
    /// vouches for them.
    pub fn ports(&self) -> Option<(Serial, ExitPort)> {
        let header = self.header();
        let ports = (Serial::at(header.serial_port), ExitPort::at(header.exit_port));
        (header.magic == IMAGE_MAGIC).then_some(ports)
    }

    /// The checksum of one of its pages, which goes on from that of the pages before it.
    pub fn page_checksum(&self, before: u64, page: u64) -> u64 {
        assert!(page < self.pages.pages());
        let start = direct(self.pages.first.after(page).address()) as *const [u8; PAGE_BYTES as usize];
        // SAFETY: a page of the image, which the direct map maps; nobody runs who could write to it, because this value
        // is boot's. Any bytes will do.
        checksum(before, unsafe { &*start })
    }

    /// The part of it that a segment of the builder describes; none if there is no such part.
    pub fn part(&self, segment: &BuilderSegment) -> Option<ImagePart> {
        // SAFETY: the image lies there, and the kernel only reads its header, at boot.
        unsafe { ImagePart::new(self.pages, segment) }
    }
}
