//! Has the right of `ipctest1` to log withdrawn, and given back.

#![no_std]
#![no_main]

use core::time::Duration;

use cloison_abi::Name;
use cloison_rt::{log, time};
use ipcmon_api::{ControlError, control::Client};

cloison_rt::entry!(main);

/// When it is withdrawn, for how long, and how long this domain looks on then. `ipctest1` logs at whole seconds.
const BEFORE: Duration = Duration::from_millis(2500);
const WITHOUT: Duration = Duration::from_secs(5);
const AFTER: Duration = Duration::from_secs(2);

fn main() -> Result<(), ControlError> {
    let monitor = Client::find("ipcmon")?;
    let [subject, object] = ["ipctest1", "console"].map(|name| Name::new(name).unwrap_or_default());
    time::sleep(BEFORE);
    log!("from now on {subject} may not use {object}");
    monitor.withdraw(subject, object)?;
    time::sleep(WITHOUT);
    let refused = monitor.allow(subject, object)?.refused;
    log!("{subject} may use {object} again, after {refused} more tries");
    time::sleep(AFTER);
    let counted = monitor.counts()?;
    log!("{} questions: {} allowed, {} denied", counted.questions, counted.allowed, counted.denied);
    Ok(())
}
