//! Rust's library for what is not compiled for the host's own target.
//!
//! `rust-toolchain.toml` names it, and rustup fetches what that file names; but only where it is allowed to by itself
//! (`RUSTUP_AUTO_INSTALL=0` forbids it), and not into a toolchain that is there already.

use std::path::Path;

use crate::{
    Failure,
    cargo_build::{Compiler, Part, TARGET, UEFI_TARGET, cargo},
    process::{self, Finished},
};

impl Compiler<'_> {
    /// Makes sure that the library is there that a part is linked with: rustup installs it if it is missing.
    ///
    /// # Errors
    ///
    /// When it cannot be installed, or somebody asks to stop.
    pub fn require_library(&self, part: Part) -> Result<(), Failure> {
        if part.target() == TARGET || self.has_library(part)? {
            return Ok(());
        }
        let step = self.progress.step("installing Rust's library for UEFI");
        let installed = self.ask("rustup", Path::new("rustup"), &["target", "add", part.target()]);
        step.done("");
        match installed {
            Ok(finished) if finished.status.success() => Ok(()),
            Ok(finished) => Err(is_missing(&format!(", and rustup says: {}", finished.complaint()))),
            Err(Failure::Environment(_)) => Err(is_missing("")),
            Err(stopped) => Err(stopped),
        }
    }

    /// Whether the compiler has the library. One that does not even start complains later, by its own words.
    fn has_library(&self, part: Part) -> Result<bool, Failure> {
        let rustc = Path::new(&cargo()).with_file_name("rustc");
        match self.ask("rustc", &rustc, &["--print", "target-libdir", "--target", part.target()]) {
            Ok(finished) => {
                Ok(!finished.status.success() || finished.text.lines().any(|line| Path::new(line).is_dir()))
            }
            Err(Failure::Environment(_)) => Ok(true),
            Err(stopped) => Err(stopped),
        }
    }

    fn ask(&self, name: &'static str, program: &Path, arguments: &[&str]) -> Result<Finished, Failure> {
        let mut command = process::command(program);
        command.args(arguments).current_dir(self.root);
        process::run(&mut command, name, self.interrupts, &mut |_| {})
    }
}

/// What is said where the library is missing, with the reason why it still is.
fn is_missing(why: &str) -> Failure {
    Failure::Environment(format!(
        "Rust's library for UEFI is missing{why}; to install: rustup target add {UEFI_TARGET}"
    ))
}
