//! The programs of the host that the tool needs: which they are, whether they are there, and how to get them.

use std::{
    env, fs,
    os::unix::fs::PermissionsExt,
    path::{self, Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::{
    Failure,
    interrupts::Interrupts,
    progress::{Progress, say},
};

/// How often is looked whether `apt-get` has ended.
const PERIOD: Duration = Duration::from_millis(20);
/// How long it may take to stop when it is asked to.
const PATIENCE: Duration = Duration::from_millis(300);

/// UEFI firmware for the machine.
pub const UEFI_FIRMWARE: &str = "/usr/share/ovmf/OVMF.fd";

/// The BIOS that QEMU gives a machine by itself.
pub const BIOS_FIRMWARE: &str = "/usr/share/seabios/bios-256k.bin";

/// Something that the host must have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tool {
    /// A program's name, or the path of a file.
    pub name: &'static str,
    /// Its purpose.
    pub purpose: &'static str,
    /// Debian's package that has it.
    pub package: &'static str,
}

/// Boots the image.
pub const QEMU: Tool = Tool {
    name: "qemu-system-x86_64",
    purpose: "the machine that runs the image",
    package: "qemu-system-x86",
};
/// Gives the machine a TPM.
pub const SWTPM: Tool = Tool { name: "swtpm", purpose: "the machine's TPM", package: "swtpm" };
/// Writes the bootable disc.
pub const GRUB: Tool =
    Tool { name: "grub-mkrescue", purpose: "writes the bootable disc", package: "grub-common" };
/// Puts a GRUB together that starts from a disc of another form.
pub const GRUB_IMAGE: Tool =
    Tool { name: "grub-mkimage", purpose: "puts GRUB together", package: "grub-common" };
/// Writes discs in the form of QEMU's own.
pub const QEMU_IMG: Tool =
    Tool { name: "qemu-img", purpose: "writes a disk for a cloud", package: "qemu-utils" };
const GRUB_PC: Tool = Tool {
    name: "/usr/lib/grub/i386-pc/multiboot2.mod",
    purpose: "GRUB's modules for PCs",
    package: "grub-pc-bin",
};
/// Writes the file system of a disc.
pub const XORRISO: Tool =
    Tool { name: "xorriso", purpose: "writes the disc's file system", package: "xorriso" };
const MTOOLS: Tool = Tool { name: "mformat", purpose: "writes the disc's boot sector", package: "mtools" };
const SETPRIV: Tool =
    Tool { name: "setpriv", purpose: "ends QEMU and swtpm when this tool ends", package: "util-linux" };
const OVMF: Tool = Tool { name: UEFI_FIRMWARE, purpose: "the machine's UEFI firmware", package: "ovmf" };
const GRUB_EFI: Tool = Tool {
    name: "/usr/lib/grub/x86_64-efi/multiboot2.mod",
    purpose: "GRUB's modules for UEFI",
    package: "grub-efi-amd64-bin",
};
/// Fetches Debian's packages.
pub const APT_GET: Tool = Tool { name: "apt-get", purpose: "fetches Debian's packages", package: "apt" };
/// Fetches a file for one address, by apt's own means.
pub const APT_HELPER: Tool =
    Tool { name: "/usr/lib/apt/apt-helper", purpose: "fetches what guests begin with", package: "apt" };
/// Reads Debian's packages.
pub const DPKG_DEB: Tool = Tool { name: "dpkg-deb", purpose: "reads Debian's packages", package: "dpkg" };
const MMDEBSTRAP: Tool =
    Tool { name: "mmdebstrap", purpose: "puts a Debian together for a disk", package: "mmdebstrap" };
const FAKEROOT: Tool =
    Tool { name: "fakeroot", purpose: "keeps the owners of a disk's files", package: "fakeroot" };
const MKFS: Tool =
    Tool { name: "/usr/sbin/mkfs.ext4", purpose: "makes a disk's file system", package: "e2fsprogs" };
/// Measures what a domain's TCP is worth, from the host.
pub const IPERF3: Tool = Tool { name: "iperf3", purpose: "measures the network", package: "iperf3" };
/// Talks to sockets from the host.
pub const NC: Tool = Tool { name: "nc", purpose: "talks to a domain's ports", package: "netcat-openbsd" };
const TPM2: Tool =
    Tool { name: "tpm2_pcrread", purpose: "asks a TPM 2.0 from the host", package: "tpm2-tools" };
const SWTPM_SETUP: Tool =
    Tool { name: "swtpm_setup", purpose: "gives a TPM an owner or a certificate", package: "swtpm-tools" };
const SSH: Tool = Tool { name: "ssh", purpose: "logs in to a guest", package: "openssh-client" };
const CURL: Tool = Tool { name: "curl", purpose: "fetches a domain's page", package: "curl" };
const TSHARK: Tool = Tool { name: "tshark", purpose: "reads recorded frames", package: "tshark" };

/// The programs that a test may run on the host.
pub const CLIENTS: &[Tool] = &[CURL, IPERF3, NC, SSH, SWTPM_SETUP, TPM2, TSHARK];

/// The tools that building an image needs.
pub const BUILD: &[Tool] = &[GRUB, GRUB_PC, XORRISO, MTOOLS, SETPRIV];
/// The tools that running one needs besides, if it has a TPM.
pub const RUN: &[Tool] = &[QEMU, SWTPM];

/// The tools that fetch what guests begin with.
pub const PAYLOAD: &[Tool] = &[APT_HELPER, DPKG_DEB];

/// The tools that make a disk with a Debian.
pub const DEBIAN: &[Tool] = &[MMDEBSTRAP, FAKEROOT, MKFS];

/// The tools that a machine with UEFI firmware and GRUB needs besides.
pub const UEFI: &[Tool] = &[OVMF, GRUB_EFI];
/// The tools that a machine with UEFI firmware and the loader of this project needs besides.
pub const EFI: &[Tool] = &[OVMF];

/// The tools that running a system needs.
#[must_use]
pub fn to_run(has_tpm: bool) -> &'static [Tool] {
    if has_tpm { RUN } else { &[QEMU] }
}

/// The full path of a program, as the shell would find it.
#[must_use]
pub fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    let files = env::split_paths(&path).map(|folder| folder.join(program));
    // Not every program that is started runs in the current folder.
    files.filter_map(|file| path::absolute(file).ok()).find(|file| is_program(file))
}

/// The full path of a tool that [`require`] has seen.
///
/// # Errors
///
/// When it is not there after all.
pub fn path(tool: Tool) -> Result<PathBuf, Failure> {
    find(tool.name).ok_or_else(|| Failure::Environment(explain_missing(&[tool])))
}

/// The tools among `tools` that the host lacks. Looks at files only and starts nothing, so it costs next to nothing.
#[must_use]
pub fn missing(tools: &[Tool]) -> Vec<Tool> {
    tools.iter().copied().filter(|tool| !is_there(*tool)).collect()
}

/// Makes sure that the host has `tools`: installs what is missing if that needs no password, else says how.
///
/// # Errors
///
/// When something is missing and cannot be installed, or somebody asks to stop.
pub fn require(tools: &[Tool], progress: &Progress, interrupts: &Interrupts) -> Result<(), Failure> {
    let lacking = missing(tools);
    if lacking.is_empty() {
        return Ok(());
    }
    let Some(apt) = apt_get() else {
        return Err(Failure::Environment(explain_missing(&lacking)));
    };
    install(apt, &packages(&lacking), progress, interrupts)?;
    match missing(tools) {
        still if still.is_empty() => Ok(()),
        still => Err(Failure::Environment(explain_missing(&still))),
    }
}

/// Installs packages. Whether that worked shows in what is there afterwards.
fn install(
    apt: AptGet,
    packages: &[&str],
    progress: &Progress,
    interrupts: &Interrupts,
) -> Result<(), Failure> {
    let step = progress.step("installing host tools");
    step.now(&packages.join(" "));
    // A fresh machine has no package lists, an old one has lists that name files long gone.
    if !apt.run(&["install", "--yes", "--no-install-recommends"], packages, interrupts)? {
        step.now("fetching the package lists");
        apt.run(&["update"], &[], interrupts)?;
        step.now(&packages.join(" "));
        apt.run(&["install", "--yes", "--no-install-recommends"], packages, interrupts)?;
    }
    step.done(&packages.join(" "));
    Ok(())
}

/// Fetches the lists of the packages that there are, if that needs no password. Whether it worked shows in
/// what the lists say afterwards.
///
/// # Errors
///
/// When somebody asks to stop.
pub fn update_package_lists(progress: &Progress, interrupts: &Interrupts) -> Result<(), Failure> {
    if let Some(apt) = apt_get() {
        let step = progress.step("fetching the package lists");
        apt.run(&["update"], &[], interrupts)?;
        step.done("");
    }
    interrupts.check()
}

/// A way to run `apt-get` with the rights it needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AptGet {
    Direct,
    Sudo,
}

impl AptGet {
    /// Returns whether it ended well.
    fn run(self, action: &[&str], packages: &[&str], interrupts: &Interrupts) -> Result<bool, Failure> {
        let mut command = Command::new(if self == Self::Sudo { "sudo" } else { "apt-get" });
        if self == Self::Sudo {
            command.args(["-n", "DEBIAN_FRONTEND=noninteractive", "apt-get"]);
        }
        command.env("DEBIAN_FRONTEND", "noninteractive").args(["-q", "-o", "DPkg::Lock::Timeout=300"]);
        command.args(action).args(packages);
        let Ok(mut child) = quiet(&mut command).spawn() else { return Ok(false) };
        loop {
            if let Some(status) = child.try_wait().ok().flatten() {
                interrupts.check()?;
                return Ok(status.success());
            }
            interrupts.check().inspect_err(|_| leave(&mut child))?;
            std::thread::sleep(PERIOD);
        }
    }
}

/// Asks `apt-get` to stop, as a Ctrl-C does, which reaches it, too. While it writes files it does not stop: to kill it
/// then would leave packages that are half installed.
fn leave(child: &mut Child) {
    let _ = kill_process(Pid::from_child(child), Signal::INT);
    let asked = Instant::now();
    while asked.elapsed() < PATIENCE {
        if child.try_wait().is_ok_and(|status| status.is_some()) {
            return;
        }
        std::thread::sleep(PERIOD);
    }
    say(format_args!("\napt-get goes on by itself until it has installed what it has begun to install\n"));
}

/// How to install packages without asking anybody, if there is a way.
fn apt_get() -> Option<AptGet> {
    find("apt-get")?;
    if rustix::process::geteuid().is_root() {
        return Some(AptGet::Direct);
    }
    find("sudo")?;
    succeeds(Command::new("sudo").args(["-n", "true"])).then_some(AptGet::Sudo)
}

fn succeeds(command: &mut Command) -> bool {
    quiet(command).status().is_ok_and(|status| status.success())
}

fn quiet(command: &mut Command) -> &mut Command {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null())
}

/// One sentence that names what is missing, and the line to type.
fn explain_missing(tools: &[Tool]) -> String {
    let names: Vec<String> = tools.iter().map(|tool| format!("{} ({})", tool.name, tool.purpose)).collect();
    format!("missing on this machine: {}\nto install: {}", names.join(", "), install_line(&packages(tools)))
}

fn install_line(packages: &[&str]) -> String {
    format!("sudo apt-get install --no-install-recommends {}", packages.join(" "))
}

/// The packages of some tools, each once.
fn packages(tools: &[Tool]) -> Vec<&'static str> {
    let mut packages: Vec<_> = tools.iter().map(|tool| tool.package).collect();
    packages.sort_unstable();
    packages.dedup();
    packages
}

fn is_there(tool: Tool) -> bool {
    if tool.name.starts_with('/') { Path::new(tool.name).is_file() } else { find(tool.name).is_some() }
}

fn is_program(file: &Path) -> bool {
    fs::metadata(file).is_ok_and(|about| about.is_file() && about.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_each_package_once() {
        assert_eq!(packages(&[XORRISO, GRUB, GRUB]), ["grub-common", "xorriso"]);
    }

    #[test]
    fn says_what_is_missing_what_it_is_for_and_what_to_type() {
        let text = explain_missing(&[QEMU]);
        assert!(text.contains("qemu-system-x86_64 (the machine that runs the image)"), "{text}");
        assert!(text.ends_with("sudo apt-get install --no-install-recommends qemu-system-x86"), "{text}");
    }

    #[test]
    fn finds_programs_only() {
        assert!(find("sh").is_some());
        assert!(find("no-such-program-anywhere").is_none());
    }
}
