//! A system image made by hand: three domains, one of which is restarted, one of which handles another's faults.

use std::{string::String, vec, vec::Vec};

use cloison_abi::{
    ABI_VERSION, InterruptSource, Name, ObjectKind, Rights,
    image::ImageHeader,
    plan::{
        AreaEntry, ConfigurationPageEntry, DeviceEntry, DmaEntry, DomainEntry, EventEntry, FaultPolicy,
        FileEntry, GateEntry, GuestEntry, ImageEntry, InterruptEntry, IoRangeEntry, LoadEntry, MappingEntry,
        NONE, PLAN_MAGIC, PlanHeader, ProgramEntry, RegionEntry, RegionSlotEntry, RegionSource, RightEntry,
        StartPolicy, SupervisionEntry, Table, ThreadEntry,
    },
};
use sha2::{Digest as _, Sha256};
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes};

use crate::{BuildError, Image};

/// How many domains there are.
pub const DOMAINS: u32 = 3;
/// The one that the builder starts again.
pub const RESTARTED: u32 = 1;
/// The number of its device's PCI function, 00:03.0.
pub const FUNCTION: u32 = 3 << 3;
/// Pages that they need together: page tables, private memory, what two share, what the restarted one has more, and
/// what its guest has.
pub const ALL_PAGES: u64 = 3 + 3 * 2 + 4 + 5 + GUEST_PAGES;
/// Page tables of the guest, its frame page, its memory, the file that it begins with.
const GUEST_PAGES: u64 = 3 + 1 + 6 + 1;

/// The tables of a plan.
#[derive(Default)]
pub struct Sketch {
    pub domains: Vec<DomainEntry>,
    pub threads: Vec<ThreadEntry>,
    pub regions: Vec<RegionEntry>,
    pub loads: Vec<LoadEntry>,
    pub mappings: Vec<MappingEntry>,
    pub devices: Vec<DeviceEntry>,
    pub areas: Vec<AreaEntry>,
    pub configuration_pages: Vec<ConfigurationPageEntry>,
    pub io_ranges: Vec<IoRangeEntry>,
    pub interrupts: Vec<InterruptEntry>,
    pub dma: Vec<DmaEntry>,
    pub gates: Vec<GateEntry>,
    pub events: Vec<EventEntry>,
    pub region_slots: Vec<RegionSlotEntry>,
    pub supervisions: Vec<SupervisionEntry>,
    pub rights: Vec<RightEntry>,
    pub guests: Vec<GuestEntry>,
    pub files: Vec<FileEntry>,
    pub images: Vec<ImageEntry>,
    pub programs: Vec<ProgramEntry>,
    pub policy: String,
    pub budget_pages: u32,
}

/// Bytes that begin at an address that suits every table.
pub struct Aligned(Vec<u64>);

impl Aligned {
    /// The words from a place on.
    pub fn words_from(&mut self, place: usize) -> &mut [u32] {
        let bytes = &mut self.0.as_mut_bytes()[place..];
        <[u32]>::mut_from_bytes(bytes).unwrap()
    }
}

/// Opens an image.
pub fn image_of(bytes: &Aligned) -> Result<Image<'_>, BuildError> {
    Image::open(bytes.0.as_bytes())
}

/// Opens an image that can be opened.
pub fn opened(bytes: &Aligned) -> Image<'_> {
    image_of(bytes).unwrap()
}

impl Sketch {
    /// Domain 0 serves domain 1, with four pages that both see, and handles the faults of domain 2. Domain 1 has a
    /// device, five pages that the device reaches, and a guest, and is restarted. Domain 2 sees the same file.
    pub fn system() -> Self {
        let mut plan = Self::default();
        let policies = [FaultPolicy::Stop, FaultPolicy::Restart, FaultPolicy::Handler];
        for (domain, policy) in (0..).zip(policies) {
            plan.add_domain(domain, policy);
        }
        let memory = RegionSource::Memory;
        let both = plan.region(4, memory, NONE);
        [0, RESTARTED].into_iter().for_each(|domain| plan.map(domain, both, 4));
        let (own, registers) =
            (plan.region(5, memory, RESTARTED), plan.region(1, RegionSource::Device, NONE));
        plan.map(RESTARTED, registers, 1);
        let page = plan.region(1, RegionSource::ConfigurationPage, NONE);
        plan.map(RESTARTED, page, 1);
        plan.configuration_pages.push(ConfigurationPageEntry { device: 0, region: page });
        plan.devices.push(DeviceEntry { name: Name::EMPTY, domain: RESTARTED, pci_function: FUNCTION });
        plan.areas.push(AreaEntry {
            physical_address: 0xfe00_0000,
            device: 0,
            number: 0,
            region: registers,
            reserved: 0,
        });
        plan.io_ranges.push(IoRangeEntry { device: 0, first: 0x3f8, count: 8 });
        let source = InterruptSource::Message { number: 0 }.to_bits();
        plan.interrupts.push(InterruptEntry { device: 0, source, thread: RESTARTED, slot: 3, event: 1 });
        plan.dma.push(DmaEntry { device: 0, region: own });
        let rights = (Rights::READ | Rights::WRITE | Rights::GRANT | Rights::DMA).bits();
        plan.region_slots.push(RegionSlotEntry { domain: RESTARTED, slot: 4, region: own, rights });
        plan.gates.push(GateEntry {
            domain: RESTARTED,
            slot: 1,
            server: 0,
            badge: 0,
            first_grant: 0,
            grants: 0,
        });
        plan.events.push(EventEntry { domain: RESTARTED, slot: 2, target: 0, event: 0 });
        plan.events.push(EventEntry { domain: 0, slot: 1, target: RESTARTED, event: 0 });
        plan.supervisions.push(SupervisionEntry { domain: 0, slot: 2, subject: 2, event: 1 });
        for (slot, kind, event) in [(4, ObjectKind::CensusRight, NONE), (3, ObjectKind::LogRight, 2)] {
            plan.rights.push(RightEntry { domain: 0, slot, kind: kind as u32, event });
        }
        plan.add_guest();
        plan
    }

    /// The same, in which domain 0 is started on request, with two pages of a budget of this many.
    pub fn on_request(budget_pages: u32) -> Self {
        let mut plan = Self::system();
        plan.domains[0].start = StartPolicy::OnRequest as u32;
        plan.regions[0].source = RegionSource::Budget as u32;
        plan.budget_pages = budget_pages;
        plan
    }

    /// The same, in which that domain sees nothing but its own memory.
    pub fn savable(budget_pages: u32) -> Self {
        let mut plan = Self::on_request(budget_pages);
        plan.mappings.retain(|seen| seen.domain != 0 || seen.region == 0);
        plan
    }

    /// The same, in which that domain can be started with another program, which is the first half of
    /// its own.
    pub fn two_programs(budget_pages: u32) -> Self {
        let mut plan = Self::savable(budget_pages);
        plan.images = ["first", "second"]
            .map(|name| ImageEntry { name: Name::new(name).unwrap(), domain: 0, least_pages: 0 })
            .to_vec();
        plan.loads[0].image = 0;
        plan.loads.push(LoadEntry { bytes: 4, image: 1, ..plan.loads[0] });
        plan.programs.push(ProgramEntry {
            image_offset: 0,
            image_bytes: 4,
            digest: Sha256::digest(&cloison_abi::image::IMAGE_MAGIC[..4]).into(),
            entry: 0x40_1004,
            image: 1,
            reserved: 0,
        });
        plan
    }

    /// The same as before, in which the domain with the guest is, too: with pages for its guest, at most and at least.
    pub fn guest_on_request(budget_pages: u32, most: u32, least: u32) -> Self {
        let mut plan = Self::on_request(budget_pages);
        plan.domains[RESTARTED as usize].start = StartPolicy::OnRequest as u32;
        plan.regions[RESTARTED as usize].source = RegionSource::Budget as u32;
        let ram = plan.guests[0].attached[0] as usize;
        (plan.regions[ram].source, plan.regions[ram].pages) = (RegionSource::Budget as u32, most);
        let name = Name::new("vmlinux").unwrap();
        plan.images.push(ImageEntry { name, domain: RESTARTED, least_pages: least });
        plan
    }

    /// Lets a domain see the boot loader's log.
    pub fn add_log(&mut self, domain: u32, pages: u32) {
        let log = self.region(pages, RegionSource::BootLog, NONE);
        self.map(domain, log, pages);
    }

    fn add_guest(&mut self) {
        let memory = RegionSource::Memory;
        let tables = self.region(3, memory, NONE);
        let (frame, ram) = (self.region(1, memory, RESTARTED), self.region(6, memory, RESTARTED));
        self.map(RESTARTED, frame, 1);
        self.map(RESTARTED, ram, 6);
        let attached = [ram, NONE, NONE, NONE];
        self.guests.push(GuestEntry { domain: RESTARTED, slot: 5, tables, frame, attached, writable: 1 });
        let region = self.region(1, memory, NONE);
        [RESTARTED, 2].into_iter().for_each(|domain| self.map(domain, region, 1));
        self.files.push(FileEntry {
            image_offset: 0,
            image_bytes: 8,
            digest: Sha256::digest(cloison_abi::image::IMAGE_MAGIC).into(),
            region,
            reserved: 0,
        });
    }

    /// A domain whose program is the first bytes of the image.
    fn add_domain(&mut self, domain: u32, on_fault: FaultPolicy) {
        self.domains.push(DomainEntry {
            name: Name::EMPTY,
            image_offset: 0,
            image_bytes: 8,
            digest: Sha256::digest(cloison_abi::image::IMAGE_MAGIC).into(),
            quota_pages: 1,
            on_fault: on_fault as u32,
            asked: 0,
            start: 0,
            shutdown: NONE,
            reserved: 0,
        });
        self.threads.push(ThreadEntry {
            entry: 0x40_1000,
            stack: 0x50_0000,
            domain,
            cpu: 0,
            priority: 1,
            budget_us: 0,
            period_us: 0,
            reserved: 0,
        });
        let region = self.region(2, RegionSource::Memory, domain);
        self.map(domain, region, 2);
        self.loads.push(LoadEntry { image_offset: 0, bytes: 8, region_offset: 0, region, image: NONE });
    }

    fn region(&mut self, pages: u32, source: RegionSource, owner: u32) -> u32 {
        let source = source as u32;
        self.regions.push(RegionEntry { name: Name::EMPTY, pages, source, owner, reserved: 0 });
        self.regions.len() as u32 - 1
    }

    fn map(&mut self, domain: u32, region: u32, pages: u32) {
        let address = 0x100_0000 * (self.mappings.len() as u64 + 1);
        self.mappings.push(MappingEntry {
            address,
            domain,
            region,
            first_page: 0,
            pages,
            rights: Rights::READ.bits(),
            reserved: 0,
        });
    }

    /// An image with this plan.
    pub fn image(&self) -> Aligned {
        let plan = self.plan();
        let header = ImageHeader {
            magic: cloison_abi::image::IMAGE_MAGIC,
            plan_offset: size_of::<ImageHeader>() as u64,
            plan_bytes: plan.len() as u64,
            plan_digest: Sha256::digest(&plan).into(),
            ..ImageHeader::new_zeroed()
        };
        let bytes = [header.as_bytes(), &plan, self.policy.as_bytes()].concat();
        let mut words = vec![0_u64; bytes.len().div_ceil(8)];
        words.as_mut_bytes()[..bytes.len()].copy_from_slice(&bytes);
        Aligned(words)
    }

    fn plan(&self) -> Vec<u8> {
        let mut bytes = vec![0; size_of::<PlanHeader>()];
        let header = PlanHeader {
            magic: PLAN_MAGIC,
            abi_version: ABI_VERSION,
            domains: add(&mut bytes, &self.domains),
            threads: add(&mut bytes, &self.threads),
            regions: add(&mut bytes, &self.regions),
            loads: add(&mut bytes, &self.loads),
            mappings: add(&mut bytes, &self.mappings),
            devices: add(&mut bytes, &self.devices),
            areas: add(&mut bytes, &self.areas),
            configuration_pages: add(&mut bytes, &self.configuration_pages),
            io_ranges: add(&mut bytes, &self.io_ranges),
            interrupts: add(&mut bytes, &self.interrupts),
            dma: add(&mut bytes, &self.dma),
            gates: add(&mut bytes, &self.gates),
            events: add(&mut bytes, &self.events),
            region_slots: add(&mut bytes, &self.region_slots),
            supervisions: add(&mut bytes, &self.supervisions),
            rights: add(&mut bytes, &self.rights),
            guests: add(&mut bytes, &self.guests),
            files: add(&mut bytes, &self.files),
            images: add(&mut bytes, &self.images),
            programs: add(&mut bytes, &self.programs),
            policy_offset: (size_of::<ImageHeader>() + bytes.len()) as u32,
            policy_bytes: self.policy.len() as u32,
            budget_pages: self.budget_pages,
            ..PlanHeader::new_zeroed()
        };
        bytes[..size_of::<PlanHeader>()].copy_from_slice(header.as_bytes());
        bytes
    }
}

fn add<T: IntoBytes + Immutable>(bytes: &mut Vec<u8>, entries: &[T]) -> Table {
    let offset = bytes.len() as u32;
    bytes.extend_from_slice(entries.as_bytes());
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    Table { offset, count: entries.len() as u32 }
}
