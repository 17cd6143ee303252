//! The graph of flows has every way that the plan's tables open, in every manifest that is accepted.

mod support;

use std::collections::BTreeSet;
use std::fs;

use cloison_abi::plan::NONE;
use cloison_abi::port::PortFlags;
use cloison_abi::{ObjectKind, Rights, plan::RegionSource};
use image_compiler::flow::{Flows, Kind, Node, SOURCES, Source};
use image_compiler::query::{Assume, ask};
use image_compiler::system::{DomainId, OnFault};
use image_compiler::{Plan, System, Workspace};
use support::{fixtures, project};
use zerocopy::IntoBytes;

/// From whom, to whom, by what.
type Edge = (String, String, Kind);

/// A system with its plan.
struct Planned {
    file: String,
    system: System,
    plan: Plan,
}

/// Every manifest that is accepted, with a plan of programs made by hand.
fn planned() -> Vec<Planned> {
    let project = Workspace { root: project() };
    let folders = [
        (project.clone(), project.root.join("manifests")),
        (project.clone(), project.root.join("tests/manifests/accept")),
        (fixtures(), fixtures().root.join("manifests")),
    ];
    let mut all = Vec::new();
    for (workspace, folder) in folders {
        let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.retain(|path| path.extension().is_some_and(|end| end == "toml") && !support::is_menu(path));
        paths.sort();
        for path in paths {
            let system = image_compiler::load(&workspace, &path).unwrap_or_else(|report| panic!("{report}"));
            let binaries = support::binaries(&system, &support::elf(0x40_1000, &support::segments()));
            let file = path.display().to_string();
            // What was not fetched has no plan.
            if let Ok(plan) = image_compiler::plan(&system, &binaries) {
                all.push(Planned { file, system, plan });
            }
        }
    }
    assert!(all.len() > 60, "{} manifests", all.len());
    all
}

impl Planned {
    fn domain(&self, place: u32) -> String {
        self.system.domains().nth(place as usize).unwrap().1.name.clone()
    }

    fn ids(&self) -> impl Iterator<Item = (DomainId, String)> {
        self.system.domains().map(|(id, domain)| (id, domain.name.clone()))
    }

    /// What the plan's tables let flow.
    fn expected(&self) -> BTreeSet<Edge> {
        let tables = &self.plan.tables;
        let mut edges = BTreeSet::new();
        let mut both = |one: &str, other: &str, kind: Kind| {
            edges.insert((one.to_owned(), other.to_owned(), kind));
            edges.insert((other.to_owned(), one.to_owned(), kind));
        };
        for gate in &tables.gates {
            let (client, server) = (self.domain(gate.domain), self.domain(gate.server));
            both(&client, &server, Kind::Call);
            if gate.grants > 0 {
                both(&client, &server, Kind::Loan);
            }
        }
        for supervision in &tables.supervisions {
            both(&self.domain(supervision.domain), &self.domain(supervision.subject), Kind::Fault);
        }
        for device in &tables.devices {
            let (name, owner) = (format!("device:{}", device.name), self.domain(device.domain));
            both(&owner, &name, Kind::Device);
            let facts = self
                .system
                .platform()
                .devices
                .iter()
                .find(|known| known.name.value == device.name.to_string());
            if !facts.unwrap().is_enclosed {
                both(&name, &format!("outside:{}", device.name), Kind::Device);
            }
        }
        for guest in &tables.guests {
            let domain = self.domain(guest.domain);
            both(&domain, &format!("guest:{domain}"), Kind::Guest);
        }
        for right in tables.rights.iter().filter(|right| right.kind == ObjectKind::MonitorRight as u32) {
            for (id, name) in self.ids().filter(|(id, _)| !self.system.asked(*id).is_empty()) {
                assert_ne!(name, self.domain(right.domain), "{}: {id:?} judges itself", self.file);
                both(&name, &self.domain(right.domain), Kind::Monitor);
            }
        }
        for (_, domain) in self.system.domains().filter(|(_, domain)| domain.on_fault == OnFault::Restart) {
            both("builder", &domain.name, Kind::Restart);
        }
        let managers = tables.rights.iter().filter(|right| right.kind == ObjectKind::ManageRight as u32);
        // The builder passes on between a manager and all domains whose memory it keeps.
        let restarted = self.system.domains().filter(|(_, domain)| domain.on_fault == OnFault::Restart);
        let on_request = tables.regions.iter().filter(|region| region.source == RegionSource::Budget as u32);
        let mut kept: BTreeSet<String> = restarted.map(|(_, domain)| domain.name.clone()).collect();
        kept.extend(on_request.map(|region| self.domain(region.owner)));
        for manager in managers.map(|right| self.domain(right.domain)) {
            both("builder", &manager, Kind::Manage);
            kept.iter().filter(|name| **name != manager).for_each(|name| both(&manager, name, Kind::Manage));
        }
        for region in tables.regions.iter().filter(|region| region.source == RegionSource::Budget as u32) {
            both("builder", &self.domain(region.owner), Kind::Manage);
        }
        edges.extend(
            tables
                .events
                .iter()
                .map(|event| (self.domain(event.domain), self.domain(event.target), Kind::Signal)),
        );
        edges.extend(self.memory());
        edges.extend(self.frames());
        edges.extend(self.readers());
        edges
    }

    /// The writer of a region tells everyone else who sees it.
    fn memory(&self) -> Vec<Edge> {
        let mappings = &self.plan.tables.mappings;
        let writes = |rights: u32| Rights::from_bits(rights).unwrap().contains(Rights::WRITE);
        let mut edges = Vec::new();
        for writer in mappings.iter().filter(|mapping| writes(mapping.rights)) {
            let shows = |page: u32, other: &cloison_abi::plan::MappingEntry| {
                (other.first_page..other.first_page + other.pages).contains(&page)
            };
            let readers = mappings
                .iter()
                .filter(|other| other.region == writer.region && other.domain != writer.domain);
            let pages = writer.first_page..writer.first_page + writer.pages;
            for reader in readers.filter(|reader| pages.clone().any(|page| shows(page, reader))) {
                edges.push((self.domain(writer.domain), self.domain(reader.domain), Kind::Memory));
            }
        }
        for slot in &self.plan.tables.region_slots {
            let owner = self.plan.tables.region(slot.region).owner;
            // What outlives its domain's restart is nobody's, and that domain's alone all the same.
            let others = self.plan.tables.region_slots.iter().filter(|other| other.domain != slot.domain);
            let is_shared = others.map(|other| other.region).any(|region| region == slot.region)
                || mappings.iter().any(|mapping| mapping.region == slot.region);
            let is_kept = owner == NONE && !is_shared;
            assert!(owner == slot.domain || is_kept, "{}: a slot of somebody else's region", self.file);
        }
        edges
    }

    /// As the switches are told.
    fn frames(&self) -> Vec<Edge> {
        let name = |id: DomainId| self.system.domain(id).name.clone();
        let mut edges = Vec::new();
        for switch in self.system.switches() {
            let is_mirror = |place: usize| switch.ports[place].flags.contains(PortFlags::MIRROR);
            for (from, sender) in switch.ports.iter().enumerate().filter(|(from, _)| !is_mirror(*from)) {
                for (to, receiver) in switch.ports.iter().enumerate() {
                    if switch.may_send(from, to) || is_mirror(to) {
                        edges.push((name(sender.domain), name(receiver.domain), Kind::Frames));
                    }
                }
                for client in
                    self.system.clients(switch.domain).filter(|client| client.domain != sender.domain)
                {
                    if client.offer.name.value != "port" {
                        edges.push((name(sender.domain), name(client.domain), Kind::Call));
                    }
                }
            }
        }
        edges
    }

    /// Who is told something by everyone.
    fn readers(&self) -> Vec<Edge> {
        let tables = &self.plan.tables;
        let kinds = [(ObjectKind::LogRight, Kind::Log), (ObjectKind::CensusRight, Kind::Census)];
        let readers: Vec<_> = tables
            .rights
            .iter()
            .filter_map(|right| {
                let known = kinds.iter().find(|(held, _)| right.kind == *held as u32);
                known.map(|(_, kind)| (right.domain, *kind))
            })
            .collect();
        let everyone = || self.ids().map(|(_, name)| name).chain(["builder".to_owned()]);
        let edges = readers.into_iter().flat_map(|(reader, kind)| {
            let reader = self.domain(reader);
            everyone().map(move |writer| (writer, reader.clone(), kind))
        });
        edges.filter(|(writer, reader, _)| writer != reader).collect()
    }

    fn found(&self, sources: &[Source], is_hostile: bool) -> BTreeSet<Edge> {
        let flows = Flows::from_sources(&self.system, sources);
        let name = |id| flows.name(id).to_owned();
        let wanted = flows.flows().iter().filter(|flow| flow.is_hostile == is_hostile);
        wanted.map(|flow| (name(flow.from), name(flow.to), flow.kind)).collect()
    }
}

#[test]
fn what_flows_is_what_the_plan_opens_and_no_more() {
    for planned in planned() {
        let (found, expected) = (planned.found(SOURCES, false), planned.expected());
        let missing: Vec<_> = expected.difference(&found).collect();
        assert!(missing.is_empty(), "{}: {missing:?}", planned.file);
        let more: Vec<_> = found.difference(&expected).collect();
        assert!(more.is_empty(), "{}: {more:?}", planned.file);
    }
}

/// Forwards lead where wires do, and what is hostile is in no plan: they are judged by themselves below.
#[test]
fn no_way_can_be_left_out() {
    let all = planned();
    for left_out in
        SOURCES.iter().filter(|source| !["forwards", "hostile devices", "the world"].contains(&source.name))
    {
        let sources: Vec<Source> =
            SOURCES.iter().copied().filter(|source| source.name != left_out.name).collect();
        let is_missed = |planned: &Planned| !planned.expected().is_subset(&planned.found(&sources, false));
        assert!(all.iter().any(is_missed), "nothing is missed without {}", left_out.name);
    }
}

#[test]
fn each_forward_leads_in_by_the_card() {
    let mut count = 0;
    for Planned { system, file, .. } in planned() {
        let flows = Flows::new(&system);
        for forward in system.forwards() {
            let wanted = format!("forward {} to port {} of ", forward.name, forward.port);
            let found: Vec<_> = flows.flows().iter().filter(|flow| flow.what.starts_with(&wanted)).collect();
            assert!(!found.is_empty(), "{file}: {}", forward.name);
            assert!(found.iter().all(|flow| flows.name(flow.from).starts_with("outside:")), "{file}");
            count += found.len();
        }
    }
    assert!(count > 5, "{count} forwards");
}

/// A device that reads and writes memory by itself reaches everyone's, and those outside know each other.
#[test]
fn what_is_hostile_reaches_everyone() {
    for planned in planned() {
        let found = planned.found(SOURCES, true);
        let mut expected = BTreeSet::new();
        let flows = Flows::new(&planned.system);
        let outside = || flows.nodes().filter(|(_, node)| matches!(node, Node::Outside(_))).map(|(id, _)| id);
        for (one, other) in outside().flat_map(|one| outside().map(move |other| (one, other))) {
            if one != other {
                expected.insert((flows.name(one).to_owned(), flows.name(other).to_owned(), Kind::World));
            }
        }
        let tables = &planned.plan.tables;
        for (place, device) in tables.devices.iter().enumerate() {
            let has_memory = tables.dma.iter().any(|entry| entry.device == place as u32);
            if device.pci_function != cloison_abi::plan::NONE || has_memory {
                let owner = planned.domain(device.domain);
                let all = planned.ids().map(|(_, name)| name).chain(["builder".to_owned()]);
                for name in all.filter(|name| *name != owner) {
                    let device = format!("device:{}", device.name);
                    expected.insert((device.clone(), name.clone(), Kind::Dma));
                    expected.insert((name, device, Kind::Dma));
                }
            }
        }
        assert_eq!(found, expected, "{}", planned.file);
    }
}

#[test]
fn every_flow_has_a_place_in_the_manifest() {
    for Planned { system, file, .. } in planned() {
        for flow in Flows::new(&system).flows().iter().filter(|flow| flow.kind != Kind::World) {
            assert!(!flow.at.is_empty(), "{file}: {}", flow.what);
        }
    }
}

/// `mac-demo`, in which both policies have the wall.
#[test]
fn a_wall_that_each_policy_has_ends_a_way() {
    let text = fs::read_to_string(project().join("manifests/mac-demo.toml")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let reaches = |text: &str, from: &str, to: &str| {
        let path = folder.path().join("mac.toml");
        fs::write(&path, text).unwrap();
        let system = image_compiler::load(&Workspace { root: project() }, &path).unwrap();
        ask(&system, &format!("can {from} reach {to}"), Assume::Usual).unwrap().is_yes
    };
    let wall = "walls = [{ name = \"banks\", between = [\"bank-a\", \"bank-b\"] }]\n";
    let (first, second) = (text.find(wall).unwrap(), text.rfind(wall).unwrap());
    assert_ne!(first, second);
    assert!(!reaches(&text, "bank-a", "bank-b"));
    for (from, to) in
        [("bank-a", "trader"), ("trader", "bank-b"), ("bank-a", "archive"), ("archive", "broker")]
    {
        assert!(reaches(&text, from, to), "{from} to {to}");
    }
    for without in [first, second] {
        let mut text = text.clone();
        text.replace_range(without..without + wall.len(), "");
        assert!(reaches(&text, "bank-a", "bank-b"), "one policy is enough to let it through");
    }
}

/// The builder builds no plan that allows what its policy does not say: none of these is refused.
#[test]
fn the_policy_says_all_that_the_builder_finds_in_a_plan() {
    for Planned { file, system, plan } in planned() {
        let bytes = image_compiler::image(&system, &plan);
        // As the kernel shows it to the builder: tables lie at multiples of 8.
        let mut words = vec![0_u64; bytes.len().div_ceil(8)];
        words.as_mut_bytes()[..bytes.len()].copy_from_slice(&bytes);
        let image = builder::Image::open(&words.as_bytes()[..bytes.len()]);
        let checked = image.and_then(|image| image.check());
        assert!(
            checked.is_ok(),
            "{file}: {}",
            checked.map_or_else(|error| error.to_string(), |()| String::new())
        );
    }
}
