//! A machine without an MMU: it remembers what was printed, and the test sets its clock.

use std::collections::BTreeMap;
use std::vec::Vec;

use core::task::Poll;

use cloison_abi::limits::PAGE_BYTES;

use super::{FakeTpm, Ram, memory_in_ram};
use crate::machine::{Clerk, Disk, Machine, Network, NoRoom, Page, Shown, Space, Spaces, Submission, Tpm};

/// The machine.
pub struct Host {
    pub ram: Ram,
    pub ticks: u64,
    pub epoch: u64,
    pub printed: Vec<u8>,
    /// Whether there are no pages for tables.
    pub is_full: bool,
    /// What each leaf of `cpuid` says.
    pub cpuid: [u32; 4],
    /// Pages shown so far.
    pub shown: usize,
    /// What is shown, by address; the test has one space with a lower half.
    pub views: BTreeMap<u64, Shown>,
    pub tpm: Option<FakeTpm>,
}

/// Ticks in a second.
pub const HERTZ: u64 = 2_500_000_000;

impl Host {
    pub fn new(pages: u32) -> Self {
        Self {
            ram: Ram::new(pages),
            ticks: 0,
            epoch: 0,
            printed: Vec::new(),
            is_full: false,
            cpuid: [u32::MAX; 4],
            shown: 0,
            views: BTreeMap::new(),
            tpm: None,
        }
    }
}

memory_in_ram!(Host);

impl Spaces for Host {
    fn create(&mut self, _: Space) -> Result<(), NoRoom> {
        Ok(())
    }

    fn destroy(&mut self, _: Space) {}

    fn map(&mut self, _: Space, at: u64, pages: &[Option<Shown>]) -> Result<(), NoRoom> {
        if self.is_full {
            return Err(NoRoom);
        }
        for (page, shown) in (0..).zip(pages) {
            if let Some(shown) = shown {
                self.views.insert(at + page * PAGE_BYTES, *shown);
            }
        }
        self.shown += pages.iter().flatten().count();
        Ok(())
    }

    fn unmap(&mut self, _: Space, at: u64, pages: u64) {
        self.views.retain(|page, _| (page.wrapping_sub(at)) / PAGE_BYTES >= pages);
    }

    fn lead(&mut self, _: Page, _: [u64; 3], _: u64) -> bool {
        true
    }
}

impl Disk for Host {}

impl Network for Host {}

impl Clerk for Host {}

impl Tpm for Host {
    fn has_tpm(&self) -> bool {
        self.tpm.is_some()
    }

    fn submit(&mut self, command: &[u8]) -> Submission {
        self.tpm.as_mut().unwrap().submit(command)
    }

    fn finish(&mut self, response: &mut [u8]) -> Poll<Option<usize>> {
        self.tpm.as_mut().unwrap().finish(response)
    }

    fn cancel(&mut self) {
        self.tpm.as_mut().unwrap().cancel();
    }
}

impl Machine for Host {
    fn ticks(&self) -> u64 {
        self.ticks
    }

    fn frequency(&self) -> u64 {
        HERTZ
    }

    fn epoch(&self) -> u64 {
        self.epoch
    }

    fn cpuid(&self, _: u32, _: u32) -> [u32; 4] {
        self.cpuid
    }

    fn print(&mut self, text: &[u8]) {
        self.printed.extend_from_slice(text);
    }
}
