//! A built system for a person to review.

use crate::{Plan, System};

/// Describes a system.
#[must_use]
pub fn report(system: &System, _built: Option<(&Plan, &[u8])>) -> String {
    format!("system {}\n", system.name())
}
