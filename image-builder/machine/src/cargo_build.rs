//! Compiles what runs on the target: the kernel, a system's domains, and the loader for UEFI.
//!
//! Cargo decides what is out of date; this module only says with which flags. All of it but the loader is built for the
//! host's own Linux target, whose precompiled `core` links freestanding. It has an explicit `--target`, so that build
//! scripts and procedural macros, which run on the host, do not get the flags.

use std::{
    env,
    ffi::{OsStr, OsString},
    io::{IsTerminal, stderr},
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    Failure,
    interrupts::Interrupts,
    process,
    progress::{Progress, Step, say},
};

/// The target triple of all code that runs in a system.
pub const TARGET: &str = "x86_64-unknown-linux-gnu";
/// The target triple of the loader for UEFI.
pub(crate) const UEFI_TARGET: &str = "x86_64-unknown-uefi";
/// Packages of the kernel and of the loader for UEFI.
pub use image_compiler::trust::{KERNEL, LOADER};

/// A group of packages that are compiled with the same flags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The kernel: position independent code (its address does not fit into 32 bits), linked at a fixed
    /// address.
    Kernel,
    /// The kernel that attacks itself, for the tests.
    SelfAttack,
    /// Domains: at a fixed low address.
    Domains,
    /// The loader for UEFI, as firmware has its programs.
    Loader,
}

impl Part {
    /// The Cargo profile.
    const fn profile(self) -> &'static str {
        match self {
            Self::Kernel | Self::SelfAttack => "kernel",
            Self::Domains => "domain",
            Self::Loader => "loader",
        }
    }

    pub(crate) const fn target(self) -> &'static str {
        match self {
            Self::Kernel | Self::SelfAttack | Self::Domains => TARGET,
            Self::Loader => UEFI_TARGET,
        }
    }

    /// The flags of its own.
    const fn flags(self) -> &'static [&'static str] {
        match self {
            Self::Kernel | Self::SelfAttack => {
                &["-Crelocation-model=pic", "-Clink-arg=-Tcore-kernel/kernel/kernel.ld"]
            }
            Self::Domains => &["-Crelocation-model=static", "-Clink-arg=-Tlibos/rt/domain.ld"],
            // A time that follows from the content, and no name of a file with debug information.
            Self::Loader => &["-Clink-arg=/Brepro", "-Clink-arg=/DEBUG:NONE"],
        }
    }

    /// The flags of all that is linked without a system below it.
    const fn freestanding(self) -> &'static [&'static str] {
        match self {
            Self::Kernel | Self::SelfAttack | Self::Domains => &[
                "-Cno-redzone=yes",
                "-Cforce-frame-pointers=no",
                "-Clink-arg=-nostartfiles",
                "-Clink-arg=-nostdlib",
                "-Clink-arg=-static",
                "-Clink-arg=-no-pie",
                "-Clink-arg=-Wl,-z,max-page-size=4096",
                "-Clink-arg=-Wl,--build-id=none",
            ],
            Self::Loader => &[],
        }
    }

    /// What the files end with that the compiler makes of it.
    const fn extension(self) -> &'static str {
        match self {
            Self::Kernel | Self::SelfAttack | Self::Domains => "",
            Self::Loader => "efi",
        }
    }

    /// The feature for Cargo to turn on. A program that is one of two targets of its package requires the
    /// feature of the library OS, so that Cargo passes it over on the host.
    pub(crate) const fn feature(self) -> Option<&'static str> {
        match self {
            Self::Kernel => None,
            Self::SelfAttack => Some("self-attack"),
            Self::Domains => Some("cloison-rt/target"),
            Self::Loader => Some("boot-efi/target"),
        }
    }

    const fn title(self) -> &'static str {
        match self {
            Self::Kernel | Self::SelfAttack => "compiling the kernel",
            Self::Domains => "compiling the domains",
            Self::Loader => "compiling the loader",
        }
    }
}

/// Where things are compiled.
#[derive(Debug)]
pub struct Compiler<'a> {
    /// The workspace's root.
    pub root: &'a Path,
    /// The target directory of the host tools; what is compiled here goes into a folder below it.
    pub target: &'a Path,
    /// Shows the user the progress.
    pub progress: &'a Progress,
    /// Stops it at Ctrl-C.
    pub interrupts: &'a Interrupts,
}

impl Compiler<'_> {
    /// Compiles packages. Returns their executables, in the same order.
    ///
    /// # Errors
    ///
    /// When the compiler finds fault with the code, or the machine with the compiler.
    pub fn build(&self, part: Part, packages: &[&str]) -> Result<Vec<PathBuf>, Failure> {
        self.require_library(part)?;
        self.compile(self.cargo(part, "build", packages), part.title(), packages)?;
        let folder = self.on_target(part).join(part.target()).join(part.profile());
        let file = |package: &&str| folder.join(package).with_extension(part.extension());
        Ok(packages.iter().map(file).collect())
    }

    /// Compiles a package of the project for the host, as Cargo compiles the tool itself. Returns its executable.
    ///
    /// # Errors
    ///
    /// As [`Compiler::build`].
    pub fn build_for_host(&self, package: &str) -> Result<PathBuf, Failure> {
        let mut command = self.bare_cargo();
        command.args(["build", "--package", package, "--target-dir"]).arg(self.target);
        self.compile(command, "compiling for the host", &[package])?;
        Ok(self.target.join("debug").join(package))
    }

    fn compile(&self, mut command: Command, title: &'static str, packages: &[&str]) -> Result<(), Failure> {
        let step = self.progress.step(title);
        let finished = process::run(&mut command, "cargo", self.interrupts, &mut |line| show(&step, line))?;
        if !finished.status.success() {
            drop(step);
            return Err(explain(title, &finished));
        }
        step.done(&packages.join(" "));
        say(format_args!("{}", diagnostics(&finished.text)));
        Ok(())
    }

    /// Runs Clippy over packages, with warnings denied. It prints what it finds.
    ///
    /// # Errors
    ///
    /// When it finds something.
    pub fn lint(&self, part: Part, packages: &[&str]) -> Result<(), Failure> {
        self.require_library(part)?;
        let mut command = self.cargo(part, "clippy", packages);
        command.args(["--", "-Dwarnings"]);
        let finished =
            process::run(&mut command, "cargo", self.interrupts, &mut |line| say(format_args!("{line}\n")))?;
        if finished.status.success() {
            Ok(())
        } else {
            Err(Failure::Failed(format!("Clippy finds fault with {}", packages.join(", "))))
        }
    }

    fn cargo(&self, part: Part, action: &str, packages: &[&str]) -> Command {
        let mut command = self.bare_cargo();
        command
            .env("CARGO_ENCODED_RUSTFLAGS", self.flags(part))
            .args([action, "--target", part.target(), "--profile", part.profile()])
            .arg("--target-dir")
            .arg(self.on_target(part));
        if let Some(feature) = part.feature() {
            command.args(["--features", feature]);
        }
        if stderr().is_terminal() {
            command.args(["--color", "always"]);
        }
        for package in packages {
            command.args(["--package", package]);
        }
        command
    }

    /// Cargo, in the project, with nothing of the environment that would change what it does.
    pub(crate) fn bare_cargo(&self) -> Command {
        let mut command = process::command(Path::new(&cargo()));
        for (name, _) in env::vars_os().filter(|(name, _)| changes_the_build(name)) {
            command.env_remove(name);
        }
        command.current_dir(self.root);
        command
    }

    /// The flags of the compiler, in the form of `CARGO_ENCODED_RUSTFLAGS`.
    ///
    /// Paths are cut off, because the bits of an image must not depend on the folder it was built in.
    fn flags(&self, part: Part) -> OsString {
        let common = ["--cfg=cloison_target", "-Cpanic=abort"];
        let flags = [&common[..], part.freestanding(), part.flags()].concat();
        let mut flags: Vec<OsString> = flags.into_iter().map(OsString::from).collect();
        flags.push(remap(self.root, "cloison"));
        flags.extend(cargo_home().map(|home| remap(&home, "cargo")));
        flags.join(OsStr::new("\x1f"))
    }

    /// Where the compiler's own files go. Each kernel has a folder, so that neither is ever taken for the other.
    fn on_target(&self, part: Part) -> PathBuf {
        self.target.join(if part == Part::SelfAttack { "on-target/self-attack" } else { "on-target" })
    }
}

/// Cargo: the one that has started this program, if it was Cargo.
#[must_use]
pub fn cargo() -> OsString {
    env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"))
}

fn remap(folder: &Path, name: &str) -> OsString {
    let mut flag = OsString::from("--remap-path-prefix=");
    flag.push(folder);
    flag.push("=");
    flag.push(name);
    flag
}

pub(crate) fn cargo_home() -> Option<PathBuf> {
    env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cargo")))
}

/// Whether a variable of the environment could change what the compiler makes. Those that Cargo sets for the
/// programs it runs, this one among them, would also make it compile everything again.
fn changes_the_build(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    let harmless = ["CARGO_HOME", "CARGO_NET_", "CARGO_HTTP_", "CARGO_REGISTR"];
    let cargos = name.starts_with("CARGO") && !harmless.iter().any(|prefix| name.starts_with(prefix));
    cargos || name == "SOURCE_DATE_EPOCH" || (name.starts_with("RUST") && !name.starts_with("RUSTUP_"))
}

/// Shows which package Cargo is busy with.
fn show(step: &Step<'_>, line: &str) {
    if let Some(package) = plain(line).trim().strip_prefix("Compiling ") {
        step.now(package.split(" (").next().unwrap_or(package));
    }
}

/// Says in a sentence what went wrong; if that is a matter of the code, what the compiler said comes first.
fn explain(what: &str, finished: &process::Finished) -> Failure {
    if let Some(fault) = machine_fault(&finished.text) {
        return Failure::Environment(format!("{what} failed: {fault}"));
    }
    say(format_args!("{}", diagnostics(&finished.text)));
    let fault = code_fault(&finished.text).unwrap_or_else(|| "see above".into());
    Failure::Failed(format!("{what} failed: {fault}"))
}

/// A sentence for a fault of which Cargo and the linker speak in terms of their own.
fn code_fault(text: &str) -> Option<String> {
    if text.contains("undefined symbol: domain_main") {
        return Some(
            "a program does not say where it begins; add `cloison_rt::entry!(main);` to its main.rs".into(),
        );
    }
    let (_, rest) = text.split_once("package ID specification `")?;
    let (package, _) = rest.split_once("` did not match")?;
    Some(format!(
        "no package is called `{package}`; the name in a component's Cargo.toml must be that of its folder"
    ))
}

/// Cargo's output, without its own account of its progress.
fn diagnostics(text: &str) -> String {
    let account = [
        "Compiling",
        "Checking",
        "Finished",
        "Blocking",
        "Updating",
        "Locking",
        "Adding",
        "Downloading",
        "Downloaded",
    ];
    let is_account = |line: &str| account.iter().any(|word| plain(line).trim_start().starts_with(word));
    text.lines().filter(|line| !is_account(line)).map(|line| format!("{line}\n")).collect()
}

/// A line without the codes that colour it.
fn plain(line: &str) -> String {
    let mut pieces = line.split("\x1b[");
    let first = pieces.next().unwrap_or_default().to_owned();
    pieces.fold(first, |text, piece| text + piece.split_once('m').map_or(piece, |(_, rest)| rest))
}

/// A program's complaint that is the machine's fault, not the input's.
#[must_use]
pub fn machine_fault(text: &str) -> Option<&str> {
    let faults = [
        "No space left on device",
        "Permission denied",
        "Read-only file system",
        "Disk quota exceeded",
        "Not a directory",
    ];
    // A line of somebody's code, as the compiler shows it, may speak of such things too.
    let of_machine = |line: &&str| !line.contains(" | ") && faults.iter().any(|fault| line.contains(fault));
    if let Some(line) = text.lines().map(str::trim).find(of_machine) {
        let line = line.strip_prefix("error: ").unwrap_or(line);
        return Some(line.split(" (os error").next().unwrap_or(line));
    }
    // The linker writes to mapped memory, where a full disk is a signal and not an error.
    text.contains("[Bus error]")
        .then_some("a bus error ended the linker; is there no space left on the disk?")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_the_machines_faults_from_the_codes() {
        assert_eq!(
            machine_fault("error: x\nerror: cannot write y: No space left on device (os error 28)\n"),
            Some("cannot write y: No space left on device")
        );
        let linker = "collect2: fatal error: ld terminated with signal 7 [Bus error]";
        assert!(machine_fault(linker).is_some_and(|fault| fault.contains("no space left")));
        assert_eq!(machine_fault("error[E0308]: mismatched types\n7 | \"Permission denied\""), None);
    }

    #[test]
    fn explains_mistakes_in_a_domains_files() {
        let text = "error: package ID specification `mine` did not match any packages";
        assert!(code_fault(text).is_some_and(|fault| fault.contains("no package is called `mine`")));
        let text = "rust-lld: error: undefined symbol: domain_main";
        assert!(code_fault(text).is_some_and(|fault| fault.contains("entry!")));
        assert_eq!(code_fault("error[E0308]: mismatched types"), None);
    }

    #[test]
    fn shows_what_the_compiler_says_and_no_more() {
        let text = "   \x1b[1m\x1b[32mCompiling\x1b[0m hello v0.1.0\nwarning: unused\n --> src/main.rs\n    Finished `domain`\n";
        assert_eq!(diagnostics(text), "warning: unused\n --> src/main.rs\n");
    }

    #[test]
    fn keeps_what_cargo_sets_from_the_build() {
        assert!(changes_the_build(OsStr::new("CARGO_MANIFEST_DIR")));
        assert!(changes_the_build(OsStr::new("RUSTFLAGS")));
        assert!(!changes_the_build(OsStr::new("CARGO_HOME")));
        assert!(!changes_the_build(OsStr::new("RUSTUP_TOOLCHAIN")));
        assert!(!changes_the_build(OsStr::new("PATH")));
    }
}
