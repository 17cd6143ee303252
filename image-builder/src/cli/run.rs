//! `cargo image run`: builds a system, starts its machine, and stays with it to the end.

use std::{
    fs::{self, File},
    io::{self, Write, stdout},
    os::{fd::AsFd, unix::fs::FileTypeExt},
    path::Path,
    time::Duration,
};

use image_compiler::{
    Addition, BUILDER, Inputs, MenuEntry, System, diagnostic::propose, system::DiskContent, visible::Visible,
};
use image_machine::{
    Failure,
    run::{
        Conclusion, Devices, ForwardRequest, Heard, HostPort, HostPorts, Line, Machine, Monitor, OpenDisk,
        OpenForward, Recording, Run, Session, Startup, Tpm, TpmState, TpmVersion, Transcript, Watch,
    },
    symbols::{self, Symbols},
    terminal::Keyboard,
    tools,
};

use super::{FirmwareChoice, Mode, RunArgs, TpmChoice, attest::Bank, scene::Scene};
use crate::{
    build::{self, Built, Context},
    output,
};

/// Lines of a run that can say why it ended.
const WORTH_KEEPING: usize = 1000;

/// Builds a system and runs it.
pub(super) fn run(context: &Context, args: &RunArgs) -> Result<(), Failure> {
    let Some(scene) = args.scene else { return start(context, args) };
    // Each scene has a machine with a TPM 2.0.
    let firmware = if scene == Scene::Unmeasured { FirmwareChoice::Bios } else { FirmwareChoice::Efi };
    start(context, &RunArgs { attest: true, firmware, tpm: Some(TpmChoice::V20), ..args.clone() })
}

/// Builds a system and runs it as the arguments say.
fn start(context: &Context, args: &RunArgs) -> Result<(), Failure> {
    // What can be told before the build is told before the build.
    if args.mode == Mode::Normal && !args.attest {
        let why =
            "--mode normal shows a bank's verdict alone, and no bank asks: add --attest or --scene SCENE";
        return Err(Failure::Usage(why.into()));
    }
    let inputs = Inputs::read(&context.workspace, &args.manifest.manifest);
    let menu = build::menu(&inputs)?;
    let chosen = menu.as_ref().map(|entries| chosen(entries, args)).transpose()?;
    if let (None, Some(name)) = (&menu, &args.entry) {
        let manifest = args.manifest.manifest.display();
        return Err(Failure::Usage(format!("--entry {name} is for nothing: {manifest} is no menu")));
    }
    let inputs = match chosen {
        Some(entry) => Inputs::read(&context.workspace, &entry.manifest),
        None => inputs,
    };
    let inputs = build::fetch(context, inputs.with_memory(args.memory))?;
    let system = build::check(&inputs)?;
    let forwards = forwards(&inputs, &system, args)?;
    let bank_port = args.attest.then(|| Bank::port(&system, &forwards)).transpose()?;
    let tpm = tpm_version(&system, args)?;
    let capture = capture(context, &system, args)?;
    let recording = args.capture.as_ref().map(|capture| Recording::create(&capture.file)).transpose()?;
    tools::require(tools::to_run(tpm.is_some()), &context.progress, &context.interrupts)?;
    let mut screen = Screen::new(args)?;
    let debugger = args.gdb.map(|port| debugger_port(port, &forwards)).transpose()?;
    let system = capture.map_or(Ok(system), |capture| build::check(&inputs.with(&capture)))?;
    let built = build::build(context, system)?;
    let bank = bank_port.map(|port| Bank::new(context, &built, port, args.scene)).transpose()?;
    let built = match args.scene.filter(|scene| scene.is_changed()) {
        Some(scene) => changed(context, &inputs, scene, &built)?,
        None => built,
    };
    let scratch = context.target.join("tpm");
    let state = if args.keep { TpmState::Kept } else { TpmState::Fresh };
    let tpm = tpm.map(|version| Tpm::start(version, state, &scratch, &context.interrupts)).transpose()?;
    let disks = OpenDisk::open_all(&built.system, &built.folder, &context.payloads(), args.keep)?;
    let mut machine = machine(&built, args, &forwards, &disks);
    machine.disc = match &menu {
        Some(entries) => build::build_menu(context, &args.manifest.manifest, entries)?.disc,
        None => built.disc_for(machine.firmware, context)?,
    };
    machine.entry = chosen.map(|entry| entry.name.clone());
    machine.debugger_port = debugger.as_ref().map(|port| port.number);
    let mut watch =
        Watch::new(args.timeout.map(|limit| Duration::from_secs(limit.into())), &context.interrupts);
    watch.recording = recording;
    // With a debugger, a machine may stand still for as long as it likes; without a serial port, it says nothing.
    if debugger.is_none() && built.system.platform().serial_port != 0 {
        let monitor = Monitor::new(&scratch)?;
        machine.monitor = Some(monitor.socket());
        watch.startup = Some(Startup::new(monitor, machine.firmware, &args.qemu));
    }
    let mut session = Session::start(&machine, tpm)?;
    greet(&built, &forwards, &disks, machine.debugger_port);
    watch.typed = typed(&args.typed);
    watch.keyboard = Some(Keyboard::take());
    let output = stdout();
    watch.reader = is_pipe().then(|| output.as_fd());
    bank.as_ref().map_or(Ok(()), Bank::ask)?;
    let is_done = || bank.as_ref().is_some_and(Bank::is_done);
    watch.is_done = Some(&is_done);
    let conclusion = watch.until_end(&mut session, &mut |bytes| screen.show(bytes));
    // Whatever comes next begins a line of its own.
    screen.finish();
    show_crashes(context, &built, screen.transcript.lines());
    if !bank.as_ref().is_some_and(Bank::is_done) {
        explain(&built, args, &session, &screen.transcript, conclusion?)?;
    }
    // Without a verdict a run that asked for one has failed, however the machine ended.
    bank.map_or(Ok(()), |bank| bank.conclude(args.mode))
}

/// Names functions, files and lines of what has faulted or panicked.
fn show_crashes(context: &Context, built: &Built, lines: &[Line]) {
    let told = symbols::explain(lines, |name| {
        let file = match name {
            "kernel" => built.symbols.clone(),
            _ => context.program(program_of(&built.system, name)?),
        };
        Symbols::read(&file).ok()
    });
    told.iter().for_each(|line| output::note(line));
}

/// The package whose program a domain runs; `None` of one that can be started with several: no line says with which it was.
fn program_of<'a>(system: &'a System, domain: &str) -> Option<&'a str> {
    if domain == BUILDER {
        return Some(&system.builder().name);
    }
    let (_, domain) = system.domains().find(|(_, known)| known.name == domain)?;
    domain.images.is_empty().then(|| system.component(domain.component).name.as_str())
}

/// The system of a menu that is to be started. What is around it, such as its network and its disks, is the machine's.
fn chosen<'a>(entries: &'a [MenuEntry], args: &RunArgs) -> Result<&'a MenuEntry, Failure> {
    let names = || entries.iter().map(|entry| entry.name.as_str());
    let Some(name) = &args.entry else {
        let lines = entries.iter().map(|entry| format!("\n  --entry {:<16} {}", entry.name, entry.title));
        return Err(Failure::Usage(format!("this is a menu; which one?{}", lines.collect::<String>())));
    };
    let other = "the disc with the menu is for a BIOS, and its systems are as their manifests say";
    if args.firmware != FirmwareChoice::Bios || args.capture.is_some() {
        return Err(Failure::Usage(format!("--firmware and --capture do not go with --entry: {other}")));
    }
    let unknown = || {
        let proposal = propose(name, "entry", names());
        Failure::Usage(format!("there is no entry `{name}` in this menu\n{proposal}"))
    };
    entries.iter().find(|entry| entry.name == *name).ok_or_else(unknown)
}

/// Lines as they are typed; `None` if there are none.
fn typed(lines: &[String]) -> Option<Vec<u8>> {
    let typed: String = lines.iter().map(|line| format!("{line}\r")).collect();
    (!typed.is_empty()).then(|| typed.into_bytes())
}

/// The system as a scene has it, in a folder of its own.
fn changed(context: &Context, inputs: &Inputs, scene: Scene, built: &Built) -> Result<Built, Failure> {
    let mut inputs = scene.addition().map_or_else(|| inputs.clone(), |more| inputs.with(&more));
    // Who widens a policy leaves no assertion that says so.
    inputs.manifest.asserts.clear();
    let system = build::check(&inputs)?;
    let folder = built.folder.join(scene.folder());
    build::build_changed(context, system, BUILDER, &folder, |binaries| scene.change(binaries))
}

/// Says how it went.
fn explain(
    built: &Built,
    args: &RunArgs,
    session: &Session,
    transcript: &Transcript,
    conclusion: Conclusion,
) -> Result<(), Failure> {
    let run = Run {
        system: built.system.name(),
        ends_with: built.system.ends_with(),
        transcript,
        complaints: &session.complaints(),
        cpus: cpus(&built.system, args),
        elapsed: session.elapsed(),
    };
    match run.explain(conclusion)? {
        text if text.is_empty() => {}
        text => output::note(&text),
    }
    Ok(())
}

/// Which TPM the machine has, if it has one.
fn tpm_version(system: &System, args: &RunArgs) -> Result<Option<TpmVersion>, Failure> {
    // Firmware's protocol for measuring is one for TPM 2.0.
    let usual = if args.firmware == FirmwareChoice::Efi { TpmChoice::V20 } else { TpmChoice::V12 };
    let version = args.tpm.unwrap_or(usual).version();
    let name = system.name();
    if !system.uses_device_class(Tpm::DEVICE_CLASS) {
        let asked = version.filter(|_| args.tpm.is_some());
        return match (asked, args.keep) {
            (Some(version), _) => Err(Failure::Usage(format!(
                "--tpm {version} is for nothing: no domain of {name} owns a device of the class `{}`",
                Tpm::DEVICE_CLASS
            ))),
            (None, true) if !has_made_disk(system) => Err(Failure::Usage(format!(
                "--keep keeps nothing: {name} uses no TPM, and no disk that is made for a run"
            ))),
            (None, _) => Ok(None),
        };
    }
    match version {
        None if args.keep && !has_made_disk(system) => {
            Err(Failure::Usage("--keep keeps nothing of a machine with --tpm none".into()))
        }
        version => Ok(version),
    }
}

/// Whether a run begins with a copy of a disk.
fn has_made_disk(system: &System) -> bool {
    system.disks().iter().any(|disk| matches!(disk.content, DiskContent::Made(_)))
}

/// The domain that records frames, if there has to be one more.
fn capture(context: &Context, system: &System, args: &RunArgs) -> Result<Option<Addition>, Failure> {
    let Some(capture) = &args.capture else { return Ok(None) };
    let addition = capture.addition(&context.workspace, system)?;
    if addition.is_some() {
        output::note("a domain `capture` is added: the image and its digests differ from those without it");
    }
    Ok(addition)
}

/// Sets ports aside for the forwards of the manifest and for those that the user asks for, which are in no image.
fn forwards(inputs: &Inputs, system: &System, args: &RunArgs) -> Result<Vec<OpenForward>, Failure> {
    match ForwardRequest::addition(&args.forward, system) {
        None => OpenForward::open_all(system, HostPorts::AsStated),
        Some(addition) => OpenForward::open_all(&build::check(&inputs.with(&addition))?, HostPorts::AsStated),
    }
}

/// Sets a port aside for a debugger, 0: one that is free.
fn debugger_port(port: u16, forwards: &[OpenForward]) -> Result<HostPort, Failure> {
    if let Some(forward) = forwards.iter().find(|forward| forward.host_port == port) {
        return Err(Failure::Usage(format!(
            "port {port} cannot wait for a debugger: it leads to `{}` (--gdb=0 chooses one that is free)",
            forward.domain
        )));
    }
    HostPort::reserve(port).map_err(|error| {
        let remedy = "--gdb=0 chooses one that is free";
        Failure::machine(&format!("port {port} cannot wait for a debugger ({remedy})"), &error)
    })
}

fn machine(built: &Built, args: &RunArgs, forwards: &[OpenForward], disks: &[OpenDisk]) -> Machine {
    let mut machine = built.machine();
    let capture = args.capture.as_ref().map(|capture| capture.file.as_path());
    machine.devices = Devices { system: &built.system, forwards, disks, capture }.arguments();
    machine.firmware = args.firmware.into();
    machine.processors = args.smp;
    machine.cpu.clone_from(&args.cpu);
    machine.extra.clone_from(&args.qemu);
    machine
}

/// The CPU that the user asks for and the platform's.
fn cpus<'a>(system: &'a System, args: &'a RunArgs) -> Option<(&'a str, &'a str)> {
    let behind = |arguments: &'a [String]| {
        let place = arguments.iter().rposition(|argument| argument == "-cpu")?;
        arguments.get(place + 1).map(String::as_str)
    };
    let own = behind(&args.qemu).or(args.cpu.as_deref())?;
    Some((own, behind(&system.platform().qemu).unwrap_or("QEMU's own")))
}

/// Says what a user needs to know to reach the machine.
fn greet(built: &Built, forwards: &[OpenForward], disks: &[OpenDisk], debugger_port: Option<u16>) {
    forwards.iter().for_each(|forward| output::note(&forward.to_string()));
    disks.iter().for_each(|disk| output::note(&disk.to_string()));
    if let Some(port) = debugger_port {
        let symbols = built.symbols.display();
        output::note(&format!("waiting for: gdb {symbols} -ex 'target remote :{port}'"));
    }
}

/// Where the machine's words go: to standard output, to the log, and into memory.
struct Screen<'a> {
    log: Option<(File, &'a Path)>,
    is_raw: bool,
    /// Whether nothing is shown, but in the log.
    is_quiet: bool,
    filter: Visible,
    transcript: Transcript,
}

impl<'a> Screen<'a> {
    fn new(args: &'a RunArgs) -> Result<Self, Failure> {
        let create = |path: &'a Path| match File::create(path) {
            Ok(file) => Ok((file, path)),
            Err(error) => Err(Failure::file("cannot write", path, &error)),
        };
        let log = args.log.as_deref().map(create).transpose()?;
        let transcript = Transcript::of_last(WORTH_KEEPING);
        let (is_raw, is_quiet, filter) = (args.raw, args.mode == Mode::Normal, Visible::default());
        Ok(Self { log, is_raw, is_quiet, filter, transcript })
    }

    /// Shows what the machine wrote.
    fn show(&mut self, bytes: &[u8]) -> Result<Heard, Failure> {
        let text = self.filter.take(bytes);
        let lines = self.transcript.add(text.as_bytes());
        let (is_up, is_spoken) = (Startup::is_over(lines), lines.iter().any(Line::is_of_domain));
        let is_unread = self.put(if self.is_raw { bytes } else { text.as_bytes() })?;
        Ok(Heard { is_unread, is_up, is_spoken })
    }

    /// Writes it where it belongs. Returns whether nobody reads it any more.
    fn put(&mut self, shown: &[u8]) -> Result<bool, Failure> {
        if let Some((log, path)) = &mut self.log {
            log.write_all(shown).map_err(|error| Failure::file("cannot write", path, &error))?;
        }
        if self.is_quiet {
            return Ok(false);
        }
        let mut out = stdout().lock();
        match out.write_all(shown).and_then(|()| out.flush()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(true),
            Err(error) => Err(Failure::file("cannot write", Path::new("standard output"), &error)),
            Ok(()) => Ok(false),
        }
    }

    /// Shows what has been held back, and ends a line that has no end.
    fn finish(&mut self) {
        let rest = self.filter.finish();
        self.transcript.add(rest.as_bytes());
        // If this fails, the same has been said of more important things.
        let _ = if self.is_raw { Ok(false) } else { self.put(rest.as_bytes()) };
        if self.transcript.finish() && !self.is_quiet {
            output::note("");
        }
    }
}

/// Whether standard output is a pipe, which can lose its reader.
fn is_pipe() -> bool {
    let about = fs::metadata("/proc/self/fd/1");
    about.is_ok_and(|about| about.file_type().is_fifo())
}

#[cfg(test)]
mod tests {
    use image_compiler::Workspace;

    use super::*;

    /// No line of a console says with which of its programs a domain has begun.
    #[test]
    fn the_program_of_one_that_has_several_is_not_known() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let manifest = root.join("manifests/bmi-demo.toml");
        let system = image_compiler::load(&Workspace { root }, &manifest).unwrap();
        let programs = ["console", "ticker", "nobody", BUILDER].map(|domain| program_of(&system, domain));
        assert_eq!(programs, [Some("console"), None, None, Some("builder")]);
    }
}
