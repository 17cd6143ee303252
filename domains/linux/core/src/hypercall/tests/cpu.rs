use cloison_xen::cpu::{CallbackRegister, TRAP_MASKS, TrapInfo, callback, segment};
use cloison_xen::{Errno, call};

use crate::cpu::{Handler, Trap};
use crate::machine::Memory;
use crate::testing::fixture::HOLE;
use crate::testing::{Fixture, address};

const HANDLER: u64 = 0xffff_ffff_8100_0000;

#[test]
fn traps_get_their_handlers_and_lose_them() {
    let mut fixture = Fixture::new();
    let entry = |vector, flags| TrapInfo { vector, flags, address: HANDLER, ..TrapInfo::default() };
    let at = fixture.list(&[entry(3, 3), entry(14, TRAP_MASKS), TrapInfo::default(), entry(5, 0)]);
    assert_eq!(fixture.call(call::SET_TRAP_TABLE, &[at]), 0);
    let trap = |masks, privilege| Trap { handler: Some(Handler { address: HANDLER, masks }), privilege };
    assert_eq!(fixture.guest.cpu.traps[3], trap(false, 3));
    assert_eq!(fixture.guest.cpu.traps[14], trap(true, 0));
    assert_eq!(fixture.guest.cpu.traps[5], Trap::NONE, "the list had ended");
    assert_eq!(fixture.call(call::SET_TRAP_TABLE, &[0]), 0);
    assert!(fixture.guest.cpu.traps.iter().all(|trap| *trap == Trap::NONE));
}

#[test]
fn a_table_of_traps_without_an_end_ends_where_memory_does() {
    let mut fixture = Fixture::new();
    let entry = TrapInfo { address: HANDLER, ..TrapInfo::default() };
    for n in 1..=100 {
        fixture.host.put(HOLE * 0x1000 - n * 16, &entry).unwrap();
    }
    fixture.refused(call::SET_TRAP_TABLE, &[address(HOLE) - 1600], Errno::BadAddress);
}

#[test]
fn handlers_have_to_be_addresses() {
    let mut fixture = Fixture::new();
    let at = fixture.list(&[TrapInfo { address: 1 << 47, ..TrapInfo::default() }]);
    fixture.refused(call::SET_TRAP_TABLE, &[at], Errno::Invalid);
    for kind in [callback::EVENT, callback::FAILSAFE, callback::SYSCALL] {
        let at =
            fixture.argument(&CallbackRegister { kind, address: 1 << 63, ..CallbackRegister::default() });
        fixture.refused(call::CALLBACK_OP, &[0, at], Errno::Invalid);
    }
    fixture.refused(call::STACK_SWITCH, &[0xe02b, 1 << 47], Errno::Invalid);
    assert_eq!(fixture.guest.kernel_stack(&fixture.host), 0);
}

#[test]
fn callbacks_are_those_of_64_bit_systems() {
    let mut fixture = Fixture::new();
    for kind in [3, 4, 5, 6, 7, 8, u16::MAX] {
        let at =
            fixture.argument(&CallbackRegister { kind, address: HANDLER, ..CallbackRegister::default() });
        fixture.refused(call::CALLBACK_OP, &[0, at], Errno::NotOffered);
    }
    fixture.refused(call::CALLBACK_OP, &[1, address(30)], Errno::NotOffered);
    fixture.refused(call::CALLBACK_OP, &[0, address(HOLE)], Errno::BadAddress);
}

#[test]
fn bases_of_segments_have_to_be_addresses() {
    let mut fixture = Fixture::new();
    let base = 0xffff_8880_0000_1000;
    for which in [segment::FS, segment::GS_USER, segment::GS_KERNEL] {
        assert_eq!(fixture.call(call::SET_SEGMENT_BASE, &[which, base + which]), 0);
        fixture.refused(call::SET_SEGMENT_BASE, &[which, 1 << 47], Errno::Invalid);
    }
    assert_eq!(fixture.registers.fs_base, base);
    assert_eq!(fixture.registers.other_gs_base, base + 1);
    assert_eq!(fixture.registers.gs_base, base + 2);
    fixture.refused(call::SET_SEGMENT_BASE, &[4, 0], Errno::Invalid);
}

/// A descriptor of a segment with this base.
fn descriptor(base: u64) -> u64 {
    0x00cf_f200_0000_ffff | (base & 0x00ff_ffff) << 16 | (base & 0xff00_0000) << 32
}

#[test]
fn a_selector_stands_for_the_base_in_the_guests_table() {
    let mut fixture = Fixture::new();
    let frames = fixture.list(&[40_u64]);
    assert_eq!(fixture.call(call::SET_GDT, &[frames, 512]), 0);
    let entry = 40 * 0x1000 + 12 * 8;
    assert_eq!(fixture.call(call::UPDATE_DESCRIPTOR, &[entry, descriptor(0x8765_4321)]), 0);
    for (selector, base) in [(0x63, 0x8765_4321), (0x60, 0x8765_4321), (0, 0), (3, 0), (0x67, 0), (0xfffb, 0)]
    {
        fixture.registers.other_gs_base = 1;
        assert_eq!(fixture.call(call::SET_SEGMENT_BASE, &[segment::GS_USER_SELECTOR, selector]), 0);
        assert_eq!(fixture.registers.other_gs_base, base, "selector {selector:#x}");
    }
}

#[test]
fn a_table_of_descriptors_lies_in_the_guests_memory() {
    let mut fixture = Fixture::new();
    for frame in [64, 1 << 32, u64::MAX] {
        let at = fixture.list(&[frame]);
        fixture.refused(call::SET_GDT, &[at, 1], Errno::Invalid);
    }
    let at = fixture.list(&[1_u64; 17]);
    assert_eq!(fixture.call(call::SET_GDT, &[at, 8192]), 0);
    fixture.refused(call::SET_GDT, &[at, 8193], Errno::Invalid);
    fixture.refused(call::SET_GDT, &[at, u64::from(u32::MAX)], Errno::Invalid);
    fixture.refused(call::SET_GDT, &[address(HOLE) - 8, 1024], Errno::BadAddress);
    for address in [64 * 0x1000, 1 << 63, 4, u64::MAX - 7] {
        fixture.refused(call::UPDATE_DESCRIPTOR, &[address, 0], Errno::Invalid);
    }
}

#[test]
fn debug_registers_are_kept() {
    let mut fixture = Fixture::new();
    for number in 0..8 {
        assert_eq!(fixture.call(call::SET_DEBUGREG, &[number, number * 3]), 0);
        assert_eq!(fixture.call(call::GET_DEBUGREG, &[number]), number * 3);
    }
    for number in [8, 1 << 32, u64::MAX] {
        fixture.refused(call::SET_DEBUGREG, &[number, 0], Errno::Invalid);
        fixture.refused(call::GET_DEBUGREG, &[number], Errno::Invalid);
    }
    assert_eq!(fixture.call(call::FPU_TASKSWITCH, &[0]), 0);
}
