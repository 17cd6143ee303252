//! The system in the language of Graphviz.

use std::fmt::Write;

use super::{devices, links};
use crate::System;

/// The system in the language of Graphviz, for those who want to lay it out themselves.
#[must_use]
pub fn graph_dot(system: &System) -> String {
    let mut dot = format!("digraph \"{}\" {{\n", system.name());
    dot +=
        "    node [shape=box, style=rounded, fontname=\"Helvetica\"];\n    edge [fontname=\"Helvetica\"];\n";
    // Writing to a string cannot fail.
    for (_, domain) in system.domains() {
        let name = &domain.name;
        let _ = writeln!(dot, "    \"{name}\" [label=\"{name}\\npriority {}\"];", domain.priority);
        for (device, class) in devices(system, domain) {
            let _ = writeln!(
                dot,
                "    \"device {device}\" [label=\"{device}\\n{class}\", shape=component, style=\"\"];"
            );
            let _ = writeln!(dot, "    \"{name}\" -> \"device {device}\" [arrowhead=none, style=bold];");
        }
    }
    for link in links(system) {
        let (client, server) = (&system.domain(link.client).name, &system.domain(link.server).name);
        let style = if link.is_log(system) { ", style=dashed" } else { "" };
        let _ = writeln!(dot, "    \"{client}\" -> \"{server}\" [label=\"{}\"{style}];", link.label(system));
    }
    dot + "}\n"
}
