//! Paths: names of letters, digits and `-_@`, each after a slash. A path without a slash at its beginning is below the
//! guest's home.

use heapless::Vec;

use super::Refusal;

/// Bytes of a path at most.
pub const PATH_BYTES: usize = 128;
/// Where the guest's own paths are.
pub const HOME: &str = "/local/domain/1";
/// Where its devices' backends are.
pub const BACKENDS: &str = "/local/domain/0/backend";

/// A path from the root on.
pub type Path = Vec<u8, PATH_BYTES>;

/// The path from the root on that is meant by one that somebody gave.
pub fn absolute(given: &[u8]) -> Result<Path, Refusal> {
    let mut path = Path::new();
    if !given.starts_with(b"/") {
        path.extend_from_slice(HOME.as_bytes())
            .and_then(|()| path.extend_from_slice(b"/"))
            .or(Err(Refusal::TooLong))?;
    }
    path.extend_from_slice(given).or(Err(Refusal::TooLong))?;
    let is_valid = path == b"/" || names(&path).all(|name| !name.is_empty() && name.iter().all(is_name));
    if is_valid { Ok(path) } else { Err(Refusal::Invalid) }
}

/// The names of a path from the root on.
pub fn names(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    let root = path == b"/";
    path.split(|&byte| byte == b'/').skip(1).filter(move |_| !root)
}

/// Whether a path is another one or below it.
pub fn is_at_or_below(path: &[u8], other: &[u8]) -> bool {
    match path.strip_prefix(other) {
        Some(rest) => rest.is_empty() || rest[0] == b'/' || other == b"/",
        None => false,
    }
}

/// A path of the guest's home, seen from there.
pub fn seen_from_home(path: &[u8]) -> Option<&[u8]> {
    path.strip_prefix(HOME.as_bytes())?.strip_prefix(b"/")
}

fn is_name(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_@".contains(byte)
}
