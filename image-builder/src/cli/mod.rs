//! The command line: what can be asked for, and the exit status that answers.

mod attest;
mod commands;
mod numbers;
mod platform_record;
mod run;
mod scene;
mod verdict;

use std::{ffi::OsString, path::PathBuf, process::ExitCode};

use clap::{Args, Parser, Subcommand, ValueEnum};

use image_machine::{
    Failure,
    disc::Firmware,
    medium::Form,
    run::{CaptureRequest, ForwardRequest, TpmVersion},
};

use crate::{build::Context, output};
use scene::Scene;

/// Checks a manifest, builds the system it describes, and runs it
#[derive(Debug, Parser)]
#[command(name = "cargo image", bin_name = "cargo image", version, arg_required_else_help = true)]
#[command(after_help = "\
Examples:
  cargo image run manifests/tpm-demo.toml             build it and watch it run
  cargo image run manifests/tpm-demo.toml --tpm 2.0   the same with a TPM 2.0
  cargo image check manifests/hello.toml              say what is wrong with a manifest
  cargo image report manifests/tpm-demo.toml          who has what, and who can talk to whom
  cargo image pcrs manifests/tpm-demo.toml            what a TPM will show of it

Exit status:
  0    it worked; for `run`: the system ended well
  1    the build or the run failed
  2    the manifest or the command line is wrong
  3    this machine lacks something: a program, room on the disk, a permission
  130  stopped with Ctrl-C")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// A command.
#[derive(Debug, Subcommand)]
enum Command {
    Run(Box<RunArgs>),
    /// Build a system: check its manifest, compile its programs, write the bootable disc
    ///
    /// The files are in target/images/SYSTEM: the disc, and what it is made of. The disc is the same, bit for
    /// bit, on every machine and in every folder. Its path is printed.
    Build(BuildArgs),
    /// Check a manifest, and say all that is wrong with it
    ///
    /// Every fault is shown with its place and a way to mend it. Nothing is built.
    Check(ManifestArgs),
    Report(ReportArgs),
    Graph(GraphArgs),
    Query(QueryArgs),
    /// Print who may reach whom, by what, and the digest of that
    ///
    /// One line for each thing that is allowed, sorted: two manifests that allow the same have the same lines and the same
    /// digest, whatever they are called and in which order they say it. Nothing is built.
    Policy(ManifestArgs),
    Pcrs(PcrsArgs),
    PlatformRecord(PlatformRecordArgs),
    /// List the checks that every manifest has to pass
    ///
    /// Each check has a name, which is also what the faults it finds are called.
    Checks,
    Bench(BenchArgs),
    /// Say which programs this machine lacks, and install them if that needs no password
    ///
    /// QEMU, swtpm, GRUB's PC modules, xorriso and mtools. They are installed with apt-get when the user is
    /// root or may use sudo without a password; else the line to type is printed. `run`, `build` and the
    /// tests do the same first.
    Doctor,
    /// Run Clippy over the code that runs on the target, with the flags it is built with
    #[command(hide = true)]
    Lint,
}

/// A manifest.
#[derive(Debug, Clone, Args)]
struct ManifestArgs {
    /// The system's manifest, such as manifests/hello.toml
    manifest: PathBuf,
}

/// What to build, and for which machine.
#[derive(Debug, Args)]
struct BuildArgs {
    #[command(flatten)]
    manifest: ManifestArgs,
    /// What starts the machine that the disc is for
    #[arg(long, value_enum, value_name = "FIRMWARE", default_value = "bios")]
    firmware: FirmwareChoice,
    /// A disc that a BIOS and UEFI firmware both start from: GRUB below a BIOS, below UEFI the loader that measures
    #[arg(long, value_enum, value_name = "FORM", conflicts_with = "firmware")]
    format: Option<FormChoice>,
}

/// The form of a disc.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FormChoice {
    /// A disc for a drive
    Iso,
    /// A stick or a disk, with a GPT
    Raw,
    /// The same, for a machine in a cloud
    Qcow2,
}

impl From<FormChoice> for Form {
    fn from(choice: FormChoice) -> Self {
        match choice {
            FormChoice::Iso => Self::Iso,
            FormChoice::Raw => Self::Raw,
            FormChoice::Qcow2 => Self::Qcow2,
        }
    }
}

/// Build a system and run it in QEMU, with its console in this terminal
///
/// The run ends when the domain that the manifest names in `ends_with` ends, and its exit status says whether
/// that went well. Ctrl-A x ends it earlier, Ctrl-C stops everything. What you type goes to the system's
/// console.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  cargo image run manifests/hello.toml
  cargo image run manifests/tpm-demo.toml --tpm none --timeout 30
  cargo image run manifests/hello.toml --gdb            wait for a debugger, and say how to start one
  cargo image run manifests/hello.toml -- -d int -D qemu.log")]
struct RunArgs {
    #[command(flatten)]
    manifest: ManifestArgs,
    /// The TPM of the machine of a system that uses one [default: 1.2; with --firmware efi: 2.0]
    #[arg(long, value_enum, value_name = "VERSION")]
    tpm: Option<TpmChoice>,
    /// Keep the TPM's state, and a disk that is made for a run, and start from them the next time
    #[arg(long)]
    keep: bool,
    /// Let a port of the host lead to a domain behind the uplink; HOST 0 chooses one that is free
    ///
    /// In addition to the forwards that the manifest names; it takes the place of one that leads to the same port of
    /// the same domain. The image stays the same. Only the host itself can connect.
    #[arg(long, value_name = "HOST:DOMAIN:PORT")]
    forward: Vec<ForwardRequest>,
    /// Record the frames that a switch takes in, all or those of one port, for Wireshark
    ///
    /// Adds a domain `capture` with a mirror port to the system, so the image and its digests differ from those of
    /// the manifest alone; unless the manifest has such a domain itself.
    #[arg(long, value_name = "FILE[:SWITCH[:PORT]]")]
    capture: Option<CaptureRequest>,
    /// Of a menu: the system to start, by its name
    #[arg(long, value_name = "NAME")]
    entry: Option<String>,
    /// Type this line as soon as the console listens; may come several times
    ///
    /// The lines go to the domain that has the focus, such as the shell `run`, which answers one after the other.
    #[arg(long = "type", value_name = "LINE")]
    typed: Vec<String>,
    /// Give up after this many seconds; the run has then failed
    #[arg(long, value_name = "SECONDS", value_parser = numbers::seconds)]
    timeout: Option<u32>,
    /// Also write what the console shows to this file
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// Pass on every byte that the machine writes, to the terminal and to the log
    ///
    /// Else only text and line ends pass: what could drive the terminal, such as the escape character, is shown as
    /// `\x1b`, and so are bytes that are not UTF-8.
    #[arg(long)]
    raw: bool,
    /// Wait for a debugger on this port before the first instruction; 0 chooses one that is free
    #[arg(long, value_name = "PORT", num_args = 0..=1, default_missing_value = "1234", require_equals = true, value_parser = numbers::port)]
    gdb: Option<u16>,
    /// Memory in MiB, instead of the platform's
    #[arg(long, value_name = "MIB", value_parser = numbers::mebibytes)]
    memory: Option<u32>,
    /// Number of processors
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = numbers::processors)]
    smp: u32,
    /// QEMU's name of the CPU to imitate, instead of the platform's
    #[arg(long, value_name = "NAME", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    cpu: Option<String>,
    /// What starts the machine
    #[arg(long, value_enum, value_name = "FIRMWARE", default_value = "bios")]
    firmware: FirmwareChoice,
    /// Ask the system what it runs, as a bank would, and end with what is made of the answer
    ///
    /// Sends a nonce to the forward that the manifest calls `attest`, and compares quote and log with what `cargo image
    /// pcrs` prints. The run has failed if the machine is refused.
    #[arg(long)]
    attest: bool,
    /// Play a scene of manifests/pet-demo.toml, and end with what the bank makes of it
    ///
    /// Like --attest, with the firmware and the TPM that the scene needs. The run has failed if the bank judges otherwise
    /// than the scene has it.
    #[arg(long, value_enum, value_name = "SCENE", conflicts_with_all = ["attest", "firmware", "tpm"])]
    scene: Option<Scene>,
    /// How much is shown of a run with --attest or --scene
    #[arg(long, value_enum, value_name = "MODE", default_value = "expert")]
    mode: Mode,
    /// More arguments for QEMU
    #[arg(last = true, value_name = "QEMU ARGUMENTS")]
    qemu: Vec<String>,
}

/// For whom a run is shown in which a bank asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Mode {
    /// All that the machine writes, what the bank makes of each register, and its verdict
    Expert,
    /// The verdict
    Normal,
}

/// What starts a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FirmwareChoice {
    /// A BIOS, and GRUB
    Bios,
    /// UEFI, and GRUB
    Uefi,
    /// UEFI, and the loader that measures kernel and image into a TPM 2.0
    Efi,
}

impl From<FirmwareChoice> for Firmware {
    fn from(choice: FirmwareChoice) -> Self {
        match choice {
            FirmwareChoice::Bios => Self::Bios,
            FirmwareChoice::Uefi => Self::Uefi,
            FirmwareChoice::Efi => Self::Efi,
        }
    }
}

/// Which TPM.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum TpmChoice {
    #[value(name = "1.2")]
    V12,
    #[value(name = "2.0")]
    V20,
    None,
}

impl TpmChoice {
    const fn version(self) -> Option<TpmVersion> {
        match self {
            Self::V12 => Some(TpmVersion::V12),
            Self::V20 => Some(TpmVersion::V20),
            Self::None => None,
        }
    }
}

/// Show what a system consists of: domains, memory, slots, who can talk to whom, digests
///
/// The system is built first, because addresses and digests depend on the programs.
#[derive(Debug, Args)]
struct ReportArgs {
    /// The system's manifest, such as manifests/hello.toml
    #[arg(required_unless_present = "operations")]
    manifest: Option<PathBuf>,
    /// What every system has in common: the kernel's calls, and what the monitor's place is asked at each
    #[arg(long, conflicts_with_all = ["manifest", "manifest_only"])]
    operations: bool,
    /// Only one domain: whom it can tell something, by whom it can be told, and how far that leads; nothing is built
    #[arg(long, value_name = "DOMAIN", conflicts_with_all = ["operations", "manifest_only"])]
    caps: Option<String>,
    /// Only what the manifest says by itself; nothing is built
    #[arg(long)]
    manifest_only: bool,
    /// Who can read whose memory, and how much code it rests on: lines, `unsafe`, crates, bytes
    #[arg(long, conflicts_with_all = ["operations", "caps", "manifest_only"])]
    tcb: bool,
}

/// Draw who can talk to whom, and who owns which device
///
/// Writes graph.svg and graph.dot into the system's folder under target/images, or one of them to standard
/// output.
#[derive(Debug, Args)]
struct GraphArgs {
    #[command(flatten)]
    manifest: ManifestArgs,
    /// Print the graph in this form instead of writing files
    #[arg(long, value_enum)]
    print: Option<GraphForm>,
}

/// Ask who can reach whom, by what means and through whom
///
/// Looks at all that can flow between domains, devices and the world outside: calls, events, memory, frames, loans,
/// faults, logs. Prints the shortest way with the manifest's lines that allow it, or that there is none, and what is taken
/// for granted. Nothing is built.
#[derive(Debug, Args)]
#[command(after_help = "\
Questions:
  can SET reach SET          whether something can get from one to the other
  who can reach SET          from whom
  whom can SET reach         to whom
  does every way from SET to SET pass SET
  who holds RIGHT
The first four can end with `by MEANS`, `not through SET` and `while SET is stopped`.
A SET is a list of domains, device:NAME, guest:NAME, outside:DEVICE, outside or any, and may end with `but` and a list.

Examples:
  cargo image query manifests/net-demo.toml \"can outside reach bob not through ore\"
  cargo image query manifests/tpm-demo.toml \"who can reach device:tpm-tis\"
  cargo image query manifests/hello.toml \"can hello reach outside\" --expect yes

Exit status:
  0    the question has an answer, the expected one if one was
  1    the answer is not the one that was expected
  2    the manifest or the question is wrong")]
struct QueryArgs {
    #[command(flatten)]
    manifest: ManifestArgs,
    /// The question
    #[arg(required = true)]
    question: Vec<String>,
    /// Fail unless this is the answer; of a list, `yes` is one with somebody in it
    #[arg(long, value_enum, value_name = "ANSWER")]
    expect: Option<Expected>,
    /// What to take for granted: `nothing` lets switches, devices and domains that keep others apart pass on everything
    #[arg(long, value_enum, default_value = "usual", value_name = "WHAT")]
    assume: Assumption,
}

/// An answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Expected {
    Yes,
    No,
}

/// What is taken for granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Assumption {
    Usual,
    Nothing,
}

/// The form of a graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum GraphForm {
    Svg,
    Dot,
}

/// Print what the TPM's registers will be, and what they follow from
///
/// The system is built first. The values are those that a TPM shows once the system has been started with
/// `cargo image run --firmware efi`, or from target/images/SYSTEM/boot-efi.img by another machine's UEFI firmware.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cargo image pcrs manifests/tpm-demo.toml                              each register, its value, the rows in it
  cargo image pcrs manifests/pet-demo.toml --format json > pet.json     for cloison-verify ask --expect pet.json

Exit status:
  0    the values were printed
  1    the build failed, or nobody measures the kernel and the image (--boot bios without --unmeasured)
  2    the manifest or the command line is wrong")]
struct PcrsArgs {
    #[command(flatten)]
    manifest: ManifestArgs,
    /// The form of the output
    #[arg(long, value_enum, default_value = "table")]
    format: PcrsFormat,
    /// How the system is started
    #[arg(long, value_enum, default_value = "efi")]
    boot: BootChoice,
    /// The machine's TPM
    #[arg(long, value_enum, value_name = "VERSION", default_value = "2.0")]
    tpm: TpmChoice,
    /// The disc that it is started from: the table of partitions of a stick is measured as well
    #[arg(long, value_enum, value_name = "FORM")]
    disc: Option<FormChoice>,
    /// Where `platform-record` keeps records [default: manifests/platforms/registers/PLATFORM.txt]
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Do print values of a boot that measures neither kernel nor image
    #[arg(long)]
    unmeasured: bool,
}

/// Read what firmware leaves in a TPM that only the machine determines, and keep it
///
/// The system is built and started in QEMU with a TPM 2.0 until its first domain runs. What is read is shown by `pcrs` as
/// recorded, for machines with the same firmware, memory and devices. It says what that machine did once, not what it
/// should do.
#[derive(Debug, Args)]
struct PlatformRecordArgs {
    #[command(flatten)]
    manifest: ManifestArgs,
    /// How the machine is started
    #[arg(long, value_enum, default_value = "efi")]
    boot: BootChoice,
    /// Where records are kept [default: manifests/platforms/registers/PLATFORM.txt]
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

/// The form in which registers are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum PcrsFormat {
    /// For people
    Table,
    /// For programs
    Json,
    /// keylime's `tpm_policy`
    Keylime,
    /// The event log in the TCG's form, as bytes
    Eventlog,
}

/// How a system is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum BootChoice {
    /// By UEFI firmware and the loader that measures
    Efi,
    /// By a BIOS and GRUB, which measure neither kernel nor image
    Bios,
}

/// Measure what the kernel and the library OS cost, and compare with the references
#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
struct BenchArgs {
    /// What to measure: see `cargo image bench --help`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

/// Carries out the command line of this process.
#[must_use]
pub fn main() -> ExitCode {
    match output::arguments::<Cli>() {
        Ok(cli) => output::end(carry_out(cli.command)),
        Err(status) => status,
    }
}

fn carry_out(command: Command) -> Result<(), Failure> {
    let context = Context::of_command()?;
    match command {
        Command::Run(args) => run::run(&context, &args),
        Command::Build(args) => commands::build(&context, &args),
        Command::Check(args) => commands::check(&context, &args.manifest),
        Command::Report(args) => commands::report(&context, &args),
        Command::Graph(args) => commands::graph(&context, &args),
        Command::Query(args) => commands::query(&context, &args),
        Command::Policy(args) => commands::policy(&context, &args.manifest),
        Command::Pcrs(args) => commands::pcrs(&context, &args),
        Command::PlatformRecord(args) => platform_record::platform_record(&context, &args),
        Command::Checks => output::print(&image_compiler::checks_table()),
        Command::Bench(args) => commands::bench(&context, &args),
        Command::Doctor => commands::doctor(&context),
        Command::Lint => commands::lint(&context),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_makes_sense_to_clap() {
        Cli::command().debug_assert();
    }

    #[test]
    fn what_follows_two_dashes_is_for_qemu() {
        let cli =
            Cli::parse_from(["cargo image", "run", "m.toml", "--gdb", "--tpm", "none", "--", "-d", "int"]);
        let Command::Run(args) = cli.command else { panic!("not `run`") };
        assert_eq!((args.gdb, args.tpm.and_then(TpmChoice::version)), (Some(1234), None));
        assert_eq!(args.qemu, ["-d", "int"]);
    }
}
