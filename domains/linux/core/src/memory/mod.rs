//! The guest's page tables, and what the kernel is asked to show because of them.
//!
//! The guest's tables lie in its memory as it wrote them; the CPU never sees them. It sees *shadows*: spaces that the
//! kernel keeps, filled at page faults by a walk of the guest's tables. A shadow is to the guest what a CPU's cache of
//! translations is: it may show less than the tables say at any time, and what they said before until the guest
//! flushes. Nothing here can do the machine any harm, for all that can be shown is the guest's own memory.

mod ahead;
mod entry;
mod fault;
mod places;
mod reach;
mod roots;
mod store;
mod strict;
mod tables;
mod update;
mod upper;
mod walk;
mod watched;

use core::fmt;

use cloison_abi::guest::{GuestHalf, UPPER_HALF};

pub use crate::decode::Register;
pub use entry::{Entry, is_canonical};
pub use fault::{Fault, machine_to_physical_pages, page_of};
#[cfg(test)]
pub(crate) use fault::{seen_by_stub, shown_of_stub};
pub use reach::{Instruction, Unreachable};
pub use store::{Operation, Store};
pub use tables::MAX_PAGES;
pub use walk::{Access, Path, Stop, code, walk};
pub(crate) use watched::{Barred, WatchedPage};

use crate::machine::{Machine, NoRoom, Space};
use crate::saved::carried;
use ahead::Missed;
use places::Places;
use roots::Roots;
use tables::Tables;
use upper::Upper;
use watched::Watched;

#[cfg(test)]
mod tests;

/// The guest's roots, and what is shown because of them.
pub struct Paging {
    /// Root of what the guest's kernel sees.
    kernel: u32,
    /// Root of what its user programs see, if there are any.
    user: Option<u32>,
    /// Which of them runs.
    half: GuestHalf,
    /// What is shown because of a root stays when another takes its place. It is taken back when entries change.
    keeps: bool,
    tables: Tables,
    places: Places,
    roots: Roots,
    upper: Upper,
    /// The root that was pinned last, unless something was unpinned since.
    pinned: Option<u32>,
    /// Roots that are pinned. Xen lets nobody write to tables below these but by its calls.
    pinned_roots: Tables,
    /// What the guest was told of last that it cannot reach.
    missed: Option<Missed>,
    /// What is not shown for all that the guest's tables allow.
    watched: Watched,
    counters: Counters,
    /// Where the information on the virtual CPU lies, which the stub sees.
    pub(crate) information: u64,
}

// Shadows fill again.
carried!(Paging { kernel, user, half, keeps, tables, counters }
    leaves { places, roots, upper, pinned, pinned_roots, missed, watched, information });
carried!(Counters { updates, foreign, emulated, unknown_stores, fills, evictions, drops });

/// What happened so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Entries stored for the guest.
    pub updates: u64,
    /// Entries among them that name a frame which is not the guest's: they are never shown.
    pub foreign: u64,
    /// Stores of the guest to its tables that trapped and were carried out.
    pub emulated: u64,
    /// Stores of the guest to its tables that are of no form known here: it was told of a fault.
    pub unknown_stores: u64,
    /// Pages shown at faults.
    pub fills: u64,
    /// Times that shadows went for want of room.
    pub evictions: u64,
    /// Times that a whole half was dropped.
    pub drops: u64,
}

impl fmt::Display for Counters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { updates, foreign, emulated, unknown_stores, fills, evictions, drops } = self;
        write!(f, "{updates} entries stored, {foreign} of them foreign; {emulated} stores carried out, ")?;
        write!(f, "{unknown_stores} of no known form; {fills} fills, {evictions} evictions, {drops} drops")
    }
}

/// There is no root for user programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoUserRoot;

impl Paging {
    /// Before the guest's first instruction.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            kernel: 0,
            user: None,
            half: GuestHalf::Both,
            keeps: true,
            tables: Tables::new(),
            places: Places::new(),
            roots: Roots::new(),
            upper: Upper::new(),
            pinned: None,
            pinned_roots: Tables::new(),
            missed: None,
            watched: Watched::NONE,
            counters: Counters {
                updates: 0,
                foreign: 0,
                emulated: 0,
                unknown_stores: 0,
                fills: 0,
                evictions: 0,
                drops: 0,
            },
            information: 0,
        }
    }

    /// Begins with the root that the guest finds.
    ///
    /// # Errors
    /// [`NoRoom`] for the first space.
    pub fn start(&mut self, machine: &mut impl Machine, kernel_root: u32) -> Result<(), NoRoom> {
        (self.kernel, self.user, self.half) = (kernel_root, None, GuestHalf::Both);
        self.counters = Counters::default();
        self.tables.clear();
        self.pinned_roots.clear();
        self.places.clear();
        self.upper = Upper::new();
        (self.pinned, self.missed, self.watched) = (None, None, Watched::NONE);
        self.roots.start(kernel_root);
        self.learn_below(machine, kernel_root, entry::LEVELS);
        machine.create(Space(0))
    }

    /// Goes on with what was read of a saved guest: nothing is shown yet.
    ///
    /// # Errors
    /// [`NoRoom`] for the first space.
    pub(crate) fn resume(&mut self, machine: &mut impl Machine) -> Result<(), NoRoom> {
        self.pinned_roots.clear();
        self.places.clear();
        self.upper = Upper::new();
        (self.pinned, self.missed, self.watched) = (None, None, Watched::NONE);
        self.roots.start(self.kernel);
        self.information = 0;
        machine.create(Space(0))
    }

    /// Whether what is shown stays when the guest changes to another root and back: the rule. Else lower halves are
    /// dropped, and a flush drops all, as in a CPU that cannot tell roots apart: slower, and right for a guest that
    /// writes to tables in use unseen.
    pub fn keep(&mut self, keeps: bool) {
        self.keeps = keeps;
    }

    /// Where the guest goes on.
    #[must_use]
    pub fn current(&self) -> (Space, GuestHalf) {
        (self.roots.current(), self.half)
    }

    /// Root of what the guest's kernel sees.
    #[must_use]
    pub fn kernel_root(&self) -> u32 {
        self.kernel
    }

    /// What happened so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// User programs run next.
    ///
    /// # Errors
    /// [`NoUserRoot`]: the guest has named none.
    pub fn enter_user(&mut self, machine: &mut impl Machine) -> Result<(), NoUserRoot> {
        if self.user.is_none() {
            return Err(NoUserRoot);
        }
        self.change_half(machine, GuestHalf::Lower);
        Ok(())
    }

    /// The guest's kernel runs next.
    pub fn enter_kernel(&mut self, machine: &mut impl Machine) {
        self.change_half(machine, GuestHalf::Both);
    }

    /// The kernel has changed sides, as it may while [`Self::is_even`].
    pub fn follow(&mut self, half: GuestHalf) {
        self.half = half;
    }

    /// Whether to change sides takes nothing but that: there are user programs, and the space in use shows what both sides
    /// may see.
    #[must_use]
    pub fn is_even(&self) -> bool {
        self.user.is_some() && self.roots.is_even(self.user)
    }

    /// Changes sides; what only one side may see goes.
    fn change_half(&mut self, machine: &mut impl Machine, half: GuestHalf) {
        self.settle(machine);
        if self.half != half && self.roots.is_one_sided() {
            self.drop_lower(machine);
        }
        self.half = half;
    }

    /// The space through which what an address shows is changed: the upper half is the first one's.
    fn space_of(&self, address: u64) -> Space {
        if address < UPPER_HALF { self.roots.current() } else { Space(0) }
    }

    /// The root that counts now.
    fn root(&self) -> u32 {
        match self.half {
            GuestHalf::Both => self.kernel,
            GuestHalf::Lower => self.user.unwrap_or(self.kernel),
        }
    }
}

impl Default for Paging {
    fn default() -> Self {
        Self::new()
    }
}
