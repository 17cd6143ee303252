use std::{format, string::ToString, vec::Vec};

use cloison_abi::{
    Name,
    access::{Class, Classes, Decision, Question},
    policy::{PolicyDomain, PolicyHeader, PolicyRule, PolicyStart, PolicyWall},
};
use ipcmon_api::{
    control::Refusal,
    record::{Entry, Event, KEPT_ENTRIES},
};
use ipcmon_policy::{Flow, Policies};
use proptest::prelude::*;
use zerocopy::IntoBytes;

use super::*;

extern crate std;

const CONSOLE: u8 = 2;
const FIRST: u8 = 3;
const SECOND: u8 = 4;
const ACME: u8 = 5;
const BOLT: u8 = 6;

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

/// A console that is not judged, and domains that are; those of type `test` may call a `service`, and two rivals, between
/// which there is a wall. Under the policy `night` they may call the `service` and nobody else.
fn bytes() -> Vec<u32> {
    let mut header = PolicyHeader { domains: 5, policies: 3, ..PolicyHeader::default() };
    for (place, text) in ["service", "test", "acme", "bolt"].into_iter().enumerate() {
        header.types[place] = name(text);
    }
    let domain = |text, kind, asked: Classes| PolicyDomain {
        name: name(text),
        kind,
        asked: asked.bits(),
        apart: 0,
        tells: 0,
    };
    let mut domains = [
        domain("console", 0, Classes::empty()),
        domain("first", 1, Classes::ASKED),
        domain("second", 1, Classes::ASKED),
        domain("acme", 2, Classes::ASKED),
        domain("bolt", 3, Classes::ASKED),
    ];
    domains[0].apart = !0;
    let rule = |to, line| PolicyRule { from: 1, to, may: Classes::CALL.bits(), line };
    let first = PolicyStart { name: name("first"), rules: 3, walls: 1 };
    let night = PolicyStart { name: name("night"), rules: 1, walls: 0 };
    let bad = PolicyStart { name: name("bad"), rules: 0, walls: 1 };
    let wall = |between, line| PolicyWall { name: name("rivals"), between, line };
    let bytes = [
        header.as_bytes(),
        domains.as_bytes(),
        first.as_bytes(),
        [rule(0, 7), rule(2, 8), rule(3, 8)].as_bytes(),
        wall(0b1100, 9).as_bytes(),
        night.as_bytes(),
        rule(0, 12).as_bytes(),
        bad.as_bytes(),
        wall(0b1000, 15).as_bytes(),
    ]
    .concat();
    bytes.as_chunks().0.iter().map(|word| u32::from_ne_bytes(*word)).collect()
}

fn engine(bytes: &[u32]) -> Engine<'_> {
    Engine::new(Policies::read(bytes.as_bytes()).unwrap(), name("first")).unwrap()
}

fn call(subject: u8, object: u8) -> Question {
    question(subject, object, Class::Call)
}

/// What a person is told of a denial; nothing if it is allowed.
fn told(engine: &mut Engine<'_>, question: Question) -> Option<std::string::String> {
    engine.judge(question, 0).denial.map(|denial| denial.to_string())
}

fn question(subject: u8, object: u8, class: Class) -> Question {
    Question { subject, object, class, call: 0, slot: 1, asker: subject }
}

#[test]
fn a_rule_allows_what_it_says_and_no_more() {
    let bytes = bytes();
    for subject in 0..8 {
        for object in 0..8 {
            for class in Class::ALL {
                let is_said = [FIRST, SECOND].contains(&subject)
                    && [CONSOLE, ACME, BOLT].contains(&object)
                    && class == Class::Call;
                // The builder's one gate is the manager's.
                let is_said = is_said || (object == 1 && class == Class::Call);
                let answer = engine(&bytes).judge(question(subject, object, class), 0);
                assert_eq!(answer.decision == Decision::Allow, is_said, "{subject} {object} {class:?}");
                let line = [(CONSOLE, 7), (ACME, 8), (BOLT, 8)].into_iter().find(|(to, _)| *to == object);
                assert_eq!(answer.line, line.filter(|_| is_said).map_or(0, |(_, line)| line));
            }
        }
    }
}

#[test]
fn what_no_rule_allows_is_denied_with_both_types() {
    let bytes = bytes();
    let mut engine = engine(&bytes);
    let line = "ipc 3 -> 4 DENIED! (first -> second, call, slot 1: no rule lets test do so to test)";
    assert_eq!(told(&mut engine, call(FIRST, SECOND)).unwrap(), line);
    assert_eq!(told(&mut engine, call(FIRST, CONSOLE)), None);
    let counted = engine.counted();
    assert_eq!((counted.questions, counted.allowed, counted.denied), (2, 1, 1));
}

#[test]
fn what_is_withdrawn_is_denied_until_it_is_given_back() {
    let bytes = bytes();
    let mut engine = engine(&bytes);
    let ends = engine.ends(name("first"), name("console")).unwrap();
    assert_eq!(ends, (FIRST, CONSOLE));
    engine.withdraw(ends, name("second")).unwrap();
    let denial = engine.judge(call(FIRST, CONSOLE), 10).denial.unwrap();
    let line = "ipc 3 -> 2 DENIED! (first -> console, call, slot 1: withdrawn by second)";
    assert_eq!(denial.to_string(), line);
    assert_eq!(engine.judge(call(SECOND, CONSOLE), 0).decision, Decision::Allow, "nobody else");
    // Of another class, which is asked for by itself: the first denial counts.
    assert_eq!(engine.judge(question(FIRST, CONSOLE, Class::Signal), 12).decision, Decision::Deny);
    let restored = engine.restore(ends, 15).unwrap();
    assert_eq!(restored.to_string(), "ipc 3 -> 2 allowed again; 4 more were denied meanwhile");
    assert_eq!(engine.judge(call(FIRST, CONSOLE), 15).decision, Decision::Allow);
    assert_eq!(engine.restore(ends, 15), None);
}

#[test]
fn who_never_tried_was_not_refused() {
    let bytes = bytes();
    let mut engine = engine(&bytes);
    engine.withdraw((FIRST, CONSOLE), name("second")).unwrap();
    assert_eq!(engine.restore((FIRST, CONSOLE), 15).unwrap().refused, 0);
}

#[test]
fn a_withdrawal_widens_nothing() {
    let bytes = bytes();
    let mut engine = engine(&bytes);
    engine.withdraw((FIRST, SECOND), name("second")).unwrap();
    engine.restore((FIRST, SECOND), 0).unwrap();
    assert_eq!(engine.judge(call(FIRST, SECOND), 0).decision, Decision::Deny);
}

#[test]
fn who_is_not_judged_cannot_be_withdrawn_anything() {
    let bytes = bytes();
    let engine = engine(&bytes);
    assert_eq!(engine.ends(name("console"), name("first")), Err(Refusal::NotJudged));
    assert_eq!(engine.ends(name("first"), name("first")), Err(Refusal::NotJudged));
    assert_eq!(engine.ends(name("first"), name("third")), Err(Refusal::Unknown));
    assert_eq!(engine.ends(name("third"), name("first")), Err(Refusal::Unknown));
}

#[test]
fn more_than_there_is_room_for_is_refused() {
    let bytes = bytes();
    let mut engine = engine(&bytes);
    for object in 0..MAX_WITHDRAWN as u8 {
        engine.withdraw((FIRST, object), name("second")).unwrap();
    }
    assert_eq!(engine.withdraw((FIRST, 99), name("second")), Err(Refusal::Full));
    assert_eq!(engine.withdraw((FIRST, 0), name("second")), Ok(()), "it is withdrawn already");
}

#[test]
fn a_wall_is_named_with_its_line_and_what_was_touched_before() {
    let bytes = bytes();
    let mut engine = engine(&bytes);
    assert_eq!(told(&mut engine, call(FIRST, ACME)), None);
    let line =
        "ipc 3 -> 6 DENIED! (first -> bolt, call, slot 1: wall \"rivals\" in line 9: first has touched acme)";
    assert_eq!(told(&mut engine, call(FIRST, BOLT)).unwrap(), line);
    assert_eq!(engine.judge(call(FIRST, BOLT), 0).line, 9);
    assert_eq!(told(&mut engine, call(SECOND, BOLT)), None, "another one has touched nothing");
    let line = "ipc 4 -> 5 DENIED! (second -> acme, call, slot 1: wall \"rivals\" in line 9: second has touched bolt)";
    assert_eq!(told(&mut engine, call(SECOND, ACME)).unwrap(), line);
    assert_eq!(told(&mut engine, call(FIRST, CONSOLE)), None);
    assert_eq!(told(&mut engine, call(SECOND, CONSOLE)), None, "it keeps them apart");
}

#[test]
fn another_policy_is_in_force_at_once_and_what_it_does_not_allow_is_closed() {
    let bytes = bytes();
    let mut engine = engine(&bytes);
    for object in [CONSOLE, ACME] {
        assert_eq!(told(&mut engine, call(FIRST, object)), None);
    }
    let closed: Vec<_> = engine.load(name("night")).unwrap().collect();
    assert_eq!(closed, [Flow { subject: FIRST, object: ACME, class: Class::Call }]);
    assert_eq!(engine.counted().epoch, 2);
    let line = "ipc 3 -> 5 DENIED! (first -> acme, call, slot 1: no rule lets test do so to acme)";
    assert_eq!(told(&mut engine, call(FIRST, ACME)).unwrap(), line);
    assert_eq!(told(&mut engine, call(FIRST, CONSOLE)), None);
    assert_eq!(engine.load(name("first")).unwrap().count(), 0);
    assert_eq!(told(&mut engine, call(FIRST, ACME)), None);
    assert!(told(&mut engine, call(FIRST, BOLT)).unwrap().ends_with("first has touched acme)"), "still");
}

#[test]
fn a_bad_policy_is_refused_and_the_old_one_stays() {
    let bytes = bytes();
    let mut engine = engine(&bytes);
    assert_eq!(told(&mut engine, call(FIRST, ACME)), None);
    let refused = engine.load(name("bad")).err().unwrap();
    assert_eq!(refused.to_string(), "wall 0 is between fewer than two types");
    let unknown = "the manifest has no policy of this name";
    let cases = [("nigth", "; did you mean `night`?"), ("frist", "; did you mean `first`?"), ("weekend", "")];
    for (policy, meant) in cases {
        let refused = engine.load(name(policy)).err().unwrap();
        assert_eq!(refused.to_string(), format!("{unknown}{meant}"), "{policy}");
    }
    assert_eq!(engine.counted().epoch, 1);
    assert!(told(&mut engine, call(FIRST, BOLT)).is_some());
    assert_eq!(told(&mut engine, call(FIRST, ACME)), None);
}

#[test]
fn what_is_withdrawn_stays_so_under_each_policy() {
    let bytes = bytes();
    let mut engine = engine(&bytes);
    engine.withdraw((FIRST, CONSOLE), name("second")).unwrap();
    for policy in ["night", "first"] {
        let _ = engine.load(name(policy)).unwrap();
        assert!(told(&mut engine, call(FIRST, CONSOLE)).unwrap().ends_with("withdrawn by second)"));
    }
}

#[test]
fn another_life_goes_on_where_the_last_one_ended() {
    let bytes = bytes();
    let policies = Policies::read(bytes.as_bytes()).unwrap();
    let mut engine = engine(&bytes);
    assert_eq!(told(&mut engine, call(FIRST, ACME)), None);
    engine.withdraw((SECOND, CONSOLE), name("first")).unwrap();
    assert!(engine.judge(call(SECOND, CONSOLE), 3).denial.is_some());
    let _ = engine.load(name("night")).unwrap();
    let _ = engine.load(name("first")).unwrap();
    engine.record(Entry::new(Event::Started, [Name::EMPTY; 2]), 1);
    let mut next = Engine::resume(policies, &engine.state()).unwrap();
    assert_eq!((next.counted(), next.policy()), (engine.counted(), name("first")));
    assert_eq!(next.chain().heads().0, engine.chain().heads().0);
    assert!(told(&mut next, call(FIRST, BOLT)).unwrap().ends_with("first has touched acme)"));
    assert!(told(&mut next, call(SECOND, CONSOLE)).unwrap().ends_with("withdrawn by first)"));
    assert_eq!(next.restore((SECOND, CONSOLE), 9).unwrap().refused, 5, "counted on");
}

#[test]
fn who_has_lost_its_memory_allows_nothing() {
    let bytes = bytes();
    let mut engine = Engine::lost(Policies::read(bytes.as_bytes()).unwrap(), name("first")).unwrap();
    assert!(told(&mut engine, call(FIRST, CONSOLE)).unwrap().contains("lost"));
    assert_eq!(engine.load(name("night")).err(), Some(NotLoaded::Lost));
    assert!(told(&mut engine, call(FIRST, CONSOLE)).is_some());
}

/// The number of the state that two copies say.
fn kept(copies: [Copy; 2]) -> Result<Option<u64>, Damaged> {
    newer(copies).map(|found| found.map(|found| found.sequence))
}

#[test]
fn of_two_copies_the_newer_whole_one_counts() {
    let bytes = bytes();
    let mut engine = engine(&bytes);
    let old = Copy::new(engine.state(), 7);
    engine.withdraw((FIRST, CONSOLE), name("second")).unwrap();
    let new = Copy::new(engine.state(), 8);
    assert_eq!(kept([Copy::empty(), Copy::empty()]), Ok(None));
    assert_eq!(kept([old.clone(), new.clone()]), Ok(Some(8)));
    assert_eq!(kept([new.clone(), old.clone()]), Ok(Some(8)));
    assert_eq!(kept([Copy::empty(), new.clone()]), Ok(Some(8)));
    // Written over from any byte on: the one before counts.
    let (old_bytes, new_bytes) = (old.as_bytes(), new.as_bytes());
    let is_same = |cut: usize| old_bytes[cut..] == new_bytes[cut..];
    for cut in (0..old_bytes.len()).filter(|cut| !is_same(*cut)) {
        let mut torn = Copy::empty();
        torn.as_mut_bytes().copy_from_slice(&[&new_bytes[..cut], &old_bytes[cut..]].concat());
        if torn.as_bytes() != old_bytes {
            assert_eq!(kept([torn.clone(), Copy::new(engine.state(), 6)]), Ok(Some(6)), "{cut}");
            assert_eq!(kept([torn, Copy::empty()]), Err(Damaged), "{cut}");
        }
    }
}

#[test]
fn each_byte_of_a_copy_counts() {
    let bytes = bytes();
    let whole = Copy::new(engine(&bytes).state(), 3);
    for place in 0..whole.as_bytes().len() {
        let mut changed = whole.clone();
        changed.as_mut_bytes()[place] ^= 0x40;
        assert_eq!(kept([changed, Copy::empty()]), Err(Damaged), "{place}");
    }
}

#[test]
fn the_log_is_a_chain_of_which_the_last_entries_are_kept() {
    let mut chain = Chain::new();
    let entry = |number: u64| {
        Entry::new(Event::Denied, [name("first"), name("console")]).about([3, 2], Class::Call, number as u32)
    };
    let mut heads = Vec::from([chain.heads().0]);
    for number in 0..200 {
        chain.append(entry(number), 1000 + number, 1);
        heads.push(chain.heads().0);
        let (next, first) = chain.numbers();
        assert_eq!((next, first), (number + 1, (number + 1).saturating_sub(KEPT_ENTRIES)));
        assert_eq!(chain.heads().1, heads[first as usize], "what stood before the first that is kept");
        // A reader can follow it.
        let kept = (first..next).map(|number| *chain.entry(number).unwrap());
        let followed =
            kept.fold(chain.heads().1, |head, entry| Entry::of_halves(entry.halves()).append_to(&head));
        assert_eq!(followed, chain.heads().0);
        assert!(chain.entry(next).is_none() && (first == 0 || chain.entry(first - 1).is_none()));
    }
    let changed = Entry { line: 1, ..*chain.entry(150).unwrap() };
    assert_ne!(changed.append_to(&heads[150]), heads[151]);
}

proptest! {
    /// Whatever bytes a policy has, it is read or refused, and everything can be asked.
    #[test]
    fn any_bytes(
        words in prop::collection::vec(prop_oneof![Just(0_u32), Just(1), any::<u32>()], 0..200),
        (counts, asked) in ((0..4_u32, 0..4_u32), (any::<u8>(), any::<u8>(), 0..10_usize)),
    ) {
        let mut words = words;
        if let [domains, rules, ..] = &mut words[..] {
            (*domains, *rules) = counts;
        }
        if let Ok(policies) = Policies::read(words.as_bytes())
            && let Ok(mut engine) = Engine::new(policies, Name::EMPTY)
        {
            let (subject, object, class) = asked;
            let answer = engine.judge(question(subject, object, Class::ALL[class]), 0);
            prop_assert_eq!(answer.decision == Decision::Deny, answer.denial.is_some());
            let _ = answer.denial.map(|denial| format!("{denial}"));
        }
    }
}

/// A policy under which the first may share with the second, and one under which it may not.
fn sharing() -> Vec<u32> {
    let mut bytes = bytes();
    let rules = bytes.as_mut_bytes();
    // The first rule of the first policy: what `test` may do to a `service`.
    let at = size_of::<PolicyHeader>() + 5 * size_of::<PolicyDomain>() + size_of::<PolicyStart>();
    let rule = PolicyRule { from: 1, to: 1, may: (Classes::CALL | Classes::SHARE).bits(), line: 7 };
    rules[at..at + size_of::<PolicyRule>()].copy_from_slice(rule.as_bytes());
    bytes
}

#[test]
fn memory_is_closed_by_hand_and_by_a_policy_that_does_not_allow_it() {
    let bytes = sharing();
    let mut engine = engine(&bytes);
    let closed = |engine: &Engine<'_>| {
        [(FIRST, SECOND), (SECOND, FIRST), (FIRST, ACME)].map(|(a, b)| engine.closes_memory(a, b))
    };
    assert_eq!(closed(&engine), [false; 3]);
    engine.withdraw((FIRST, SECOND), name("guard")).unwrap();
    assert_eq!(closed(&engine), [true, false, false]);
    engine.restore((FIRST, SECOND), 0).unwrap();
    assert_eq!(closed(&engine), [false; 3]);
    drop(engine.load(name("night")).unwrap());
    // Of the third pair no policy speaks: what the manifest has them share stays.
    assert_eq!(closed(&engine), [true, true, false]);
    drop(engine.load(name("first")).unwrap());
    assert_eq!(closed(&engine), [false; 3]);
}

#[test]
fn who_has_forgotten_what_was_decided_closes_all_memory_and_every_way() {
    let bytes = sharing();
    let lost = Engine::lost(Policies::read(bytes.as_bytes()).unwrap(), name("first")).unwrap();
    assert!(lost.closes_memory(FIRST, ACME) && lost.is_withdrawn(ACME, FIRST));
    let mut engine = engine(&bytes);
    engine.withdraw((FIRST, SECOND), name("guard")).unwrap();
    assert!(engine.is_withdrawn(FIRST, SECOND) && !engine.is_withdrawn(SECOND, FIRST));
}
