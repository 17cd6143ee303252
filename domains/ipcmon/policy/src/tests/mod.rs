use std::vec::Vec;

use cloison_abi::{
    Name,
    access::{Class, Classes},
    policy::{FIRST_INDEX, MAX_TYPES, PolicyDomain, PolicyHeader, PolicyRule, PolicyStart, PolicyWall},
};
use proptest::prelude::*;
use zerocopy::IntoBytes;

use super::*;

extern crate std;

mod search;

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

/// Four types, `service`, `visitor`, `one` and `two`; a policy in which a wall is between the last two.
pub(crate) struct World {
    pub(crate) header: PolicyHeader,
    pub(crate) domains: Vec<PolicyDomain>,
    pub(crate) rules: Vec<PolicyRule>,
    pub(crate) walls: Vec<PolicyWall>,
}

const SERVICE: u32 = 0;
const VISITOR: u32 = 1;
const ONE: u32 = 2;
const TWO: u32 = 3;

impl World {
    /// Domains of these types, from index 2 on. Everybody may do everything.
    pub(crate) fn new(kinds: &[u32]) -> Self {
        let mut header = PolicyHeader { domains: kinds.len() as u32, policies: 1, ..PolicyHeader::default() };
        for (place, text) in ["service", "visitor", "one", "two"].into_iter().enumerate() {
            header.types[place] = name(text);
        }
        let asked = Classes::ASKED.bits();
        let domain = |(place, kind): (usize, &u32)| PolicyDomain {
            name: name(&std::format!("d{place}")),
            kind: *kind,
            asked,
            apart: 0,
            tells: 0,
        };
        let pairs = (0..4).flat_map(|from| (0..4).map(move |to| (from, to)));
        let rules = pairs.map(|(from, to)| PolicyRule { from, to, may: asked, line: 10 + from }).collect();
        let walls = Vec::from([PolicyWall { name: name("wall"), between: 1 << ONE | 1 << TWO, line: 20 }]);
        Self { header, domains: kinds.iter().enumerate().map(domain).collect(), rules, walls }
    }

    pub(crate) fn domains(&self) -> Domains<'_> {
        Domains::new(&self.header, &self.domains)
    }

    pub(crate) fn policy(&self) -> Policy<'_> {
        Policy { name: name("first"), rules: &self.rules, walls: &self.walls }
    }

    fn bytes(&self) -> Vec<u8> {
        let (rules, walls) = (self.rules.len() as u32, self.walls.len() as u32);
        let start = PolicyStart { name: name("first"), rules, walls };
        let tables = [self.header.as_bytes(), self.domains.as_bytes(), start.as_bytes()].concat();
        [&tables, self.rules.as_bytes(), self.walls.as_bytes()].concat()
    }

    fn fault(&self) -> Option<Fault> {
        self.policy().faults(self.domains()).next()
    }
}

fn call(subject: u8, object: u8) -> Flow {
    Flow { subject, object, class: Class::Call }
}

fn signal(subject: u8, object: u8) -> Flow {
    Flow { subject, object, class: Class::Signal }
}

/// Opens channels one after the other; says of each whether it is open then, and else where the wall is.
fn opened(world: &World, flows: &[Flow]) -> Vec<Result<(), (u8, u8)>> {
    let mut history = History::new(world.domains());
    let mut open = |flow: &Flow| {
        let outcome = history.open(world.domains(), world.policy().walls, *flow);
        assert_eq!(history.is_open(*flow), outcome.is_ok());
        outcome.map_err(|meeting| (meeting.at, meeting.known))
    };
    flows.iter().map(&mut open).collect()
}

const A: u8 = 2;
const B: u8 = 3;
const C: u8 = 4;
const D: u8 = 5;

#[test]
fn who_has_touched_one_side_does_not_get_to_the_other() {
    let world = World::new(&[VISITOR, ONE, TWO]);
    assert_eq!(opened(&world, &[call(A, B), call(A, C)]), [Ok(()), Err((A, ONE as u8))]);
    assert_eq!(opened(&world, &[call(A, C), call(A, B)]), [Ok(()), Err((A, TWO as u8))]);
    assert_eq!(opened(&world, &[call(B, C)]), [Err((B, ONE as u8))], "a side is of its own type");
    let same = World::new(&[VISITOR, ONE, ONE]);
    assert_eq!(opened(&same, &[call(A, B), call(A, C), call(B, C)]), [Ok(()); 3]);
}

#[test]
fn what_was_learned_is_passed_on_by_whatever_is_open() {
    let world = World::new(&[VISITOR, VISITOR, ONE, TWO]);
    // A learns of one side, B of the other; then they may not talk, no matter who begins.
    let apart = [call(A, C), call(B, D)];
    for last in [call(A, B), call(B, A), signal(A, B)] {
        let seen = opened(&world, &[apart[0], apart[1], last]);
        assert!(seen[2].is_err(), "{last:?}");
    }
    // They talk first: what one learns later the other learns, too.
    let seen = opened(&world, &[call(A, B), call(A, C), call(B, D)]);
    assert_eq!(seen, [Ok(()), Ok(()), Err((B, ONE as u8))]);
    // A signal tells the one to whom it is sent, and nobody else.
    assert_eq!(opened(&world, &[signal(B, A), call(A, C), call(B, D)])[1..], [Ok(()), Err((A, ONE as u8))]);
    assert_eq!(opened(&world, &[signal(A, B), call(A, C), call(B, D)])[1..], [Ok(()), Err((B, ONE as u8))]);
    assert_eq!(opened(&world, &[signal(A, B), call(B, D), call(A, D)]), [Ok(()); 3]);
}

#[test]
fn a_domain_that_keeps_its_clients_apart_joins_none_of_them() {
    let mut world = World::new(&[ONE, TWO, SERVICE, SERVICE]);
    assert_eq!(opened(&world, &[call(A, C), call(B, C)])[1], Err((B, TWO as u8)), "it does not, yet");
    world.domains[2].apart = 1 << A | 1 << B;
    assert_eq!(opened(&world, &[call(A, C), call(B, C)]), [Ok(()); 2]);
    // It hands on to a server what both said, and that one keeps nobody apart.
    let seen = opened(&world, &[call(A, C), call(C, D), call(B, C)]);
    assert_eq!(seen[..2], [Ok(()); 2]);
    assert!(seen[2].is_err(), "both sides would meet in D");
    world.domains[3].apart = 1 << C;
    assert_eq!(opened(&world, &[call(A, C), call(C, D), call(B, C)]), [Ok(()); 3]);
    // What its own server tells it, it tells its clients.
    let mut world = World::new(&[ONE, TWO, SERVICE]);
    world.domains[2].apart = 1 << A;
    assert!(opened(&world, &[call(A, C), call(C, B)])[1].is_err());
}

#[test]
fn nothing_is_forgotten_when_a_channel_is_closed() {
    let world = World::new(&[VISITOR, ONE, TWO, VISITOR]);
    let (domains, policy) = (world.domains(), world.policy());
    let mut history = History::new(domains);
    history.open(domains, policy.walls, call(A, B)).unwrap();
    history.close(call(A, B));
    assert!(!history.is_open(call(A, B)));
    assert!(history.open(domains, policy.walls, call(A, C)).is_err(), "it has learned it already");
    // What comes later does not pass a closed channel.
    history.open(domains, policy.walls, call(D, A)).unwrap();
    history.close(call(D, A));
    assert!(history.open(domains, policy.walls, call(D, C)).is_err());
    let mut history = History::new(domains);
    history.open(domains, policy.walls, call(A, D)).unwrap();
    history.close(call(A, D));
    history.open(domains, policy.walls, call(A, B)).unwrap();
    assert_eq!(history.open(domains, policy.walls, call(D, C)), Ok(()));
    // A wall that comes later keeps who knows of both sides from either, and from nobody else.
    let mut history = History::new(domains);
    [call(A, B), call(A, C)].into_iter().for_each(|flow| history.open(domains, &[], flow).unwrap());
    history.flows().for_each(|flow| history.close(flow));
    // The server has learned of the other side from its client.
    for (flow, at) in [(call(A, B), A), (call(C, A), C)] {
        let meeting = history.open(domains, policy.walls, flow).unwrap_err();
        assert_eq!((meeting.wall, meeting.at, meeting.known, meeting.learned), (0, at, ONE as u8, TWO as u8));
    }
    // Memory stays shared.
    let share = Flow { class: Class::Share, ..call(A, D) };
    let mut history = History::new(domains);
    history.open(domains, policy.walls, share).unwrap();
    history.close(share);
    assert_eq!(history.flows().collect::<Vec<_>>(), [share]);
}

#[test]
fn a_wall_that_does_not_stand_is_found_with_the_domain_that_learns_of_both() {
    let mut world = World::new(&[SERVICE, ONE, TWO]);
    assert_eq!(world.fault(), None);
    world.domains[1].tells = 1 << A;
    assert_eq!(world.fault(), None);
    world.domains[2].tells = 1 << A;
    assert_eq!(world.fault(), Some(Fault::WallOpen(0, A)));
    world.domains[0].apart = 1 << B | 1 << C;
    assert_eq!(world.fault(), None, "it keeps them apart");
    world.domains[1].tells = 1 << C;
    assert_eq!(world.fault(), Some(Fault::WallOpen(0, C)));
}

#[test]
fn each_fault_is_found() {
    let with = |change: &dyn Fn(&mut World)| {
        let mut world = World::new(&[VISITOR, ONE, TWO]);
        change(&mut world);
        world.fault()
    };
    let wall = |text: &str, between| PolicyWall { name: name(text), between, line: 1 };
    let both = 1 << ONE | 1 << TWO;
    for (found, expected) in [
        (with(&|_| ()), None),
        (with(&|world| world.rules[3].from = 4), Some(Fault::RuleType(3))),
        (with(&|world| world.rules[3].to = MAX_TYPES as u32), Some(Fault::RuleType(3))),
        (with(&|world| world.rules[3].may = 0), Some(Fault::RuleClass(3))),
        (with(&|world| world.rules[3].may = Classes::HOLD.bits()), Some(Fault::RuleClass(3))),
        (with(&|world| world.rules[3].may = u32::MAX), Some(Fault::RuleClass(3))),
        (with(&|world| world.rules = world.rules.repeat(40)), Some(Fault::Rules(640))),
        (with(&|world| world.walls[0].between = 1 << ONE), Some(Fault::WallOfOne(0))),
        (with(&|world| world.walls[0].between = 0), Some(Fault::WallOfOne(0))),
        (with(&|world| world.walls[0].between |= 1 << 4), Some(Fault::WallType(0))),
        (with(&|world| world.walls[0].between |= 1 << 31), Some(Fault::WallType(0))),
        (with(&|world| world.walls[0].name = Name::EMPTY), Some(Fault::WallName(0))),
        (with(&|world| world.walls.push(wall("wall", both))), Some(Fault::WallName(1))),
        (with(&|world| world.walls.push(wall("other", both))), None),
        (with(&|world| world.walls = [wall("wall", both)].repeat(9)), Some(Fault::Walls(9))),
    ] {
        assert_eq!(found, expected);
    }
}

#[test]
fn a_policy_is_found_by_its_name_and_judged_then() {
    let mut world = World::new(&[VISITOR, ONE]);
    let bytes = world.bytes();
    let policies = Policies::read(&bytes).unwrap();
    let policy = policies.find(name("first")).unwrap().unwrap();
    assert_eq!((policy.rules.len(), policy.walls.len()), (16, 1));
    assert!(policies.find(name("second")).unwrap().is_none());
    assert_eq!(policy.rule(policies.domains(), call(B, A)).unwrap().line, 10 + ONE);
    assert!(policy.rule(policies.domains(), call(B, C)).is_none(), "there is no C");
    for cut in 0..bytes.len() {
        assert!(Policies::read(&bytes[..cut]).and_then(|cut| cut.find(name("first"))).is_err(), "{cut}");
    }
    world.domains[1].kind = 4;
    assert_eq!(Policies::read(&world.bytes()).unwrap_err(), Fault::Domain(1));
    let world = World::new(&[VISITOR; 31]);
    assert_eq!(Policies::read(&world.bytes()).unwrap_err(), Fault::Domains(31));
    let mut world = World::new(&[VISITOR]);
    world.walls[0].between = 0;
    let bytes = world.bytes();
    assert_eq!(Policies::read(&bytes).unwrap().find(name("first")).unwrap_err(), Fault::WallOfOne(0));
}

proptest! {
    /// Whatever bytes there are, they are read or refused, and what is read can be asked anything.
    #[test]
    fn any_bytes(
        words in prop::collection::vec(prop_oneof![Just(0_u32), 0..4_u32, any::<u32>()], 0..200),
        (domains, policies) in (0..4_u32, 0..4_u32),
        flow in (any::<u8>(), any::<u8>(), 0..Class::ALL.len()),
    ) {
        let mut words = words;
        if let [first, second, ..] = &mut words[..] {
            (*first, *second) = (domains, policies);
        }
        if let Ok(policies) = Policies::read(words.as_bytes()) {
            let domains = policies.domains();
            let flow = Flow { subject: flow.0, object: flow.1, class: Class::ALL[flow.2] };
            let mut history = History::new(domains);
            if let Ok(Some(policy)) = policies.find(Name::EMPTY) {
                let _ = policy.rule(domains, flow);
                let _ = history.open(domains, policy.walls, flow);
            }
            history.close(flow);
            let _ = (history.is_open(flow), domains.name(flow.subject), domains.kind_of(flow.object));
        }
    }

    /// Each single change of a policy's bytes gives one that is refused or that says something in its own bounds.
    #[test]
    fn a_changed_byte(place in 0..600_usize, by in 1..=255_u8) {
        let world = World::new(&[VISITOR, ONE, TWO]);
        let mut bytes = world.bytes();
        let place = place % bytes.len();
        bytes[place] ^= by;
        if let Ok(policies) = Policies::read(&bytes)
            && let Ok(Some(policy)) = policies.find(name("first"))
        {
            prop_assert!(policy.walls.iter().all(|wall| wall.between.count_ones() > 1 && wall.between < 1 << 16));
            prop_assert!(policies.domains().all().all(|(index, _)| u32::from(index) >= FIRST_INDEX && index < 32));
        }
    }
}
