//! Numbers of the command line. Of one that cannot be used it is said what is expected.

use std::{ops::RangeInclusive, str::FromStr};

pub(super) fn seconds(text: &str) -> Result<u32, String> {
    number(text, 1..=u32::MAX, "a number of seconds, such as 30")
}

pub(super) fn mebibytes(text: &str) -> Result<u32, String> {
    number(text, 0..=u32::MAX, "a number of MiB, such as 256")
}

pub(super) fn processors(text: &str) -> Result<u32, String> {
    number(text, 1..=255, "a number of processors from 1 to 255")
}

pub(super) fn port(text: &str) -> Result<u16, String> {
    number(text, 0..=u16::MAX, "the number of a port, or 0 for one that is free")
}

fn number<T: FromStr + PartialOrd>(
    text: &str,
    range: RangeInclusive<T>,
    expected: &str,
) -> Result<T, String> {
    let number = text.parse().ok().filter(|number| range.contains(number));
    number.ok_or_else(|| format!("give {expected}"))
}
