//! All devices of a guest, and the store through which it finds them.

use cloison_abi::limits::PAGE_BYTES;

use super::{block::Block, network::Interface, terminal::Terminal};
use crate::boot::{STORE_PORT, Start};
use crate::events::Channels;
use crate::machine::Machine;
use crate::saved::{Carried, Carrier, CutShort};
use crate::xenstore::{Broken, Refusal, Xenstore};

/// All devices.
pub(crate) struct Devices {
    store: Xenstore,
    /// The store's page.
    page: u64,
    /// The store's changes that have been looked at.
    seen: u32,
    block: Option<Block>,
    interface: Option<Interface>,
    terminal: Option<Terminal>,
}

/// The machine says which devices there are; they have to be those that there were.
impl Carried for Devices {
    fn carry(&mut self, carrier: &mut impl Carrier) -> Result<(), CutShort> {
        let Self { store, page, seen, block, interface, terminal } = self;
        store.carry(carrier)?;
        page.carry(carrier)?;
        seen.carry(carrier)?;
        let has = [block.is_some(), interface.is_some(), terminal.is_some()];
        let mut had = has;
        had.carry(carrier)?;
        if had != has {
            return Err(CutShort);
        }
        block.as_mut().map_or(Ok(()), |block| block.carry(carrier))?;
        interface.as_mut().map_or(Ok(()), |interface| interface.carry(carrier))?;
        terminal.as_mut().map_or(Ok(()), |terminal| terminal.carry(carrier))
    }
}

impl Devices {
    /// None, before a guest begins.
    pub const fn new() -> Self {
        Self { store: Xenstore::new(), page: 0, seen: 0, block: None, interface: None, terminal: None }
    }

    /// Offers what the machine has to a guest that begins.
    pub fn start(&mut self, machine: &impl Machine, start: &Start) {
        self.store.clear();
        (self.page, self.seen) = (u64::from(start.store) * PAGE_BYTES, 0);
        self.offer(machine, start).expect("the store is empty, and has room for this");
    }

    fn offer(&mut self, machine: &impl Machine, start: &Start) -> Result<(), Refusal> {
        self.store.describe(machine.pages(), start)?;
        self.attach(machine)
    }

    fn attach(&mut self, machine: &impl Machine) -> Result<(), Refusal> {
        self.block = Block::new(&mut self.store, machine)?;
        self.interface = Interface::new(&mut self.store, machine)?;
        self.terminal = Terminal::new(&mut self.store, machine)?;
        Ok(())
    }

    /// The store.
    #[cfg(test)]
    pub fn store(&mut self) -> &mut Xenstore {
        &mut self.store
    }

    /// Has the devices of the machine, for what is read of a saved guest.
    pub fn prepare(&mut self, machine: &impl Machine) {
        self.store.clear();
        self.attach(machine).expect("the store is empty, and has room for this");
    }

    /// Goes on with what was read of a saved guest. A ring that is damaged is found so when it is used the next time.
    pub fn resume(&mut self, machine: &mut impl Machine) {
        let _ = self.block.as_mut().map(|block| block.resume(machine));
    }

    /// Asks the guest to switch itself off. One that has filled the store is not told.
    ///
    /// # Errors
    /// [`Broken`]: the guest cannot use the store any more.
    pub fn ask_to_end(&mut self, machine: &mut impl Machine, channels: &Channels) -> Result<(), Broken> {
        let _ = self.store.ask_to_end();
        self.serve_store(machine, channels)
    }

    /// Does what the guest has asked for, and tells it what has come; to be called when it has come out. It has a pause
    /// if something may have come.
    ///
    /// # Errors
    /// [`Broken`]: the guest cannot use the store any more.
    pub fn serve(
        &mut self,
        machine: &mut impl Machine,
        channels: &mut Channels,
        is_pause: bool,
    ) -> Result<(), Broken> {
        if channels.take_raised(STORE_PORT) {
            self.serve_store(machine, channels)?;
        }
        let mut is_moved = false;
        if self.store.changes() != self.seen {
            self.seen = self.store.changes();
            self.look(machine);
            is_moved = true;
        }
        // A refusal here and below means that the guest has filled the store: what was to be told does not reach it.
        if let Some(block) = &mut self.block
            && (block.port().is_some_and(|port| channels.take_raised(port)) | is_pause)
        {
            let told = block.serve(&mut self.store, machine);
            told.ok().flatten().into_iter().for_each(|port| channels.raise(machine, port));
            is_moved = true;
        }
        if let Some(interface) = &mut self.interface
            && let Some(port) = interface.port()
            && (channels.take_raised(port) | is_pause | interface.is_behind())
        {
            let told = interface.serve(&mut self.store, machine);
            told.ok().flatten().into_iter().for_each(|port| channels.raise(machine, port));
            is_moved = true;
        }
        if let Some(terminal) = &mut self.terminal
            && let Some(port) = terminal.port()
            && channels.take_raised(port)
        {
            let told = terminal.serve(&mut self.store, machine);
            told.ok().flatten().into_iter().for_each(|port| channels.raise(machine, port));
            is_moved = true;
        }
        if is_moved { self.serve_store(machine, channels) } else { Ok(()) }
    }

    /// Has each backend look at what the guest has set up.
    fn look(&mut self, machine: &impl Machine) {
        if let Some(block) = &mut self.block {
            let _ = block.look(&mut self.store, machine);
        }
        if let Some(interface) = &mut self.interface {
            let _ = interface.look(&mut self.store, machine);
        }
        if let Some(terminal) = &mut self.terminal {
            let _ = terminal.look(&mut self.store, machine);
        }
    }

    fn serve_store(&mut self, machine: &mut impl Machine, channels: &Channels) -> Result<(), Broken> {
        if self.store.serve(machine, self.page)? {
            channels.raise(machine, STORE_PORT);
        }
        Ok(())
    }
}
