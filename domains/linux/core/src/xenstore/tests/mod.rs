//! The store asked as Linux asks it, and as it should not be asked.

use std::string::{String, ToString};
use std::vec::Vec;
use std::{format, vec};

use cloison_abi::limits::PAGE_BYTES;
use cloison_xen::xenstore::{Header, kind};
use zerocopy::{FromBytes, IntoBytes};

use super::{Broken, NODES, Refusal, TOKEN_BYTES, VALUE_BYTES, WATCHES, Xenstore};
use crate::boot::Start;
use crate::byte_ring::ByteRing;
use crate::machine::Memory;
use crate::testing::Ram;

mod properties;

const PAGE: u64 = PAGE_BYTES;

/// The guest's side, with rings of its own making.
struct Guest {
    store: Xenstore,
    ram: Ram,
    received: Vec<u8>,
    /// Bytes that it takes from the ring of replies at a time.
    takes: usize,
}

#[derive(Debug, PartialEq, Eq)]
struct Message {
    kind: u32,
    request: u32,
    transaction: u32,
    text: Vec<u8>,
}

impl Guest {
    fn new() -> Self {
        Self { store: Xenstore::new(), ram: Ram::new(3), received: Vec::new(), takes: 1024 }
    }

    fn requests() -> ByteRing {
        ByteRing { data: PAGE, size: 1024, consumed: PAGE + 2048, produced: PAGE + 2052 }
    }

    fn replies() -> ByteRing {
        ByteRing { data: PAGE + 1024, size: 1024, consumed: PAGE + 2056, produced: PAGE + 2060 }
    }

    /// Sends bytes, and takes what comes back until nothing moves.
    fn exchange(&mut self, mut bytes: &[u8]) -> Result<(), Broken> {
        loop {
            let put = Self::requests().put(&mut self.ram, bytes).unwrap();
            bytes = &bytes[put..];
            let notified = self.store.serve(&mut self.ram, PAGE)?;
            let mut taken = vec![0; self.takes];
            let count = Self::replies().take(&mut self.ram, &mut taken).unwrap();
            self.received.extend(&taken[..count]);
            assert!(
                notified || (put == 0 && count == 0) || self.takes < 1024,
                "the guest is told of progress"
            );
            if put == 0 && count == 0 && !notified {
                assert!(bytes.is_empty(), "all was taken");
                return Ok(());
            }
        }
    }

    fn messages(&mut self) -> Vec<Message> {
        let mut messages = Vec::new();
        let received = core::mem::take(&mut self.received);
        let mut rest = &received[..];
        while !rest.is_empty() {
            let (header, after) = Header::read_from_prefix(rest).unwrap();
            let (text, after) = after.split_at(header.length as usize);
            let Header { kind, request, transaction, .. } = header;
            messages.push(Message { kind, request, transaction, text: text.to_vec() });
            rest = after;
        }
        messages
    }

    /// Asks, and returns all that came back.
    fn ask_all(&mut self, kind: u32, text: &[u8]) -> Vec<Message> {
        self.exchange(&message(kind, 77, 5, text)).unwrap();
        self.messages()
    }

    /// Asks what has one reply; a refusal as its name.
    fn ask(&mut self, kind: u32, text: &[u8]) -> Result<String, String> {
        let all = self.ask_all(kind, text);
        let [reply] = &all[..] else { panic!("one reply: {all:?}") };
        assert_eq!((reply.request, reply.transaction), (77, 5));
        let said = String::from_utf8(reply.text.clone()).unwrap();
        match reply.kind {
            kind::ERROR => Err(said.trim_end_matches('\0').to_string()),
            answered => {
                assert_eq!(answered, kind);
                Ok(said)
            }
        }
    }

    fn events(&mut self) -> Vec<String> {
        self.exchange(b"").unwrap();
        self.messages().iter().map(event).collect()
    }
}

fn message(kind: u32, request: u32, transaction: u32, text: &[u8]) -> Vec<u8> {
    let header = Header { kind, request, transaction, length: text.len() as u32 };
    [header.as_bytes(), text].concat()
}

fn event(message: &Message) -> String {
    assert_eq!((message.kind, message.request, message.transaction), (kind::WATCH_EVENT, 0, 0));
    String::from_utf8(message.text.clone()).unwrap()
}

fn refused(refusal: &str) -> Result<String, String> {
    Err(refusal.to_string())
}

fn answered(text: &str) -> Result<String, String> {
    Ok(text.to_string())
}

#[test]
fn a_value_is_read_as_it_was_written() {
    let mut guest = Guest::new();
    assert_eq!(guest.ask(kind::WRITE, b"device/vif/0/state\x004"), answered("OK\0"));
    assert_eq!(guest.ask(kind::READ, b"device/vif/0/state\0"), answered("4"));
    assert_eq!(guest.ask(kind::READ, b"/local/domain/1/device/vif/0/state\0"), answered("4"));
    assert_eq!(guest.ask(kind::READ, b"device/vif\0"), answered(""), "made on the way");
    assert_eq!(guest.store.read("/local/domain/1/device/vif/0/state"), Some(&b"4"[..]));
    assert_eq!(guest.ask(kind::READ, b"device/vif/1\0"), refused("ENOENT"));
    assert_eq!(guest.ask(kind::READ, b"/\0"), answered(""));
    assert_eq!(guest.store.changes(), 1);
}

#[test]
fn directories_list_what_is_below() {
    let mut guest = Guest::new();
    for path in ["device/vif/0/a", "device/vif/1", "device/vbd", "control"] {
        assert_eq!(guest.ask(kind::MKDIR, format!("{path}\0").as_bytes()), answered("OK\0"));
    }
    assert_eq!(guest.ask(kind::DIRECTORY, b"device\0"), answered("vif\0vbd\0"));
    assert_eq!(guest.ask(kind::DIRECTORY, b"device/vif\0"), answered("0\x001\0"));
    assert_eq!(guest.ask(kind::DIRECTORY, b"device/vif/1\0"), answered(""));
    assert_eq!(guest.ask(kind::DIRECTORY, b"/\0"), answered("local\0"));
    assert_eq!(guest.ask(kind::DIRECTORY, b"nothing\0"), refused("ENOENT"));
}

#[test]
fn making_a_path_keeps_its_value() {
    let mut guest = Guest::new();
    guest.ask(kind::WRITE, b"a\0value").unwrap();
    assert_eq!(guest.ask(kind::MKDIR, b"a\0"), answered("OK\0"));
    assert_eq!(guest.ask(kind::READ, b"a\0"), answered("value"));
}

#[test]
fn removing_takes_all_below() {
    let mut guest = Guest::new();
    for path in ["device/vif/0/a/b/c", "device/vif/01", "device/vif/0/z"] {
        guest.ask(kind::WRITE, format!("{path}\0x").as_bytes()).unwrap();
    }
    assert_eq!(guest.ask(kind::RM, b"device/vif/0\0"), answered("OK\0"));
    assert_eq!(guest.ask(kind::READ, b"device/vif/0/a/b/c\0"), refused("ENOENT"));
    assert_eq!(guest.ask(kind::DIRECTORY, b"device/vif\0"), answered("01\0"));
    assert_eq!(guest.ask(kind::RM, b"device/vif/0\0"), answered("OK\0"), "it could be there");
    assert_eq!(guest.ask(kind::RM, b"device/vif/0/a\0"), refused("ENOENT"));
}

#[test]
fn the_guest_writes_below_its_home_alone() {
    let mut guest = Guest::new();
    guest.store.write("/local/domain/0/backend/vif/1/0/state", b"2").unwrap();
    for path in
        ["/local/domain/0/backend/vif/1/0/state", "/local/domain/1", "/local/domain/10/a", "/", "/local"]
    {
        for (kind, rest) in [(kind::WRITE, "x"), (kind::MKDIR, ""), (kind::RM, ""), (kind::SET_PERMS, "n1\0")]
        {
            assert_eq!(guest.ask(kind, format!("{path}\0{rest}").as_bytes()), refused("EACCES"), "{path}");
        }
    }
    assert_eq!(guest.ask(kind::READ, b"/local/domain/0/backend/vif/1/0/state\0"), answered("2"));
    assert_eq!(guest.store.changes(), 0);
}

#[test]
fn permissions_are_told_and_not_changed() {
    let mut guest = Guest::new();
    guest.store.write("/local/domain/0/x", b"").unwrap();
    guest.ask(kind::MKDIR, b"a\0").unwrap();
    assert_eq!(guest.ask(kind::GET_PERMS, b"a\0"), answered("n1\0"));
    assert_eq!(guest.ask(kind::GET_PERMS, b"/local/domain/0/x\0"), answered("n0\0r1\0"));
    assert_eq!(guest.ask(kind::GET_PERMS, b"b\0"), refused("ENOENT"));
    assert_eq!(guest.ask(kind::SET_PERMS, b"a\0b1\0"), answered("OK\0"));
    assert_eq!(guest.ask(kind::SET_PERMS, b"b\0b1\0"), refused("ENOENT"));
}

#[test]
fn transactions_are_accepted() {
    let mut guest = Guest::new();
    assert_eq!(guest.ask(kind::TRANSACTION_START, b"\0"), answered("1\0"));
    assert_eq!(guest.ask(kind::TRANSACTION_START, b"\0"), answered("2\0"));
    assert_eq!(guest.ask(kind::WRITE, b"a\x001"), answered("OK\0"));
    assert_eq!(guest.ask(kind::TRANSACTION_END, b"T\0"), answered("OK\0"));
    assert_eq!(guest.ask(kind::TRANSACTION_END, b"F\0"), answered("OK\0"));
    for wrong in [&b"x\0"[..], b"", b"T", b"\0"] {
        assert_eq!(guest.ask(kind::TRANSACTION_END, wrong), refused("EINVAL"));
    }
    assert_eq!(guest.ask(kind::READ, b"a\0"), answered("1"));
    guest.store.store.transactions = u32::MAX;
    assert_eq!(guest.ask(kind::TRANSACTION_START, b"\0"), answered("1\0"), "0 is none");
}

#[test]
fn domains_have_a_path() {
    let mut guest = Guest::new();
    assert_eq!(guest.ask(kind::GET_DOMAIN_PATH, b"0\0"), answered("/local/domain/0\0"));
    assert_eq!(guest.ask(kind::GET_DOMAIN_PATH, b"65535\0"), answered("/local/domain/65535\0"));
    for wrong in [&b"65536\0"[..], b"x\0", b"-1\0", b"\xff\0", b"\0", b"1"] {
        assert_eq!(guest.ask(kind::GET_DOMAIN_PATH, wrong), refused("EINVAL"));
    }
}

#[test]
fn other_requests_are_not_offered() {
    for kind in [0, 8, 9, kind::WATCH_EVENT, kind::ERROR, 17, 18, 19, 20, 22, u32::MAX] {
        assert_eq!(Guest::new().ask(kind, b"a\0"), refused("ENOSYS"), "{kind}");
    }
}

#[test]
fn a_watch_fires_at_once_after_its_reply() {
    let mut guest = Guest::new();
    let all = guest.ask_all(kind::WATCH, b"device\0TOKEN\0");
    assert_eq!(all.len(), 2);
    assert_eq!((all[0].kind, &all[0].text[..]), (kind::WATCH, &b"OK\0"[..]));
    assert_eq!(event(&all[1]), "device\0TOKEN\0");
    assert_eq!(guest.events(), [""; 0]);
}

#[test]
fn a_watch_tells_of_what_is_at_and_below_its_path_in_its_form() {
    let mut guest = Guest::new();
    for watch in
        ["device", "device/vif", "/local/domain/1/device", "/local/domain/0/backend/vif/1/0/state", "/"]
    {
        guest.ask_all(kind::WATCH, format!("{watch}\0{watch}\0").as_bytes());
    }
    guest.store.write("/local/domain/1/device", b"").unwrap();
    let full = "/local/domain/1/device";
    assert_eq!(guest.events(), ["device\0device\0", &format!("{full}\0{full}\0"), &format!("{full}\0/\0")]);
    guest.store.write("/local/domain/1/device/vif/0", b"").unwrap();
    let events = guest.events();
    assert_eq!(events[..2], ["device/vif/0\0device\0", "device/vif/0\0device/vif\0"]);
    assert_eq!(events[2..], [format!("{full}/vif/0\0{full}\0"), format!("{full}/vif/0\0/\0")]);
    guest.store.write("/local/domain/1/devices", b"").unwrap();
    assert_eq!(guest.events(), ["/local/domain/1/devices\0/\0"], "another name");
    let state = "/local/domain/0/backend/vif/1/0/state";
    guest.store.write(state, b"4").unwrap();
    assert_eq!(guest.events(), [format!("{state}\0{state}\0"), format!("{state}\0/\0")]);
}

#[test]
fn the_guests_own_changes_fire_too() {
    let mut guest = Guest::new();
    guest.ask_all(kind::WATCH, b"a/b\0t\0");
    let all = guest.ask_all(kind::WRITE, b"a/b/c\0x");
    assert_eq!((all[0].kind, event(&all[1])), (kind::WRITE, "a/b/c\0t\0".to_string()));
    let all = guest.ask_all(kind::RM, b"a\0");
    assert_eq!(
        (all.len(), event(&all[1])),
        (2, "a/b\0t\0".to_string()),
        "what is gone above is told as the watch"
    );
    assert_eq!(guest.ask_all(kind::MKDIR, b"a\0").len(), 1);
    assert_eq!(guest.ask_all(kind::MKDIR, b"a/b\0").len(), 2);
    assert_eq!(guest.ask_all(kind::MKDIR, b"a/b\0").len(), 1, "no change");
    let refused = guest.ask_all(kind::WRITE, &[b"a/b\0", &[b'x'; VALUE_BYTES + 1][..]].concat());
    assert_eq!((refused.len(), refused[0].kind), (1, kind::ERROR));
}

#[test]
fn watches_end() {
    let mut guest = Guest::new();
    guest.ask_all(kind::WATCH, b"a\x001\0");
    guest.ask_all(kind::WATCH, b"a\x002\0");
    assert_eq!(guest.ask(kind::WATCH, b"a\x001\0"), refused("EEXIST"));
    assert_eq!(guest.ask(kind::UNWATCH, b"a\x003\0"), refused("ENOENT"));
    assert_eq!(guest.ask(kind::UNWATCH, b"b\x001\0"), refused("ENOENT"));
    guest.store.write("/local/domain/1/a", b"").unwrap();
    // What it was to be told is not told to the watch that takes its place.
    guest.store.store.watches.remove(b"a", b"1").unwrap();
    guest.store.store.watches.add(b"b", b"3").unwrap();
    assert_eq!(guest.events(), ["a\x002\0", "b\x003\0"]);
    assert_eq!(guest.ask(kind::UNWATCH, b"a\x002\0"), answered("OK\0"));
    guest.store.write("/local/domain/1/a", b"").unwrap();
    assert_eq!(guest.events(), [""; 0]);
    assert_eq!(guest.ask(kind::RESET_WATCHES, b"\0"), answered("OK\0"));
    guest.store.write("/local/domain/1/b", b"").unwrap();
    assert_eq!(guest.events(), [""; 0]);
}

#[test]
fn a_lost_event_is_told_as_the_watched_path() {
    let mut guest = Guest::new();
    guest.ask_all(kind::WATCH, b"a\0t\0");
    for n in 0..2 * WATCHES + 3 {
        guest.store.write(&format!("/local/domain/1/a/{n}"), b"").unwrap();
    }
    let events = guest.events();
    assert_eq!(events.len(), 2 * WATCHES + 1);
    assert_eq!(events[0], "a/0\0t\0");
    assert_eq!(events[2 * WATCHES], "a\0t\0");
}

#[test]
fn tables_and_texts_are_bounded() {
    let mut guest = Guest::new();
    let long = |length: usize| "x".repeat(length);
    assert_eq!(guest.ask(kind::WRITE, format!("a\0{}", long(VALUE_BYTES)).as_bytes()), answered("OK\0"));
    assert_eq!(guest.ask(kind::WRITE, format!("a\0{}", long(VALUE_BYTES + 1)).as_bytes()), refused("E2BIG"));
    assert_eq!(
        guest.ask(kind::WRITE, format!("a/{}\0", long(super::NAME_BYTES)).as_bytes()),
        answered("OK\0")
    );
    assert_eq!(
        guest.ask(kind::WRITE, format!("c/b/{}\0", long(super::NAME_BYTES + 1)).as_bytes()),
        refused("E2BIG")
    );
    assert_eq!(guest.ask(kind::READ, b"c\0"), refused("ENOENT"), "nothing is left of what could not be made");
    let path = format!("/{}", "a/".repeat(super::PATH_BYTES / 2 - 1));
    assert_eq!(guest.ask(kind::READ, format!("{path}a\0").as_bytes()), refused("ENOENT"));
    assert_eq!(guest.ask(kind::READ, format!("{path}aa\0").as_bytes()), refused("E2BIG"));
    assert_eq!(
        guest.ask(kind::WATCH, format!("a\0{}\0", long(TOKEN_BYTES + 1)).as_bytes()),
        refused("E2BIG")
    );

    for n in 0..WATCHES {
        let all = guest.ask_all(kind::WATCH, format!("a\0{n}{}\0", long(60)).as_bytes());
        assert_eq!(all[0].kind, kind::WATCH);
    }
    assert_eq!(guest.ask(kind::WATCH, b"a\0t\0"), refused("ENOSPC"));
    guest.ask(kind::RESET_WATCHES, b"").unwrap();
    // local, domain, 1, a, and the long one are there.
    for n in 5..NODES {
        assert_eq!(guest.ask(kind::MKDIR, format!("n{n}\0").as_bytes()), answered("OK\0"));
    }
    assert_eq!(guest.ask(kind::MKDIR, b"more\0"), refused("ENOSPC"));
    assert_eq!(guest.store.write("/another", b""), Err(Refusal::Full));
    guest.ask(kind::RM, b"n9\0").unwrap();
    assert_eq!(guest.ask(kind::MKDIR, b"more/still\0"), refused("ENOSPC"));
    assert_eq!(guest.ask(kind::MKDIR, b"more\0"), answered("OK\0"), "the half of a path is given back");
}

#[test]
fn a_directory_longer_than_a_message_is_refused() {
    let mut guest = Guest::new();
    for n in 0..100 {
        guest.ask(kind::MKDIR, format!("d/{n:045}\0").as_bytes()).unwrap();
    }
    assert_eq!(guest.ask(kind::DIRECTORY, b"d\0"), refused("E2BIG"));
    for n in 0..20 {
        guest.ask(kind::RM, format!("d/{n:045}\0").as_bytes()).unwrap();
    }
    assert_eq!(guest.ask(kind::DIRECTORY, b"d\0").unwrap().len(), 80 * 46);
}

#[test]
fn paths_are_checked() {
    let mut guest = Guest::new();
    for path in ["", "/a/", "a/", "//", "a//b", "/a b", "a\u{e9}", "a.b", "/a/../b", "a*"] {
        assert_eq!(guest.ask(kind::READ, format!("{path}\0").as_bytes()), refused("EINVAL"), "{path:?}");
        assert_eq!(guest.ask(kind::WATCH, format!("{path}\0t\0").as_bytes()), refused("EINVAL"), "{path:?}");
        assert_eq!(guest.store.write(path, b""), Err(Refusal::Invalid));
    }
    for text in [&b""[..], b"a", b"device"] {
        for kind in [kind::READ, kind::WRITE, kind::DIRECTORY, kind::WATCH, kind::RM, kind::GET_PERMS] {
            assert_eq!(guest.ask(kind, text), refused("EINVAL"), "no 0 at the end");
        }
    }
    assert_eq!(guest.ask(kind::WATCH, b"a\0t"), refused("EINVAL"));
}

#[test]
fn messages_cross_the_rings_piece_by_piece() {
    for takes in [1, 3, 700, 1024] {
        let mut guest = Guest::new();
        guest.takes = takes;
        for n in 0..80 {
            guest.store.write(&format!("/local/domain/1/d/{n:045}"), b"").unwrap();
        }
        let long = [b"d\0", &[b'x'; 4094][..]].concat();
        let bytes = [
            message(kind::DIRECTORY, 1, 0, b"d\0"),
            message(kind::WRITE, 2, 0, &long),
            message(kind::READ, 3, 0, b"d\0"),
        ];
        guest.exchange(&bytes.concat()).unwrap();
        let kinds: Vec<_> = guest
            .messages()
            .iter()
            .map(|message| (message.request, message.kind, message.text.len()))
            .collect();
        assert_eq!(kinds, [(1, kind::DIRECTORY, 80 * 46), (2, kind::ERROR, 6), (3, kind::READ, 0)]);
    }
}

#[test]
fn a_broken_connection_stays_broken() {
    let mut guest = Guest::new();
    let header = Header { kind: kind::READ, length: 4097, ..Header::default() };
    assert_eq!(guest.exchange(header.as_bytes()), Err(Broken::Length(4097)));
    assert_eq!(guest.store.serve(&mut guest.ram, PAGE), Err(Broken::Length(4097)));

    for (at, index) in [(2048, 1_u32), (2052, 1025), (2056, 1), (2060, 1025), (2052, u32::MAX)] {
        let mut guest = Guest::new();
        guest.store.store.watches.add(b"a", b"t").unwrap();
        guest.ram.write(PAGE + at, &index.to_le_bytes()).unwrap();
        assert_eq!(guest.store.serve(&mut guest.ram, PAGE), Err(Broken::Ring), "{at}");
        guest.ram.write(PAGE + at, &[0; 4]).unwrap();
        assert_eq!(guest.store.serve(&mut guest.ram, PAGE), Err(Broken::Ring));
    }
    let beyond = u64::from(guest.ram.pages()) * PAGE_BYTES;
    assert_eq!(Xenstore::new().serve(&mut guest.ram, beyond), Err(Broken::Ring), "no page of the guest");
}

#[test]
fn indices_run_freely() {
    let mut guest = Guest::new();
    for at in [2048, 2052, 2056, 2060] {
        guest.ram.write(PAGE + at, &(u32::MAX - 5).to_le_bytes()).unwrap();
    }
    assert_eq!(guest.ask(kind::WRITE, b"a\0value"), answered("OK\0"));
    assert_eq!(guest.ask(kind::READ, b"a\0"), answered("value"));
}

#[test]
fn a_guest_finds_itself_described() {
    let mut guest = Guest::new();
    let start = Start { registers: Default::default(), root: 1, console: 0x3e02, store: 0x3e01 };
    guest.store.describe(65536, &start).unwrap();
    for (path, value) in [
        ("name", "linux"),
        ("domid", "1"),
        ("memory/target", "262144"),
        ("memory/static-max", "262144"),
        ("cpu/0/availability", "online"),
        ("control/shutdown", ""),
        ("console/ring-ref", "15874"),
        ("console/port", "2"),
        ("store/ring-ref", "15873"),
    ] {
        assert_eq!(guest.ask(kind::READ, format!("{path}\0").as_bytes()), answered(value), "{path}");
    }
}
