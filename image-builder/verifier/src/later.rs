//! What the log says of the time after the boot, of which nothing can be foretold but which programs there are.

use std::str;

use cloison_abi::measure::{PCR_LATER, PCR_PROGRAMS};
use cloison_measure::{
    Bank, Digests, Event, Later, Log, What,
    later::{NAME_END, WITH},
    log::{LogEvent, kind},
};

use crate::{
    event::{is_measured, name_of},
    hex::hex,
    reference::{Foretold, Reference},
    verdict::{Row, State},
};

/// What is told of the register for what comes after the boot. Its log has been shown to be true.
pub(crate) fn row(log: &Log<'_>, reference: &Reference) -> Row {
    let events = log.events().flatten().filter(|event| event.pcr == PCR_LATER);
    let events = events.filter(|event| event.kind != kind::NO_ACTION);
    let (mut told, mut bad) = (Vec::new(), Vec::new());
    for event in events {
        match line(&event)
            .ok_or_else(|| format!("{} (not foretold)", name_of(&event)))
            .and_then(|(by, later)| tell(by, &later, reference))
        {
            Ok(text) => told.push(text),
            Err(text) => bad.push(text),
        }
    }
    let (state, names) = if bad.is_empty() { (State::Later, told) } else { (State::Differs, bad) };
    Row { pcr: PCR_LATER, state, names: counted(names) }
}

/// Whose word it is, and what it says. `None`: something else has been measured.
fn line<'a>(event: &LogEvent<'a>) -> Option<(&'a str, Later<&'a str>)> {
    let text = str::from_utf8(event.data).ok().filter(|_| is_measured(event))?;
    let (by, line) = text.split_once(NAME_END)?;
    let is_name = !by.is_empty() && by.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    Later::read(line).filter(|_| is_name).map(|later| (by, later))
}

/// What is told of a line, or why it cannot be of this system.
fn tell(by: &str, later: &Later<&str>, reference: &Reference) -> Result<String, String> {
    let Later { what, subject, digest } = later;
    let text = format!("{by}{NAME_END}{} {subject}", what.word());
    if *what == What::Log {
        return Ok(format!("{text} {}", hex(digest)));
    }
    // A program that was chosen has a row that says so. Which kernels there are for a guest is in the plan and the files, which
    // were measured at boot; what runs then is the domain's own program.
    let domain = subject.split_once(WITH).map_or(*subject, |(domain, _)| domain);
    let chosen = program_of(reference, subject).or_else(|| program_of(reference, domain));
    let is_known = chosen.is_some_and(|foretold| has_measured(foretold, later));
    if is_known { Ok(text) } else { Err(format!("{text} (another program)")) }
}

/// The row of a program that a domain runs: it names all that do.
fn program_of<'a>(reference: &'a Reference, domain: &str) -> Option<&'a Foretold> {
    let names =
        |foretold: &'a Foretold| foretold.name.strip_prefix("domain ").unwrap_or_default().split(", ");
    reference.events_of(PCR_PROGRAMS).find(|foretold| names(foretold).any(|name| name == domain))
}

/// Whether the loader was to measure this program with this digest.
fn has_measured(foretold: &Foretold, later: &Later<&str>) -> bool {
    let event = Event { pcr: PCR_PROGRAMS, name: &foretold.name, digest: later.digest };
    Digests::of(event.to_string().as_bytes()).get(Bank::Sha256) == foretold.digest
}

/// The same texts, those that follow each other as one.
fn counted(texts: Vec<String>) -> Vec<String> {
    let runs = texts.chunk_by(|text, next| text == next);
    let count = |run: &[String]| match run {
        [text] => text.clone(),
        _ => format!("{} ({} times)", run[0], run.len()),
    };
    runs.map(count).collect()
}
