//! Mapper: prints its own map, as its information page tells it and as the kernel has it.

#![no_std]
#![no_main]

use core::fmt::Display;

use cloison_abi::{
    CallError,
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
    page.all::<info::Use>().iter().for_each(tell);
    page.clients().for_each(tell);
    page.all::<info::Area>().iter().for_each(|area| show(area.address, area.bytes, "rw-", &"registers"));
    page.all::<info::Settings>().iter().for_each(|one| show(one.address, one.bytes, "r--", &"settings"));
    let probe = page.slot::<info::Region>("probe").ok_or("there is no region")?;
    scan(probe).map_err(|_| "the kernel does not say what is mapped")?;
    log!("that is all");
    Ok(())
}

/// The memory that is shared with another party.
fn tell(party: &impl info::Party) {
    let (name, channel) = (party.name(), party.channel());
    let (name, peer) = (name.as_str(), channel.peer.as_str());
    let &info::Channel { address, bytes, incoming_address, .. } = channel;
    match (address, incoming_address) {
        (0, _) => {}
        (_, 0) => show(address, bytes, "rw-", &format_args!("shared with {peer}, for {name}")),
        _ => {
            show(address, bytes, "rw-", &format_args!("to {peer}, for {name}"));
            show(incoming_address, bytes, "r--", &format_args!("from {peer}, for {name}"));
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
