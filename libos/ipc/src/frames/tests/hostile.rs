//! The peer writes what it likes, when it likes: each operation ends in an error or in a frame, never in an
//! access outside of the ring (the test memory panics on one).

use core::sync::atomic::Ordering;
use std::{vec, vec::Vec};

use proptest::{collection::vec as some, prelude::*};

use super::{Cell as _, Control, Counter, HeapPort, port, receive, receiver, send, sender};
use crate::{frames::SKIP, ring::RingError};

fn set(port: &HeapPort, side: usize, word: Control, value: u32) {
    port.words[side][word as usize].store(value, Ordering::Relaxed);
}

#[test]
fn positions_that_cannot_be_are_refused() {
    for (produced, consumed) in [(33, 1), (34, 32), (u32::MAX / 2, u32::MAX / 2), (u32::MAX, u32::MAX - 32)] {
        let (port, bell) = (port(256), Counter::default());
        let (mut input, mut output) = (sender(&port, 0, &bell), receiver(&port, 0, &bell));
        set(&port, 1, Control::Produced, produced);
        assert_eq!(output.next(), Err(RingError::Corrupt), "produced {produced}");
        assert_eq!(output.prepare_wait(), Err(RingError::Corrupt));
        set(&port, 1, Control::Consumed, consumed);
        assert_eq!(input.reserve(1), Err(RingError::Corrupt), "consumed {consumed}");
        assert_eq!(input.prepare_wait(1), Err(RingError::Corrupt));
        input.resync();
        output.resync();
        assert_eq!((output.next(), input.reserve(0).is_ok()), (Ok(None), true), "all begins again");
    }
}

#[test]
fn records_that_cannot_be_are_refused() {
    let skip = u64::from(SKIP);
    // Where the record is, how many units are produced from there, its header, and the one at the start.
    let cases = [
        (0, 1, 1, 0),
        (0, 2, 9, 0),
        (0, 32, 249, 0),
        (0, 32, u64::from(SKIP - 1), 0),
        (0, 32, u64::from(SKIP - 7), 0),
        (24, 32, 8 * 8 - 7, 0),
        (0, 32, skip, 0),
        (24, 8, skip, 0),
        (24, 9, skip, 1),
        (24, 32, skip, skip),
        (24, 32, skip, 8 * 24 - 7),
    ];
    for (at, produced, header, at_start) in cases {
        let (port, bell) = (port(256), Counter::default());
        set(&port, 0, Control::Produced, at);
        set(&port, 1, Control::Consumed, at);
        let mut output = receiver(&port, 1, &bell);
        port.halves[0][0].set(at_start);
        port.halves[0][at as usize].set(header);
        set(&port, 0, Control::Produced, at + produced);
        let case = std::format!("header {header:x} at {at} with {produced}, then {at_start:x}");
        assert_eq!(output.next(), Err(RingError::Corrupt), "{case}");
        assert!(!output.read(0, &mut [0]), "{case}");
        output.resync();
        assert_eq!(output.next(), Ok(None), "{case}");
    }
}

/// What the peer or this side does next.
type Step = (usize, u32, Vec<(u8, u64)>, u8);

fn any_step() -> impl Strategy<Value = Step> {
    let word = prop_oneof![0..80_u32, any::<u32>()];
    let header = prop_oneof![0..300_u64, Just(u64::from(SKIP)), any::<u64>()];
    (0..4_usize, word, some((any::<u8>(), header), 0..6), 0..8_u8)
}

proptest! {
    #[test]
    fn nothing_a_peer_writes_leads_out_of_the_ring(steps in some(any_step(), 1..80)) {
        let (port, bell) = (port(256), Counter::default());
        let (mut input, mut output) = (sender(&port, 0, &bell), receiver(&port, 0, &bell));
        for (word, value, headers, action) in steps {
            port.words[1][word].store(value, Ordering::Relaxed);
            for (at, header) in headers {
                port.halves[1][usize::from(at) % 32].set(header);
            }
            match action {
                0 => drop(send(&mut input, &vec![1; value as usize % 140], value)),
                1 | 2 => drop(receive(&mut output)),
                3 => drop((output.next(), output.copy_to(value as usize % 99, &mut input, 3, 7))),
                4 => drop((input.prepare_wait(value as usize % 140), output.prepare_wait())),
                5 => drop((input.flush(), output.flush())),
                6 => drop((input.resync(), output.resync())),
                _ => (input, output) = (sender(&port, 0, &bell), receiver(&port, 0, &bell)),
            }
        }
    }
}
