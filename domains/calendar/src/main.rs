//! Calendar: owns the clock that runs while the machine is off, and tells the date and the time.

#![no_std]
#![no_main]

use calendar_api::calendar::{self, Moment, Refusal};
use cloison_drivers::rtc::Rtc;
use cloison_rt::{
    log,
    sys::{Badge, Instant, info, memory::Ports},
};

cloison_rt::entry!(main);

fn main() -> Result<(), &'static str> {
    let ports = info::get().find::<info::IoRange>("clock").map(Ports::of);
    let mut calendar = Calendar { clock: Rtc::new(ports.ok_or("the plan gives the calendar no clock")?) };
    match calendar.clock.read() {
        Ok(date) => log!("{date} UTC"),
        Err(error) => log!("{error}"),
    }
    calendar::serve(&mut calendar)
}

struct Calendar {
    clock: Rtc<Ports>,
}

impl calendar::Server for Calendar {
    fn now(&mut self, _client: Badge) -> Result<Moment, Refusal> {
        let date = self.clock.read().map_err(|_| Refusal::NoClock)?;
        Ok(Moment { seconds: date.seconds(), ticks: Instant::now().0 })
    }
}
