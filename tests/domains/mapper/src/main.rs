//! Mapper: prints its own map, as its information page tells it and as the kernel has it.

#![no_std]
#![no_main]

use core::fmt::Display;

use cloison_abi::{
    CallError,
    info::{InfoEntry, InfoKind},
    limits::{INFO_ADDRESS, PAGE_BYTES},
};
use cloison_rt::{
    log,
    sys::{Slot, info, mapped::is_free},
};

cloison_rt::entry!(main);

/// Behind the last address that the plan gives out.
const END: u64 = 0x1100_0000;

fn main() -> Result<(), &'static str> {
    let page = info::get();
    let (heap, bytes) = page.heap();
    show(heap, bytes, "rw-", &"heap");
    page.entries().iter().for_each(tell);
    let probe = page.find(InfoKind::Region, "probe").and_then(info::slot).ok_or("there is no region")?;
    scan(probe).map_err(|_| "the kernel does not say what is mapped")?;
    log!("that is all");
    Ok(())
}

/// The memory that an entry tells of.
fn tell(entry: &InfoEntry) {
    let is = |kind| entry.kind == kind as u32;
    let (name, peer) = (entry.name.as_str(), entry.peer.as_str());
    let (address, bytes, incoming) = (entry.address, entry.bytes, entry.incoming_address);
    if is(InfoKind::Settings) {
        show(address, bytes, "r--", &"settings");
    } else if is(InfoKind::DeviceMemory) {
        show(address, bytes, "rw-", &"registers");
    } else if (is(InfoKind::Use) || is(InfoKind::Client)) && address != 0 {
        if incoming == 0 {
            show(address, bytes, "rw-", &format_args!("shared with {peer}, for {name}"));
        } else {
            show(address, bytes, "rw-", &format_args!("to {peer}, for {name}"));
            show(incoming, bytes, "r--", &format_args!("from {peer}, for {name}"));
        }
    }
}

/// Prints a part of the map, by whole pages.
fn show(address: u64, bytes: u64, rights: &str, what: &dyn Display) {
    let first = address / PAGE_BYTES * PAGE_BYTES;
    let last = (address + bytes).next_multiple_of(PAGE_BYTES) - 1;
    log!("{first:#010x} {last:#010x} {rights} {what}");
}

/// Prints where something is mapped, whatever tells of it.
fn scan(probe: Slot) -> Result<(), CallError> {
    let mut begin = None;
    for address in (INFO_ADDRESS..=END).step_by(PAGE_BYTES as usize) {
        match (is_free(probe, address)?, begin) {
            (false, None) => begin = Some(address),
            (true, Some(first)) => {
                log!("{first:#010x} {:#010x} mapped", address - 1);
                begin = None;
            }
            _ => {}
        }
    }
    Ok(())
}
