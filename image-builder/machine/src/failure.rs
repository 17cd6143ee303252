//! Why a command could not do what it was asked, and the exit status that says so.

use std::{fmt, io, path::Path};

use image_compiler::cause::Cause;

/// Why a command could not do what it was asked.
#[derive(Debug)]
pub enum Failure {
    /// The build or the run failed.
    Failed(String),
    /// The manifest is bad. The text is the whole list of its faults, ready to print.
    Manifest(String),
    /// The command line asks for what the system does not have.
    Usage(String),
    /// The machine on which the tool runs lacks something: a program, room on the disk, a permission.
    Environment(String),
    /// Somebody asked the tool to stop: Ctrl-C, or a signal.
    Interrupted,
}

impl Failure {
    /// The exit status of a command that ends so.
    #[must_use]
    pub const fn status(&self) -> u8 {
        match self {
            Self::Failed(_) => 1,
            Self::Manifest(_) | Self::Usage(_) => 2,
            Self::Environment(_) => 3,
            Self::Interrupted => 130,
        }
    }

    /// Something that the machine refused, and what it said.
    #[must_use]
    pub fn machine(what: &str, error: &io::Error) -> Self {
        Self::Environment(format!("{what}: {}", Cause(error)))
    }

    /// A failure to do something ("cannot write") with a file.
    #[must_use]
    pub fn file(what: &str, path: &Path, error: &io::Error) -> Self {
        Self::machine(&format!("{what} {}", path.display()), error)
    }

    /// A failure to start a program, or to go on with it.
    #[must_use]
    pub fn program(name: &str, error: &io::Error) -> Self {
        Self::machine(&format!("cannot run {name}"), error)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(text) | Self::Manifest(text) | Self::Usage(text) | Self::Environment(text) => {
                out.write_str(text)
            }
            Self::Interrupted => out.write_str("stopped as asked"),
        }
    }
}

impl std::error::Error for Failure {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_the_system_said_in_plain_words() {
        let failure = Failure::file("cannot write", Path::new("/a/b"), &io::Error::from_raw_os_error(28));
        assert_eq!(failure.to_string(), "cannot write /a/b: no space left on device");
        assert_eq!(failure.status(), 3);
    }
}
