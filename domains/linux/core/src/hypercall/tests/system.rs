use cloison_xen::console::{self, IN_CONSUMED, IN_PRODUCED, OUT, OUT_CONSUMED, OUT_PRODUCED};
use cloison_xen::cpu::assist;
use cloison_xen::event;
use cloison_xen::shared;
use cloison_xen::version::{self, FeatureInfo, MachineToPhysical, MemoryMap, MemoryRange};
use cloison_xen::{Errno, call};

use crate::machine::Memory;
use crate::testing::fixture::{CONSOLE, HOLE, PAGES, READ_ONLY, SCRATCH};
use crate::testing::{Fixture, address};

/// An address in the console's page.
const fn ring(offset: u64) -> u64 {
    CONSOLE * 0x1000 + offset
}

#[test]
fn version_and_features_are_those_that_linux_needs() {
    let mut fixture = Fixture::new();
    assert_eq!(fixture.call(call::XEN_VERSION, &[version::VERSION, 0]), 4 << 16 | 17);
    assert_eq!(fixture.call(call::XEN_VERSION, &[version::EXTRA_VERSION, address(SCRATCH)]), 0);
    assert_eq!(&fixture.read::<[u8; 16]>(address(SCRATCH)), b"-cloison\0\0\0\0\0\0\0\0");
    for (index, word) in [(0, 0b1011_0000), (1, 0), (u32::MAX, 0)] {
        let at = fixture.argument(&FeatureInfo { index, word: 7 });
        assert_eq!(fixture.call(call::XEN_VERSION, &[version::FEATURES, at]), 0);
        assert_eq!(fixture.read::<FeatureInfo>(at), FeatureInfo { index, word });
    }
    for command in [2, 3, 4, 5, 7, 8, 9, 10, u64::MAX] {
        fixture.refused(call::XEN_VERSION, &[command, address(SCRATCH)], Errno::NotOffered);
    }
    fixture.refused(call::XEN_VERSION, &[version::FEATURES, address(READ_ONLY)], Errno::BadAddress);
}

#[test]
fn memory_is_one_range() {
    let mut fixture = Fixture::new();
    let buffer = address(SCRATCH) + 64;
    let at = fixture.argument(&MemoryMap { entries: 128, pad: 0, buffer });
    assert_eq!(fixture.call(call::MEMORY_OP, &[version::MEMORY_MAP, at]), 0);
    assert_eq!(fixture.read::<MemoryMap>(at).entries, 1);
    let range: MemoryRange = fixture.read(buffer);
    assert_eq!(range, MemoryRange { start: [0; 2], bytes: [PAGES as u32 * 0x1000, 0], kind: 1 });
    let at = fixture.argument(&MemoryMap { entries: 0, pad: 0, buffer });
    fixture.refused(call::MEMORY_OP, &[version::MEMORY_MAP, at], Errno::Invalid);
    let at = fixture.argument(&MemoryMap { entries: 1, pad: 0, buffer: address(HOLE) });
    fixture.refused(call::MEMORY_OP, &[version::MEMORY_MAP, at], Errno::BadAddress);
}

#[test]
fn the_table_of_frames_is_where_nothing_else_is() {
    let mut fixture = Fixture::new();
    assert_eq!(fixture.call(call::MEMORY_OP, &[version::MACHINE_TO_PHYSICAL, address(SCRATCH)]), 0);
    let place: MachineToPhysical = fixture.read(address(SCRATCH));
    let start = 0xffff_8000_0000_0000;
    assert_eq!(place, MachineToPhysical { start, end: start + PAGES * 8, max_frame: PAGES - 1 });
    for command in [0, 1, 2, 3, 6, 7, 10, 11, 64 | 9, u64::MAX] {
        fixture.refused(call::MEMORY_OP, &[command, address(SCRATCH)], Errno::NotOffered);
    }
}

#[test]
fn text_comes_out_whole_whatever_its_length() {
    let mut fixture = Fixture::new();
    let text: std::vec::Vec<u8> = (0..10_000_u32).map(|n| n as u8).collect();
    let at = fixture.list(&text);
    for (length, steps) in [(0, 1), (1, 1), (64, 1), (4096, 1), (4097, 2), (10_000, 3)] {
        fixture.host.printed.clear();
        let answer = fixture.count_steps(call::CONSOLE_IO, &[console::WRITE, length, at]);
        assert_eq!(answer, (0, steps), "{length} bytes");
        assert_eq!(fixture.host.printed, text[..length as usize]);
    }
}

#[test]
fn text_that_is_not_there_is_refused() {
    let mut fixture = Fixture::new();
    fixture.refused(call::CONSOLE_IO, &[console::WRITE, 1 << 31, address(SCRATCH)], Errno::Invalid);
    fixture.refused(call::CONSOLE_IO, &[console::WRITE, u64::MAX, address(SCRATCH)], Errno::Invalid);
    fixture.refused(call::CONSOLE_IO, &[1, 1, address(SCRATCH)], Errno::NotOffered);
    let near = address(HOLE) - 100;
    fixture.refused(call::CONSOLE_IO, &[console::WRITE, 0x7fff_ffff, near], Errno::BadAddress);
    assert_eq!(fixture.host.printed.len(), 64, "what could be read was brought out");
}

#[test]
fn help_is_accepted_and_ports_need_no_privilege() {
    let mut fixture = Fixture::new();
    for what in [0, 1, 2, 3, 5] {
        assert_eq!(fixture.call(call::VM_ASSIST, &[assist::ENABLE, what]), 0);
    }
    for (command, what) in [(0, 4), (0, 6), (0, 32), (2, 2), (0, u64::MAX)] {
        fixture.refused(call::VM_ASSIST, &[command, what], Errno::Invalid);
    }
    assert_eq!(fixture.call(call::PHYSDEV_OP, &[version::SET_IOPL, 0]), 0);
    assert_eq!(fixture.call(call::PHYSDEV_OP, &[version::SET_IOBITMAP, 0]), 0);
    fixture.refused(call::PHYSDEV_OP, &[28, 0], Errno::NotOffered);
}

impl Fixture {
    fn send_console(&mut self) {
        let at = self.argument(&crate::boot::CONSOLE_PORT);
        assert_eq!(self.call(call::EVENT_CHANNEL_OP, &[event::SEND, at]), 0);
    }

    fn pending(&self) -> u64 {
        self.host.load(self.host.shared_address() + shared::PENDING).unwrap()
    }

    fn numbers(&mut self, consumed: (u64, u32), produced: (u64, u32)) {
        for (offset, number) in [consumed, produced] {
            self.host.put(ring(offset), &number).unwrap();
        }
    }
}

#[test]
fn what_is_printed_comes_out_across_the_rings_end() {
    let mut fixture = Fixture::new();
    let text: std::vec::Vec<u8> = (0..2048_u32).map(|n| n as u8).collect();
    fixture.host.write(ring(OUT), &text).unwrap();
    fixture.numbers((OUT_CONSUMED, u32::MAX - 99), (OUT_PRODUCED, 200));
    fixture.send_console();
    assert_eq!(fixture.host.printed, [&text[2048 - 100..], &text[..200]].concat());
    assert_eq!(fixture.host.get::<u32>(ring(OUT_CONSUMED)), Some(200));
    assert_eq!(fixture.pending(), 0, "nobody waits for room");
}

#[test]
fn who_waits_for_room_is_told_of_it() {
    let mut fixture = Fixture::new();
    fixture.numbers((OUT_CONSUMED, 5), (OUT_PRODUCED, 5 + 2048));
    fixture.send_console();
    assert_eq!((fixture.host.printed.len(), fixture.pending()), (2048, 1 << 2));
}

#[test]
fn rings_whose_numbers_contradict_each_other_are_left_alone() {
    for ahead in [2049, 1 << 31, u32::MAX] {
        let mut fixture = Fixture::new();
        fixture.numbers((OUT_CONSUMED, 5), (OUT_PRODUCED, 5_u32.wrapping_add(ahead)));
        fixture.send_console();
        assert_eq!(fixture.host.printed, [], "{ahead} bytes");
        fixture.numbers((IN_CONSUMED, 5), (IN_PRODUCED, 5_u32.wrapping_add(ahead)));
        assert_eq!(fixture.guest.input(&mut fixture.host, b"ls\n"), 0, "{ahead} bytes");
        assert_eq!(fixture.pending(), 0);
    }
}

#[test]
fn what_is_typed_arrives_as_far_as_there_is_room() {
    let mut fixture = Fixture::new();
    fixture.numbers((IN_CONSUMED, 1000), (IN_PRODUCED, 1000));
    assert_eq!(fixture.guest.input(&mut fixture.host, &[7; 1030]), 1024);
    assert_eq!(fixture.host.get::<u32>(ring(IN_PRODUCED)), Some(2024));
    assert_eq!(fixture.host.get::<[u8; 1024]>(ring(0)), Some([7; 1024]));
    assert_eq!(fixture.pending(), 1 << 2);
    assert_eq!(fixture.guest.input(&mut fixture.host, b"more"), 0);
}
