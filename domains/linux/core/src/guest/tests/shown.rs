//! What the guest is shown: the CPU's features, and time.

use cloison_xen::call;
use cloison_xen::cpu::vcpu;
use cloison_xen::shared::{TimeInfo, VcpuInfo, WALL_CLOCK, WallClock};
use proptest::prelude::*;

use crate::cpuid;
use crate::machine::{Machine, Memory};
use crate::testing::{Fixture, address};
use crate::time::Clock;

/// What a CPU shows that says yes to everything.
fn shown(leaf: u32, subleaf: u32) -> [u32; 4] {
    let fixture = Fixture::new();
    cpuid::shown(&fixture.host, fixture.guest.cpu.xcr0, leaf, subleaf)
}

fn has(word: u32, bit: u32) -> bool {
    word >> bit & 1 == 1
}

#[test]
fn features_that_linux_cannot_do_without_are_shown() {
    let [_, _, c, d] = shown(1, 0);
    for bit in [0, 4, 5, 6, 8, 15, 24, 25, 26] {
        assert!(has(d, bit), "leaf 1, edx, bit {bit}");
    }
    for bit in [13, 26, 27, 28, 31] {
        assert!(has(c, bit), "leaf 1, ecx, bit {bit}");
    }
    let [_, _, _, d] = shown(0x8000_0001, 0);
    for bit in [11, 20, 27, 29] {
        assert!(has(d, bit), "leaf 0x80000001, edx, bit {bit}");
    }
    assert!(has(shown(0x8000_0007, 0)[3], 8));
    assert!(has(shown(7, 0)[1], 5), "AVX2");
}

#[test]
fn features_that_take_privilege_are_hidden() {
    let [_, b, c, d] = shown(1, 0);
    assert_eq!(b, 0xff00, "no numbers of CPUs");
    // VME, DE, PSE, MCE, SEP, MTRR, PGE, MCA, PSE36, DS, ACPI, HTT, TM.
    for bit in [1, 2, 3, 7, 11, 12, 13, 14, 17, 21, 22, 28, 29] {
        assert!(!has(d, bit), "leaf 1, edx, bit {bit}");
    }
    // DTES64, MONITOR, DS-CPL, VMX, SMX, EST, TM2, PDCM, PCID, DCA, x2APIC, TSC deadline.
    for bit in [2, 3, 4, 5, 6, 7, 8, 15, 17, 18, 21, 24] {
        assert!(!has(c, bit), "leaf 1, ecx, bit {bit}");
    }
    let [_, b, c, d] = shown(7, 0);
    // FSGSBASE, TSC_ADJUST, SGX, HLE, SMEP, INVPCID, RTM, MPX, AVX512F, SMAP, PT.
    for bit in [0, 1, 2, 4, 7, 10, 11, 14, 16, 20, 25] {
        assert!(!has(b, bit), "leaf 7, ebx, bit {bit}");
    }
    // UMIP, PKU, OSPKE, CET, LA57, RDPID.
    for bit in [2, 3, 4, 7, 16, 22] {
        assert!(!has(c, bit), "leaf 7, ecx, bit {bit}");
    }
    // IBRS, STIBP, ARCH_CAPABILITIES, SSBD.
    for bit in [26, 27, 29, 31] {
        assert!(!has(d, bit), "leaf 7, edx, bit {bit}");
    }
    let [_, _, c, d] = shown(0x8000_0001, 0);
    assert!(!has(c, 2) && !has(d, 26), "SVM, pages of 1 GiB");
    assert!([1, 2, 3, 7, 12, 13, 14, 17].iter().all(|bit| !has(d, *bit)), "repeated from leaf 1");
    assert_eq!(shown(0x8000_0008, 0)[1], 0, "IBPB, IBRS, STIBP, SSBD");
    assert!(!has(shown(0xd, 1)[0], 3), "XSAVES");
}

#[test]
fn leaves_end_where_the_rest_is_privileged() {
    assert_eq!(shown(0, 0)[0], 0xd);
    assert_eq!(shown(0x8000_0000, 0)[0], 0x8000_0021);
    for leaf in
        [3, 5, 6, 9, 0xa, 0xb, 0xe, 0x14, 0x15, 0x1f, 0x3fff_ffff, 0x4000_0003, 0x4000_0100, 0x4000_ff00]
    {
        assert_eq!(shown(leaf, 0), [0; 4], "leaf {leaf:#x}");
    }
    assert_eq!(shown(0x4000_0001, 0), [4 << 16 | 17, 0, 0, 0]);
    assert_eq!(shown(0x4000_0002, 0)[2], 1);
}

/// A selector of nothing clears a base in a CPU that says so, and in QEMU's emulation.
#[test]
fn a_base_that_is_not_cleared_is_not_said_to_be() {
    let emulator = |name: &[u8; 12]| {
        let word = |at| u32::from_le_bytes([name[at], name[at + 1], name[at + 2], name[at + 3]]);
        [0x4000_0001, word(0), word(4), word(8)]
    };
    for (cpuid, clears) in [
        ([u32::MAX; 4], true),
        (emulator(b"TCGTCGTCGTCG"), true),
        (emulator(b"KVMKVMKVM\0\0\0"), false),
        ([0x8000_0021, 0, 0, 0], false),
        ([0x8000_0020 | 1 << 6, 0, 0, 0], true),
        ([0x7fff_ffff, 0, 0, 0], false),
    ] {
        let mut fixture = Fixture::new();
        fixture.host.cpuid = cpuid;
        let leaf = |leaf| cpuid::shown(&fixture.host, 0, leaf, 0);
        let expected =
            if clears { ([1 << 6, 0, 0, 0], 0x8000_0021) } else { ([0; 4], cpuid[0].min(0x8000_0008)) };
        assert_eq!((leaf(0x8000_0021), leaf(0x8000_0000)[0]), expected, "{cpuid:x?}");
    }
}

/// QEMU's emulation moves strings byte by byte if it is told to: a Linux there is not told that this is fast.
#[test]
fn fast_strings_are_shown_where_they_are_fast() {
    const ERMS: u32 = 9;
    assert!(has(shown(7, 0)[1], ERMS) && has(shown(7, 0)[3], 4), "ERMS, FSRM");
    for (name, is_fast) in [("TCGTCGTCGTCG", false), ("TCGTCGTCGTC", true)] {
        let mut fixture = Fixture::new();
        let name = [name.as_bytes(), &[0; 12]].concat();
        let word = |at: usize| u32::from_le_bytes(name[at..at + 4].try_into().unwrap());
        // The first word of the name has the bit.
        fixture.host.cpuid = [0x4000_0001, word(0), word(4), word(8)];
        let [_, b, ..] = cpuid::shown(&fixture.host, 0, 7, 0);
        assert_eq!(has(b, ERMS), is_fast, "{name:x?}");
    }
}

#[test]
fn the_bytes_to_save_are_those_of_the_states_chosen() {
    let mut fixture = Fixture::new();
    for (states, bytes) in [(7, 832), (3, 576)] {
        fixture.guest.cpu.xcr0 = states;
        let leaf = |subleaf| cpuid::shown(&fixture.host, states, 0xd, subleaf);
        assert_eq!(leaf(0), [7, bytes, 832, 0]);
        assert_eq!(leaf(1)[1], bytes);
    }
    fixture.host.cpuid = [0; 4];
    for subleaf in 0..4 {
        assert_eq!(cpuid::shown(&fixture.host, 0, 0xd, subleaf), [0; 4]);
    }
    assert_eq!((cpuid::states(&fixture.host), cpuid::cr4(&fixture.host)), (0, 0));
}

/// The guest's timer, the clock in the shared page and its copy, and the calendar.
#[test]
fn a_guest_that_stood_still_does_not_notice() {
    const AWAY: u64 = 5_000_000_000;
    let mut fixture = Fixture::new();
    let place = fixture.argument(&address(40));
    assert_eq!(fixture.call(call::VCPU_OP, &[vcpu::REGISTER_TIME, 0, place]), 0);
    fixture.guest.clock.set_timer(1_000_000);
    let look = |fixture: &Fixture| {
        let info: TimeInfo = fixture.info(VcpuInfo::TIME);
        assert_eq!(fixture.read::<TimeInfo>(address(40)), info, "the copy");
        let wall = fixture.host.shared_address() + WALL_CLOCK;
        let wall: WallClock = fixture.host.get(wall).unwrap();
        assert_eq!((info.version % 2, wall.version), (0, info.version));
        let clock = nanoseconds(info, fixture.host.ticks);
        let calendar = u64::from(wall.seconds) * 1_000_000_000 + u64::from(wall.nanoseconds) + clock;
        (info.version, clock, calendar)
    };
    let (version, clock, calendar) = look(&fixture);
    let deadline = fixture.guest.clock.deadline().unwrap();
    fixture.host.ticks += AWAY;
    fixture.guest.stood_still(&mut fixture.host, AWAY);
    let (later, clock_then, calendar_then) = look(&fixture);
    assert_ne!(version, later, "a reader that was in the middle has to see that it has changed");
    assert_eq!(clock_then, clock);
    let away = AWAY * 1_000_000_000 / fixture.host.frequency();
    assert_eq!(calendar_then - calendar, away, "the calendar has not stood still");
    assert_eq!(fixture.guest.clock.deadline(), Some(deadline + AWAY));
}

#[test]
fn the_clock_is_there_before_the_first_instruction() {
    let fixture = Fixture::new();
    let info: TimeInfo = fixture.info(VcpuInfo::TIME);
    assert_eq!((info.version, info.flags, info.system_time, info.shift), (2, 1, 0, -1));
}

/// Nanoseconds as the guest makes them.
fn nanoseconds(info: TimeInfo, ticks: u64) -> u64 {
    let since = ticks - info.stamp;
    let shifted = if info.shift < 0 { since >> -info.shift } else { since << info.shift };
    info.system_time + ((u128::from(shifted) * u128::from(info.factor)) >> 32) as u64
}

proptest! {
    #[test]
    fn the_guests_clock_is_right(
        hertz in 1_000_000_u64..20_000_000_000,
        stamp in 0_u64..1 << 50,
        seconds in 1_u64..100_000,
    ) {
        let info = Clock::at(stamp, hertz).info();
        let clock = nanoseconds(info, stamp + hertz * seconds);
        let right = seconds * 1_000_000_000;
        prop_assert!(clock.abs_diff(right) <= right / 1_000_000 + 1, "{clock} is not {right} at {hertz} Hz");
    }

    #[test]
    fn the_timer_does_not_ring_before_its_time(
        hertz in 1_000_000_u64..20_000_000_000,
        stamp in 0_u64..1 << 50,
        timeout in 0_u64..1 << 50,
    ) {
        let mut clock = Clock::at(stamp, hertz);
        clock.set_timer(timeout);
        let deadline = clock.deadline().unwrap();
        let early = (u128::from(deadline - stamp) * 1_000_000_000 / u128::from(hertz)) as u64;
        prop_assert!(early >= timeout);
        prop_assert!(deadline == stamp || !clock.rings(deadline - 1));
        prop_assert!(clock.rings(deadline) && !clock.rings(deadline));
    }
}
