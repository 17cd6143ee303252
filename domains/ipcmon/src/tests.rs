use std::{format, string::ToString, vec::Vec};

use cloison_abi::{
    Name,
    access::{Class, Classes, Decision, Question},
    policy::{PolicyDomain, PolicyHeader, PolicyRule},
};
use ipcmon_api::control::Refusal;
use proptest::prelude::*;
use zerocopy::IntoBytes;

use super::*;

extern crate std;

const CONSOLE: u8 = 2;
const FIRST: u8 = 3;
const SECOND: u8 = 4;

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

/// A console that is not judged, and two domains that are; those of type `test` may call a `service`.
fn bytes() -> Vec<u32> {
    let mut header = PolicyHeader { domains: 3, rules: 1, ..PolicyHeader::default() };
    (header.types[0], header.types[1]) = (name("service"), name("test"));
    let domain = |text, kind, asked: Classes| PolicyDomain { name: name(text), kind, asked: asked.bits() };
    let domains = [
        domain("console", 0, Classes::empty()),
        domain("first", 1, Classes::ASKED),
        domain("second", 1, Classes::ASKED),
    ];
    let rules = [PolicyRule { from: 1, to: 0, may: Classes::CALL.bits(), line: 7 }];
    let bytes = [header.as_bytes(), domains.as_bytes(), rules.as_bytes()].concat();
    bytes.as_chunks().0.iter().map(|word| u32::from_ne_bytes(*word)).collect()
}

fn question(subject: u8, object: u8, class: Class) -> Question {
    Question { subject, object, class, call: 0, slot: 1, asker: subject }
}

#[test]
fn a_rule_allows_what_it_says_and_no_more() {
    let bytes = bytes();
    let policy = Policy::read(bytes.as_bytes()).unwrap();
    for subject in 0..6 {
        for object in 0..6 {
            for class in Class::ALL {
                let is_said = [FIRST, SECOND].contains(&subject) && object == CONSOLE && class == Class::Call;
                assert_eq!(policy.allows(subject, object, class), is_said, "{subject} {object} {class:?}");
            }
        }
    }
    assert_eq!(policy.judged().collect::<Vec<_>>(), [(FIRST, Classes::ASKED), (SECOND, Classes::ASKED)]);
    assert_eq!((policy.find(name("second")), policy.find(name("third"))), (Some(SECOND), None));
    assert_eq!((policy.name(1), policy.name(5)), (Name::EMPTY, Name::EMPTY));
}

#[test]
fn what_no_rule_allows_is_denied_with_both_types() {
    let bytes = bytes();
    let mut engine = Engine::new(Policy::read(bytes.as_bytes()).unwrap());
    let (decision, denial) = engine.judge(question(FIRST, SECOND, Class::Call), 0);
    assert_eq!(decision, Decision::Deny);
    let told = "ipc 3 -> 4 DENIED! (first -> second, call, slot 1: no rule lets test do so to test)";
    assert_eq!(denial.unwrap().to_string(), told);
    assert_eq!(engine.judge(question(FIRST, CONSOLE, Class::Call), 0), (Decision::Allow, None));
    let counted = engine.counted();
    assert_eq!((counted.questions, counted.allowed, counted.denied), (2, 1, 1));
}

#[test]
fn what_is_withdrawn_is_denied_until_it_is_given_back() {
    let bytes = bytes();
    let mut engine = Engine::new(Policy::read(bytes.as_bytes()).unwrap());
    let ends = engine.ends(name("first"), name("console")).unwrap();
    assert_eq!(ends, (FIRST, CONSOLE));
    engine.withdraw(ends, name("second")).unwrap();
    let (decision, denial) = engine.judge(question(FIRST, CONSOLE, Class::Call), 10);
    assert_eq!(decision, Decision::Deny);
    let told = "ipc 3 -> 2 DENIED! (first -> console, call, slot 1: withdrawn by second)";
    assert_eq!(denial.unwrap().to_string(), told);
    assert_eq!(engine.judge(question(SECOND, CONSOLE, Class::Call), 0).0, Decision::Allow, "nobody else");
    // Of another class, which is asked for by itself: the first denial counts.
    assert_eq!(engine.judge(question(FIRST, CONSOLE, Class::Signal), 12).0, Decision::Deny);
    let restored = engine.restore(ends, 15).unwrap();
    assert_eq!(restored.to_string(), "ipc 3 -> 2 allowed again; 4 more were denied meanwhile");
    assert_eq!(engine.judge(question(FIRST, CONSOLE, Class::Call), 15).0, Decision::Allow);
    assert_eq!(engine.restore(ends, 15), None);
}

#[test]
fn who_never_tried_was_not_refused() {
    let bytes = bytes();
    let mut engine = Engine::new(Policy::read(bytes.as_bytes()).unwrap());
    engine.withdraw((FIRST, CONSOLE), name("second")).unwrap();
    assert_eq!(engine.restore((FIRST, CONSOLE), 15).unwrap().refused, 0);
}

#[test]
fn a_withdrawal_widens_nothing() {
    let bytes = bytes();
    let mut engine = Engine::new(Policy::read(bytes.as_bytes()).unwrap());
    engine.withdraw((FIRST, SECOND), name("second")).unwrap();
    engine.restore((FIRST, SECOND), 0).unwrap();
    assert_eq!(engine.judge(question(FIRST, SECOND, Class::Call), 0).0, Decision::Deny);
}

#[test]
fn who_is_not_judged_cannot_be_withdrawn_anything() {
    let bytes = bytes();
    let engine = Engine::new(Policy::read(bytes.as_bytes()).unwrap());
    assert_eq!(engine.ends(name("console"), name("first")), Err(Refusal::NotJudged));
    assert_eq!(engine.ends(name("first"), name("first")), Err(Refusal::NotJudged));
    assert_eq!(engine.ends(name("first"), name("third")), Err(Refusal::Unknown));
    assert_eq!(engine.ends(name("third"), name("first")), Err(Refusal::Unknown));
}

#[test]
fn more_than_there_is_room_for_is_refused() {
    let bytes = bytes();
    let mut engine = Engine::new(Policy::read(bytes.as_bytes()).unwrap());
    for object in 0..MAX_WITHDRAWN as u8 {
        engine.withdraw((FIRST, object), name("second")).unwrap();
    }
    assert_eq!(engine.withdraw((FIRST, 99), name("second")), Err(Refusal::Full));
    assert_eq!(engine.withdraw((FIRST, 0), name("second")), Ok(()), "it is withdrawn already");
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
        if let Ok(policy) = Policy::read(words.as_bytes()) {
            let (subject, object, class) = asked;
            let _ = policy.judged().count();
            let mut engine = Engine::new(policy);
            let (decision, denial) = engine.judge(question(subject, object, Class::ALL[class]), 0);
            prop_assert_eq!(decision == Decision::Deny, denial.is_some());
            let _ = denial.map(|denial| format!("{denial}"));
        }
    }
}
