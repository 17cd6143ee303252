//! Frail linux: runs a Linux, and crashes at an exit of its guest that nobody can foretell, life after life. Each life finds
//! its memory as the first did: nothing of the guest before is left there.

#![no_std]
#![no_main]

use cloison_abi::info::{GUEST_FRAME, GUEST_NUMBERS, GUEST_RAM, GUEST_SHARED};
use cloison_abi::limits::PAGE_BYTES;
use cloison_rt::sys::{info, memory::SharedMemory};
use keeper_api::{digest, keep};
use linux::Watch;
use linux_core::{guest::Guest, machine::Memory};

cloison_rt::entry!(main);

/// The last life: in it, the guest does not begin.
const LAST: u32 = 9;
/// It crashes before this many exits of the guest: about half of what it takes to a shell.
const EXITS: u64 = 90_000;
const PAGE: usize = PAGE_BYTES as usize;

fn main() -> Result<(), &'static str> {
    let keeper = keep::Client::find("keep").map_err(|_| "there is no keeper")?;
    let memory = digest_of_all().ok_or("the plan lacks memory of a guest")?;
    let begun = keeper.begin(0, memory, 0).map_err(|_| "the keeper does not answer")?;
    if begun.life == LAST {
        return Ok(());
    }
    let ended = linux::run(Life { left: random(begun.life) % EXITS });
    ended.map_err(|_| "the guest has ended")
}

/// A life, and how many exits of the guest it still has.
struct Life {
    left: u64,
}

impl Watch for Life {
    fn look(&mut self, _: &Guest, _: &impl Memory) {
        assert!(self.left > 0, "a life ends");
        self.left -= 1;
    }
}

/// The digest of all memory that the guest has.
fn digest_of_all() -> Option<u64> {
    let mut sum = digest::START;
    let mut page = [0; PAGE];
    for name in [GUEST_RAM, GUEST_SHARED, GUEST_NUMBERS, GUEST_FRAME] {
        let memory = SharedMemory::of_guest(info::get().find(name)?)?;
        for at in (0..memory.len()).step_by(PAGE) {
            memory.read(at, &mut page).then_some(())?;
            let (words, _) = page.as_chunks();
            sum = words.iter().fold(sum, |sum, word| digest::add(sum, u64::from_le_bytes(*word)));
        }
    }
    Some(sum)
}

/// The same number in each run, and another one in each life (splitmix64).
fn random(life: u32) -> u64 {
    let mixed = u64::from(life).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ mixed >> 31
}
