//! What must be refused, and what must not reach anybody else.

use cloison_ipc::{Message, Transport};
use cloison_rt::log;
use disk_api::{
    Disk, Failure, GateLink, Link, Operation, Outcome, PLACE_BYTES, PLACES, SHARED_BYTES,
    disk::{self, Refusal},
};

use crate::{KEPT, carry_out, each_run};

/// Rounds in which places are used, changed and forgotten while their requests are under way.
const ROUNDS: u32 = 300;

/// A client of a part that it may write.
pub(crate) fn attack(link: GateLink) -> Result<(), &'static str> {
    let client = disk::Client::new(link);
    if client.submit(0, Operation::Read, 1, 0) != Err(Failure::Refused(Refusal::NotOpen)) {
        return Err("a disk that was not opened was read");
    }
    let sectors = client.open().map_err(|_| "the disk cannot be opened")?.sectors;
    let mut refused = refuses_sectors(link, sectors)?;
    refused += refuses_places(link)?;
    refused += refuses_messages(link)?;
    log!("{refused} attacks refused");
    disturb(link, sectors);
    look_at_all(link)
}

/// A client that may only read.
pub(crate) fn read_alone(link: GateLink) -> Result<(), &'static str> {
    let client = disk::Client::new(link);
    let opened = client.open().map_err(|_| "the disk cannot be opened")?;
    if !opened.is_read_only {
        return Err("the disk says that it can be written");
    }
    for first in 0..opened.sectors.min(100) {
        if client.submit(0, Operation::Write, 1, first) != Err(Failure::Refused(Refusal::ReadOnly)) {
            return Err("a disk that may only be read was written");
        }
    }
    let refused = refuses_sectors(link, opened.sectors)?;
    log!("{refused} attacks refused, 100 writes refused");
    look_at_all(link)
}

/// Sectors that are not the client's, and numbers of them that no request has.
fn refuses_sectors(link: GateLink, sectors: u64) -> Result<usize, &'static str> {
    let client = disk::Client::new(link);
    let most = u64::MAX;
    let wrong = [
        (sectors, 1),
        (sectors - 1, 2),
        (sectors, 88),
        (sectors + 1, 1),
        (2 * sectors, 1),
        (most, 1),
        (most - 87, 88),
        (most / 512 + 1, 1),
        (1 << 63, 1),
        (0, 0),
        (0, 89),
        (0, 255),
    ];
    for (first, count) in wrong {
        let refused = client.submit(0, Operation::Read, count, first);
        if refused != Err(Failure::Refused(Refusal::OutOfRange)) {
            return Err("sectors of somebody else were read");
        }
        match client.submit(0, Operation::Write, count, first) {
            Err(Failure::Refused(Refusal::OutOfRange | Refusal::ReadOnly)) => {}
            _ => return Err("sectors of somebody else were written"),
        }
    }
    Ok(2 * wrong.len())
}

/// Places that are not there, or not free.
fn refuses_places(link: GateLink) -> Result<usize, &'static str> {
    let client = disk::Client::new(link);
    for place in PLACES as u8..=u8::MAX {
        if client.submit(place, Operation::Read, 1, 0) != Err(Failure::Refused(Refusal::NoPlace)) {
            return Err("a place that is not there was used");
        }
    }
    client.submit(0, Operation::Read, 1, 0).map_err(|_| "the client's own sector was refused")?;
    if client.submit(0, Operation::Read, 1, 0) != Err(Failure::Refused(Refusal::Busy)) {
        return Err("a place had two requests");
    }
    client.open().map_err(|_| "the disk cannot be opened again")?;
    Ok(usize::from(u8::MAX) - PLACES + 2)
}

/// Messages that no client sends.
fn refuses_messages(link: GateLink) -> Result<usize, &'static str> {
    let wrong = [
        Message { label: 3, words: [0; 4] },
        Message { label: u32::MAX, words: [0; 4] },
        Message { label: 0, words: [1, 0, 0, 0] },
        Message { label: 1, words: [u64::MAX; 4] },
        Message { label: 1, words: [3 << 8, 0, 0, 0] },
        Message { label: 2, words: [0, 0, 0, 1 << 63] },
    ];
    for message in wrong {
        let answer = link.call(message).map_err(|_| "the disk's domain did not answer")?;
        if answer.label != cloison_ipc::gate::ANSWER_MALFORMED {
            return Err("a message that means nothing was answered");
        }
    }
    Ok(wrong.len())
}

/// Changes what is under way, and forgets it.
fn disturb(link: GateLink, sectors: u64) {
    let client = disk::Client::new(link);
    for round in 0..ROUNDS {
        for place in 0..PLACES as u8 {
            let operation =
                if (round + u32::from(place)) % 3 == 0 { Operation::Write } else { Operation::Read };
            let first = u64::from(round * 7 + u32::from(place)) % sectors;
            // A place that is still in use is refused, and so is what is out of range.
            let _ = client.submit(place, operation, 1, first);
        }
        // The memory is the client's too: what it does with it harms its own sectors.
        for at in (0..SHARED_BYTES).step_by(1024) {
            let _ = link.write(at, &[round as u8 & 0x3f; 16]);
        }
        match round % 5 {
            0 => drop(client.open().is_ok()),
            1 => while client.finish().is_ok_and(|finished| finished.outcome != Outcome::Nothing) {},
            _ => {}
        }
    }
}

/// Reads all that it may: nothing of what the client beside has is there.
fn look_at_all(link: GateLink) -> Result<(), &'static str> {
    let mut disk = Disk::open(link).map_err(|_| "the disk cannot be opened")?;
    each_run(disk.sectors(), |first, count| {
        let mut bytes = [0; PLACE_BYTES];
        carry_out(&mut disk, link, Operation::Read, (first, count), &mut bytes)?;
        let is_anothers = bytes.iter().any(|byte| byte & KEPT == KEPT);
        if is_anothers { Err("a sector of somebody else was read") } else { Ok(()) }
    })?;
    log!("nothing of anybody else was read");
    Ok(())
}
