//! The properties of a TPM 2.0.

use core::fmt;

use cloison_tpm::tpm20::{GetProperties, property};

use crate::{
    USUAL_REGISTERS,
    session::{Session, Transmit},
    text::Letters,
};

/// Properties that are asked for at a time. Those shown all lie within this many.
const AT_A_TIME: u32 = 32;
/// Properties named in a line.
const PER_LINE: usize = 8;

/// The properties shown, and how many letters each text has.
const SHOWN: [u32; 10] = [
    property::FAMILY_INDICATOR,
    property::REVISION,
    property::MANUFACTURER,
    property::VENDOR_STRING_1,
    property::VENDOR_STRING_1 + 1,
    property::VENDOR_STRING_1 + 2,
    property::VENDOR_STRING_1 + 3,
    property::FIRMWARE_VERSION_1,
    property::FIRMWARE_VERSION_2,
    property::PCR_COUNT,
];

/// What the TPM states of [`SHOWN`].
#[derive(Default)]
struct Stated([Option<u32>; SHOWN.len()]);

impl Stated {
    fn get(&self, property: u32) -> Option<u32> {
        SHOWN.into_iter().zip(self.0).find(|(shown, _)| *shown == property)?.1
    }

    /// Takes a property. Returns whether it is one that is shown.
    fn take(&mut self, property: u32, value: u32) -> bool {
        let place = SHOWN.into_iter().zip(&mut self.0).find(|(shown, _)| *shown == property);
        place.map(|(_, place)| *place = Some(value)).is_some()
    }

    fn is_complete(&self) -> bool {
        self.0.iter().all(Option::is_some)
    }
}

/// A number that the TPM may not have stated.
struct Number(Option<u32>);

impl fmt::Display for Number {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(number) => write!(out, "{number:#010x}"),
            None => out.write_str("not stated"),
        }
    }
}

/// Shows them. Returns how many registers there are.
pub(super) fn show<T: Transmit>(session: &mut Session<'_, T>) -> Result<u32, T::Error> {
    let stated = ask(session)?;
    match stated.get(property::REVISION) {
        Some(revision) => {
            session.say(format_args!("TPM version 2.0, revision {}.{:02}", revision / 100, revision % 100));
        }
        None => session.say(format_args!("TPM version 2.0, revision not stated")),
    }
    show_maker(session, &stated);
    let (upper, lower) = (stated.get(property::FIRMWARE_VERSION_1), stated.get(property::FIRMWARE_VERSION_2));
    session.say(format_args!("firmware {} {}", Number(upper), Number(lower)));
    match stated.get(property::PCR_COUNT) {
        Some(count) => session.say(format_args!("{count} PCR registers are available")),
        None => session.say(format_args!("PCR registers: the TPM does not state their number")),
    }
    Ok(stated.get(property::PCR_COUNT).unwrap_or(USUAL_REGISTERS))
}

fn show_maker<T: Transmit>(session: &Session<'_, T>, stated: &Stated) {
    let letters = |property| stated.get(property).unwrap_or(0).to_be_bytes();
    let vendor: [_; 4] = core::array::from_fn(|index| letters(property::VENDOR_STRING_1 + index as u32));
    let maker = stated.get(property::MANUFACTURER).map(u32::to_be_bytes);
    let maker = maker.as_ref().map_or(&b"not stated"[..], |letters| letters);
    match vendor.as_flattened() {
        [0, ..] => session.say(format_args!("manufacturer {}", Letters(maker))),
        text => session.say(format_args!("manufacturer {}, \"{}\"", Letters(maker), Letters(text))),
    }
}

/// Asks until all that is shown is known, or the TPM has no more. It may list fewer at a time than it was asked
/// for.
fn ask<T: Transmit>(session: &mut Session<'_, T>) -> Result<Stated, T::Error> {
    let log = session.log();
    let mut stated = Stated::default();
    let mut first = property::FAMILY_INDICATOR;
    loop {
        let found = match session.run(&GetProperties { first, count: AT_A_TIME })? {
            Ok(found) => found,
            Err(error) => {
                log(format_args!("properties from {first:#05x} on: not shown: {error}"));
                return Ok(stated);
            }
        };
        let (mut others, mut last) = (Others::default(), None);
        for (property, value) in found.iter() {
            last = Some(property);
            if !stated.take(property, value) {
                others.add(property, log);
            }
        }
        others.show(log);
        match last.and_then(|last| last.checked_add(1)) {
            Some(next) if found.has_more && next > first && !stated.is_complete() => first = next,
            _ => return Ok(stated),
        }
    }
}

/// Properties that are named only, a line of them at a time.
#[derive(Default)]
struct Others {
    numbers: [u32; PER_LINE],
    count: usize,
}

impl Others {
    fn add(&mut self, property: u32, log: crate::Log) {
        if self.count == PER_LINE {
            self.show(log);
        }
        self.numbers[self.count] = property;
        self.count += 1;
    }

    fn show(&mut self, log: crate::Log) {
        if self.count > 0 {
            log(format_args!("further properties:{self}"));
        }
        self.count = 0;
    }
}

impl fmt::Display for Others {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.numbers.iter().take(self.count).try_for_each(|number| write!(out, " {number:#05x}"))
    }
}
