//! Has BMI do what the manifest's lines say, one after the other, up to one that is not done.

#![no_std]
#![no_main]

use core::{fmt, time::Duration};

use bmi_api::{Around, ManageError, Status, carry_out, manage};
use cloison_rt::{log, sys::settings, time::sleep};

cloison_rt::entry!(main);

fn main() -> Result<(), Undone> {
    let client = manage::Client::find("bmi").map_err(Undone::NoBmi)?;
    let lines = settings::arguments().split([';', '\n']).map(str::trim).filter(|line| !line.is_empty());
    for line in lines {
        let status = carry_out(line, &client, &mut Log);
        if status != Status::Done {
            return Err(Undone::Line(line, status));
        }
    }
    Ok(())
}

/// Why not all is done.
enum Undone {
    NoBmi(ManageError),
    Line(&'static str, Status),
}

impl fmt::Display for Undone {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoBmi(error) => error.fmt(out),
            Self::Line(line, status) => write!(out, "`{line}`: exit status {}", *status as u32),
        }
    }
}

struct Log;

impl Around for Log {
    fn line(&mut self, text: fmt::Arguments<'_>) {
        log!("{text}");
    }

    fn rest(&mut self, milliseconds: u32) {
        sleep(Duration::from_millis(milliseconds.into()));
    }
}
