//! The machine to start, and QEMU's command line for it.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use image_compiler::system::System;

use super::{Accelerator, Devices, option::option};
use crate::{
    disc::{ENTRY_PREFIX, Firmware},
    medium::Form,
    tools,
};

/// A machine that can be started.
#[derive(Debug, Clone)]
pub struct Machine {
    /// The disc it boots from.
    pub disc: PathBuf,
    /// The system of a disc with several that it is to start, by its name. Without it a menu is shown.
    pub entry: Option<String>,
    /// Its form, if it is one for both kinds of firmware.
    pub form: Option<Form>,
    /// The firmware that starts it.
    pub firmware: Firmware,
    /// QEMU's arguments for the platform.
    pub platform: Vec<String>,
    /// QEMU's arguments for the devices that domains own: those of [`Devices`](super::Devices).
    pub devices: Vec<OsString>,
    /// Memory, in MiB.
    pub memory_mib: u32,
    /// Number of processors.
    pub processors: u32,
    /// QEMU's name of a CPU, if not the platform's.
    pub cpu: Option<String>,
    /// Port to which the kernel writes how the system ended.
    pub exit_port: u16,
    /// How instructions are carried out.
    pub accelerator: Accelerator,
    /// Port on which a debugger can attach. The machine then waits for it.
    pub debugger_port: Option<u16>,
    /// The socket at which QEMU answers questions about the machine, if somebody is to ask.
    pub monitor: Option<PathBuf>,
    /// More arguments for QEMU, put last so that they win.
    pub extra: Vec<String>,
}

impl Machine {
    /// The machine that a system was built for, with the system's disc.
    #[must_use]
    pub fn new(system: &System, disc: &Path) -> Self {
        let platform = system.platform();
        Self {
            disc: disc.to_owned(),
            entry: None,
            form: None,
            firmware: Firmware::Bios,
            platform: platform.qemu.clone(),
            devices: Devices { system, forwards: &[], disks: &[], capture: None }.arguments(),
            memory_mib: u32::try_from(platform.memory_mib).unwrap_or(u32::MAX),
            processors: 1,
            cpu: None,
            exit_port: platform.exit_port,
            accelerator: Accelerator::Best,
            debugger_port: None,
            monitor: None,
            extra: Vec::new(),
        }
    }

    /// QEMU's arguments. The TPM is behind the socket `tpm`, if there is one.
    ///
    /// The console is on QEMU's own standard input and output, which are pipes: QEMU never touches the
    /// terminal.
    #[must_use]
    pub fn arguments(&self, tpm: Option<&Path>) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = vec!["-nodefaults".into(), "-no-user-config".into()];
        let mut add = |option: &str, value: OsString| arguments.extend([option.into(), value]);
        add("-display", "none".into());
        add("-m", self.memory_mib.to_string().into());
        add("-smp", self.processors.to_string().into());
        add("-chardev", "stdio,id=console,signal=off".into());
        add("-serial", "chardev:console".into());
        add("-device", format!("isa-debug-exit,iobase={:#x},iosize=4", self.exit_port).into());
        // Firmware writes settings of its own to a disc that it can write to; they go with the run.
        let (kind, drive) = match (self.form, self.firmware) {
            (Some(Form::Qcow2), _) => ("format=qcow2,snapshot=on", "ide-hd"),
            (Some(Form::Raw), _) | (None, Firmware::Efi) => ("format=raw,snapshot=on", "ide-hd"),
            (Some(Form::Iso), _) | (None, _) => ("format=raw,readonly=on", "ide-cd"),
        };
        add("-drive", option(&format!("if=none,id=boot,{kind},file="), &self.disc));
        // The first to start from: a disk that the system drives can have something in its first sector, too. Number 0 is
        // that of a kernel which QEMU loads by itself (`-kernel`).
        add("-device", format!("{drive},drive=boot,bootindex=1").into());
        if let Some(entry) = &self.entry {
            add("-smbios", format!("type=11,value={ENTRY_PREFIX}{entry}").into());
        }
        if self.firmware.is_uefi() {
            add("-bios", tools::UEFI_FIRMWARE.into());
        }
        if let Some(socket) = tpm {
            add("-chardev", option("socket,id=tpm,path=", socket));
            add("-tpmdev", "emulator,id=tpm0,chardev=tpm".into());
            add("-device", "tpm-tis,tpmdev=tpm0".into());
        }
        if let Some(socket) = &self.monitor {
            add("-chardev", option("socket,server=on,wait=off,id=monitor,path=", socket));
            add("-mon", "chardev=monitor,mode=control".into());
        }
        if let Some(port) = self.debugger_port {
            add("-gdb", format!("tcp:127.0.0.1:{port}").into());
            arguments.push("-S".into());
        }
        // A triple fault or a reset ends the run instead of starting it over.
        arguments.push("-no-reboot".into());
        arguments.extend(self.accelerator.arguments().iter().map(OsString::from));
        arguments.extend(self.platform.iter().map(OsString::from));
        arguments.extend(self.devices.iter().cloned());
        arguments.extend(self.cpu.iter().flat_map(|cpu| ["-cpu".into(), cpu.into()]));
        arguments.extend(self.extra.iter().map(OsString::from));
        arguments
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine() -> Machine {
        Machine {
            disc: "/a,b/boot.iso".into(),
            entry: None,
            form: None,
            firmware: Firmware::Bios,
            platform: vec!["-machine".into(), "q35".into()],
            devices: Vec::new(),
            memory_mib: 128,
            processors: 1,
            cpu: Some("qemu64".into()),
            exit_port: 0xf4,
            accelerator: Accelerator::Counted,
            debugger_port: None,
            monitor: None,
            extra: vec!["-d".into(), "int".into()],
        }
    }

    fn line(tpm: Option<&Path>) -> String {
        machine().arguments(tpm).join(&OsString::from(" ")).into_string().unwrap()
    }

    #[test]
    fn the_users_arguments_come_last() {
        assert!(line(None).ends_with("-machine q35 -cpu qemu64 -d int"), "{}", line(None));
    }

    #[test]
    fn has_a_tpm_only_if_there_is_one() {
        assert!(!line(None).contains("tpm"));
        assert!(line(Some(Path::new("/t/ctrl"))).contains("socket,id=tpm,path=/t/ctrl"));
    }
}
