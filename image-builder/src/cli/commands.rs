//! The commands, each a few lines over the library.

use std::{
    fs::{self, File},
    io::{Write, stdout},
    net::TcpListener,
    path::Path,
    time::Duration,
};

use super::{BenchArgs, GraphArgs, GraphForm, ReportArgs, RunArgs, output};
use crate::{
    Addition, Failure, System,
    bench::Bench,
    build::{self, Built, Context, Request},
    cargo_build::{KERNEL, Part},
    disc::{self, Firmware},
    run::{
        CaptureRequest, Devices, HostPorts, Keyboard, Machine, OpenForward, Run, Session, Tpm, TpmState,
        Transcript, watch,
    },
    tools,
};

/// Says what is missing, and gets it if it can.
pub(super) fn doctor(context: &Context) -> Result<(), Failure> {
    let all = [tools::BUILD, tools::RUN].concat();
    tools::require(&all, &context.progress, &context.interrupts)?;
    let place = |tool: &tools::Tool| tools::find(tool.name).unwrap_or_else(|| tool.name.into());
    let lines = all.iter().map(|tool| format!("  {:<40} {}\n", tool.purpose, place(tool).display()));
    output::print(&format!("{}nothing is missing", lines.collect::<String>()))
}

/// Checks a manifest.
pub(super) fn check(context: &Context, manifest: &Path) -> Result<(), Failure> {
    let system = build::check(context, manifest)?;
    output::print(&format!("{}: no faults", system.name()))
}

/// Builds a system.
pub(super) fn build(context: &Context, manifest: &Path) -> Result<(), Failure> {
    let built = build::build(context, manifest)?;
    output::print(&built.disc.display().to_string())
}

/// Shows what a system consists of.
pub(super) fn report(context: &Context, args: &ReportArgs) -> Result<(), Failure> {
    let manifest = &args.manifest.manifest;
    if args.manifest_only {
        return output::print(&crate::report(&build::check(context, manifest)?, None));
    }
    let built = build::build(context, manifest)?;
    output::print(&crate::report(&built.system, Some((&built.plan, &built.image))))
}

/// Draws a system.
pub(super) fn graph(context: &Context, args: &GraphArgs) -> Result<(), Failure> {
    let system = build::check(context, &args.manifest.manifest)?;
    match args.print {
        Some(GraphForm::Svg) => output::print(&crate::graph_svg(&system)),
        Some(GraphForm::Dot) => output::print(&crate::graph_dot(&system)),
        None => write_graphs(context, &system),
    }
}

fn write_graphs(context: &Context, system: &System) -> Result<(), Failure> {
    let folder = context.folder(system);
    fs::create_dir_all(&folder).map_err(|error| Failure::file("cannot make", &folder, &error))?;
    for (name, text) in [("graph.svg", crate::graph_svg(system)), ("graph.dot", crate::graph_dot(system))] {
        let file = folder.join(name);
        disc::write_file(&file, text.as_bytes())?;
        output::print(&file.display().to_string())?;
    }
    Ok(())
}

/// Lines of a run that can say why it ended.
const WORTH_KEEPING: usize = 1000;

/// Builds a system and runs it.
pub(super) fn run(context: &Context, args: RunArgs) -> Result<(), Failure> {
    // What can be told before the build is told before the build.
    let system = build::check(context, &args.manifest.manifest)?;
    let addition = addition(context, &system, args.capture.as_ref())?;
    let forwards = OpenForward::open_all(&system, &args.forward, HostPorts::AsStated)?;
    tools::require(tools::RUN, &context.progress, &context.interrupts)?;
    let mut log = args.log.as_deref().map(create).transpose()?;
    args.gdb.map_or(Ok(()), port_is_free)?;
    let request = Request { manifest: &args.manifest.manifest, addition: addition.as_ref(), builder: None };
    let built = build::build(context, request)?;
    let tpm = start_tpm(context, &built.system, &args)?;
    let mut machine = machine(&built, &args, &forwards);
    machine.disc = built.disc_for(machine.firmware, context)?;
    let mut session = Session::start(&machine, tpm)?;
    forwards.iter().for_each(|forward| output::note(&forward.to_string()));
    if let Some(port) = args.gdb {
        let symbols = built.symbols.display();
        output::note(&format!("waiting for: gdb {symbols} -ex 'target remote :{port}'"));
    }
    let mut transcript = Transcript::of_last(WORTH_KEEPING);
    let keyboard = Keyboard::take();
    let limit = args.timeout.map(|seconds| Duration::from_secs(seconds.into()));
    let conclusion = watch(&mut session, limit, keyboard, &context.interrupts, &mut |bytes| {
        transcript.add(bytes);
        show(bytes, log.as_mut())
    })?;
    if transcript.finish() {
        output::note("");
    }
    let complaint = session.complaint();
    let run = Run {
        system: built.system.name(),
        ends_with: built.system.ends_with(),
        transcript: &transcript,
        complaint: complaint.as_deref(),
        elapsed: session.elapsed(),
    };
    output::note(&run.explain(conclusion)?);
    Ok(())
}

/// What the user wants beside what the manifest says.
fn addition(
    context: &Context,
    system: &System,
    capture: Option<&CaptureRequest>,
) -> Result<Option<Addition>, Failure> {
    let Some(capture) = capture else { return Ok(None) };
    let addition = capture.addition(&context.workspace, system)?;
    // That the file cannot be written is told before the build.
    create(&capture.file)?;
    if addition.is_some() {
        output::note("a domain `capture` is added: the image and its digests differ from those without it");
    }
    Ok(addition)
}

fn machine(built: &Built, args: &RunArgs, forwards: &[OpenForward]) -> Machine {
    let mut machine = Machine::new(built);
    let capture = args.capture.as_ref().map(|capture| capture.file.as_path());
    machine.devices = Devices { system: &built.system, forwards, capture }.arguments();
    machine.memory_mib = args.memory.unwrap_or(machine.memory_mib);
    machine.firmware = if args.uefi { Firmware::Uefi } else { Firmware::Bios };
    machine.processors = args.smp;
    machine.cpu.clone_from(&args.cpu);
    machine.debugger_port = args.gdb;
    machine.extra.clone_from(&args.qemu);
    machine
}

/// Starts the TPM, if the system uses one and the machine is to have one.
fn start_tpm(context: &Context, system: &System, args: &RunArgs) -> Result<Option<Tpm>, Failure> {
    let Some(version) = args.tpm.version().filter(|_| system.uses_device_class(Tpm::DEVICE_CLASS)) else {
        return Ok(None);
    };
    let cache = context.target.join("tpm");
    let state = if args.keep { TpmState::Kept(cache.join(version.folder())) } else { TpmState::Fresh };
    Tpm::start(version, &state, &cache, &context.interrupts).map(Some)
}

/// Shows what the machine wrote, and keeps it in the log.
fn show(bytes: &[u8], log: Option<&mut (File, &Path)>) -> Result<(), Failure> {
    let mut out = stdout().lock();
    out.write_all(bytes)
        .and_then(|()| out.flush())
        .map_err(|error| Failure::file("cannot write", Path::new("standard output"), &error))?;
    match log {
        Some((file, path)) => {
            file.write_all(bytes).map_err(|error| Failure::file("cannot write", path, &error))
        }
        None => Ok(()),
    }
}

fn create(path: &Path) -> Result<(File, &Path), Failure> {
    let file = File::create(path).map_err(|error| Failure::file("cannot write", path, &error))?;
    Ok((file, path))
}

fn port_is_free(port: u16) -> Result<(), Failure> {
    match TcpListener::bind(("127.0.0.1", port)) {
        Ok(_) => Ok(()),
        Err(error) => Err(Failure::machine(
            &format!("port {port} cannot wait for a debugger (choose another with --gdb=PORT)"),
            &error,
        )),
    }
}

/// Measures and compares.
pub(super) fn bench(context: &Context, args: &BenchArgs) -> Result<(), Failure> {
    tools::require(tools::RUN, &context.progress, &context.interrupts)?;
    let bench = Bench { context, peers: args.peers };
    output::print(&match args.profile {
        Some(load) => bench.profile(load),
        None => bench.run(&args.manifest),
    }?)
}

/// Runs Clippy over all that runs on the target.
pub(super) fn lint(context: &Context) -> Result<(), Failure> {
    let root = &context.workspace.root;
    let mut domains = Vec::new();
    for folder in ["domains", "tests/domains"] {
        domains.extend(packages_in(&root.join(folder))?);
    }
    let domains: Vec<&str> = domains.iter().map(String::as_str).collect();
    let kernel = context.compiler().lint(Part::Kernel, &[KERNEL]);
    context.compiler().lint(Part::Domains, &domains).and(kernel)
}

/// The packages in a folder, each named like its own folder.
fn packages_in(folder: &Path) -> Result<Vec<String>, Failure> {
    let entries = fs::read_dir(folder).map_err(|error| Failure::file("cannot read", folder, &error))?;
    let mut names: Vec<String> = entries
        .flatten()
        .filter(|entry| entry.path().join("Cargo.toml").is_file())
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort();
    Ok(names)
}
