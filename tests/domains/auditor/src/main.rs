//! Auditor: prints the census of rights when the system runs, and fails if somebody still holds a right that
//! the builder has to give up.

#![no_std]
#![no_main]

extern crate alloc;

use alloc::{collections::BTreeMap, string::String};
use core::fmt::Write;

use cloison_abi::{CallError, ObjectKind};
use cloison_rt::{
    log,
    sys::{CensusEntry, Slot, census_read, info},
};

cloison_rt::entry!(main);

/// Rights that nobody holds once the system is built.
const NOBODYS: [ObjectKind; 2] = [ObjectKind::BuilderRight, ObjectKind::ShutdownRight];

fn main() -> Result<(), &'static str> {
    let right = info::get().slot::<info::Right>(ObjectKind::CensusRight.name());
    let right = right.ok_or("the plan does not give this domain the census right")?;
    let mut held = BTreeMap::<u8, String>::new();
    let mut offence = false;
    visit(right, |index, entry| {
        offence |= NOBODYS.contains(&entry.kind);
        let line = held.entry(index).or_insert_with(|| String::from(entry.domain.as_str()) + ":");
        // Writing to a string cannot fail.
        let _ = write!(line, " {entry}");
    })
    .map_err(|_| "the kernel refuses the census")?;
    held.values().for_each(|line| log!("{line}"));
    if offence {
        return Err("somebody holds a right that nobody should");
    }
    log!("held by nobody: {}, {}", NOBODYS[0].name(), NOBODYS[1].name());
    Ok(())
}

/// Passes every entry of the census, with a number for its domain.
fn visit(right: Slot, mut action: impl FnMut(u8, &CensusEntry)) -> Result<(), CallError> {
    let mut cursor = 0;
    let mut index = 0;
    let mut last = None;
    while let Some((entry, next)) = census_read(right, cursor)? {
        cursor = next;
        if last.replace(entry.domain) != Some(entry.domain) {
            index += 1;
        }
        action(index, &entry);
    }
    Ok(())
}
