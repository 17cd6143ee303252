//! Threads that run guests.

use core::cell::Cell;

use cloison_abi::call::POLL;

use super::{tests::system, *};

/// Whether a guest is due at a time, for which the clock is read.
fn at(threads: &mut Threads, id: ThreadId, mask: u64, now: u64) -> Option<Next> {
    threads.guest_is_due(id, mask, || now)
}

#[test]
fn a_guest_runs_until_its_deadline() {
    let (mut threads, ids) = system(&[1]);
    threads.settle(|| 0);
    threads.enter_guest(ids[0], 0, 50);
    assert_eq!(threads.settle(|| 10), 50, "the timer comes then");
    assert_eq!(at(&mut threads, ids[0], !0, 49), None);
    assert_eq!(threads.timer(50), 0, "no wait has ended");
    assert_eq!(threads.current(), Some(ids[0]));
    assert_eq!(at(&mut threads, ids[0], !0, 50), Some(Next::TimedOut));
    threads.leave_guest(ids[0]);
    assert_eq!(threads.settle(|| 51), NO_DEADLINE, "the timer has nothing more to do");
}

#[test]
fn a_guest_has_the_cpu_at_once_if_there_is_nothing_to_decide() {
    let (mut threads, ids) = system(&[1]);
    let id = ids[0];
    assert!(!threads.enter_guest(id, 0b10, 50), "who runs is to be settled first");
    threads.settle(|| 0);
    assert!(threads.enter_guest(id, 0b10, 50));
    assert!(!threads.enter_guest(id, 0b10, POLL), "it is due");
    threads.signal(id, 0b11);
    assert!(!threads.enter_guest(id, 0b10, 50), "there is an event");
    assert!(threads.enter_guest(id, 0b100, 50), "of another mask");
    assert!(!threads.enter_guest(id, 0b100, 40), "the timer has to come earlier");
}

#[test]
fn a_guest_without_a_deadline_costs_no_look_at_the_clock() {
    let (mut threads, ids) = system(&[1]);
    threads.enter_guest(ids[0], 0, NO_DEADLINE);
    let looks = Cell::new(0);
    let due = threads.guest_is_due(ids[0], !0, || {
        looks.set(looks.get() + 1);
        u64::MAX
    });
    assert_eq!((due, looks.get()), (None, 0));
    assert_eq!(threads.settle(|| 0), NO_DEADLINE);
}

#[test]
fn a_deadline_that_has_passed_needs_no_timer() {
    let (mut threads, ids) = system(&[1]);
    threads.enter_guest(ids[0], 0, POLL);
    assert_eq!(threads.settle(|| 0), NO_DEADLINE);
    assert_eq!(at(&mut threads, ids[0], !0, 0), Some(Next::TimedOut));
}

#[test]
fn a_guest_comes_out_for_events_of_its_mask_and_leaves_others() {
    let (mut threads, ids) = system(&[1]);
    threads.enter_guest(ids[0], 0, 50);
    assert_eq!(threads.signal(ids[0], 0b0110), None, "it does not wait");
    assert_eq!(at(&mut threads, ids[0], 0b1001, 20), None);
    assert_eq!(at(&mut threads, ids[0], 0b1010, 20), Some(Next::Events(0b0010)), "events come first");
    assert_eq!(at(&mut threads, ids[0], 0b0010, 60), Some(Next::TimedOut), "each is taken once");
    assert_eq!(threads.get(ids[0]).pending(), 0b0100);
}

/// Somebody of a higher priority has the CPU when the deadline passes.
#[test]
fn a_deadline_that_passes_meanwhile_is_noticed_afterwards() {
    let (mut threads, ids) = system(&[1, 5]);
    let [low, high] = ids[..] else { unreachable!() };
    assert_eq!(threads.pick(), Some(high));
    assert_eq!(threads.wait(high, 1, 30), Next::Blocked);
    assert_eq!(threads.pick(), Some(low));
    threads.enter_guest(low, 0, 50);
    threads.settle(|| 0);
    assert_eq!(threads.timer(30), high.bit());
    assert_eq!(threads.settle(|| 30), 50);
    assert_eq!(threads.timer(50), 0);
    assert_eq!(threads.settle(|| 50), NO_DEADLINE, "the timer comes once");
    assert_eq!(threads.current(), Some(high));
    assert_eq!(threads.wait(high, 1, NO_DEADLINE), Next::Blocked);
    assert_eq!(threads.pick(), Some(low));
    assert_eq!(at(&mut threads, low, !0, 70), Some(Next::TimedOut));
}

#[test]
fn each_of_several_guests_has_its_own_deadline() {
    let (mut threads, ids) = system(&[1, 1, 1]);
    for (id, deadline) in [(ids[0], 90), (ids[1], 50), (ids[2], NO_DEADLINE)] {
        threads.enter_guest(id, 0, deadline);
    }
    let due = |threads: &mut Threads, now| {
        let mut threads = threads.clone();
        ids.iter().map(|id| at(&mut threads, *id, !0, now).is_some()).collect::<std::vec::Vec<_>>()
    };
    assert_eq!(due(&mut threads, 60), [false, true, false]);
    threads.timer(60);
    threads.leave_guest(ids[1]);
    assert_eq!(threads.dispatch.next_deadline, 90, "the other one's is still to come");
    threads.timer(90);
    assert_eq!(due(&mut threads, 90), [true, true, false]);
    assert_eq!(threads.dispatch.next_deadline, NO_DEADLINE);
}

#[test]
fn a_thread_that_is_halted_has_no_guests_deadline_in_its_next_life() {
    let (mut threads, ids) = system(&[1, 1]);
    threads.enter_guest(ids[0], 0, 90);
    threads.enter_guest(ids[1], 0, 40);
    threads.halt(ids[0], State::Stopped);
    threads.start(ids[0]).unwrap();
    threads.timer(40);
    assert_eq!(threads.dispatch.next_deadline, NO_DEADLINE);
}
