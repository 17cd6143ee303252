//! Pictures of a system: who calls whom, and who owns which device.

mod dot;
mod layers;
mod svg;
mod text;

pub use dot::graph_dot;
pub use svg::graph_svg;

use cloison_abi::port::PortFlags;

use crate::manifest::DISK_GATE;
use crate::system::{Domain, DomainId, GateUse, LOG_GATE, OnFault, PAGES_IN_MIB, Port, System, access, part};

/// All gates from one domain to another, drawn as one line.
struct Edge<'a> {
    client: DomainId,
    server: DomainId,
    uses: Vec<&'a GateUse>,
}

/// Every pair of domains that can talk, in the order of the manifest.
fn edges(system: &System) -> Vec<Edge<'_>> {
    let mut edges: Vec<Edge<'_>> = Vec::new();
    for (client, domain) in system.domains() {
        for gate_use in &domain.uses {
            let known = edges.iter_mut().find(|edge| edge.client == client && edge.server == gate_use.server);
            match known {
                Some(edge) => edge.uses.push(gate_use),
                None => edges.push(Edge { client, server: gate_use.server, uses: vec![gate_use] }),
            }
        }
    }
    edges
}

impl Edge<'_> {
    /// Whether it is for nothing but the log, which nearly everybody has.
    fn is_log(&self, system: &System) -> bool {
        self.uses.iter().all(|gate_use| system.offer(gate_use).name.value == LOG_GATE)
    }

    /// Names of the gates; the ports among them; options; how much memory the two share.
    fn label(&self, system: &System) -> Vec<String> {
        let gates = self.uses.iter().map(|gate_use| system.offer(gate_use).name.value.clone());
        let mut lines = vec![gates.collect::<Vec<_>>().join(", ")];
        let ports = system
            .ports()
            .filter(|(switch, port)| (port.domain, switch.domain) == (self.client, self.server));
        lines.extend(ports.flat_map(|(_, port)| about_port(port)));
        let options = self.uses.iter().filter_map(|gate_use| {
            let offer = system.offer(gate_use);
            Some(if offer.name.value == DISK_GATE {
                let (part, is_read_only) = part(gate_use.option);
                format!("{part}, {}", access(is_read_only))
            } else {
                Some(offer.unpacked(gate_use.option).join(", ")).filter(|options| !options.is_empty())?
            })
        });
        lines.extend(options);
        match self.uses.iter().map(|gate_use| system.offer(gate_use).region_pages()).sum() {
            0u64 => {}
            1 => lines.push("1 page".to_owned()),
            pages => lines.push(format!("{pages} pages")),
        }
        lines
    }
}

/// Its address or what it has instead, and its VLAN.
fn about_port(port: &Port) -> Vec<String> {
    let special = [
        (PortFlags::UPLINK, "uplink"),
        (PortFlags::DHCP, "address by DHCP"),
        (PortFlags::MIRROR, "mirror of all"),
    ];
    let special = special.into_iter().find(|(flag, _)| port.flags.contains(*flag));
    let address = port.address.map(|address| address.to_string());
    let address = address.or(special.map(|(_, text)| text.to_owned()));
    let vlan = (!port.flags.contains(PortFlags::MIRROR)).then(|| format!("VLAN {}", port.vlan));
    address.into_iter().chain(vlan).collect()
}

/// Name and class of each device that a domain owns.
fn devices<'a>(system: &'a System, domain: &'a Domain) -> impl Iterator<Item = (&'a str, &'a str)> {
    let devices = domain.devices.iter().map(|owned| system.device(owned.device));
    devices.map(|device| (device.name.value.as_str(), device.class.value.as_str()))
}

/// The guest that a domain runs: its memory, and what it begins with.
fn guest(system: &System, domain: &Domain) -> Option<String> {
    let guest = domain.guest.as_ref()?;
    let files = guest.kernels().chain(guest.initramfs);
    let files: String = files.map(|file| format!(", {}", system.files()[file.0].name)).collect();
    Some(format!("guest: {} MiB{files}", guest.sizes.ram / PAGES_IN_MIB))
}

/// The programs that a domain can be started with, if there are several.
fn programs(system: &System, domain: &Domain) -> Option<String> {
    let names = domain.programs().map(|program| system.component(program).name.as_str());
    let names: Vec<&str> = names.filter(|_| !domain.images.is_empty()).collect();
    (!names.is_empty()).then(|| format!("runs {}", names.join(" or ")))
}

/// What is on the disk that a domain drives.
fn disk(system: &System, domain: DomainId) -> Option<String> {
    let disk = system.disks().iter().find(|disk| disk.domain == domain)?;
    Some(format!("disk: {}, {}", disk.content, access(disk.is_read_only)))
}

/// The policy for a domain's faults, unless the domain only stops.
fn on_fault(system: &System, domain: &Domain) -> Option<String> {
    match domain.on_fault {
        OnFault::Stop => None,
        OnFault::Halt => Some("a fault halts everything".to_owned()),
        OnFault::Restart => Some("after a fault: started again".to_owned()),
        OnFault::Handler(handler) => Some(format!("faults: {} decides", system.domain(handler).name)),
    }
}

/// The ports of the host that lead to a domain, each with the domain's own.
fn forwards(system: &System, domain: DomainId) -> impl Iterator<Item = (String, u16)> {
    let own = system.forwards().iter().filter(move |forward| forward.to == domain);
    own.map(|forward| {
        let host = forward.host_port.map_or("a free one".to_owned(), |port| port.to_string());
        (host, forward.port)
    })
}

/// Names of the domains of which the builder keeps what it needs to start them again.
fn restartable(system: &System) -> Vec<&str> {
    let domains = system.domains().filter(|(_, domain)| domain.on_fault == OnFault::Restart);
    domains.map(|(_, domain)| domain.name.as_str()).collect()
}
