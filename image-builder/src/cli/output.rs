//! What the commands print: results on standard output, all else on standard error.

use std::{
    io::{self, IsTerminal, Write, stderr, stdout},
    path::Path,
};

use crate::{Failure, visible::visible};

/// Prints a result.
///
/// # Errors
///
/// When it cannot be written. A reader that has seen enough (`| head`) is no error.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    let mut out = stdout().lock();
    let ending = if text.ends_with('\n') { "" } else { "\n" };
    match write!(out, "{text}{ending}").and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::file("cannot write", Path::new("standard output"), &error))
        }
        _ => Ok(()),
    }
}

/// Says why a command failed.
pub(super) fn fail(failure: &Failure) {
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
pub(super) fn note(text: &str) {
    let _ = writeln!(stderr(), "{}", visible(text));
}
