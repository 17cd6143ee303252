//! Where instructions go: a running system, followed step by step through the kernel and all domains.

use std::{
    collections::{BTreeMap, HashMap},
    net::TcpListener,
    path::Path,
};

use cloison_abi::limits::IMAGE_ADDRESS;
use image_builder::build::Built;
use image_compiler::plan::Program;
use image_machine::{
    Failure,
    run::{Accelerator, Machine, Session},
    symbols::Symbols,
};

use super::{
    Bench,
    gdb::Debugger,
    network::{PATIENCE, wait_for_line},
};

/// What the domain that makes the load says when the load has settled.
const READY: &str = "ready to be profiled";
/// Instructions that are followed.
const STEPS: usize = 100_000;
/// Files that are shown of the kernel and of each program, and functions of each file.
const FILES_SHOWN: usize = 12;
const FUNCTIONS_SHOWN: usize = 3;
/// The kernel's addresses begin here: the upper half.
const KERNEL: u64 = 1 << 63;
/// First bytes of a program, by which it is recognised.
const SAMPLE_BYTES: usize = 512;

impl Bench<'_> {
    /// Says which functions of the kernel and of the domains the instructions of a load are spent in.
    ///
    /// # Errors
    ///
    /// When the system cannot be built, or does not get as far as the load.
    pub(super) fn follow(&self, manifest: &str) -> Result<String, Failure> {
        let built = self.build(manifest)?;
        let step = self.context.progress.step("following instructions");
        let port = free_port()?;
        let machine =
            Machine { accelerator: Accelerator::Counted, debugger_port: Some(port), ..built.machine() };
        let mut session = Session::start(&machine, None)?;
        let mut debugger = Debugger::start(port)?;
        wait_for_line(self.context, &mut session, READY, PATIENCE)?;
        debugger.stop()?;
        let counts = self.count_steps(&built, &mut debugger)?;
        step.done(&format!("{STEPS} instructions"));
        let mut parts = vec![Part::read("kernel", &built.symbols, None, &counts)?];
        for (number, component) in built.system.components().iter().enumerate() {
            parts.push(Part::read(
                &component.name,
                &self.context.program(&component.package),
                Some(number),
                &counts,
            )?);
        }
        Ok(text(parts))
    }

    fn count_steps(&self, built: &Built, debugger: &mut Debugger) -> Result<Counts, Failure> {
        let mut counts = Counts::default();
        let mut at_work = None;
        for _ in 0..STEPS {
            self.context.interrupts.check()?;
            let address = debugger.step()?;
            // What a lower address means depends on the domain that runs. Only the kernel changes that.
            at_work = match at_work {
                _ if address >= KERNEL => None,
                None => Some(program_at_work(&built.plan.programs, debugger)?),
                known => known,
            };
            *counts.entry((at_work, address)).or_default() += 1;
        }
        Ok(counts)
    }
}

/// How often which instruction was met: by the program's number, `None` for the kernel, and the address.
type Counts = HashMap<(Option<usize>, u64), usize>;

/// The number of the program whose domain runs: what lies where every program begins tells it.
fn program_at_work(programs: &[Program], debugger: &mut Debugger) -> Result<usize, Failure> {
    let seen = debugger.memory(IMAGE_ADDRESS, SAMPLE_BYTES)?.unwrap_or_default();
    let mut found = programs.iter().enumerate().filter(|(_, program)| program.image.starts_with(&seen));
    match (found.next(), found.next()) {
        (Some((number, _)), None) if !seen.is_empty() => Ok(number),
        _ => Err(Failure::Failed("the program that runs cannot be told by its first bytes".into())),
    }
}

/// What a program, or the kernel, has done.
#[derive(Debug)]
struct Part {
    name: String,
    files: BTreeMap<String, Functions>,
}

/// Instructions, by function.
type Functions = BTreeMap<String, usize>;

impl Part {
    /// Finds the functions of the instructions with this number in a file with symbols.
    fn read(name: &str, file: &Path, number: Option<usize>, counts: &Counts) -> Result<Self, Failure> {
        let symbols = Symbols::read(file)?;
        let mut files: BTreeMap<String, Functions> = BTreeMap::new();
        for ((_, address), count) in counts.iter().filter(|((part, _), _)| *part == number) {
            let place = symbols.place(*address)?;
            let (file, function) =
                place.map_or(("assembly".into(), "?".into()), |place| (place.file, place.function));
            *files.entry(file).or_default().entry(function).or_default() += count;
        }
        Ok(Self { name: name.to_owned(), files })
    }

    fn total(&self) -> usize {
        self.files.values().map(total).sum()
    }

    fn text(&self, all: usize) -> String {
        let files = self.files.iter().map(|(file, functions)| (total(functions), file, functions));
        let (files, rest) = largest(files.collect(), FILES_SHOWN, |(count, ..)| *count);
        let mut text = format!("{} {}\n", share(self.total(), all), self.name);
        for (count, file, functions) in files {
            text += &format!("  {} {file}:{}\n", share(count, all), names(functions, all));
        }
        if !rest.is_empty() {
            let count = rest.iter().map(|(count, ..)| count).sum();
            text += &format!("  {} in {} more files\n", share(count, all), rest.len());
        }
        text
    }
}

/// The functions of a file with the most instructions.
fn names(functions: &Functions, all: usize) -> String {
    let (shown, rest) = largest(functions.iter().collect(), FUNCTIONS_SHOWN, |(_, count)| **count);
    let name = |(name, count): &(&String, &usize)| format!(" {name} {}", share(**count, all).trim_start());
    let more = if rest.is_empty() { "" } else { ", …" };
    shown.iter().map(name).collect::<Vec<_>>().join(",") + more
}

fn total(functions: &Functions) -> usize {
    functions.values().sum()
}

/// The largest `count`, by size, and the others.
fn largest<T>(mut all: Vec<T>, count: usize, size: impl Fn(&T) -> usize) -> (Vec<T>, Vec<T>) {
    all.sort_by_key(|one| std::cmp::Reverse(size(one)));
    let rest = all.split_off(all.len().min(count));
    (all, rest)
}

fn text(mut parts: Vec<Part>) -> String {
    parts.retain(|part| part.total() > 0);
    parts.sort_by_key(|part| std::cmp::Reverse(part.total()));
    let all = parts.iter().map(Part::total).sum();
    parts.iter().map(|part| part.text(all)).collect()
}

fn share(count: usize, all: usize) -> String {
    format!("{:>5.1} %", 100.0 * count as f64 / all.max(1) as f64)
}

fn free_port() -> Result<u16, Failure> {
    let port = TcpListener::bind(("127.0.0.1", 0)).and_then(|listener| listener.local_addr());
    port.map(|address| address.port()).map_err(|error| Failure::machine("no port is free", &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_shares_the_largest_first() {
        let part = |name: &str, file: &str, functions: &[(&str, usize)]| Part {
            name: name.to_owned(),
            files: BTreeMap::from([(
                file.to_owned(),
                functions.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect(),
            )]),
        };
        let kernel = part("kernel", "calls.rs", &[("on_call", 10)]);
        let ore = part("ore", "plane.rs", &[("a", 10), ("b", 20)]);
        let text = text(vec![kernel, part("idle", "x", &[]), ore]);
        assert_eq!(
            text,
            " 75.0 % ore\n   75.0 % plane.rs: b 50.0 %, a 25.0 %\n 25.0 % kernel\n   25.0 % calls.rs: on_call 25.0 %\n"
        );
    }
}
