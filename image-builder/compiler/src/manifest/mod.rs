//! The files as they are written: the system's manifest, the components' files and the platform's file.
//!
//! Nothing is looked up here and nothing is judged but form. Every value keeps its place.

mod addition;
mod assert;
mod component;
mod disk;
mod domain;
mod files;
mod guest;
mod management;
mod menu;
mod nearby;
mod payload;
mod platform;
mod policy;
mod problem;
mod reader;
mod repeats;
mod spoiled;
mod switch;
mod syntax;
mod text_file;
mod trust;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub use addition::Addition;
pub use assert::AssertTable;
pub use component::{Component, DeviceNeed, GateNeed, Offer, OptionRule, RegionNeed};
pub use disk::{DISK_GATE, DiskFiles, DiskTable, DiskUse};
pub use domain::{DomainTable, UseTable};
pub use files::{Lookup, component, payloads};
pub use guest::{GuestFile, GuestFiles, GuestNeed, GuestTable, MAX_IMAGE_BYTES, is_path};
pub use management::{GroupTable, PermitTable};
pub use menu::MenuTable;
pub use payload::{Debian, Extra, Listed, Package, Payload, Purpose};
pub use platform::{
    AskedBy, BOOT_LOG, Device, DeviceMemory, DevicePorts, Irq, IrqLine, NETWORK_CARD, Platform, Trigger,
};
pub use policy::{PartTable, PolicyTable, RuleTable, WallTable};
pub use reader::{MAX_DEPTH, Problem, ProblemKind};
pub use spoiled::Spoiled;
pub use switch::{DEFAULT_GATE, ForwardTable, PortTable, SwitchTable};
pub use text_file::{FileFacts, MAX_FILE_BYTES};
pub use trust::TrustBudget;

use cloison_abi::image::Digest;

use crate::diagnostic::{At, Sources, Span, closest};
use crate::digest::digest;
use crate::workspace::{BUILDER, Workspace};
use files::Files;
use reader::Reader;

/// Everything that was read for one system.
#[derive(Debug, Clone)]
pub struct Inputs {
    /// Where components and platforms are found.
    pub workspace: Workspace,
    /// The texts.
    pub sources: Sources,
    /// The faults in how they are written.
    pub problems: Vec<Problem>,
    /// The keys that cannot be judged because of that.
    pub spoiled: Spoiled,
    /// The manifest.
    pub manifest: Manifest,
    /// The additions on the command line, by name.
    pub addition: Option<&'static str>,
    /// SHA-256 of its text, and of what was added to it.
    pub digest: Digest,
    /// The components that it names, those that it probably means, and the builder.
    pub components: BTreeMap<String, Lookup<Component>>,
    /// For a name that no component has, that of the one that is probably meant.
    pub meant_components: BTreeMap<String, String>,
    /// The platform that it names.
    pub platform: Lookup<Platform>,
    /// The platform that it probably means, if there is none of that name.
    pub meant_platform: Option<Platform>,
    /// The manifest's folder, from which paths in it are seen.
    pub folder: PathBuf,
    /// The files that its guests begin with.
    pub guest_files: GuestFiles,
    /// The files that are its disks.
    pub disk_files: DiskFiles,
    /// The payloads that there are; none if the manifest names none.
    pub payloads: Lookup<Listed>,
    /// Components that there are, for proposals.
    pub known_components: Vec<String>,
    /// Platforms that there are, for proposals.
    pub known_platforms: Vec<String>,
    /// What to do about a manifest that could not be read.
    pub unread: Option<String>,
}

/// The value of `start` for a domain that the manager starts.
pub const ON_REQUEST: &str = "on-request";
/// What `start` can be.
pub const STARTS: [&str; 2] = ["boot", ON_REQUEST];

/// A system's manifest.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "the fields' names say what they are")]
pub struct Manifest {
    /// Its first byte.
    pub start: Span,
    /// Name of the system.
    pub name: Option<At<String>>,
    /// The platform that it runs on.
    pub platform: Option<At<String>>,
    /// The domain whose end is the end of the run.
    pub ends_with: Option<At<String>>,
    /// The machine's memory, in MiB, in place of the platform's.
    pub memory_mib: Option<At<u64>>,
    /// Whether the builder prints the census of rights.
    pub has_census: bool,
    /// Where it says that the builder keeps no right when the system runs.
    pub keeps_no_rights: Option<Span>,
    pub domains: Vec<DomainTable>,
    pub switches: Vec<SwitchTable>,
    pub disks: Vec<DiskTable>,
    /// Ports of the host that lead into it.
    pub forwards: Vec<ForwardTable>,
    /// Memory for the domains that are started on request.
    pub budget: Option<BudgetTable>,
    /// Groups of domains that are started together.
    pub groups: Vec<GroupTable>,
    /// Who decides what its domains may do to each other.
    pub policy: Option<PolicyTable>,
    /// What has to be true of what flows in it.
    pub asserts: Vec<AssertTable>,
    /// In place of a system: several, each in a manifest of its own.
    pub menu: Vec<MenuTable>,
}

/// `[budget]`.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "the fields' names say what they are")]
pub struct BudgetTable {
    /// Where it begins.
    pub at: Span,
    pub memory_mib: Option<At<u64>>,
    /// The highest priority that one of them may have.
    pub priority: Option<At<u64>>,
    /// The part of the CPU that is kept for all of them, in percent, at most.
    pub cpu_percent: Option<At<u64>>,
}

impl Inputs {
    /// Reads the manifest and every file that it names.
    #[must_use]
    pub fn read(workspace: &Workspace, path: &Path) -> Self {
        let mut sources = Sources::default();
        let mut problems = Vec::new();
        let (source, is_text) =
            text_file::read_file(path, path.display().to_string(), &mut sources, &mut problems);
        let text = sources.get(source).text.clone();
        let manifest = if is_text {
            reader::parse(source, &text, &mut problems, Manifest::read)
        } else {
            Manifest::nothing(Span { source, start: 0, end: 0 })
        };
        let mut inputs = Self {
            workspace: workspace.clone(),
            known_components: workspace.component_names(),
            known_platforms: workspace.platform_names(),
            sources,
            problems,
            spoiled: Spoiled::default(),
            addition: None,
            digest: digest(text.as_bytes()),
            manifest,
            components: BTreeMap::new(),
            meant_components: BTreeMap::new(),
            platform: Lookup::Broken,
            folder: path.parent().map_or_else(PathBuf::new, Path::to_owned),
            guest_files: GuestFiles::new(),
            disk_files: DiskFiles::new(),
            payloads: Lookup::Absent,
            meant_platform: None,
            unread: if is_text { None } else { nearby::proposal(workspace, path) },
        };
        inputs.read_platform();
        inputs.connect();
        inputs
    }

    /// The same with something added to the manifest, which is not read again: what was checked without the addition
    /// is what is built with it. Components that only the addition names are read.
    #[must_use]
    pub fn with(&self, addition: &Addition) -> Self {
        let mut inputs = self.clone();
        addition.read(&mut inputs.manifest, &mut inputs.sources, &mut inputs.problems);
        let text = &self.sources.get(self.manifest.start.source).text;
        inputs.digest = digest((text.clone() + &addition.text).as_bytes());
        inputs.addition = Some(addition.name);
        inputs.connect();
        inputs
    }

    /// The same on a machine with this memory, in MiB, in place of the system's or the platform's, if the user
    /// has asked for a size.
    #[must_use]
    pub fn with_memory(mut self, memory_mib: Option<u32>) -> Self {
        if let Some(memory_mib) = memory_mib {
            self.replace_memory(memory_mib.into(), AskedBy::Option);
        }
        self
    }

    fn replace_memory(&mut self, memory_mib: u64, by: AskedBy) {
        let found = match &mut self.platform {
            Lookup::Found(platform) => Some(platform),
            _ => self.meant_platform.as_mut(),
        };
        if let Some(platform) = found {
            platform.replace_memory(memory_mib, by);
        }
    }

    /// Puts in order what has been read, and reads the components that it names.
    fn connect(&mut self) {
        let Manifest { domains, switches, disks, forwards, .. } = &mut self.manifest;
        domains.sort_by_key(|domain| domain.name.span);
        switches.sort_by_key(|switch| switch.name.span);
        disks.sort_by_key(|disk| disk.name.span);
        forwards.sort_by_key(|forward| forward.name.span);
        switch::connect(switches, domains);
        domain::connect_disks(domains);
        disk::look_at_files(&mut self.disk_files, &self.folder, disks);
        self.read_components();
        let mut guest_files = std::mem::take(&mut self.guest_files);
        let guests = self.manifest.domains.iter().filter(|domain| !self.runs_programs(domain));
        guest::read_files(&mut guest_files, &self.folder, guests.map(|domain| &domain.guest));
        self.guest_files = guest_files;
        self.read_payloads();
        self.spoiled = Spoiled::new(&self.problems);
    }

    /// The component of this name, or the one that is probably meant.
    #[must_use]
    pub fn component(&self, name: &str) -> Option<&Component> {
        let name = self.meant_components.get(name).map_or(name, String::as_str);
        self.components.get(name).and_then(Lookup::found)
    }

    /// Whether the images of a domain are components: it runs one itself, and that has no guest.
    #[must_use]
    pub fn runs_programs(&self, domain: &DomainTable) -> bool {
        let component = domain.component.as_ref().and_then(|name| self.component(&name.value));
        component.is_some_and(|component| component.guest.is_none())
    }

    fn read_components(&mut self) {
        let names = std::iter::once(BUILDER).chain(self.manifest.component_names());
        let names: Vec<String> = names.map(str::to_owned).collect();
        names.iter().for_each(|name| self.read_component(name));
        // Whether they are components, those that run them say.
        let programs = self.manifest.domains.iter().filter(|domain| self.runs_programs(domain));
        let images = programs.flat_map(|domain| &domain.guest.images);
        let images: Vec<String> = images.map(|image| image.value.clone()).collect();
        images.iter().for_each(|name| self.read_component(name));
    }

    fn read_component(&mut self, name: &str) {
        if self.components.contains_key(name) {
            return;
        }
        let workspace = &self.workspace;
        let mut files = Files { workspace, sources: &mut self.sources, problems: &mut self.problems };
        let component = files.component(name);
        let known = self.known_components.iter().map(String::as_str);
        let meant = closest(name, known).filter(|_| matches!(component, Lookup::Absent));
        self.components.insert(name.to_owned(), component);
        if let Some(meant) = meant {
            self.components.entry(meant.to_owned()).or_insert_with(|| files.component(meant));
            self.meant_components.insert(name.to_owned(), meant.to_owned());
        }
    }

    /// Reads the file of payloads, once, if a guest or a disk begins with one.
    fn read_payloads(&mut self) {
        let is_named = self.guest_files.values().any(|file| matches!(file, GuestFile::Payload))
            || self.manifest.disks.iter().any(|disk| disk.payload().is_some());
        if is_named && matches!(self.payloads, Lookup::Absent) {
            let workspace = &self.workspace;
            let mut files = Files { workspace, sources: &mut self.sources, problems: &mut self.problems };
            self.payloads = files.payloads();
        }
    }

    /// The payload of this name.
    #[must_use]
    pub fn payload(&self, name: &str) -> Option<&Payload> {
        self.payloads.found()?.files.iter().find(|payload| payload.name.value == name)
    }

    /// What a disk of this name begins with.
    #[must_use]
    pub fn debian(&self, name: &str) -> Option<&Debian> {
        self.payloads.found()?.disks.iter().find(|debian| debian.name == name)
    }

    /// The payloads that guests begin with, and whose bytes are not here.
    pub fn payloads_wanted(&self) -> impl Iterator<Item = &Payload> {
        let wanted = self.guest_files.iter().filter(|(_, file)| matches!(file, GuestFile::Payload));
        wanted.filter_map(|(name, _)| self.payload(name))
    }

    /// The same with the bytes of a payload.
    #[must_use]
    pub fn with_payload(mut self, name: &str, bytes: Vec<u8>) -> Self {
        self.guest_files.insert(name.to_owned(), GuestFile::Here(bytes.into()));
        self
    }

    fn read_platform(&mut self) {
        let Some(At { value: name, .. }) = &self.manifest.platform else { return };
        let workspace = &self.workspace;
        let mut files = Files { workspace, sources: &mut self.sources, problems: &mut self.problems };
        self.platform = files.platform(name);
        if matches!(self.platform, Lookup::Absent) {
            let meant = closest(name, self.known_platforms.iter().map(String::as_str));
            self.meant_platform = meant.and_then(|name| files.platform(name).found().cloned());
        }
        if let Some(memory_mib) = &self.manifest.memory_mib {
            self.replace_memory(memory_mib.value, AskedBy::Manifest);
        }
    }
}

impl Manifest {
    fn nothing(start: Span) -> Self {
        Self {
            start,
            name: None,
            platform: None,
            ends_with: None,
            memory_mib: None,
            has_census: false,
            keeps_no_rights: None,
            domains: Vec::new(),
            switches: Vec::new(),
            disks: Vec::new(),
            forwards: Vec::new(),
            budget: None,
            groups: Vec::new(),
            policy: None,
            asserts: Vec::new(),
            menu: Vec::new(),
        }
    }

    fn read(reader: &mut Reader<'_, '_>) -> Self {
        let mut manifest = Self::nothing(reader.at());
        if let Some(kind) = other_kind(reader) {
            reader.is_of(kind);
            return manifest;
        }
        manifest.menu = reader.tables("menu", MenuTable::read);
        let read = |system: &mut Reader<'_, '_>| {
            manifest.name = system.required_text("name");
            manifest.platform = system.required_text("platform");
            manifest.ends_with = system.text("ends_with");
            manifest.memory_mib = system.number("memory_mib");
            manifest.has_census = system.flag("census");
            manifest.keeps_no_rights = system.cleared_flag("keeps_rights");
        };
        // A menu has no system of its own.
        let _ = if reader.has("menu") {
            reader.table("system", read)
        } else {
            reader.required_table("system", read)
        };
        manifest.read_parts(reader);
        manifest.asserts = reader.tables("assert", |table| Some(AssertTable::read(table)));
        manifest
    }

    /// Reads all tables but that of the system.
    fn read_parts(&mut self, reader: &mut Reader<'_, '_>) {
        self.domains = reader.entries("domain", |name, item| Some(DomainTable::read_item(name, item)));
        self.switches = reader.entries("switch", |name, item| Some(SwitchTable::read(name, item)));
        self.disks = reader.entries("disk", |name, item| Some(DiskTable::read(name, item)));
        self.forwards =
            reader.entries("forward", |name, item| item.table(|table| ForwardTable::read(name, table)));
        self.budget = reader.table("budget", |table| BudgetTable {
            at: table.at(),
            memory_mib: table.required_number("memory_mib"),
            priority: table.number("priority"),
            cpu_percent: table.number("cpu_percent"),
        });
        self.groups = reader.entries("group", GroupTable::read);
        self.policy = reader.table("policy", PolicyTable::read);
    }

    /// Whether it says anything of a system.
    #[must_use]
    pub fn has_system(&self) -> bool {
        self.name.is_some() || !self.domains.is_empty()
    }

    /// Memory for the domains that are started on request, in MiB.
    #[must_use]
    pub fn budget_mib(&self) -> u64 {
        self.budget.as_ref().and_then(|budget| budget.memory_mib.as_ref()).map_or(0, |mib| mib.value)
    }

    fn component_names(&self) -> impl Iterator<Item = &str> {
        self.domains.iter().filter_map(|domain| Some(domain.component.as_ref()?.value.as_str()))
    }
}

/// What a file is that says nothing of a system, and what only files of another kind say.
fn other_kind(reader: &Reader<'_, '_>) -> Option<&'static str> {
    let has = |keys: &[&str]| keys.iter().any(|key| reader.has(key));
    match has(&["system", "domain", "menu"]) {
        true => None,
        false if has(&["machine"]) => Some("platform"),
        false => has(&["summary", "needs", "offers"]).then_some("component"),
    }
}
