//! Calls of the guest's kernel that the stub makes, against the same calls made the long way.

use cloison_abi::guest::GuestRegisters;
use cloison_abi::limits::PAGE_BYTES;
use cloison_xen::memory::MmuUpdate;
use cloison_xen::{DOMAIN_SELF, Errno, call};

use super::{ALL, FIXED_FLAGS};
use crate::guest::{Exit, Next};
use crate::machine::{Memory, Page, Shown};
use crate::stub::{self, CALLED, CALLER, MEMORY};
use crate::testing::fixture::{HOLE, PAGES, SCRATCH, STACK};
use crate::testing::{Fixture, address};

/// Where the guest's kernel makes calls: behind the instruction.
const AFTER: u64 = 0xffff_ffff_8100_1002;
/// A place for entries.
const TABLE: u64 = (SCRATCH + 1) * PAGE_BYTES;
const SELF: u64 = DOMAIN_SELF as u64;

/// A call, and what is stored before.
#[derive(Clone, Copy, Debug)]
struct Call {
    number: u64,
    arguments: [u64; 4],
    request: MmuUpdate,
    old: u64,
}

/// Stores an entry where none was.
const STORE: Call = Call {
    number: call::MMU_UPDATE,
    arguments: [address(SCRATCH), 1, 0, SELF],
    request: MmuUpdate { ptr: TABLE + 8, val: (1 << 63) | (9 * PAGE_BYTES) | 0x67 },
    old: 0x100,
};
const STACK_SWITCH: Call =
    Call { number: call::STACK_SWITCH, arguments: [0xe02b, address(STACK) + 24, 0, 0], ..STORE };

impl Fixture {
    /// About to make a call.
    fn before(call: Call) -> Self {
        let mut fixture = Self::called();
        fixture.argument(&call.request);
        if call.request.ptr < PAGES * PAGE_BYTES {
            fixture.host.store(call.request.ptr & !7, call.old).unwrap();
        }
        let r = &mut fixture.registers;
        [r.rdi, r.rsi, r.rdx, r.r10] = call.arguments;
        (r.rax, r.rip, r.rcx, r.rflags, r.r11) = (call.number, AFTER, AFTER, FIXED_FLAGS, FIXED_FLAGS);
        fixture
    }

    /// The kernel leads the call into the stub.
    fn lead_there(&mut self) {
        let caller = self.find(stub::ADDRESS + PAGE_BYTES + CALLER);
        self.host.store(caller, self.registers.rip).unwrap();
        let r = &mut self.registers;
        (r.rip, r.rcx) = (CALLED, CALLED);
    }

    /// All that the guest can see of a call, but for what no call keeps.
    fn after(&self, call: Call) -> (GuestRegisters, u64, u64) {
        let registers = GuestRegisters { rcx: 0, r11: 0, ..self.registers };
        let entry = self.host.load(call.request.ptr & !7).unwrap_or(0);
        (registers, entry, self.guest.kernel_stack(&self.host))
    }
}

fn made_the_long_way(call: Call) -> Fixture {
    let mut fixture = Fixture::before(call);
    assert!(matches!(fixture.exit(Exit::Call), Next::Go { .. }));
    fixture
}

#[test]
fn a_call_by_the_stub_comes_to_what_it_comes_to_without() {
    for call in [
        STORE,
        STACK_SWITCH,
        Call { old: 0, ..STORE },
        Call { request: MmuUpdate { val: 0x1_2346, ..STORE.request }, ..STORE },
        Call {
            request: MmuUpdate { val: ((PAGES - 1) * PAGE_BYTES) | 0xfff, ptr: PAGES * PAGE_BYTES - 8 },
            ..STORE
        },
        Call { arguments: [1, address(STACK) - 1, 2, 3], ..STACK_SWITCH },
    ] {
        let long = made_the_long_way(call);
        let mut fixture = Fixture::before(call);
        fixture.lead_there();
        assert!(fixture.run_stub(ALL));
        assert_eq!(fixture.registers.rip, AFTER, "{call:x?} does not come out");
        assert_eq!(fixture.after(call), long.after(call), "{call:x?}");
    }
}

/// What takes something back that was shown, and what is not as usual.
#[test]
fn another_call_goes_the_long_way() {
    let request = |ptr, val| MmuUpdate { ptr, val };
    for call in [
        Call { old: 1, ..STORE },
        Call { old: (8 * PAGE_BYTES) | 0x67, ..STORE },
        Call { arguments: [address(SCRATCH), 2, 0, SELF], ..STORE },
        Call { arguments: [address(SCRATCH), 0, 0, SELF], ..STORE },
        Call { arguments: [address(SCRATCH), 1 << 32 | 1, 0, SELF], ..STORE },
        Call { arguments: [address(SCRATCH), 1, address(SCRATCH) + 32, SELF], ..STORE },
        Call { arguments: [address(SCRATCH), 1, 0, 0], ..STORE },
        Call { request: request(TABLE + 8 + 1, 0), ..STORE },
        Call { request: request(TABLE + 8 + 2, 9 * PAGE_BYTES), ..STORE },
        Call { request: request(TABLE + 8 + 4, 0), ..STORE },
        Call { request: request(PAGES * PAGE_BYTES, 0), ..STORE },
        Call { request: request(u64::MAX - 7, 0), ..STORE },
        Call { request: request(TABLE, (PAGES * PAGE_BYTES) | 1), ..STORE },
        Call { request: request(TABLE, 1 << 51 | 1), ..STORE },
        Call { arguments: [0, 1 << 47, 0, 0], ..STACK_SWITCH },
        Call { arguments: [0, 0x1000, 0, 0], ..STACK_SWITCH },
    ] {
        let long = made_the_long_way(call);
        let mut fixture = Fixture::before(call);
        fixture.lead_there();
        assert!(fixture.run_stub(ALL));
        assert!(stub::way(fixture.registers.rip).is_some(), "{call:x?} comes out");
        assert!(matches!(fixture.exit(Exit::Call), Next::Go { .. }));
        assert_eq!(fixture.after(call), long.after(call), "{call:x?}");
    }
}

/// The call is made in its place, and an event that is there comes then.
#[test]
fn a_call_can_be_interrupted_before_each_instruction() {
    for (call, has_event) in [(STORE, false), (STORE, true), (STACK_SWITCH, false), (STACK_SWITCH, true)] {
        let interrupted = |count: Option<usize>| {
            let mut fixture = Fixture::before(call);
            fixture.guest.channels.set_masked(&mut fixture.host, false);
            let is_through = count.is_some_and(|count| {
                fixture.lead_there();
                fixture.run_stub(count)
            });
            if has_event {
                fixture.pend();
            }
            let exit = if count.is_some() { Exit::Pause } else { Exit::Call };
            assert!(matches!(fixture.exit(exit), Next::Go { .. }));
            (is_through, fixture.after(call), fixture.seen().is_masked)
        };
        let (_, long, is_masked) = interrupted(None);
        assert_eq!(is_masked, has_event, "the handler has been called");
        for count in 0.. {
            let (is_through, after, is_masked) = interrupted(Some(count));
            assert_eq!((after, is_masked), (long, has_event), "{call:x?} after {count} instructions");
            if is_through {
                assert!(count > 8, "all of it was tried");
                break;
            }
        }
    }
}

/// An argument that cannot be read is the call's mistake, and not the stub's.
#[test]
fn what_cannot_be_read_is_refused() {
    for (vector, arguments) in
        [(14, [address(HOLE), 1, 0, SELF]), (13, [1 << 47, 1, 0, SELF]), (14, [0x1000, 1, 0, SELF])]
    {
        let mut fixture = Fixture::before(Call { arguments, ..STORE });
        fixture.lead_there();
        assert!(!fixture.run_stub(9), "at the read");
        assert!(matches!(fixture.trap(vector, 0, arguments[0]), Next::Go { .. }));
        assert_eq!((fixture.registers.rip, fixture.registers.rax), (AFTER, Errno::BadAddress.answer()));
    }
}

/// The memory is seen there once more, all of it and nothing else.
#[test]
fn the_stub_sees_the_guests_memory() {
    let fixture = Fixture::called();
    let seen = |at| crate::memory::seen_by_stub(&fixture.host, at);
    let page = |number| Some(Shown { page: Page::Ram(number), write: true, execute: false });
    assert_eq!(seen(MEMORY), page(0));
    assert_eq!(seen(MEMORY + PAGES * PAGE_BYTES - 1), page(PAGES as u32 - 1));
    assert_eq!((seen(MEMORY - 1), seen(MEMORY + PAGES * PAGE_BYTES)), (None, None));
    // Where the guest goes on, the call has been made.
    let mut fixture = Fixture::before(STORE);
    fixture.lead_there();
    fixture.run_stub(20);
    let before = fixture.host.shown;
    assert!(matches!(fixture.trap(14, 6, MEMORY + TABLE), Next::Go { .. }));
    assert_eq!((fixture.host.shown, fixture.registers.rip), (before + 16, AFTER));
    assert_eq!(fixture.after(STORE), made_the_long_way(STORE).after(STORE));
}

/// What it has done counts as made.
#[test]
fn calls_by_the_stub_are_counted() {
    let mut fixture = Fixture::before(STORE);
    let [stores, stacks] = [call::MMU_UPDATE, call::STACK_SWITCH];
    let before = [stores, stacks].map(|number| fixture.guest.log().calls(number));
    let updates = fixture.guest.paging().counters().updates;
    fixture.lead_there();
    assert!(fixture.run_stub(ALL));
    fixture.registers.rsi = address(STACK);
    fixture.registers.rax = stacks;
    fixture.lead_there();
    assert!(fixture.run_stub(ALL));
    for _ in 0..2 {
        fixture.guest.count_stub(&mut fixture.host);
        let now = [stores, stacks].map(|number| fixture.guest.log().calls(number));
        assert_eq!(now, before.map(|times| times + 1));
        assert_eq!(fixture.guest.paging().counters().updates, updates + 1);
    }
}
