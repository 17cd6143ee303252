//! LZ4 against frames that are made step by step beside what they stand for.

use std::boxed::Box;
use std::vec;
use std::vec::Vec;

use proptest::prelude::*;

use super::made;
use crate::boot::{BootError, lz4};

fn unpack(frame: &[u8], bytes: usize) -> Result<Vec<u8>, BootError> {
    let mut unpacked = Vec::new();
    lz4::unpack(frame, bytes, &mut Box::new([0x55; lz4::WINDOW_BYTES]), |piece| {
        unpacked.extend(piece);
        assert!(unpacked.len() <= bytes, "no more than was promised");
        Ok(())
    })?;
    Ok(unpacked)
}

/// A block, and what it stands for.
fn block(steps: &[(usize, u16, usize)], last: usize) -> (Vec<u8>, Vec<u8>) {
    let (mut block, mut plain) = (Vec::new(), Vec::<u8>::new());
    for &(literals, distance, length) in steps {
        let from = plain.len();
        plain.extend(made::pattern(from + literals).split_off(from));
        let distance = usize::from(distance).clamp(1, plain.len());
        block.extend(made::sequence(&plain[from..], Some((distance as u16, length))));
        for _ in 0..length {
            plain.push(plain[plain.len() - distance]);
        }
    }
    let tail = made::pattern(last);
    block.extend(made::sequence(&tail, None));
    plain.extend(tail);
    (block, plain)
}

fn steps() -> impl Strategy<Value = (Vec<(usize, u16, usize)>, usize)> {
    let literals = prop_oneof![1..40_usize, Just(15), Just(270), 1..70_000_usize];
    let distance = prop_oneof![1..20_u16, any::<u16>(), Just(0xffff)];
    let length = prop_oneof![4..40_usize, Just(18), Just(19), Just(274), 4..200_000_usize];
    (prop::collection::vec((literals, distance, length), 0..12), 0..300_usize)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_frame_unpacks_to_what_it_stands_for(blocks in prop::collection::vec(steps(), 0..4), magic in any::<bool>()) {
        let mut frame = lz4::MAGIC.to_vec();
        let mut plain = Vec::new();
        for (steps, last) in &blocks {
            let (block, bytes) = block(steps, *last);
            made::add_block(&mut frame, &block);
            plain.extend(bytes);
            if magic {
                frame.extend(lz4::MAGIC);
            }
        }
        prop_assert_eq!(unpack(&frame, plain.len())?, plain.clone());
        prop_assert_eq!(unpack(&frame, plain.len() + 1), Err(BootError::Damaged));
        if let Some(less) = plain.len().checked_sub(1) {
            prop_assert_eq!(unpack(&frame, less), Err(BootError::Damaged));
        }
    }

    #[test]
    fn a_damaged_frame_is_refused_or_has_the_promised_length(
        (steps, last) in steps(), damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let (block, plain) = block(&steps, last);
        let mut frame = lz4::MAGIC.to_vec();
        made::add_block(&mut frame, &block);
        for (at, byte) in damage {
            let at = at.index(frame.len());
            frame[at] = byte;
        }
        for frame in [&frame[..], &frame[..cut.index(frame.len())]] {
            if let Ok(unpacked) = unpack(frame, plain.len()) {
                prop_assert_eq!(unpacked.len(), plain.len());
            }
        }
    }
}

/// A frame with one block.
fn one(block: &[u8]) -> Vec<u8> {
    let mut frame = lz4::MAGIC.to_vec();
    made::add_block(&mut frame, block);
    frame
}

#[test]
fn matches_reach_no_further_than_their_block() {
    let reach = |distance| [made::sequence(b"ab", Some((distance, 4))), made::sequence(b"", None)].concat();
    assert_eq!(unpack(&one(&reach(2)), 6).unwrap(), b"ababab");
    for distance in [0, 3] {
        assert_eq!(unpack(&one(&reach(distance)), 6), Err(BootError::Damaged));
    }
    let mut second = one(&made::sequence(b"xyz", None));
    made::add_block(&mut second, &reach(3));
    assert_eq!(unpack(&second, 9), Err(BootError::Damaged), "the byte belongs to the block before");
}

#[test]
fn the_furthest_match_crosses_the_window() {
    let long = made::pattern(lz4::WINDOW_BYTES + 7);
    let block = [made::sequence(&long, Some((0xffff, 0xffff))), made::sequence(b"", None)].concat();
    let plain = [&long[..], &long[long.len() - 0xffff..]].concat();
    assert_eq!(unpack(&one(&block), plain.len()).unwrap(), plain);
}

#[test]
fn blocks_hold_eight_mib_at_most() {
    let block = |bytes| [made::sequence(b"a", Some((1, bytes - 1))), made::sequence(b"", None)].concat();
    let full = unpack(&one(&block(lz4::BLOCK_BYTES)), lz4::BLOCK_BYTES).unwrap();
    assert_eq!(full, vec![b'a'; lz4::BLOCK_BYTES]);
    assert_eq!(unpack(&one(&block(lz4::BLOCK_BYTES + 1)), lz4::BLOCK_BYTES + 1), Err(BootError::Damaged));
}

#[test]
fn a_frame_ends_with_its_last_block() {
    let whole = made::frame(b"some text", 4);
    assert_eq!(unpack(&whole, 9).unwrap(), b"some text");
    for cut in 0..whole.len() {
        assert_eq!(unpack(&whole[..cut], 9), Err(BootError::Damaged), "cut at {cut}");
    }
    let mut no_end = made::sequence(b"ab", Some((2, 4)));
    assert_eq!(unpack(&one(&no_end), 6), Err(BootError::Damaged), "a block ends with literals");
    no_end.push(0);
    assert_eq!(unpack(&one(&no_end), 6).unwrap(), b"ababab");
}

#[test]
fn what_the_sink_says_ends_it() {
    let frame = made::frame(b"some text", 100);
    let refused = BootError::Refused { at: 7 };
    let mut window = Box::new([0; lz4::WINDOW_BYTES]);
    assert_eq!(lz4::unpack(&frame, 9, &mut window, |_| Err(refused)), Err(refused));
}
