//! The commands, each a few lines over the library.

use std::{fs, os::unix::process::CommandExt, path::Path, process::Command};

use image_compiler::{
    Boot, Debian, Inputs, Payload, Prediction, System, Workspace,
    digest::hex,
    graph_dot, graph_svg, policy,
    query::{self, Assume},
};
use image_machine::{
    Failure,
    cargo_build::{KERNEL, LOADER, Part, cargo},
    disc,
    medium::Form,
    tools,
};

use super::{
    Assumption, BenchArgs, BootChoice, BuildArgs, Expected, FormChoice, GraphArgs, GraphForm, PcrsArgs,
    PcrsFormat, QueryArgs, ReportArgs, TpmChoice, platform_record,
};
use crate::{
    build::{self, Context},
    output,
};

/// Says what is missing, and gets it if it can.
pub(super) fn doctor(context: &Context) -> Result<(), Failure> {
    let all = [tools::BUILD, tools::RUN, tools::EFI, tools::PAYLOAD].concat();
    tools::require(&all, &context.progress, &context.interrupts)?;
    context.compiler().require_library(Part::Loader)?;
    let place = |tool: &tools::Tool| tools::find(tool.name).unwrap_or_else(|| tool.name.into());
    let lines = all.iter().map(|tool| format!("  {:<40} {}\n", tool.purpose, place(tool).display()));
    output::print(&format!("{}{}nothing is missing", lines.collect::<String>(), payloads(context)))
}

/// What guests can begin with by a name, and whether it is here.
fn payloads(context: &Context) -> String {
    let all = image_compiler::manifest::payloads(&context.workspace);
    let line = |payload: Payload| {
        let about = format!("{} {}", payload.package.name.value, payload.package.version);
        let is_here =
            if context.payloads().find(&payload).is_some() { "" } else { ", fetched when it is needed" };
        format!(
            "  {:<40} {about}{is_here}\n",
            format!("a guest's {}: {}", payload.purpose.key(), payload.name.value)
        )
    };
    let disk = |debian: Debian| {
        let is_here = if context.payloads().has_debian(&debian) { "" } else { ", made when it is needed" };
        format!("  {:<40} Debian {}{is_here}\n", format!("a disk: {}", debian.name), debian.release)
    };
    all.files.into_iter().map(line).chain(all.disks.into_iter().map(disk)).collect()
}

/// Checks a manifest.
pub(super) fn check(context: &Context, manifest: &Path) -> Result<(), Failure> {
    let inputs = context.payloads().kept(Inputs::read(&context.workspace, manifest));
    let say = |system: &System| output::print(&format!("{}: no faults", system.name()));
    match build::menu(&inputs)? {
        // No menu stands in a menu, its own manifest neither.
        Some(entries) => entries.iter().try_for_each(|entry| say(&build::look(context, &entry.manifest)?)),
        None => say(&build::check(&inputs)?),
    }
}

/// Builds a system.
pub(super) fn build(context: &Context, args: &BuildArgs) -> Result<(), Failure> {
    let manifest = &args.manifest.manifest;
    let inputs = Inputs::read(&context.workspace, manifest);
    if let Some(entries) = build::menu(&inputs)? {
        if args.format.is_some() {
            return Err(Failure::Usage(
                "--format is for the disc of one system, and this is a menu of several".into(),
            ));
        }
        let menu = build::build_menu(context, manifest, &entries)?;
        return output::print(&menu.disc.display().to_string());
    }
    let system = build::check(&build::fetch(context, inputs)?)?;
    let built = build::build(context, system)?;
    let disc = match args.format {
        Some(form) => built.disc_of(form.into(), context)?,
        None => built.disc_for(args.firmware.into(), context)?,
    };
    output::note(&format!("manifest: SHA-256 {}", hex(&built.system.manifest_digest())));
    output::print(&disc.display().to_string())
}

/// Shows what a system consists of.
pub(super) fn report(context: &Context, args: &ReportArgs) -> Result<(), Failure> {
    // Without a manifest there is no system: clap takes `--operations` alone then.
    let Some(manifest) = &args.manifest else {
        return output::print(&image_compiler::operations_table());
    };
    if let Some(domain) = &args.caps {
        let system = build::look(context, manifest)?;
        return output::print(&image_compiler::caps(&system, domain).map_err(Failure::Usage)?);
    }
    if args.manifest_only {
        return output::print(&image_compiler::report(&build::look(context, manifest)?, None));
    }
    if args.tcb {
        let system = build::load(context, manifest)?;
        let facts = build::facts(context, &system)?;
        return output::print(&image_compiler::report::trust(&system, &facts));
    }
    let built = build::build(context, build::load(context, manifest)?)?;
    output::print(&image_compiler::report(&built.system, Some((&built.plan, &built.image))))
}

/// Draws a system.
pub(super) fn graph(context: &Context, args: &GraphArgs) -> Result<(), Failure> {
    let system = build::look(context, &args.manifest.manifest)?;
    match args.print {
        Some(GraphForm::Svg) => output::print(&graph_svg(&system)),
        Some(GraphForm::Dot) => output::print(&graph_dot(&system)),
        None => write_graphs(context, &system),
    }
}

fn write_graphs(context: &Context, system: &System) -> Result<(), Failure> {
    let folder = context.folder(system);
    fs::create_dir_all(&folder).map_err(|error| Failure::file("cannot make", &folder, &error))?;
    for (name, text) in [("graph.svg", graph_svg(system)), ("graph.dot", graph_dot(system))] {
        let file = folder.join(name);
        disc::write_file(&file, text.as_bytes())?;
        output::print(&file.display().to_string())?;
    }
    Ok(())
}

/// Answers a question about what can flow in a system.
pub(super) fn query(context: &Context, args: &QueryArgs) -> Result<(), Failure> {
    let system = build::look(context, &args.manifest.manifest)?;
    let assume = match args.assume {
        Assumption::Usual => Assume::Usual,
        Assumption::Nothing => Assume::Nothing,
    };
    let answer = query::ask(&system, &args.question.join(" "), assume).map_err(|why| {
        let help = why.help.map_or(String::new(), |help| format!("\n{help}"));
        Failure::Usage(format!("{}{help}", why.message))
    })?;
    output::print(&answer.text)?;
    match args.expect {
        Some(expected) if (expected == Expected::Yes) != answer.is_yes => {
            let is_so = if answer.is_yes { "yes" } else { "no" };
            Err(Failure::Failed(format!("the answer is {is_so}, which was not expected")))
        }
        _ => Ok(()),
    }
}

/// Prints the policy of a system.
pub(super) fn policy(context: &Context, manifest: &Path) -> Result<(), Failure> {
    let system = build::look(context, manifest)?;
    output::note(&format!("policy: SHA-256 {}", hex(&policy::policy_digest(&system))));
    output::print(&policy::policy(&system))
}

/// Prints what a TPM will show of a system.
pub(super) fn pcrs(context: &Context, args: &PcrsArgs) -> Result<(), Failure> {
    if args.tpm == TpmChoice::None {
        return Err(Failure::Usage("without a TPM there are no registers: --tpm 1.2 or 2.0".into()));
    }
    if args.boot == BootChoice::Bios && !args.unmeasured {
        return Err(Failure::Failed(
            "with --boot bios, kernel and image are measured by nobody: a TPM shows the same of every system \
             (--unmeasured prints what it shows, --boot efi what it shows of a boot that is measured)"
                .into(),
        ));
    }
    let built = build::build(context, build::load(context, &args.manifest.manifest)?)?;
    let read = |path: &Path| fs::read(path).map_err(|error| Failure::file("cannot read", path, &error));
    // A cloud's disk is a stick in another form.
    let form = args.disc.map(|form| if form == FormChoice::Qcow2 { Form::Raw } else { form.into() });
    let disc = match form {
        Some(form) => read(&built.disc_of(form, context)?)?,
        None => read(&built.disc)?,
    };
    let loader = if args.boot == BootChoice::Efi { build::loader(context)? } else { Vec::new() };
    let boot = match (args.boot, form) {
        (BootChoice::Bios, _) => Boot::Bios(&disc),
        (BootChoice::Efi, Some(Form::Raw)) => Boot::EfiDisk { loader: &loader, disk: &disc },
        (BootChoice::Efi, _) => Boot::Efi(&loader),
    };
    let no_program = || Failure::Failed("what firmware would start is nothing that it starts".into());
    let prediction = Prediction::new(boot, &built.kernel, &built.image).ok_or_else(no_program)?;
    // A record is of a machine with a TPM 2.0 that starts from the disc that `run` makes.
    let record = match args.disc {
        None if args.tpm == TpmChoice::V20 => {
            platform_record::recorded(context, &built.system, args.boot, args.record.as_deref())?
        }
        _ => None,
    };
    let prediction = match args.tpm {
        TpmChoice::V12 => prediction.of_tpm_12(),
        TpmChoice::V20 | TpmChoice::None => prediction.with(record.unwrap_or_default()),
    };
    match args.format {
        PcrsFormat::Table => output::print(&prediction.table()),
        PcrsFormat::Json => output::print(&prediction.json()),
        PcrsFormat::Keylime => output::print(&prediction.keylime()),
        PcrsFormat::Eventlog => output::print_bytes(&prediction.event_log()),
    }
}

/// Measures and compares: becomes the program that does it, which Cargo compiles if it is not there. What it needs is
/// large, and nobody else needs it.
pub(super) fn bench(context: &Context, args: &BenchArgs) -> Result<(), Failure> {
    let mut command = Command::new(cargo());
    command.args(["run", "--package", "image-bench", "--manifest-path"]);
    command.arg(context.workspace.root.join("Cargo.toml")).arg("--target-dir").arg(&context.target);
    Err(Failure::program("cargo", &command.arg("--").args(&args.arguments).exec()))
}

/// Runs Clippy over all that runs on the target.
pub(super) fn lint(context: &Context) -> Result<(), Failure> {
    let root = &context.workspace.root;
    let mut domains = Vec::new();
    for folder in Workspace::COMPONENTS {
        domains.extend(packages_in(&root.join(folder))?);
    }
    let domains: Vec<&str> = domains.iter().map(String::as_str).collect();
    let kernel = context.compiler().lint(Part::Kernel, &[KERNEL]);
    let attack = context.compiler().lint(Part::SelfAttack, &[KERNEL]);
    let loader = context.compiler().lint(Part::Loader, &[LOADER]);
    context.compiler().lint(Part::Domains, &domains).and(kernel).and(attack).and(loader)
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
