//! Asks at desks in the order that the manifest gives it, and says what came of it.

#![no_std]
#![no_main]

extern crate alloc;

use alloc::{
    borrow::ToOwned,
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
use ipcmon_api::{
    ControlError, control,
    record::{Entry, Event},
};

cloison_rt::entry!(main);

fn main() {
    for step in settings::arguments().split_whitespace() {
        let (what, value) = step.split_once('=').unwrap_or((step, ""));
        match what {
            "wait" => time::sleep(Duration::from_millis(value.parse().unwrap_or(0))),
            "load" => tell(format!("policy {value}"), load(value)),
            "withdraw" => tell(format!("{value} withdrawn"), withdraw(value)),
            "allow" => tell(format!("{value} given back"), allow(value)),
            "counts" => tell("counts".to_owned(), counts()),
            "log" => tell("log".to_owned(), check_log()),
            desk => log!("{}", ask(desk)),
        }
    }
}

fn tell(what: String, outcome: Result<String, ControlError>) {
    log!("{what}: {}", outcome.unwrap_or_else(|error| error.to_string()));
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

/// Two names with a colon between them.
fn ends(value: &str) -> [Name; 2] {
    let (from, to) = value.split_once(':').unwrap_or((value, ""));
    [from, to].map(|name| Name::new(name).unwrap_or_default())
}

fn withdraw(value: &str) -> Result<String, ControlError> {
    let [subject, object] = ends(value);
    control::Client::find("ipcmon")?.withdraw(subject, object)?;
    Ok("done".to_owned())
}

fn allow(value: &str) -> Result<String, ControlError> {
    let [subject, object] = ends(value);
    let refused = control::Client::find("ipcmon")?.allow(subject, object)?.refused;
    Ok(format!("{refused} more were denied meanwhile"))
}

/// Follows the monitor's log from the first entry that is kept to its end.
fn check_log() -> Result<String, ControlError> {
    let monitor = control::Client::find("ipcmon")?;
    let (log, mut head) = (monitor.log()?, monitor.head(true)?.head);
    let mut denied = 0;
    for number in log.first..log.entries {
        let halves = [monitor.entry(number, false)?.bytes, monitor.entry(number, true)?.bytes];
        let entry = Entry::of_halves(halves);
        denied += u32::from(entry.event == Event::Denied as u8);
        head = entry.append_to(&head);
    }
    let verdict = if head == monitor.head(false)?.head { "its head is right" } else { "its head is WRONG" };
    let (entries, kept) = (log.entries, log.entries - log.first);
    Ok(format!("{entries} entries, {kept} of them kept, {denied} of these denials; {verdict}"))
}

fn counts() -> Result<String, ControlError> {
    let counted = control::Client::find("ipcmon")?.counts()?;
    let (asked, allowed, denied) = (counted.questions, counted.allowed, counted.denied);
    let (kept, refused, epoch) = (counted.kept, counted.refused, counted.epoch);
    Ok(format!(
        "{asked} questions: {allowed} allowed, {denied} denied; {kept} decisions kept; {refused} refusals; epoch {epoch}"
    ))
}
