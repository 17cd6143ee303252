//! Measures a system and compares with references: instructions, sizes, and the time until a demo has ended.

#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used))]

mod code;
mod gdb;
mod guest;
mod linux;
mod measured;
mod network;
mod paths;
mod round;
mod rows;
mod source;
mod steps;
mod table;

use std::{
    collections::BTreeMap,
    fs,
    io::BufReader,
    path::Path,
    time::{Duration, Instant},
};

use code::Code;
use image_builder::build::{self, Built, Context};
use image_machine::{
    Failure,
    run::{
        Accelerator, Heard, Machine, Run, Session, Stepping, Tpm, TpmState, TpmVersion, Transcript, Watch,
    },
};
use linux::Linux;
use round::Round;
use rows::{GUEST_ROWS, MEASURED_ROWS, ROWS, Source};
use table::Table;
use tempfile::NamedTempFile;

/// Longest time that a run may take, as `patience` counts it. Counting instructions makes a run some ten times as slow.
const LIMIT: Duration = Duration::from_secs(120);
/// How often a time is taken.
const TIMES: usize = 3;

/// Something that the kernel and the domains can be busy with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Load {
    /// A gate call and its reply, in the kernel
    Gate,
    /// UDP round trips between two domains, in the kernel and in all domains
    Udp,
    /// TCP in bulk between two domains, in the kernel and in all domains
    Tcp,
}

/// Measures.
#[derive(Debug)]
pub struct Bench<'a> {
    /// What it works with.
    pub context: &'a Context,
    /// Whether Linux is measured as well.
    pub peers: bool,
}

/// What was measured, by name.
type Figures = BTreeMap<String, f64>;

impl Bench<'_> {
    /// Runs the benchmark system and all else that the table names. Returns the table.
    ///
    /// # Errors
    ///
    /// When a system cannot be built, or its run does not end well.
    pub fn run(&self, manifest: &Path) -> Result<String, Failure> {
        // Steps that need a network run first, so that they fail before anything is built.
        let linux = self.peers.then(|| Linux::prepare(self.context)).transpose()?;
        let built = build::build(self.context, build::load(self.context, manifest)?)?;
        let (hello, demo) = (self.build(rows::HELLO)?, self.build(rows::DEMO)?);
        let mut figures = self.count(&built)?;
        figures.extend(self.count_writes(&built)?);
        for network in rows::NETWORK {
            let network = self.build(network)?;
            figures.extend(self.count(&network)?);
            figures.extend(self.count_writes(&network)?);
        }
        let traced = self.trace()?;
        let costly = traced.code.costly();
        let peer = self.measure_network(linux.as_ref(), &built.machine(), &mut figures)?;
        let source = source::of_kernel(&self.context.workspace.root)
            .map_err(|error| Failure::machine("cannot read the kernel's source", &error))?;
        let kernel =
            fs::read(&built.symbols).map_err(|error| Failure::file("cannot read", &built.symbols, &error))?;
        let mut table = Table::new(peer);
        for row in ROWS {
            let figure = match row.source {
                Source::Named(_) | Source::Less(..) | Source::PromptTime => row.source.named(&figures),
                Source::RoundInstructions => Some(traced.round.instructions() as f64),
                Source::RoundCostly(kind) => Some(traced.round.count(kind, &costly) as f64),
                Source::KernelText(section) => rows::text_bytes(&kernel, section),
                Source::KernelTables => rows::table_bytes(&kernel),
                Source::KernelLines => Some(source.lines as f64),
                Source::KernelUnsafe => Some(source.unsafe_sites as f64),
                Source::HelloTables => rows::page_table_bytes(&hello, "hello"),
                Source::HelloImage => rows::image_bytes(&hello, "hello"),
                Source::HelloMemory => rows::memory_bytes(&hello, "hello"),
                Source::DemoTime => self.wall_time(&demo)?,
            };
            table.add(row, figure);
        }
        self.add_measured(&mut table)?;
        self.add_guest(&mut table)?;
        let has_row = |name: &str| ROWS.iter().any(|row| row.source.uses(name));
        for (name, figure) in figures.iter().filter(|(name, _)| !has_row(name)) {
            table.add_other(name, *figure);
        }
        if let Some(linux) = &linux {
            table.note(&format!("Linux: {}", linux.about()));
        }
        Ok(table.finish())
    }

    /// Measures what the table names of Linux as a guest. Returns that part of the table.
    ///
    /// # Errors
    ///
    /// As [`Bench::run`].
    pub fn run_guest(&self) -> Result<String, Failure> {
        let mut table = Table::new(Figures::new());
        self.add_guest(&mut table)?;
        Ok(table.finish())
    }

    /// Measures what a measured boot and an attestation cost. Returns that part of the table.
    ///
    /// # Errors
    ///
    /// As [`Bench::run`].
    pub fn run_measured(&self) -> Result<String, Failure> {
        let mut table = Table::new(Figures::new());
        self.add_measured(&mut table)?;
        Ok(table.finish())
    }

    fn add_measured(&self, table: &mut Table) -> Result<(), Failure> {
        let figures = self.measure_attestation()?;
        MEASURED_ROWS.iter().for_each(|row| table.add(row, row.source.named(&figures)));
        Ok(())
    }

    fn add_guest(&self, table: &mut Table) -> Result<(), Failure> {
        let mut measured = self.measure_guest()?;
        let prompt = self.time_to_prompt()?;
        table.compare_with(measured.machine);
        for row in GUEST_ROWS {
            let figure = match row.source {
                Source::PromptTime => prompt,
                _ => row.source.named(&measured.guest),
            };
            table.add(row, figure);
            measured.guest.retain(|name, _| !row.source.uses(name));
        }
        measured.guest.iter().for_each(|(name, figure)| table.add_other(name, *figure));
        Ok(())
    }

    /// Measures rates. Returns what Linux was measured at.
    fn measure_network(
        &self,
        linux: Option<&Linux<'_>>,
        machine: &Machine,
        figures: &mut Figures,
    ) -> Result<Figures, Failure> {
        // One after the other: a machine that is busy with something else is so for both.
        figures.extend(self.rate_between_domains()?);
        let mut peer = linux.map(|linux| linux.measure(machine)).transpose()?.unwrap_or_default();
        let (own, linux) = self.rates_of_host(linux)?;
        figures.extend(own);
        peer.extend(linux);
        Ok(peer)
    }

    /// Says which functions the instructions of a load are spent in.
    ///
    /// # Errors
    ///
    /// When the system that makes the load cannot be built, or does not run as it should.
    pub fn profile(&self, load: Load) -> Result<String, Failure> {
        match load {
            Load::Gate => self.trace().map(|Traced { code, round }| round.profile(&code)),
            Load::Udp => self.follow(rows::UDP),
            Load::Tcp => self.follow(rows::TCP),
        }
    }

    fn build(&self, manifest: &str) -> Result<Built, Failure> {
        let manifest = self.context.workspace.root.join(manifest);
        build::build(self.context, build::load(self.context, manifest)?)
    }

    /// Runs the benchmark system with a clock that counts instructions. Returns what it printed.
    fn count(&self, built: &Built) -> Result<Figures, Failure> {
        let step = self.context.progress.step("counting instructions");
        let booted = self.boot(built, &counted(built))?;
        let is_measured = |name: Option<&str>| name.is_some_and(|name| name.starts_with("bench"));
        let lines = booted.transcript.lines().iter().filter(|line| is_measured(line.name()));
        let figures: Figures = lines.filter_map(|line| figure(line.message())).collect();
        if figures.is_empty() {
            return Err(Failure::Failed(format!("{} printed no figures", built.system.name())));
        }
        step.done(&format!("{}: {} figures", built.system.name(), figures.len()));
        Ok(figures)
    }

    /// Runs the system that makes gate calls while QEMU logs the kernel's instructions. Returns the kernel's code,
    /// and a gate call.
    fn trace(&self) -> Result<Traced, Failure> {
        let built = self.build(rows::ROUNDS)?;
        let step = self.context.progress.step("tracing gate calls");
        let code = code_of(&built)?;
        let log = NamedTempFile::new_in(&built.folder)
            .map_err(|error| Failure::file("cannot write in", &built.folder, &error))?;
        let accelerator = Accelerator::Stepped(Stepping::ask(&self.context.interrupts)?);
        let mut machine = Machine { accelerator, ..built.machine() };
        machine.extra = round::log_arguments(&code.filter(), log.path());
        self.boot(&built, &machine)?;
        let round = Round::find(BufReader::new(log.as_file()), code.entry())
            .ok_or_else(|| Failure::Failed("no two gate calls in QEMU's log are alike".into()))?;
        step.done(&format!("{} instructions in the kernel", round.instructions()));
        Ok(Traced { code, round })
    }

    /// The median time from QEMU's start to the last line of the domain with which the run ends, in seconds.
    fn wall_time(&self, built: &Built) -> Result<Option<f64>, Failure> {
        let step = self.context.progress.step("taking the time");
        let mut times = Vec::new();
        for _ in 0..TIMES {
            times.extend(self.boot(built, &built.machine())?.last_line);
        }
        times.sort();
        step.done(&format!("{}: {times:.2?}", built.system.name()));
        Ok(times.get(times.len() / 2).map(Duration::as_secs_f64))
    }

    /// Runs a system to its good end.
    fn boot(&self, built: &Built, machine: &Machine) -> Result<Booted, Failure> {
        let interrupts = &self.context.interrupts;
        let cache = self.context.target.join("tpm");
        let start_tpm = || Tpm::start(TpmVersion::V12, TpmState::Fresh, &cache, interrupts);
        let tpm = built.system.uses_device_class(Tpm::DEVICE_CLASS).then(start_tpm).transpose()?;
        let start = Instant::now();
        let mut session = Session::start(machine, tpm)?;
        let mut booted = Booted::default();
        let conclusion = Watch::patient(LIMIT, interrupts).until_end(&mut session, &mut |bytes| {
            let lines = booted.transcript.add(bytes);
            if lines.iter().any(|line| line.name() == built.system.ends_with()) {
                booted.last_line = Some(start.elapsed());
            }
            Ok(Heard::default())
        })?;
        let run = Run {
            system: built.system.name(),
            ends_with: built.system.ends_with(),
            transcript: &booted.transcript,
            complaints: &session.complaints(),
            cpus: None,
            elapsed: session.elapsed(),
        };
        run.explain(conclusion)?;
        Ok(booted)
    }
}

/// A run that has ended well.
#[derive(Default)]
struct Booted {
    transcript: Transcript,
    /// From QEMU's start to the last line of the domain with which the run ends.
    last_line: Option<Duration>,
}

/// What the log of a run shows.
struct Traced {
    code: Code,
    round: Round,
}

/// The code of a system's kernel.
fn code_of(built: &Built) -> Result<Code, Failure> {
    let kernel =
        fs::read(&built.symbols).map_err(|error| Failure::file("cannot read", &built.symbols, &error))?;
    Code::parse(&kernel)
        .ok_or_else(|| Failure::Failed("the kernel's symbols do not say where system calls enter it".into()))
}

/// The machine of a system, with a clock that counts instructions.
fn counted(built: &Built) -> Machine {
    Machine { accelerator: Accelerator::Counted, ..built.machine() }
}

/// The one in the middle.
fn median(figures: &[f64]) -> Option<f64> {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied()
}

/// Reads `<name> <number>`.
fn figure(message: &str) -> Option<(String, f64)> {
    let (name, number) = message.trim().rsplit_once(' ')?;
    Some((name.trim().to_owned(), number.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_name_and_a_number() {
        assert_eq!(figure("gate-call-4 243"), Some(("gate-call-4".into(), 243.0)));
        assert_eq!(figure("warming up"), None);
    }

    #[test]
    fn the_median_is_the_one_in_the_middle() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[]), None);
    }
}
