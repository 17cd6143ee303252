//! What the domain was given, and its loop.

use alloc::vec::Vec;

use cloison_drivers::virtio::{self, block};
use cloison_sys::{
    Instant, Message, Received, Slot, info, interrupt_acknowledge,
    memory::DeviceMemory,
    peer::{PEER_FAILED, gone_clients},
    reply_wait, wait,
};
use disk_api::{Choice, disk as gate};

use crate::{Log, Part, Service, SharedMail, Table, TableError, Unfit, assign};

/// What the component's `domain.toml` calls the disk and its memory.
const DISK: &str = "disk";
const MEMORY: &str = "dma";

/// By which events the disk's interrupt comes.
#[derive(Clone, Copy, Debug)]
pub struct Events {
    interrupt: u64,
    /// The interrupt, if it is a line: that is masked until it has been dealt with.
    line: Option<Slot>,
}

/// A disk and its clients.
pub struct Domain {
    service: Service<block::Disk<DeviceMemory>, SharedMail>,
    events: Events,
    reply: Message,
}

impl Domain {
    /// Brings up what the domain was given, and says what it is.
    ///
    /// # Errors
    /// What is missing. Why a disk cannot be used, the log says in more words.
    pub fn open(log: Log) -> Result<Self, &'static str> {
        let interrupt = info::get().find::<info::Interrupt>(DISK).ok_or("the disk has no interrupt")?;
        let slot = info::slot(interrupt).ok_or("the disk's interrupt has no slot")?;
        let disk = virtio::Place::find(DISK, MEMORY).and_then(block::Disk::start);
        let mut disk = disk.map_err(|error| {
            log(format_args!("{error}"));
            "the disk cannot be used"
        })?;
        introduce(&disk, log);
        let line = (!disk.uses_messages()).then_some(slot);
        let events = Events { interrupt: info::event_mask(interrupt), line };
        let clients: Vec<_> = info::get().clients().collect();
        let parts = parts(&mut disk, events, &clients, log);
        let service = Service::new(disk, SharedMail::new(&clients), parts);
        Ok(Self { service, events, reply: Message::default() })
    }

    /// Answers a client or deals with what has ended; if there is nothing, waits until there is.
    pub fn turn(&mut self) {
        let deadline = if self.service.prepare_wait() { Instant::NEVER } else { Instant::PAST };
        let reply = core::mem::take(&mut self.reply);
        match reply_wait(reply, self.events.interrupt | PEER_FAILED, deadline) {
            Received::Message { badge, message } => {
                self.reply = gate::answer(&mut self.service, badge, message);
            }
            Received::Events(events) => {
                if events & PEER_FAILED != 0 {
                    gone_clients().for_each(|badge| self.service.forget(badge));
                }
                self.events.acknowledge(self.service.drive(), events);
            }
            Received::TimedOut => {}
        }
        self.service.step();
    }
}

impl Events {
    fn acknowledge(self, disk: &mut block::Disk<DeviceMemory>, events: u64) {
        if let Some(line) = self.line
            && events & self.interrupt != 0
        {
            disk.acknowledge();
            // It is this domain's: `Place::find` has asked for it before.
            let _ = interrupt_acknowledge(line);
        }
    }
}

/// Which part of the disk each client gets.
fn parts(
    disk: &mut block::Disk<DeviceMemory>,
    events: Events,
    clients: &[&'static info::Client],
    log: Log,
) -> Vec<Result<Part, Unfit>> {
    let choices: Vec<_> = clients.iter().map(|client| Choice::of_option(client.channel.option)).collect();
    let wants_table = choices.iter().any(|choice| choice.partition != 0);
    let (sectors, is_read_only) = (disk.sectors(), disk.is_read_only());
    let table = if wants_table {
        Table::read(sectors, |sector, bytes| read(disk, events, sector, bytes))
    } else {
        Err(TableError::NotRead)
    };
    if let (true, Err(error)) = (wants_table, &table) {
        log(format_args!("no partitions: {error}"));
    }
    let whole = Part { first: 0, sectors, is_read_only };
    let parts = assign(whole, table.as_ref().ok(), &choices);
    for (client, part) in clients.iter().zip(&parts) {
        match part {
            Ok(part) => log(format_args!("{} has {part}", client.channel.peer.as_str())),
            Err(unfit) => log(format_args!("{} has nothing: {unfit}", client.channel.peer.as_str())),
        }
    }
    parts
}

/// Reads a sector, and waits until that is done. False if the disk fails to.
fn read(disk: &mut block::Disk<DeviceMemory>, events: Events, sector: u64, bytes: &mut [u8]) -> bool {
    let Some(place) = disk.free_place() else { return false };
    if !disk.begin(place, block::Operation::Read, sector, bytes.len()) {
        return false;
    }
    disk.publish();
    loop {
        if let Some((ended, is_done)) = disk.next_done() {
            let is_read = ended == place && is_done && disk.read(place, 0, bytes);
            disk.release(ended);
            return is_read;
        }
        if disk.prepare_wait() {
            let events_now = wait(events.interrupt, Instant::NEVER);
            events.acknowledge(disk, events_now);
        }
    }
}

fn introduce(disk: &block::Disk<DeviceMemory>, log: Log) {
    let interrupt = if disk.uses_messages() { "MSI-X" } else { "interrupt line" };
    let access = if disk.is_read_only() { "read-only" } else { "read and write" };
    let flush = if disk.has_flush() { "flushes" } else { "writes through" };
    log(format_args!("virtio disk, {} sectors, {access}, {flush}, {interrupt}", disk.sectors()));
}
