//! Frames, traps and returns, word by word.

use cloison_xen::call;
use cloison_xen::cpu::{ReturnFrame, callback};
use cloison_xen::shared::VcpuInfo;

use super::{GO, HANDLER, KERNEL_STACK};
use crate::cpu::flag;
use crate::guest::{Death, Exit, Next};
use crate::machine::Memory;
use crate::testing::fixture::{CODE, HOLE, READ_ONLY, STACK};
use crate::testing::{Fixture, address};

/// What a return to a user program looks like.
fn to_user() -> ReturnFrame {
    ReturnFrame {
        rax: 1,
        r11: 2,
        rcx: 3,
        flags: 0,
        rip: 0x40_2000,
        cs: 0x33,
        rflags: 0x3246,
        rsp: 0x7fff_0000,
        ss: 0x2b,
    }
}

#[test]
fn a_system_call_finds_the_frame_that_linux_expects() {
    let mut fixture = Fixture::program();
    fixture.registers.rflags |= flag::DIRECTION | flag::TRAP | flag::ALIGNMENT;
    assert_eq!(fixture.exit(Exit::Call), GO);
    let at = fixture.registers.rsp;
    assert_eq!(at, KERNEL_STACK - 7 * 8);
    let flags = 0x246 | flag::DIRECTION | flag::TRAP | flag::ALIGNMENT;
    assert_eq!(fixture.words(at), [0xcc, 0x11, 0x40_1000, 0x33, flags, 0x7fff_1238, 0x2b]);
    assert_eq!(fixture.registers.rip, HANDLER + 0x2020);
    assert_eq!(fixture.registers.rflags, 0x246);
    assert!(fixture.is_masked() && fixture.guest.is_in_kernel());
}

#[test]
fn a_system_call_swaps_the_bases_of_gs() {
    let mut fixture = Fixture::program();
    fixture.exit(Exit::Call);
    assert_eq!(fixture.registers.gs_base, 0xffff_8880_0000_9000);
    assert_eq!(fixture.iret(to_user()), GO);
    assert_eq!(fixture.registers.gs_base, 0x7000);
    fixture.exit(Exit::Call);
    assert_eq!(fixture.registers.gs_base, 0xffff_8880_0000_9000);
}

#[test]
fn a_system_call_masks_no_events_if_its_handler_does_not() {
    let mut fixture = Fixture::new();
    fixture.handlers();
    fixture.callback(callback::SYSCALL, 0);
    fixture.guest.channels.set_masked(&mut fixture.host, false);
    fixture.enter_user();
    fixture.exit(Exit::Call);
    assert!(!fixture.is_masked());
}

#[test]
fn a_system_call_without_a_handler_is_no_instruction() {
    let mut fixture = Fixture::program();
    fixture.guest.cpu.syscall = None;
    fixture.exit(Exit::Call);
    assert_eq!(fixture.registers.rip, HANDLER + 6 * 16);
    assert_eq!(fixture.words::<3>(fixture.registers.rsp)[2], 0x40_1000 - 2);
}

#[test]
fn a_trap_of_the_kernel_stays_on_its_stack() {
    let mut fixture = Fixture::kernel();
    let top = fixture.registers.rsp;
    assert_eq!(fixture.trap(3, 0, 0), GO);
    let at = fixture.registers.rsp;
    assert_eq!(at, (top & !15) - 7 * 8);
    assert_eq!(fixture.words(at), [0xcc, 0x11, address(CODE) + 0x123, 0x30, 0x246, top, 0x2b]);
    assert_eq!((fixture.registers.rip, fixture.is_masked()), (HANDLER + 3 * 16, false));
    assert_eq!(fixture.registers.gs_base, 0xffff_8880_0000_9000);
}

#[test]
fn masked_events_are_seen_in_flags_and_beside_the_selector() {
    let mut fixture = Fixture::kernel();
    fixture.guest.channels.set_masked(&mut fixture.host, true);
    fixture.trap(3, 0, 0);
    let [_, _, _, selector, flags, ..] = fixture.words::<7>(fixture.registers.rsp);
    assert_eq!((selector, flags), (0x1_0000_0030, 0x46));
    assert_ne!(fixture.registers.rflags & flag::INTERRUPT, 0, "the CPU's own is always set");
}

#[test]
fn a_page_fault_has_code_and_address_and_masks_events_if_told() {
    let mut fixture = Fixture::program();
    assert_eq!(fixture.trap(14, 0b110, 0x1234_5678), GO);
    let at = fixture.registers.rsp;
    assert_eq!(at, KERNEL_STACK - 8 * 8);
    assert_eq!(fixture.words::<4>(at), [0xcc, 0x11, 0b110, 0x40_1000]);
    assert_eq!(fixture.info::<u64>(VcpuInfo::CR2), 0x1234_5678);
    assert!(fixture.is_masked());
}

#[test]
fn codes_are_passed_on_for_the_traps_that_have_one() {
    for vector in (0..32).filter(|vector| ![13, 14].contains(vector)) {
        let mut fixture = Fixture::program();
        fixture.trap(vector, 0x18, 0);
        let has_code = [8, 10, 11, 12, 17, 21].contains(&vector);
        let words = if has_code { 8 } else { 7 };
        assert_eq!(fixture.registers.rsp, KERNEL_STACK - words * 8, "vector {vector}");
        assert_eq!(fixture.read::<u64>(fixture.registers.rsp + 16) == 0x18, has_code);
    }
}

#[test]
fn a_single_step_is_seen_in_the_debug_register() {
    let mut fixture = Fixture::program();
    fixture.trap(1, 0, 0);
    assert_eq!(fixture.call(call::GET_DEBUGREG, &[6]), 0xffff_0ff0, "not one that did not step");
    let mut fixture = Fixture::program();
    fixture.registers.rflags |= flag::TRAP;
    fixture.trap(1, 0, 0);
    assert_eq!(fixture.call(call::GET_DEBUGREG, &[6]), 0xffff_4ff0);
}

#[test]
fn an_interrupt_by_number_goes_to_its_handler_if_it_is_open_to_programs() {
    // As a CPU says it, and as QEMU's emulation does.
    for code in [0x80 * 8 + 2, 0x80 * 16 + 2] {
        let mut fixture = Fixture::program();
        fixture.code(&[0xcd, 0x80]);
        assert_eq!(fixture.trap(13, code, 0), GO);
        assert_eq!(fixture.registers.rip, HANDLER + 0x80 * 16);
        let [.., rip, selector] = fixture.words::<4>(fixture.registers.rsp);
        assert_eq!((rip, selector), (address(CODE) + 2, 0x33), "without a code, behind the instruction");
    }

    let mut fixture = Fixture::program();
    fixture.code(&[0xcd, 0x81]);
    fixture.trap(13, 0x81 * 8 + 2, 0);
    assert_eq!(fixture.registers.rip, HANDLER + 13 * 16);
    assert_eq!(fixture.words::<4>(fixture.registers.rsp)[2..], [0x81 * 8 + 2, address(CODE)]);
}

#[test]
fn a_return_to_a_program_restores_all_of_its_registers() {
    let mut fixture = Fixture::kernel();
    fixture.enter_user();
    fixture.enter_kernel();
    fixture.guest.channels.set_masked(&mut fixture.host, true);
    assert_eq!(fixture.iret(ReturnFrame { cs: 0xe033, ss: 0xe02b, ..to_user() }), GO);
    let r = fixture.registers;
    assert_eq!([r.rax, r.r11, r.rcx, r.rip, r.rsp, r.rflags], [1, 2, 3, 0x40_2000, 0x7fff_0000, 0x246]);
    assert!(!fixture.guest.is_in_kernel() && !fixture.is_masked());
}

#[test]
fn a_return_to_the_kernel_takes_the_mask_from_the_flags() {
    for (flags, is_masked) in [(0x246, false), (0x46, true)] {
        let mut fixture = Fixture::kernel();
        let gs = fixture.registers.gs_base;
        let frame = ReturnFrame { cs: 0xe030, rip: address(CODE), rflags: flags, ..to_user() };
        assert_eq!(fixture.iret(frame), GO);
        assert_eq!(fixture.is_masked(), is_masked);
        assert_eq!((fixture.registers.rflags, fixture.registers.gs_base), (0x246, gs));
        assert!(fixture.guest.is_in_kernel());
    }
}

#[test]
fn a_return_that_cannot_be_is_told_to_the_kernel_as_the_programs() {
    // As what CPU and programs take it: with the selectors that cannot be, and an error code that says which it is.
    let bad = [
        (ReturnFrame { cs: 0x23, ..to_user() }, 0x20),
        (ReturnFrame { cs: 0x3b, ..to_user() }, 0x38),
        (ReturnFrame { cs: 0x07, ss: 0x33, ..to_user() }, 0x04),
        (ReturnFrame { cs: 3, ..to_user() }, 0),
        (ReturnFrame { ss: 0x33, ..to_user() }, 0x30),
        (ReturnFrame { rip: 1 << 47, ..to_user() }, 0),
    ];
    for (frame, code) in bad {
        let mut fixture = Fixture::program();
        fixture.exit(Exit::Call);
        assert_eq!(fixture.iret(frame), GO);
        let at = fixture.registers.rsp;
        assert_eq!(at, KERNEL_STACK - 8 * 8, "{frame:x?}");
        let expected = [3, 2, code, frame.rip, frame.cs, 0x246, 0x7fff_0000, frame.ss];
        assert_eq!(fixture.words::<8>(at), expected, "{frame:x?}");
        assert_eq!(fixture.registers.rip, HANDLER + 13 * 16);
        assert_eq!(fixture.registers.gs_base, 0xffff_8880_0000_9000);
    }
}

#[test]
fn a_return_to_a_program_without_a_page_table_ends_the_guest() {
    assert_eq!(Fixture::kernel().iret(to_user()), Next::Dead(Death::NoUserRoot));
}

#[test]
fn a_return_from_nowhere_ends_the_guest() {
    for rsp in [address(HOLE), address(HOLE) - 8, 1 << 47, 0] {
        let mut fixture = Fixture::kernel();
        (fixture.registers.rsp, fixture.registers.rax) = (rsp, call::IRET);
        assert_eq!(fixture.exit(Exit::Call), Next::Dead(Death::Return { at: rsp }));
    }
}

#[test]
fn a_stack_that_takes_no_frame_ends_the_guest() {
    for top in [address(HOLE) + 64, address(READ_ONLY) + 64, 1 << 47, 0, 8] {
        let mut fixture = Fixture::kernel();
        fixture.registers.rsp = top;
        let Next::Dead(Death::Stack { vector: Some(3), .. }) = fixture.trap(3, 0, 0) else {
            panic!("a stack at {top:#x} was written to")
        };
        let mut fixture = Fixture::program();
        fixture.guest.set_kernel_stack(&mut fixture.host, top);
        let Next::Dead(Death::Stack { vector: None, .. }) = fixture.exit(Exit::Call) else {
            panic!("a stack at {top:#x} was written to")
        };
    }
}

#[test]
fn a_trap_without_a_handler_ends_the_guest() {
    assert_eq!(Fixture::new().trap(0, 0, 0), Next::Dead(Death::NoHandler { vector: 0 }));
}

#[test]
fn a_page_that_is_there_is_shown_and_one_without_room_ends_the_guest() {
    let mut fixture = Fixture::kernel();
    assert_eq!(fixture.trap(14, 6, address(STACK)), GO);
    assert!(fixture.host.shown > 0);
    assert_eq!(fixture.registers.rip, address(CODE) + 0x123);
    fixture.host.is_full = true;
    assert_eq!(fixture.trap(14, 6, address(STACK)), Next::Dead(Death::NoRoom));
}

#[test]
fn a_jump_to_what_is_no_address_is_the_guests_affair() {
    let mut fixture = Fixture::program();
    fixture.registers.rip = 1 << 47;
    assert_eq!(fixture.exit(Exit::Pause), GO);
    assert_eq!(fixture.registers.rip, HANDLER + 13 * 16);
    assert_eq!(fixture.words::<4>(fixture.registers.rsp), [0xcc, 0x11, 0, 1 << 47]);
}

#[test]
fn an_event_calls_its_handler_once_it_is_not_masked() {
    let mut fixture = Fixture::program();
    fixture.guest.channels.raise(&mut fixture.host, 5);
    assert_eq!(fixture.exit(Exit::Pause), GO);
    assert_eq!(fixture.registers.rip, HANDLER + 0x2000);
    assert_eq!(fixture.words(fixture.registers.rsp), [0xcc, 0x11, 0x40_1000, 0x33, 0x246, 0x7fff_1238, 0x2b]);
    assert!(fixture.is_masked());
    let rip = fixture.registers.rip;
    assert_eq!(fixture.exit(Exit::Pause), GO);
    assert_eq!(fixture.registers.rip, rip, "not while they are masked");
}

#[test]
fn a_line_of_the_log_is_short_whatever_the_guest_did() {
    let mut fixture = Fixture::kernel();
    for exit in 0..100 {
        for number in 0..48 {
            fixture.guest.log.called(number + exit % 2);
        }
        for vector in 0..32 {
            fixture.guest.log.reflected(vector);
        }
    }
    for opcode in [0x0fa2, 0x0f32, 0x0f30, 0xec, 0xfa, 0xf4] {
        fixture.guest.log.emulated(opcode);
    }
    (fixture.registers.rsp, fixture.registers.rip) = (address(STACK), u64::MAX);
    fixture.exit(Exit::Trap { vector: 14, code: u64::MAX, address: u64::MAX });
    let mut lines = std::vec::Vec::new();
    fixture.guest.log().report(|line| lines.push(std::format!("{line}")));
    assert!(lines.iter().all(|line| line.len() < 160), "{lines:#?}");
    let all = lines.concat();
    for counted in
        [" 4: 100", " xen_version: 100", " 47: 100", " others: 50", " 31: 0/100", " cli/sti: 1", " ports: 1"]
    {
        assert!(all.contains(counted), "{counted} is missing: {all}");
    }
}

#[test]
fn the_log_counts_and_keeps_the_last_exits() {
    let mut fixture = Fixture::kernel();
    for _ in 0..20 {
        fixture.call(call::XEN_VERSION, &[0]);
    }
    fixture.trap(14, 0, address(HOLE));
    let text = std::format!("{}", fixture.guest.log());
    assert!(text.contains("xen_version: 20"), "{text}");
    assert!(text.contains("traps/left to the guest: 14: 1/1\n"), "{text}");
    assert_eq!(text.lines().filter(|line| line.contains(": hypercall 17 xen_version")).count(), 15);
    let last = text.lines().last().unwrap();
    assert!(last.contains("kernel at") && last.contains("trap 14, code 0x0, address"), "{last}");
}

/// A fault that says that ring 0 read the stack: QEMU, while it carries out an `iretq` for ring 3.
const READ_BY_RING_0: u64 = 1;

#[test]
fn an_iret_that_the_emulator_could_not_do_is_done() {
    let mut fixture = Fixture::kernel();
    fixture.code(&[0x48, 0xcf]);
    let at = address(STACK + 1);
    let frame = [address(CODE) + 0x77, 0x33, 0x3246 | flag::DIRECTION, address(STACK + 2), 0x2b];
    fixture.host.put((STACK + 1) * 0x1000, &frame).unwrap();
    fixture.registers.rsp = at;
    assert_eq!(fixture.trap(14, READ_BY_RING_0, at), GO);
    assert_eq!((fixture.registers.rip, fixture.registers.rsp), (frame[0], frame[3]));
    // Interrupts are on, and no program has ports.
    assert_eq!(fixture.registers.rflags, 0x246 | flag::DIRECTION);
    assert!(!fixture.is_masked() && fixture.guest.is_in_kernel());
}

#[test]
fn no_other_instruction_is_taken_for_an_iret() {
    let mut fixture = Fixture::kernel();
    fixture.code(&[0x48, 0x8b, 0x04, 0x24]);
    let frame = [address(CODE) + 0x77, 0x33, 0x202, address(STACK + 2), 0x2b];
    fixture.host.put((STACK + 1) * 0x1000, &frame).unwrap();
    fixture.registers.rsp = address(STACK + 1);
    let before = fixture.registers;
    assert_eq!(fixture.trap(14, READ_BY_RING_0, before.rsp), GO);
    assert_eq!(fixture.registers.rip, HANDLER + 13 * 16);
    let [_, _, code, rip] = fixture.words::<4>(fixture.registers.rsp);
    assert_eq!((code, rip), (0, before.rip));
}

#[test]
fn an_iret_whose_frame_cannot_be_read_is_a_page_fault() {
    let mut fixture = Fixture::kernel();
    fixture.code(&[0x48, 0xcf]);
    fixture.registers.rsp = address(HOLE);
    let outcome = fixture.trap(14, READ_BY_RING_0, address(HOLE));
    // The frame of the fault has no place either.
    assert!(matches!(outcome, Next::Dead(Death::Stack { .. })), "{outcome:?}");
}
