//! What the kernel must refuse, or bear.

use cloison_abi::{
    CallError, CallNumber, InterruptSource, Rights,
    call::SLOT_SELF,
    limits::{
        DOMAIN_END, INFO_ADDRESS, KERNEL_BASE, MAX_INTERRUPT_LINES, MAX_MAPPINGS, MAX_SLOTS, PAGE_BYTES,
    },
};
use cloison_rt::sys::{self, Instant, Message, Received, info};

use super::{
    Act,
    Deed::{Harmless, Read, Refused},
    act,
};
use crate::world::{World, call, call_with_flags, call_with_odd_state};

use CallError::{
    BadArgument, BadSlot, BadState, MissingRight, Overlap, QuotaExceeded, SlotTaken, UnknownCall, WrongType,
};

/// Where nothing is mapped, far from everything else.
const FREE: u64 = 0x2000_0000;
/// Shares its page tables with [`FREE`].
const FREE_TOO: u64 = FREE + 2 * PAGE_BYTES;
const READ: u64 = Rights::READ.bits() as u64;
const WRITE: u64 = Rights::WRITE.bits() as u64;
const EXECUTE: u64 = Rights::EXECUTE.bits() as u64;
const DMA: u64 = Rights::DMA.bits() as u64;
/// The flags that no code of the kernel may run with: direction, nested task, alignment check.
const ODD_FLAGS: u64 = 1 << 10 | 1 << 14 | 1 << 18;
/// A slot that the plan leaves empty.
const FREE_SLOT: u64 = 40;

pub(crate) const ACTS: &[Act] = &[
    act("numbers without a call are refused", Refused(UnknownCall, unknown_calls)),
    act("an empty slot is refused by every call", Refused(BadSlot, |_| each_slot_call(MAX_SLOTS as u8 - 1))),
    act(
        "a slot beyond the table is refused by every call",
        Refused(BadSlot, |_| each_slot_call(MAX_SLOTS as u8)),
    ),
    act("no slot but its own leads anywhere", Refused(BadSlot, |_| calls_beyond_its_slots())),
    act("the last slot number is refused by every call", Refused(BadSlot, |_| each_slot_call(u8::MAX))),
    act("a gate is no event", Refused(WrongType, |world| on(CallNumber::Signal, world.watch_gate.0))),
    act("a gate is no region", Refused(WrongType, |world| on(CallNumber::RegionInfo, world.watch_gate.0))),
    act("a gate is no domain", Refused(WrongType, |world| on(CallNumber::DomainStop, world.watch_gate.0))),
    act("a gate is no right", Refused(WrongType, |world| on(CallNumber::Shutdown, world.watch_gate.0))),
    act("an event is no gate", Refused(WrongType, |world| on(CallNumber::Call, world.watch_event.0))),
    act("a region is no gate", Refused(WrongType, |world| on(CallNumber::Call, world.plot.0))),
    act("a region is no log", Refused(WrongType, |world| on(CallNumber::LogRead, world.plot.0))),
    act(
        "a region is no interrupt",
        Refused(WrongType, |world| on(CallNumber::InterruptAcknowledge, world.plot.0)),
    ),
    act("a domain cannot call itself", Refused(WrongType, |_| on(CallNumber::Call, SLOT_SELF))),
    act(
        "a domain cannot stop itself from outside",
        Refused(MissingRight, |_| on(CallNumber::DomainStop, SLOT_SELF)),
    ),
    act(
        "a domain cannot destroy itself",
        Refused(MissingRight, |_| on(CallNumber::DomainDestroy, SLOT_SELF)),
    ),
    act("a domain cannot start itself", Refused(MissingRight, |_| on(CallNumber::DomainStart, SLOT_SELF))),
    act("a domain cannot raise its priority", Refused(MissingRight, raise_priority)),
    act(
        "a domain cannot read its own faults",
        Refused(MissingRight, |_| on(CallNumber::FaultRead, SLOT_SELF)),
    ),
    act("a domain cannot give itself ports", Refused(MissingRight, give_ports)),
    act("a domain cannot give itself an interrupt line", Refused(MissingRight, |_| give_interrupt(0))),
    act(
        "a domain cannot give itself an interrupt message",
        Refused(MissingRight, |_| give_interrupt(InterruptSource::Message { number: 0 }.to_bits().into())),
    ),
    act(
        "an interrupt line beyond the last is refused",
        Refused(MissingRight, |_| give_interrupt(MAX_INTERRUPT_LINES.into())),
    ),
    act("a domain cannot give itself memory for devices", Refused(MissingRight, give_for_devices)),
    act("memory for devices cannot be granted", Refused(MissingRight, |world| grant(world, READ | DMA))),
    act("where memory lies is told to drivers only", Harmless(learn_physical_address)),
    act("memory cannot be carved without the right", Refused(MissingRight, carve)),
    act(
        "memory cannot be deleted without the right",
        Refused(MissingRight, |world| on(CallNumber::RegionDelete, world.plot.0)),
    ),
    act(
        "a region cannot be mapped with a right that is not held",
        Refused(MissingRight, |world| map(world, FREE, 0, 1, READ | EXECUTE)),
    ),
    act(
        "nothing is writable and executable",
        Refused(BadArgument, |world| map(world, FREE, 0, 1, READ | WRITE | EXECUTE)),
    ),
    act(
        "rights that do not exist are refused",
        Refused(BadArgument, |world| map(world, FREE, 0, 1, READ | 1 << 40)),
    ),
    act("the NULL page cannot be mapped", Refused(BadArgument, |world| map(world, 0, 0, 1, READ))),
    act(
        "nothing below the information page can be mapped",
        Refused(BadArgument, |world| map(world, INFO_ADDRESS - PAGE_BYTES, 0, 1, READ)),
    ),
    act(
        "the kernel's addresses cannot be mapped",
        Refused(BadArgument, |world| map(world, KERNEL_BASE, 0, 1, READ)),
    ),
    act(
        "the end of the lower half cannot be mapped",
        Refused(BadArgument, |world| map(world, DOMAIN_END, 0, 1, READ)),
    ),
    act(
        "a mapping cannot reach over the end",
        Refused(BadArgument, |world| map(world, DOMAIN_END - PAGE_BYTES, 0, 2, READ)),
    ),
    act(
        "a mapping cannot wrap around",
        Refused(BadArgument, |world| map(world, u64::MAX - PAGE_BYTES + 1, 0, 1, READ)),
    ),
    act("a mapping is aligned", Refused(BadArgument, |world| map(world, FREE + 8, 0, 1, READ))),
    act("a mapping has pages", Refused(BadArgument, |world| map(world, FREE, 0, 0, READ))),
    act("a mapping ends with its region", Refused(BadArgument, |world| map(world, FREE, 0, 3, READ))),
    act("a mapping begins in its region", Refused(BadArgument, |world| map(world, FREE, 2, 1, READ))),
    act("page numbers do not overflow", Refused(BadArgument, |world| map(world, FREE, u64::MAX, 1, READ))),
    act("lengths do not overflow", Refused(BadArgument, |world| map(world, FREE, 0, u64::MAX, READ))),
    act("code cannot be mapped over", Refused(Overlap, |world| map(world, world.image(), 0, 1, READ))),
    act(
        "the information page cannot be mapped over",
        Refused(Overlap, |world| map(world, INFO_ADDRESS, 0, 1, READ)),
    ),
    act("mappings are limited", Refused(QuotaExceeded, too_many_mappings)),
    act("page tables are limited", Refused(QuotaExceeded, too_many_tables)),
    act("what is not mapped cannot be unmapped", Refused(BadArgument, |_| unmap(FREE))),
    act("what the plan has mapped stays", Refused(BadState, |world| unmap(world.stack_bottom()))),
    act(
        "the middle of a mapping cannot be unmapped",
        Refused(BadArgument, |world| unmap(world.stack_bottom() + PAGE_BYTES)),
    ),
    act(
        "a server takes no region that the plan does not foresee",
        Refused(SlotTaken, |world| grant(world, READ)),
    ),
    act(
        "a region cannot be granted with more rights than held",
        Refused(MissingRight, |world| grant(world, READ | EXECUTE)),
    ),
    act(
        "debug output takes at most 32 bytes",
        Refused(BadArgument, |_| call(CallNumber::DebugWrite as u8, 0, 33, [0; 6])),
    ),
    act("memory is empty when it is first seen", Harmless(first_sight)),
    act("a domain without clients receives nothing", Harmless(receive_nothing)),
    act("a flood of signals holds nobody up", Harmless(flood_with_signals)),
    act("a flood of calls is answered, call by call", Harmless(flood)),
    act("memory that was mapped again is as it was left", Harmless(map_and_unmap)),
    act(
        "a call works with the kernel's address as its stack",
        Harmless(|_| call_with_odd_state(KERNEL_BASE, 0, 0)),
    ),
    act("a call works with no stack", Harmless(|_| call_with_odd_state(0, 0, 0))),
    act("a call works with a stack that is not canonical", Harmless(|_| call_with_odd_state(1 << 63, 0, 0))),
    act(
        "an interrupt bears the kernel's address as a stack",
        Harmless(|_| call_with_odd_state(KERNEL_BASE, 0, 100_000_000)),
    ),
    act(
        "a call clears the direction flag",
        Harmless(|world| call_with_odd_state(world.stack_bottom() + 4096, 1 << 10, 0)),
    ),
    act(
        "a call clears the alignment flag, which opens user memory",
        Harmless(|world| call_with_odd_state(world.stack_bottom() + 4096, 1 << 18, 0)),
    ),
    act(
        "a call bears the nested-task flag",
        Harmless(|world| call_with_odd_state(world.stack_bottom() + 4096, 1 << 14, 0)),
    ),
    act("a call right after odd flags clears them", Harmless(|_| call_with_flags(ODD_FLAGS))),
    act(
        "an interrupt clears odd flags",
        Harmless(|world| call_with_odd_state(world.stack_bottom() + 4096, ODD_FLAGS, 10_000_000)),
    ),
    act("a domain may map what it holds", Harmless(|world| map(world, FREE, 0, 1, READ | WRITE))),
    act("a fault ends a life in which something was mapped", Read(|_| 0)),
    act("what was mapped in one life is gone in the next", Read(|_| FREE)),
];

/// A call on a slot, with nothing else.
fn on(number: CallNumber, slot: u8) -> i32 {
    call(number as u8, slot, 0, [0; 6])
}

/// Makes every call that looks into a slot. Returns the outcome that is not [`BadSlot`], or else that.
fn each_slot_call(slot: u8) -> i32 {
    let calls = CallNumber::ALL.into_iter().map(|(_, call)| call).filter(|call| call.takes_slot());
    calls.map(|call| on(call, slot)).find(|outcome| *outcome != BadSlot as i32).unwrap_or(BadSlot as i32)
}

/// Tries every call with every slot that this domain was not given. Slots are given out from 1 on, without a
/// gap. Returns the outcome that is not [`BadSlot`], or else that.
fn calls_beyond_its_slots() -> i32 {
    let last = [
        last_slot::<info::Use>(),
        last_slot::<info::Region>(),
        last_slot::<info::Right>(),
        last_slot::<info::Subject>(),
        info::get().all::<info::Use>().iter().filter_map(info::signal_slot).map(|slot| slot.0).max(),
        info::get().clients().filter_map(info::signal_slot).map(|slot| slot.0).max(),
    ];
    let last = last.into_iter().flatten().max().unwrap_or(0);
    let mut outcomes = (last + 1..=u8::MAX).map(each_slot_call);
    outcomes.find(|outcome| *outcome != BadSlot as i32).unwrap_or(BadSlot as i32)
}

/// The last slot that records of a kind tell of.
fn last_slot<T: info::Record>() -> Option<u8> {
    info::get().all::<T>().iter().filter_map(info::slot).map(|slot| slot.0).max()
}

/// Tries every number that no call has. Returns the outcome that is not [`UnknownCall`], or else that.
fn unknown_calls(_: &World) -> i32 {
    let numbers = (0..=u8::MAX).filter(|number| CallNumber::from_number(*number).is_none());
    let mut outcomes = numbers.map(|number| call(number, 0, u32::MAX, [u64::MAX; 6]));
    outcomes.find(|outcome| *outcome != UnknownCall as i32).unwrap_or(UnknownCall as i32)
}

fn map(world: &World, address: u64, first_page: u64, pages: u64, rights: u64) -> i32 {
    call(CallNumber::RegionMap as u8, world.plot.0, 0, [address, first_page, pages, rights, 0, 0])
}

fn unmap(address: u64) -> i32 {
    call(CallNumber::RegionUnmap as u8, 0, 0, [address, 0, 0, 0, 0, 0])
}

fn raise_priority(_: &World) -> i32 {
    call(CallNumber::DomainConfigure as u8, SLOT_SELF, 0, [31, 0, 0, 0, 0, 0])
}

fn give_ports(_: &World) -> i32 {
    call(CallNumber::DomainGivePorts as u8, SLOT_SELF, 0, [0, 0x3f8, 8, 0, 0, 0])
}

fn carve(world: &World) -> i32 {
    call(CallNumber::RegionCarve as u8, world.plot.0, 0, [FREE_SLOT, 0, 1, 0, 0, 0])
}

fn grant(world: &World, rights: u64) -> i32 {
    call(CallNumber::RegionGrant as u8, world.plot.0, 0, [world.watch_gate.0.into(), rights, 0, 0, 0, 0])
}

fn give_interrupt(source: u64) -> i32 {
    call(CallNumber::DomainGiveInterrupt as u8, SLOT_SELF, 0, [FREE_SLOT, 0, source, 0, 0, 0])
}

fn give_for_devices(world: &World) -> i32 {
    let arguments = [FREE_SLOT, world.plot.0.into(), READ | DMA, 0, 0, 0];
    call(CallNumber::DomainGiveRegion as u8, SLOT_SELF, 0, arguments)
}

/// The plan gives the region without the right to know.
fn learn_physical_address(world: &World) -> i32 {
    sys::region_info(world.plot)
        .map_or_else(|error| error as i32, |region| i32::from(region.physical_address != 0))
}

/// Maps one page next to the other until that is refused, and cleans up.
fn too_many_mappings(world: &World) -> i32 {
    let addresses = || (0..MAX_MAPPINGS as u64 + 1).map(|number| FREE + number * PAGE_BYTES);
    let outcome = addresses().map(|address| map(world, address, 0, 1, READ)).find(|outcome| *outcome != 0);
    for address in addresses() {
        unmap(address);
    }
    outcome.unwrap_or(0)
}

/// Maps pages far from each other, so that each needs page tables of its own, until that is refused.
fn too_many_tables(world: &World) -> i32 {
    let addresses = || (1..16).map(|number| number << 39);
    let outcome = addresses().map(|address| map(world, address, 0, 1, READ)).find(|outcome| *outcome != 0);
    for address in addresses() {
        unmap(address);
    }
    outcome.unwrap_or(0)
}

/// Nobody calls the prober: the answer, and the wait, must end at the deadline.
fn receive_nothing(_: &World) -> i32 {
    let received = sys::reply_wait(Message { label: 7, words: [7; 4] }, 0, Instant::PAST);
    i32::from(received != Received::TimedOut)
}

/// Signals the watcher, which does not wait for this event, again and again.
fn flood_with_signals(world: &World) -> i32 {
    let mut outcomes = (0..20_000).map(|_| on(CallNumber::Signal, world.watch_event.0));
    outcomes.find(|outcome| *outcome != 0).unwrap_or(0)
}

/// Looks at memory that this domain has never used.
fn first_sight(world: &World) -> i32 {
    if map(world, FREE, 0, 2, READ) != 0 {
        return -1;
    }
    let empty = crate::world::is_empty(FREE, 2 * PAGE_BYTES);
    if unmap(FREE) == 0 && empty { 0 } else { -2 }
}

/// Calls the console as fast as it can, with messages that mean nothing.
fn flood(world: &World) -> i32 {
    let mut outcomes = (0..20_000).map(|_| call(CallNumber::Call as u8, world.log_gate.0, 0, [0; 6]));
    outcomes.find(|outcome| *outcome != 0).unwrap_or(0)
}

/// Maps a page at two places, of which each shows what was written through the other one.
fn map_and_unmap(world: &World) -> i32 {
    for value in 1..=100 {
        if map(world, FREE, 1, 1, READ | WRITE) != 0 || map(world, FREE_TOO, 1, 1, READ) != 0 {
            return -1;
        }
        if !crate::world::passes_through(FREE, FREE_TOO, value) || unmap(FREE) != 0 || unmap(FREE_TOO) != 0 {
            return -2;
        }
    }
    0
}
