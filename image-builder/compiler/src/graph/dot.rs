//! The system in the language of Graphviz.

use std::fmt::Write;

use super::{devices, disk, edges, forwards, guest, on_fault, programs, restartable};
use crate::system::{OnFault, System};
use crate::visible::visible_line;

/// The system in the language of Graphviz, for those who want to lay it out themselves.
#[must_use]
pub fn graph_dot(system: &System) -> String {
    let mut dot = format!("digraph {} {{\n", quoted([system.name()]));
    dot +=
        "    node [shape=box, style=rounded, fontname=\"Helvetica\"];\n    edge [fontname=\"Helvetica\"];\n";
    // Writing to a string cannot fail.
    for (id, domain) in system.domains() {
        let name = quoted([&domain.name]);
        let about = [domain.name.clone(), format!("priority {}", domain.priority)];
        let facts = programs(system, domain).into_iter().chain(guest(system, domain));
        let facts = facts.chain(disk(system, id)).chain(on_fault(system, domain));
        let label = quoted(about.iter().cloned().chain(facts));
        let _ = writeln!(dot, "    {name} [label={label}];");
        for (device, class) in devices(system, domain) {
            let node = quoted([format!("device {device}")]);
            let label = quoted([device, class]);
            let _ = writeln!(dot, "    {node} [label={label}, shape=component, style=\"\"];");
            let _ = writeln!(dot, "    {name} -> {node} [arrowhead=none, style=bold];");
        }
        for (host, port) in forwards(system, id) {
            let label = quoted([format!("{host} to {port}")]);
            let _ = writeln!(dot, "    \"the host\" -> {name} [label={label}, style=dotted];");
        }
        if let OnFault::Handler(handler) = domain.on_fault {
            let handler = quoted([&system.domain(handler).name]);
            let _ = writeln!(dot, "    {name} -> {handler} [label=\"faults\", style=dotted];");
        }
    }
    for name in restartable(system) {
        let _ =
            writeln!(dot, "    \"the builder\" -> {} [label=\"restarts\", style=dotted];", quoted([name]));
    }
    for edge in edges(system) {
        let [client, server] = [edge.client, edge.server].map(|id| quoted([&system.domain(id).name]));
        let style = if edge.is_log(system) { ", style=dashed" } else { "" };
        let _ = writeln!(dot, "    {client} -> {server} [label={}{style}];", quoted(edge.label(system)));
    }
    dot + "}\n"
}

/// Lines as one text of the language.
fn quoted(lines: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    let escape = |line: &str| visible_line(line).replace('\\', "\\\\").replace('"', "\\\"");
    let lines: Vec<_> = lines.into_iter().map(|line| escape(line.as_ref())).collect();
    format!("\"{}\"", lines.join("\\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_what_would_end_the_text() {
        assert_eq!(quoted(["a\"b\\", "\u{1b}"]), r#""a\"b\\\n\\x1b""#);
    }
}
