//! The date, from the domain that owns a clock of the calendar.

use calendar_api::calendar;
use cloison_rt::log;

/// What the component calls the gate of the calendar.
const CALENDAR: &str = "calendar";
const NANOSECONDS: u128 = 1_000_000_000;

/// Nanoseconds since 1970 when the counter stood at 0; 0 if nobody says. `hertz`: the counter's ticks in a second.
pub fn of_counters_start(hertz: u64) -> u64 {
    // The manifest need not give one.
    let Ok(calendar) = calendar::Client::find(CALENDAR) else { return 0 };
    match calendar.now() {
        Ok(moment) => {
            let shown = u128::from(moment.seconds) * NANOSECONDS;
            let since = u128::from(moment.ticks) * NANOSECONDS / u128::from(hertz);
            u64::try_from(shown.saturating_sub(since)).unwrap_or(0)
        }
        Err(why) => {
            log!("the guest begins in 1970: {why}");
            0
        }
    }
}
