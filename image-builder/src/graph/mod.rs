//! Pictures of a system: who calls whom, and who owns which device.

mod dot;
mod layers;
mod svg;

pub use dot::graph_dot;
pub use svg::graph_svg;

use std::iter;

use crate::System;
use crate::system::{Domain, DomainId, LOG_GATE, Use};

/// All gates from one domain to another, drawn as one line.
struct Link<'a> {
    client: DomainId,
    server: DomainId,
    grants: Vec<&'a Use>,
}

/// Every pair of domains that can talk, in the order of the manifest.
fn links(system: &System) -> Vec<Link<'_>> {
    let mut links: Vec<Link<'_>> = Vec::new();
    for (client, domain) in system.domains() {
        for grant in &domain.uses {
            let known = links.iter_mut().find(|link| link.client == client && link.server == grant.server);
            match known {
                Some(link) => link.grants.push(grant),
                None => links.push(Link { client, server: grant.server, grants: vec![grant] }),
            }
        }
    }
    links
}

impl Link<'_> {
    /// Whether it is for nothing but the log, which nearly everybody has.
    fn is_log(&self, system: &System) -> bool {
        self.grants.iter().all(|grant| system.offer(grant).name.value == LOG_GATE)
    }

    /// Names of the gates, the address if one of them is a port, and how much memory the two share.
    fn label(&self, system: &System) -> String {
        let gates = self.grants.iter().map(|grant| system.offer(grant).name.value.clone());
        let addresses = system
            .ports()
            .filter(|(switch, port)| (port.domain, switch.domain) == (self.client, self.server));
        let addresses = addresses.filter_map(|(_, port)| port.address).map(|address| address.to_string());
        let pages: u64 = self.grants.iter().map(|grant| system.offer(grant).region_pages()).sum();
        let pages = match pages {
            0 => None,
            1 => Some("1 page".to_owned()),
            _ => Some(format!("{pages} pages")),
        };
        let gates = gates.collect::<Vec<_>>().join(", ");
        iter::once(gates).chain(addresses).chain(pages).collect::<Vec<_>>().join(" · ")
    }
}

/// Name and class of each device that a domain owns.
fn devices<'a>(system: &'a System, domain: &'a Domain) -> impl Iterator<Item = (&'a str, &'a str)> {
    let devices = domain.devices.iter().map(|owned| system.device(owned.device));
    devices.map(|device| (device.name.value.as_str(), device.class.value.as_str()))
}
