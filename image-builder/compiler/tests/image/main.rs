//! The image read back as the kernel and the builder read it: everything in it fits together.

mod guest;
mod management;
mod network;
mod policy;
mod random;
mod rows;
#[path = "../support/mod.rs"]
mod support;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use cloison_abi::image::{IMAGE_MAGIC, ImageHeader};
use cloison_abi::info::{
    Area, Client, ConfigurationPage, INFO_MAGIC, InfoHeader, Record, Region, SETTINGS_ARGUMENTS,
    SETTINGS_PORTS, Settings, Subject, Use,
};
use cloison_abi::limits::{INFO_ADDRESS, MAX_SLOTS, PAGE_BYTES, PLAN_EVENTS};
use cloison_abi::plan::{
    AreaEntry, ConfigurationPageEntry, DeviceEntry, DmaEntry, DomainEntry, EventEntry, FaultPolicy,
    FileEntry, GateEntry, GuestEntry, ImageEntry, InterruptEntry, IoRangeEntry, LoadEntry, MappingEntry,
    NONE, PLAN_MAGIC, PlanHeader, ProgramEntry, RegionEntry, RegionSlotEntry, RegionSource, RightEntry,
    SupervisionEntry, Table, ThreadEntry,
};
use cloison_abi::port::{DEFAULT_VLAN, PortFlags, PortSettings, UPLINK_MTU};
use cloison_abi::{ABI_VERSION, InterruptSource, Name, ObjectKind, Rights};
use image_compiler::System;
use image_compiler::digest::digest;
use zerocopy::{FromBytes, Immutable, KnownLayout};

/// An image and the tables in it.
struct Read {
    image: Vec<u8>,
    header: ImageHeader,
    plan: PlanHeader,
    domains: Vec<DomainEntry>,
    threads: Vec<ThreadEntry>,
    regions: Vec<RegionEntry>,
    loads: Vec<LoadEntry>,
    mappings: Vec<MappingEntry>,
    devices: Vec<DeviceEntry>,
    areas: Vec<AreaEntry>,
    configuration_pages: Vec<ConfigurationPageEntry>,
    io_ranges: Vec<IoRangeEntry>,
    interrupts: Vec<InterruptEntry>,
    dma: Vec<DmaEntry>,
    gates: Vec<GateEntry>,
    events: Vec<EventEntry>,
    region_slots: Vec<RegionSlotEntry>,
    supervisions: Vec<SupervisionEntry>,
    rights: Vec<RightEntry>,
    guests: Vec<GuestEntry>,
    files: Vec<FileEntry>,
    images: Vec<ImageEntry>,
    programs: Vec<ProgramEntry>,
}

impl Read {
    /// The image of the manifest that has every key.
    fn everything() -> Self {
        Self::of(&support::everything())
    }

    fn of(system: &System) -> Self {
        let binaries = support::binaries(system, &support::elf(0x40_1000, &support::segments()));
        let plan = image_compiler::plan(system, &binaries).unwrap();
        Self::new(image_compiler::image(system, &plan))
    }

    fn new(image: Vec<u8>) -> Self {
        let (header, _) = ImageHeader::read_from_prefix(&image).unwrap();
        let bytes = slice(&image, header.plan_offset, header.plan_bytes).to_vec();
        let (plan, _) = PlanHeader::read_from_prefix(&bytes).unwrap();
        Self {
            header,
            plan,
            domains: table(&bytes, plan.domains),
            threads: table(&bytes, plan.threads),
            regions: table(&bytes, plan.regions),
            loads: table(&bytes, plan.loads),
            mappings: table(&bytes, plan.mappings),
            devices: table(&bytes, plan.devices),
            areas: table(&bytes, plan.areas),
            configuration_pages: table(&bytes, plan.configuration_pages),
            io_ranges: table(&bytes, plan.io_ranges),
            interrupts: table(&bytes, plan.interrupts),
            dma: table(&bytes, plan.dma),
            gates: table(&bytes, plan.gates),
            events: table(&bytes, plan.events),
            region_slots: table(&bytes, plan.region_slots),
            supervisions: table(&bytes, plan.supervisions),
            rights: table(&bytes, plan.rights),
            guests: table(&bytes, plan.guests),
            files: table(&bytes, plan.files),
            images: table(&bytes, plan.images),
            programs: table(&bytes, plan.programs),
            image,
        }
    }

    fn domain(&self, name: &str) -> u32 {
        self.domains.iter().position(|domain| domain.name.as_str() == name).unwrap() as u32
    }

    fn mappings_of(&self, domain: u32) -> impl Iterator<Item = &MappingEntry> {
        self.mappings.iter().filter(move |mapping| mapping.domain == domain)
    }

    /// The slots of a domain that the plan fills. A thread has the index of its domain.
    fn slots_of(&self, domain: u32) -> Vec<u32> {
        let mut slots = Vec::new();
        slots.extend(self.gates.iter().map(|entry| (entry.domain, entry.slot)));
        slots.extend(self.events.iter().map(|entry| (entry.domain, entry.slot)));
        slots.extend(self.region_slots.iter().map(|entry| (entry.domain, entry.slot)));
        slots.extend(self.supervisions.iter().map(|entry| (entry.domain, entry.slot)));
        slots.extend(self.rights.iter().map(|entry| (entry.domain, entry.slot)));
        slots.extend(self.guests.iter().map(|entry| (entry.domain, entry.slot)));
        slots.extend(self.interrupts.iter().map(|entry| (entry.thread, entry.slot)));
        slots.into_iter().filter(|(holder, _)| *holder == domain).map(|(_, slot)| slot).collect()
    }

    fn thread(&self, domain: u32) -> &ThreadEntry {
        let thread = &self.threads[domain as usize];
        assert_eq!((thread.domain, thread.cpu), (domain, 0));
        thread
    }

    fn is_memory(&self, region: u32) -> bool {
        match RegionSource::from_number(self.regions[region as usize].source).unwrap() {
            RegionSource::Memory | RegionSource::Budget => {
                !self.areas.iter().any(|area| area.region == region)
            }
            RegionSource::Device => {
                assert_eq!(self.areas.iter().filter(|area| area.region == region).count(), 1);
                false
            }
            RegionSource::ConfigurationPage => {
                assert_eq!(self.configuration_pages.iter().filter(|page| page.region == region).count(), 1);
                false
            }
            // Its one reader sees it.
            RegionSource::BootLog => false,
        }
    }

    /// The memory of a domain's private region as the loads fill it.
    fn private_memory(&self, domain: u32) -> Vec<u8> {
        let mut memory = vec![0; self.regions[domain as usize].pages as usize * PAGE_BYTES as usize];
        for load in self.loads.iter().filter(|load| load.region == domain) {
            let start = load.region_offset as usize;
            memory[start..start + load.bytes as usize].copy_from_slice(slice(
                &self.image,
                load.image_offset,
                load.bytes,
            ));
        }
        memory
    }

    /// The information page of a domain.
    fn info_page(&self, domain: u32) -> Vec<u8> {
        let page = self.mappings_of(domain).find(|mapping| mapping.address == INFO_ADDRESS).unwrap();
        self.private_memory(domain)[page.first_page as usize * PAGE_BYTES as usize..].to_vec()
    }

    fn info(&self, domain: u32) -> InfoHeader {
        InfoHeader::read_from_prefix(&self.info_page(domain)).unwrap().0
    }

    /// The records of a kind on a domain's information page.
    fn told<T: Record + Copy>(&self, domain: u32) -> Vec<T> {
        table(&self.info_page(domain), T::table(&self.info(domain)))
    }

    /// The record of this name.
    fn told_of<T: Record + Copy>(&self, domain: u32, name: &str) -> Option<T> {
        self.told::<T>(domain).into_iter().find(|record| record.name().as_str() == name)
    }

    /// What a server is told of the client of this name.
    fn client(&self, server: u32, name: &str) -> Client {
        let is_it = |client: &Client| client.channel.peer.as_str() == name;
        self.told(server).into_iter().find(is_it).unwrap()
    }
}

fn slice(bytes: &[u8], offset: u64, length: u64) -> &[u8] {
    &bytes[offset as usize..][..length as usize]
}

fn table<T: FromBytes + Immutable + KnownLayout + Copy>(plan: &[u8], table: Table) -> Vec<T> {
    assert!(table.offset.is_multiple_of(8));
    let bytes = &plan[table.offset as usize..][..table.count as usize * size_of::<T>()];
    bytes.chunks(size_of::<T>()).map(|entry| T::read_from_bytes(entry).unwrap()).collect()
}

fn end(mapping: &MappingEntry) -> u64 {
    mapping.address + u64::from(mapping.pages) * PAGE_BYTES
}

#[test]
fn the_headers_say_what_the_file_holds() {
    let read = Read::everything();
    assert_eq!((read.header.magic, read.header.abi_version), (IMAGE_MAGIC, ABI_VERSION));
    assert_eq!((read.plan.magic, read.plan.abi_version), (PLAN_MAGIC, ABI_VERSION));
    assert_eq!((read.header.serial_port, read.header.exit_port), (0x3f8, 0xf4));
    assert_eq!(read.header.image_bytes, read.image.len() as u64);
    assert_eq!(u64::from(read.plan.plan_bytes), read.header.plan_bytes);
    let plan = slice(&read.image, read.header.plan_offset, read.header.plan_bytes);
    assert_eq!(digest(plan), read.header.plan_digest);
    assert_eq!(read.plan.system.as_str(), "test");
    assert_eq!(read.plan.ends_with, read.domain("client"));
}

#[test]
fn two_runs_give_the_same_image() {
    assert!(Read::everything().image == Read::everything().image);
}

#[test]
fn the_builder_is_laid_out_flat_and_in_full() {
    let read = Read::everything();
    let segments = &read.header.builder_segments[..read.header.builder_segment_count as usize];
    assert_eq!(segments[0].address, INFO_ADDRESS);
    for (one, next) in segments.iter().zip(&segments[1..]) {
        assert!(one.address + u64::from(one.pages) * PAGE_BYTES <= next.address);
    }
    for segment in segments {
        let length = u64::from(segment.pages) * PAGE_BYTES;
        assert!(segment.image_offset.is_multiple_of(PAGE_BYTES) && segment.image_offset > 0);
        assert!(segment.image_offset + length <= read.header.plan_offset);
        let rights = Rights::from_bits(segment.rights).unwrap();
        assert!(!rights.contains(Rights::WRITE | Rights::EXECUTE));
    }
    let code = segments.iter().find(|segment| segment.address == 0x40_1000).unwrap();
    assert_eq!(slice(&read.image, code.image_offset, 0x1800), support::segments()[0].bytes);
    let stack = segments
        .iter()
        .find(|one| one.address + u64::from(one.pages) * PAGE_BYTES == read.header.builder_stack);
    assert_eq!(stack.unwrap().pages, 16);
}

#[test]
fn every_domain_has_its_program_its_zeros_and_its_digest() {
    let read = Read::everything();
    let segments = support::segments();
    for (index, domain) in read.domains.iter().enumerate() {
        let image = slice(&read.image, domain.image_offset, domain.image_bytes);
        assert_eq!(digest(image), domain.digest);
        let memory = read.private_memory(index as u32);
        for segment in &segments {
            let mapping =
                read.mappings_of(index as u32).find(|mapping| mapping.address == segment.address).unwrap();
            let memory = &memory[mapping.first_page as usize * PAGE_BYTES as usize..];
            assert!(memory.starts_with(&segment.bytes));
            let rest = &memory[segment.bytes.len()..mapping.pages as usize * PAGE_BYTES as usize];
            assert!(rest.iter().all(|byte| *byte == 0));
        }
    }
}

#[test]
fn nothing_overlaps_and_nothing_is_writable_and_executable() {
    check_mappings(&Read::everything());
}

fn check_mappings(read: &Read) {
    for domain in 0..read.domains.len() as u32 {
        let mappings: Vec<_> = read.mappings_of(domain).collect();
        for (one, next) in mappings.iter().zip(&mappings[1..]) {
            assert!(end(one) <= next.address);
        }
        for mapping in mappings {
            assert!(mapping.address >= INFO_ADDRESS && mapping.address.is_multiple_of(PAGE_BYTES));
            assert!(mapping.first_page + mapping.pages <= read.regions[mapping.region as usize].pages);
            let rights = Rights::from_bits(mapping.rights).unwrap();
            assert!(!rights.contains(Rights::WRITE | Rights::EXECUTE));
        }
    }
}

#[test]
fn stack_heap_and_shared_memory_have_guard_pages() {
    let read = Read::everything();
    for index in 0..read.domains.len() {
        let mappings: Vec<_> = read.mappings_of(index as u32).collect();
        let header = read.info(index as u32);
        let top = read.thread(index as u32).stack;
        let stack = mappings.iter().position(|mapping| end(mapping) == top).unwrap();
        let guarded = mappings.iter().enumerate().filter(|(place, mapping)| {
            *place == stack
                || (header.heap_bytes > 0 && mapping.address == header.heap_address)
                || mapping.address >= image_compiler::plan::SHARED_ADDRESS
        });
        for (place, mapping) in guarded {
            assert!(end(mappings[place - 1]) < mapping.address);
            assert!(mappings.get(place + 1).is_none_or(|next| end(mapping) < next.address));
        }
    }
}

/// Counts page tables in another way than the code does: page by page.
#[test]
fn quotas_are_the_page_tables_and_two_more() {
    check_quotas(&Read::everything());
}

fn check_quotas(read: &Read) {
    for (index, domain) in read.domains.iter().enumerate() {
        let pages = read.mappings_of(index as u32).flat_map(|mapping| {
            (0..u64::from(mapping.pages)).map(|page| mapping.address + page * PAGE_BYTES)
        });
        let tables: BTreeSet<_> =
            pages.flat_map(|page| [12 + 9, 12 + 18, 12 + 27].map(|bits| (bits, page >> bits))).collect();
        assert_eq!(u64::from(domain.quota_pages), 1 + tables.len() as u64 + 2, "{}", domain.name);
    }
}

#[test]
fn slots_and_event_bits_are_given_once() {
    let read = Read::everything();
    check_slots(&read);
    check_bits(&read);
    let is_own = |held: &RegionSlotEntry| read.regions[held.region as usize].owner == held.domain;
    assert!(read.region_slots.iter().all(is_own));
    let rights = |kind| read.rights.iter().filter(|right| right.kind == kind as u32).count();
    assert_eq!([ObjectKind::LogRight, ObjectKind::BuilderRight].map(rights), [1, 0]);
}

fn check_slots(read: &Read) {
    for domain in 0..read.domains.len() as u32 {
        let slots = read.slots_of(domain);
        let once: BTreeSet<_> = slots.iter().collect();
        assert!(once.len() == slots.len() && slots.iter().all(|slot| (1..MAX_SLOTS as u32).contains(slot)));
    }
}

fn check_bits(read: &Read) {
    let mut badges = BTreeSet::new();
    assert!(read.gates.iter().all(|gate| badges.insert((gate.server, gate.badge))));
    let mut bits: Vec<_> = read.events.iter().map(|event| (event.target, event.event)).collect();
    bits.extend(read.interrupts.iter().map(|interrupt| (interrupt.thread, interrupt.event)));
    let told = read.rights.iter().filter(|right| right.event != NONE);
    bits.extend(told.map(|right| (right.domain, right.event)));
    bits.extend(read.supervisions.iter().map(|handler| (handler.domain, handler.event)));
    assert!(bits.iter().all(|(_, bit)| *bit < PLAN_EVENTS));
    assert_eq!(bits.iter().collect::<BTreeSet<_>>().len(), bits.len());
}

#[test]
fn client_and_server_are_told_the_same() {
    let read = Read::everything();
    let (client, server) = (read.domain("client"), read.domain("stpm"));
    let gate_use: Use = read.told_of(client, "tpm").unwrap();
    let client_of_it = read.client(server, "client");
    let (uses, serves) = (gate_use.channel, client_of_it.channel);
    assert_eq!((uses.peer.as_str(), client_of_it.name.as_str()), ("stpm", "tpm"));
    assert_eq!((uses.badge, uses.option, uses.bytes), (serves.badge, serves.option, serves.bytes));
    assert_eq!((uses.option, uses.bytes), (2, 2 * PAGE_BYTES));
    let gate = read.gates.iter().find(|gate| (gate.domain, gate.slot) == (client, gate_use.slot)).unwrap();
    assert_eq!((gate.server, gate.badge), (server, serves.badge.0));
    let is_event = |event: &&EventEntry| (event.domain, event.slot) == (server, serves.signal_slot);
    let event = read.events.iter().find(is_event).unwrap();
    assert_eq!((event.target, event.event), (client, uses.event_bit));
    assert_eq!((uses.signal_slot, serves.event_bit), (NONE, NONE));
    let region =
        |domain, address| read.mappings_of(domain).find(|one| one.address == address).unwrap().region;
    assert_eq!(region(client, uses.address), region(server, serves.address));
}

#[test]
fn a_shared_region_has_two_who_see_it_and_a_private_one_has_one() {
    let read = Read::everything();
    let mut seen: BTreeMap<u32, BTreeSet<u32>> = BTreeMap::new();
    for mapping in &read.mappings {
        seen.entry(mapping.region).or_default().insert(mapping.domain);
    }
    for (region, domains) in seen {
        let entry = &read.regions[region as usize];
        let expected = if entry.owner == NONE && read.is_memory(region) { 2 } else { 1 };
        assert_eq!(domains.len(), expected, "{}", entry.name);
    }
}

#[test]
fn the_rest_of_the_manifest_reaches_the_plan() {
    let read = Read::everything();
    let stpm = read.thread(read.domain("stpm"));
    assert_eq!((stpm.priority, stpm.budget_us, stpm.period_us), (20, 5_000, 10_000));
    assert_eq!(read.domains[stpm.domain as usize].on_fault, FaultPolicy::Restart as u32);
    let (client, keeper) = (read.domain("client"), read.domain("keeper"));
    assert_eq!(read.domains[client as usize].on_fault, FaultPolicy::Handler as u32);
    let [handler] = read.supervisions[..] else { panic!("one handler") };
    assert_eq!((handler.domain, handler.subject), (keeper, client));
    let [handled] = read.told::<Subject>(keeper)[..] else { panic!("one subject") };
    assert_eq!((handled.name.as_str(), handled.event_bit), ("client", handler.event));
    let [own] = read.told::<Region>(keeper)[..] else { panic!("one region") };
    assert_eq!((own.name.as_str(), own.bytes), ("scratch", 4 * PAGE_BYTES));
    let driver = |device: u32| read.devices[device as usize].domain;
    let ranges = read.io_ranges.iter();
    let ports: Vec<_> = ranges.map(|range| (driver(range.device), range.first, range.count)).collect();
    assert_eq!(ports, [(read.domain("console"), 0x3f8, 8), (read.domain("recorder"), 0xe9, 1)]);
    let header = read.info(read.domain("client"));
    assert_eq!((header.magic, header.domain.as_str(), header.heap_bytes), (INFO_MAGIC, "client", 128 * 1024));
}

#[test]
fn a_grant_fills_slots_that_the_server_has_kept_free() {
    let read = Read::everything();
    let (first, second) = (read.domain("first"), read.domain("second"));
    let gate = read.gates.iter().find(|gate| gate.domain == first).unwrap();
    assert_eq!((gate.server, gate.grants), (second, 2));
    let kept = gate.first_grant..gate.first_grant + gate.grants;
    assert!(read.slots_of(second).iter().all(|slot| !kept.contains(slot)));
}

#[test]
fn report_and_drawings_name_everyone() {
    let system = support::everything();
    let binaries = support::binaries(&system, &support::elf(0x40_1000, &support::segments()));
    let plan = image_compiler::plan(&system, &binaries).unwrap();
    let image = image_compiler::image(&system, &plan);
    let texts = [
        image_compiler::report(&system, Some((&plan, &image))),
        image_compiler::report(&system, None),
        image_compiler::graph_svg(&system),
        image_compiler::graph_dot(&system),
    ];
    for text in texts {
        for name in ["console", "stpm", "client", "keeper", "first", "second", "quiet", "uart0", "tpm-tis"] {
            assert!(text.contains(name), "{name} is missing in:\n{text}");
        }
    }
}

/// Reviewers compare reports, and so does this test. With `UPDATE` set it writes a new report.
#[test]
#[allow(clippy::disallowed_methods, reason = "this is the test that asks, not the compiler")]
fn the_report_is_the_one_reviewed() {
    let system = support::everything();
    let binaries = support::binaries(&system, &support::elf(0x40_1000, &support::segments()));
    let plan = image_compiler::plan(&system, &binaries).unwrap();
    let found = image_compiler::report(&system, Some((&plan, &image_compiler::image(&system, &plan))));
    let path = support::fixtures().root.join("manifests/everything.report.txt");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &found).unwrap();
    }
    let reviewed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == reviewed, "not what {} says; run with UPDATE=1 and review it:\n{found}", path.display());
}

impl Read {
    /// The settings of a domain, as the domain reads them.
    fn settings(&self, domain: u32, name: &str) -> Vec<u8> {
        let Some(entry) = self.told_of::<Settings>(domain, name) else { return Vec::new() };
        let mut mappings = self.mappings_of(domain);
        let part = mappings.find(|part| (part.address..end(part)).contains(&entry.address)).unwrap();
        assert_eq!((part.region, part.rights), (domain, Rights::READ.bits()));
        let start = u64::from(part.first_page) * PAGE_BYTES + entry.address - part.address;
        slice(&self.private_memory(domain), start, entry.bytes).to_vec()
    }

    /// The ports that a domain's settings tell of.
    fn ports_of(&self, domain: u32) -> Vec<PortSettings> {
        let bytes = self.settings(domain, SETTINGS_PORTS);
        assert!(bytes.len().is_multiple_of(size_of::<PortSettings>()));
        bytes
            .chunks(size_of::<PortSettings>())
            .map(|port| PortSettings::read_from_bytes(port).unwrap())
            .collect()
    }
}

#[test]
fn one_way_memory_is_written_by_one_side_only() {
    let read = Read::everything();
    let (client, server) = (read.domain("alice"), read.domain("ore"));
    let uses = read.told_of::<Use>(client, "net").unwrap().channel;
    let serves = read.client(server, "alice").channel;
    assert_eq!((uses.bytes, serves.bytes), (33 * PAGE_BYTES, 33 * PAGE_BYTES));
    let view = |domain, address| {
        let mapping = read.mappings_of(domain).find(|one| one.address == address).unwrap();
        (mapping.region, mapping.first_page, mapping.pages, Rights::from_bits(mapping.rights).unwrap())
    };
    let (region, both) = (view(client, uses.address).0, Rights::READ | Rights::WRITE);
    assert_eq!(view(client, uses.address), (region, 0, 33, both));
    assert_eq!(view(server, serves.incoming_address), (region, 0, 33, Rights::READ));
    assert_eq!(view(server, serves.address), (region, 33, 33, both));
    assert_eq!(view(client, uses.incoming_address), (region, 33, 33, Rights::READ));
    assert_eq!(read.regions[region as usize].pages, 66);
}
