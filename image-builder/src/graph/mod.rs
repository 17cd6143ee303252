//! Pictures of a system.

use crate::System;

/// The system in the language of Graphviz.
#[must_use]
pub fn graph_dot(_system: &System) -> String {
    String::new()
}

/// The system as a drawing.
#[must_use]
pub fn graph_svg(_system: &System) -> String {
    String::new()
}
