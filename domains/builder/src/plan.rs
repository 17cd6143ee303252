//! The plan's tables, as they lie in the image.

use cloison_abi::{
    ABI_VERSION, Name, PciFunction,
    access::Classes,
    image::Digest,
    limits::{MAX_DOMAINS, MAX_REGIONS},
    plan::{
        AreaEntry, ConfigurationPageEntry, DeviceEntry, DmaEntry, DomainEntry, EventEntry, FaultPolicy,
        FileEntry, GateEntry, GuestEntry, ImageEntry, InterruptEntry, IoRangeEntry, LoadEntry, MappingEntry,
        NONE, PLAN_MAGIC, PlanHeader, ProgramEntry, RegionEntry, RegionSlotEntry, RegionSource, RightEntry,
        StartPolicy, SupervisionEntry, Table, ThreadEntry,
    },
};
use zerocopy::{FromBytes, Immutable, KnownLayout};

use crate::BuildError;

/// The plan's tables.
#[derive(Clone, Copy)]
#[allow(missing_docs, reason = "the fields are those of the plan's header, which says what they are")]
pub struct Plan<'a> {
    pub header: &'a PlanHeader,
    pub domains: &'a [DomainEntry],
    pub threads: &'a [ThreadEntry],
    pub regions: &'a [RegionEntry],
    pub loads: &'a [LoadEntry],
    pub mappings: &'a [MappingEntry],
    pub devices: &'a [DeviceEntry],
    pub areas: &'a [AreaEntry],
    pub configuration_pages: &'a [ConfigurationPageEntry],
    pub io_ranges: &'a [IoRangeEntry],
    pub interrupts: &'a [InterruptEntry],
    pub dma: &'a [DmaEntry],
    pub gates: &'a [GateEntry],
    pub events: &'a [EventEntry],
    pub region_slots: &'a [RegionSlotEntry],
    pub supervisions: &'a [SupervisionEntry],
    pub rights: &'a [RightEntry],
    pub guests: &'a [GuestEntry],
    pub files: &'a [FileEntry],
    pub images: &'a [ImageEntry],
    pub programs: &'a [ProgramEntry],
}

/// A program that a domain can run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Program {
    /// The domain.
    pub domain: Name,
    /// Where its bytes lie in the system image.
    pub image_offset: u64,
    /// How many they are.
    pub image_bytes: u64,
    /// Their digest.
    pub digest: Digest,
    /// Address of the first instruction.
    pub entry: u64,
}

impl<'a> Plan<'a> {
    /// Opens a plan.
    ///
    /// # Errors
    /// [`BuildError::Image`], [`BuildError::Version`].
    pub fn open(bytes: &'a [u8]) -> Result<Self, BuildError> {
        let Ok((header, _)) = PlanHeader::ref_from_prefix(bytes) else {
            return Err(BuildError::Image("the plan is damaged"));
        };
        if header.magic != PLAN_MAGIC {
            return Err(BuildError::Image("the plan does not begin as one"));
        }
        if header.abi_version != ABI_VERSION {
            return Err(BuildError::Version(header.abi_version));
        }
        let plan = Self {
            header,
            domains: table(bytes, header.domains)?,
            threads: table(bytes, header.threads)?,
            regions: table(bytes, header.regions)?,
            loads: table(bytes, header.loads)?,
            mappings: table(bytes, header.mappings)?,
            devices: table(bytes, header.devices)?,
            areas: table(bytes, header.areas)?,
            configuration_pages: table(bytes, header.configuration_pages)?,
            io_ranges: table(bytes, header.io_ranges)?,
            interrupts: table(bytes, header.interrupts)?,
            dma: table(bytes, header.dma)?,
            gates: table(bytes, header.gates)?,
            events: table(bytes, header.events)?,
            region_slots: table(bytes, header.region_slots)?,
            supervisions: table(bytes, header.supervisions)?,
            rights: table(bytes, header.rights)?,
            guests: table(bytes, header.guests)?,
            files: table(bytes, header.files)?,
            images: table(bytes, header.images)?,
            programs: table(bytes, header.programs)?,
        };
        if plan.domains.len() >= MAX_DOMAINS || plan.regions.len() > MAX_REGIONS {
            return Err(BuildError::Image("the plan has more domains or regions than fit"));
        }
        plan.regions.iter().try_for_each(|region| source(region).map(drop))?;
        if plan.domains.iter().any(|domain| StartPolicy::from_number(domain.start).is_none()) {
            return Err(BuildError::Image("when a domain is started is unknown"));
        }
        Ok(plan)
    }

    /// Memory that all domains need together, in pages.
    #[must_use]
    pub fn memory_pages(&self) -> u64 {
        // The log of a boot that was not measured takes memory.
        let is_taken = |region: &&RegionEntry| {
            matches!(source(region), Ok(RegionSource::Memory | RegionSource::BootLog))
        };
        let regions = self.regions.iter().filter(is_taken);
        let tables = self.domains.iter().map(|domain| u64::from(domain.quota_pages));
        let budget = u64::from(self.header.budget_pages);
        regions.map(|region| u64::from(region.pages)).chain(tables).sum::<u64>() + budget
    }

    /// Memory that a domain alone has, in pages.
    #[must_use]
    pub fn own_pages(&self, domain: u32, entry: &DomainEntry) -> u64 {
        let guests = self.guests.iter().filter(|guest| guest.domain == domain);
        let tables = guests.filter_map(|guest| self.regions.get(guest.tables as usize));
        let own = self.memory_of(domain).map(|region| &self.regions[region]);
        let pages = own.chain(tables).map(|region| u64::from(region.pages));
        pages.sum::<u64>() + u64::from(entry.quota_pages)
    }

    /// The places of the regions of memory that belong to a domain.
    pub fn memory_of(&self, domain: u32) -> impl Iterator<Item = usize> + use<'a> {
        let regions = self.regions.iter().enumerate();
        regions.filter(move |(_, region)| region.owner == domain && is_memory(region)).map(|(place, _)| place)
    }

    /// The places of those among them that are memory of the budget.
    pub fn budget_of(&self, domain: u32) -> impl Iterator<Item = usize> + use<'a> {
        let plan = *self;
        self.memory_of(domain).filter(move |place| plan.is_of_budget(*place))
    }

    /// The place of the memory of a domain's guest, if that is of the budget.
    #[must_use]
    pub fn guests_memory(&self, domain: u32) -> Option<usize> {
        let guest = self.guests.iter().find(|guest| guest.domain == domain)?;
        self.budget_of(domain).find(|place| guest.attached.iter().any(|of| *of as usize == *place))
    }

    /// What a domain can be started with.
    pub fn images_of(&self, domain: u32) -> impl Iterator<Item = &'a ImageEntry> + use<'a> {
        self.images.iter().filter(move |image| image.domain == domain)
    }

    /// The place in the plan of one of the images of a domain, or [`NONE`] if it has fewer.
    #[must_use]
    pub fn image_at(&self, domain: u32, place: u8) -> u32 {
        let mut its = (0..).zip(self.images).filter(|(_, image)| image.domain == domain);
        its.nth(place.into()).map_or(NONE, |(image, _)| image)
    }

    /// The program that a domain runs with one of its images: its own, unless that image has another one.
    ///
    /// # Errors
    /// [`BuildError::Image`].
    pub fn program(&self, domain: u32, place: u8) -> Result<Program, BuildError> {
        let (own, image) = (self.domain(domain)?, self.image_at(domain, place));
        match self.programs.iter().find(|other| image != NONE && other.image == image) {
            Some(other) => Ok(other_program(own, other)),
            None => Ok(Program {
                domain: own.name,
                image_offset: own.image_offset,
                image_bytes: own.image_bytes,
                digest: own.digest,
                entry: self.first_thread(domain)?.entry,
            }),
        }
    }

    /// Every program: that of each domain, then those that domains run with other images.
    ///
    /// # Errors
    /// [`BuildError::Image`] for one that is of no domain.
    pub fn all_programs(&self) -> impl Iterator<Item = Result<Program, BuildError>> + use<'a> {
        let plan = *self;
        let own = (0..).zip(self.domains).map(move |(domain, _)| plan.program(domain, 0));
        own.chain(self.programs.iter().map(move |other| {
            let image = plan.images.get(other.image as usize);
            let image = image.ok_or(BuildError::Image("a program is of no image"))?;
            Ok(other_program(plan.domain(image.domain)?, other))
        }))
    }

    /// Whether a region is made of memory of the budget.
    #[must_use]
    pub fn is_of_budget(&self, region: usize) -> bool {
        self.regions.get(region).map(source) == Some(Ok(RegionSource::Budget))
    }

    /// Whether a domain owns a region, sees it or holds it, or its guest takes it.
    #[must_use]
    pub fn needs(&self, domain: u32, region: usize) -> bool {
        let sees = |mapping: &MappingEntry| mapping.domain == domain && mapping.region as usize == region;
        let holds = |slot: &RegionSlotEntry| slot.domain == domain && slot.region as usize == region;
        let takes = |guest: &GuestEntry| guest.domain == domain && guest.tables as usize == region;
        self.regions.get(region).is_some_and(|region| region.owner == domain)
            || self.mappings.iter().any(sees)
            || self.region_slots.iter().any(holds)
            || self.guests.iter().any(takes)
    }

    /// A domain.
    ///
    /// # Errors
    /// [`BuildError::Image`].
    pub fn domain(&self, index: u32) -> Result<&'a DomainEntry, BuildError> {
        self.domains.get(index as usize).ok_or(BuildError::Image("the plan names a domain that is not there"))
    }

    /// What happens when a domain faults.
    ///
    /// # Errors
    /// [`BuildError::Image`].
    pub fn on_fault(&self, index: u32) -> Result<FaultPolicy, BuildError> {
        let policy = FaultPolicy::from_number(self.domain(index)?.on_fault);
        policy.ok_or(BuildError::Image("a domain's fault policy is unknown"))
    }

    /// About what the monitor is asked before a domain does so.
    ///
    /// # Errors
    /// [`BuildError::Image`].
    pub fn asked(&self, index: u32) -> Result<Classes, BuildError> {
        let classes = Classes::from_bits(self.domain(index)?.asked);
        classes.ok_or(BuildError::Image("a class of access is unknown"))
    }

    /// Whether the builder starts a domain again after a fault.
    #[must_use]
    pub fn is_restarted(&self, domain: u32) -> bool {
        self.on_fault(domain) == Ok(FaultPolicy::Restart)
    }

    /// Whether a domain is started on request.
    #[must_use]
    pub fn is_on_request(&self, domain: u32) -> bool {
        let start = self.domain(domain).map(|entry| StartPolicy::from_number(entry.start));
        start == Ok(Some(StartPolicy::OnRequest))
    }

    /// Whether the builder has to do with a domain when all are built.
    #[must_use]
    pub fn is_kept(&self, domain: u32) -> bool {
        self.is_restarted(domain) || self.is_on_request(domain)
    }

    /// A domain, by its name.
    #[must_use]
    pub fn named(&self, name: Name) -> Option<u32> {
        (0..).zip(self.domains).find(|(_, entry)| entry.name == name).map(|(domain, _)| domain)
    }

    /// The first thread of a domain.
    ///
    /// # Errors
    /// [`BuildError::Image`].
    pub fn first_thread(&self, domain: u32) -> Result<&'a ThreadEntry, BuildError> {
        let thread = self.threads.iter().find(|thread| thread.domain == domain);
        thread.ok_or(BuildError::Image("a domain has no thread"))
    }

    /// The domain of a thread.
    ///
    /// # Errors
    /// [`BuildError::Image`].
    pub fn domain_of(&self, thread: u32) -> Result<u32, BuildError> {
        let thread = self.threads.get(thread as usize);
        thread
            .map(|thread| thread.domain)
            .ok_or(BuildError::Image("the plan names a thread that is not there"))
    }

    /// A region.
    ///
    /// # Errors
    /// [`BuildError::Image`].
    pub fn region(&self, place: usize) -> Result<&'a RegionEntry, BuildError> {
        self.regions.get(place).ok_or(BuildError::Image("the plan names a region that is not there"))
    }

    /// The files that a region holds.
    pub fn files_of(&self, region: usize) -> impl Iterator<Item = &'a FileEntry> + use<'a> {
        self.files.iter().filter(move |file| file.region as usize == region)
    }

    /// Who handles the faults of a domain.
    ///
    /// # Errors
    /// [`BuildError::Image`].
    pub fn handler_of(&self, domain: u32) -> Result<&'a SupervisionEntry, BuildError> {
        let handler = self.supervisions.iter().find(|handler| handler.subject == domain);
        handler.ok_or(BuildError::Image("nobody handles the faults of a domain"))
    }

    /// The area of a device that a region shows.
    ///
    /// # Errors
    /// [`BuildError::Image`].
    pub fn area_of(&self, region: usize) -> Result<&'a AreaEntry, BuildError> {
        let area = self.areas.iter().find(|area| area.region as usize == region);
        area.ok_or(BuildError::Image("a region shows no area of a device"))
    }

    /// The device that an entry of the plan names.
    ///
    /// # Errors
    /// [`BuildError::Image`].
    pub fn device(&self, index: u32) -> Result<&'a DeviceEntry, BuildError> {
        self.devices.get(index as usize).ok_or(BuildError::Image("registers are of no device"))
    }

    /// The device whose configuration page a region is, and its PCI function.
    ///
    /// # Errors
    /// [`BuildError::Image`].
    pub fn function_of(&self, region: usize) -> Result<(&'a DeviceEntry, PciFunction), BuildError> {
        let page = self.configuration_pages.iter().find(|page| page.region as usize == region);
        let page = page.ok_or(BuildError::Image("a region is no device's configuration page"))?;
        let device = self.device(page.device)?;
        let function = u16::try_from(device.pci_function).map(PciFunction::new);
        function
            .map(|function| (device, function))
            .map_err(|_| BuildError::Image("a device is on no bus of PCI"))
    }

    /// The devices of a domain, each with its place.
    pub fn devices_of(&self, domain: u32) -> impl Iterator<Item = u32> + use<'a> {
        let devices = (0..).zip(self.devices);
        devices.filter(move |(_, device)| device.domain == domain).map(|(place, _)| place)
    }

    /// How many threads a domain has, interrupts of devices, and ports of the machine.
    #[must_use]
    pub fn counts_of(&self, domain: u32) -> (u32, u32, u32) {
        let is_its = |device| self.devices.get(device as usize).is_some_and(|device| device.domain == domain);
        let threads = self.threads.iter().filter(|thread| thread.domain == domain).count();
        let interrupts = self.interrupts.iter().filter(|interrupt| is_its(interrupt.device)).count();
        let ranges = self.io_ranges.iter().filter(|range| is_its(range.device));
        (threads as u32, interrupts as u32, ranges.map(|range| u32::from(range.count)).sum())
    }
}

fn other_program(domain: &DomainEntry, other: &ProgramEntry) -> Program {
    let ProgramEntry { image_offset, image_bytes, digest, entry, .. } = *other;
    Program { domain: domain.name, image_offset, image_bytes, digest, entry }
}

/// Whether a region takes memory.
pub(crate) fn is_memory(region: &RegionEntry) -> bool {
    matches!(source(region), Ok(RegionSource::Memory | RegionSource::Budget))
}

/// What a region is made of.
pub(crate) fn source(region: &RegionEntry) -> Result<RegionSource, BuildError> {
    RegionSource::from_number(region.source).ok_or(BuildError::Image("a region's source is unknown"))
}

fn table<T: FromBytes + KnownLayout + Immutable>(plan: &[u8], table: Table) -> Result<&[T], BuildError> {
    let cut = BuildError::Image("a table of the plan is not all there");
    let rest = plan.get(table.offset as usize..).ok_or(cut)?;
    <[T]>::ref_from_prefix_with_elems(rest, table.count as usize).map(|(entries, _)| entries).map_err(|_| cut)
}
