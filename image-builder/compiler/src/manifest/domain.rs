//! Tables of domains.

use disk_api::Choice;

use super::reader::{self, Reader};
use super::{DISK_GATE, DiskUse, GuestTable, ON_REQUEST, PermitTable, STARTS, TrustBudget};
use crate::diagnostic::{At, SourceId, Span, closest};

/// One `[domain.NAME]`.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "the fields' names say what they are")]
pub struct DomainTable {
    pub name: At<String>,
    /// The component that it runs.
    pub component: Option<At<String>>,
    /// Its type, by which the policy's rules name it.
    pub kind: Option<At<String>>,
    /// Text for its program.
    pub arguments: Option<At<String>>,
    /// Devices that it is given.
    pub devices: Vec<At<String>>,
    /// Rights that it is given.
    pub rights: Vec<At<String>>,
    /// Gates that it is given, `log` among them.
    pub uses: Vec<UseTable>,
    /// Whether it passes nothing from one of its clients to another.
    pub keeps_apart: bool,
    /// Where it says that its device is trusted with memory between two lives.
    pub trusted_dma: Option<Span>,
    /// Disks that it is given, or parts of them.
    pub disks: Vec<DiskUse>,
    /// The policy for its faults.
    pub on_fault: Option<At<String>>,
    /// The domain that handles its faults.
    pub fault_handler: Option<At<String>>,
    /// When it is started.
    pub start: Option<At<String>>,
    pub priority: Option<At<u64>>,
    /// Time it may run in each period, in microseconds.
    pub budget_us: Option<At<u64>>,
    /// Length of the period, in microseconds.
    pub period_us: Option<At<u64>>,
    /// Whether it is meant that nothing may be left for it.
    pub is_best_effort: bool,
    pub stack_kib: Option<At<u64>>,
    pub heap_kib: Option<At<u64>>,
    /// How much code its memory may rest on.
    pub rests_on_at_most: Option<TrustBudget>,
    /// Its guest, if its component runs one.
    pub guest: GuestTable,
}

/// One gate that a domain is given.
#[derive(Debug, Clone)]
pub struct UseTable {
    /// The component's name for it.
    pub local: At<String>,
    /// The server.
    pub from: At<String>,
    /// Options for this use, such as `locality = 0`.
    pub options: Vec<(At<String>, At<u64>)>,
    /// What the manager does for the domain, if it is the server.
    pub permit: Option<PermitTable>,
    /// Whether it is there because the domain has a port of a switch.
    pub is_port: bool,
    /// Whether it is there because the domain has a disk.
    pub is_disk: bool,
}

impl DomainTable {
    /// A domain of which nothing can be read has its name nevertheless: others may refer to it.
    pub(super) fn read_item(name: At<String>, item: reader::Item<'_, '_, '_>) -> Self {
        item.table(|table| Self::read(name.clone(), table)).unwrap_or_else(|| Self::nothing(name))
    }

    fn nothing(name: At<String>) -> Self {
        Self {
            name,
            component: None,
            kind: None,
            arguments: None,
            devices: Vec::new(),
            rights: Vec::new(),
            uses: Vec::new(),
            keeps_apart: false,
            trusted_dma: None,
            disks: Vec::new(),
            on_fault: None,
            fault_handler: None,
            start: None,
            priority: None,
            budget_us: None,
            period_us: None,
            is_best_effort: false,
            stack_kib: None,
            heap_kib: None,
            rests_on_at_most: None,
            guest: GuestTable::default(),
        }
    }

    /// Where it says that it is started on request, if it does, or means to.
    #[must_use]
    pub fn on_request(&self) -> Option<Span> {
        let start = self.start.as_ref()?;
        (closest(&start.value, STARTS) == Some(ON_REQUEST)).then_some(start.span)
    }

    /// Where a key of it is among all keys of the manifest.
    #[must_use]
    pub fn path(&self, key: &str) -> (SourceId, String) {
        (self.name.span.source, format!("domain.{}.{key}", self.name.value))
    }

    fn read(name: At<String>, reader: &mut Reader<'_, '_>) -> Self {
        let log = reader.text("log");
        let mut uses = reader.entries("uses", UseTable::read);
        if let Some(from) = log {
            let local = At { value: "log".to_owned(), span: from.span };
            uses.push(UseTable::plain(local, from));
        }
        Self {
            name,
            component: reader.required_text("component"),
            kind: reader.text("type"),
            arguments: reader.text("arguments"),
            devices: reader.texts("devices"),
            rights: reader.texts("rights"),
            uses,
            keeps_apart: reader.flag("keeps_apart"),
            trusted_dma: reader.set_flag("trusted_dma"),
            disks: DiskUse::read_all(reader),
            on_fault: reader.text("on_fault"),
            fault_handler: reader.text("fault_handler"),
            start: reader.text("start"),
            priority: reader.number("priority"),
            budget_us: reader.number("budget_us"),
            period_us: reader.number("period_us"),
            is_best_effort: reader.flag("best_effort"),
            stack_kib: reader.number("stack_kib"),
            heap_kib: reader.number("heap_kib"),
            rests_on_at_most: reader.table("rests_on_at_most", TrustBudget::read),
            guest: GuestTable::read(reader),
        }
    }
}

impl UseTable {
    /// Of a server, and no more.
    fn plain(local: At<String>, from: At<String>) -> Self {
        Self { local, from, options: Vec::new(), permit: None, is_port: false, is_disk: false }
    }

    /// `uses.tpm = "stpm"` or `uses.tpm = { from = "stpm", locality = 0 }`.
    fn read(local: At<String>, item: reader::Item<'_, '_, '_>) -> Option<Self> {
        if let Some(from) = item.as_text() {
            return Some(Self::plain(local, from));
        }
        item.table(|table| {
            let from = table.required_text("from");
            let permit = PermitTable::read(table);
            let options = table.other_numbers();
            Some(Self { options, permit, ..Self::plain(local, from?) })
        })?
    }

    /// Of the gate of a disk's domain, as a disk implies it; `place` is its place among the domain's.
    fn of_disk(disk: &DiskUse, place: usize) -> Self {
        let At { span, .. } = disk.disk;
        let partition = disk.partition.as_ref().map_or(0, |number| number.value);
        // One that is too large is told by a check.
        let partition = partition.try_into().unwrap_or(u8::MAX);
        let option = Choice { partition, is_read_only: disk.is_read_only }.option();
        let at = |value: String| At { value, span };
        Self {
            local: at(local_name(place)),
            from: disk.disk.clone(),
            options: vec![(at("part".into()), At { value: option.into(), span })],
            permit: None,
            is_port: false,
            is_disk: true,
        }
    }
}

/// A component's name for the gate of its disk at a place: `disk`, `disk2`, `disk3`.
fn local_name(place: usize) -> String {
    match place {
        0 => DISK_GATE.to_owned(),
        _ => format!("{DISK_GATE}{}", place + 1),
    }
}

/// Gives each domain the gates of its disks.
pub(super) fn connect_disks(domains: &mut [DomainTable]) {
    for domain in domains {
        // Those of before something was added to the manifest.
        domain.uses.retain(|given| !given.is_disk);
        let implied = domain.disks.iter().enumerate().map(|(place, disk)| UseTable::of_disk(disk, place));
        domain.uses.extend(implied);
    }
}
