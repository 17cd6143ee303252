//! Writes a log.

use super::{SIGNATURE, kind};
use crate::{Bank, Digests};

/// Version of the form, minor and major, its errata, and the size of an address: 64 bits.
const VERSION: [u8; 4] = [0, 2, 0, 2];

/// Writes the first event, which says which hashes follow: those of both banks.
pub fn write_start(out: &mut impl Extend<u8>) {
    write_start_of(out, &Bank::ALL);
}

/// Writes the first event, which says which hashes follow: those of these banks.
pub fn write_start_of(out: &mut impl Extend<u8>, banks: &[Bank]) {
    const HASH_BYTES: usize = 4;
    let count = (banks.len() as u32).to_le_bytes();
    // The class of a client's platform is 0; there is nothing of a vendor's.
    let parts = [&SIGNATURE[..], &[0; 4], &VERSION, &count];
    let bytes = parts.iter().map(|part| part.len()).sum::<usize>() + banks.len() * HASH_BYTES + 1;
    put(out, &[&[0; 4], &kind::NO_ACTION.to_le_bytes(), &[0; 20], &(bytes as u32).to_le_bytes()]);
    put(out, &parts);
    for bank in banks {
        put(out, &[&bank.algorithm().to_le_bytes(), &(bank.bytes() as u16).to_le_bytes()]);
    }
    put(out, &[&[0]]);
}

/// Writes an event.
pub fn write_event(out: &mut impl Extend<u8>, pcr: u32, kind: u32, digests: &Digests, data: &[u8]) {
    let digests = Bank::ALL.iter().map(|bank| (bank.algorithm(), digests.get(*bank)));
    write_hashed(out, (pcr, kind), digests, data);
}

/// Writes an event of a register and a kind with these digests, each with the number of its hash.
pub fn write_hashed<'a>(
    out: &mut impl Extend<u8>,
    (pcr, kind): (u32, u32),
    digests: impl ExactSizeIterator<Item = (u16, &'a [u8])>,
    data: &[u8],
) {
    let count = digests.len() as u32;
    put(out, &[&pcr.to_le_bytes(), &kind.to_le_bytes(), &count.to_le_bytes()]);
    digests.for_each(|(algorithm, digest)| put(out, &[&algorithm.to_le_bytes(), digest]));
    put(out, &[&(data.len() as u32).to_le_bytes(), data]);
}

fn put(out: &mut impl Extend<u8>, parts: &[&[u8]]) {
    parts.iter().for_each(|part| out.extend(part.iter().copied()));
}
