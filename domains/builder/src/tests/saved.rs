//! Domains that are saved, and go on from there.

use std::vec::Vec;

use builder_api::{
    State,
    manage::{Refusal, Server},
};
use cloison_abi::{
    CallError, CallNumber, Name, Rights,
    capture::{CAPTURE_INTERRUPTED, CAPTURE_LAST, CAPTURE_RECEIVES, CAPTURE_WAITS, capture_parts},
    limits::{EVENT_PEER_FAILED, PAGE_BYTES},
    plan::{DeviceEntry, GateEntry, NONE, RegionSlotEntry, RegionSource},
};
use cloison_sys::{Badge, Slot};

use super::{
    build,
    fake::{Fake, SPARED},
    sketch::{RESTARTED, Sketch, opened},
};
use crate::{Choice, Managed, Site};

/// Pages of the budget: those of the domain, and those of its copy.
const BUDGET: u32 = 4;
/// Pages of the domain.
const PAGES: u64 = 2;
const CLIENT: Badge = Badge(0);

fn named(name: &str) -> Name {
    Name::new(name).unwrap()
}

fn worker() -> Name {
    named("worker")
}

fn sketch(budget: u32) -> Sketch {
    let mut plan = Sketch::savable(budget);
    plan.domains[0].name = worker();
    plan
}

/// The memory of the domain.
fn memory(site: &Site<'_, &Fake>) -> Slot {
    site.region(0).unwrap()
}

/// Builds it, starts it, has it write, and does this with it.
fn with(plan: &Sketch, test: impl FnOnce(&Fake, &mut Site<'_, &Fake>)) {
    let bytes = plan.image();
    let (kernel, image) = (Fake::new(), opened(&bytes));
    let mut site = build(&kernel, &image).unwrap();
    site.give_up_rights(SPARED).unwrap();
    kernel.set_waiting(0);
    site.start_on_request(0, Choice::default()).unwrap();
    for (offset, byte) in writes() {
        kernel.poke(memory(&site), offset, byte);
    }
    test(&kernel, &mut site);
}

/// What the domain writes: at the start of its memory, and into its last byte.
fn writes() -> [(u64, u8); 3] {
    [(0, 0x77), (PAGE_BYTES + 5, 0x5a), (PAGES * PAGE_BYTES - 1, 0xa5)]
}

fn save(site: &mut Site<'_, &Fake>) -> Result<u32, Refusal> {
    Managed::new(site).save(CLIENT, worker()).map(|saved| saved.kib)
}

fn restore(site: &mut Site<'_, &Fake>) -> Result<u32, Refusal> {
    Managed::new(site).restore(CLIENT, worker()).map(|restored| restored.kib)
}

fn free(site: &Site<'_, &Fake>) -> u64 {
    site.budget.pages()
}

#[test]
fn what_a_domain_was_comes_back() {
    with(&sketch(BUDGET), |kernel, site| {
        assert_eq!(save(site), Ok(4 * PAGES as u32));
        assert_eq!((site.state(0), free(site)), (Some(State::Saved), BUDGET as u64 - PAGES));
        assert_eq!(kernel.peek(memory(site), 0), 0, "its memory is scrubbed");
        assert_eq!(restore(site), Ok(4 * PAGES as u32));
        assert_eq!((site.state(0), free(site)), (Some(State::Running), BUDGET as u64 - PAGES));
        for (offset, byte) in writes() {
            assert_eq!(kernel.peek(memory(site), offset), byte, "{offset}");
        }
        let expected: Vec<_> = capture_parts()
            .map(|part| match part {
                CAPTURE_LAST => (part, [0x40_1002, 0x202, 0, 1 << 3 | 1 << EVENT_PEER_FAILED]),
                other => (part, [other; 4]),
            })
            .collect();
        assert_eq!(kernel.restored(), expected);
    });
}

/// Nobody lives the same time twice.
#[test]
fn what_is_saved_is_used_once() {
    with(&sketch(BUDGET), |_, site| {
        assert_eq!(restore(site), Err(Refusal::IsStarted));
        save(site).unwrap();
        assert_eq!(save(site), Err(Refusal::IsDefined));
        restore(site).unwrap();
        assert_eq!(restore(site), Err(Refusal::IsStarted));
        site.kill(0).unwrap();
        assert_eq!(site.state(0), Some(State::Defined));
        assert_eq!(restore(site), Err(Refusal::NotSaved));
        assert_eq!(free(site), BUDGET.into(), "nothing is left of it");
    });
}

#[test]
fn another_life_and_its_end_leave_what_is_saved() {
    with(&sketch(BUDGET), |kernel, site| {
        save(site).unwrap();
        Managed::new(site).start(CLIENT, worker()).unwrap();
        assert_eq!(kernel.peek(memory(site), PAGE_BYTES + 5), 0);
        assert_eq!(save(site), Err(Refusal::IsSaved));
        assert_eq!(restore(site), Err(Refusal::IsStarted));
        Managed::new(site).kill(CLIENT, worker()).unwrap();
        assert_eq!(site.state(0), Some(State::Saved));
        restore(site).unwrap();
        assert_eq!(kernel.peek(memory(site), PAGE_BYTES + 5), 0x5a);
    });
}

#[test]
fn what_is_saved_is_forgotten_when_it_is_killed() {
    with(&sketch(BUDGET), |kernel, site| {
        let slots = kernel.slots_in_use();
        save(site).unwrap();
        assert_eq!(kernel.slots_in_use(), slots + 1);
        Managed::new(site).kill(CLIENT, worker()).unwrap();
        assert_eq!((site.state(0), free(site)), (Some(State::Defined), BUDGET.into()));
        assert_eq!((kernel.slots_in_use(), restore(site)), (slots, Err(Refusal::NotSaved)));
        assert_eq!(Managed::new(site).kill(CLIENT, worker()).unwrap_err(), Refusal::IsDefined);
    });
}

/// One bit anywhere: in the copy, or in the registers.
#[test]
fn what_was_changed_does_not_go_on() {
    let place = |offset| {
        with(&sketch(BUDGET), |kernel, site| {
            save(site).unwrap();
            let store = site.shell(0).unwrap().saved.as_ref().unwrap().store.slot;
            let byte = kernel.peek(store, offset);
            kernel.poke(store, offset, byte ^ 1);
            assert_eq!(restore(site), Err(Refusal::Changed), "{offset}");
            assert!(kernel.restored().is_empty());
            assert_eq!((site.state(0), free(site)), (Some(State::Saved), BUDGET as u64 - PAGES));
            kernel.poke(store, offset, byte);
            restore(site).unwrap();
        });
    };
    [0, 17, PAGE_BYTES + 5, PAGES * PAGE_BYTES - 1].into_iter().for_each(place);
    with(&sketch(BUDGET), |_, site| {
        save(site).unwrap();
        let shell = site.shells[0].as_mut().unwrap();
        shell.saved.as_mut().unwrap().registers[30][0] += 1;
        assert_eq!(restore(site), Err(Refusal::Changed));
    });
}

/// With another program, or another plan, the digest is another one, too.
#[test]
fn another_program_does_not_go_on() {
    with(&sketch(BUDGET), |_, site| {
        save(site).unwrap();
        site.set_image(0, 1);
        assert_eq!(restore(site), Err(Refusal::OtherProgram));
        site.set_image(0, 0);
        restore(site).unwrap();
    });
    let digest = |plan: &Sketch| {
        let mut found = [0; 32];
        with(plan, |_, site| {
            save(site).unwrap();
            found = site.shell(0).unwrap().saved.as_ref().unwrap().digest;
        });
        found
    };
    let mut two = Sketch::two_programs(BUDGET);
    two.domains[0].name = worker();
    with(&two, |kernel, site| {
        // What it lives with counts, whatever is set meanwhile.
        site.set_image(0, 1);
        save(site).unwrap();
        assert_eq!(restore(site), Err(Refusal::OtherProgram));
        let program =
            |site: &mut Site<'_, &Fake>| Managed::new(site).program(CLIENT, worker()).unwrap().image;
        assert_eq!(program(site).as_str(), "second", "what is started, if it is");
        site.set_image(0, 0);
        assert_eq!(program(site).as_str(), "first");
        restore(site).unwrap();
        site.kill(0).unwrap();
        // Of the other program's lives the digest is another one, even if all else is the same.
        let [own, other] = [0, 1].map(|image| {
            site.start_on_request(0, Choice { guest_pages: 0, image }).unwrap();
            (0..8).for_each(|offset| kernel.poke(memory(site), offset, 0));
            save(site).unwrap();
            let digest = site.shell(0).unwrap().saved.as_ref().unwrap().digest;
            site.forget_saved(0);
            digest
        });
        assert_ne!(own, other);
    });
    let (plan, mut other_plan) = (sketch(BUDGET), sketch(BUDGET));
    other_plan.threads[1].priority += 1;
    assert_eq!(digest(&plan), digest(&sketch(BUDGET)));
    assert_ne!(digest(&plan), digest(&other_plan));
}

/// One that waits makes the call again by which it does so: the wait alone.
#[test]
fn who_waited_waits_again() {
    let cases = [
        (CAPTURE_RECEIVES, 0x40_1000, CallNumber::ReplyWait as u64),
        (CAPTURE_WAITS, 0x40_1000, CallNumber::Wait as u64),
        (CAPTURE_INTERRUPTED, 0x40_1002, 0),
    ];
    for (how, instruction, rax) in cases {
        with(&sketch(BUDGET), |kernel, site| {
            kernel.set_held(Ok(how));
            save(site).unwrap();
            restore(site).unwrap();
            let restored = kernel.restored();
            assert_eq!(restored[0], (0, [rax, 0, 0, 0]), "{how}");
            assert_eq!(restored.last().unwrap().1[..3], [instruction, 0x202, how]);
        });
    }
}

/// What does not fit goes on as if nobody had asked: one that ran runs, one that was held is held.
#[test]
fn what_cannot_be_saved_now_is_as_it_was() {
    let cases = [
        (0b1, Ok(0), Refusal::HasClients),
        (0, Err(CallError::BadState), Refusal::IsCalling),
        (0, Err(CallError::Denied), Refusal::Failed),
    ];
    for (waiting, held, refusal) in cases {
        with(&sketch(BUDGET), |kernel, site| {
            kernel.set_waiting(waiting);
            kernel.set_held(held);
            assert_eq!(save(site), Err(refusal));
            assert_eq!((site.state(0), free(site)), (Some(State::Running), BUDGET as u64 - PAGES));
            site.pause(0).unwrap();
            assert_eq!(save(site), Err(refusal));
            assert_eq!(site.state(0), Some(State::Paused));
            kernel.set_waiting(0);
            kernel.set_held(Ok(0));
            save(site).unwrap();
        });
    }
    with(&sketch(BUDGET - 1), |_, site| {
        assert_eq!(save(site), Err(Refusal::NoMemory));
        assert_eq!((site.state(0), free(site)), (Some(State::Running), u64::from(BUDGET) - 1 - PAGES));
    });
}

/// Whichever step fails: it is saved and has no memory, or it is as it was before; nothing is lost.
#[test]
fn a_step_that_fails_loses_nothing() {
    for fails_at in 0.. {
        let mut is_over = false;
        with(&sketch(BUDGET), |kernel, site| {
            save(site).unwrap();
            kernel.forget_steps();
            kernel.fail_at(fails_at);
            let restored = restore(site);
            kernel.fail_at(usize::MAX);
            if restored.is_ok() {
                assert!(fails_at > 33, "memory, a new life, the copy, the parts");
                is_over = true;
                return;
            }
            assert_eq!(
                (site.state(0), free(site)),
                (Some(State::Saved), BUDGET as u64 - PAGES),
                "{fails_at}"
            );
            restore(site).unwrap();
            assert_eq!(kernel.peek(memory(site), PAGE_BYTES + 5), 0x5a);
        });
        if is_over {
            return;
        }
    }
}

/// What the plan lets it have beside its own memory.
#[test]
fn only_what_a_domain_has_for_itself_is_saved() {
    let gate = |grants| GateEntry { domain: 2, slot: 9, server: 0, badge: 0, first_grant: 20, grants };
    let rights = Rights::READ.bits();
    type Change<'a> = &'a dyn Fn(&mut Sketch);
    let cases: [(Refusal, [&str; 2], Change<'_>); 5] = [
        (Refusal::HasShared, ["both", "second"], &|plan| *plan = Sketch::on_request(BUDGET)),
        (Refusal::HasShared, ["notes", ""], &|plan| plan.regions[0].source = RegionSource::Memory as u32),
        (Refusal::HasDevice, ["card", ""], &|plan| {
            plan.devices.push(DeviceEntry { name: named("card"), domain: 0, pci_function: NONE });
        }),
        (Refusal::HasLoans, ["notes", ""], &|plan| {
            plan.region_slots.push(RegionSlotEntry { domain: 0, slot: 9, region: 0, rights });
        }),
        (Refusal::HasLoans, ["", "third"], &|plan| plan.gates.push(gate(1))),
    ];
    for (refusal, names, change) in cases {
        let mut plan = sketch(BUDGET);
        change(&mut plan);
        plan.domains
            .iter_mut()
            .zip(["worker", "second", "third"])
            .for_each(|(one, name)| one.name = named(name));
        plan.regions
            .iter_mut()
            .zip(["notes", "second", "third", "both"])
            .for_each(|(one, name)| one.name = named(name));
        let bytes = plan.image();
        let (kernel, image) = (Fake::new(), opened(&bytes));
        let mut site = build(&kernel, &image).unwrap();
        kernel.set_waiting(0);
        site.start_on_request(0, Choice::default()).unwrap();
        assert_eq!(save(&mut site), Err(refusal));
        assert_eq!(site.state(0), Some(State::Running));
        let mut managed = Managed::new(&mut site);
        let found = managed.hindrance(CLIENT, worker()).unwrap();
        assert_eq!([found.what.as_str(), found.whose.as_str()], names, "{refusal}");
        // Of those that are nobody's to manage nothing is told.
        assert_eq!(managed.hindrance(CLIENT, named("second")).unwrap_err(), Refusal::NotManaged);
    }
    let mut plan = sketch(BUDGET);
    plan.gates.push(gate(0));
    with(&plan, |_, site| assert!(save(site).is_ok(), "a client that cannot lend"));
}

/// It has a save of its own, by which its guest goes on.
#[test]
fn who_has_a_guest_is_not_saved() {
    let mut plan = Sketch::guest_on_request(2 + 2 + 600, 600, 256);
    plan.domains[RESTARTED as usize].name = worker();
    let bytes = plan.image();
    let (kernel, image) = (Fake::new(), opened(&bytes));
    let mut site = build(&kernel, &image).unwrap();
    Managed::new(&mut site).start(CLIENT, worker()).unwrap();
    assert_eq!(save(&mut site), Err(Refusal::HasGuest));
}

#[test]
fn who_does_not_live_is_not_saved() {
    let plan = sketch(BUDGET);
    with(&plan, |_, site| {
        for (state, refusal) in [(State::Ended, Refusal::NotAlive), (State::Faulted, Refusal::NotAlive)] {
            site.set_state(0, state);
            assert_eq!((save(site), restore(site)), (Err(refusal), Err(Refusal::IsStarted)));
        }
        site.kill(0).unwrap();
        assert_eq!(save(site), Err(Refusal::IsDefined));
        let mut managed = Managed::new(site);
        assert_eq!(managed.save(CLIENT, Name::EMPTY).unwrap_err(), Refusal::NotManaged);
        assert_eq!(managed.restore(CLIENT, Name::new("x").unwrap()).unwrap_err(), Refusal::Unknown);
    });
}
