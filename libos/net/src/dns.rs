//! Queries of the domain name system, and what their answers say (RFC 1035, section 4).

use alloc::vec::Vec;
use core::net::Ipv4Addr;

const HEADER_BYTES: usize = 12;
const MAX_LABEL_BYTES: usize = 63;
const MAX_NAME_BYTES: usize = 255;
/// A byte that begins with these bits is the first half of a pointer to the rest of a name.
const POINTER: u8 = 0xc0;

/// Response, operation and code in the header's second word; recursion is desired.
const IS_RESPONSE: u8 = 0x80;
const OPERATION: u8 = 0x78;
const IS_CUT_OFF: u8 = 0x02;
const RECURSION: u8 = 0x01;
const CODE: u8 = 0x0f;

const TYPE_ADDRESS: [u8; 2] = [0, 1];
const TYPE_ALIAS: [u8; 2] = [0, 5];
const CLASS_INTERNET: [u8; 2] = [0, 1];

/// A query for the addresses of a name, if a host can have it.
#[must_use]
pub fn query(name: &str, number: u16) -> Option<Vec<u8>> {
    let name = name.strip_suffix('.').unwrap_or(name);
    let mut query = Vec::with_capacity(HEADER_BYTES + name.len() + 6);
    query.extend(number.to_be_bytes());
    query.extend([RECURSION, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in name.split('.') {
        if label.is_empty() || label.len() > MAX_LABEL_BYTES {
            return None;
        }
        query.push(label.len() as u8);
        query.extend(label.as_bytes());
    }
    query.push(0);
    if query.len() - HEADER_BYTES > MAX_NAME_BYTES {
        return None;
    }
    query.extend([TYPE_ADDRESS, CLASS_INTERNET].as_flattened());
    Some(query)
}

/// The answer to a query in a message: an address, or that there is none. `None` if the message does not answer it.
///
/// Records may come in any order (RFC 1034, section 3.6), and letters in either case (RFC 4343); so the chain
/// of aliases is followed through the whole answer.
#[must_use]
pub fn answer(message: &[u8], query: &[u8]) -> Option<Result<Ipv4Addr, NoAddress>> {
    let header = message.first_chunk::<HEADER_BYTES>()?;
    let [flags, code] = [header[2], header[3]];
    let is_response = flags & (IS_RESPONSE | OPERATION) == IS_RESPONSE && header[4..6] == [0, 1];
    let question = message.get(HEADER_BYTES..query.len())?;
    if !is_response || header[..2] != query[..2] || !question.eq_ignore_ascii_case(&query[HEADER_BYTES..]) {
        return None;
    }
    if code & CODE != 0 {
        return Some(Err(NoAddress));
    }
    let count = u16::from_be_bytes([header[6], header[7]]);
    let records = records(message, query.len(), count, flags & IS_CUT_OFF != 0)?;
    Some(follow(message, &records).ok_or(NoAddress))
}

/// A name server knows no address for the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoAddress;

/// A record: where its name is, what kind it is, and where its data is.
struct Record {
    owner: usize,
    kind: [u8; 2],
    data: usize,
    bytes: usize,
}

/// The records of an answer, of the class that counts. `None`: they are not whole, although they should be.
fn records(message: &[u8], start: usize, count: u16, is_cut_off: bool) -> Option<Vec<Record>> {
    let mut records = Vec::new();
    let mut owner = start;
    for _ in 0..count {
        let Some((record, class)) = record(message, owner) else {
            return is_cut_off.then_some(records);
        };
        owner = record.data + record.bytes;
        if class == CLASS_INTERNET {
            records.push(record);
        }
    }
    Some(records)
}

/// The record at an offset, and its class.
fn record(message: &[u8], owner: usize) -> Option<(Record, [u8; 2])> {
    let at = end_of_name(message, owner)?;
    let fixed = message.get(at..)?.first_chunk::<10>()?;
    let (data, bytes) = (at + 10, usize::from(u16::from_be_bytes([fixed[8], fixed[9]])));
    message.get(data..data + bytes)?;
    Some((Record { owner, kind: [fixed[0], fixed[1]], data, bytes }, [fixed[2], fixed[3]]))
}

/// The address at the end of the chain that begins at the name of the question.
fn follow(message: &[u8], records: &[Record]) -> Option<Ipv4Addr> {
    let mut name = HEADER_BYTES;
    // A chain without circles is no longer than there are records.
    for _ in 0..=records.len() {
        let of_name = |kind| {
            let is_one = move |record: &&Record| record.kind == kind && is_same(message, record.owner, name);
            records.iter().filter(is_one)
        };
        let address = of_name(TYPE_ADDRESS)
            .filter(|record| record.bytes == 4)
            .find_map(|record| message.get(record.data..)?.first_chunk());
        if let Some(address) = address {
            return Some(Ipv4Addr::from_octets(*address));
        }
        name = of_name(TYPE_ALIAS).next()?.data;
    }
    None
}

/// Whether two names are the same: label by label, whatever the case of letters.
fn is_same(message: &[u8], mut a: usize, mut b: usize) -> bool {
    // Each step goes on by a byte at least, and no name is longer than this.
    for _ in 0..MAX_NAME_BYTES {
        let (Some((label_a, next_a)), Some((label_b, next_b))) = (label(message, a), label(message, b))
        else {
            return false;
        };
        if !label_a.eq_ignore_ascii_case(label_b) {
            return false;
        }
        if label_a.is_empty() {
            return true;
        }
        (a, b) = (next_a, next_b);
    }
    false
}

/// The label at an offset, behind whatever pointers are there, and where the next one is. The last one is
/// empty.
fn label(message: &[u8], mut at: usize) -> Option<(&[u8], usize)> {
    loop {
        let length = *message.get(at)?;
        match length & POINTER {
            0 => {
                let end = at + 1 + usize::from(length);
                return Some((message.get(at + 1..end)?, end));
            }
            POINTER => {
                let to = usize::from(length & !POINTER) << 8 | usize::from(*message.get(at + 1)?);
                // Pointers lead back (section 4.1.4); so following them has an end.
                at = Some(to).filter(|to| *to < at)?;
            }
            _ => return None,
        }
    }
}

/// Where what follows a name begins.
fn end_of_name(message: &[u8], mut at: usize) -> Option<usize> {
    loop {
        let length = *message.get(at)?;
        match length & POINTER {
            0 if length == 0 => return Some(at + 1),
            0 => at += 1 + usize::from(length),
            POINTER => return Some(at + 2),
            _ => return None,
        }
    }
}
