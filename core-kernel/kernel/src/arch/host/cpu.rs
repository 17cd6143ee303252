//! The CPU: which address space is loaded.

use cloison_abi::{call::NO_DEADLINE, limits::MAX_PORT_RANGES};
use cloison_rules::{DomainId, GuestId};

use super::{context::Context, guest_context::GuestContext, physical::load};
use crate::arch::guest::Root;

/// A range of ports: the first, and how many.
pub type PortRange = (u16, u16);
/// The ports of one domain.
pub type PortRanges = heapless::Vec<PortRange, MAX_PORT_RANGES>;

/// What belongs to the CPU.
pub struct Cpu {
    loaded: u64,
    guest: Option<GuestId>,
    /// As on a PC.
    pub epoch: u64,
    /// As on a PC.
    pub armed: u64,
}

/// What a thread's turn on the CPU needs.
pub struct Turn<'a> {
    /// Its registers and page tables.
    pub context: &'a mut Context,
    /// Its domain.
    pub domain: DomainId,
    /// The I/O ports of its domain.
    pub ports: &'a PortRanges,
}

impl Cpu {
    /// One on which nothing is loaded.
    pub fn new() -> Self {
        Self { loaded: 1, guest: None, epoch: 0, armed: NO_DEADLINE }
    }

    /// Lets a thread have the CPU.
    pub fn switch(&mut self, turn: Turn<'_>) {
        self.loaded = turn.context.root;
        load(self.loaded);
    }

    /// The same, if its domain has no ports.
    pub fn switch_without_ports(&mut self, context: &mut Context) -> bool {
        if self.loaded != context.root {
            if context.has_ports {
                return false;
            }
            self.loaded = context.root;
            load(self.loaded);
        }
        true
    }

    /// Lets a guest have the CPU.
    pub fn enter_guest(&mut self, id: GuestId, _guest: &mut GuestContext, root: Root) {
        self.loaded = root.address();
        load(self.loaded);
        self.guest = Some(id);
    }

    /// There are none.
    pub fn load_selectors(&self, _guest: &GuestContext) {}

    /// Takes the CPU from a guest.
    pub fn leave_guest(&mut self, _guest: &mut GuestContext) {
        self.guest = None;
    }

    /// The guest that has it.
    pub fn guest(&self) -> Option<GuestId> {
        self.guest
    }

    /// Whether a thread's address space is loaded.
    pub fn has_loaded(&self, context: &Context) -> bool {
        self.loaded == context.root
    }

    /// None is to be taken as loaded.
    pub fn forget(&mut self) {
        self.loaded = 1;
    }
}

/// Those of x87, SSE and AVX.
pub fn enabled_states() -> u64 {
    7
}

/// There are none.
pub fn clear_segment_selectors() {}

/// The end of the system is the end of the test.
pub fn stop() -> ! {
    panic!("the system has ended")
}
