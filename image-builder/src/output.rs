//! What the commands print: results on standard output, all else on standard error.

use std::{
    io::{self, IsTerminal, Write, stderr, stdout},
    path::Path,
    process::ExitCode,
};

use clap::{Parser, error::ContextKind};
use image_compiler::visible::visible;
use image_machine::Failure;

/// Prints a result.
///
/// # Errors
///
/// When it cannot be written. A reader that has seen enough (`| head`) is no error.
pub fn print(text: &str) -> Result<(), Failure> {
    let mut out = stdout().lock();
    let ending = if text.ends_with('\n') { "" } else { "\n" };
    written(write!(out, "{text}{ending}").and_then(|()| out.flush()))
}

/// Prints a result that is no text.
///
/// # Errors
///
/// As [`print`].
pub fn print_bytes(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = stdout().lock();
    written(out.write_all(bytes).and_then(|()| out.flush()))
}

fn written(result: io::Result<()>) -> Result<(), Failure> {
    match result {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::file("cannot write", Path::new("standard output"), &error))
        }
        _ => Ok(()),
    }
}

/// The command line of this process. If there is nothing to carry out, because it is wrong or asks for help, that has been
/// said; then, the status with which to end.
///
/// # Errors
///
/// The exit status.
pub fn arguments<T: Parser>() -> Result<T, ExitCode> {
    T::try_parse().map_err(|mut said| {
        // The tip to pass an unknown option as a value: no command takes one.
        said.remove(ContextKind::Suggested);
        if said.use_stderr() {
            said.exit();
        }
        // What was asked for is a result as any other.
        end(written(said.print().and_then(|()| stdout().flush())))
    })
}

/// Ends a command: says why it failed, if it has. Returns the exit status.
#[must_use]
pub fn end(result: Result<(), Failure>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            fail(&failure);
            ExitCode::from(failure.status())
        }
    }
}

/// Says why a command failed.
fn fail(failure: &Failure) {
    let mut out = stderr().lock();
    let text = match failure {
        // A list of faults with headings of their own.
        Failure::Manifest(report) => writeln!(out, "{report}"),
        Failure::Interrupted => writeln!(out, "\n{failure}"),
        _ if out.is_terminal() => writeln!(out, "\x1b[1;31merror\x1b[0m: {}", said(failure)),
        _ => writeln!(out, "error: {}", said(failure)),
    };
    // Standard error itself is gone: nobody is left to tell.
    drop(text);
}

/// What a failure says. A compiler's words may be coloured; names and paths are others' text.
fn said(failure: &Failure) -> String {
    match failure {
        Failure::Failed(text) => text.clone(),
        _ => visible(&failure.to_string()),
    }
}

/// Says how something went.
pub fn note(text: &str) {
    let _ = writeln!(stderr(), "{}", visible(text));
}
