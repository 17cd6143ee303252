//! A name as the tables have it.

use cloison_abi::Name;

/// A name that the checks have found good.
pub(crate) fn name(text: &str) -> Name {
    Name::new(text).unwrap_or_default()
}
