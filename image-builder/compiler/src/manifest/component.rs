//! A component's file, `domain.toml`: what it offers and what it needs.

use super::guest::GuestNeed;
use super::reader::{Item, Reader};
use crate::diagnostic::At;

/// Stack of a component that does not state one, in KiB.
const DEFAULT_STACK_KIB: u64 = 16;

/// A component's offers and needs.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "the fields' names say what they are")]
pub struct Component {
    /// Its name, which is that of its folder and package.
    pub name: String,
    /// Its description, in one sentence.
    pub summary: At<String>,
    pub stack_kib: u64,
    pub heap_kib: u64,
    /// How much of the time that domains share unless they state a budget goes to it, compared with others.
    pub cpu_weight: u64,
    /// Gates that it offers.
    pub offers: Vec<Offer>,
    /// Gates that it needs.
    pub gates: Vec<GateNeed>,
    /// Devices that it needs.
    pub devices: Vec<DeviceNeed>,
    /// Memory of its own that it needs beside stack and heap, to map and to grant.
    pub regions: Vec<RegionNeed>,
    /// Rights that it needs.
    pub rights: Vec<At<String>>,
    /// Whether it is told which domains the system has, and whom each can reach.
    pub directory: bool,
    /// The guest that it runs.
    pub guest: Option<GuestNeed>,
    /// The meaning of its domain's arguments, if it takes any.
    pub arguments: Option<At<String>>,
}

/// A gate that a component offers.
#[derive(Debug, Clone)]
pub struct Offer {
    /// Its name.
    pub name: At<String>,
    /// Its purpose, in one sentence.
    pub summary: String,
    /// Memory shared with each client, in pages.
    pub shared_pages: u64,
    /// Memory that the client writes and the server reads, and as much the other way, in pages each.
    pub one_way_pages: u64,
    /// Slots for regions that a client grants, for each client.
    pub grant_slots: u64,
    /// Whether the server can set an event bit of the client.
    pub signals_client: bool,
    /// Whether the client can set an event bit of the server.
    pub signals_server: bool,
    /// Numbers that the system's manifest fixes for each client.
    pub options: Vec<OptionRule>,
    /// Rights of which a client needs one; if there are none, it needs none.
    pub only_with: Vec<At<String>>,
}

/// The number that a manifest can fix for each client of a gate.
#[derive(Debug, Clone)]
pub struct OptionRule {
    /// Its name.
    pub name: At<String>,
    /// The value if the manifest gives none.
    pub default: u64,
    /// The largest value.
    pub max: u64,
}

/// A gate that a component needs.
#[derive(Debug, Clone)]
pub struct GateNeed {
    /// The component's name for it.
    pub local: At<String>,
    /// The name under which a server offers it.
    pub gate: At<String>,
    /// Whether it can do without.
    pub is_optional: bool,
}

/// A device that a component needs.
#[derive(Debug, Clone)]
pub struct DeviceNeed {
    /// The component's name for it.
    pub local: At<String>,
    /// The class of device.
    pub class: At<String>,
    /// Whether it can do without.
    pub is_optional: bool,
}

/// Memory that a component needs beside stack and heap.
#[derive(Debug, Clone)]
pub struct RegionNeed {
    /// The component's name for it.
    pub local: At<String>,
    /// How large it is.
    pub pages: At<u64>,
    /// Whether a device reads and writes it too, so that the component has to know where it lies.
    pub is_dma: bool,
    /// Whether a restart of its domain leaves in it what is there.
    pub is_kept: bool,
}

impl Component {
    pub(super) fn read(name: &str, reader: &mut Reader<'_, '_>) -> Option<Self> {
        let summary = reader.required_text("summary");
        let stack_kib = reader.number("stack_kib").map_or(DEFAULT_STACK_KIB, |kib| kib.value);
        let heap_kib = reader.number("heap_kib").map_or(0, |kib| kib.value);
        let cpu_weight = reader.number("cpu_weight").map_or(1, |weight| weight.value);
        let arguments = reader.text("arguments");
        let offers = reader.entries("offers", |name, item| item.table(|table| Offer::read(name, table)));
        let mut component = Self {
            name: name.to_owned(),
            summary: summary?,
            stack_kib,
            heap_kib,
            cpu_weight,
            offers,
            gates: Vec::new(),
            devices: Vec::new(),
            regions: Vec::new(),
            rights: Vec::new(),
            directory: false,
            guest: None,
            arguments,
        };
        reader.table("needs", |needs| component.read_needs(needs));
        Some(component)
    }

    fn read_needs(&mut self, needs: &mut Reader<'_, '_>) {
        self.gates = needs.entries("gates", |local, item| {
            let (gate, is_optional) = need(item, "gate")?;
            Some(GateNeed { local, gate, is_optional })
        });
        self.devices = needs.entries("devices", |local, item| {
            let (class, is_optional) = need(item, "class")?;
            Some(DeviceNeed { local, class, is_optional })
        });
        self.regions =
            needs.entries("regions", |local, item| item.table(|table| RegionNeed::read(local, table))?);
        self.rights = needs.texts("rights");
        self.directory = needs.flag("directory");
        self.guest = needs.table("guest", GuestNeed::read);
    }
}

/// `log = "log"` or `log = { gate = "log", optional = true }`.
fn need(item: Item<'_, '_, '_>, key: &'static str) -> Option<(At<String>, bool)> {
    if let Some(name) = item.as_text() {
        return Some((name, false));
    }
    item.table(|table| {
        let name = table.required_text(key);
        let is_optional = table.flag("optional");
        Some((name?, is_optional))
    })?
}

impl RegionNeed {
    fn read(local: At<String>, reader: &mut Reader<'_, '_>) -> Option<Self> {
        let pages = reader.required_number("pages");
        let (is_dma, is_kept) = (reader.flag("dma"), reader.flag("keep"));
        Some(Self { local, pages: pages?, is_dma, is_kept })
    }
}

impl Offer {
    /// Length of the region that server and client both see, in pages: 0 if there is none.
    #[must_use]
    pub fn region_pages(&self) -> u64 {
        self.shared_pages.saturating_add(self.one_way_pages.saturating_mul(2))
    }

    /// What a client's numbers make together, as its server gets it: each has as many bits as its largest value needs, the
    /// first the lowest.
    pub(crate) fn packed(&self, given: &[(At<String>, At<u64>)]) -> u64 {
        self.placed().fold(0, |packed, (rule, place)| {
            let stated = given.iter().find(|(name, _)| name.value == rule.name.value);
            let value = stated.map_or(rule.default, |(_, value)| value.value);
            packed | value.checked_shl(place).unwrap_or(0)
        })
    }

    /// One of the numbers that a client has.
    pub(crate) fn value(&self, name: &str, given: &[(At<String>, At<u64>)]) -> Option<u64> {
        let rule = self.options.iter().find(|rule| rule.name.value == name)?;
        let stated = given.iter().find(|(known, _)| known.value == name);
        Some(stated.map_or(rule.default, |(_, value)| value.value))
    }

    /// The numbers that such a one is made of, each with its name.
    pub(crate) fn unpacked(&self, packed: u64) -> Vec<String> {
        let numbers = self.placed().map(|(rule, place)| {
            let mask = 1_u64.checked_shl(rule.bits()).map_or(u64::MAX, |end| end - 1);
            format!("{} {}", rule.name.value, packed.checked_shr(place).unwrap_or(0) & mask)
        });
        numbers.collect()
    }

    /// The options, each with the place of its lowest bit.
    fn placed(&self) -> impl Iterator<Item = (&OptionRule, u32)> {
        let places = self.options.iter().scan(0_u32, |next, rule| {
            let place = *next;
            *next = next.saturating_add(rule.bits());
            Some(place)
        });
        self.options.iter().zip(places)
    }

    fn read(name: At<String>, reader: &mut Reader<'_, '_>) -> Self {
        let number = |key, reader: &mut Reader<'_, '_>| reader.number(key).map_or(0, |pages| pages.value);
        Self {
            name,
            summary: reader.required_text("summary").map_or_else(String::new, |summary| summary.value),
            shared_pages: number("shared_pages", reader),
            one_way_pages: number("one_way_pages", reader),
            grant_slots: number("grant_slots", reader),
            signals_client: reader.flag("signals_client"),
            signals_server: reader.flag("signals_server"),
            options: reader.tables("option", OptionRule::read),
            only_with: reader.texts("only_with"),
        }
    }
}

impl OptionRule {
    /// How many bits it takes.
    pub(crate) fn bits(&self) -> u32 {
        u64::BITS - self.max.leading_zeros()
    }

    fn read(reader: &mut Reader<'_, '_>) -> Option<Self> {
        let name = reader.required_text("name");
        let default = reader.number("default").map_or(0, |default| default.value);
        let max = reader.required_number("max");
        Some(Self { name: name?, default, max: max?.value })
    }
}
