//! Asks a disk's domain for what it may not; or is the client beside it, whose sectors must stay as they are.

#![no_std]
#![no_main]

mod attack;

use core::time::Duration;

use cloison_rt::{
    log,
    sys::{Instant, settings, wait},
    time,
};
use disk_api::{Disk, GATE, GateLink, Operation, PLACE_BYTES, PLACE_SECTORS, Request, SECTOR_BYTES};

cloison_rt::entry!(main);

/// How often the sectors are looked at.
const ROUNDS: usize = 12;
/// What the bytes of the client beside have in common: nobody else writes such.
const KEPT: u8 = 0xc0;
/// What is asked for again while the disk's domain is down.
const TRY_AGAIN: Duration = Duration::from_millis(5);

fn main() -> Result<(), &'static str> {
    let link = disk_api::find(GATE).map_err(|_| "there is no disk")?;
    match settings::arguments() {
        "attack" => attack::attack(link),
        "read" => attack::read_alone(link),
        "keep" => keep(link),
        _ => Err("the manifest says neither `attack` nor `read` nor `keep`"),
    }
}

/// Fills all sectors, and sees whether they stay so.
fn keep(link: GateLink) -> Result<(), &'static str> {
    let mut disk = Disk::open(link).map_err(|_| "the disk cannot be opened")?;
    let sectors = disk.sectors();
    each_run(sectors, |first, count| {
        let bytes = filled(first);
        carry_out(&mut disk, link, Operation::Write, (first, count), &mut bytes.clone())
    })?;
    carry_out(&mut disk, link, Operation::Flush, (0, 0), &mut [0; PLACE_BYTES])?;
    log!("{sectors} sectors are filled");
    for _ in 0..ROUNDS {
        each_run(sectors, |first, count| {
            let mut bytes = [0; PLACE_BYTES];
            carry_out(&mut disk, link, Operation::Read, (first, count), &mut bytes)?;
            let length = usize::from(count) * SECTOR_BYTES;
            if bytes[..length] == filled(first)[..length] { Ok(()) } else { Err("a sector was changed") }
        })?;
    }
    log!("each sector is as it was left");
    Ok(())
}

/// What is written from a sector on: each says its number.
fn filled(first: u64) -> [u8; PLACE_BYTES] {
    core::array::from_fn(|at| KEPT | ((first as usize + at / SECTOR_BYTES) % 63) as u8)
}

/// Does something with all sectors, as many at a time as a request can have.
fn each_run(
    sectors: u64,
    mut act: impl FnMut(u64, u8) -> Result<(), &'static str>,
) -> Result<(), &'static str> {
    let run = PLACE_SECTORS as u64;
    (0..sectors).step_by(PLACE_SECTORS).try_for_each(|first| act(first, run.min(sectors - first) as u8))
}

/// Carries out a request, and waits for its end.
fn carry_out(
    disk: &mut Disk,
    link: GateLink,
    operation: Operation,
    (first, sectors): (u64, u8),
    bytes: &mut [u8; PLACE_BYTES],
) -> Result<(), &'static str> {
    let place = disk.take_place().ok_or("there is no place")?;
    if operation == Operation::Write && !disk.fill(place, 0, bytes) {
        return Err("a place has no room");
    }
    disk.submit(place, Request { operation, first, sectors });
    let (ended, is_done) = loop {
        if let Some(ended) = disk.next_ended() {
            break ended;
        }
        wait(link.events(), if disk.is_lost() { time::after(TRY_AGAIN) } else { Instant::NEVER });
    };
    let is_read = operation != Operation::Read || disk.read(place, 0, bytes);
    disk.release(place);
    if ended == place && is_done && is_read { Ok(()) } else { Err("a request of the client's own failed") }
}
