//! The search for ways: breadth first, so that what is found is shortest.
//!
//! A domain that keeps its clients apart is passed, unless a way would lead from one of its clients to another. What such
//! a domain hands to its own devices or its guest, and gets back from them, it has handed on itself: while a way stays
//! with these, it counts as being in the domain still. So a state of the search is a node and whether the way has come to
//! it, or to the domain that it belongs to, from a client.
//!
//! A wall of the policy ends a way, too, where something would be known of two of its sides: a state also says of which
//! sides the way has come. It says nothing of that any more behind a device or the builder, of which the monitor knows
//! nothing. A domain that keeps its clients apart may hear of several sides from them.

use std::collections::{BTreeMap, VecDeque};

use super::sets::Members;
use crate::flow::{Flow, Flows, Kind, NodeId, Sides};

/// The ways that are looked at.
#[derive(Debug)]
pub(super) struct Ways<'a> {
    pub(super) flows: &'a Flows,
    /// What is left out.
    pub(super) removed: Members,
    /// The means; all, if there are none.
    pub(super) kinds: Vec<Kind>,
    /// Whether devices, domains and the world outside pass on all that they can.
    pub(super) is_nothing_assumed: bool,
}

/// A shortest way, and how many are as short.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Way {
    /// Its nodes, both ends among them.
    pub(super) nodes: Vec<NodeId>,
    /// How many ways are as short, unless the two sets have nodes in common: then some are counted again.
    pub(super) count: u64,
}

/// A node, whether the way has come from a client, and the sides of walls from which it has come.
type State = (NodeId, bool, Sides);

/// The steps that there are from each state, or to each.
pub(super) struct Steps {
    states: Vec<State>,
    places: BTreeMap<State, usize>,
    next: Vec<Vec<usize>>,
    back: Vec<Vec<usize>>,
    /// How many flows were looked at.
    pub(super) effort: usize,
}

/// What a search has found of each state.
struct Found {
    /// Steps from the beginning.
    distance: Vec<Option<usize>>,
    /// The state before.
    before: Vec<Option<usize>>,
    /// How many shortest ways there are.
    count: Vec<u64>,
    effort: usize,
}

impl Ways<'_> {
    /// A shortest way from a node of one set to another node of the other.
    pub(super) fn shortest(&self, from: &Members, to: &Members) -> Option<Way> {
        self.counted(from, to).0
    }

    /// The same, and how much had to be looked at.
    pub(super) fn counted(&self, from: &Members, to: &Members) -> (Option<Way>, usize) {
        let steps = self.steps();
        let (mut effort, mut best) = (steps.effort, None);
        for (from, to) in disjoint(from, to) {
            let found = search(&steps.next, self.starts(&steps, &from));
            effort += found.effort;
            best = shorter(best, found.way(&steps, &to));
        }
        (best, effort)
    }

    /// How far it is from each node to one of the set, if there is a way.
    pub(super) fn distances_to(&self, to: &Members) -> Vec<Option<usize>> {
        let steps = self.steps();
        let found = search(&steps.back, steps.ends(to));
        let starts = self.flows.nodes().map(|(node, _)| steps.places[&self.start(node)]);
        starts.map(|start| found.distance[start]).collect()
    }

    /// How far it is to each node from one of the set, if there is a way.
    pub(super) fn distances_from(&self, from: &Members) -> Vec<Option<usize>> {
        let steps = self.steps();
        let found = search(&steps.next, self.starts(&steps, from));
        let mut distances = vec![None; self.flows.node_count()];
        for (state, distance) in steps.states.iter().zip(&found.distance) {
            let known: &mut Option<usize> = &mut distances[state.0.0];
            *known = [*known, *distance].into_iter().flatten().min();
        }
        distances
    }

    /// The flows that lead from one node to the next.
    pub(super) fn flows_between(&self, from: NodeId, to: NodeId) -> impl Iterator<Item = &Flow> {
        self.flows.flows().iter().filter(move |flow| flow.from == from && flow.to == to && self.is_open(flow))
    }

    /// Every step from a state to which there is a way, once, whatever number of flows there is for it.
    pub(super) fn steps(&self) -> Steps {
        let mut targets = vec![Vec::new(); self.flows.node_count()];
        for flow in self.flows.flows().iter().filter(|flow| self.is_open(flow)) {
            targets[flow.from.0].push(flow.to);
        }
        targets.iter_mut().for_each(|nodes| {
            nodes.sort_unstable();
            nodes.dedup();
        });
        let mut steps = Steps::none();
        for (node, _) in self.flows.nodes() {
            steps.place(self.start(node));
        }
        let mut at = 0;
        while let Some(state) = steps.states.get(at).copied() {
            let after: Vec<_> = targets[state.0.0].iter().filter_map(|to| self.step(state, *to)).collect();
            let after: Vec<_> = after.into_iter().map(|state| steps.place(state)).collect();
            after.iter().for_each(|to| steps.back[*to].push(at));
            steps.next[at] = after;
            at += 1;
        }
        steps.effort = at + self.flows.flows().len();
        steps
    }

    /// The state in which a way begins at a node.
    fn start(&self, node: NodeId) -> State {
        let side = if self.is_nothing_assumed { 0 } else { self.flows.side(node) };
        (node, false, side)
    }

    fn starts(&self, steps: &Steps, from: &Members) -> impl Iterator<Item = usize> {
        from.all().map(|node| steps.places[&self.start(node)]).collect::<Vec<_>>().into_iter()
    }

    fn is_open(&self, flow: &Flow) -> bool {
        let is_removed = |node: NodeId| self.removed.has(node);
        let is_meant = self.kinds.is_empty() || self.kinds.contains(&flow.kind);
        let is_there = self.is_nothing_assumed || !flow.is_hostile;
        is_meant
            && is_there
            && !is_removed(flow.from)
            && !is_removed(flow.to)
            && !flow.by.is_some_and(is_removed)
    }

    /// The state after a step to a node, if the step may be.
    fn step(&self, (from, is_kept, sides): State, to: NodeId) -> Option<State> {
        if self.is_nothing_assumed {
            return (!is_kept).then_some((to, false, 0));
        }
        let keeps = |node: NodeId| self.flows.keeps_apart(node);
        if keeps(from) && is_kept && self.flows.serves(from, to) {
            return None;
        }
        let home = |node: NodeId| self.flows.owner(node).unwrap_or(node);
        let stays = home(from) == home(to);
        let is_kept = if stays { is_kept } else { self.flows.serves(to, from) };
        let is_kept = is_kept && keeps(home(to));
        let sides = if self.flows.is_watched(to) { sides | self.flows.side(to) } else { 0 };
        (is_kept || !self.flows.is_walled(sides)).then_some((to, is_kept, sides))
    }
}

impl Steps {
    fn none() -> Self {
        Self { states: Vec::new(), places: BTreeMap::new(), next: Vec::new(), back: Vec::new(), effort: 0 }
    }

    /// The place of a state, which is a new one if it has none.
    fn place(&mut self, state: State) -> usize {
        let place = *self.places.entry(state).or_insert(self.states.len());
        if place == self.states.len() {
            self.states.push(state);
            self.next.push(Vec::new());
            self.back.push(Vec::new());
        }
        place
    }

    /// The states in which a way is at a node of a set.
    fn ends(&self, to: &Members) -> impl Iterator<Item = usize> {
        let states = self.states.iter().enumerate();
        states.filter(|(_, state)| to.has(state.0)).map(|(place, _)| place)
    }
}

impl Found {
    /// The shortest way to a node of a set.
    fn way(&self, steps: &Steps, to: &Members) -> Option<Way> {
        let ends = steps.ends(to).filter_map(|state| Some((self.distance[state]?, state)));
        let ends: Vec<_> = ends.collect();
        let (shortest, first) = ends.iter().copied().min()?;
        let same = ends.iter().filter(|(distance, _)| *distance == shortest);
        let count = same.fold(0, |sum: u64, (_, state)| sum.saturating_add(self.count[*state]));
        let mut nodes: Vec<_> = std::iter::successors(Some(first), |state| self.before[*state])
            .map(|state| steps.states[state].0)
            .collect();
        nodes.reverse();
        Some(Way { nodes, count })
    }
}

fn search(steps: &[Vec<usize>], from: impl Iterator<Item = usize>) -> Found {
    let states = steps.len();
    let (distance, before, count) = (vec![None; states], vec![None; states], vec![0; states]);
    let mut found = Found { distance, before, count, effort: 0 };
    let mut open: VecDeque<usize> = VecDeque::new();
    for state in from {
        found.distance[state] = Some(0);
        found.count[state] = 1;
        open.push_back(state);
    }
    while let Some(state) = open.pop_front() {
        let after = found.distance[state].map(|distance: usize| distance + 1);
        for next in &steps[state] {
            found.effort += 1;
            if found.distance[*next].is_none() {
                found.distance[*next] = after;
                found.before[*next] = Some(state);
                open.push_back(*next);
            }
            if found.distance[*next] == after {
                found.count[*next] = found.count[*next].saturating_add(found.count[state]);
            }
        }
    }
    found
}

/// Pairs of sets without a common node, so that each two nodes of `from` and `to` that differ are in one pair.
fn disjoint(from: &Members, to: &Members) -> Vec<(Members, Members)> {
    let (mut from, mut to) = (from.clone(), to.clone());
    // A way from a node to itself is none.
    let (starts, ends) = (from.clone(), to.clone());
    if ends.count() == 1 {
        from.remove(&ends);
    } else if starts.count() == 1 {
        to.remove(&starts);
    }
    if !from.meets(&to) {
        return vec![(from, to)];
    }
    // Two places that differ do so in some bit.
    let bits = usize::BITS - from.0.len().leading_zeros();
    let halves = (0..bits).flat_map(|bit| [(bit, 0), (bit, 1)]);
    halves.map(|(bit, value)| (from.half(bit, value), to.half(bit, 1 - value))).collect()
}

/// The shorter of two ways; of two that are as short the first.
fn shorter(one: Option<Way>, other: Option<Way>) -> Option<Way> {
    [one, other].into_iter().flatten().min_by_key(|way| way.nodes.len())
}

#[cfg(test)]
mod tests;
