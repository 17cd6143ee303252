//! The guest's connection: requests come in and replies go out piece by piece, for the rings are smaller than messages.

use core::fmt;

use cloison_abi::limits::PAGE_BYTES;
use cloison_xen::xenstore::{
    Header, PAYLOAD_BYTES, REPLIES, REPLIES_CONSUMED, REPLIES_PRODUCED, REQUESTS, REQUESTS_CONSUMED,
    REQUESTS_PRODUCED, RING_BYTES, kind,
};
use heapless::Vec;
use zerocopy::{FromBytes, IntoBytes};

use super::Store;
use crate::byte_ring::{ByteRing, Damaged};
use crate::machine::Memory;
use crate::saved::carried;

const HEADER_BYTES: usize = size_of::<Header>();

/// What follows a header.
pub type Payload = Vec<u8, PAYLOAD_BYTES>;

/// How the guest has broken the rules of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// The indices of a ring contradict each other.
    Ring,
    /// A request is longer than any can be.
    Length(u32),
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ring => f.write_str("the indices of a ring of xenstore's contradict each other"),
            Self::Length(bytes) => {
                write!(f, "a request to xenstore has {bytes} bytes, {PAYLOAD_BYTES} are allowed")
            }
        }
    }
}

impl From<Damaged> for Broken {
    fn from(_: Damaged) -> Self {
        Self::Ring
    }
}

/// The connection.
pub struct Connection {
    request: Vec<u8, { HEADER_BYTES + PAYLOAD_BYTES }>,
    reply: Vec<u8, { HEADER_BYTES + PAYLOAD_BYTES }>,
    /// Bytes of the reply that are in the ring.
    sent: usize,
    broken: Option<Broken>,
}

// A guest that has broken it cannot go on, and is not saved.
carried!(Connection { request, reply, sent } leaves { broken });

impl Connection {
    pub const fn new() -> Self {
        Self { request: Vec::new(), reply: Vec::new(), sent: 0, broken: None }
    }

    /// Begins again.
    pub fn clear(&mut self) {
        self.request.clear();
        self.reply.clear();
        (self.sent, self.broken) = (0, None);
    }

    /// Answers requests as long as there are any, and room for the answers; `true` if a ring has moved.
    pub fn serve(&mut self, memory: &mut impl Memory, page: u64, store: &mut Store) -> Result<bool, Broken> {
        if let Some(broken) = self.broken {
            return Err(broken);
        }
        let served = self.run(memory, page, store);
        self.broken = served.err();
        served
    }

    fn run(&mut self, memory: &mut impl Memory, page: u64, store: &mut Store) -> Result<bool, Broken> {
        let [requests, replies] = rings(page);
        let mut moved = false;
        loop {
            moved |= self.send(memory, &replies)? > 0;
            if self.sent < self.reply.len() {
                return Ok(moved); // The guest has to make room.
            }
            // A request is taken when all events of the one before are out, so that there is room for its own.
            if let Some((path, token)) = store.watches.next() {
                let event = Header { kind: kind::WATCH_EVENT, ..Header::default() };
                compose(&mut self.reply, event, &[&path, b"\0", token, b"\0"]);
                self.sent = 0;
                continue;
            }
            moved |= self.receive(memory, &requests)? > 0;
            let Some((header, payload)) = whole(&self.request)? else { return Ok(moved) };
            let mut answer = Payload::new();
            match store.answer(header.kind, payload, &mut answer) {
                Ok(()) => compose(&mut self.reply, header, &[&answer]),
                Err(refusal) => {
                    let error = Header { kind: kind::ERROR, ..header };
                    compose(&mut self.reply, error, &[refusal.name().as_bytes(), b"\0"]);
                }
            }
            self.sent = 0;
            self.request.clear();
        }
    }

    fn send(&mut self, memory: &mut impl Memory, ring: &ByteRing) -> Result<usize, Damaged> {
        let sent = ring.put(memory, &self.reply[self.sent..])?;
        self.sent += sent;
        Ok(sent)
    }

    /// Takes what is missing of a header, then what is missing of the message.
    fn receive(&mut self, memory: &mut impl Memory, ring: &ByteRing) -> Result<usize, Broken> {
        let before = self.request.len();
        self.fill(memory, ring, HEADER_BYTES)?;
        if let Some(header) = header(&self.request)? {
            self.fill(memory, ring, HEADER_BYTES + header.length as usize)?;
        }
        Ok(self.request.len() - before)
    }

    fn fill(&mut self, memory: &mut impl Memory, ring: &ByteRing, length: usize) -> Result<(), Damaged> {
        let have = self.request.len();
        if have < length {
            self.request.resize(length, 0).expect("a header's length is checked");
            let taken = ring.take(memory, &mut self.request[have..]);
            self.request.truncate(have + taken.unwrap_or(0));
            taken?;
        }
        Ok(())
    }
}

/// The header of a message, once it is there.
fn header(message: &[u8]) -> Result<Option<Header>, Broken> {
    match Header::read_from_prefix(message) {
        Ok((header, _)) if header.length as usize > PAYLOAD_BYTES => Err(Broken::Length(header.length)),
        Ok((header, _)) => Ok(Some(header)),
        Err(_) => Ok(None),
    }
}

/// A message, once all of it is there.
fn whole(message: &[u8]) -> Result<Option<(Header, &[u8])>, Broken> {
    let header = header(message)?;
    Ok(header
        .and_then(|header| Some((header, message.get(HEADER_BYTES..HEADER_BYTES + header.length as usize)?))))
}

/// Puts a message together.
fn compose(message: &mut Vec<u8, { HEADER_BYTES + PAYLOAD_BYTES }>, header: Header, parts: &[&[u8]]) {
    let length = parts.iter().map(|part| part.len()).sum::<usize>() as u32;
    let header = Header { length, ..header };
    message.clear();
    for part in [header.as_bytes()].iter().chain(parts) {
        message.extend_from_slice(part).expect("an answer has its own limit, and events are short");
    }
}

/// The rings of requests and of replies in a page.
fn rings(page: u64) -> [ByteRing; 2] {
    debug_assert!(page.is_multiple_of(PAGE_BYTES));
    let ring = |data, consumed, produced| ByteRing {
        data: page + data,
        size: RING_BYTES,
        consumed: page + consumed,
        produced: page + produced,
    };
    [ring(REQUESTS, REQUESTS_CONSUMED, REQUESTS_PRODUCED), ring(REPLIES, REPLIES_CONSUMED, REPLIES_PRODUCED)]
}
