//! Answers in words.

use std::collections::BTreeMap;

use super::search::{Way, Ways};
use super::{Answer, Asked, Assume, Step};
use crate::diagnostic::{SourceId, Sources, Span};
use crate::flow::{Flow, Kind, NodeId};
use crate::system::Right;

/// Means of one step that are named; a network card can have any number of forwards.
const MOST_MEANS: usize = 4;

impl Asked<'_> {
    /// There is a way, and this is it.
    pub(super) fn found(&self, answer: &str, ways: &Ways<'_>, way: &Way) -> Answer {
        let pairs = way.nodes.windows(2);
        let steps: Vec<_> = pairs.map(|pair| self.step(ways, pair[0], pair[1])).collect();
        let length = steps.len();
        let also = if way.count > 1 { format!(" (one of {} ways)", way.count) } else { String::new() };
        let unit = if length == 1 { "step" } else { "steps" };
        let summary = format!("{answer}, in {length} {unit}{also}");
        let mut text = format!("{summary}:\n");
        let width = steps.iter().map(|step| step.text.chars().count()).max().unwrap_or_default();
        for step in &steps {
            let places = places(self.system.sources(), &step.at);
            text += format!("  {:width$}  {places}", step.text).trim_end();
            text.push('\n');
        }
        Answer { is_yes: true, summary, text: text + &self.granted(), way: steps }
    }

    /// There is none.
    pub(super) fn none(&self, answer: &str) -> Answer {
        let text = format!("{answer}\n{}", self.granted());
        Answer { is_yes: false, summary: answer.to_owned(), text, way: Vec::new() }
    }

    /// These are those that can be reached, or that reach somebody, each with the number of steps.
    pub(super) fn listed(&self, found: &[(usize, NodeId)]) -> Answer {
        let mut by_steps: BTreeMap<usize, Vec<&str>> = BTreeMap::new();
        for (steps, node) in found {
            by_steps.entry(*steps).or_default().push(self.name(*node));
        }
        let line = |(steps, names): (&usize, &Vec<&str>)| {
            let unit = if *steps == 1 { "step" } else { "steps" };
            format!("in {steps} {unit}: {}\n", names.join(", "))
        };
        let lines: String = by_steps.iter().map(line).collect();
        let lines = if lines.is_empty() { "nobody\n".to_owned() } else { lines };
        let summary = lines.lines().collect::<Vec<_>>().join("; ");
        Answer { is_yes: !found.is_empty(), summary, text: lines + &self.granted(), way: Vec::new() }
    }

    /// Who holds a right.
    pub(super) fn held(&self, right: Right) -> Answer {
        let mut lines = Vec::new();
        for (_, domain) in self.system.domains() {
            for held in domain.rights.iter().filter(|held| held.value == right) {
                lines.push(format!("{}  {}", domain.name, places(self.system.sources(), &[held.span])));
            }
        }
        if lines.is_empty() {
            return Answer::short(false, "nobody".to_owned());
        }
        Answer { text: lines.join("\n") + "\n", ..Answer::short(true, lines.join("; ")) }
    }

    fn step(&self, ways: &Ways<'_>, from: NodeId, to: NodeId) -> Step {
        let flows: Vec<&Flow> = ways.flows_between(from, to).collect();
        let mut whats: Vec<&str> = flows.iter().map(|flow| flow.what.as_str()).collect();
        let mut seen = Vec::new();
        whats.retain(|what| {
            !seen.contains(what) && {
                seen.push(*what);
                true
            }
        });
        let more = whats.len().saturating_sub(MOST_MEANS);
        whats.truncate(MOST_MEANS);
        let more = if more == 0 { String::new() } else { format!(" and {more} more") };
        let text = format!("{} -- {}{more} --> {}", self.name(from), whats.join(", "), self.name(to));
        Step { text, at: flows.iter().flat_map(|flow| flow.at.iter().copied()).collect() }
    }

    /// What the answer rests on beside the manifest.
    fn granted(&self) -> String {
        if self.assume == Assume::Nothing {
            return "taken for granted: nothing\n".to_owned();
        }
        let nodes = || self.flows.nodes().map(|(node, _)| node);
        let hostile = |kind: Kind| {
            let is_one = move |node: &NodeId| {
                let mut flows = self.flows.flows().iter().filter(|flow| flow.is_hostile && flow.kind == kind);
                flows.any(|flow| flow.from == *node && self.flows.owner(*node).is_some())
            };
            self.names(nodes().filter(is_one))
        };
        let is_keeper =
            |node: &NodeId| self.flows.keeps_apart(*node) && self.flows.clients(*node).count() > 1;
        let (switches, keepers): (Vec<_>, Vec<_>) =
            nodes().filter(is_keeper).partition(|node| self.flows.is_switch(*node));
        let walls = self.flows.walls().join(", ");
        let all = [
            ("nobody learns of more than one side of the wall", walls),
            ("nothing passes from one client to another in", self.names(keepers.into_iter())),
            ("nothing passes but frames, as the ports say, in", self.names(switches.into_iter())),
            ("no access to the memory of others by", hostile(Kind::Dma)),
            ("no way but by this machine between", hostile(Kind::World)),
        ];
        let said = all.into_iter().filter(|(_, names)| !names.is_empty());
        let said: Vec<_> = said.map(|(what, names)| format!("{what} {names}")).collect();
        let said = if said.is_empty() { "nothing".to_owned() } else { said.join("; ") };
        format!("taken for granted: {said}\n")
    }

    fn names(&self, nodes: impl Iterator<Item = NodeId>) -> String {
        nodes.map(|node| self.name(node)).collect::<Vec<_>>().join(", ")
    }
}

/// `a.toml:5, 7; b.toml:1`.
fn places(sources: &Sources, spans: &[Span]) -> String {
    let mut lines: Vec<(SourceId, Vec<usize>)> = Vec::new();
    for span in spans {
        let line = sources.position(*span).0;
        match lines.iter_mut().find(|(source, _)| *source == span.source) {
            Some((_, known)) => known.push(line),
            None => lines.push((span.source, vec![line])),
        }
    }
    let shown = lines.into_iter().map(|(source, mut lines)| {
        lines.sort_unstable();
        lines.dedup();
        let lines: Vec<_> = lines.iter().map(usize::to_string).collect();
        format!("{}:{}", sources.get(source).path, lines.join(", "))
    });
    shown.collect::<Vec<_>>().join("; ")
}
