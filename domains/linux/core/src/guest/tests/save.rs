//! A guest that is saved, and another that goes on in its place.

use std::vec::Vec;

use cloison_abi::limits::PAGE_BYTES;
use cloison_xen::call;
use proptest::prelude::*;

use super::*;
use crate::guest::{NoVectors, Vectors};
use crate::saved::{Carrier, CutShort, STATE_BYTES};
use crate::stub;

/// Writes down, as long as there is room.
struct Writer {
    bytes: Vec<u8>,
    room: usize,
}

impl Carrier for Writer {
    fn carry(&mut self, bytes: &mut [u8]) -> Result<(), CutShort> {
        self.bytes.extend_from_slice(bytes);
        if self.bytes.len() <= self.room { Ok(()) } else { Err(CutShort) }
    }
}

/// Reads what was written down.
struct Reader<'a>(&'a [u8]);

impl Carrier for Reader<'_> {
    fn carry(&mut self, bytes: &mut [u8]) -> Result<(), CutShort> {
        let (read, rest) = self.0.split_at_checked(bytes.len()).ok_or(CutShort)?;
        bytes.copy_from_slice(read);
        self.0 = rest;
        Ok(())
    }
}

impl Fixture {
    pub(super) fn saved(&mut self) -> Vec<u8> {
        let mut writer = Writer { bytes: Vec::new(), room: STATE_BYTES };
        self.guest.save(&self.registers, &mut writer).unwrap();
        writer.bytes
    }

    /// Another guest on the same memory that goes on from there, some ticks later.
    pub(super) fn resumed(&self, saved: &[u8], ticks: u64) -> Result<Self, CutShort> {
        let mut other = Self::new();
        other.host.ram = self.host.ram.clone();
        other.host.ticks = self.host.ticks + ticks;
        other.registers = other.guest.resume(&mut other.host, ticks, &mut Reader(saved))?;
        Ok(other)
    }
}

/// A program that has all kinds of things: handlers, a timer, ports, a watch.
fn busy() -> Fixture {
    let mut fixture = Fixture::program();
    fixture.guest.clock.set_timer(5_000);
    fixture.guest.channels.allocate(crate::events::Port::Virq(7)).unwrap();
    fixture.enter_kernel();
    fixture.guest.cpu.debug[3] = 0x1234;
    fixture
}

#[test]
fn what_was_written_down_is_what_goes_on() {
    let mut fixture = busy();
    let saved = fixture.saved();
    let mut other = fixture.resumed(&saved, 0).unwrap();
    assert_eq!(other.registers, fixture.registers);
    // The clock has said once more what it is; nothing else differs.
    fixture.guest.stood_still(&mut fixture.host, 0);
    assert!(other.saved() == fixture.saved());
}

#[test]
fn the_largest_state_has_room() {
    let mut fixture = busy();
    let all = fixture.saved().len();
    // What varies: values of xenstore, its watches and what they were not told, a request and a reply.
    let most = 256 * (48 + 128 + 8) + 32 * (128 + 64 + 8) + 64 * (128 + 8) + 2 * 4200;
    assert!(all + most <= STATE_BYTES, "{all} bytes without what varies");
}

#[test]
fn a_guest_that_begins_again_knows_nothing_of_before() {
    let mut fixture = Fixture::new();
    let first = fixture.saved();
    let store = fixture.guest.devices.store();
    store.write("/local/domain/1/note", b"of before").unwrap();
    fixture.guest.channels.allocate(crate::events::Port::Ipi).unwrap();
    fixture.guest.cpu.debug[3] = 0x1234;
    assert!(fixture.saved() != first);
    fixture.guest.start(&mut fixture.host, &Fixture::begins()).unwrap();
    assert!(fixture.saved() == first);
}

#[test]
fn the_time_between_has_not_passed() {
    let mut fixture = busy();
    let deadline = fixture.guest.clock.deadline().unwrap();
    let saved = fixture.saved();
    let other = fixture.resumed(&saved, 1_000_000).unwrap();
    assert_eq!(other.guest.clock.deadline(), Some(deadline + 1_000_000));
}

#[test]
fn a_state_that_is_cut_short_is_none() {
    let mut fixture = busy();
    let saved = fixture.saved();
    for length in (0..saved.len()).step_by(997) {
        assert!(fixture.resumed(&saved[..length], 0).is_err(), "{length} bytes");
    }
    let mut writer = Writer { bytes: Vec::new(), room: saved.len() - 1 };
    assert_eq!(fixture.guest.save(&fixture.registers, &mut writer), Err(CutShort));
}

#[test]
fn a_guest_that_goes_on_calls_and_is_called() {
    let mut fixture = busy();
    let saved = fixture.saved();
    let mut other = fixture.resumed(&saved, 0).unwrap();
    other.registers.rip = address(CODE);
    assert_eq!(other.call(call::XEN_VERSION, &[0, 0]), fixture_version(&mut fixture));
    other.guest.paging.enter_user(&mut other.host).unwrap();
    other.guest.let_switch(&mut other.host, &mut other.registers);
    assert!(matches!(other.exit(Exit::Pause), Next::Go { .. }));
    assert_eq!(other.guest.place().1, cloison_abi::guest::GuestHalf::Lower, "both roots are known");
}

fn fixture_version(fixture: &mut Fixture) -> u64 {
    fixture.registers.rip = address(CODE);
    fixture.call(call::XEN_VERSION, &[0, 0])
}

#[test]
fn vector_registers_go_through_a_page_that_is_large_enough() {
    let mut fixture = Fixture::program();
    fixture.host.cpuid = [0, stub::VECTOR_BYTES as u32, 0, 0];
    let out = fixture.guest.move_vectors(&mut fixture.host, Vectors::Out).unwrap();
    let code = fixture.host.shared_address() + u64::from(stub::CODE) * PAGE_BYTES;
    let at = |rip: u64| code + rip % PAGE_BYTES;
    assert_eq!(fixture.host.ram.bytes(at(out.rip), 6), Some(&[0x48, 0x0f, 0xae, 0x27, 0x0f, 0x05][..]));
    let words = fixture.host.shared_address() + u64::from(stub::WORDS) * PAGE_BYTES;
    let area = words + out.rdi % PAGE_BYTES;
    assert_eq!((area % 64, area + stub::VECTOR_BYTES as u64), (0, words + PAGE_BYTES));
    fixture.host.write(area, &[7; 8]).unwrap();
    let back = fixture.guest.move_vectors(&mut fixture.host, Vectors::In).unwrap();
    assert_eq!(fixture.host.ram.bytes(at(back.rip), 6), Some(&[0x48, 0x0f, 0xae, 0x2f, 0x0f, 0x05][..]));
    assert_eq!(fixture.host.load(area), Some(0x0707_0707_0707_0707), "what was put there stays");
    fixture.host.cpuid = [0, stub::VECTOR_BYTES as u32 + 1, 0, 0];
    assert_eq!(fixture.guest.move_vectors(&mut fixture.host, Vectors::Out), Err(NoVectors));
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_a_fault(bytes in prop::collection::vec(any::<u8>(), 0..4096)) {
        let fixture = Fixture::new();
        prop_assert!(fixture.resumed(&bytes, 0).is_err());
    }
}
