//! One thread, random operations: the ring behaves as a queue does.

use core::sync::atomic::Ordering;
use std::{collections::VecDeque, vec::Vec};

use proptest::{collection::vec as some, prelude::*};

use super::{Control, Counter, port, receive, receiver, send, sender};
use crate::ring::RingError;

#[derive(Clone, Debug)]
enum Step {
    Send(Vec<u8>, u32),
    Receive,
    NewSender,
    NewReceiver,
}

fn any_step(longest: usize) -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (some(any::<u8>(), 0..=longest), any::<u32>()).prop_map(|(frame, tag)| Step::Send(frame, tag)),
        8 => Just(Step::Receive),
        1 => Just(Step::NewSender),
        1 => Just(Step::NewReceiver),
    ]
}

proptest! {
    #[test]
    fn frames_come_out_as_they_went_in(
        first in prop_oneof![Just(0_u32), Just(u32::MAX - 40), any::<u32>()],
        steps in some(any_step(120), 0..200),
    ) {
        let (port, bell) = (port(256), Counter::default());
        // As if that much had gone through before.
        port.words[0][Control::Produced as usize].store(first, Ordering::Relaxed);
        port.words[1][Control::Consumed as usize].store(first, Ordering::Relaxed);
        let (mut input, mut output) = (sender(&port, 0, &bell), receiver(&port, 1, &bell));
        prop_assert_eq!(input.longest(), 120);
        let mut queue = VecDeque::<(Vec<u8>, u32)>::new();
        for step in steps {
            match step {
                Step::Send(frame, tag) => {
                    let sent = send(&mut input, &frame, tag).unwrap();
                    prop_assert!(sent || !queue.is_empty(), "an empty ring has room for every frame");
                    prop_assert_eq!(sent, !input.prepare_wait(frame.len()).unwrap() || sent);
                    if sent {
                        queue.push_back((frame, tag));
                    }
                }
                Step::Receive => prop_assert_eq!(receive(&mut output).unwrap(), queue.pop_front()),
                Step::NewSender => input = sender(&port, 0, &bell),
                Step::NewReceiver => output = receiver(&port, 1, &bell),
            }
            prop_assert_eq!(output.prepare_wait().unwrap(), queue.is_empty());
        }
    }
}

#[test]
fn a_batch_costs_one_signal_and_an_idle_ring_none() {
    let (port, to_receiver, to_sender) = (port(256), Counter::default(), Counter::default());
    let (mut input, mut output) = (sender(&port, 0, &to_receiver), receiver(&port, 1, &to_sender));
    assert!(output.prepare_wait().unwrap());
    for tag in 0..3 {
        assert!(send(&mut input, &[1; 8], tag).unwrap());
    }
    assert_eq!(to_receiver.get(), 0, "nobody is told before the end of the batch");
    input.flush();
    input.flush();
    assert_eq!(to_receiver.get(), 1);
    assert!(send(&mut input, &[1; 8], 3).unwrap());
    input.flush();
    assert_eq!(to_receiver.get(), 1, "nobody has asked to be told of this one");
    assert!(!output.prepare_wait().unwrap(), "there is something to read");
}

#[test]
fn a_signal_that_is_kept_comes_once_and_only_where_one_would() {
    let (port, to_receiver, to_sender) = (port(256), Counter::default(), Counter::default());
    let (mut input, mut output) = (sender(&port, 0, &to_receiver), receiver(&port, 1, &to_sender));
    assert!(output.prepare_wait().unwrap());
    assert!(send(&mut input, &[1; 8], 0).unwrap());
    let kept = input.flush_keeping();
    assert!(kept.is_some(), "the receiver waits");
    assert!(send(&mut input, &[1; 8], 1).unwrap());
    assert!(input.flush_keeping().is_none(), "it is going to be told, and of this one too");
    assert_eq!(to_receiver.get(), 0, "it is not told yet");
    drop(kept);
    input.flush();
    assert_eq!(to_receiver.get(), 1);
}

#[test]
fn a_sender_is_woken_when_there_is_as_much_room_as_it_wants() {
    let (port, to_receiver, to_sender) = (port(256), Counter::default(), Counter::default());
    let (mut input, mut output) = (sender(&port, 0, &to_receiver), receiver(&port, 1, &to_sender));
    while send(&mut input, &[1; 24], 0).unwrap() {}
    assert!(input.prepare_wait(56).unwrap(), "the ring is full");
    for (released, signals) in [(1, 0), (2, 1), (3, 1)] {
        receive(&mut output).unwrap();
        output.flush();
        assert_eq!(to_sender.get(), signals, "after {released} of 32 bytes each");
    }
    assert!(!input.prepare_wait(56).unwrap());
    assert!(input.reserve(56).unwrap().is_some());
}

#[test]
fn a_frame_can_be_shorter_than_what_was_reserved() {
    let (port, bell) = (port(256), Counter::default());
    let (mut input, mut output) = (sender(&port, 0, &bell), receiver(&port, 1, &bell));
    input.reserve(100).unwrap().unwrap()[..5].copy_from_slice(b"short");
    input.publish(5, 7);
    assert_eq!(receive(&mut output), Ok(Some((b"short".to_vec(), 7))));
}

#[test]
fn a_frame_that_can_never_be_sent_is_an_error() {
    let (port, bell) = (port(256), Counter::default());
    let mut input = sender(&port, 0, &bell);
    assert_eq!(input.reserve(121), Err(RingError::TooLong(121)));
    assert_eq!(input.prepare_wait(usize::MAX), Err(RingError::TooLong(usize::MAX)));
}

#[test]
#[should_panic(expected = "after it was reserved")]
fn what_is_not_reserved_cannot_be_published() {
    let mut input = sender(&port(256), 0, &Counter::default());
    input.reserve(8).unwrap();
    input.publish(9, 0);
}

#[test]
fn a_frame_goes_from_port_to_port_in_pieces() {
    let (from, to, bell) = (port(256), port(512), Counter::default());
    let mut out = sender(&from, 0, &bell);
    let (incoming, mut outgoing) = (&mut receiver(&from, 1, &bell), sender(&to, 0, &bell));
    let frame: Vec<u8> = (0..100).collect();
    assert!(send(&mut out, &frame, 0).unwrap());
    assert_eq!(incoming.next().unwrap().unwrap().bytes, 100);
    let mut start = [0; 14];
    assert!(incoming.read(0, &mut start));
    outgoing.reserve(100).unwrap().unwrap()[..14].copy_from_slice(&start);
    assert!(incoming.copy_to(14, &mut outgoing, 14, 86));
    for (at, to_at, bytes) in
        [(14, 14, 87), (15, 14, 86), (14, 15, 86), (usize::MAX, 0, 1), (0, usize::MAX, 1)]
    {
        assert!(!incoming.copy_to(at, &mut outgoing, to_at, bytes), "{bytes} bytes from {at} to {to_at}");
    }
    outgoing.publish(100, 3);
    incoming.release();
    assert!(!incoming.read(0, &mut [0]), "the frame is released");
    assert!(!incoming.copy_to(0, &mut outgoing, 0, 1));
    assert_eq!(receive(&mut receiver(&to, 1, &bell)), Ok(Some((frame, 3))));
}
