//! Who had called whom in a domain that has faulted.

use builder_api::{
    State,
    manage::{Owned, Refusal, Returns, Server},
};
use cloison_abi::{Badge, Name, Rights, limits::PAGE_BYTES, plan::MappingEntry};

use super::{
    build,
    fake::{Fake, SPARED},
    sketch::{RESTARTED, Sketch, opened},
};
use crate::{Choice, Managed, Site};

/// Where the domain sees the first page of its memory, its text, and the second, its stack.
const TEXT: u64 = 0x40_0000;
const STACK: u64 = 0x50_0000;
/// Where it sees a page that it shares, and behind it registers of a device; and the places of those regions in the plan.
const SHARED: u64 = 0x60_0000;
const BOTH: u32 = 3;
const REGISTERS: u32 = 5;
const CLIENT: Badge = Badge(0);

fn worker() -> Name {
    Name::new("worker").unwrap()
}

/// Builds a domain with text and stack, starts it, and has it fault.
fn faulted(test: impl FnOnce(&Fake, &mut Site<'_, &Fake>)) {
    let mut plan = Sketch::savable(2);
    plan.domains[0].name = worker();
    plan.mappings.retain(|seen| seen.domain != 0);
    for (first_page, address, right) in [(0, TEXT, Rights::EXECUTE), (1, STACK, Rights::WRITE)] {
        let rights = (Rights::READ | right).bits();
        let (domain, region, pages, reserved) = (0, 0, 1, 0);
        plan.mappings.push(MappingEntry { address, domain, region, first_page, pages, rights, reserved });
    }
    for (region, address) in [(BOTH, SHARED), (REGISTERS, SHARED + PAGE_BYTES)] {
        let rights = (Rights::READ | Rights::WRITE).bits();
        let (domain, first_page, pages, reserved) = (0, 0, 1, 0);
        plan.mappings.push(MappingEntry { address, domain, region, first_page, pages, rights, reserved });
    }
    let bytes = plan.image();
    let (kernel, image) = (Fake::new(), opened(&bytes));
    let mut site = build(&kernel, &image).unwrap();
    site.give_up_rights(SPARED).unwrap();
    site.start_on_request(0, Choice::default()).unwrap();
    site.set_state(0, State::Faulted);
    test(&kernel, &mut site);
}

/// Puts words on the stack, from this place of it on.
fn push(kernel: &Fake, site: &Site<'_, &Fake>, from: u64, words: &[u64]) {
    kernel.set_stack(STACK + from);
    let bytes = words.iter().flat_map(|word| word.to_le_bytes());
    for (offset, byte) in (PAGE_BYTES + from..).zip(bytes) {
        kernel.poke(site.region(0).unwrap(), offset, byte);
    }
}

/// Puts a call in front of an address of the text.
fn call_before(kernel: &Fake, site: &Site<'_, &Fake>, offset: u64) -> u64 {
    kernel.poke(site.region(0).unwrap(), offset - 5, 0xe8);
    TEXT + offset
}

#[test]
fn words_of_the_stack_that_are_behind_a_call_are_told() {
    faulted(|kernel, site| {
        let (inner, outer) = (call_before(kernel, site, 0x200), call_before(kernel, site, PAGE_BYTES - 1));
        let first = call_before(kernel, site, 7);
        let behind = call_before(kernel, site, PAGE_BYTES);
        // Neither a number, nor text that is behind no call or at its very start, nor what is no text.
        push(kernel, site, 0x100, &[7, TEXT + 0x300, inner, TEXT + 2, behind, STACK, u64::MAX, outer, first]);
        assert_eq!(site.callers(0).unwrap(), [inner, outer, first, 0, 0, 0, 0, 0]);
        let mut managed = Managed::new(site);
        let told = managed.callers(CLIENT, worker(), 0);
        assert_eq!(told, Ok(Returns { a: inner, b: outer, c: first, d: 0 }));
        assert_eq!(managed.callers(CLIENT, worker(), 4), Ok(Returns { a: 0, b: 0, c: 0, d: 0 }));
        assert_eq!(managed.callers(CLIENT, worker(), 8), Err(Refusal::NoRegister));
    });
}

#[test]
fn more_are_not_told_and_a_stack_that_is_none_tells_nothing() {
    faulted(|kernel, site| {
        let address = call_before(kernel, site, 0x200);
        push(kernel, site, 0, &[address; 20]);
        assert_eq!(site.callers(0).unwrap(), [address; 8]);
        // The last word of the stack counts, and one that is cut off does not.
        push(kernel, site, PAGE_BYTES - 8, &[address]);
        assert_eq!(site.callers(0).unwrap(), [address, 0, 0, 0, 0, 0, 0, 0]);
        for top in [STACK + PAGE_BYTES - 4, STACK + PAGE_BYTES, STACK - 8, TEXT, 0, u64::MAX] {
            kernel.set_stack(top);
            assert_eq!(site.callers(0).unwrap(), [0; 8], "{top:#x}");
        }
    });
}

/// A domain that faults has chosen what its stack pointer says.
#[test]
fn a_stack_that_is_not_its_own_memory_tells_nothing() {
    faulted(|kernel, site| {
        assert!(site.region(REGISTERS as usize).is_err(), "the builder has let go of them");
        for top in [SHARED, SHARED + PAGE_BYTES] {
            kernel.set_stack(top);
            assert_eq!(site.callers(0).unwrap(), [0; 8], "{top:#x}");
            let told = Managed::new(site).callers(CLIENT, worker(), 0);
            assert_eq!(told, Ok(Returns { a: 0, b: 0, c: 0, d: 0 }));
        }
    });
}

#[test]
fn of_one_that_has_not_faulted_nothing_is_told() {
    faulted(|_, site| {
        site.set_state(0, State::Running);
        let told = Managed::new(site).callers(CLIENT, worker(), 0);
        assert_eq!(told, Err(Refusal::NotFaulted));
    });
}

#[test]
fn what_a_domain_has_is_counted() {
    faulted(|_, site| {
        let mut managed = Managed::new(site);
        // Two pages of memory, and one of page tables.
        assert_eq!(managed.parts(CLIENT, 0), Ok(Owned { threads: 1, pages: 3, interrupts: 0, ports: 0 }));
        // What the restarted one has more: memory that its device reaches, and that of its guest.
        let parts = managed.parts(CLIENT, RESTARTED as u8);
        assert_eq!(parts, Ok(Owned { threads: 1, pages: 3 + 5 + 1 + 6, interrupts: 1, ports: 8 }));
        assert_eq!(managed.parts(CLIENT, 3), Err(Refusal::Unknown));
    });
}
