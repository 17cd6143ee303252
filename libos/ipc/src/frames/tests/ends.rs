//! Both ends in one: what a careful side is spared, and what it is told.

use core::sync::atomic::Ordering;
use std::cell::Cell;

use super::{Control, Counter, HeapPort, port, receiver, send, sender};
use crate::frames::{FrameEnds, Spoilt};

std::thread_local! {
    /// Complaints in this test.
    static COMPLAINTS: Cell<usize> = const { Cell::new(0) };
}

fn complain(_: Spoilt) {
    COMPLAINTS.set(COMPLAINTS.get() + 1);
}

/// Both ends at side 1 of a new port.
fn ends(port: &HeapPort, bell: &Counter) -> FrameEnds<super::Side<HeapPort>, Counter> {
    FrameEnds::new((sender(port, 1, bell), receiver(port, 1, bell)), complain)
}

#[test]
fn a_frame_that_does_not_fit_is_lost_and_the_next_one_comes() {
    let (port, bell) = (port(256), Counter::default());
    let (mut other, mut ends) = (sender(&port, 0, &bell), ends(&port, &bell));
    assert_eq!(send(&mut other, b"too long", 0), Ok(true));
    assert_eq!(send(&mut other, b"fits", 0), Ok(true));
    let mut buffer = [0; 4];
    assert_eq!((ends.receive(&mut buffer), &buffer), (Some(4), b"fits"));
    assert_eq!(ends.receive(&mut buffer), None);
}

#[test]
fn only_the_first_of_many_faults_is_said_and_each_is_given_up() {
    let (port, bell) = (port(256), Counter::default());
    let mut ends = ends(&port, &bell);
    for round in 0..3 {
        port.words[0][Control::Produced as usize].store(77 * (round + 1), Ordering::Relaxed);
        assert_eq!(ends.receive(&mut [0; 8]), None);
        assert_eq!(COMPLAINTS.get(), 1, "round {round}");
        assert!(ends.prepare_wait(None), "the ends have started over");
    }
    port.words[0][Control::Consumed as usize].store(77, Ordering::Relaxed);
    assert!(ends.reserve(8).is_none());
    assert!(!ends.prepare_wait(Some(8)), "what was spoilt is found here, and there is room again");
    assert!(ends.reserve(8).is_some());
    assert_eq!(COMPLAINTS.get(), 1);
}

#[test]
fn who_has_no_room_is_woken_when_there_is_some_again() {
    let (port, bell) = (port(64), Counter::default());
    let (mut other, mut ends) = (receiver(&port, 0, &bell), ends(&port, &bell));
    while ends.reserve(8).is_some() {
        ends.publish(8);
    }
    ends.flush();
    for (room, signals) in [(Some(8), 1), (None, 0)] {
        assert!(ends.prepare_wait(room));
        let before = bell.get();
        assert!(other.next().is_ok_and(|frame| frame.is_some()));
        other.release();
        other.flush();
        assert_eq!(bell.get() - before, signals, "room: {room:?}");
    }
    assert!(!ends.prepare_wait(Some(8)), "there is room already");
}
