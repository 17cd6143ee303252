//! The network card of a switch: carries frames between its port `net` and the wire.
//!
//! This file finds what the domain was given, and waits; [`uplink`] moves the frames.

#![no_std]
#![no_main]

mod tally;
mod uplink;

use cloison_abi::{info::InfoKind, limits::EVENT_PEER_FAILED};
use cloison_drivers::{
    registers::Area,
    virtio::{Interrupt, Place, net::NetCard},
};
use cloison_ipc::frames;
use cloison_rt::{
    log,
    sys::{Instant, Slot, dma::DmaMemory, info, interrupt_acknowledge, memory::DeviceMemory, wait},
};

use uplink::Uplink;

cloison_rt::entry!(main);

/// What the component's `domain.toml` calls the card, its memory and the port.
const CARD: &str = "card";
const MEMORY: &str = "dma";
const PORT: &str = "net";
/// Areas of the card's memory, in the order in which the platform file has to state them.
const CONFIG: u32 = 0;
const REGISTERS: u32 = 1;
const VECTORS: u32 = 2;

fn main() -> Result<(), &'static str> {
    let port = info::get().find(InfoKind::Use, PORT).ok_or("this domain has no port on a switch")?;
    let interrupt = info::get().find(InfoKind::Interrupt, CARD).ok_or("the card has no interrupt")?;
    let slot = info::slot(interrupt).ok_or("the card's interrupt has no slot")?;
    let card = match NetCard::start(place(slot)?) {
        Ok(card) => card,
        Err(error) => {
            log!("{error}");
            return Err("the network card cannot be used");
        }
    };
    introduce(&card);
    let (sender, receiver) = frames::attach(port).ok_or("the port has no memory for frames")?;
    let uplink = Uplink::new(card, sender, receiver);
    carry(uplink, slot, info::event_mask(interrupt), info::event_mask(port) | 1 << EVENT_PEER_FAILED)
}

/// Where the card is, and how it interrupts.
fn place(interrupt: Slot) -> Result<Place<DeviceMemory>, &'static str> {
    let memory =
        info::get().find(InfoKind::Region, MEMORY).ok_or("this domain has no memory for a device")?;
    let message =
        interrupt_acknowledge(interrupt).map_err(|_| "the card's interrupt is not this domain's")?;
    Ok(Place {
        config: area(CONFIG).ok_or("the platform states no configuration page for the card")?,
        registers: area(REGISTERS).ok_or("the platform states no memory for the card's registers")?,
        vectors: area(VECTORS),
        memory: DmaMemory::map(memory).map_err(|_| "the memory for the card cannot be mapped")?,
        interrupt: message.map_or(Interrupt::Line, Interrupt::Message),
    })
}

fn area(number: u32) -> Option<Area<DeviceMemory>> {
    info::get().find_area(CARD, number).and_then(Area::of)
}

fn introduce(card: &NetCard<DeviceMemory>) {
    let [a, b, c, d, e, f] = card.mac();
    let link = if card.link_is_up() { "up" } else { "down" };
    log!(
        "virtio network card {a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}, link {link}, features {:#x}, {}",
        card.features(),
        if card.uses_messages() { "MSI-X" } else { "interrupt line" }
    );
}

/// Carries frames for ever, and sleeps when there is nothing to carry.
fn carry(mut uplink: Uplink, interrupt: Slot, interrupt_event: u64, port_events: u64) -> ! {
    loop {
        let moved = uplink.carry();
        if moved || !uplink.prepare_wait() {
            continue;
        }
        let events = wait(interrupt_event | port_events, Instant::NEVER);
        if events & interrupt_event != 0 {
            uplink.acknowledge();
            // It is this domain's: `place` has asked for it before. A line is masked until here.
            let _ = interrupt_acknowledge(interrupt);
        }
    }
}
