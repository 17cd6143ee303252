//! Steward: has the builder start and end another domain, again and again, and compares what is left.
//!
//! Its arguments are the name of that domain, a number of lives, and the name of one that faults. With `hold` before them it
//! has a server and its client held; with `again`, it starts a domain until that ends well; with `reap`, it ends all at
//! drawn points.

#![no_std]
#![no_main]

extern crate alloc;

mod again;
mod count;
mod holds;
mod reap;

use builder_api::{GATE, ManageError, State, manage::Client};
use cloison_abi::Name;
use cloison_rt::{
    log,
    sys::{Instant, info, settings, wait},
};
use count::Count;

cloison_rt::entry!(main);

fn main() -> Result<(), Failure> {
    let mut words = settings::arguments().split_ascii_whitespace();
    match words.clone().next() {
        Some("hold") => return holds::run(words.skip(1)),
        Some("again") => return again::run(words.skip(1)),
        Some("reap") => return reap::run(words.skip(1)),
        _ => {}
    }
    let name = words.next().and_then(Name::new).ok_or(Failure::Plan("no domain is named"))?;
    let lives = words.next().and_then(|text| text.parse().ok()).ok_or(Failure::Plan("no number of lives"))?;
    let entry = info::get().find::<info::Use>(GATE).ok_or(Failure::Plan("this domain manages nobody"))?;
    let steward = Steward { builder: Client::find(GATE)?, name, news: info::event_mask(entry) };
    steward.list()?;
    steward.try_what_is_refused();
    steward.one_life()?;
    steward.one_fault(words.next().and_then(Name::new).ok_or(Failure::Plan("nobody is to fault"))?)?;
    steward.many_lives(lives)
}

/// Why there is nothing to tell.
enum Failure {
    Plan(&'static str),
    Builder(ManageError),
    Different,
}

impl From<ManageError> for Failure {
    fn from(error: ManageError) -> Self {
        Self::Builder(error)
    }
}

impl core::fmt::Display for Failure {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Plan(what) => out.write_str(what),
            Self::Builder(error) => error.fmt(out),
            Self::Different => out.write_str("something is left of an earlier life"),
        }
    }
}

struct Steward {
    builder: Client,
    name: Name,
    news: u64,
}

impl Steward {
    fn list(&self) -> Result<(), ManageError> {
        for place in 0..=u8::MAX {
            let Ok(entry) = self.builder.entry(place) else { break };
            let managed = if entry.is_managed { "managed" } else { "not managed" };
            log!("{}: {}, {managed}, {} KiB", entry.name, entry.state, entry.kib);
        }
        let memory = self.builder.budget()?;
        log!("budget: {} KiB, all free: {}", memory.total_kib, memory.free_kib == memory.total_kib);
        Ok(())
    }

    /// What the builder does not do.
    fn try_what_is_refused(&self) {
        let [nobody, console] = ["nobody", "console"].map(|name| Name::new(name).unwrap_or_default());
        say("start nobody", self.builder.start(nobody));
        say("start console", self.builder.start(console));
        say("kill console", self.builder.kill(console));
        say("kill what was not started", self.builder.kill(self.name));
        say("shut down what was not started", self.builder.shutdown(self.name));
    }

    /// A life that ends by itself.
    fn one_life(&self) -> Result<(), ManageError> {
        let started = self.builder.start(self.name)?;
        log!("{} is started: {} KiB", self.name, started.kib);
        say("start again", self.builder.start(self.name));
        wait(self.news, Instant::NEVER);
        let about = self.builder.info(self.name)?;
        log!("{} is {}, code {}", self.name, about.state, about.code);
        say("pause what has ended", self.builder.pause(self.name));
        self.builder.kill(self.name)?;
        log!("{} is {}", self.name, self.builder.info(self.name)?.state);
        Ok(())
    }

    /// A life that ends by a fault.
    fn one_fault(&self, name: Name) -> Result<(), ManageError> {
        self.builder.start(name)?;
        wait(self.news, Instant::NEVER);
        let (about, fault) = (self.builder.info(name)?, self.builder.fault(name)?);
        log!("{name} is {}: kind {}, address {:#x}", about.state, fault.kind, fault.address);
        let last = self.builder.registers(name, 16)?;
        log!("the instruction is the same: {}", last.a == fault.instruction && last.a != 0);
        say("registers that there are not", self.builder.registers(name, 20));
        say("registers of who does not fault", self.builder.registers(self.name, 0));
        self.builder.kill(name)?;
        say("the fault of who was killed", self.builder.registers(name, 0));
        Ok(())
    }

    /// Lives that are ended from outside, each as early as it gets.
    fn many_lives(&self, lives: u32) -> Result<(), Failure> {
        let before = Count::take(&self.builder)?;
        for life in 1..=lives {
            self.builder.start(self.name)?;
            self.builder.kill(self.name)?;
            if Count::take(&self.builder)? != before {
                log!("life {life} has left something");
                return Err(Failure::Different);
            }
        }
        let is_defined = self.builder.info(self.name)?.state == State::Defined;
        log!("{lives} lives have left nothing; {} is defined: {is_defined}", self.name);
        Ok(())
    }
}

fn say<T>(what: &str, outcome: Result<T, ManageError>) {
    match outcome {
        Ok(_) => log!("{what}: done"),
        Err(error) => log!("{what}: {error}"),
    }
}
