//! Lends a text, twice.

#![no_std]
#![no_main]

use cloison_abi::{CallError, Rights};
use cloison_rt::{
    log,
    sys::{info, mapped::MappedRegion, region_grant, region_revoke},
};
use reader_api::reading;

cloison_rt::entry!(main);

fn main() -> Result<(), CallError> {
    let page = info::get().slot::<info::Region>("page").ok_or(CallError::BadSlot)?;
    let gate = info::get().slot::<info::Use>("reading").ok_or(CallError::BadSlot)?;
    let memory = MappedRegion::writable(page)?;
    for text in ["to be or not to be", "that is the question, whether it is nobler"] {
        if !memory.write(0, text.as_bytes()) {
            return Err(CallError::BadArgument);
        }
        region_grant(page, gate, Rights::READ)?;
        match reading::Client::new(gate).count(text.len() as u16) {
            Ok(reply) => log!("{} words", reply.words),
            Err(failure) => log!("{failure}"),
        }
        // Whatever the reader has kept is gone now.
        region_revoke(page)?;
    }
    Ok(())
}
