//! Every order of what few domains can do, and what holds after each: no wall is passed.

use std::{collections::HashSet, vec::Vec};

use super::*;

/// Who keeps whom apart, among domains of these types.
struct Setting {
    kinds: &'static [u32],
    /// A domain that keeps apart, and its clients, as places.
    keeper: Option<(usize, &'static [usize])>,
    /// Pairs between which something flows unasked, as places.
    unasked: &'static [(usize, usize)],
}

/// What can be done: what is asked, in one of the classes that differ in how something flows.
fn flows(count: u8) -> Vec<Flow> {
    let pairs = (A..A + count).flat_map(|subject| (A..A + count).map(move |object| (subject, object)));
    let pairs = pairs.filter(|(subject, object)| subject != object);
    pairs.flat_map(|(subject, object)| [call(subject, object), signal(subject, object)]).collect()
}

/// The truth, kept in another way: for each domain the set of those from whom something has come, by following each step
/// again over all that is open.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Truth {
    open: Vec<Flow>,
    /// From whom something has reached whom; of a domain that keeps apart, what came by a client is marked.
    reached: std::collections::BTreeSet<(u8, u8, bool)>,
}

impl Truth {
    fn settle(&mut self, world: &World, unasked: &[(usize, usize)]) {
        let both = |flow: &Flow| {
            let back = (flow.object, flow.subject);
            [Some((flow.subject, flow.object)), (flow.class == Class::Call).then_some(back)]
        };
        let index = |place: usize| place as u8 + A;
        let mut steps: Vec<(u8, u8)> = self.open.iter().flat_map(both).flatten().collect();
        steps.extend(unasked.iter().map(|(from, to)| (index(*from), index(*to))));
        let apart =
            |keeper: u8, client: u8| world.domains[usize::from(keeper - A)].apart & (1 << client) != 0;
        loop {
            let before = self.reached.len();
            for (from, to) in &steps {
                let known: Vec<_> = self.reached.iter().copied().filter(|(at, ..)| at == from).collect();
                for (_, source, by_client) in known {
                    if !(by_client && apart(*from, *to)) {
                        self.reached.insert((*to, source, apart(*to, *from)));
                    }
                }
            }
            if self.reached.len() == before {
                return;
            }
        }
    }

    /// Whether some domain knows of both sides.
    fn breaks(&self, world: &World) -> bool {
        let kind = |index: u8| world.domains[usize::from(index - A)].kind;
        let knows = |at: u8, side: u32| {
            self.reached
                .iter()
                .any(|(to, source, by_client)| *to == at && !by_client && kind(*source) == side)
        };
        (A..A + world.domains.len() as u8).any(|at| knows(at, ONE) && knows(at, TWO))
    }
}

/// Goes through all states that can be reached by asking and closing, with and without the wall being looked at. Returns
/// how many there are, and how many questions were denied.
fn search(setting: &Setting) -> (usize, usize) {
    let mut world = World::new(setting.kinds);
    if let Some((keeper, clients)) = setting.keeper {
        world.domains[keeper].apart =
            clients.iter().fold(0, |all, client| all | 1 << (client + usize::from(A)));
    }
    for (from, to) in setting.unasked {
        world.domains[*from].tells |= 1 << (to + usize::from(A));
    }
    assert_eq!(world.fault(), None);
    let (domains, policy) = (world.domains(), world.policy());
    let own = (A..A + setting.kinds.len() as u8).map(|index| (index, index, false));
    let mut truth = Truth { open: Vec::new(), reached: own.collect() };
    truth.settle(&world, setting.unasked);
    let mut open = Vec::from([(History::new(domains), truth)]);
    let mut seen = HashSet::new();
    let (mut denied, all) = (0, flows(setting.kinds.len() as u8));
    while let Some((history, truth)) = open.pop() {
        if !seen.insert(truth.clone()) {
            continue;
        }
        assert!(!truth.breaks(&world), "{:?}", truth.open);
        for flow in &all {
            let (mut next, mut then) = (history.clone(), truth.clone());
            if history.is_open(*flow) {
                next.close(*flow);
                then.open.retain(|open| open != flow);
            } else {
                let answer = next.open(domains, policy.walls, *flow);
                then.open.push(*flow);
                then.open.sort_by_key(|flow| (flow.subject, flow.object, flow.class as u8));
                then.settle(&world, setting.unasked);
                assert_eq!(answer.is_err(), then.breaks(&world), "{flow:?} after {:?}", truth.open);
                if answer.is_err() {
                    denied += 1;
                    assert_eq!(next, history, "a question that is denied changes nothing");
                    continue;
                }
            }
            open.push((next, then));
        }
    }
    (seen.len(), denied)
}

#[test]
fn no_order_of_questions_passes_a_wall() {
    let settings = [
        Setting { kinds: &[VISITOR, ONE, TWO], keeper: None, unasked: &[] },
        Setting { kinds: &[SERVICE, ONE, TWO], keeper: Some((0, &[1, 2])), unasked: &[(1, 0), (2, 0)] },
        Setting { kinds: &[SERVICE, VISITOR, TWO], keeper: Some((0, &[1, 2])), unasked: &[(0, 1)] },
        Setting { kinds: &[VISITOR, VISITOR, ONE], keeper: None, unasked: &[(0, 1)] },
    ];
    for setting in settings {
        let (states, denied) = search(&setting);
        assert!(states > 50, "{states}");
        assert!(denied > 0 || !(setting.kinds.contains(&ONE) && setting.kinds.contains(&TWO)));
    }
}
