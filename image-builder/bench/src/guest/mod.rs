//! Linux as a guest, and the same kernel with the same program on the bare machine, in the same run.
//!
//! With a clock that counts instructions, the program says what a path costs, and QEMU's log how often CR3 is written in it
//! and the guest comes out; by the wall clock, two more runs give ratios.

mod log;
mod rate;

use std::{fs, path::Path};

use image_builder::build::{self, Built, Context};
use image_compiler::system::System;
use image_machine::{
    Failure, disc,
    initramfs::{Content, archive},
    linux_program::{self, Symbols},
    patience::Patience,
    run::{Accelerator, Event, Machine, Session, Transcript},
};
use tempfile::NamedTempFile;

use super::{Bench, Figures, TIMES, figure, linux, median, round::log_arguments, rows};
use log::Places;

/// The program that measures, and the system in which it does.
const PROGRAM: &str = "image-builder/bench/src/guest/measure.rs";
const MANIFEST: &str = include_str!("bench-linux.toml");
/// What the kernel is told on the bare machine.
const ON_THE_MACHINE: &str = "console=ttyS0 nr_cpus=1 quiet panic=-1 PLACE=machine";
/// What the program says whose paths can be told apart: their names, each with how often it was done.
const PATHS: &str = "paths: ";
/// What a shell says when it can be typed at, and how long that may take.
const PROMPT: &str = "linux# ";
const PATIENCE: std::time::Duration = super::LIMIT;

/// What was measured of the guest, and of the bare machine under the same names.
#[derive(Debug, Default)]
pub(super) struct Measured {
    pub(super) guest: Figures,
    pub(super) machine: Figures,
}

impl Bench<'_> {
    /// Measures Linux as a guest and on the bare machine.
    ///
    /// # Errors
    ///
    /// When the kernel's package cannot be fetched, or a run does not end well.
    pub(super) fn measure_guest(&self) -> Result<Measured, Failure> {
        let context = self.context;
        let folder = context.target.join("linux").join("guest");
        fs::create_dir_all(&folder).map_err(|error| Failure::file("cannot make", &folder, &error))?;
        let (initramfs, manifest) = (folder.join("initramfs.cpio"), folder.join("bench-linux.toml"));
        let files =
            [("dev/console", Content::CharacterDevice(5, 1)), ("init", Content::File(program(context)?))];
        let bytes =
            archive(&files, &[]).map_err(|error| Failure::machine("cannot make the initramfs", &error))?;
        disc::write_file(&initramfs, &bytes)?;
        disc::write_file(&manifest, MANIFEST.as_bytes())?;
        let built = build::build(context, build::load(context, &manifest)?)?;
        let machine = on_the_machine(&built, &folder, &initramfs)?;
        let mut measured = Measured { guest: self.count_guest(&built)?, machine: Figures::new() };
        measured.guest.extend(beside_the_guest(&built));
        let step = context.progress.step("measuring Linux on the bare machine and as a guest");
        let counting = Machine { accelerator: Accelerator::Counted, ..machine.clone() };
        measured.machine.extend(linux::boot(context, &counting)?.medians());
        let (times, on_machine) = (self.boot(&built, &built.machine())?, linux::boot(context, &machine)?);
        measured.machine.extend(as_times(on_machine.medians()));
        measured.guest.extend(as_times(printed(&times.transcript)));
        step.done(&format!("{} figures", measured.machine.len()));
        measured.guest.extend(self.rate_between_guests()?);
        Ok(measured)
    }

    /// Counts what the paths take of instructions, writes of CR3 and exits.
    fn count_guest(&self, built: &Built) -> Result<Figures, Failure> {
        let step = self.context.progress.step("counting what a guest takes");
        let places = Places::of(&super::code_of(built)?)
            .ok_or_else(|| Failure::Failed("the kernel's symbols do not say where guests come out".into()))?;
        let log = NamedTempFile::new_in(&built.folder)
            .map_err(|error| Failure::file("cannot write in", &built.folder, &error))?;
        let mut machine = super::counted(built);
        machine.extra = log_arguments(&places.filter(), log.path());
        let booted = self.boot(built, &machine)?;
        let mut figures = printed(&booted.transcript);
        let paths = booted.transcript.lines().iter().find_map(|line| line.message().strip_prefix(PATHS));
        let stretches = places.read(std::io::BufReader::new(log.as_file()));
        let counted = log::figures(paths.unwrap_or_default(), &stretches)
            .ok_or_else(|| Failure::Failed("QEMU's log does not show the paths that were measured".into()))?;
        figures.extend(counted);
        step.done(&format!("{} figures", figures.len()));
        Ok(figures)
    }

    /// The median time from QEMU's start to the prompt of the demo's guest, in seconds.
    ///
    /// # Errors
    ///
    /// When the system cannot be built, or no prompt comes.
    pub(super) fn time_to_prompt(&self) -> Result<Option<f64>, Failure> {
        let built = self.build(rows::LINUX_DEMO)?;
        let step = self.context.progress.step("taking the time until a prompt");
        let mut times = Vec::new();
        for _ in 0..TIMES {
            let mut session = Session::start(&built.machine(), None)?;
            wait_for_text(self.context, &mut session, PROMPT)?;
            times.push(session.elapsed().as_secs_f64());
        }
        step.done(&format!("{times:.2?}"));
        Ok(median(&times))
    }
}

/// The program, compiled.
fn program(context: &Context) -> Result<Vec<u8>, Failure> {
    let source = context.workspace.root.join(PROGRAM);
    linux_program::compile(&source, Symbols::Stripped, &context.target, &context.interrupts)
}

/// The machine with the guest's kernel on it and nothing else.
fn on_the_machine(built: &Built, folder: &Path, initramfs: &Path) -> Result<Machine, Failure> {
    let kernel = folder.join("vmlinuz");
    disc::write_file(&kernel, &kernel_of(&built.system)?)?;
    let (kernel, initramfs) = (kernel.display().to_string(), initramfs.display().to_string());
    let extra = ["-kernel", &kernel, "-initrd", &initramfs, "-append", ON_THE_MACHINE];
    Ok(Machine { extra: extra.map(String::from).into(), ..built.machine() })
}

/// The kernel of the system's guest: its first file.
fn kernel_of(system: &System) -> Result<Vec<u8>, Failure> {
    let bytes = system.files().first().and_then(|file| file.bytes.as_deref());
    bytes.map(<[u8]>::to_vec).ok_or_else(|| Failure::Failed("the system has no guest with a kernel".into()))
}

/// What the guest's domain has printed.
fn printed(transcript: &Transcript) -> Figures {
    let lines = transcript.lines().iter().filter(|line| line.name() == Some("bench-linux"));
    lines.filter_map(|line| figure(line.message())).collect()
}

/// Figures of a run by the wall clock: times, in ticks.
fn as_times(figures: Figures) -> Figures {
    figures.into_iter().map(|(name, figure)| (format!("{name} time"), figure)).collect()
}

/// What the guest's domain has beside the guest's memory and the files that it begins with, in bytes.
fn beside_the_guest(built: &Built) -> Figures {
    let domain = built.system.domains().position(|(_, known)| known.guest.is_some());
    let sizes = built.system.domains().find_map(|(_, known)| known.guest.as_ref()).map(|guest| guest.sizes);
    let bytes = domain.zip(sizes).map(|(domain, sizes)| {
        (built.plan.own_pages(domain) + sizes.total() - sizes.ram) * cloison_abi::limits::PAGE_BYTES
    });
    bytes.map(|bytes| ("linux-memory".to_owned(), bytes as f64)).into_iter().collect()
}

/// Waits until the machine has written a text.
fn wait_for_text(context: &Context, session: &mut Session, text: &str) -> Result<(), Failure> {
    use std::os::fd::AsFd;
    let (mut patience, mut heard) = (Patience::new(), String::new());
    loop {
        match session.next(Some(patience.next_look()), &[context.interrupts.as_fd()])? {
            Event::Output(bytes) => heard += &String::from_utf8_lossy(&bytes),
            Event::Ready(_) => context.interrupts.check()?,
            Event::Deadline if patience.counted(|| session.cpu_time()) < PATIENCE => {}
            Event::Deadline | Event::Ended(_) => {
                let last = heard.lines().last().unwrap_or("nothing");
                return Err(Failure::Failed(format!("no `{text}` has come; the last line is: {last}")));
            }
        }
        if heard.contains(text) {
            return Ok(());
        }
    }
}
