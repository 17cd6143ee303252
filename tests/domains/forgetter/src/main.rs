//! Forgetter: stands in for the builder, and ends with a secret in each part of its memory that it can write. A copy in
//! a region of its own, which outlives it, shows that a search for the secret can find it.

#![no_std]
#![no_main]

extern crate alloc;

use alloc::vec::Vec;
use core::sync::atomic::{AtomicU8, Ordering};

use cloison_abi::call::{BUILDER_SLOT_FREE, BUILDER_SLOT_MEMORY};
use cloison_rt::log;
use cloison_sys::{Slot, build::region_carve, window};

cloison_rt::entry!(main);

/// Two texts, each byte one too high: the texts themselves are nowhere in the image.
const SECRET: &[u8; 16] = b"cvjmefs!lopxt!ju";
const COPY: &[u8; 16] = b"uijt!pof!jt!lfqu";
/// Where a secret lies among zeros, and where among bytes that the program brings along.
static ZEROS: [AtomicU8; 16] = [const { AtomicU8::new(0) }; 16];
static BYTES: [AtomicU8; 16] = [const { AtomicU8::new(1) }; 16];

fn main() -> Result<(), cloison_abi::CallError> {
    let on_stack = plain(SECRET);
    let on_heap = Vec::from(core::hint::black_box(on_stack));
    for place in [&ZEROS, &BYTES] {
        place.iter().zip(&on_heap).for_each(|(place, byte)| place.store(*byte, Ordering::Relaxed));
    }
    let region = Slot(BUILDER_SLOT_FREE);
    region_carve(Slot(BUILDER_SLOT_MEMORY), region, 0, 1)?;
    window::write(region, 0, &plain(COPY))?;
    log!("I know a secret, and end");
    // So that none of it is given back, and written over, before the end.
    core::mem::forget(core::hint::black_box((on_stack, on_heap)));
    Ok(())
}

fn plain(text: &[u8; 16]) -> [u8; 16] {
    core::hint::black_box(*text).map(|byte| byte - 1)
}
