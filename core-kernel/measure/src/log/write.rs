//! Writes a log, with both banks.

use super::{SIGNATURE, kind};
use crate::{Bank, Digests};

/// Version of the form, minor and major, its errata, and the size of an address: 64 bits.
const VERSION: [u8; 4] = [0, 2, 0, 2];

/// Writes the first event, which says which hashes follow.
pub fn write_start(out: &mut impl Extend<u8>) {
    let count = (Bank::ALL.len() as u32).to_le_bytes();
    let hashes = Bank::ALL.map(|bank| {
        let ([a, b], [c, d]) = (bank.algorithm().to_le_bytes(), (bank.bytes() as u16).to_le_bytes());
        [a, b, c, d]
    });
    // The class of a client's platform is 0; there is nothing of a vendor's.
    let parts = [&SIGNATURE[..], &[0; 4], &VERSION, &count, hashes.as_flattened(), &[0]];
    let bytes: usize = parts.iter().map(|part| part.len()).sum();
    put(out, &[&[0; 4], &kind::NO_ACTION.to_le_bytes(), &[0; 20], &(bytes as u32).to_le_bytes()]);
    put(out, &parts);
}

/// Writes an event.
pub fn write_event(out: &mut impl Extend<u8>, pcr: u32, kind: u32, digests: &Digests, data: &[u8]) {
    let count = Bank::ALL.len() as u32;
    put(out, &[&pcr.to_le_bytes(), &kind.to_le_bytes(), &count.to_le_bytes()]);
    for bank in Bank::ALL {
        put(out, &[&bank.algorithm().to_le_bytes(), digests.get(bank)]);
    }
    put(out, &[&(data.len() as u32).to_le_bytes(), data]);
}

fn put(out: &mut impl Extend<u8>, parts: &[&[u8]]) {
    parts.iter().for_each(|part| out.extend(part.iter().copied()));
}
