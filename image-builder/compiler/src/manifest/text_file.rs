//! Files are read here: regular ones alone, up to a size, and only what is text.

use std::fs::{File, FileType, Metadata};
use std::io::Read;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use rustix::fs::{Mode, OFlags, open};

use super::problem::{Problem, ProblemKind};
use crate::cause::Cause;
use crate::diagnostic::{SourceId, Sources, Span};

/// Largest file that is read, in bytes: some thousand times what a system of the largest size needs.
pub const MAX_FILE_BYTES: u64 = 1 << 20;

/// Reads a file into `sources`. `None` if there is no text; `problems` then says why.
pub(crate) fn read_file(
    path: &Path,
    shown: String,
    sources: &mut Sources,
    problems: &mut Vec<Problem>,
) -> (SourceId, bool) {
    match bytes_of(path, MAX_FILE_BYTES).and_then(|bytes| text_of(&bytes)) {
        Ok(text) => (sources.add(shown, text), true),
        Err(reason) => {
            let source = sources.add(shown, String::new());
            let at = Span { source, start: 0, end: 0 };
            problems.push(Problem { at, spoils: String::new(), kind: ProblemKind::Unreadable(reason) });
            (source, false)
        }
    }
}

/// The content of a regular file of at most `most` bytes. What waits for a writer, or never ends, is not read at all.
pub(super) fn bytes_of(path: &Path, most: u64) -> Result<Vec<u8>, String> {
    let (file, about) = open_file(path, OFlags::RDONLY)?;
    let too_long = |length| format!("the file has {length} bytes or more, at most {most} are read");
    if about.len() > most {
        return Err(too_long(about.len()));
    }
    // A file that is longer than it says, as in /proc, is not read beyond the limit either.
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes).map_err(|error| describe(&error))?;
    if bytes.len() as u64 > most {
        return Err(too_long(bytes.len() as u64));
    }
    Ok(bytes)
}

/// What is known of a file that is not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileFacts {
    /// Its length in bytes.
    pub bytes: u64,
    /// What tells it from every other one, whatever it is called.
    pub identity: (u64, u64),
}

/// What is known of a regular file that can be read, and written if that is meant.
pub(super) fn facts_of(path: &Path, is_written: bool) -> Result<FileFacts, String> {
    let (_, about) = open_file(path, if is_written { OFlags::RDWR } else { OFlags::RDONLY })?;
    Ok(FileFacts { bytes: about.len(), identity: (about.dev(), about.ino()) })
}

/// Opens a regular file. What waits for a writer is not waited for.
fn open_file(path: &Path, access: OFlags) -> Result<(File, Metadata), String> {
    let flags = access | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = File::from(open(path, flags, Mode::empty()).map_err(|error| describe(&error.into()))?);
    let about = file.metadata().map_err(|error| describe(&error))?;
    if !about.is_file() {
        return Err(format!("this is {}, not a file", kind_of(about.file_type())));
    }
    Ok((file, about))
}

fn kind_of(kind: FileType) -> &'static str {
    if kind.is_dir() {
        "a folder"
    } else if kind.is_fifo() {
        "a pipe"
    } else {
        "a device"
    }
}

/// The text of a file, if it is text and not empty.
fn text_of(bytes: &[u8]) -> Result<String, String> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let line = bytes[..error.valid_up_to()].iter().filter(|byte| **byte == b'\n').count() + 1;
        format!("the file is not UTF-8 text: byte {:#04x} in line {line}", bytes[error.valid_up_to()])
    })?;
    if text.trim().is_empty() {
        return Err("the file is empty".into());
    }
    Ok(text.to_owned())
}

fn describe(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "there is no such file".into(),
        std::io::ErrorKind::PermissionDenied => "permission to use the file denied".into(),
        std::io::ErrorKind::IsADirectory => "this is a folder, not a file".into(),
        _ => format!("the file cannot be read: {}", Cause(error)),
    }
}
