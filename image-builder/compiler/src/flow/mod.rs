//! What can flow in a system: a graph of who can tell whom something, and by what.
//!
//! An edge says that something can get from one end to the other in one step, whatever the programs at the two ends do.
//! All edges are worked out of the system, each kind by a function of its own (`edges`); a test holds them against the
//! tables of the plan. What makes the ends pass on less than they could is no business of the graph's.

mod edges;
mod walls;

use std::collections::{BTreeMap, BTreeSet};

use cloison_abi::ObjectKind;
use cloison_abi::access::Class;
pub use edges::{SOURCES, Source};
pub use walls::Sides;

use crate::diagnostic::Span;
use crate::system::{DeviceId, DomainId, OnFault, Part, System};
use crate::workspace::BUILDER;
use walls::Walls;

/// An end of what flows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Node {
    /// A domain.
    Domain(DomainId),
    /// The builder, as far as it goes on when the system is built.
    Builder,
    /// The guest that a domain runs.
    Guest(DomainId),
    /// A device that a domain owns.
    Device(DeviceId),
    /// What is connected to a device, outside the machine.
    Outside(DeviceId),
}

/// A node: an index into the graph's nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct NodeId(pub(crate) usize);

/// The means by which something flows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the names say what they are")]
pub enum Kind {
    /// A gate call, or its reply.
    Call,
    /// An event.
    Signal,
    /// Memory that one end writes and the other reads.
    Memory,
    /// Memory that one end may lend the other.
    Loan,
    /// Frames through a switch.
    Frames,
    Device,
    /// What is told of a fault, and done after it.
    Fault,
    /// What the builder keeps of a domain, to start it again.
    Restart,
    /// Who starts and ends on request.
    Manage,
    /// Lines of the kernel's log.
    Log,
    Census,
    /// What a monitor is asked, and decides.
    Monitor,
    /// What a domain and its guest share.
    Guest,
    /// A device's own access to memory.
    Dma,
    /// Another way than by this machine.
    World,
}

/// Something that can flow.
#[derive(Debug, Clone)]
pub struct Flow {
    /// Who tells.
    pub from: NodeId,
    /// Who is told.
    pub to: NodeId,
    /// By what.
    pub kind: Kind,
    /// That in words.
    pub what: String,
    /// Who carries it, without being an end of it: a switch.
    pub by: Option<NodeId>,
    /// The places of the manifest that allow it.
    pub at: Vec<Span>,
    /// What a monitor is asked before it can flow, if a monitor is asked.
    pub asks: Vec<Ask>,
    /// Whether it is only there if a device or the world outside does what is taken for granted that it does not.
    pub is_hostile: bool,
}

/// Something that a domain does to another one, and that a policy allows or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ask {
    /// Who does it.
    pub subject: DomainId,
    /// To whom.
    pub object: DomainId,
    /// What.
    pub class: Class,
}

/// All that can flow in a system.
#[derive(Debug)]
pub struct Flows {
    nodes: Vec<Node>,
    names: Vec<String>,
    places: BTreeMap<Node, NodeId>,
    owners: Vec<Option<NodeId>>,
    switches: Vec<NodeId>,
    keepers: Vec<bool>,
    /// Pairs of a node and one that it serves.
    clients: BTreeSet<(NodeId, NodeId)>,
    /// Names of types, each with the domains that have it.
    types: Vec<(String, Vec<NodeId>)>,
    walls: Walls,
    flows: Vec<Flow>,
}

impl Kind {
    /// Every kind, with its name in a question.
    pub const ALL: [(Self, &str); 15] = [
        (Self::Call, "call"),
        (Self::Signal, "signal"),
        (Self::Memory, "memory"),
        (Self::Loan, "loan"),
        (Self::Frames, "frames"),
        (Self::Device, "device"),
        (Self::Fault, "fault"),
        (Self::Restart, "restart"),
        (Self::Manage, "manage"),
        (Self::Log, "log"),
        (Self::Census, "census"),
        (Self::Monitor, "monitor"),
        (Self::Guest, "guest"),
        (Self::Dma, "dma"),
        (Self::World, "world"),
    ];

    /// Its name in a question.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(kind, _)| *kind == self).map_or("", |(_, name)| name)
    }
}

impl Flows {
    /// All that can flow in a system, while its policies are in force one after the other.
    #[must_use]
    pub fn new(system: &System) -> Self {
        Self::from_sources(system, SOURCES)
    }

    /// What can flow if one of the system's policies is in force and no other one ever was.
    #[must_use]
    pub fn under(system: &System, part: &Part) -> Self {
        let mut flows = Self::new(system);
        if let Some(policy) = system.policy() {
            let is_let = |ask: &Ask| policy.lets(part, ask.subject, ask.object, ask.class);
            flows.flows.retain(|flow| flow.asks.iter().all(is_let));
        }
        flows.walls = Walls::of(system, &flows, std::slice::from_ref(part));
        flows
    }

    /// What flows by some of the means, for a test that all of them are needed.
    #[must_use]
    pub fn from_sources(system: &System, sources: &[Source]) -> Self {
        let mut flows = Self::without_edges(system);
        sources.iter().for_each(|source| (source.add)(system, &mut flows));
        flows
    }

    fn without_edges(system: &System) -> Self {
        let mut flows = Self {
            nodes: Vec::new(),
            names: Vec::new(),
            places: BTreeMap::new(),
            owners: Vec::new(),
            switches: Vec::new(),
            keepers: Vec::new(),
            clients: BTreeSet::new(),
            types: Vec::new(),
            walls: Walls::default(),
            flows: Vec::new(),
        };
        for (id, domain) in system.domains() {
            flows.node(Node::Domain(id), domain.name.clone(), None, domain.keeps_apart);
        }
        flows.node(Node::Builder, BUILDER.to_owned(), None, true);
        for (id, domain) in system.domains() {
            let owner = flows.places.get(&Node::Domain(id)).copied();
            if domain.guest.is_some() {
                flows.node(Node::Guest(id), format!("guest:{}", domain.name), owner, false);
            }
            for owned in &domain.devices {
                let device = system.device(owned.device);
                let name = &device.name.value;
                flows.node(Node::Device(owned.device), format!("device:{name}"), owner, false);
                if !device.is_enclosed {
                    flows.node(Node::Outside(owned.device), format!("outside:{name}"), owner, false);
                }
            }
        }
        for switch in system.switches() {
            let switch = flows.id(Node::Domain(switch.domain));
            flows.switches.push(switch);
            flows.keepers[switch.0] = true;
        }
        flows.find_clients(system);
        flows.find_types(system);
        let parts = system.policy().map_or(&[][..], |policy| &policy.parts);
        flows.walls = Walls::of(system, &flows, parts);
        flows
    }

    fn node(&mut self, node: Node, name: String, owner: Option<NodeId>, keeps_apart: bool) {
        self.places.insert(node, NodeId(self.nodes.len()));
        self.nodes.push(node);
        self.names.push(name);
        self.owners.push(owner);
        self.keepers.push(keeps_apart);
    }

    /// Whom each node serves: callers of its gates, who may send it frames, domains whose faults it handles or that it
    /// starts again, and everyone, if it reads what everyone tells the kernel.
    fn find_clients(&mut self, system: &System) {
        for switch in system.switches() {
            let ports = 0..switch.ports.len();
            let pairs = ports.clone().flat_map(|from| ports.clone().map(move |to| (from, to)));
            for (from, to) in pairs.filter(|(from, to)| switch.may_send(*from, *to)) {
                let [client, server] =
                    [from, to].map(|port| self.id(Node::Domain(switch.ports[port].domain)));
                self.clients.insert((server, client));
            }
        }
        for (id, domain) in system.domains() {
            let client = self.id(Node::Domain(id));
            for gate_use in &domain.uses {
                self.clients.insert((self.id(Node::Domain(gate_use.server)), client));
            }
            if let Some(policy) = system.policy().filter(|_| !system.asked(id).is_empty()) {
                self.clients.insert((self.id(Node::Domain(policy.monitor)), client));
            }
            let is_manager = domain.rights.iter().any(|right| right.value.0 == ObjectKind::ManageRight);
            if domain.on_request.is_some() || is_manager {
                self.clients.insert((self.id(Node::Builder), client));
            }
            match domain.on_fault {
                OnFault::Handler(handler) => {
                    self.clients.insert((self.id(Node::Domain(handler)), client));
                }
                OnFault::Restart => {
                    self.clients.insert((self.id(Node::Builder), client));
                }
                OnFault::Stop | OnFault::Halt => {}
            }
            if domain.rights.iter().any(|right| right.value.hears_everyone()) {
                let is_speaker = |node: &Node| matches!(node, Node::Domain(_) | Node::Builder);
                let all = self.nodes().filter(|(id, node)| is_speaker(node) && *id != client);
                let all: Vec<_> = all.map(|(speaker, _)| (client, speaker)).collect();
                self.clients.extend(all);
            }
        }
    }

    fn find_types(&mut self, system: &System) {
        let Some(policy) = system.policy() else { return };
        for (place, name) in policy.types.iter().enumerate() {
            let domains = system.domains().zip(&policy.domains).filter(|(_, (kind, _))| *kind == place);
            let nodes = domains.map(|((id, _), _)| self.id(Node::Domain(id))).collect();
            self.types.push((name.clone(), nodes));
        }
    }

    /// The types of the policy, each with the domains that have it.
    #[must_use]
    pub fn types(&self) -> &[(String, Vec<NodeId>)] {
        &self.types
    }

    /// Every node, in the order of the manifest, domains first.
    pub fn nodes(&self) -> impl Iterator<Item = (NodeId, Node)> {
        self.nodes.iter().enumerate().map(|(place, node)| (NodeId(place), *node))
    }

    /// What the node at a place is.
    #[must_use]
    pub fn node_at(&self, id: NodeId) -> Node {
        self.nodes[id.0]
    }

    /// How many nodes there are.
    #[must_use]
    pub fn node_count(&self) -> usize {
        self.nodes.len()
    }

    /// All that flows.
    #[must_use]
    pub fn flows(&self) -> &[Flow] {
        &self.flows
    }

    /// The place of a node, if the system has it.
    #[must_use]
    pub fn find(&self, node: Node) -> Option<NodeId> {
        self.places.get(&node).copied()
    }

    /// What a node is called, in questions and answers.
    #[must_use]
    pub fn name(&self, id: NodeId) -> &str {
        &self.names[id.0]
    }

    /// The domain that a guest, a device, or what is behind it, belongs to.
    #[must_use]
    pub fn owner(&self, id: NodeId) -> Option<NodeId> {
        self.owners[id.0]
    }

    /// Whether it is taken for granted that a node passes nothing from one of its clients to another.
    #[must_use]
    pub fn keeps_apart(&self, id: NodeId) -> bool {
        self.keepers[id.0]
    }

    /// Whether a node carries frames, and passes nothing else between its clients.
    #[must_use]
    pub fn is_switch(&self, id: NodeId) -> bool {
        self.switches.contains(&id)
    }

    /// Whether one node serves another.
    #[must_use]
    pub fn serves(&self, server: NodeId, client: NodeId) -> bool {
        self.clients.contains(&(server, client))
    }

    /// Those whom a node serves.
    pub fn clients(&self, server: NodeId) -> impl Iterator<Item = NodeId> {
        let all = self.clients.range((server, NodeId(0))..).take_while(move |(node, _)| *node == server);
        all.map(|(_, client)| *client)
    }

    /// The place of a node of which the system is known to have it.
    fn id(&self, node: Node) -> NodeId {
        self.places[&node]
    }
}

#[cfg(test)]
impl Flows {
    /// A graph of domains and what belongs to them, for tests: the owner of each node, who keeps others apart, pairs of a
    /// server and its client, and pairs between which something flows.
    pub(crate) fn by_hand(
        owners: &[Option<usize>],
        keepers: &[bool],
        clients: &[(usize, usize)],
        flows: &[(usize, usize)],
    ) -> Self {
        let flow = |(from, to): &(usize, usize)| Flow {
            from: NodeId(*from),
            to: NodeId(*to),
            kind: Kind::Call,
            what: String::new(),
            by: None,
            at: Vec::new(),
            asks: Vec::new(),
            is_hostile: false,
        };
        let count = owners.len();
        Self {
            nodes: (0..count).map(|place| Node::Domain(DomainId(place))).collect(),
            names: (0..count).map(|place| format!("n{place}")).collect(),
            places: BTreeMap::new(),
            owners: owners.iter().map(|owner| owner.map(NodeId)).collect(),
            switches: Vec::new(),
            types: Vec::new(),
            walls: Walls::default(),
            keepers: keepers.to_vec(),
            clients: clients.iter().map(|(server, client)| (NodeId(*server), NodeId(*client))).collect(),
            flows: flows.iter().map(flow).collect(),
        }
    }
}
