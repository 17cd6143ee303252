//! A guest that leaves what it likes in the rings of a device, when it likes: nothing is written but to its rings and to pages
//! that it has granted, a disk is asked for sectors that it has, a frame is no longer than one may be.

use linux_core::devices::{block::Block, network::FRAME_BYTES, network::Interface, terminal::Terminal};
use linux_core::machine::{Clerk, Disk, DiskOperation, Memory, Network};
use linux_core::xenstore::Xenstore;

use cloison_abi::limits::PAGE_BYTES;
use cloison_xen::grant::{GrantEntry, PERMIT_ACCESS, READ_ONLY};
use cloison_xen::ring::{ENTRIES, block, network};
use zerocopy::IntoBytes;

const PAGE: usize = PAGE_BYTES as usize;
/// Pages of memory. Each has a grant of its number: the first two are rings.
const PAGES: usize = 16;
const RINGS: usize = 2;
/// Of the others the first are granted, the next for reading alone, and the last not at all.
const GRANTED: usize = 6;
const READABLE: usize = 10;

const SECTORS: u64 = 64;
const PLACES: usize = 2;
/// What a request has room for.
const PLACE_BYTES: usize = 11 * PAGE;
const HOME: &str = "/local/domain/1/device";

/// The first byte says which device, and the rest what the guest does.
pub fn run(bytes: &[u8]) {
    let Some((kind, rest)) = bytes.split_first() else { return };
    let (mut guest, mut input) = (Guest::new(*kind), Input(rest));
    match kind {
        b'd' => {
            let disk = Block::new(&mut guest.store, &guest.machine).expect("the store is empty");
            let mut disk = disk.expect("it has sectors");
            guest.connects("vbd/51712", &[("ring-ref", "0"), ("event-channel", "5")]);
            let _ = disk.look(&mut guest.store, &guest.machine);
            let request = size_of::<block::Request>();
            guest.acts(&mut input, [request; 2], |store, machine| {
                let _ = disk.serve(store, machine);
            });
        }
        b'n' => {
            let port = Interface::new(&mut guest.store, &guest.machine).expect("the store is empty");
            let mut port = port.expect("it has an address");
            let rings = [("tx-ring-ref", "0"), ("rx-ring-ref", "1"), ("event-channel", "5")];
            guest.connects("vif/0", &rings);
            guest.connects("vif/0", &[("request-rx-copy", "1")]);
            let _ = port.look(&mut guest.store, &guest.machine);
            let requests = [size_of::<network::SendRequest>(), size_of::<network::ReceiveRequest>()];
            guest.acts(&mut input, requests, |store, machine| {
                let _ = port.serve(store, machine);
            });
        }
        _ => {
            let terminal = Terminal::new(&mut guest.store, &guest.machine).expect("the store is empty");
            let mut terminal = terminal.expect("it has a clerk");
            guest.connects("console/1", &[("ring-ref", "0"), ("port", "5")]);
            let _ = terminal.look(&mut guest.store, &guest.machine);
            guest.acts(&mut input, [1; 2], |store, machine| {
                let _ = terminal.serve(store, machine);
            });
        }
    }
}

struct Guest {
    store: Box<Xenstore>,
    machine: Machine,
    /// Requests that it says are in each ring.
    produced: [u32; RINGS],
}

impl Guest {
    fn new(kind: u8) -> Self {
        let produced = [0; RINGS];
        Self { store: Box::new(Xenstore::new()), machine: Machine::new(kind), produced }
    }

    /// Writes what the backend has to know.
    fn connects(&mut self, device: &str, values: &[(&str, &str)]) {
        for (key, value) in values.iter().chain(&[("state", "4")]) {
            let path = format!("{HOME}/{device}/{key}");
            self.store.write(&path, value.as_bytes()).expect("the store has room");
        }
    }

    /// Does what the input says: each step is a letter and its operands. The bytes of an entry of each ring are given.
    fn acts(
        &mut self,
        input: &mut Input<'_>,
        entry_bytes: [usize; RINGS],
        mut serve: impl FnMut(&mut Xenstore, &mut Machine),
    ) {
        while let Some(step) = input.byte() {
            match step {
                // A word of a ring's page.
                b'w' => {
                    let [Some(ring), Some(high), Some(low), Some(a), Some(b)] = input.bytes() else { return };
                    let at =
                        usize::from(ring) % RINGS * PAGE + (usize::from(high) << 8 | usize::from(low)) % PAGE;
                    self.machine.memory[at..].iter_mut().zip([a, b]).for_each(|(to, byte)| *to = byte);
                }
                // A request.
                b'q' => {
                    let Some(ring) = input.byte() else { return };
                    self.ask(usize::from(ring) % RINGS, entry_bytes, input);
                }
                // Bytes for the clerk.
                b'h' => {
                    let Some(count) = input.byte() else { return };
                    let produced = u32::from_le_bytes(self.machine.word(0xc0c));
                    let moved = produced.wrapping_add(u32::from(count));
                    self.machine.memory[0xc0c..0xc10].copy_from_slice(&moved.to_le_bytes());
                }
                // What comes from the other side: a frame, the end of a request, a text.
                b'c' => {
                    let [Some(high), Some(low)] = input.bytes() else { return };
                    self.machine.comes(usize::from(high) << 8 | usize::from(low));
                }
                b'r' => self.machine.room = input.byte().unwrap_or(0).into(),
                _ => serve(&mut self.store, &mut self.machine),
            }
        }
        serve(&mut self.store, &mut self.machine);
        let untouched = &self.machine.memory[GRANTED * PAGE..];
        assert!(untouched.iter().all(|byte| *byte == 0), "what is not granted for writing is written");
    }

    /// Puts a request into a ring.
    fn ask(&mut self, ring: usize, entry_bytes: [usize; RINGS], input: &mut Input<'_>) {
        let bytes = entry_bytes[ring];
        let entries = 1 << ((PAGE - ENTRIES as usize) / bytes).ilog2();
        let produced = &mut self.produced[ring];
        let at = ring * PAGE + ENTRIES as usize + *produced as usize % entries * bytes;
        self.machine.memory[at..][..bytes].fill_with(|| input.byte().unwrap_or(0));
        *produced = produced.wrapping_add(1);
        self.machine.memory[ring * PAGE..][..4].copy_from_slice(&produced.to_le_bytes());
    }
}

/// What is left of an input.
struct Input<'a>(&'a [u8]);

impl Input<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn bytes<const N: usize>(&mut self) -> [Option<u8>; N] {
        [(); N].map(|()| self.byte())
    }
}

/// The guest's memory, and one device behind it: it refuses with a panic what the domain would refuse.
struct Machine {
    kind: u8,
    memory: Vec<u8>,
    grants: Vec<u8>,
    /// The data in each place of the disk that is taken, and what has begun with it.
    places: [Option<Vec<u8>>; PLACES],
    begun: Vec<usize>,
    ended: Vec<(usize, bool)>,
    /// Frames that can be sent.
    room: usize,
    coming: Vec<usize>,
    says: Vec<u8>,
}

impl Machine {
    fn new(kind: u8) -> Self {
        let mut grants = vec![0; PAGE];
        for (number, to) in (0..READABLE).zip(grants.chunks_exact_mut(size_of::<GrantEntry>())) {
            let flags = if number < GRANTED { PERMIT_ACCESS } else { PERMIT_ACCESS | READ_ONLY };
            to.copy_from_slice(GrantEntry { flags, domain: 0, frame: number as u32 }.as_bytes());
        }
        Self {
            kind,
            memory: vec![0; PAGES * PAGE],
            grants,
            places: [const { None }; PLACES],
            begun: Vec::new(),
            ended: Vec::new(),
            room: 4,
            coming: Vec::new(),
            says: Vec::new(),
        }
    }

    fn word(&self, at: usize) -> [u8; 4] {
        self.memory[at..][..4].try_into().expect("four bytes")
    }

    fn comes(&mut self, number: usize) {
        match self.kind {
            b'd' if !self.begun.is_empty() => {
                let place = self.begun.remove(number % self.begun.len());
                self.ended.push((place, number & 0x100 == 0));
            }
            b'n' => self.coming.push(number % (FRAME_BYTES + 1)),
            _ => self.says.resize(number % 600, b'x'),
        }
    }
}

impl Memory for Machine {
    fn pages(&self) -> u32 {
        PAGES as u32
    }

    fn read(&self, at: u64, into: &mut [u8]) -> Option<()> {
        let table = self.shared_address() + PAGE_BYTES;
        let (bytes, at) = match at.checked_sub(table) {
            Some(offset) => (&self.grants, offset),
            None => (&self.memory, at),
        };
        into.copy_from_slice(bytes.get(usize::try_from(at).ok()?..)?.get(..into.len())?);
        Some(())
    }

    fn write(&mut self, at: u64, from: &[u8]) -> Option<()> {
        self.memory.get_mut(usize::try_from(at).ok()?..)?.get_mut(..from.len())?.copy_from_slice(from);
        Some(())
    }
}

impl Disk for Machine {
    fn sectors(&self) -> u64 {
        if self.kind == b'd' { SECTORS } else { 0 }
    }

    fn is_read_only(&self) -> bool {
        false
    }

    fn take_place(&mut self) -> Option<usize> {
        let place = self.places.iter().position(Option::is_none)?;
        self.places[place] = Some(vec![0x5a; PLACE_BYTES]);
        Some(place)
    }

    fn fill_place(&mut self, place: usize, at: usize, from: &[u8]) {
        let data = self.places[place].as_mut().expect("it is taken");
        data[at..][..from.len()].copy_from_slice(from);
    }

    fn read_place(&mut self, place: usize, at: usize, into: &mut [u8]) {
        let data = self.places[place].as_ref().expect("it is taken");
        into.copy_from_slice(&data[at..][..into.len()]);
    }

    fn begin(&mut self, place: usize, operation: DiskOperation, first: u64, sectors: u8) {
        assert!(self.places[place].is_some() && !self.begun.contains(&place), "the place is in use");
        let end = first.checked_add(sectors.into()).expect("a disk has fewer sectors");
        assert!(end <= SECTORS && usize::from(sectors) * block::SECTOR_BYTES <= PLACE_BYTES);
        assert!(operation != DiskOperation::Flush || sectors == 0);
        self.begun.push(place);
    }

    fn next_ended(&mut self) -> Option<(usize, bool)> {
        self.ended.pop()
    }

    fn release_place(&mut self, place: usize) {
        assert!(self.places[place].take().is_some(), "the place is taken");
    }
}

impl Network for Machine {
    fn mac(&self) -> Option<[u8; 6]> {
        (self.kind == b'n').then_some([2, 0, 0, 0, 0, 1])
    }

    fn has_room(&mut self) -> bool {
        self.room > 0
    }

    fn send(&mut self, frame: &[u8]) {
        self.room = self.room.checked_sub(1).expect("there is room");
        assert!(frame.len() <= FRAME_BYTES);
    }

    fn receive(&mut self, into: &mut [u8]) -> Option<usize> {
        let bytes = self.coming.pop()?;
        into[..bytes].fill(0x11);
        Some(bytes)
    }
}

impl Clerk for Machine {
    fn has_clerk(&self) -> bool {
        !matches!(self.kind, b'd' | b'n')
    }

    fn says(&self) -> &[u8] {
        &self.says
    }

    fn said(&mut self, bytes: usize) {
        assert!(bytes <= self.says.len(), "more is taken than was said");
        self.says.drain(..bytes);
    }
}
