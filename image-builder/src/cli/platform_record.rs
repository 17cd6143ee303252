//! `cargo image platform-record`: reads what firmware of a machine leaves in registers that only the machine determines,
//! and keeps it.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use image_compiler::{
    System,
    digest::{digest, hex},
    pcrs::{OF_BIOS, OF_UEFI, Record},
};
use image_machine::{
    Failure,
    disc::{self, Firmware},
    run::{Heard, Machine, Relay, Session, Startup, Tpm, TpmState, TpmVersion, Transcript, Watch},
    scratch::Scratch,
    tools,
};

use super::{BootChoice, PlatformRecordArgs};
use crate::{
    build::{self, Context},
    output,
};

/// How long a machine has to start.
const PATIENCE: Duration = Duration::from_secs(120);

/// Starts a machine with a system, and keeps what its firmware has left in a TPM.
pub(super) fn platform_record(context: &Context, args: &PlatformRecordArgs) -> Result<(), Failure> {
    let built = build::build(context, build::load(context, &args.manifest.manifest)?)?;
    tools::require(tools::to_run(true), &context.progress, &context.interrupts)?;
    let mut machine = built.machine();
    machine.firmware = args.boot.firmware();
    machine.disc = built.disc_for(machine.firmware, context)?;
    let name = name_of(&built.system, args.boot)?;
    let record = read(context, &machine, args.boot)?;
    let file = file(context, &built.system, args.file.as_deref());
    let folder = file.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(|error| Failure::file("cannot make", folder, &error))?;
    let old = fs::read_to_string(&file).unwrap_or_default();
    disc::write_file(&file, record.added(&old, &name).as_bytes())?;
    output::note(&format!("recorded of {name}"));
    output::print(&file.display().to_string())
}

/// What is kept of a system's machine, if anything is.
pub(super) fn recorded(
    context: &Context,
    system: &System,
    boot: BootChoice,
    stated: Option<&Path>,
) -> Result<Option<Record>, Failure> {
    let Ok(text) = fs::read_to_string(file(context, system, stated)) else { return Ok(None) };
    // Without the firmware there is no such machine here.
    Ok(name_of(system, boot).ok().and_then(|name| Record::find(&text, &name)))
}

/// Where the records of a system's platform are, unless the user says so.
fn file(context: &Context, system: &System, stated: Option<&Path>) -> PathBuf {
    let folder = context.workspace.root.join("manifests/platforms/registers");
    stated.map_or_else(|| folder.join(format!("{}.txt", system.platform().name)), Path::to_owned)
}

/// The machine that a record is of: what firmware measures of a machine follows from this.
fn name_of(system: &System, boot: BootChoice) -> Result<String, Failure> {
    let (word, firmware) = match boot {
        BootChoice::Efi => ("efi", tools::UEFI_FIRMWARE),
        BootChoice::Bios => ("bios", tools::BIOS_FIRMWARE),
    };
    let firmware = Path::new(firmware);
    let bytes = fs::read(firmware).map_err(|error| Failure::file("cannot read", firmware, &error))?;
    let devices: Vec<&str> = system.devices_in_use().map(|device| device.name.value.as_str()).collect();
    let platform = system.platform();
    let parts = [
        word.to_owned(),
        format!("firmware sha256:{}", hex(&digest(&bytes))),
        format!("{} MiB", platform.memory_mib()),
        platform.qemu.join(" "),
        devices.join(" "),
    ];
    Ok(parts.join(", "))
}

/// Reads what firmware has left when the first domain runs.
fn read(context: &Context, machine: &Machine, boot: BootChoice) -> Result<Record, Failure> {
    let cache = context.target.join("tpm");
    let scratch = Scratch::new(&cache)?;
    let mut tpm = Tpm::start(TpmVersion::V20, TpmState::Fresh, &cache, &context.interrupts)?;
    let relay = Relay::start(scratch.path(), &tpm.socket(), Box::new(|_, response| response))?;
    tpm.relay_by(relay.control.clone());
    let step = context.progress.step("starting the machine");
    let mut session = Session::start(machine, Some(tpm))?;
    let (mut transcript, mut is_up) = (Transcript::default(), false);
    Watch::patient(PATIENCE, &context.interrupts).until_end(&mut session, &mut |bytes| {
        is_up |= Startup::is_over(transcript.add(bytes));
        Ok(Heard { is_unread: is_up, is_up, ..Heard::default() })
    })?;
    if !is_up {
        return Err(Failure::Failed("the system does not start, so nothing is known of its machine".into()));
    }
    let registers = match boot {
        BootChoice::Efi => OF_UEFI,
        BootChoice::Bios => OF_BIOS,
    };
    let values = relay.registers(registers.iter().map(|(pcr, _)| *pcr))?;
    step.done("");
    Ok(Record::new(values.into_iter().map(|(pcr, bank, value)| (pcr, bank, hex(&value)))))
}

impl BootChoice {
    /// The firmware of a machine that is started so.
    const fn firmware(self) -> Firmware {
        match self {
            Self::Efi => Firmware::Efi,
            Self::Bios => Firmware::Bios,
        }
    }
}
