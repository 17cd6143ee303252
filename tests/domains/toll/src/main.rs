//! Looks on while nobody is to send a frame through a switch: the domains at its ports are silent, and all
//! others are hostile.

#![no_std]
#![no_main]

use core::time::Duration;

use cloison_rt::{log, time};
use ore_api::{CountersError, counters::Client, reports};

cloison_rt::entry!(main);

/// Time between two looks.
const PAUSE: Duration = Duration::from_millis(10);

fn main() -> Result<(), CountersError> {
    let switch = Client::find("counters")?;
    log!("{} ports, {} frames so far", switch.ports()?.ports, frames(&switch)?);
    loop {
        let frames = frames(&switch)?;
        if frames > 0 {
            log!("error: {frames} frames have entered the switch or left it");
            return Ok(());
        }
        time::sleep(PAUSE);
    }
}

/// Frames that have passed any port, in or out.
fn frames(switch: &Client) -> Result<u64, CountersError> {
    reports(switch)?.map(|report| report.map(|port| port.counters.frames_in + port.counters.frames_out)).sum()
}
