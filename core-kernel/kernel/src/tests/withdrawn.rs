//! Memory that the monitor withdraws: who has it together with another one sees a page of its own in its place, and sees the
//! memory again when that is given back.

use std::{assert_eq, vec::Vec};

use cloison_abi::{
    CallError, CallNumber, Rights,
    access::{Classes, Decision},
    call::EVERYONE,
    limits::{EVENT_PEER_FAILED, MAX_DOMAINS, PAGE_BYTES},
};
use cloison_rules::{DomainId, Frame};
use proptest::prelude::*;

use super::acts::{
    ADDRESSES, Act, BIG, DOMAINS, GATES, LOANS, MIDDLE, OWN, call, create, give_region, map_into, start,
};
use super::monitor::{FIRST, Judged, MONITOR, RIGHT, SECOND};
use super::sequences::turn;
use crate::arch::machine::{self, Came};

const READ_WRITE: Rights = Rights::READ.union(Rights::WRITE);
/// Where both see the second domain's memory: more of it than one step settles.
const HERE: u64 = ADDRESSES[1];
const PAGES: u64 = 70;
/// Where the second sees what the first lends it.
const LENT: u64 = ADDRESSES[0];

/// Two domains that have memory together.
struct Sharing(Judged);

impl Sharing {
    fn new() -> Self {
        Self::by([READ_WRITE, READ_WRITE])
    }

    fn by(rights: [Rights; 2]) -> Self {
        let mut judged = Judged::new();
        for (index, rights) in rights.into_iter().enumerate() {
            judged.0.done(map_into(index, MIDDLE, HERE, PAGES, rights));
        }
        Self(judged)
    }

    fn decide(&mut self, subject: DomainId, object: DomainId, decision: Decision) {
        self.verdict(subject, object.index() as u64, decision);
    }

    fn verdict(&mut self, subject: DomainId, object: u64, decision: Decision) {
        let act = verdict(subject, object, Classes::SHARE, decision);
        let came = self.0.0.finish(MONITOR, act);
        assert!(matches!(came, Some(Came::To(0, _))), "{act:?}: {came:?}");
        self.0.0.check();
    }

    /// The pages that a domain sees from an address on.
    fn seen(&self, id: DomainId, address: u64) -> Vec<Frame> {
        let range = address..address + PAGES * PAGE_BYTES;
        let all = machine::seen(&self.0.0.kernel.domain(id).space).into_iter();
        all.filter(|(at, ..)| range.contains(at)).map(|(_, frame, ..)| frame).collect()
    }

    /// Whether a domain sees its dead page there, and nothing else.
    fn sees_nothing(&self, id: DomainId, address: u64) -> bool {
        let (seen, dead) = (self.seen(id, address), self.0.0.kernel.domain(id).space.dead());
        !seen.is_empty() && seen.iter().all(|frame| Some(*frame) == dead)
    }

    /// Whether a domain has been told that a peer is not what it was.
    fn is_told(&self, id: DomainId) -> bool {
        let thread = self.0.0.kernel.thread(id).unwrap();
        self.0.0.kernel.threads.get(thread).pending() & 1 << EVENT_PEER_FAILED != 0
    }

    /// The first lends its memory to the second, which maps it.
    fn lend(&mut self) {
        self.0.decide(0, FIRST, 3, Classes::SHARE, Decision::Allow);
        let world = &mut self.0.0;
        let rights = READ_WRITE.bits().into();
        for (actor, act) in [
            (FIRST, call(CallNumber::RegionGrant, OWN, &[GATES[0].into(), rights])),
            (SECOND, call(CallNumber::RegionMap, LOANS, &[LENT, 0, PAGES, rights])),
        ] {
            let came = world.finish(actor, act);
            assert!(matches!(came, Some(Came::To(0.., _))), "{act:?}: {came:?}");
        }
        world.check();
    }
}

fn verdict(subject: DomainId, object: u64, classes: Classes, decision: Decision) -> Act {
    let arguments = [subject.index() as u64, object, classes.bits().into(), decision as u64];
    call(CallNumber::VerdictSet, RIGHT, &arguments)
}

#[test]
fn memory_that_is_withdrawn_shows_a_page_of_its_own_until_it_is_given_back() {
    let mut sharing = Sharing::new();
    let memory = sharing.seen(FIRST, HERE);
    assert_eq!((memory.len() as u64, sharing.seen(SECOND, HERE)), (PAGES, memory.clone()));
    sharing.decide(FIRST, SECOND, Decision::Deny);
    assert!(sharing.sees_nothing(FIRST, HERE));
    assert_eq!(sharing.seen(SECOND, HERE), memory, "the other one goes on");
    let dead = sharing.seen(FIRST, HERE)[0];
    machine::scribble(dead, 7);
    assert!(memory.iter().all(|frame| machine::page(*frame)[0] != 7));
    sharing.decide(FIRST, SECOND, Decision::Allow);
    assert_eq!(sharing.seen(FIRST, HERE), memory);
}

#[test]
fn memory_that_is_only_read_is_withdrawn_too() {
    let mut sharing = Sharing::by([Rights::READ, READ_WRITE]);
    sharing.decide(FIRST, SECOND, Decision::Deny);
    assert!(sharing.sees_nothing(FIRST, HERE));
}

#[test]
fn the_dead_page_is_not_executed() {
    let mut sharing = Sharing::by([Rights::READ | Rights::EXECUTE, READ_WRITE]);
    // What it writes elsewhere would be what it executes here.
    sharing.decide(FIRST, SECOND, Decision::Deny);
    let mut seen = machine::seen(&sharing.0.0.kernel.domain(FIRST).space).into_iter();
    let (_, _, write, execute) = seen.find(|(at, ..)| *at == HERE).unwrap();
    assert!(!write && !execute);
}

#[test]
fn what_others_have_together_stays() {
    let mut sharing = Sharing::new();
    let own = sharing.seen(SECOND, HERE);
    sharing.decide(FIRST, MONITOR, Decision::Deny);
    assert_eq!(sharing.seen(FIRST, HERE), own, "of another pair");
    sharing.verdict(FIRST, EVERYONE, Decision::Deny);
    assert_eq!(sharing.seen(SECOND, HERE), own);
    assert!(sharing.sees_nothing(FIRST, HERE));
}

#[test]
fn neither_a_question_nor_an_answer_nor_another_life_gives_it_back() {
    let mut sharing = Sharing::new();
    sharing.decide(FIRST, SECOND, Decision::Deny);
    sharing.decide(FIRST, SECOND, Decision::Ask);
    assert!(sharing.sees_nothing(FIRST, HERE), "who reads and writes does not ask");
    let epoch = sharing.0.0.kernel.monitor.epoch;
    assert_eq!(sharing.0.decide(epoch, FIRST, 3, Classes::SHARE, Decision::Allow), 0);
    sharing.decide(FIRST, MONITOR, Decision::Allow);
    assert!(sharing.sees_nothing(FIRST, HERE), "an answer, and one about another pair");
    for domain in [0, 1] {
        sharing.0.0.done(call(CallNumber::DomainStop, DOMAINS[domain], &[]));
        sharing.0.0.done(start(domain));
        assert!(sharing.sees_nothing(FIRST, HERE), "{domain}");
        sharing.0.0.check();
    }
    sharing.decide(FIRST, SECOND, Decision::Allow);
    assert_eq!(sharing.seen(FIRST, HERE), sharing.seen(SECOND, HERE));
}

#[test]
fn a_denied_answer_withdraws_no_memory() {
    let mut sharing = Sharing::new();
    let epoch = sharing.0.0.kernel.monitor.epoch;
    assert_eq!(sharing.0.decide(epoch, FIRST, 3, Classes::SHARE, Decision::Deny), 0);
    assert_eq!(sharing.0.decide(0, FIRST, 3, Classes::CALL, Decision::Deny), 0);
    assert_eq!(sharing.seen(FIRST, HERE), sharing.seen(SECOND, HERE));
}

#[test]
fn of_what_is_lent_the_borrower_sees_nothing() {
    for (subject, object) in [(FIRST, SECOND), (SECOND, FIRST)] {
        let mut sharing = Sharing::new();
        sharing.lend();
        let (lent, shared) = (sharing.seen(SECOND, LENT), sharing.seen(object, HERE));
        sharing.decide(subject, object, Decision::Deny);
        assert!(sharing.sees_nothing(SECOND, LENT), "{subject:?}");
        assert_eq!(sharing.seen(object, HERE), shared, "what the plan has them share");
        // Its own memory the lender keeps.
        let planned = super::acts::PLANNED_ADDRESS + 0x10_0000;
        assert_eq!(sharing.seen(FIRST, planned), lent);
        sharing.decide(subject, object, Decision::Allow);
        assert_eq!(sharing.seen(SECOND, LENT), lent);
    }
}

#[test]
fn what_is_mapped_later_is_withdrawn_from_the_start() {
    let mut sharing = Sharing::new();
    sharing.decide(FIRST, SECOND, Decision::Deny);
    sharing.0.0.done(map_into(0, MIDDLE, LENT, PAGES, READ_WRITE));
    assert!(sharing.sees_nothing(FIRST, LENT));
    sharing.0.0.check();
}

#[test]
fn who_gets_it_later_has_it_alone() {
    let mut sharing = Sharing::new();
    sharing.decide(FIRST, MONITOR, Decision::Deny);
    sharing.0.0.done(give_region(2, LOANS + 9, MIDDLE, READ_WRITE));
    assert!(sharing.sees_nothing(FIRST, HERE));
    sharing.0.0.check();
}

#[test]
fn both_sides_are_told_and_nobody_else() {
    for decision in [Decision::Deny, Decision::Allow] {
        let mut sharing = Sharing::new();
        if decision == Decision::Allow {
            sharing.decide(FIRST, SECOND, Decision::Deny);
            for id in [FIRST, SECOND] {
                let wait = [0, 0, 0, 0, 1 << EVENT_PEER_FAILED, 0];
                sharing.0.0.turn(id, call(CallNumber::Wait, 0, &wait));
            }
        }
        assert!([FIRST, SECOND].iter().all(|id| !sharing.is_told(*id)));
        sharing.decide(FIRST, SECOND, decision);
        assert!([FIRST, SECOND].iter().all(|id| sharing.is_told(*id)), "{decision:?}");
        assert!(!sharing.is_told(MONITOR));
    }
}

#[test]
fn nobody_is_told_of_what_changes_nothing() {
    let mut sharing = Sharing::new();
    sharing.decide(FIRST, SECOND, Decision::Allow);
    sharing.decide(FIRST, MONITOR, Decision::Deny);
    assert!(!sharing.is_told(SECOND));
}

#[test]
fn who_has_used_up_its_quota_sees_nothing_at_all() {
    let mut sharing = Sharing::new();
    // Far from one another, so that each takes tables.
    let memory = sharing.seen(SECOND, HERE);
    for place in 1..8_u64 {
        let map = call(CallNumber::RegionMap, OWN, &[place << 30, 0, 1, 1]);
        sharing.0.0.finish(FIRST, map);
    }
    sharing.decide(FIRST, SECOND, Decision::Deny);
    assert_eq!(sharing.seen(FIRST, HERE), []);
    sharing.decide(FIRST, SECOND, Decision::Allow);
    assert_eq!(sharing.seen(FIRST, HERE), memory);
}

/// What could be mapped of a loan that is withdrawn is all given back, also where the quota has ended it within a step.
#[test]
fn a_mapping_cut_short_by_the_quota_comes_back_as_a_whole() {
    // It begins in one table and would go on in another one.
    const BORDER: u64 = ADDRESSES[0] + (2 << 20) - 30 * PAGE_BYTES;
    let mut cut_short = 0;
    for used in 0..8_u64 {
        let mut sharing = Sharing::new();
        sharing.lend();
        sharing.0.0.finish(SECOND, call(CallNumber::RegionUnmap, 0, &[LENT]));
        sharing.decide(SECOND, FIRST, Decision::Deny);
        let map = |at: u64, pages| call(CallNumber::RegionMap, LOANS, &[at, 0, pages, 1]);
        for place in 1..=used {
            sharing.0.0.finish(SECOND, map(place << 30, 1));
        }
        let came = sharing.0.0.finish(SECOND, map(BORDER, PAGES));
        let seen = sharing.seen(SECOND, BORDER).len();
        cut_short += usize::from(seen > 0 && matches!(came, Some(Came::To(..0, _))));
        sharing.decide(SECOND, FIRST, Decision::Allow);
        let dead = sharing.0.0.kernel.domain(SECOND).space.dead();
        let back = sharing.seen(SECOND, BORDER);
        assert!(back.len() == seen && back.iter().all(|frame| Some(*frame) != dead), "{used}: {back:?}");
    }
    assert!(cut_short > 0, "the quota has never ended one");
}

#[test]
fn a_new_policy_begins_one_epoch_however_much_is_settled() {
    let mut sharing = Sharing::new();
    let before = sharing.0.0.kernel.monitor.epoch;
    sharing.decide(FIRST, SECOND, Decision::Deny);
    assert_eq!(sharing.0.0.kernel.monitor.epoch, before + 1);
}

#[test]
fn memory_keeps_its_parties_while_it_is_vacant() {
    // Less than it had, as much, and more.
    for (pages, seen) in [(1, 1), (5, 5), (65, 65), (70, 70), (90, 70)] {
        let mut sharing = Sharing::new();
        sharing.decide(FIRST, SECOND, Decision::Deny);
        for decision in [Decision::Deny, Decision::Allow, Decision::Deny] {
            sharing.0.0.done(call(CallNumber::RegionVacate, MIDDLE, &[]));
            sharing.0.0.check();
            assert_eq!([FIRST, SECOND].map(|id| sharing.seen(id, HERE)), [[], []], "no dead page is left");
            sharing.decide(FIRST, SECOND, decision);
            let from = cloison_abi::call::BUILDER_SLOT_MEMORY.into();
            sharing.0.0.done(call(CallNumber::RegionBack, MIDDLE, &[from, 500, pages]));
            for domain in [0, 1] {
                sharing.0.0.done(call(CallNumber::DomainStop, DOMAINS[domain], &[]));
                sharing.0.0.done(start(domain));
            }
            sharing.0.0.check();
            let memory = sharing.seen(SECOND, HERE);
            assert_eq!((memory.len(), sharing.seen(FIRST, HERE).len()), (seen, seen), "of {pages} pages");
            assert_eq!(sharing.sees_nothing(FIRST, HERE), decision == Decision::Deny);
            assert!(!sharing.sees_nothing(SECOND, HERE));
            sharing.decide(FIRST, SECOND, Decision::Allow);
            assert_eq!(sharing.seen(FIRST, HERE), memory);
            sharing.decide(FIRST, SECOND, Decision::Deny);
            assert!(sharing.sees_nothing(FIRST, HERE));
        }
    }
}

#[test]
fn a_domain_that_is_gone_has_nothing_together_with_anybody() {
    let mut sharing = Sharing::new();
    sharing.decide(FIRST, SECOND, Decision::Deny);
    sharing.0.0.done(call(CallNumber::DomainDestroy, DOMAINS[1], &[]));
    sharing.0.0.done(create(1));
    assert_eq!(sharing.0.0.kernel.access(FIRST).cut(), 0, "nothing is decided about the new one");
    let region = sharing.0.0.region(DomainId::BUILDER, MIDDLE.into()).unwrap();
    assert_eq!(sharing.0.0.kernel.regions.get(region).unwrap().parties(), FIRST.bit());
    sharing.verdict(FIRST, EVERYONE, Decision::Deny);
    assert!(!sharing.sees_nothing(FIRST, HERE), "nobody else has it");
}

#[test]
fn what_a_guest_has_is_nobody_elses() {
    let mut world = super::world::World::new();
    let [pool, frame] = [50, 51];
    let memory = cloison_abi::call::BUILDER_SLOT_MEMORY;
    for (slot, first, pages) in [(pool, 600, 8), (frame, 610, 1)] {
        world.done(call(CallNumber::RegionCarve, memory, &[slot, first, pages]));
    }
    let guest = |index: usize, region: u8| {
        call(CallNumber::DomainGiveGuest, DOMAINS[index], &[60, pool, frame, region.into(), 0])
    };
    world.done(call(CallNumber::DomainStop, DOMAINS[0], &[]));
    world.done(call(CallNumber::DomainReset, DOMAINS[0], &[]));
    let bad = CallError::BadState as i32;
    let refused = world.finish(DomainId::BUILDER, guest(0, MIDDLE));
    assert!(matches!(refused, Some(Came::To(outcome, _)) if outcome == bad), "{refused:?}");
    world.done(guest(0, BIG));
    for act in [give_region(1, 70, BIG, READ_WRITE), map_into(1, BIG, HERE, 5, READ_WRITE)] {
        let came = world.finish(DomainId::BUILDER, act);
        assert!(matches!(came, Some(Came::To(outcome, _)) if outcome == bad), "{act:?}: {came:?}");
    }
    world.done(give_region(0, 70, BIG, READ_WRITE));
}

/// What the monitor decides, in the midst of all else.
fn decision() -> impl Strategy<Value = Act> {
    let objects = prop_oneof![4 => 1..MAX_DOMAINS as u64 / 6, 1 => Just(EVERYONE)];
    let classes = prop::sample::select(Vec::from([Classes::SHARE, Classes::ASKED, Classes::CALL]));
    (2..4_usize, objects, classes, 0..3_u64).prop_map(|(subject, object, classes, decision)| {
        let decision = Decision::from_number(decision).unwrap();
        verdict(DomainId::new(subject).unwrap(), object, classes, decision)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Each turn is one step of a call. The monitor answers all questions by yes, so that others lend and map.
    #[test]
    fn nothing_is_seen_along_a_pair_that_is_withdrawn(
        turns in prop::collection::vec(prop_oneof![3 => turn(), 1 => decision().prop_map(|act| (MONITOR.index(), act))], 1..80)
    ) {
        let mut sharing = Sharing::new();
        sharing.0.0.says_yes = true;
        for (actor, act) in turns {
            sharing.0.0.turn(DomainId::new(actor).unwrap(), act);
            sharing.0.0.check();
            sharing.0.0.scribble();
        }
        sharing.0.0.take_down();
    }
}
