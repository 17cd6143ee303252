//! Faulter: reads an address that is nobody's.

#![no_std]
#![no_main]

cloison_rt::entry!(main);

#[allow(unsafe_code, reason = "it faults on purpose")]
fn main() {
    cloison_rt::log!("reading address 8");
    // SAFETY: nothing is mapped at this address, so the read faults.
    unsafe { core::ptr::without_provenance::<u8>(8).read_volatile() };
    cloison_rt::log!("still here");
}
