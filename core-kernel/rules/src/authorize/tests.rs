use std::vec::Vec;

use super::*;
use crate::region::RegionTable;

fn id(index: usize) -> DomainId {
    DomainId::new(index).unwrap()
}

/// Every operation of domain 1 that is judged, toward domain 2 where there is one.
fn operations() -> Vec<Operation> {
    let mut regions = RegionTable::EMPTY;
    let region = regions.add(crate::Frame::new(1), 1, crate::region::Backing::Device).unwrap();
    Vec::from([
        Operation::Call { server: id(2) },
        Operation::Signal { target: id(2) },
        Operation::Share { lender: id(1), borrower: id(2) },
        Operation::Start { domain: id(2) },
        Operation::TakeBack { region },
        Operation::Tell { reader: Some(id(2)) },
        Operation::Hold,
        Operation::Handle { domain: id(2) },
        Operation::Build { to: Some(id(2)), toward: None },
        Operation::Guest,
    ])
}

#[test]
fn a_class_that_is_denied_is_denied_and_no_other() {
    for denied in Class::ALL {
        let mut access = Access::ALL;
        access.set(DomainSet::MAX, denied.bit(), false, true);
        for operation in operations() {
            let expected = if operation.class() == Some(denied) { Verdict::Denied } else { Verdict::Allowed };
            assert_eq!(access.authorize(operation), expected, "{denied:?}, {operation:?}");
            assert_eq!(access.authorize(Operation::Own), Verdict::Allowed);
        }
    }
}

#[test]
fn a_domain_is_denied_toward_one_and_not_toward_another() {
    let mut access = Access::ALL;
    access.set(id(2).bit(), Classes::CALL, false, true);
    assert_eq!(access.authorize(Operation::Call { server: id(2) }), Verdict::Denied);
    assert_eq!(access.authorize(Operation::Call { server: id(3) }), Verdict::Allowed);
    access.set(id(2).bit(), Classes::CALL, true, true);
    assert_eq!(access.authorize(Operation::Call { server: id(2) }), Verdict::Allowed);
}

#[test]
fn what_is_lent_is_judged_by_its_lender() {
    let share = Operation::Share { lender: id(1), borrower: id(2) };
    assert_eq!(share.subject(), Some(id(1)));
    assert_eq!(Operation::Call { server: id(1) }.subject(), None);
}

#[test]
fn access_that_is_built_is_judged_at_both_ends() {
    let mut access = Access::ALL;
    access.set(id(3).bit(), Classes::BUILD, false, true);
    let build = |to, toward| Operation::Build { to: Some(id(to)), toward };
    assert_eq!(access.authorize(build(2, Some(id(3)))), Verdict::Denied);
    assert_eq!(access.authorize(build(3, Some(id(2)))), Verdict::Denied);
    assert_eq!(access.authorize(build(2, None)), Verdict::Allowed);
    assert_eq!(access.authorize(Operation::Build { to: None, toward: None }), Verdict::Allowed);
}

#[test]
fn a_life_begins_with_what_the_builder_decided() {
    let call = Operation::Call { server: id(2) };
    let mut access = Access::ALL;
    access.set(DomainSet::MAX, Classes::all(), false, false);
    assert_eq!(access.authorize(call), Verdict::Denied);
    access.start_over(id(1).bit());
    assert_eq!(access.authorize(call), Verdict::Allowed);
    access.set(id(2).bit(), Classes::CALL, false, true);
    access.start_over(id(1).bit());
    assert_eq!(access.authorize(call), Verdict::Denied);
}

#[test]
fn a_new_domain_inherits_no_verdict_of_the_one_before() {
    let call = |server| Operation::Call { server: id(server) };
    let mut access = Access::ALL;
    access.set(id(2).bit() | id(3).bit(), Classes::all(), false, true);
    access.admit(id(2));
    assert_eq!(access.authorize(call(2)), Verdict::Allowed);
    assert_eq!(access.authorize(call(3)), Verdict::Denied);
    access.start_over(id(1).bit());
    assert_eq!(access.authorize(call(2)), Verdict::Allowed);
}

#[test]
fn what_is_denied_toward_everyone_is_denied_toward_those_who_come_later() {
    let mut access = Access::ALL;
    access.set(DomainSet::MAX, Classes::CALL, false, true);
    access.admit(id(2));
    assert_eq!(access.authorize(Operation::Call { server: id(2) }), Verdict::Denied);
    assert_eq!(access.authorize(Operation::Signal { target: id(2) }), Verdict::Allowed);
    access.start_over(id(1).bit());
    assert_eq!(access.authorize(Operation::Call { server: id(2) }), Verdict::Denied);
}

/// What domain 1 may, about whose calls and signals the monitor is asked.
fn judged() -> Access {
    let mut access = Access::ALL;
    access.ask(Classes::CALL | Classes::SIGNAL);
    access.start_over(id(1).bit());
    access
}

const CALL: Operation = Operation::Call { server: DomainId::I2 };
const SIGNAL: Operation = Operation::Signal { target: DomainId::I2 };

#[test]
fn what_nobody_has_decided_is_asked() {
    let access = judged();
    assert_eq!(access.authorize(CALL), Verdict::Ask);
    assert_eq!(access.authorize(Operation::Start { domain: id(2) }), Verdict::Allowed);
    assert_eq!(access.authorize(Operation::Signal { target: id(1) }), Verdict::Allowed, "its own");
}

#[test]
fn the_monitor_decides_what_it_is_asked_about_and_no_more() {
    let mut access = judged();
    for (decision, verdict) in [
        (Decision::Allow, Verdict::Allowed),
        (Decision::Deny, Verdict::Denied),
        (Decision::Ask, Verdict::Ask),
        (Decision::Deny, Verdict::Denied),
        (Decision::Allow, Verdict::Allowed),
    ] {
        assert!(access.judge(id(2).bit(), Classes::CALL, decision));
        assert_eq!(access.authorize(CALL), verdict);
        assert_eq!(access.authorize(SIGNAL), Verdict::Ask, "another class");
        assert_eq!(access.authorize(Operation::Call { server: id(3) }), Verdict::Ask, "another domain");
    }
    assert!(!access.judge(id(2).bit(), Classes::CALL | Classes::START, Decision::Deny));
    assert_eq!(access.authorize(Operation::Start { domain: id(2) }), Verdict::Allowed);
    assert_eq!(access.authorize(CALL), Verdict::Allowed, "all of it, or nothing");
}

#[test]
fn the_monitor_allows_nothing_that_others_have_denied() {
    let mut access = judged();
    access.set(id(2).bit(), Classes::CALL, false, false);
    access.judge(DomainSet::MAX, Classes::CALL, Decision::Allow);
    assert_eq!(access.authorize(CALL), Verdict::Denied);
    access.start_over(id(1).bit());
    assert_eq!(access.authorize(CALL), Verdict::Ask, "a denial of its own ends with the life");
    access.set(id(2).bit(), Classes::CALL, false, true);
    access.judge(DomainSet::MAX, Classes::CALL, Decision::Allow);
    assert_eq!(access.authorize(CALL), Verdict::Denied);
    access.set(id(2).bit(), Classes::CALL, true, true);
    assert_eq!(access.authorize(CALL), Verdict::Ask, "what is no longer denied is undecided");
}

#[test]
fn no_verdict_of_the_monitor_reaches_a_later_life() {
    for decision in [Decision::Allow, Decision::Deny] {
        let mut access = judged();
        access.judge(DomainSet::MAX, Classes::CALL | Classes::SIGNAL, decision);
        access.forget(id(2));
        assert_eq!(access.authorize(CALL), Verdict::Ask, "of the object");
        assert_ne!(access.authorize(Operation::Call { server: id(3) }), Verdict::Ask);
        access.judge(DomainSet::MAX, Classes::CALL, decision);
        access.admit(id(2));
        assert_eq!(access.authorize(CALL), Verdict::Ask, "of one that has its number later");
        access.judge(DomainSet::MAX, Classes::CALL, decision);
        access.start_over(id(1).bit());
        assert_eq!(access.authorize(CALL), Verdict::Ask, "of the subject");
    }
}

#[test]
fn a_row_says_to_whom() {
    let mut access = judged();
    access.judge(id(2).bit(), Classes::CALL, Decision::Allow);
    access.judge(id(3).bit(), Classes::CALL, Decision::Deny);
    assert_eq!(access.row(Class::Call), (id(1).bit() | id(2).bit(), id(3).bit()));
}

/// What is decided about a class before an operation of it, and what becomes of the operation: toward domain 2, and of one that
/// the monitor is not asked about.
type Row = (&'static str, fn(&mut Access, Classes), Verdict, Verdict);

const STATES: [Row; 13] = {
    use Verdict::{Allowed, Ask, Denied};
    const OTHER: DomainSet = DomainId::I2.bit();
    [
        ("nothing", |_, _| {}, Allowed, Allowed),
        ("denied by its builder", |access, class| access.set(OTHER, class, false, true), Denied, Denied),
        ("denied by itself", |access, class| access.set(OTHER, class, false, false), Denied, Denied),
        ("denied toward all", |access, class| access.set(DomainSet::MAX, class, false, true), Denied, Denied),
        (
            "denied and allowed again",
            |access, class| {
                access.set(OTHER, class, false, true);
                access.set(OTHER, class, true, true);
            },
            Allowed,
            Allowed,
        ),
        (
            "denied by itself in an earlier life",
            |access, class| {
                access.set(DomainSet::MAX, class, false, false);
                access.start_over(DomainId::I1.bit());
            },
            Allowed,
            Allowed,
        ),
        (
            "denied by its builder in an earlier life",
            |access, class| {
                access.set(DomainSet::MAX, class, false, true);
                access.start_over(DomainId::I1.bit());
            },
            Denied,
            Denied,
        ),
        ("asked", judged_by, Ask, Allowed),
        (
            "asked, and allowed",
            |access, class| {
                judged_by(access, class);
                access.judge(OTHER, class, Decision::Allow);
            },
            Allowed,
            Allowed,
        ),
        (
            "asked, and denied",
            |access, class| {
                judged_by(access, class);
                access.judge(OTHER, class, Decision::Deny);
            },
            Denied,
            Allowed,
        ),
        (
            "asked, denied and forgotten",
            |access, class| {
                judged_by(access, class);
                access.judge(OTHER, class, Decision::Deny);
                access.forget(DomainId::I2);
            },
            Ask,
            Allowed,
        ),
        (
            "asked, allowed, in an earlier life",
            |access, class| {
                judged_by(access, class);
                access.judge(OTHER, class, Decision::Allow);
                access.start_over(DomainId::I1.bit());
            },
            Ask,
            Allowed,
        ),
        (
            "denied by its builder, asked and allowed",
            |access, class| {
                access.set(DomainSet::MAX, class, false, true);
                judged_by(access, class);
                access.judge(OTHER, class, Decision::Allow);
            },
            Denied,
            Denied,
        ),
    ]
};

/// From its next life on, which begins now, the monitor is asked about this class, if it can be.
fn judged_by(access: &mut Access, class: Classes) {
    access.ask(class & Classes::ASKED);
    access.start_over(DomainId::I1.bit());
}

#[test]
fn each_operation_is_judged_by_what_is_decided_about_its_class() {
    for operation in operations() {
        let class = operation.class().unwrap();
        for (state, decide, asked, unasked) in STATES {
            let expected = if Classes::ASKED.contains(class.bit()) { asked } else { unasked };
            let mut access = Access::ALL;
            decide(&mut access, class.bit());
            // What is done to nobody is denied toward all or not at all.
            let is_toward_nobody = operation.objects().0.is_none()
                && ![
                    "denied toward all",
                    "denied by its builder in an earlier life",
                    "denied by its builder, asked and allowed",
                ]
                .contains(&state);
            let expected = if is_toward_nobody { Verdict::Allowed } else { expected };
            assert_eq!(access.authorize(operation), expected, "{operation:?}: {state}");
            // Another class is not touched by it.
            let mut others = Access::ALL;
            let beside = Class::ALL.into_iter().filter(|other| *other != class);
            beside.for_each(|other| others.set(DomainSet::MAX, other.bit(), false, true));
            assert_eq!(others.authorize(operation), Verdict::Allowed, "{operation:?}");
        }
    }
}
