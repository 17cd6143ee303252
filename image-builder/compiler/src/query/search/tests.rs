//! The search against one that tries every walk.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// Domains, beside which each may have a device of its own.
const DOMAINS: usize = 4;
const NODES: usize = 2 * DOMAINS;

/// Everything that the search is given. Node `DOMAINS + n` belongs to node `n`.
#[derive(Debug, Clone)]
struct Graph {
    keepers: Vec<bool>,
    clients: Vec<(usize, usize)>,
    flows: Vec<(usize, usize)>,
    removed: Vec<bool>,
}

fn graphs() -> impl Strategy<Value = Graph> {
    let pair = || (0..DOMAINS, 0..DOMAINS).prop_filter("itself", |(one, other)| one != other);
    let devices = prop::collection::vec(0..DOMAINS, 0..3);
    let sizes = (prop::collection::vec(pair(), 0..9), prop::collection::vec(pair(), 0..6), devices);
    let flags = |count| prop::collection::vec(prop::bool::weighted(0.3), count);
    (sizes, flags(DOMAINS), flags(NODES)).prop_map(|((mut flows, clients, devices), mut keepers, removed)| {
        for owner in devices {
            flows.extend([(owner, DOMAINS + owner), (DOMAINS + owner, owner)]);
        }
        keepers.resize(NODES, false);
        let removed = removed.into_iter().enumerate().map(|(place, is_removed)| is_removed && place % 3 == 0);
        Graph { keepers, clients, flows, removed: removed.collect() }
    })
}

impl Graph {
    fn flows(&self) -> Flows {
        let owners: Vec<_> = (0..NODES).map(|node| node.checked_sub(DOMAINS)).collect();
        Flows::by_hand(&owners, &self.keepers, &self.clients, &self.flows)
    }

    fn home(node: usize) -> usize {
        node % DOMAINS
    }

    /// Whether a way may go so. A stay with a domain is the part of a way that is with it and what belongs to it: if it
    /// comes from a client of one that keeps clients apart, it does not go on to a client.
    fn may(&self, walk: &[usize]) -> bool {
        let mut stays = walk.chunk_by(|one, other| Self::home(*one) == Self::home(*other)).peekable();
        let mut before = None;
        while let Some(stay) = stays.next() {
            let server = Self::home(stay[0]);
            let is_client = |node: usize| self.clients.contains(&(server, node));
            let (from, to) = (before, stays.peek().map(|next| next[0]));
            if self.keepers[server] && from.is_some_and(is_client) && to.is_some_and(is_client) {
                return false;
            }
            before = stay.last().copied();
        }
        !walk.iter().any(|node| self.removed[*node])
    }

    /// The length of the shortest ways between two nodes, and how many there are: by trying every walk that may be, and
    /// is at no node more than twice. At a third time at a node, a walk could do without what was between two of them.
    fn shortest(&self) -> BTreeMap<(usize, usize), (usize, u64)> {
        let mut shortest = BTreeMap::new();
        let mut walks: Vec<Vec<usize>> = (0..NODES).map(|start| vec![start]).collect();
        walks.retain(|walk| self.may(walk));
        while !walks.is_empty() {
            let longer = walks.iter().flat_map(|walk| {
                let next = (0..NODES).filter(|next| self.flows.contains(&(*walk.last().unwrap(), *next)));
                let next = next.filter(|next| walk.iter().filter(|node| *node == next).count() < 2);
                next.map(move |next| [walk.as_slice(), &[next]].concat())
            });
            walks = longer.filter(|walk| self.may(walk)).collect();
            for walk in &walks {
                let steps = walk.len() - 1;
                let known = shortest.entry((walk[0], walk[steps])).or_insert((steps, 0));
                known.1 += u64::from(known.0 == steps);
            }
        }
        shortest
    }
}

/// The shortest of the ways from one set to another, and how many there are.
fn brute(
    shortest: &BTreeMap<(usize, usize), (usize, u64)>,
    from: &[bool],
    to: &[bool],
) -> Option<(usize, u64)> {
    let pairs = shortest.iter().filter(|((start, end), _)| from[*start] && to[*end] && start != end);
    let pairs: Vec<_> = pairs.map(|(_, found)| *found).collect();
    let steps = pairs.iter().map(|(steps, _)| *steps).min()?;
    Some((steps, pairs.iter().filter(|pair| pair.0 == steps).map(|pair| pair.1).sum()))
}

fn ways(flows: &Flows, removed: Vec<bool>) -> Ways<'_> {
    Ways { flows, removed: Members(removed), kinds: Vec::new(), is_nothing_assumed: false }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn finds_what_trying_everything_finds(
        graph in graphs(),
        from in prop::collection::vec(any::<bool>(), NODES),
        to in prop::collection::vec(prop::bool::weighted(0.3), NODES),
    ) {
        let flows = graph.flows();
        let ways = ways(&flows, graph.removed.clone());
        let ends = |set: &[bool]| {
            let mut ends = Members(set.to_vec());
            ends.remove(&ways.removed);
            ends
        };
        let (from, to) = (ends(&from), ends(&to));
        let found = ways.shortest(&from, &to);
        let shortest = graph.shortest();
        let expected = brute(&shortest, &from.0, &to.0);
        prop_assert_eq!(found.as_ref().map(|way| way.nodes.len() - 1), expected.map(|(steps, _)| steps));
        if let Some(way) = &found {
            let walk: Vec<usize> = way.nodes.iter().map(|node| node.0).collect();
            prop_assert!(graph.may(&walk), "{:?}", walk);
            prop_assert!(walk.windows(2).all(|pair| graph.flows.contains(&(pair[0], pair[1]))));
            prop_assert!(from.0[walk[0]] && to.0[*walk.last().unwrap()]);
            if !from.meets(&to) {
                prop_assert_eq!(Some(way.count), expected.map(|(_, count)| count));
            }
        }
        // Both lists say of each node what a search from or to it alone finds.
        let (distances_to, distances_from) = (ways.distances_to(&to), ways.distances_from(&from));
        for node in (0..NODES).filter(|node| !graph.removed[*node]) {
            let one: Vec<bool> = (0..NODES).map(|other| other == node).collect();
            if !to.0[node] {
                prop_assert_eq!(distances_to[node], brute(&shortest, &one, &to.0).map(|(steps, _)| steps));
            }
            if !from.0[node] {
                prop_assert_eq!(distances_from[node], brute(&shortest, &from.0, &one).map(|(steps, _)| steps));
            }
        }
    }
}

/// A state is looked at once, and so is a step: whatever the graph, the effort grows with nodes and flows.
#[test]
fn the_effort_is_that_of_looking_at_everything_once() {
    const MANY: usize = 300;
    const FLOWS: usize = 4000;
    let all: Vec<(usize, usize)> =
        (0..MANY).flat_map(|one| (0..MANY).map(move |other| (one, other))).collect();
    let different = all.into_iter().filter(|(one, other)| one != other);
    // Spread over the graph; 89700 pairs, of which every 22nd.
    let flows: Vec<_> = different.step_by(22).take(FLOWS).collect();
    assert_eq!(flows.len(), FLOWS);
    let clients: Vec<_> = flows.iter().copied().step_by(2).collect();
    let flows = Flows::by_hand(&[None; MANY], &[true; MANY], &clients, &flows);
    let ways = ways(&flows, vec![false; MANY]);
    let (any, mut one) = (Members(vec![true; MANY]), Members(vec![false; MANY]));
    one.0[MANY - 1] = true;
    let (states, steps) = (2 * MANY, 2 * FLOWS);
    let (_, effort) = ways.counted(&any, &one);
    assert!(effort <= states + FLOWS + steps, "{effort}");
    // Sets that share nodes are halved by each bit of a node's number.
    let (way, effort) = ways.counted(&any, &any);
    assert_eq!(way.unwrap().nodes.len(), 2);
    let halves = 2 * (usize::BITS - MANY.leading_zeros()) as usize;
    assert!(effort <= states + FLOWS + halves * steps, "{effort}");
}
