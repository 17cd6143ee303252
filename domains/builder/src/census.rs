//! The census: who holds what, as the kernel knows it.

use alloc::string::String;
use core::fmt::Write;

use cloison_abi::Name;
use cloison_rt::log;
use cloison_sys::census_read;

use crate::CENSUS;

/// Prints a line for each domain with what it holds, and with which rights.
pub fn print() {
    let mut cursor = 0;
    let mut holder: Option<(Name, String)> = None;
    while let Ok(Some((entry, next))) = census_read(CENSUS, cursor) {
        cursor = next;
        if holder.as_ref().is_none_or(|(name, _)| *name != entry.domain) {
            show(holder.take());
            holder = Some((entry.domain, String::new()));
        }
        if let Some((_, held)) = &mut holder {
            // Writing to a string cannot fail.
            let _ = write!(held, " {entry}");
        }
    }
    show(holder);
}

fn show(holder: Option<(Name, String)>) {
    if let Some((name, held)) = holder {
        log!("census: {name}:{held}");
    }
}

/// Names, separated by commas.
pub fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let mut list = String::new();
    for name in names {
        if !list.is_empty() {
            list.push_str(", ");
        }
        list.push_str(name);
    }
    list
}
