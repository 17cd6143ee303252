//! `cargo image bench`: what to measure. The library does the work.

#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used))]

use std::{path::PathBuf, process::ExitCode};

use clap::Parser;
use image_bench::{Bench, Load};
use image_builder::{build::Context, output};
use image_machine::{Failure, tools};

/// Measure what the kernel and the library OS cost, and compare with the references
///
/// Costs are counted in guest instructions, which two runs agree on to the digit. Times and rates are by the
/// wall clock, medians of several runs, and say something beside others of the same run only: `--peers`.
#[derive(Debug, Parser)]
#[command(name = "cargo image bench", bin_name = "cargo image bench", version)]
#[command(after_help = "\
Examples:
  cargo image bench                   the table
  cargo image bench --peers           the same, with Linux on the same machine beside it
  cargo image bench --profile=udp     where the instructions of UDP round trips go")]
struct BenchArgs {
    /// The manifest of the benchmark system
    #[arg(default_value = "manifests/bench.toml")]
    manifest: PathBuf,
    /// Only show which functions the instructions of a load are spent in
    #[arg(long, value_enum, conflicts_with = "manifest", value_name = "LOAD")]
    #[arg(num_args = 0..=1, require_equals = true, default_missing_value = "gate")]
    profile: Option<Load>,
    /// Measure Linux on the same machine as well: Debian's kernel, fetched from its package
    #[arg(long, conflicts_with = "profile")]
    peers: bool,
    /// Only measure Linux as a guest, and the same kernel on the bare machine
    #[arg(long, conflicts_with_all = ["manifest", "profile", "peers"])]
    guest: bool,
    /// Only measure what a measured boot and an attestation cost
    #[arg(long, conflicts_with_all = ["manifest", "profile", "peers", "guest"])]
    measured: bool,
}

fn main() -> ExitCode {
    match output::arguments() {
        Ok(args) => output::end(measure(&args)),
        Err(status) => status,
    }
}

fn measure(args: &BenchArgs) -> Result<(), Failure> {
    let context = Context::of_command()?;
    tools::require(tools::RUN, &context.progress, &context.interrupts)?;
    let bench = Bench { context: &context, peers: args.peers };
    output::print(&match args.profile {
        Some(load) => bench.profile(load),
        None if args.guest => bench.run_guest(),
        None if args.measured => bench.run_measured(),
        None => bench.run(&args.manifest),
    }?)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_makes_sense_to_clap() {
        BenchArgs::command().debug_assert();
    }
}
