//! The stub, instruction by instruction, against what the long way does.

use cloison_abi::guest::{GUEST_FLAGS, GuestHalf, GuestRegisters, GuestSwitch};
use cloison_abi::limits::PAGE_BYTES;
use cloison_xen::call;
use cloison_xen::cpu::{ReturnFrame, callback};
use cloison_xen::shared::VcpuInfo;

use super::{ADDRESS, CALLED, CODE, END, PAGES, SITE, START, WORDS};
use crate::guest::{Death, Exit, Next};
use crate::machine::{Memory, Page};
use crate::testing::fixture::{LINEAR, PAGES as MEMORY_PAGES, STACK};
use crate::testing::{Fixture, address};

mod calls;
mod cpu;

const MEMORY_BYTES: u64 = MEMORY_PAGES * PAGE_BYTES;
/// What the kernel sets where a guest goes on by a switch.
const FIXED_FLAGS: u64 = 0x202;
const USER: ReturnFrame = ReturnFrame {
    // What a program's call gave may be the number of the return, at its site too.
    rax: call::IRET,
    r11: 0xbb,
    rcx: 0xcc,
    flags: 0,
    rip: 0x40_2000,
    cs: 0x33,
    rflags: 0x10_0646,
    rsp: 0x7fff_2008,
    ss: 0x2b,
};

/// What else can be seen of a guest.
#[derive(Debug, PartialEq)]
struct Seen {
    registers: GuestRegisters,
    half: GuestHalf,
    is_masked: bool,
    stack: [u64; 7],
}

impl Fixture {
    /// In the kernel, after a program's call, with a space that shows both halves the same.
    fn called() -> Self {
        let mut fixture = Self::program();
        assert!(matches!(fixture.exit(Exit::Call), Next::Go { .. }));
        assert!(fixture.guest.switches());
        fixture
    }

    fn returns_long(&self) -> bool {
        self.at(ADDRESS + PAGE_BYTES + super::LONG_RETURN) != 0
    }

    fn stub_words(&self) -> u64 {
        self.host.shared_address() + u64::from(WORDS) * PAGE_BYTES
    }

    fn seen(&self) -> Seen {
        Seen {
            registers: self.registers,
            half: self.guest.place().1,
            is_masked: self.guest.channels.is_masked(&self.host),
            stack: self.read(self.registers.rsp.max(LINEAR)),
        }
    }

    /// The place in memory of an address that the stub uses.
    fn find(&self, at: u64) -> u64 {
        let information = self.guest.channels.info(0) & !(PAGE_BYTES - 1);
        let pages =
            [information, self.stub_words(), self.host.shared_address() + u64::from(CODE) * PAGE_BYTES];
        if let Some(within) = at.checked_sub(super::MEMORY).filter(|within| *within < MEMORY_BYTES) {
            return within;
        }
        match at.checked_sub(ADDRESS).filter(|offset| *offset < u64::from(PAGES) * PAGE_BYTES) {
            Some(offset) => pages[(offset / PAGE_BYTES) as usize] + offset % PAGE_BYTES,
            None => at - LINEAR,
        }
    }

    fn at(&self, at: u64) -> u64 {
        self.host.load(self.find(at)).unwrap()
    }

    fn put_at(&mut self, at: u64, value: u64) {
        let place = self.find(at);
        self.host.store(place, value).unwrap();
    }

    fn push_word(&mut self, value: u64) {
        self.registers.rsp -= 8;
        self.put_at(self.registers.rsp, value);
    }

    /// The kernel switches halves after a program's call.
    fn switch_in(&mut self) {
        let r = &mut self.registers;
        let (rip, rflags) = (r.rip, r.rflags);
        (r.rip, r.rflags, r.rcx, r.r11, r.half) = (START, FIXED_FLAGS, START, FIXED_FLAGS, 1);
        core::mem::swap(&mut r.gs_base, &mut r.other_gs_base);
        self.put_at(ADDRESS + PAGE_BYTES, rip);
        self.put_at(ADDRESS + PAGE_BYTES + 8, rflags);
    }

    /// The kernel switches halves after the stub's last call but one.
    fn switch_back(&mut self) {
        let words: GuestSwitch = self.host.get(self.stub_words()).unwrap();
        let r = &mut self.registers;
        (r.rip, r.rsp, r.rcx, r.r11) = (words.rip, words.rsp, words.rcx, words.r11);
        (r.rflags, r.half) = (words.rflags & GUEST_FLAGS | FIXED_FLAGS, 0);
        core::mem::swap(&mut r.gs_base, &mut r.other_gs_base);
        self.guest.paging.follow(GuestHalf::Lower);
    }

    /// An event is there for the guest.
    fn pend(&mut self) {
        let at = self.guest.channels.info(VcpuInfo::PENDING);
        self.host.write(at, &[1]).unwrap();
    }

    /// The stub begins to return to what a frame says.
    fn begin_return(&mut self, frame: &ReturnFrame) {
        self.host.put((STACK + 1) * PAGE_BYTES, frame).unwrap();
        let r = &mut self.registers;
        (r.rsp, r.rip, r.rax, r.rcx, r.r11) = (address(STACK + 1), CALLED, call::IRET, CALLED, FIXED_FLAGS);
    }
}

/// More instructions than the stub has.
const ALL: usize = 100;

/// The guest as it is after a call the long way, but for what its kernel takes from its stack at once.
fn long_call() -> Seen {
    let mut seen = Fixture::called().seen();
    (seen.registers.rcx, seen.registers.r11, seen.registers.rflags) = (0, 0, FIXED_FLAGS);
    seen
}

fn short_call(fixture: &Fixture) -> Seen {
    let mut seen = fixture.seen();
    (seen.registers.rcx, seen.registers.r11) = (0, 0);
    seen
}

/// As the CPU leaves it when a program makes a call.
fn at_the_call() -> Fixture {
    let mut fixture = Fixture::program();
    let r = &mut fixture.registers;
    (r.rcx, r.r11) = (r.rip, r.rflags);
    fixture
}

#[test]
fn a_call_by_the_stub_comes_to_what_a_call_without_it_comes_to() {
    let mut long = at_the_call();
    assert!(matches!(long.exit(Exit::Call), Next::Go { .. }));
    let mut long = long.seen();
    (long.registers.rcx, long.registers.r11, long.registers.rflags) = (0, 0, FIXED_FLAGS);
    let mut fixture = at_the_call();
    fixture.switch_in();
    assert!(fixture.run_stub(ALL));
    fixture.guest.paging.follow(GuestHalf::Both);
    assert_eq!(short_call(&fixture), long);
    assert_ne!(long, long_call(), "what is on the stack counts");
}

/// A program whose calls the kernel switches: it has returned once.
fn switched() -> Fixture {
    let mut fixture = Fixture::called();
    assert!(matches!(fixture.iret(USER), Next::Go { .. }));
    assert!(fixture.guest.switches());
    let r = &mut fixture.registers;
    (r.rcx, r.r11) = (r.rip, r.rflags);
    fixture
}

/// An event that comes there is held back, and nothing is changed.
#[test]
fn a_call_can_be_interrupted_before_each_instruction() {
    let mut whole = switched();
    whole.switch_in();
    assert!(whole.run_stub(ALL));
    whole.guest.paging.follow(GuestHalf::Both);
    for count in 0.. {
        let mut fixture = switched();
        fixture.switch_in();
        let is_through = fixture.run_stub(count);
        if is_through {
            assert!(count > 10, "all of it was tried");
            return;
        }
        fixture.pend();
        let before = fixture.registers;
        assert!(matches!(fixture.exit(Exit::Pause), Next::Go { .. }));
        assert_eq!(fixture.registers, before, "after {count} instructions");
        assert_eq!(fixture.guest.place().1, GuestHalf::Both);
        assert!(fixture.run_stub(ALL));
        assert_eq!(fixture.seen(), whole.seen(), "after {count} instructions");
    }
}

/// The return is done here, and an event that is there comes then.
#[test]
fn a_return_can_be_interrupted_before_each_instruction() {
    for has_event in [false, true] {
        let long = {
            let mut fixture = Fixture::called();
            if has_event {
                fixture.pend();
            }
            assert!(matches!(fixture.iret(USER), Next::Go { .. }));
            fixture.seen()
        };
        for count in 0.. {
            let mut fixture = Fixture::called();
            fixture.begin_return(&USER);
            let is_through = fixture.run_stub(count);
            if has_event {
                fixture.pend();
            }
            let exit = if is_through { Exit::Call } else { Exit::Pause };
            assert!(matches!(fixture.exit(exit), Next::Go { .. }));
            assert_eq!(fixture.seen(), long, "after {count} instructions, event: {has_event}");
            if is_through {
                assert!(count > 20, "all of it was tried");
                break;
            }
        }
    }
}

#[test]
fn a_return_by_the_stub_comes_to_what_a_return_without_it_comes_to() {
    for frame in [
        USER,
        ReturnFrame { cs: 0xe033, ss: 0xe02b, ..USER },
        ReturnFrame { ss: 0x28, flags: 1 << 8, ..USER },
        ReturnFrame { rflags: u64::MAX, ..USER },
        ReturnFrame { rip: (1 << 47) - 1, ..USER },
    ] {
        let mut long = Fixture::called();
        assert!(matches!(long.iret(frame), Next::Go { .. }));
        let mut fixture = Fixture::called();
        fixture.begin_return(&frame);
        assert!(fixture.run_stub(ALL));
        assert_eq!(fixture.registers.rip, SITE, "{frame:x?} goes the short way");
        fixture.switch_back();
        assert_eq!(fixture.seen(), long.seen(), "{frame:x?}");
    }
}

/// What is not as usual, and an event that waits.
#[test]
fn a_return_that_is_not_as_usual_goes_the_long_way() {
    for (frame, has_event) in [
        (USER, true),
        (ReturnFrame { cs: 0xe030, rip: address(STACK), rsp: address(STACK + 2), ..USER }, false),
        (ReturnFrame { cs: 0x2033, ..USER }, false),
        (ReturnFrame { ss: 0x33, ..USER }, false),
        (ReturnFrame { rip: 1 << 47, ..USER }, false),
        (ReturnFrame { rip: u64::MAX, ..USER }, false),
        (ReturnFrame { rflags: 0x46, ..USER }, false),
    ] {
        let [mut long, mut fixture] = [Fixture::called(), Fixture::called()];
        if has_event {
            long.pend();
            fixture.pend();
        }
        let expected = long.iret(frame);
        fixture.begin_return(&frame);
        assert!(fixture.run_stub(ALL));
        assert_eq!(fixture.registers.rip, END, "{frame:x?} goes the long way");
        assert_eq!(fixture.exit(Exit::Call), expected);
        assert_eq!(fixture.seen(), long.seen(), "{frame:x?}");
    }
}

/// Where the guest's tables show no stack, the stub cannot go on, and no frame can be made.
#[test]
fn a_fault_of_the_stub_ends_the_guest() {
    let mut fixture = switched();
    fixture.switch_in();
    let end = fixture.trap(14, 6, 0xffff_c900_0000_0ff8);
    assert_eq!(end, Next::Dead(Death::Stack { at: 0xffff_c900_0000_0ff8, vector: None }));
    let mut fixture = Fixture::called();
    fixture.begin_return(&USER);
    assert!(!fixture.run_stub(2), "from where calls are told apart");
    let end = fixture.trap(14, 4, 0xffff_c900_0000_0028);
    assert_eq!(end, Next::Dead(Death::Return { at: 0xffff_c900_0000_0028 }));
}

#[test]
fn halves_are_switched_only_where_both_see_the_same() {
    let mut fixture = Fixture::called();
    assert!(!fixture.returns_long());
    fixture.callback(callback::SYSCALL, 0);
    assert!(fixture.returns_long(), "a handler that does not hold events back");
    assert!(matches!(fixture.iret(USER), Next::Go { .. }));
    assert!(!fixture.guest.switches());
    fixture.registers.half = 1;
    fixture.exit(Exit::Pause);
    assert_eq!(fixture.guest.place().1, GuestHalf::Lower, "the kernel was not to switch");
    let mut fixture = Fixture::called();
    let half = fixture.guest.place().1;
    fixture.callback(callback::SYSCALL, callback::MASKS);
    assert!(fixture.guest.switches() && !fixture.returns_long());
    fixture.registers.half = 7;
    fixture.exit(Exit::Pause);
    assert_eq!(fixture.guest.place().1, half, "a half that is none");
}

/// There is no program yet. The stub makes calls of the guest's kernel alone.
#[test]
fn a_kernel_without_programs_has_its_calls_made_there() {
    let mut fixture = Fixture::new();
    fixture.exit(Exit::Pause);
    assert!(fixture.guest.switches() && fixture.returns_long());
    fixture.begin_return(&USER);
    assert!(fixture.run_stub(ALL));
    assert_eq!(fixture.registers.rip, END);
    assert_eq!(fixture.exit(Exit::Call), Next::Dead(Death::NoUserRoot));
}

#[test]
fn the_stubs_pages_are_the_kernels_alone() {
    let fixture = Fixture::called();
    let information = fixture.guest.channels.info(0);
    let shown =
        |page: u64| crate::memory::shown_of_stub(&fixture.host, ADDRESS + page * PAGE_BYTES + 8, information);
    let rights = |page| shown(page).map(|shown| (shown.write, shown.execute));
    assert_eq!(
        [0, 1, 2, 3].map(rights),
        [Some((true, false)), Some((true, false)), Some((false, true)), None]
    );
    assert_eq!(shown(1).unwrap().page, Page::Shared(WORDS));
    assert_eq!(crate::memory::shown_of_stub(&fixture.host, ADDRESS - 1, information), None);
    let mut fixture = Fixture::called();
    let rip = fixture.registers.rip;
    let before = fixture.host.shown;
    assert!(matches!(fixture.trap(14, 0x14, START), Next::Go { .. }));
    assert_eq!((fixture.registers.rip, fixture.host.shown), (rip, before + 3), "all are shown to the kernel");
    let mut fixture = switched();
    fixture.trap(14, 0x14, START);
    assert_eq!(fixture.host.shown, before, "and to no program");
}
