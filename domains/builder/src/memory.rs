//! The free memory, handed out from the front of each run.

use alloc::vec::Vec;

use cloison_abi::call::{BUILDER_MEMORY_SLOTS, BUILDER_SLOT_MEMORY};
use cloison_sys::{Slot, build::region_carve, region_info};

use crate::build::BuildError;

/// The free memory of the machine.
pub struct Memory {
    runs: Vec<Run>,
}

struct Run {
    slot: Slot,
    next: u64,
    pages: u64,
}

impl Memory {
    /// The memory that the kernel has put into the builder's slots.
    pub fn find() -> Self {
        let slots = BUILDER_SLOT_MEMORY..BUILDER_SLOT_MEMORY + BUILDER_MEMORY_SLOTS;
        let run = |slot| {
            region_info(Slot(slot)).ok().map(|info| Run { slot: Slot(slot), next: 0, pages: info.pages })
        };
        Self { runs: slots.filter_map(run).collect() }
    }

    /// How many pages are left.
    pub fn pages(&self) -> u64 {
        self.runs.iter().map(|run| run.pages - run.next).sum()
    }

    /// Carves pages out of the first run that has as many.
    pub fn carve(&mut self, receiver: Slot, pages: u64) -> Result<(), BuildError> {
        let left = self.pages();
        let run = self.runs.iter_mut().find(|run| run.pages - run.next >= pages);
        let run = run.ok_or(BuildError::Memory { needed: pages, left })?;
        region_carve(run.slot, receiver, run.next, pages)
            .map_err(|error| BuildError::Call("memory", error))?;
        run.next += pages;
        Ok(())
    }
}
