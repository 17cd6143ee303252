//! Connects clients with gates of their servers: the gate, the memory both see, the events both ways.

use cloison_abi::info::{Channel, Client, Use};
use cloison_abi::limits::PAGE_BYTES;
use cloison_abi::plan::{EventEntry, GateEntry, NONE};
use cloison_abi::{Badge, Rights};

use super::{Assigner, index, memory, thread};
use crate::plan::name::name;
use crate::system::{DomainId, GateUse, Offer};

/// Where one side of a gate sees the memory that both see.
#[derive(Clone, Copy, Default)]
struct View {
    /// What it may write, or all of it.
    address: u64,
    /// What only the other side writes, if memory is one-way.
    incoming_address: u64,
}

impl Assigner<'_> {
    /// Connects a client with a gate of its server.
    pub(super) fn connect(&mut self, client: DomainId, gate_use: &GateUse) {
        let server = gate_use.server;
        let offer = self.system.offer(gate_use);
        let badge = self.domains[server.0].badge;
        self.domains[server.0].badge += 1;
        let (first_grant, grants) = self.grant_slots(server, offer);
        let (domain, slot) = (index(client), self.slot(client));
        let gate = GateEntry { domain, slot, server: thread(server), badge, first_grant, grants };
        self.tables.gates.push(gate);
        let (to_client, client_bit) = self.signal(offer.signals_client, server, client);
        let (to_server, server_bit) = self.signal(offer.signals_server, client, server);
        let [client_view, server_view] = self.share(offer, client, server);
        let channel = |peer: DomainId, view: View, signal_slot, event_bit| Channel {
            peer: name(&self.system.domain(peer).name),
            badge: Badge(badge),
            signal_slot,
            event_bit,
            option: gate_use.option as u32,
            address: view.address,
            incoming_address: view.incoming_address,
            bytes: offer.shared_pages.max(offer.one_way_pages) * PAGE_BYTES,
        };
        let to_client = channel(client, server_view, to_client, server_bit);
        let channel = channel(server, client_view, to_server, client_bit);
        self.info[client.0].uses.push(Use { name: name(&gate_use.local), channel, slot, reserved: 0 });
        let client = Client { name: name(&offer.name.value), channel: to_client, first_grant, grants };
        self.info[server.0].clients.push(client);
    }

    /// Sets slots of the server aside for what a client grants: the first, and how many.
    fn grant_slots(&mut self, server: DomainId, offer: &Offer) -> (u32, u32) {
        if offer.grant_slots == 0 {
            return (0, 0);
        }
        let first = self.domains[server.0].slot;
        self.domains[server.0].slot += offer.grant_slots as u32;
        (first, offer.grant_slots as u32)
    }

    /// An event from one domain to another, if there is to be one: the slot of the sender, the bit of the
    /// receiver.
    fn signal(&mut self, is_wanted: bool, from: DomainId, to: DomainId) -> (u32, u32) {
        if !is_wanted {
            return (NONE, NONE);
        }
        let (slot, event) = (self.slot(from), self.event(to));
        self.tables.events.push(EventEntry { domain: index(from), slot, target: thread(to), event });
        (slot, event)
    }

    /// Memory that both see: how the client does, and how the server does.
    fn share(&mut self, offer: &Offer, client: DomainId, server: DomainId) -> [View; 2] {
        let pages = offer.region_pages() as u32;
        if pages == 0 {
            return [View::default(); 2];
        }
        let region = self.region(memory(name(&offer.name.value), pages));
        let halves = [0..pages / 2, pages / 2..pages];
        let (read, write) = (Rights::READ, Rights::READ | Rights::WRITE);
        // The client writes the first half of what is one-way, the server the second.
        [(client, 0), (server, 1)].map(|(domain, own)| match offer.one_way_pages {
            0 => View { address: self.map(domain, region, 0..pages, write), incoming_address: 0 },
            _ => View {
                address: self.map(domain, region, halves[own].clone(), write),
                incoming_address: self.map(domain, region, halves[1 - own].clone(), read),
            },
        })
    }
}
