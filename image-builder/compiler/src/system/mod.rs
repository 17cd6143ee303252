//! The system with all names resolved: typed indices, values in range, nothing optional that is not.
//!
//! [`Draft`] is the step between: names looked up as far as they can be, for the checks to judge. Only a
//! draft in which no check found a fault becomes a [`System`].

mod disk;
mod draft;
mod forward;
mod guest;
mod management;
mod policy;
mod resolve;
mod schedule;
mod switch;

use std::net::Ipv4Addr;
use std::path::PathBuf;

pub use disk::{Disk, DiskContent, access, part};
pub use draft::{
    Call, DHCP, Draft, DraftDevice, DraftDisk, DraftDomain, DraftForward, DraftGateUse, DraftPort,
    DraftSwitch, Named, Read, settings,
};
pub use forward::{Forward, Unreachable, reach};
pub(crate) use guest::NoBytes;
pub(crate) use guest::page_count;
pub use guest::{File, FileId, Guest, GuestSizes, PAGES_IN_MIB, image_name};
pub(crate) use guest::{least_mib, unpack};
pub use management::{BMI_GATE, DomainGroup, MANAGE_RIGHT, Management, ManagementPermit};
pub use policy::{DraftPolicy, Part, Policy, Rule, Wall, asked, class, needs};
pub(crate) use resolve::{MAX_MEMORY_KIB, pages};
pub use schedule::{
    DEFAULT_PERIOD_US, Guarantee, HIGHEST_PRIORITY, LOWEST_PRIORITY, SHARED_US, Stated, StatedBudget,
    budgets, guarantees, needed, priorities, terms, titles,
};

pub use switch::{Mac, Network, PORT_GATE, Port, Switch, read_address};

pub use crate::manifest::{Component, Device, Offer, Platform, TrustBudget};

use crate::diagnostic::{At, Sources, Span};

/// Name of the gate behind which text goes to the log.
pub const LOG_GATE: &str = "log";

/// A system that has passed every check.
#[derive(Debug)]
pub struct System {
    pub(crate) sources: Sources,
    pub(crate) name: String,
    pub(crate) addition: Option<&'static str>,
    pub(crate) manifest_digest: cloison_abi::image::Digest,
    pub(crate) platform: Platform,
    pub(crate) components: Vec<Component>,
    pub(crate) folders: Vec<PathBuf>,
    pub(crate) domains: Vec<Domain>,
    pub(crate) switches: Vec<Switch>,
    pub(crate) disks: Vec<Disk>,
    pub(crate) forwards: Vec<Forward>,
    pub(crate) ends_with: Option<DomainId>,
    pub(crate) has_census: bool,
    pub(crate) budget_pages: u64,
    pub(crate) files: Vec<File>,
    pub(crate) policy: Option<Policy>,
    pub(crate) management: Management,
    pub(crate) asserts: Vec<Assertion>,
}

/// What a manifest asserts of what flows in its system.
#[derive(Debug, Clone)]
pub struct Assertion {
    /// The question.
    pub question: At<String>,
    /// The answer that it has to have.
    pub expects_yes: bool,
    /// The reason that the manifest gives.
    pub why: Option<String>,
}

/// A domain: an index into [`System::domains`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DomainId(pub(crate) usize);

/// A component: an index into the system's components. The builder's is 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ComponentId(pub(crate) usize);

/// A device: an index into the platform's devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct DeviceId(pub(crate) usize);

/// A gate: an index into the offers of the server's component.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct GateId(pub(crate) usize);

/// A domain and all that it is given.
#[derive(Debug)]
#[allow(missing_docs, reason = "the fields' names say what they are")]
pub struct Domain {
    pub name: String,
    /// Where the manifest begins it.
    pub at: Span,
    /// The component that it runs.
    pub component: ComponentId,
    /// Other components that it can be started with.
    pub images: Vec<ComponentId>,
    /// Text for its program.
    pub arguments: String,
    pub stack_pages: u64,
    pub heap_pages: u64,
    /// Gates that it may call, in the order in which its component needs them.
    pub uses: Vec<GateUse>,
    /// Devices that it owns.
    pub devices: Vec<Owned>,
    /// Rights that it holds.
    pub rights: Vec<At<Right>>,
    /// The policy for its faults.
    pub on_fault: OnFault,
    /// Where the manifest says so, or begins the domain.
    pub on_fault_at: Span,
    /// Where the manifest says that it is started on request, if it is.
    pub on_request: Option<Span>,
    /// Whether it is taken for granted that it passes nothing from one of its clients to another.
    pub keeps_apart: bool,
    pub priority: u64,
    /// How long it may run.
    pub budget: Budget,
    /// Whether it is meant that nothing may be left for it.
    pub is_best_effort: bool,
    /// The guest that it runs.
    pub guest: Option<Guest>,
    /// How much code its memory may rest on.
    pub rests_on_at_most: Option<TrustBudget>,
}

/// A gate that a domain may call.
#[derive(Debug)]
pub struct GateUse {
    /// The component's name for it.
    pub local: String,
    /// Whom it calls.
    pub server: DomainId,
    /// Which gate of the server.
    pub gate: GateId,
    /// The number fixed for this client.
    pub option: u64,
    /// Where the manifest says so.
    pub at: Span,
}

/// A device that a domain owns.
#[derive(Debug)]
pub struct Owned {
    /// The component's name for it.
    pub local: String,
    /// The device.
    pub device: DeviceId,
    /// Where the manifest says so.
    pub at: Span,
}

/// A right that a manifest can give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Right(pub cloison_abi::ObjectKind);

/// The policy for a domain that has faulted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFault {
    /// It stays stopped.
    Stop,
    /// The whole system stops.
    Halt,
    /// The builder starts it again.
    Restart,
    /// This domain decides.
    Handler(DomainId),
}

/// How long a domain may run at its priority.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Time in each period, in microseconds.
    pub budget_us: u64,
    /// Length of the period, in microseconds; 0: no limit.
    pub period_us: u64,
}

/// A component to build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComponentRef {
    /// Its name.
    pub name: String,
    /// The cargo package that it is.
    pub package: String,
    /// Where it is.
    pub folder: PathBuf,
}

/// A caller of a domain.
#[derive(Debug, Clone, Copy)]
pub struct Client<'a> {
    /// The caller.
    pub domain: DomainId,
    /// Its use of the gate.
    pub gate_use: &'a GateUse,
    /// The gate.
    pub offer: &'a Offer,
}

impl Domain {
    /// The components that it can run: first the one that it runs unless somebody chooses another one.
    pub fn programs(&self) -> impl Iterator<Item = ComponentId> + '_ {
        std::iter::once(self.component).chain(self.images.iter().copied())
    }

    /// What the manager calls what it can be started with on request, first what it has unless somebody chooses: kernels of its
    /// guest, or programs. Nothing if it has one program and no guest that begins with a file.
    #[must_use]
    pub fn image_names<'a>(&self, system: &'a System) -> Vec<&'a str> {
        let kernels =
            self.guest.iter().flat_map(Guest::kernels).map(|file| system.files[file.0].image_name());
        let programs = self.programs().filter(|_| !self.images.is_empty());
        let programs = programs.map(|program| system.component(program).name.as_str());
        kernels.chain(programs).filter(|_| self.on_request.is_some()).collect()
    }
}

impl Right {
    /// Every right that a manifest can give. The builder right is not among them: it is the builder's alone.
    pub const ALL: [Self; 5] = [
        Self(cloison_abi::ObjectKind::LogRight),
        Self(cloison_abi::ObjectKind::CensusRight),
        Self(cloison_abi::ObjectKind::ShutdownRight),
        Self(cloison_abi::ObjectKind::MonitorRight),
        Self(cloison_abi::ObjectKind::ManageRight),
    ];

    /// Whether its holder is told by an event that there is something to be done.
    #[must_use]
    pub fn has_event(self) -> bool {
        use cloison_abi::ObjectKind::{LogRight, ManageRight, MonitorRight};
        matches!(self.0, LogRight | MonitorRight | ManageRight)
    }

    /// Its name in a manifest.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.0.name()
    }

    /// Whether a right has this name that is the builder's alone.
    #[must_use]
    pub fn is_builders(name: &str) -> bool {
        name == cloison_abi::ObjectKind::BuilderRight.name()
    }

    /// Whether its holder is told something by everyone.
    #[must_use]
    pub fn hears_everyone(self) -> bool {
        [cloison_abi::ObjectKind::LogRight, cloison_abi::ObjectKind::CensusRight].contains(&self.0)
    }

    /// The right with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|right| right.name() == name)
    }
}

impl System {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its name, and what was added to its manifest on the command line: one for each of its images.
    #[must_use]
    pub fn image_name(&self) -> String {
        match self.addition {
            Some(addition) => format!("{}+{addition}", self.name),
            None => self.name.clone(),
        }
    }

    /// The digest of the manifest's text, and of what is added to it.
    #[must_use]
    pub fn manifest_digest(&self) -> cloison_abi::image::Digest {
        self.manifest_digest
    }

    /// The machine that it runs on.
    #[must_use]
    pub fn platform(&self) -> &Platform {
        &self.platform
    }

    /// Every component to build, each once, the builder first.
    #[must_use]
    pub fn components(&self) -> Vec<ComponentRef> {
        let with_folder = self.components.iter().zip(&self.folders);
        let reference = |(component, folder): (&Component, &PathBuf)| ComponentRef {
            name: component.name.clone(),
            package: component.name.clone(),
            folder: folder.clone(),
        };
        with_folder.map(reference).collect()
    }

    /// Its domains, in the order of the manifest.
    pub fn domains(&self) -> impl Iterator<Item = (DomainId, &Domain)> {
        self.domains.iter().enumerate().map(|(index, domain)| (DomainId(index), domain))
    }

    /// A domain.
    #[must_use]
    pub fn domain(&self, id: DomainId) -> &Domain {
        &self.domains[id.0]
    }

    /// Each domain's guarantee, in the order of the manifest.
    #[must_use]
    pub fn guarantees(&self) -> Vec<Guarantee> {
        let given = self.domains.iter().map(|domain| (domain.priority, domain.budget));
        let stays = |domain: &Domain| domain.on_fault == OnFault::Restart || domain.on_request.is_some();
        let restarts = self.domains.iter().any(stays);
        let mut all = guarantees(&titles(given, restarts));
        all.truncate(self.domains.len());
        all
    }

    /// A component.
    #[must_use]
    pub fn component(&self, id: ComponentId) -> &Component {
        &self.components[id.0]
    }

    /// The builder's component.
    #[must_use]
    pub fn builder(&self) -> &Component {
        &self.components[0]
    }

    /// A device.
    #[must_use]
    pub fn device(&self, id: DeviceId) -> &Device {
        &self.platform.devices[id.0]
    }

    /// The gate that a use leads to.
    #[must_use]
    pub fn offer(&self, gate_use: &GateUse) -> &Offer {
        &self.component(self.domain(gate_use.server).component).offers[gate_use.gate.0]
    }

    /// The callers of a domain, in the order of the manifest. A client's place in this order is its badge.
    pub fn clients(&self, server: DomainId) -> impl Iterator<Item = Client<'_>> {
        let uses =
            self.domains().flat_map(|(id, domain)| domain.uses.iter().map(move |gate_use| (id, gate_use)));
        let calls = uses.filter(move |(_, gate_use)| gate_use.server == server);
        calls.map(|(domain, gate_use)| Client { domain, gate_use, offer: self.offer(gate_use) })
    }

    /// What its manifest asserts.
    #[must_use]
    pub fn asserts(&self) -> &[Assertion] {
        &self.asserts
    }

    /// The texts that it was read from.
    #[must_use]
    pub fn sources(&self) -> &Sources {
        &self.sources
    }

    /// Memory for the domains that are started on request, in pages.
    #[must_use]
    pub fn budget_pages(&self) -> u64 {
        self.budget_pages
    }

    /// The domain that starts and ends others.
    #[must_use]
    pub fn manager(&self) -> Option<DomainId> {
        let right = Right(cloison_abi::ObjectKind::ManageRight);
        let holds = |domain: &Domain| domain.rights.iter().any(|held| held.value == right);
        self.domains().find(|(_, domain)| holds(domain)).map(|(id, _)| id)
    }

    /// What the manager does for whom, and groups of domains.
    #[must_use]
    pub fn management(&self) -> &Management {
        &self.management
    }

    /// The files that its guests begin with, each once.
    #[must_use]
    pub fn files(&self) -> &[File] {
        &self.files
    }

    /// Its switches, in the order of the manifest.
    #[must_use]
    pub fn switches(&self) -> &[Switch] {
        &self.switches
    }

    /// Its disks, in the order of the manifest.
    #[must_use]
    pub fn disks(&self) -> &[Disk] {
        &self.disks
    }

    /// The ports of all switches, each with its switch.
    pub fn ports(&self) -> impl Iterator<Item = (&Switch, &Port)> {
        self.switches.iter().flat_map(|switch| switch.ports.iter().map(move |port| (switch, port)))
    }

    /// Ports of the host that lead into it, in the order of the manifest.
    #[must_use]
    pub fn forwards(&self) -> &[Forward] {
        &self.forwards
    }

    /// The address at which a domain is reached from outside.
    ///
    /// # Errors
    ///
    /// Why it is not.
    pub fn reach(&self, domain: DomainId) -> Result<Ipv4Addr, Unreachable> {
        reach(&self.switches, domain)
    }

    /// The devices that domains were given, in the order of the platform.
    pub fn devices_in_use(&self) -> impl Iterator<Item = &Device> {
        let owned = |place: usize| {
            let mut all = self.domains.iter().flat_map(|domain| &domain.devices);
            all.any(|owned| owned.device.0 == place)
        };
        let devices = self.platform.devices.iter().enumerate();
        devices.filter(move |(place, _)| owned(*place)).map(|(_, device)| device)
    }

    /// Whether a domain was given a device of this class.
    #[must_use]
    pub fn uses_device_class(&self, class: &str) -> bool {
        self.devices_in_use().any(|device| device.class.value == class)
    }

    /// Name of the domain whose log others use, if one does.
    #[must_use]
    pub fn log_server(&self) -> Option<&str> {
        let mut uses = self.domains.iter().flat_map(|domain| &domain.uses);
        let log = uses.find(|gate_use| self.offer(gate_use).name.value == LOG_GATE)?;
        Some(&self.domain(log.server).name)
    }

    /// Name of the domain whose end is the end of the run.
    #[must_use]
    pub fn ends_with(&self) -> Option<&str> {
        self.ends_with.map(|id| self.domain(id).name.as_str())
    }
}
