//! Asks at desks in the order that the manifest gives it, and says what came of it.

#![no_std]
#![no_main]

extern crate alloc;

use alloc::{
    format,
    string::{String, ToString},
};
use core::time::Duration;

use cloison_abi::Name;
use cloison_rt::{
    log,
    sys::{info, settings},
    time,
};
use desk::asking;
use ipcmon_api::{ControlError, control};

cloison_rt::entry!(main);

fn main() {
    for step in settings::arguments().split_whitespace() {
        let (what, value) = step.split_once('=').unwrap_or((step, ""));
        match what {
            "wait" => time::sleep(Duration::from_millis(value.parse().unwrap_or(0))),
            "load" => log!("policy {value}: {}", load(value).unwrap_or_else(|error| error.to_string())),
            "counts" => log!("{}", counts().unwrap_or_else(|error| error.to_string())),
            desk => log!("{}", ask(desk)),
        }
    }
}

/// Asks at the desk behind a gate.
fn ask(gate: &str) -> String {
    let Some(gate) = ["one", "two", "three", "four"].into_iter().find(|known| *known == gate) else {
        return format!("there is no desk `{gate}`");
    };
    let page = info::get();
    let desk = page.find::<info::Use>(gate).map_or(Name::EMPTY, |desk| desk.channel.peer);
    match asking::Client::find(gate).and_then(|client| client.ask()) {
        Ok(answer) => format!("{desk}: that was request {}", answer.turn),
        Err(error) => format!("{desk}: {error}"),
    }
}

fn load(policy: &str) -> Result<String, ControlError> {
    let loaded = control::Client::find("ipcmon")?.load(Name::new(policy).unwrap_or_default())?;
    Ok(format!("epoch {}, {} channels closed", loaded.epoch, loaded.closed))
}

fn counts() -> Result<String, ControlError> {
    let counted = control::Client::find("ipcmon")?.counts()?;
    let (asked, allowed, denied) = (counted.questions, counted.allowed, counted.denied);
    let (kept, refused, epoch) = (counted.kept, counted.refused, counted.epoch);
    Ok(format!(
        "{asked} questions: {allowed} allowed, {denied} denied; {kept} decisions kept; {refused} refusals; epoch {epoch}"
    ))
}
