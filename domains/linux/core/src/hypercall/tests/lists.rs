use cloison_xen::call::{self, GOES_ON, MulticallEntry};
use cloison_xen::memory::{MmuExt, MmuUpdate, mmuext};
use cloison_xen::{DOMAIN_SELF, Errno};

use crate::hypercall::STEP_ENTRIES;
use crate::machine::Memory;
use crate::testing::fixture::{HOLE, READ_ONLY, SCRATCH};
use crate::testing::{Fixture, address};

const SELF: u64 = DOMAIN_SELF as u64;
/// Where numbers of done requests go.
const DONE: u64 = address(SCRATCH + 8);
/// Words that requests store to: a page that is no table.
const TARGET: u64 = 40 * 0x1000;

fn updates(count: u64) -> std::vec::Vec<MmuUpdate> {
    (0..count).map(|n| MmuUpdate { ptr: TARGET + n * 8, val: 1000 + n }).collect()
}

#[test]
fn updates_are_stored_and_counted_whatever_the_steps() {
    for count in [0, 1, 63, 64, 65, 128, 200] {
        let mut fixture = Fixture::new();
        let at = fixture.list(&updates(count));
        let (answer, steps) = fixture.count_steps(call::MMU_UPDATE, &[at, count, DONE, SELF]);
        assert_eq!(answer, 0);
        assert_eq!(steps, (count as usize).div_ceil(STEP_ENTRIES).max(1), "{count} requests");
        assert_eq!(u64::from(fixture.read::<u32>(DONE)), count);
        for n in 0..200 {
            let stored = if n < count { 1000 + n } else { 0 };
            assert_eq!(fixture.host.load(TARGET + n * 8), Some(stored));
        }
    }
}

#[test]
fn what_was_done_before_a_refusal_stays_and_is_counted() {
    let mut fixture = Fixture::new();
    let mut list = updates(100);
    list[80].ptr = u64::MAX;
    let at = fixture.list(&list);
    fixture.refused(call::MMU_UPDATE, &[at, 100, DONE, SELF], Errno::Invalid);
    assert_eq!(fixture.read::<u32>(DONE), 80);
    assert_eq!(fixture.host.load(TARGET + 79 * 8), Some(1079));
    assert_eq!(fixture.host.load(TARGET + 81 * 8), Some(0));
}

#[test]
fn a_list_that_leaves_memory_is_done_up_to_there() {
    let mut fixture = Fixture::new();
    let at = address(HOLE) - 32;
    for (n, update) in updates(2).iter().enumerate() {
        fixture.host.put(at - address(0) + n as u64 * 16, update).unwrap();
    }
    fixture.refused(call::MMU_UPDATE, &[at, 1 << 20, DONE, SELF], Errno::BadAddress);
    assert_eq!(fixture.read::<u32>(DONE), 2);
}

#[test]
fn a_request_across_the_end_of_memory_is_not_done() {
    let mut fixture = Fixture::new();
    fixture.host.store(HOLE * 0x1000 - 8, TARGET).unwrap();
    fixture.refused(call::MMU_UPDATE, &[address(HOLE) - 8, 1, DONE, SELF], Errno::BadAddress);
    assert_eq!(fixture.read::<u32>(DONE), 0);
}

#[test]
fn counts_mean_their_low_31_bits() {
    let mut fixture = Fixture::new();
    let at = fixture.list(&updates(3));
    assert_eq!(fixture.count_steps(call::MMU_UPDATE, &[at, GOES_ON, DONE, SELF]), (0, 1));
    assert_eq!(fixture.count_steps(call::MMU_UPDATE, &[at, 1 << 32, DONE, SELF]), (0, 1));
    assert_eq!(fixture.read::<u32>(DONE), 0);
    // A guest that says that it goes on counts from what it has there.
    fixture.host.put(DONE - address(0), &7_u32).unwrap();
    fixture.call(call::MMU_UPDATE, &[at, GOES_ON | 3, DONE, SELF]);
    assert_eq!(fixture.read::<u32>(DONE), 10);
}

#[test]
fn numbers_that_cannot_be_written_are_refused_and_no_matter_without_a_place() {
    let mut fixture = Fixture::new();
    let at = fixture.list(&updates(1));
    fixture.refused(call::MMU_UPDATE, &[at, 1, address(HOLE), SELF], Errno::BadAddress);
    fixture.refused(call::MMU_UPDATE, &[at, 1, address(READ_ONLY), SELF], Errno::BadAddress);
    assert_eq!(fixture.call(call::MMU_UPDATE, &[at, 1, 0, SELF]), 0);
}

#[test]
fn memory_of_others_is_not_there() {
    for domain in [0, 1, 0x7ff1, 0x7ff4, 1 << 16 | SELF] {
        Fixture::new().refused(call::MMU_UPDATE, &[0, 0, 0, domain], Errno::NoDomain);
        Fixture::new().refused(call::MMUEXT_OP, &[0, 0, 0, domain], Errno::NoDomain);
    }
}

#[test]
fn operations_on_tables_are_done_up_to_the_first_that_is_unknown() {
    let mut fixture = Fixture::new();
    let op = |cmd, arg1| MmuExt { cmd, arg1, ..MmuExt::default() };
    let list = [op(mmuext::TLB_FLUSH_LOCAL, 0), op(mmuext::NEW_USER_BASEPTR, 5), op(16, 0), op(99, 0)];
    let at = fixture.list(&list);
    fixture.refused(call::MMUEXT_OP, &[at, 4, DONE, SELF], Errno::NotOffered);
    assert_eq!(fixture.read::<u32>(DONE), 2);
    assert!(fixture.guest.paging.enter_user(&mut fixture.host).is_ok());
}

fn entry(op: u64, arguments: &[u64]) -> MulticallEntry {
    let mut args = [0; 6];
    args[..arguments.len()].copy_from_slice(arguments);
    MulticallEntry { op, result: 0x5555, args }
}

#[test]
fn a_multicall_makes_all_calls_and_keeps_their_answers() {
    let mut fixture = Fixture::new();
    let at = fixture.list(&[
        entry(call::XEN_VERSION, &[0]),
        entry(40, &[]),
        entry(call::STACK_SWITCH, &[0xe02b, address(11)]),
    ]);
    assert_eq!(fixture.count_steps(call::MULTICALL, &[at, 3]), (0, 1));
    let list: [MulticallEntry; 3] = fixture.read(at);
    assert_eq!(list.map(|entry| entry.result), [0x4_0011, Errno::NotOffered.answer(), 0]);
    assert_eq!(fixture.guest.kernel_stack(&fixture.host), address(11));
    assert_eq!(fixture.guest.log().calls(call::STACK_SWITCH), 1);
}

#[test]
fn calls_that_do_not_come_back_are_refused_in_a_multicall() {
    let mut fixture = Fixture::new();
    let inner = [call::MULTICALL, call::IRET, call::SCHED_OP];
    let at = fixture.list(&inner.map(|op| entry(op, &[1, address(SCRATCH)])));
    assert_eq!(fixture.count_steps(call::MULTICALL, &[at, 3]), (0, 1));
    let list: [MulticallEntry; 3] = fixture.read(at);
    assert_eq!(list.map(|entry| entry.result), [Errno::Invalid.answer(); 3]);
}

#[test]
fn a_long_multicall_takes_its_steps() {
    let mut fixture = Fixture::new();
    let list = [entry(call::XEN_VERSION, &[0]); 150];
    let at = fixture.list(&list);
    assert_eq!(fixture.count_steps(call::MULTICALL, &[at, 150]), (0, 3));
    let list: [MulticallEntry; 150] = fixture.read(at);
    assert!(list.iter().all(|entry| entry.result == 0x4_0011));
}

#[test]
fn a_long_list_in_a_multicall_takes_its_steps() {
    let mut fixture = Fixture::new();
    let requests = address(SCRATCH + 4);
    for (n, update) in updates(200).iter().enumerate() {
        fixture.host.put(requests - address(0) + n as u64 * 16, update).unwrap();
    }
    let update = entry(call::MMU_UPDATE, &[requests, 200, DONE, SELF]);
    let at = fixture.list(&[entry(call::XEN_VERSION, &[0]), update, entry(call::XEN_VERSION, &[0])]);
    let (answer, steps) = fixture.count_steps(call::MULTICALL, &[at, 3]);
    assert_eq!((answer, steps), (0, 4));
    assert_eq!(fixture.read::<u32>(DONE), 200);
    assert!((0..200).all(|n| fixture.host.load(TARGET + n * 8) == Some(1000 + n)));
    let list: [MulticallEntry; 3] = fixture.read(at);
    assert_eq!(list.map(|entry| entry.result), [0x4_0011, 0, 0x4_0011]);
}

#[test]
fn a_multicall_of_any_length_ends_where_memory_does() {
    let mut fixture = Fixture::new();
    for count in [1 << 31, u64::from(u32::MAX), u64::MAX] {
        fixture.refused(call::MULTICALL, &[address(HOLE) - 64, count], Errno::BadAddress);
    }
    assert_eq!(fixture.count_steps(call::MULTICALL, &[1 << 47, 1 << 32]), (0, 1), "a count has 32 bits");
}

#[test]
fn answers_that_cannot_be_written_end_a_multicall() {
    let mut fixture = Fixture::new();
    let stack = entry(call::STACK_SWITCH, &[0, address(12)]);
    fixture.host.put(READ_ONLY * 0x1000, &stack).unwrap();
    fixture.refused(call::MULTICALL, &[address(READ_ONLY), 1], Errno::BadAddress);
}
