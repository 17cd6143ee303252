//! Onlooker: has memory together with another domain. It counts in all words of its own, looks at all words of the other
//! one without a pause, and says when those move, when they stand still, and when there is nothing any more.

#![no_std]
#![no_main]

use core::{sync::atomic::Ordering::Relaxed, time::Duration};

use cloison_rt::{
    log,
    sys::{info, memory::SharedMemory},
    time,
};

cloison_rt::entry!(main);

/// Bytes that each of the two writes: a part of each page.
const HALF: usize = 2048;
/// How long a turn is, and after how many without a change the other one stands still.
const TURN: Duration = Duration::from_millis(20);
const PATIENCE: u32 = 10;

/// What is seen of the other one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sight {
    Unknown,
    Moves,
    StandsStill,
    Nothing,
}

fn main() -> Result<(), &'static str> {
    let page = info::get();
    let client = || page.clients().next().and_then(SharedMemory::of);
    let asks = page.find::<info::Use>("page");
    let (memory, own) = match asks {
        Some(entry) => (SharedMemory::of(entry), 0),
        None => (client(), HALF),
    };
    let memory = memory.ok_or("the plan gives this domain no memory together with another one")?;
    let (mut told, mut last, mut still, mut uneven) = (Sight::Unknown, 0, 0, 0);
    for turn in 1.. {
        words(&memory, own).for_each(|word| word.store(turn, Relaxed));
        time::sleep(TURN);
        let Some(seen) = look(&memory, HALF - own) else {
            // The other one, or the monitor, is in the middle of it. So it is not each time.
            uneven += 1;
            if uneven > PATIENCE {
                return Err("some of the memory is seen, and some is not");
            }
            continue;
        };
        uneven = 0;
        still = if seen == last { still + 1 } else { 0 };
        last = seen;
        let sight = match still {
            0 if seen > 0 => Sight::Moves,
            PATIENCE if seen > 0 => Sight::StandsStill,
            _ if seen == 0 && told != Sight::Unknown => Sight::Nothing,
            _ => continue,
        };
        if sight != told {
            log!("{}", tell(sight));
            told = sight;
        }
    }
    Ok(())
}

/// Words of the half of each page that begins at this offset.
fn words(memory: &SharedMemory, half: usize) -> impl Iterator<Item = &'static core::sync::atomic::AtomicU64> {
    let pages = (0..memory.len()).step_by(2 * HALF);
    pages.flat_map(move |page| (0..HALF).step_by(8).filter_map(move |at| memory.atomic_u64(page + half + at)))
}

/// What the other one has counted, if all of its words say the same.
fn look(memory: &SharedMemory, other: usize) -> Option<u64> {
    let first = words(memory, other).next()?.load(Relaxed);
    words(memory, other).all(|word| word.load(Relaxed) == first).then_some(first)
}

fn tell(sight: Sight) -> &'static str {
    match sight {
        Sight::Unknown | Sight::Nothing => "nothing of the other one is there",
        Sight::Moves => "the other one counts",
        Sight::StandsStill => "the other one stands still",
    }
}
