//! Kills at drawn points: all managed domains are started, and ended one after the other while they work with each other.

use core::time::Duration;

use alloc::vec::Vec;
use builder_api::{GATE, manage::Client};
use cloison_abi::Name;
use cloison_rt::{log, time};

use crate::{Failure, count::Count};

/// Longest time between two kills.
const LONGEST: Duration = Duration::from_micros(4000);

/// Reads how many seeds and rounds there are to be.
///
/// # Errors
/// [`Failure`].
pub fn run(words: impl Iterator<Item = &'static str>) -> Result<(), Failure> {
    let mut numbers = words.map_while(|word| word.parse::<u32>().ok());
    match (numbers.next(), numbers.next()) {
        (Some(seeds), Some(rounds)) => reap(&Client::find(GATE)?, seeds.into(), rounds),
        _ => Err(Failure::Plan("no numbers of seeds and rounds")),
    }
}

/// With each seed this many rounds. After each kill the domain has what it had after its first life, and after each round
/// everything is as it was.
fn reap(builder: &Client, seeds: u64, rounds: u32) -> Result<(), Failure> {
    let all = (0..=u8::MAX).map_while(|place| Some((place, builder.entry(place).ok()?)));
    let managed: Vec<_> =
        all.filter(|(_, entry)| entry.is_managed).map(|(place, entry)| (place, entry.name)).collect();
    // What a domain has had when it was built, it has no more when it was ended.
    for (_, name) in &managed {
        builder.start(*name)?;
        builder.kill(*name)?;
    }
    let before = Count::take(builder)?;
    for seed in 1..=seeds {
        let mut drawn = Drawn(seed);
        let mut kills = 0;
        for _ in 0..rounds {
            managed.iter().try_for_each(|(_, name)| builder.start(*name).map(drop))?;
            let mut living = managed.clone();
            while !living.is_empty() {
                time::sleep(Duration::from_micros(drawn.below(LONGEST.as_micros() as u64)));
                let (place, name) = living.swap_remove(drawn.below(living.len() as u64) as usize);
                builder.kill(name)?;
                kills += 1;
                if !Count::take(builder)?.is_same_of(&before, place) {
                    return Err(left(seed, kills, name));
                }
            }
            if Count::take(builder)? != before {
                return Err(left(seed, kills, Name::EMPTY));
            }
        }
        log!("seed {seed}: {kills} kills have left nothing");
    }
    Ok(())
}

/// Says which kill it was, so that it can be had again.
fn left(seed: u64, kills: u32, name: Name) -> Failure {
    log!("seed {seed}: something is left after kill {kills} {name}");
    Failure::Different
}

/// Numbers that follow from a seed (splitmix64, by Steele, Lea and Flood).
struct Drawn(u64);

impl Drawn {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ mixed >> 31) % end
    }
}
