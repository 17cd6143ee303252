//! Programs of our own for a Linux: they need no libraries.

use std::{fs, path::Path};

use crate::{Failure, interrupts::Interrupts, process};

/// Whether a program keeps the names of its functions and variables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Symbols {
    /// It does, for a debugger.
    Kept,
    /// It does not, and is smaller.
    Stripped,
}

/// Compiles the program whose root module is the file `source`, in a folder of its own below `target`. Returns the
/// executable's bytes.
///
/// # Errors
///
/// When the compiler finds fault with the program, or cannot be run.
pub fn compile(
    source: &Path,
    symbols: Symbols,
    target: &Path,
    interrupts: &Interrupts,
) -> Result<Vec<u8>, Failure> {
    let folder =
        tempfile::tempdir_in(target).map_err(|error| Failure::file("cannot write in", target, &error))?;
    let program = folder.path().join("main");
    let mut command = process::command(Path::new("rustc"));
    let strip = match symbols {
        Symbols::Kept => "-Cstrip=debuginfo",
        Symbols::Stripped => "-Cstrip=symbols",
    };
    command.args(["--edition=2024", "-O", "-Ctarget-feature=+crt-static", strip, "-o"]);
    command.args([program.as_path(), source]);
    let finished = process::run(&mut command, "rustc", interrupts, &mut |_| ())?;
    fs::read(&program).map_err(|_| {
        Failure::Environment(format!("cannot compile a program for a Linux: {}", finished.complaint()))
    })
}
