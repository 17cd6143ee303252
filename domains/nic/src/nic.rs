//! What the domain was given, and its loop.

use cloison_drivers::virtio::{Place, net::NetCard};
use cloison_ipc::frames;
use cloison_sys::{
    Instant, Slot, info, interrupt_acknowledge, memory::DeviceMemory, peer::PEER_FAILED, wait,
};

use crate::{Log, Uplink};

/// What the component's `domain.toml` calls the card, its memory and the port.
const CARD: &str = "card";
const MEMORY: &str = "dma";
const PORT: &str = "net";

/// A network card at a port of a switch.
#[derive(Debug)]
pub struct Nic {
    uplink: Uplink<DeviceMemory>,
    /// The interrupt, if it is a line: that is masked until it has been dealt with.
    line: Option<Slot>,
    interrupt_event: u64,
    port_events: u64,
}

impl Nic {
    /// Brings up what the domain was given, and says what it is.
    ///
    /// # Errors
    /// What is missing. Why a card cannot be used, the log says in more words.
    pub fn open(log: Log) -> Result<Self, &'static str> {
        let port = info::get().find::<info::Use>(PORT).ok_or("this domain has no port on a switch")?;
        let interrupt = info::get().find::<info::Interrupt>(CARD).ok_or("the card has no interrupt")?;
        let slot = info::slot(interrupt).ok_or("the card's interrupt has no slot")?;
        let card = Place::find(CARD, MEMORY).and_then(NetCard::start).map_err(|error| {
            log(format_args!("{error}"));
            "the network card cannot be used"
        })?;
        introduce(&card, log);
        let line = (!card.uses_messages()).then_some(slot);
        let (sender, receiver) = frames::attach(port).ok_or("the port has no memory for frames")?;
        Ok(Self {
            uplink: Uplink::new(card, sender, receiver, log),
            line,
            interrupt_event: info::event_mask(interrupt),
            // A switch that fails is no reason to stop: it comes back, or frames wait for ever.
            port_events: info::event_mask(port) | PEER_FAILED,
        })
    }

    /// Carries a batch each way. If there is nothing to carry, waits until there is.
    pub fn turn(&mut self) {
        if self.uplink.carry() || !self.uplink.prepare_wait() {
            return;
        }
        let events = wait(self.interrupt_event | self.port_events, Instant::NEVER);
        if let Some(line) = self.line
            && events & self.interrupt_event != 0
        {
            self.uplink.acknowledge();
            // It is this domain's: `Place::find` has asked for it before.
            let _ = interrupt_acknowledge(line);
        }
    }
}

fn introduce(card: &NetCard<DeviceMemory>, log: Log) {
    let [a, b, c, d, e, f] = card.mac();
    let link = if card.link_is_up() { "up" } else { "down" };
    let interrupt = if card.uses_messages() { "MSI-X" } else { "interrupt line" };
    log(format_args!(
        "virtio network card {a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}, link {link}, features {:#x}, \
         {interrupt}",
        card.features()
    ));
}
