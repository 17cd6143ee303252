//! What a guest asks its xenstore, or writes into its page: each request has one reply in the right form, and a value is
//! read as it was written.

use cloison_abi::limits::PAGE_BYTES;
use cloison_xen::xenstore::{Header, kind};
use linux_core::byte_ring::ByteRing;
use linux_core::machine::Memory;
use linux_core::xenstore::Xenstore;
use zerocopy::{FromBytes, IntoBytes};

/// Where the page lies.
const PAGE: u64 = PAGE_BYTES;

/// Reads requests, or a whole page, as the first byte chooses.
pub fn run(bytes: &[u8]) {
    match bytes.split_first() {
        Some((b'r', requests)) => Guest::new().ask(requests),
        Some((b'p', page)) => Guest::new().serve_page(page),
        _ => (),
    }
}

struct Guest {
    store: Box<Xenstore>,
    memory: Pages,
}

impl Guest {
    fn new() -> Self {
        let mut store = Box::new(Xenstore::new());
        for (path, value) in [
            ("/local/domain/1/device/vif/0/backend", "/local/domain/0/backend/vif/1/0"),
            ("/local/domain/0/backend/vif/1/0/state", "2"),
        ] {
            store.write(path, value.as_bytes()).expect("the store is empty");
        }
        Self { store, memory: Pages([0; 3 * PAGE_BYTES as usize]) }
    }

    /// Requests: kind, length, and that many bytes of text; where a byte is 0xff, the backend changes its state.
    fn ask(&mut self, mut bytes: &[u8]) {
        while let [kind, length, rest @ ..] = bytes {
            if *kind == 0xff {
                bytes = &bytes[1..];
                let _ = self.store.write("/local/domain/0/backend/vif/1/0/state", b"4");
                continue;
            }
            let text = &rest[..rest.len().min(usize::from(*length))];
            bytes = &rest[text.len()..];
            self.ask_one((*kind).into(), text);
        }
    }

    fn ask_one(&mut self, asked: u32, text: &[u8]) {
        let replies = self.exchange(asked, text);
        let own = replies.iter().filter(|(header, _)| header.request == 7).collect::<Vec<_>>();
        let [(header, _)] = own[..] else { panic!("{} replies", own.len()) };
        assert!(header.kind == asked || header.kind == kind::ERROR);
        for (header, text) in replies.iter().filter(|(header, _)| header.request == 0) {
            assert_eq!(header.kind, kind::WATCH_EVENT);
            assert_eq!(text.iter().filter(|&&byte| byte == 0).count(), 2, "a path and a token");
        }
        if asked == kind::WRITE && header.kind == kind::WRITE {
            let end = text.iter().position(|&byte| byte == 0).expect("or it was refused");
            let read = self.exchange(kind::READ, &text[..=end]);
            assert!(read.iter().any(|(header, read)| header.request == 7 && read == &text[end + 1..]));
        }
    }

    fn exchange(&mut self, kind: u32, text: &[u8]) -> Vec<(Header, Vec<u8>)> {
        let header = Header { kind, request: 7, transaction: 0, length: text.len() as u32 };
        let message = [header.as_bytes(), text].concat();
        assert_eq!(ring(0, 2048).put(&mut self.memory, &message), Ok(message.len()));
        let mut received = Vec::new();
        while self.store.serve(&mut self.memory, PAGE).expect("no rule is broken") {
            let mut taken = [0; 1024];
            let count = ring(1024, 2056).take(&mut self.memory, &mut taken).expect("no rule is broken");
            received.extend(&taken[..count]);
        }
        let mut replies = Vec::new();
        let mut rest = &received[..];
        while !rest.is_empty() {
            let (header, after) = Header::read_from_prefix(rest).expect("a whole header");
            let (text, after) = after.split_at(header.length as usize);
            replies.push((header, text.to_vec()));
            rest = after;
        }
        replies
    }

    /// The page as the guest has written it, served until the guest would have to move.
    fn serve_page(&mut self, page: &[u8]) {
        let length = page.len().min(PAGE as usize);
        self.memory.0[PAGE as usize..][..length].copy_from_slice(&page[..length]);
        for _ in 0..4 {
            let _ = self.store.serve(&mut self.memory, PAGE);
            let _ = ring(1024, 2056).take(&mut self.memory, &mut [0; 1024]);
        }
        assert!(self.memory.0[..PAGE as usize].iter().all(|&byte| byte == 0));
        assert!(self.memory.0[2 * PAGE as usize..].iter().all(|&byte| byte == 0));
    }
}

fn ring(data: u64, indices: u64) -> ByteRing {
    ByteRing { data: PAGE + data, size: 1024, consumed: PAGE + indices, produced: PAGE + indices + 4 }
}

/// A few pages.
struct Pages([u8; 3 * PAGE_BYTES as usize]);

impl Memory for Pages {
    fn pages(&self) -> u32 {
        3
    }

    fn read(&self, at: u64, into: &mut [u8]) -> Option<()> {
        into.copy_from_slice(self.0.get(at as usize..)?.get(..into.len())?);
        Some(())
    }

    fn write(&mut self, at: u64, from: &[u8]) -> Option<()> {
        self.0.get_mut(at as usize..)?.get_mut(..from.len())?.copy_from_slice(from);
        Some(())
    }
}
