//! The edges of the graph: one function for each way in which something flows.
//!
//! `tests/flow.rs` leaves out one after the other, and has to miss each in some system's plan.

use cloison_abi::ObjectKind;
use cloison_abi::access::Class;
use cloison_abi::port::PortFlags;

use super::{Ask, Flow, Flows, Kind, Node};
use crate::diagnostic::Span;
use crate::system::{DomainId, Offer, OnFault, PORT_GATE, Port, Right, Switch, System};

/// A way in which something flows.
#[derive(Clone, Copy)]
pub struct Source {
    /// Its name, for tests.
    pub name: &'static str,
    /// Adds the edges.
    pub add: fn(&System, &mut Flows),
}

/// Every way in which something flows.
#[rustfmt::skip] // A table.
pub const SOURCES: &[Source] = &[
    Source { name: "calls", add: calls },
    Source { name: "signals", add: signals },
    Source { name: "shared memory", add: shared_memory },
    Source { name: "loans", add: loans },
    Source { name: "frames", add: frames },
    Source { name: "mirrors", add: mirrors },
    Source { name: "counters", add: counters },
    Source { name: "devices", add: devices },
    Source { name: "wires", add: wires },
    Source { name: "forwards", add: forwards },
    Source { name: "fault handlers", add: fault_handlers },
    Source { name: "restarts", add: restarts },
    Source { name: "the manager", add: manager },
    Source { name: "the log", add: log },
    Source { name: "the census", add: census },
    Source { name: "the monitor", add: monitor },
    Source { name: "guests", add: guests },
    Source { name: "hostile devices", add: hostile_devices },
    Source { name: "the world", add: world },
];

impl Flows {
    fn add(&mut self, ends: [Node; 2], kind: Kind, what: impl Into<String>, at: &[Span]) -> &mut Flow {
        let [from, to] = ends.map(|node| self.id(node));
        let place = self.flows.len();
        let (what, at) = (what.into(), at.to_vec());
        let asks = Vec::new();
        self.flows.push(Flow { from, to, kind, what, by: None, at, asks, is_hostile: false });
        &mut self.flows[place]
    }

    /// What flows by a gate, each of them if a monitor lets it.
    fn add_by(&mut self, gate: &Use<'_>, all: &[([Node; 2], String)], kind: Kind, ask: Ask) {
        for (ends, what) in all {
            self.add(*ends, kind, what.clone(), &[gate.at]).asks = vec![ask];
        }
    }

    fn add_both(&mut self, [one, other]: [Node; 2], kind: Kind, what: &str, at: &[Span]) {
        self.add([one, other], kind, what, at);
        self.add([other, one], kind, what, at);
    }
}

/// A reply tells the caller something, too.
fn calls(system: &System, flows: &mut Flows) {
    each_use(system, |gate| {
        let there = (gate.there(), format!("gate {}", gate.name));
        let back = (gate.back(), format!("reply of gate {}", gate.name));
        flows.add_by(&gate, &[there, back], Kind::Call, gate.asks(Class::Call));
    });
}

fn signals(system: &System, flows: &mut Flows) {
    each_use(system, |gate| {
        let what = format!("event of gate {}", gate.name);
        if gate.offer.signals_client {
            let [subject, object] = [gate.ids[1], gate.ids[0]];
            let ask = Ask { subject, object, class: Class::Signal };
            flows.add_by(&gate, &[(gate.back(), what.clone())], Kind::Signal, ask);
        }
        if gate.offer.signals_server {
            flows.add_by(&gate, &[(gate.there(), what)], Kind::Signal, gate.asks(Class::Signal));
        }
    });
}

/// Of memory that is one-way there is a piece each way.
fn shared_memory(system: &System, flows: &mut Flows) {
    each_use(system, |gate| {
        if gate.offer.region_pages() > 0 {
            let what = format!("memory of gate {}", gate.name);
            let both = [(gate.there(), what.clone()), (gate.back(), what)];
            flows.add_by(&gate, &both, Kind::Memory, gate.asks(Class::Share));
        }
    });
}

/// A region may be lent writable, and then the borrower tells the lender something.
fn loans(system: &System, flows: &mut Flows) {
    each_use(system, |gate| {
        if gate.offer.grant_slots > 0 {
            let what = format!("memory lent by gate {}", gate.name);
            let both = [(gate.there(), what.clone()), (gate.back(), what)];
            flows.add_by(&gate, &both, Kind::Loan, gate.asks(Class::Share));
        }
    });
}

fn frames(system: &System, flows: &mut Flows) {
    for switch in system.switches() {
        let name = &system.domain(switch.domain).name;
        for (from, sender) in switch.ports.iter().enumerate() {
            for (to, receiver) in switch.ports.iter().enumerate() {
                if switch.may_send(from, to) {
                    let what = format!("frames by {name}, VLAN {}", sender.vlan);
                    carry(flows, switch, [sender, receiver], Kind::Frames, what);
                }
            }
        }
    }
}

/// A mirror gets a copy of all that the switch takes in, of whatever VLAN.
fn mirrors(system: &System, flows: &mut Flows) {
    let is_mirror = |port: &&Port| port.flags.contains(PortFlags::MIRROR);
    for switch in system.switches() {
        let what = format!("copies of frames by {}", system.domain(switch.domain).name);
        for mirror in switch.ports.iter().filter(is_mirror) {
            for sender in switch.ports.iter().filter(|port| !is_mirror(port)) {
                carry(flows, switch, [sender, mirror], Kind::Frames, what.clone());
            }
        }
    }
}

/// A switch tells the callers of its other gates of what its ports did.
fn counters(system: &System, flows: &mut Flows) {
    for switch in system.switches() {
        for client in system.clients(switch.domain) {
            let gate = &client.offer.name.value;
            for port in switch.ports.iter().filter(|port| gate != PORT_GATE && port.domain != client.domain) {
                let ends = [port.domain, client.domain].map(Node::Domain);
                let at = [port.at.as_slice(), &[client.gate_use.at]].concat();
                let by = flows.find(Node::Domain(switch.domain));
                let asks = Ask { subject: client.domain, object: switch.domain, class: Class::Call };
                let flow = flows.add(ends, Kind::Call, format!("what gate {gate} tells of its frames"), &at);
                (flow.by, flow.asks) = (by, vec![asks]);
            }
        }
    }
}

/// Frames lie in memory that each port has together with the switch.
fn carry(flows: &mut Flows, switch: &Switch, ports: [&Port; 2], kind: Kind, what: String) {
    let ends = ports.map(|port| Node::Domain(port.domain));
    let at = ports.map(|port| port.at.as_slice()).concat();
    let by = flows.find(Node::Domain(switch.domain));
    let ask = |port: &Port| Ask { subject: port.domain, object: switch.domain, class: Class::Share };
    if ends[0] != ends[1] {
        let flow = flows.add(ends, kind, what, &at);
        (flow.by, flow.asks) = (by, ports.map(ask).to_vec());
    }
}

/// Registers, interrupts and memory for the device: it and its driver tell each other what they like.
fn devices(system: &System, flows: &mut Flows) {
    for (id, domain) in system.domains() {
        for owned in &domain.devices {
            let class = &system.device(owned.device).class.value;
            let ends = [Node::Domain(id), Node::Device(owned.device)];
            flows.add_both(ends, Kind::Device, class, &[owned.at]);
        }
    }
}

fn wires(system: &System, flows: &mut Flows) {
    let owned = system.domains().flat_map(|(_, domain)| &domain.devices);
    for owned in owned.filter(|owned| !system.device(owned.device).is_enclosed) {
        let at = system.device(owned.device).name.span;
        let ends = [Node::Device(owned.device), Node::Outside(owned.device)];
        flows.add_both(ends, Kind::Device, "what is connected to it", &[owned.at, at]);
    }
}

/// A port of the host leads to the network card that the domain is reached by.
fn forwards(system: &System, flows: &mut Flows) {
    for forward in system.forwards() {
        let ways = system
            .switches()
            .iter()
            .filter(|switch| switch.ports.iter().any(|port| port.domain == forward.to));
        let drivers = ways.filter_map(|switch| Some(switch.ports[switch.uplink()?].domain));
        let devices: Vec<_> =
            drivers.flat_map(|driver| &system.domain(driver).devices).map(|owned| owned.device).collect();
        for device in devices {
            let ends = [Node::Outside(device), Node::Device(device)];
            if flows.find(ends[0]).is_some() {
                let (name, to) = (&forward.name, &system.domain(forward.to).name);
                let what = format!("forward {name} to port {} of {to}", forward.port);
                flows.add(ends, Kind::Device, what, &[forward.at]);
            }
        }
    }
}

/// A handler is told of faults, and decides when and with which number the domain begins again.
fn fault_handlers(system: &System, flows: &mut Flows) {
    for (id, domain) in system.domains() {
        if let OnFault::Handler(handler) = domain.on_fault {
            let (patient, handler) = (Node::Domain(id), Node::Domain(handler));
            flows.add([patient, handler], Kind::Fault, "its faults", &[domain.on_fault_at]);
            flows.add([handler, patient], Kind::Fault, "what is done after a fault", &[domain.on_fault_at]);
        }
    }
}

/// The builder keeps the memory of a domain that it starts again.
fn restarts(system: &System, flows: &mut Flows) {
    for (id, domain) in system.domains().filter(|(_, domain)| domain.on_fault == OnFault::Restart) {
        let ends = [Node::Builder, Node::Domain(id)];
        flows.add_both(ends, Kind::Restart, "memory and faults, to start it again", &[domain.on_fault_at]);
    }
}

/// The builder keeps the memory of a domain that it starts on request; the manager says when, and is told how it is.
fn manager(system: &System, flows: &mut Flows) {
    for (id, domain) in system.domains() {
        if let Some(at) = domain.on_request {
            let ends = [Node::Builder, Node::Domain(id)];
            flows.add_both(ends, Kind::Manage, "memory and end, to start it on request", &[at]);
        }
    }
    for (manager, at) in holders(system, ObjectKind::ManageRight) {
        let ends = [Node::Domain(manager), Node::Builder];
        flows.add_both(ends, Kind::Manage, "which domains start and end", &[at]);
        // The builder passes on what a domain leaves behind, and the domain notices when it is started: what the two tell one
        // another is of their own choice.
        for (id, domain) in system.domains().filter(|(id, _)| *id != manager) {
            let kept =
                domain.on_request.or((domain.on_fault == OnFault::Restart).then_some(domain.on_fault_at));
            if let Some(kept) = kept {
                let ends = [Node::Domain(manager), Node::Domain(id)];
                flows.add_both(
                    ends,
                    Kind::Manage,
                    "its starts, its end, its CPU time, and its registers then",
                    &[at, kept],
                );
            }
        }
    }
}

/// Every domain, the builder too, can write to the kernel's log.
fn log(system: &System, flows: &mut Flows) {
    for (reader, right) in holders(system, ObjectKind::LogRight) {
        for writer in all_but(system, reader) {
            flows.add([writer, Node::Domain(reader)], Kind::Log, "lines of the kernel's log", &[right]);
        }
    }
}

/// The census tells what everyone holds, loans among it.
fn census(system: &System, flows: &mut Flows) {
    for (reader, right) in holders(system, ObjectKind::CensusRight) {
        for subject in all_but(system, reader) {
            flows.add(
                [subject, Node::Domain(reader)],
                Kind::Census,
                "what it holds, by the census",
                &[right],
            );
        }
    }
}

/// The monitor is told what a domain that it judges is about to do, and decides it.
fn monitor(system: &System, flows: &mut Flows) {
    let Some(policy) = system.policy() else { return };
    let held = holders(system, ObjectKind::MonitorRight).find(|(id, _)| *id == policy.monitor);
    let at: Vec<Span> = held.into_iter().map(|(_, at)| at).collect();
    for (id, _) in system.domains().filter(|(id, _)| !system.asked(*id).is_empty()) {
        let (subject, monitor) = (Node::Domain(id), Node::Domain(policy.monitor));
        flows.add([subject, monitor], Kind::Monitor, "what it is about to do", &at);
        flows.add([monitor, subject], Kind::Monitor, "what it may do", &at);
    }
}

/// A domain sees all memory of its guest, and the guest has what the domain gives it.
fn guests(system: &System, flows: &mut Flows) {
    for (id, domain) in system.domains().filter(|(_, domain)| domain.guest.is_some()) {
        let ends = [Node::Domain(id), Node::Guest(id)];
        flows.add_both(ends, Kind::Guest, "the guest's memory and registers", &[domain.at]);
    }
}

/// Without an IOMMU a device that reads and writes memory by itself reaches all of it.
fn hostile_devices(system: &System, flows: &mut Flows) {
    for (id, domain) in system.domains() {
        let has_regions = system.component(domain.component).regions.iter().any(|region| region.is_dma);
        let owned = domain.devices.iter();
        for owned in owned.filter(|owned| has_regions || system.device(owned.device).pci.is_some()) {
            let device = Node::Device(owned.device);
            for other in all_but(system, id) {
                for ends in [[device, other], [other, device]] {
                    let what = "reads and writes all memory";
                    flows.add(ends, Kind::Dma, what, &[owned.at]).is_hostile = true;
                }
            }
        }
    }
}

/// Those who are behind two devices may know each other.
fn world(_: &System, flows: &mut Flows) {
    let outside: Vec<Node> =
        flows.nodes.iter().copied().filter(|node| matches!(node, Node::Outside(_))).collect();
    for one in &outside {
        for other in outside.iter().filter(|other| *other != one) {
            flows.add([*one, *other], Kind::World, "ways outside the machine", &[]).is_hostile = true;
        }
    }
}

/// A gate and who uses it.
struct Use<'a> {
    /// The client and the server.
    ids: [DomainId; 2],
    name: &'a str,
    offer: &'a Offer,
    at: Span,
}

impl Use<'_> {
    fn there(&self) -> [Node; 2] {
        self.ids.map(Node::Domain)
    }

    fn back(&self) -> [Node; 2] {
        let [client, server] = self.there();
        [server, client]
    }

    /// What a monitor is asked when the client does this to the server.
    fn asks(&self, class: Class) -> Ask {
        let [subject, object] = self.ids;
        Ask { subject, object, class }
    }
}

fn each_use(system: &System, mut act: impl FnMut(Use<'_>)) {
    for (id, domain) in system.domains() {
        for gate_use in &domain.uses {
            let offer = system.offer(gate_use);
            let ids = [id, gate_use.server];
            act(Use { ids, name: &offer.name.value, offer, at: gate_use.at });
        }
    }
}

/// The domains that hold a right, each with its place.
fn holders(system: &System, kind: ObjectKind) -> impl Iterator<Item = (DomainId, Span)> {
    system.domains().flat_map(move |(id, domain)| {
        let held = domain.rights.iter().filter(move |right| right.value == Right(kind));
        held.map(move |right| (id, right.span))
    })
}

/// The builder and all domains but one.
fn all_but(system: &System, except: DomainId) -> impl Iterator<Item = Node> {
    let domains = system.domains().map(|(id, _)| id).filter(move |id| *id != except);
    domains.map(Node::Domain).chain([Node::Builder])
}
