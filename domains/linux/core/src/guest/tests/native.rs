//! Faults as of ring 0, in ring 3: the emulator's, at returns and calls of the CPU's own.

use cloison_abi::limits::PAGE_BYTES;
use cloison_xen::shared::VcpuInfo;

use super::watch::{BESIDE, DATA, FRAME, REACHED, TOLD};
use super::{Fixture, GO, HANDLER};
use crate::cpu::flag;
use crate::machine::Memory;
use crate::memory::code::{PRESENT, USER, WRITE};
use crate::testing::address;
use crate::testing::fixture::STACK;

const IRETQ: [u8; 2] = [0x48, 0xcf];
const RETFQ: [u8; 2] = [0x48, 0xcb];
/// DR7: none is on.
const NONE: u64 = 0x400;
/// Where the program's code is, and where its stack.
const TEXT: u64 = DATA + 0x800;
const TOP: u64 = DATA + 0x100;
/// A frame of `iretq`.
const BACK: [u64; 5] = [0x40_1234, 0x33, 0x246, 0x7fff_0000, 0x2b];
const GENERAL_PROTECTION: u64 = HANDLER + 13 * 16;
const PAGE_FAULT: u64 = HANDLER + 14 * 16;

impl Fixture {
    /// A program that is at an instruction, with its stack somewhere and words there.
    fn returning(code: [u8; 2], rsp: u64, words: [u64; 5], control: u64) -> Self {
        let mut fixture = Self::watching(DATA + 0x108, control);
        fixture.host.write(FRAME * PAGE_BYTES + TEXT % PAGE_BYTES, &code).unwrap();
        if (DATA..BESIDE + PAGE_BYTES).contains(&rsp) {
            let place = FRAME * PAGE_BYTES + rsp - DATA;
            let _ = words
                .into_iter()
                .zip(0..)
                .try_for_each(|(word, at)| fixture.host.write(place + 8 * at, &word.to_le_bytes()));
        }
        (fixture.registers.rip, fixture.registers.rsp) = (TEXT, rsp);
        fixture
    }

    /// What the handler of a trap with an error code finds: it, and where the program goes on.
    fn told(&self) -> [u64; 2] {
        let [_, _, code, rip] = self.words::<4>(self.registers.rsp);
        [code, rip]
    }

    fn cr2(&self) -> u64 {
        self.host.load(self.guest.channels.info(VcpuInfo::CR2)).unwrap()
    }
}

#[test]
fn a_program_returns_by_its_own_stack() {
    for rsp in [TOP, TOP + 4, BESIDE - 16, BESIDE - 3] {
        for code in [0, PRESENT] {
            let mut fixture = Fixture::returning(IRETQ, rsp, BACK, NONE);
            assert_eq!(fixture.trap(14, code, rsp), GO);
            let r = fixture.registers;
            assert_eq!((r.rip, r.rsp, r.rflags), (BACK[0], BACK[3], BACK[2]), "{rsp:#x}, {code}");
            assert!(!fixture.guest.is_in_kernel());
        }
    }
}

/// A program that names its kernel's memory as its stack learns nothing of what is there.
#[test]
fn a_program_does_not_return_by_its_kernels_memory() {
    for code in [0, PRESENT] {
        let at = address(STACK + 1);
        let mut fixture = Fixture::returning(IRETQ, at, BACK, NONE);
        fixture.host.put((STACK + 1) * PAGE_BYTES, &BACK).unwrap();
        assert_eq!(fixture.trap(14, code, at), GO);
        assert_eq!(fixture.registers.rip, PAGE_FAULT);
        let [code, rip] = fixture.told();
        assert_eq!((code & USER, rip, fixture.cr2()), (USER, TEXT, at));
    }
}

#[test]
fn a_frame_of_which_a_page_is_not_there_is_a_page_fault_there() {
    let mut fixture = Fixture::returning(IRETQ, BESIDE + PAGE_BYTES - 16, BACK, NONE);
    assert_eq!(fixture.trap(14, PRESENT, BESIDE + PAGE_BYTES - 16), GO);
    assert_eq!((fixture.registers.rip, fixture.cr2()), (PAGE_FAULT, BESIDE + PAGE_BYTES));
    assert_eq!(fixture.told(), [USER, TEXT]);
}

/// What the emulator cannot do, and what a CPU would refuse, is refused; it does not fault for ever.
#[test]
fn what_cannot_be_carried_out_is_refused() {
    let changed = |word: usize, to: u64| {
        let mut changed = BACK;
        changed[word] = to;
        changed
    };
    for (code, words) in [
        (RETFQ, BACK),
        (IRETQ, changed(0, 1 << 47)),
        (IRETQ, changed(1, 0x8)),
        (IRETQ, changed(1, 0xe033)),
        (IRETQ, changed(1, 1 << 32 | 0x33)),
        (IRETQ, changed(4, 0)),
        (IRETQ, changed(4, 0x10)),
    ] {
        let mut fixture = Fixture::returning(code, TOP, words, NONE);
        let before = fixture.registers;
        assert_eq!(fixture.trap(14, 0, TOP), GO);
        assert_eq!(fixture.registers, before, "the page is shown first");
        assert_eq!(fixture.trap(14, PRESENT, TOP), GO);
        assert_eq!((fixture.registers.rip, fixture.told()), (GENERAL_PROTECTION, [0, TEXT]), "{words:x?}");
    }
    let mut call = Fixture::returning(RETFQ, TOP, BACK, NONE);
    assert_eq!(call.trap(14, PRESENT | WRITE, TOP - 8), GO);
    assert_eq!((call.registers.rip, call.told()), (GENERAL_PROTECTION, [0, TEXT]));
}

#[test]
fn a_far_return_by_a_stack_with_a_breakpoint_is_refused() {
    let mut fixture = Fixture::returning(RETFQ, TOP, BACK, REACHED);
    assert_eq!(fixture.trap(14, 0, TOP), GO);
    assert_ne!(fixture.registers.rflags & flag::TRAP, 0);
    assert_eq!(fixture.trap(14, PRESENT, TOP), GO);
    assert_eq!((fixture.registers.rip, fixture.told()), (GENERAL_PROTECTION, [0, TEXT]));
    assert_eq!(fixture.words::<6>(fixture.registers.rsp)[5], 0x246, "nothing is seen of the step");
    assert_eq!(fixture.shown(DATA), None, "it is watched again");
}

/// A step ends with the return: it is told of where it has led, in the flags that it has brought.
#[test]
fn a_step_over_a_return_is_told() {
    for traps_then in [0, flag::TRAP] {
        let mut words = BACK;
        words[2] |= traps_then;
        let mut fixture = Fixture::returning(IRETQ, TOP, words, NONE);
        fixture.registers.rflags |= flag::TRAP;
        assert_eq!(fixture.trap(14, PRESENT, TOP), GO);
        assert_eq!((fixture.registers.rip, fixture.guest.cpu.debug[6] & 1 << 14), (TOLD, 1 << 14));
        let [_, _, rip, _, flags, rsp] = fixture.words::<6>(fixture.registers.rsp);
        assert_eq!((rip, flags, rsp), (words[0], words[2], words[3]));
    }
}

#[test]
fn a_breakpoint_before_a_return_is_told_behind_it() {
    let mut fixture = Fixture::returning(IRETQ, TOP, BACK, REACHED);
    fixture.touch(DATA + 0x108, 0);
    assert_eq!(fixture.trap(14, PRESENT, TOP), GO);
    assert_eq!((fixture.registers.rip, fixture.guest.cpu.debug[6] & 0xf), (TOLD, 1));
    assert_eq!(fixture.words::<5>(fixture.registers.rsp)[2], BACK[0]);
    assert_eq!(fixture.words::<5>(fixture.registers.rsp)[4], 0x246, "nothing is seen of the step");
    assert_eq!(fixture.shown(DATA), None, "it is watched again");
}
