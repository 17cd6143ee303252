//! Breakpoints of the debug registers: what a program is told, and when.

use cloison_abi::limits::PAGE_BYTES;
use cloison_xen::call;

use super::{Exit, Fixture, GO, HANDLER};
use crate::cpu::flag;
use crate::machine::{Memory, Shown};
use crate::memory::code::{FETCH, USER, WRITE};
use crate::testing::fixture::{ROOT, USER_ROOT};

/// A page of the program, and one beside it.
pub(super) const DATA: u64 = 0x40_5000;
pub(super) const BESIDE: u64 = DATA + PAGE_BYTES;
/// The first of the three tables below the roots, and the frames of the pages.
const TABLES: u64 = 40;
pub(super) const FRAME: u64 = 44;
/// The handler of debug traps.
pub(super) const TOLD: u64 = HANDLER + 16;

/// DR7: the first breakpoint is on, for one of these.
const EXECUTED: u64 = 1;
const WRITTEN: u64 = 1 | 0b1001 << 16;
pub(super) const REACHED: u64 = 1 | 0b1011 << 16;

impl Fixture {
    /// A program with two pages of data, and a breakpoint.
    pub(super) fn watching(address: u64, control: u64) -> Self {
        let mut fixture = Self::program();
        for root in [ROOT, USER_ROOT] {
            fixture.host.store(root * PAGE_BYTES, (TABLES * PAGE_BYTES) | 0x67).unwrap();
        }
        for (level, index) in [(0, 0), (1, 2)] {
            let at = (TABLES + level) * PAGE_BYTES + index * 8;
            fixture.host.store(at, ((TABLES + level + 1) * PAGE_BYTES) | 0x67).unwrap();
        }
        for page in 0..2 {
            let at = (TABLES + 2) * PAGE_BYTES + (DATA / PAGE_BYTES % 512 + page) * 8;
            fixture.host.store(at, ((FRAME + page) * PAGE_BYTES) | 0x67).unwrap();
        }
        let registers = fixture.registers;
        fixture.enter_kernel();
        fixture.set(0, address);
        fixture.set(7, control);
        fixture.enter_user();
        fixture.registers = registers;
        fixture
    }

    fn set(&mut self, number: u64, value: u64) {
        assert_eq!(self.call(call::SET_DEBUGREG, &[number, value]), 0);
    }

    pub(super) fn shown(&self, address: u64) -> Option<Shown> {
        self.host.views.get(&address).copied()
    }

    /// The program reaches for an address, and is to do so with one instruction.
    pub(super) fn touch(&mut self, address: u64, code: u64) {
        let rip = self.registers.rip;
        assert_eq!(self.trap(14, code | USER, address), GO);
        assert_eq!(self.registers.rip, rip, "the instruction is executed again");
        assert_ne!(self.registers.rflags & flag::TRAP, 0);
        assert!(!self.guest.switches(), "and nothing else unseen");
    }

    /// The instruction is done; whether the program is told of it, and what DR6 says.
    fn done(&mut self) -> Option<u64> {
        self.registers.rip += 3;
        assert_eq!(self.trap(1, 0, 0), GO);
        assert_eq!(self.registers.rflags & flag::TRAP, 0);
        (self.registers.rip == TOLD).then(|| self.guest.cpu.debug[6] & 0xffff & !0x0ff0)
    }
}

#[test]
fn a_write_where_a_breakpoint_is_is_told_behind_the_instruction() {
    for (address, control, length) in
        [(DATA + 0x10, WRITTEN, 8), (DATA + 0x12, 1 | 0b0101 << 16, 2), (DATA + 0x13, 2 | 1 << 16, 1)]
    {
        for byte in 0..length {
            let mut fixture = Fixture::watching(address, control);
            fixture.touch(address + byte, WRITE);
            assert!(fixture.shown(DATA).unwrap().write);
            assert_eq!(fixture.done(), Some(1), "{control:#x}, byte {byte}");
            let [.., rip, _, flags] = fixture.words::<5>(fixture.registers.rsp);
            assert_eq!((rip, flags), (0x40_1003, 0x246), "nothing is seen of the step");
            assert_eq!(fixture.shown(DATA), None, "it is watched again");
        }
        let mut fixture = Fixture::watching(address, control);
        fixture.touch(address + length, WRITE);
        assert_eq!(fixture.done(), None, "{control:#x}, behind it");
        assert_eq!(fixture.shown(DATA), None);
    }
}

#[test]
fn a_read_is_told_if_it_is_asked_for() {
    let mut fixture = Fixture::watching(DATA + 8, REACHED);
    fixture.touch(DATA + 8, 0);
    assert_eq!(fixture.done(), Some(1));
    let mut fixture = Fixture::watching(DATA + 8, WRITTEN);
    assert_eq!(fixture.trap(14, USER, DATA + 8), GO);
    assert_eq!(fixture.registers.rflags & flag::TRAP, 0, "it is not reached for");
    assert!(!fixture.shown(DATA).unwrap().write, "but a write will be seen");
    assert!(fixture.shown(BESIDE).unwrap().write, "a page beside it is as it is");
}

#[test]
fn a_page_that_is_watched_is_not_shown_beside_another() {
    let mut fixture = Fixture::watching(DATA + 8, REACHED);
    assert_eq!(fixture.trap(14, USER, BESIDE), GO);
    assert_eq!((fixture.shown(DATA), fixture.shown(BESIDE).is_some()), (None, true));
    fixture.enter_kernel();
    fixture.set(7, 0x400);
    fixture.enter_user();
    assert_eq!(fixture.trap(14, USER, BESIDE), GO);
    assert!(fixture.shown(DATA).unwrap().write, "not any more");
}

#[test]
fn a_page_that_is_shown_goes_when_it_is_watched() {
    let mut fixture = Fixture::watching(DATA + 8, 0x400);
    assert_eq!(fixture.trap(14, USER, DATA), GO);
    assert!(fixture.shown(DATA).is_some());
    fixture.enter_kernel();
    fixture.set(7, WRITTEN);
    assert_eq!(fixture.shown(DATA), None);
}

#[test]
fn a_write_that_begins_elsewhere_is_told_by_what_it_has_changed() {
    for (new, told) in [(1, Some(1)), (0, None)] {
        let mut fixture = Fixture::watching(DATA + 8, WRITTEN);
        fixture.touch(DATA + 4, WRITE);
        fixture.host.store(FRAME * PAGE_BYTES + 8, new).unwrap();
        assert_eq!(fixture.done(), told);
    }
}

#[test]
fn an_instruction_at_a_breakpoint_is_told_before_it_is_executed_and_once() {
    let mut fixture = Fixture::watching(DATA + 0x20, EXECUTED);
    fixture.registers.rip = DATA + 0x1d;
    fixture.touch(DATA + 0x1d, FETCH);
    assert_eq!(fixture.done(), None, "one before it");
    let registers = fixture.registers;
    assert_eq!(fixture.trap(14, USER | FETCH, DATA + 0x20), GO);
    assert_eq!((fixture.registers.rip, fixture.guest.cpu.debug[6] & 0xf), (TOLD, 1));
    assert_eq!(fixture.words::<3>(fixture.registers.rsp)[2], DATA + 0x20);
    fixture.guest.paging.enter_user(&mut fixture.host).unwrap();
    fixture.guest.let_switch(&mut fixture.host, &mut fixture.registers);
    fixture.registers = registers;
    fixture.touch(DATA + 0x20, FETCH);
    assert_eq!(fixture.done(), None, "then it goes on");
    fixture.registers.rip = DATA + 0x20;
    assert_eq!(fixture.trap(14, USER | FETCH, DATA + 0x20), GO);
    assert_eq!(fixture.registers.rip, TOLD, "and is told the next time");
}

#[test]
fn what_the_guests_kernel_reaches_for_is_not_told() {
    let mut fixture = Fixture::watching(DATA + 8, REACHED);
    fixture.enter_kernel();
    let rip = fixture.registers.rip;
    assert_eq!(fixture.trap(14, WRITE | USER, DATA + 8), GO);
    assert_ne!(fixture.registers.rflags & flag::TRAP, 0);
    fixture.host.store(FRAME * PAGE_BYTES + 8, 1).unwrap();
    assert_eq!(fixture.done(), None);
    assert_eq!(fixture.registers.rip, rip + 3);
}

#[test]
fn an_event_comes_before_the_instruction_that_is_to_be_done() {
    let mut fixture = Fixture::watching(DATA + 8, WRITTEN);
    fixture.guest.channels.set_masked(&mut fixture.host, false);
    let registers = fixture.registers;
    fixture.guest.channels.raise(&mut fixture.host, 5);
    assert_eq!(fixture.trap(14, WRITE | USER, DATA + 8), GO);
    assert_eq!(fixture.registers.rip, HANDLER + 0x2000);
    let [_, _, rip, _, flags] = fixture.words::<5>(fixture.registers.rsp);
    assert_eq!((rip, flags), (registers.rip, 0x246), "nothing is seen of the step");
    assert_eq!(fixture.shown(DATA), None);
    fixture.guest.paging.enter_user(&mut fixture.host).unwrap();
    fixture.guest.let_switch(&mut fixture.host, &mut fixture.registers);
    fixture.registers = registers;
    fixture.touch(DATA + 8, WRITE);
    assert_eq!(fixture.done(), Some(1), "it is reached for again");
}

#[test]
fn a_call_in_place_of_the_trap_is_one_without_a_step() {
    let mut fixture = Fixture::watching(DATA + 0x20, EXECUTED);
    fixture.registers.rip = DATA;
    fixture.touch(DATA, FETCH);
    fixture.registers.rip += 2;
    fixture.registers.r11 = fixture.registers.rflags;
    assert_eq!(fixture.exit(Exit::Call), GO);
    assert_eq!(fixture.registers.rip, HANDLER + 0x2020);
    assert_eq!(fixture.words::<5>(fixture.registers.rsp)[..2], [0xcc, 0x246]);
    assert_eq!(fixture.words::<5>(fixture.registers.rsp)[4], 0x246);
}

#[test]
fn a_program_that_steps_by_itself_is_told_of_both() {
    for (address, told) in [(DATA + 8, 0x4001), (DATA + 0x80, 0x4000)] {
        let mut fixture = Fixture::watching(DATA + 8, WRITTEN);
        fixture.registers.rflags |= flag::TRAP;
        fixture.touch(address, WRITE);
        assert_eq!(fixture.done(), Some(told));
        assert_ne!(fixture.words::<5>(fixture.registers.rsp)[4] & flag::TRAP, 0);
    }
}

#[test]
fn an_instruction_that_needs_another_page_has_both() {
    let mut fixture = Fixture::watching(DATA + 8, REACHED);
    fixture.host.views.clear();
    fixture.touch(DATA + 8, 0);
    fixture.host.views.remove(&BESIDE);
    fixture.touch(BESIDE, WRITE);
    assert!(fixture.shown(DATA).is_some() && fixture.shown(BESIDE).is_some());
    assert_eq!(fixture.done(), Some(1));
}

#[test]
fn a_fault_that_the_guest_is_told_of_ends_the_step() {
    let mut fixture = Fixture::watching(DATA + 8, REACHED);
    fixture.touch(DATA + 8, 0);
    assert_eq!(fixture.trap(14, USER, DATA + 8 * PAGE_BYTES), GO);
    assert_eq!(fixture.registers.rip, HANDLER + 14 * 16);
    assert_eq!(fixture.words::<6>(fixture.registers.rsp)[5], 0x246, "nothing is seen of the step");
    assert_eq!(fixture.shown(DATA), None);
}

#[test]
fn breakpoints_that_no_program_can_reach_are_noted_alone() {
    for (address, control) in [(DATA, 1 | 2 << 16), (0xffff_8880_0000_0000, REACHED), (DATA, REACHED & !3)] {
        let mut fixture = Fixture::watching(address, control);
        assert_eq!(fixture.trap(14, USER | WRITE, DATA), GO);
        assert_eq!(fixture.registers.rflags & flag::TRAP, 0, "{control:#x}");
    }
}

#[test]
fn a_guest_that_is_saved_at_its_step_goes_on_with_it() {
    let mut fixture = Fixture::watching(DATA + 8, WRITTEN);
    fixture.touch(DATA + 8, WRITE);
    let saved = fixture.saved();
    let mut fixture = fixture.resumed(&saved, 0).unwrap();
    fixture.touch(DATA + 8, WRITE);
    assert!(fixture.shown(DATA).unwrap().write);
    assert_eq!(fixture.done(), Some(1));
    assert_eq!(fixture.shown(DATA), None);
}
