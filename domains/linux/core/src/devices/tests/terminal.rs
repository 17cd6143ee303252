//! The backend of the second terminal.

use cloison_xen::console::{
    IN, IN_BYTES, IN_CONSUMED, IN_PRODUCED, OUT, OUT_BYTES, OUT_CONSUMED, OUT_PRODUCED,
};
use proptest::prelude::*;

use super::*;
use crate::devices::terminal::Terminal;
use crate::machine::Clerk;
use crate::testing::memory_in_ram;

const BACKEND: &str = "/local/domain/0/backend/console/1/1";
const KEYS: [(&str, &str); 2] = [("ring-ref", "8"), ("port", "6")];

/// A guest's memory, and a clerk that says what it has heard, twice.
struct Place {
    ram: Ram,
    is_there: bool,
    /// What it has heard at a time.
    heard: Vec<usize>,
    says: Vec<u8>,
}

memory_in_ram!(Place);

impl Clerk for Place {
    fn has_clerk(&self) -> bool {
        self.is_there
    }

    fn hear(&mut self, text: &[u8]) {
        assert!(self.says.is_empty(), "it has said all before it hears more");
        self.heard.push(text.len());
        self.says.extend([text, text].concat());
    }

    fn says(&self) -> &[u8] {
        &self.says
    }

    fn said(&mut self, bytes: usize) {
        self.says.drain(..bytes);
    }
}

struct Guest {
    store: Xenstore,
    machine: Place,
    terminal: Terminal,
}

impl Guest {
    fn new() -> Self {
        let mut store = Xenstore::new();
        let mut machine = Place { ram: Ram::new(PAGES), is_there: true, heard: Vec::new(), says: Vec::new() };
        grant(&mut machine.ram, RING_GRANT, (RING / PAGE_BYTES) as u32, 0);
        let terminal = Terminal::new(&mut store, &machine).unwrap().unwrap();
        Self { store, machine, terminal }
    }

    fn connected() -> Self {
        let mut guest = Self::new();
        assert_eq!(guest.go(&KEYS, 3), "4");
        guest
    }

    fn go(&mut self, keys: &[(&str, &str)], state: u32) -> String {
        connect(&mut self.store, "console/1", keys, state);
        self.terminal.look(&mut self.store, &self.machine).unwrap();
        text(&self.store, &format!("{BACKEND}/state"))
    }

    /// The event channel by which the guest is told.
    fn serve(&mut self) -> Option<u32> {
        self.terminal.serve(&mut self.store, &mut self.machine).unwrap()
    }

    fn set(&mut self, index: u64, value: u32) {
        self.machine.ram.write(RING + index, &value.to_le_bytes()).unwrap();
    }

    /// Writes text, as far as there is room; how much.
    fn write(&mut self, from: &[u8]) -> usize {
        let produced = number(&self.machine.ram, RING + OUT_PRODUCED);
        let filled = produced.wrapping_sub(number(&self.machine.ram, RING + OUT_CONSUMED));
        let room = (OUT_BYTES - filled) as usize;
        for (n, byte) in (0..).zip(&from[..room.min(from.len())]) {
            let at = produced.wrapping_add(n);
            self.machine.ram.write(RING + OUT + u64::from(at % OUT_BYTES), &[*byte]).unwrap();
        }
        let count = room.min(from.len());
        self.set(OUT_PRODUCED, produced.wrapping_add(count as u32));
        count
    }

    /// Reads all that is there.
    fn read(&mut self) -> Vec<u8> {
        let consumed = number(&self.machine.ram, RING + IN_CONSUMED);
        let produced = number(&self.machine.ram, RING + IN_PRODUCED);
        let count = produced.wrapping_sub(consumed);
        assert!(count <= IN_BYTES);
        self.set(IN_CONSUMED, produced);
        let at = |at: u32| RING + IN + u64::from(at % IN_BYTES);
        (0..count).map(|n| self.machine.ram.bytes(at(consumed.wrapping_add(n)), 1).unwrap()[0]).collect()
    }
}

#[test]
fn a_terminal_connects_once_the_guest_has_set_it_up() {
    let mut guest = Guest::new();
    assert_eq!(text(&guest.store, "/local/domain/1/device/console/1/backend"), BACKEND);
    assert_eq!(text(&guest.store, &format!("{BACKEND}/state")), "2");
    assert_eq!((guest.terminal.port(), guest.serve()), (None, None));
    assert_eq!(guest.go(&KEYS, 3), "4");
    assert_eq!(guest.terminal.port(), Some(6));
    assert_eq!(guest.go(&[], 4), "4");
    assert_eq!(guest.serve(), None, "nothing is there");
    assert_eq!(guest.go(&[], 5), "5");
    assert_eq!(guest.terminal.port(), None);
    assert_eq!(guest.go(&[], 6), "6");
    assert_eq!(guest.go(&[], 1), "2");
}

#[test]
fn without_a_clerk_there_is_no_terminal() {
    let mut store = Xenstore::new();
    let machine = Place { ram: Ram::new(PAGES), is_there: false, heard: Vec::new(), says: Vec::new() };
    assert!(Terminal::new(&mut store, &machine).unwrap().is_none());
    assert_eq!(text(&store, "/local/domain/1/device/console/1/state"), "nothing");
}

#[test]
fn what_is_not_set_up_well_ends_the_connection() {
    for keys in [&[("ring-ref", "8")][..], &[("port", "6")], &[("ring-ref", "9"), ("port", "6")]] {
        let mut guest = Guest::new();
        assert_eq!(guest.go(keys, 3), "5", "{keys:?}");
        assert_eq!(guest.serve(), None);
    }
}

/// Whatever is written and read when: what comes back is what was written, twice, and nothing is heard before all is said.
#[test]
fn a_clerk_hears_no_more_before_it_has_said_all() {
    let mut guest = Guest::connected();
    // Both rings run over the end of their numbers.
    for index in [IN_CONSUMED, IN_PRODUCED, OUT_CONSUMED, OUT_PRODUCED] {
        guest.set(index, u32::MAX - 100);
    }
    let written: Vec<u8> = (0..5000_u32).map(|n| n as u8).collect();
    let (mut left, mut came) = (&written[..], Vec::new());
    for round in 0.. {
        let count = guest.write(left);
        left = &left[count..];
        let told = guest.serve();
        let read = guest.read();
        assert_eq!(told, (!read.is_empty() || count > 0).then_some(6), "round {round}");
        if told.is_none() {
            break;
        }
        came.extend(read);
    }
    let heard = core::mem::take(&mut guest.machine.heard);
    assert!(heard.iter().all(|bytes| *bytes <= 64), "{heard:?}");
    let mut rest = &written[..];
    let expected = heard.iter().flat_map(|bytes| {
        let (first, others) = rest.split_at(*bytes);
        rest = others;
        [first, first].concat()
    });
    assert_eq!(came, expected.collect::<Vec<u8>>());
    assert!(rest.is_empty());
}

proptest! {
    /// Whatever the guest writes into its page, and wherever it says that the page is: it harms itself at worst.
    #[test]
    fn any_page(bytes in prop::collection::vec(any::<u8>(), 16), frame in prop_oneof![4..5_u32, any::<u32>()]) {
        let mut guest = Guest::connected();
        grant(&mut guest.machine.ram, RING_GRANT, frame, 0);
        guest.machine.ram.write(RING + IN_CONSUMED, &bytes).unwrap();
        for _ in 0..4 {
            guest.serve();
        }
        let state = text(&guest.store, &format!("{BACKEND}/state"));
        prop_assert_eq!(guest.terminal.port().is_some(), state == "4");
    }
}
