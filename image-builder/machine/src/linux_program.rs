//! Programs of our own for a Linux: they need no libraries.

use std::{fs, path::Path};

use crate::{Failure, interrupts::Interrupts, process};

/// Compiles a program, in a folder of its own below `target`. → the executable's bytes.
///
/// # Errors
///
/// When the compiler finds fault with the text, or cannot be run.
pub fn compile(text: &str, target: &Path, interrupts: &Interrupts) -> Result<Vec<u8>, Failure> {
    let folder =
        tempfile::tempdir_in(target).map_err(|error| Failure::file("cannot write in", target, &error))?;
    let (source, program) = (folder.path().join("main.rs"), folder.path().join("main"));
    fs::write(&source, text).map_err(|error| Failure::file("cannot write", &source, &error))?;
    let mut command = process::command(Path::new("rustc"));
    command.args(["--edition=2024", "-O", "-Ctarget-feature=+crt-static", "-Cstrip=symbols", "-o"]);
    command.args([&program, &source]);
    let finished = process::run(&mut command, "rustc", interrupts, &mut |_| ())?;
    fs::read(&program).map_err(|_| {
        Failure::Environment(format!("cannot compile a program for a Linux: {}", finished.complaint()))
    })
}
