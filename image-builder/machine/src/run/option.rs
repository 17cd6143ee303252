//! QEMU's options with paths in them.

use std::{
    ffi::OsString,
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::Path,
};

/// One of QEMU's option lists that ends with a path. A comma in it has to be doubled.
pub(super) fn option(begin: &str, path: &Path) -> OsString {
    let mut bytes = begin.as_bytes().to_vec();
    for byte in path.as_os_str().as_bytes() {
        bytes.extend_from_slice(if *byte == b',' { b",," } else { std::slice::from_ref(byte) });
    }
    OsString::from_vec(bytes)
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::*;

    #[test]
    fn a_comma_in_a_path_is_no_separator() {
        let path = Path::new(OsStr::from_bytes(b"/\xff \"'=:,"));
        assert_eq!(option("path=", path).as_bytes(), b"path=/\xff \"'=:,,");
    }
}
