//! Legator: lends memory and ends, as its arguments say.

#![no_std]
#![no_main]

use cloison_abi::Rights;
use cloison_rt::{
    log,
    sys::{debug_write, info, region_grant, settings},
};
use keeper_api::gift;

cloison_rt::entry!(main);

fn main() -> Result<(), &'static str> {
    let page = info::get();
    let missing = "the plan lacks a grant";
    let (plot, gate) =
        (page.slot::<info::Region>("plot").ok_or(missing)?, page.slot::<info::Use>("gift").ok_or(missing)?);
    let slot = region_grant(plot, gate, Rights::READ | Rights::WRITE).map_err(|_| "cannot lend")?;
    gift::Client::new(gate).take(slot.0).map_err(|_| "the loan is refused")?;
    log!("lent; now I {}", settings::arguments());
    // A line that it does not end.
    debug_write(b"the rest is silence");
    if settings::arguments() == "fault" {
        fault();
    }
    Ok(())
}

#[allow(unsafe_code, reason = "it faults on purpose")]
fn fault() {
    // SAFETY: nothing is mapped at this address, so the read faults.
    unsafe { core::ptr::without_provenance::<u8>(8).read_volatile() };
}
