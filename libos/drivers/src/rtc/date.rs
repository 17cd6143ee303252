//! A date of the calendar, with the time of the day.

use core::fmt;

const SECONDS_IN_DAY: u64 = 24 * 60 * 60;
/// Before it there is no date here.
const FIRST_YEAR: u16 = 1970;

/// A date that exists, from 1970 on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date {
    year: u16,
    month: u8,
    day: u8,
    /// Hour, minute, second.
    time: (u8, u8, u8),
}

impl Date {
    /// The date, if there is one; months and days count from 1.
    #[must_use]
    pub fn new(year: u16, month: u8, day: u8, time: (u8, u8, u8)) -> Option<Self> {
        let (hour, minute, second) = time;
        let is_time = hour < 24 && minute < 60 && second < 60;
        let is_date = year >= FIRST_YEAR
            && (1..=12).contains(&month)
            && (1..=days_in(year, month)).contains(&u64::from(day));
        (is_date && is_time).then_some(Self { year, month, day, time })
    }

    /// Seconds since 1970 began.
    #[must_use]
    pub fn seconds(&self) -> u64 {
        let years: u64 = (FIRST_YEAR..self.year).map(|year| if is_leap(year) { 366 } else { 365 }).sum();
        let months: u64 = (1..self.month).map(|month| days_in(self.year, month)).sum();
        let (hour, minute, second) = self.time;
        let of_day = (u64::from(hour) * 60 + u64::from(minute)) * 60 + u64::from(second);
        (years + months + u64::from(self.day) - 1) * SECONDS_IN_DAY + of_day
    }
}

impl fmt::Display for Date {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { year, month, day, time: (hour, minute, second) } = self;
        write!(out, "{year}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")
    }
}

fn is_leap(year: u16) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

fn days_in(year: u16, month: u8) -> u64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}
