//! TCP between two Linux as guests, by the wall clock.

use std::fs;

use image_builder::build;
use image_machine::{Failure, disc};

use super::{Bench, Figures, TIMES, median};
use crate::network::rate;

/// The system with the guests, of which one sends to the other, and ends.
const MANIFEST: &str = include_str!("bench-guests.toml");

impl Bench<'_> {
    /// The median rate that the receiver has seen, in bits per second.
    ///
    /// # Errors
    ///
    /// When the kernel's package or that of iperf3 cannot be fetched, or a run does not end well.
    pub(super) fn rate_between_guests(&self) -> Result<Figures, Failure> {
        let context = self.context;
        let folder = context.target.join("linux").join("guest");
        fs::create_dir_all(&folder).map_err(|error| Failure::file("cannot make", &folder, &error))?;
        let manifest = folder.join("bench-guests.toml");
        disc::write_file(&manifest, MANIFEST.as_bytes())?;
        let built = build::build(context, build::load(context, &manifest)?)?;
        let step = context.progress.step("measuring TCP between two guests");
        let mut rates = Vec::new();
        for _ in 0..TIMES {
            let booted = self.boot(&built, &built.machine())?;
            let lines = booted.transcript.lines().iter();
            let seen = lines.filter(|line| line.text.trim_end().ends_with("receiver"));
            rates.extend(seen.filter_map(|line| rate(line.message(), "Kbits/sec")).map(|rate| rate * 1e3));
        }
        step.done(&format!("{rates:.0?}"));
        Ok(median(&rates).map(|rate| ("linux-tcp-rate".to_owned(), rate)).into_iter().collect())
    }
}
