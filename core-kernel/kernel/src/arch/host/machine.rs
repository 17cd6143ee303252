//! Setting the machine up, and using it as a domain does: for tests alone.

use cloison_abi::{
    CallNumber,
    guest::{GUEST_SPACES, GuestHalf},
};
use cloison_rules::{
    Frame,
    guest::SpaceId,
    memory::{MAX_RUNS, Run},
};
use heapless::Vec;

use super::{
    apic,
    context::{Context, Contexts, Return},
    guest_context::GuestContext,
    physical::{self, Entry},
};
use crate::arch::{
    frames::FreeMemory,
    guest::GuestSpaces,
    space::{AddressSpace, KERNEL_SLOTS, KernelSpace},
};

pub use super::physical::{FIRST_FRAME, WORDS, flushes, page, scribble, write};

/// Pages of the system image, which lie before all else.
pub const IMAGE_PAGES: u64 = 2;
/// A mark in the kernel's half of its root table.
pub const KERNEL_MARK: u64 = 0x1234_5003;
/// The slot of the kernel's half that is marked.
pub const KERNEL_SLOT: usize = 264;

/// A machine with this number of pages of memory: those that nobody uses yet, and the kernel's own address space.
pub fn start(pages: u64) -> (FreeMemory, KernelSpace) {
    physical::reset(pages as usize);
    apic::reset();
    let memory = Run::new(Frame::new(FIRST_FRAME), pages);
    let image = Run::new(memory.first, IMAGE_PAGES);
    // SAFETY: the memory is new.
    let mut free = unsafe { FreeMemory::new(&[memory], &[image]) };
    let root = free.take(1).expect("there is a page").run().first;
    // SAFETY: the page is a table from here on.
    unsafe { Entry::of(root, KERNEL_SLOT).set(KERNEL_MARK) };
    let mapped: Vec<Run, MAX_RUNS> = [memory].into_iter().collect();
    // SAFETY: the table stays as it is.
    (free, unsafe { KernelSpace::new(root, mapped.into_iter().collect()) })
}

/// Puts a call into the registers of a thread. The instruction after it is at this address.
pub fn make_call(context: &mut Context, number: CallNumber, slot: u8, a: [u64; 6]) {
    context.rax = u64::from(number as u8) | u64::from(slot) << 8;
    [context.rdi, context.rsi, context.rdx, context.r10, context.r8, context.r9] = a;
    context.rip = AFTER_CALL;
}

/// Where a thread goes on after a call.
const AFTER_CALL: u64 = 0x40_1002;

/// What a call came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Came {
    /// It is to be made again.
    Again,
    /// An outcome, and results 0 to 3.
    To(i32, [u64; 4]),
}

/// What the call that a thread has made came to. A call that is to be made again is where it was, with its arguments.
pub fn outcome(context: &Context) -> Came {
    match context.rip {
        AFTER_CALL => Came::To(context.rax as i32, context.words()),
        _ => Came::Again,
    }
}

/// Lets a thread go on after a call that was done the short way, as the entry code does.
pub fn go_back(contexts: &mut Contexts, back: Return) {
    let words = contexts[back.words].words();
    let context = &mut contexts[back.to];
    (context.rax, context.r8) = (back.rax, back.r8);
    context.set_words(words);
}

/// Where a guest goes on: `rip`, `rsp`, `rflags`.
pub fn goes_on(guest: &GuestContext) -> [u64; 3] {
    [guest.context.rip, guest.context.rsp, guest.context.rflags]
}

/// Makes the same call again.
pub fn repeat(context: &mut Context) {
    context.rip = AFTER_CALL;
}

/// Each page that an address space shows to its domain: its address, the page, and whether it can be written and
/// executed.
pub fn seen(space: &AddressSpace) -> std::vec::Vec<Sight> {
    let mut found = std::vec::Vec::new();
    if space.is_there() {
        for slot in 0..256 {
            let root = Frame::holding(space.root());
            visit_slot(root, 4, 0, slot, &mut |address, entry| found.push(sight(address, entry)));
        }
    }
    found
}

/// An address, the page that it shows, and whether it can be written and executed.
pub type Sight = (u64, Frame, bool, bool);

fn sight(address: u64, entry: u64) -> Sight {
    (address, Frame::holding(entry & ADDRESS), entry & 2 != 0, entry >> 63 == 0)
}

/// The same of each space of a guest that is there, by both of its roots: the number of the space, the half, and what it
/// shows.
pub fn seen_by_guest(spaces: &GuestSpaces) -> std::vec::Vec<(u8, GuestHalf, std::vec::Vec<Sight>)> {
    let halves =
        (0..GUEST_SPACES as u8).flat_map(|space| [(space, GuestHalf::Lower), (space, GuestHalf::Both)]);
    let shows = |(number, half)| {
        let root = spaces.root(SpaceId::new(u64::from(number)).ok()?, half)?;
        let mut found = std::vec::Vec::new();
        for slot in (0..512).filter(|slot| !KERNEL_SLOTS.contains(slot)) {
            visit_slot(Frame::holding(root.address()), 4, 0, slot, &mut |address, entry| {
                found.push(sight(address, entry))
            });
        }
        Some((number, half, found))
    };
    halves.filter_map(shows).collect()
}

/// The entry of the kernel's half that is marked, as a guest has it.
pub fn guests_kernel_mark(spaces: &GuestSpaces, space: u8, half: GuestHalf) -> u64 {
    let root = SpaceId::new(space.into()).ok().and_then(|space| spaces.root(space, half));
    // SAFETY: a root table.
    root.map_or(0, |root| unsafe { Entry::of(Frame::holding(root.address()), KERNEL_SLOT).get() })
}

/// The tables of an address space, with the root.
pub fn tables(space: &AddressSpace) -> u64 {
    space.pages_used()
}

/// The entry of the kernel's half that is marked.
pub fn kernel_mark(space: &AddressSpace) -> u64 {
    // SAFETY: a root table.
    unsafe { Entry::of(Frame::holding(space.root()), KERNEL_SLOT).get() }
}

const ADDRESS: u64 = 0x000f_ffff_ffff_f000;

fn visit_slot(table: Frame, level: u32, base: u64, index: usize, show: &mut impl FnMut(u64, u64)) {
    // SAFETY: tables that are in use.
    let entry = unsafe { Entry::of(table, index) }.get();
    let address = base | (index as u64) << (3 + 9 * level);
    match entry {
        0 => {}
        _ if level == 1 => show(address, entry),
        _ => (0..512).for_each(|index| {
            visit_slot(Frame::holding(entry & ADDRESS), level - 1, address, index, &mut *show);
        }),
    }
}

/// Lets the CPU use an address space.
pub fn load_space(space: &AddressSpace) {
    physical::load(space.root());
}
