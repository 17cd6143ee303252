//! Linux, measured on the same machine: Debian's kernel, with nothing around it but what measures.
//!
//! It boots from memory, on the machine that the system itself was built for. One run takes rates by the wall
//! clock; another one, with a clock that counts instructions, says what a byte and a round trip cost.

mod initramfs;
mod packages;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use image_builder::build::Context;
use image_compiler::digest::hex;
use image_machine::{
    Failure, disc,
    run::{Accelerator, Conclusion, End, Heard, Machine, Session, Transcript, Watch},
};
use packages::{Package, Packages, identity};
use sha2::{Digest, Sha256};

use super::{Figures, LIMIT, median};

/// The package that stands for Debian's newest kernel.
const NEWEST_KERNEL: &str = "linux-image-amd64";
/// Kilobits per second to bits per second.
const KILO: f64 = 1000.0;
/// Bits in a byte, and nanoseconds in a second: with the counting clock, instructions.
const BITS: f64 = 8.0;
const NANOSECONDS: f64 = 1e9;

/// A Linux that can be booted.
#[derive(Debug)]
pub(super) struct Linux<'a> {
    context: &'a Context,
    /// Its packages, for people.
    about: String,
    kernel: PathBuf,
    initramfs: PathBuf,
}

impl<'a> Linux<'a> {
    /// Fetches the packages and makes what Linux boots from, unless that is there from an earlier time.
    ///
    /// # Errors
    ///
    /// When a package is not known, or cannot be fetched or read.
    pub(super) fn prepare(context: &'a Context) -> Result<Self, Failure> {
        let step = context.progress.step("preparing Linux");
        let folder = context.target.join("linux");
        let packages = Packages::in_folder(context, folder.join("packages"))?;
        let kernel = packages.dependency(NEWEST_KERNEL, "linux-image-")?;
        let set = packages.newest(&[&[kernel.as_str()], &initramfs::packages()[..]].concat())?;
        let shown = |package: &&Package| package.name == kernel || package.name == "iperf3";
        let about: Vec<_> = set.iter().filter(shown).map(Package::describe).collect();
        let folder = folder.join(version(&set));
        let linux = Self {
            context,
            about: about.join(", "),
            kernel: folder.join("vmlinuz"),
            initramfs: folder.join("initramfs.cpio"),
        };
        if !linux.initramfs.is_file() {
            step.now("fetching packages");
            packages.fetch(&set)?;
            step.now("making the initramfs");
            linux.write(&initramfs::build(context, &packages, &set)?, &folder)?;
        }
        step.done(&linux.about);
        Ok(linux)
    }

    /// Which Linux it is.
    pub(super) fn about(&self) -> &str {
        &self.about
    }

    /// Measures on a machine.
    ///
    /// # Errors
    ///
    /// When Linux does not boot, or does not come to its end in time.
    pub(super) fn measure(&self, machine: &Machine) -> Result<Figures, Failure> {
        let step = self.context.progress.step("measuring Linux");
        let rates = self.boot(machine, "AMOUNT=-t2 RUNS=3")?;
        let counting = Machine { accelerator: Accelerator::Counted, ..machine.clone() };
        let counted = self.boot(&counting, "AMOUNT=-n16M RUNS=3")?;
        let figures = figures(&rates, &counted);
        step.done(&format!("{} figures", figures.len()));
        Ok(figures)
    }

    /// The machine with Linux on it, with settings for its script. The devices stay, and the disc too; Linux does
    /// not look at it.
    pub(super) fn machine(&self, machine: &Machine, settings: &str) -> Machine {
        let (kernel, initramfs) = (self.kernel.display().to_string(), self.initramfs.display().to_string());
        let settings = format!("console=ttyS0 quiet panic=-1 {settings}");
        let extra = ["-kernel", &kernel, "-initrd", &initramfs, "-append", &settings];
        Machine { extra: extra.map(String::from).into(), ..machine.clone() }
    }

    /// Boots it with settings for its script. Returns what it printed.
    fn boot(&self, machine: &Machine, settings: &str) -> Result<Lines, Failure> {
        boot(self.context, &self.machine(machine, settings))
    }

    fn write(&self, (kernel, initramfs): &(Vec<u8>, Vec<u8>), folder: &Path) -> Result<(), Failure> {
        fs::create_dir_all(folder).map_err(|error| Failure::file("cannot make", folder, &error))?;
        disc::write_file(&self.kernel, kernel)?;
        // The last one: if it is there, all is there.
        disc::write_file(&self.initramfs, initramfs)
    }
}

/// Boots a machine with a Linux on it that measures. Returns what it printed.
pub(super) fn boot(context: &Context, machine: &Machine) -> Result<Lines, Failure> {
    let mut session = Session::start(machine, None)?;
    let mut transcript = Transcript::default();
    let watch = Watch::patient(LIMIT, &context.interrupts);
    let conclusion = watch.until_end(&mut session, &mut |bytes| {
        transcript.add(bytes);
        Ok(Heard::default())
    })?;
    if conclusion == Conclusion::Ended(End::Status(0)) && transcript.last_of("linux") == Some("end") {
        return Ok(Lines::of(&transcript));
    }
    let last = transcript.lines().last().map_or("nothing", |line| line.text.as_str());
    let complaint = session.complaint().unwrap_or_else(|| format!("the last that it wrote is: {last}"));
    Err(Failure::Failed(format!("Linux did not come to the end of its measurements; {complaint}")))
}

/// The folder of what is made of these packages and of our own files.
fn version(set: &[Package]) -> String {
    let inputs = [&identity(set), initramfs::SCRIPT, initramfs::UDP_ROUND_TRIP].join("\0");
    hex(&Sha256::digest(inputs)[..8])
}

/// What Linux printed, by name, each as often as it was measured.
#[derive(Debug, Default)]
pub(super) struct Lines(BTreeMap<String, Vec<f64>>);

impl Lines {
    fn of(transcript: &Transcript) -> Self {
        let mut lines = Self::default();
        for line in transcript.lines().iter().filter(|line| line.name() == Some("linux")) {
            if let Some((name, figure)) = super::figure(line.message()) {
                lines.0.entry(name).or_default().push(figure);
            }
        }
        lines
    }

    /// The median of each figure.
    pub(super) fn medians(&self) -> Figures {
        self.0.iter().filter_map(|(name, figures)| Some((name.clone(), median(figures)?))).collect()
    }

    fn median(&self, name: &str) -> Option<f64> {
        median(self.0.get(name)?)
    }
}

/// The figures of a run by the wall clock, and of one that counts instructions.
fn figures(rates: &Lines, counted: &Lines) -> Figures {
    let rate = |name| Some(rates.median(name)? * KILO);
    let per_byte = |name| Some(BITS * NANOSECONDS / (counted.median(name)? * KILO));
    let all = [
        ("tcp-rate", rate("tcp-bridge")),
        ("tcp-rate-loopback", rate("tcp-loopback")),
        ("tcp-byte", per_byte("tcp-bridge")),
        ("tcp-byte-loopback", per_byte("tcp-loopback")),
        ("udp-round-trip", counted.median("udp-round-trip")),
    ];
    all.into_iter().filter_map(|(name, figure)| Some((name.to_owned(), figure?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(console: &str) -> Lines {
        let mut transcript = Transcript::default();
        transcript.add(console.as_bytes());
        Lines::of(&transcript)
    }

    #[test]
    fn takes_the_median_of_each_figure() {
        let rates = lines("linux | tcp-bridge 3\nlinux | tcp-bridge 1\nlinux | tcp-bridge 2\nbridge: up\n");
        let counted = lines("linux | tcp-bridge 2000000\nlinux | udp-round-trip 9000\n");
        let figures = figures(&rates, &counted);
        assert_eq!(figures["tcp-rate"], 2000.0);
        assert_eq!(figures["tcp-byte"], 4.0);
        assert_eq!(figures["udp-round-trip"], 9000.0);
        assert_eq!(figures.len(), 3);
    }

    #[test]
    fn what_failed_is_no_figure() {
        assert_eq!(lines("linux | tcp-bridge failed\n").median("tcp-bridge"), None);
    }
}
