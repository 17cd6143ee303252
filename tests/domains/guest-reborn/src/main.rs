//! Guest reborn: runs a guest, then writes to all memory that the guest has, and faults. The next life must find all as
//! the first did, a guest that can run among it; what the guest begins with is the same in each life.

#![no_std]
#![no_main]

use cloison_abi::{
    guest::{GuestHalf, GuestMapEntry, GuestRegisters},
    info::{GUEST_FRAME, GUEST_NUMBERS, GUEST_RAM, GUEST_SHARED},
    limits::PAGE_BYTES,
};
use cloison_rt::{
    log,
    sys::{
        Instant,
        guest::{Exit, Guest},
        info,
        memory::SharedMemory,
        settings,
    },
};
use keeper_api::{digest, keep};

cloison_rt::entry!(main);

/// The last life.
const LAST: u32 = 3;
/// Where the guest sees its first page, and the instruction in it: `ud2`.
const CODE: u64 = 0x10_0000;
const PROGRAM: [u8; 2] = [0x0f, 0x0b];
/// The exception that the instruction raises.
const INVALID_OPCODE: u8 = 6;
const PAGE: usize = PAGE_BYTES as usize;

fn main() -> Result<(), &'static str> {
    let memory = [GUEST_RAM, GUEST_SHARED, GUEST_NUMBERS, GUEST_FRAME].map(memory);
    let [Some(ram), Some(shared), Some(numbers), Some(frame)] = memory else {
        return Err("the plan lacks memory of a guest");
    };
    let guest = info::get().guest().ok_or("there is no guest")?;
    let keeper = keep::Client::find("keep").map_err(|_| "there is no keeper")?;
    let all = [ram, shared, numbers, frame];
    let begun = keeper.begin(what_it_begins_with(), digest_of(&all), 0);
    let begun = begun.map_err(|_| "the keeper does not answer")?;
    run(&mut Guest::new(guest, frame), &ram)?;
    if begun.life == LAST {
        return Ok(());
    }
    all.iter().for_each(spoil);
    panic!("a life ends")
}

fn memory(name: &str) -> Option<SharedMemory> {
    SharedMemory::of_guest(info::get().find(name)?)
}

/// The digest of the files and of the command line; the first life says what they are.
fn what_it_begins_with() -> u64 {
    let kernel = settings::kernel().unwrap_or_default();
    let initramfs = settings::initramfs().unwrap_or_default();
    let (is_kernel, text) = (kernel.get(0x202..0x206) == Some(b"HdrS"), str::from_utf8(initramfs));
    log!("a kernel: {is_kernel}, initramfs {text:?}, command line {:?}", settings::cmdline());
    let bytes = kernel.iter().chain(initramfs).chain(settings::cmdline().as_bytes());
    bytes.fold(digest::START, |all, byte| digest::add(all, (*byte).into()))
}

/// The digest of memory, each part with its length.
fn digest_of(all: &[SharedMemory]) -> u64 {
    let mut sum = digest::START;
    let mut page = [0; PAGE];
    for memory in all {
        sum = digest::add(sum, memory.len() as u64);
        for at in (0..memory.len()).step_by(PAGE) {
            assert!(memory.read(at, &mut page));
            let (words, _) = page.as_chunks();
            sum = words.iter().fold(sum, |sum, word| digest::add(sum, u64::from_le_bytes(*word)));
        }
    }
    sum
}

/// Lets the guest execute an instruction, in a space that is left as it is.
fn run(guest: &mut Guest, ram: &SharedMemory) -> Result<(), &'static str> {
    assert!(ram.write(0, &PROGRAM));
    guest.create_space(0).map_err(|_| "no space can be made")?;
    guest.map(0, CODE, &[GuestMapEntry(GuestMapEntry::EXECUTE)]).map_err(|_| "no page can be shown")?;
    guest.set_registers(&GuestRegisters { rip: CODE, ..GuestRegisters::default() });
    match guest.enter(0, GuestHalf::Lower, 0, Instant::NEVER) {
        Ok(Exit::Trap { vector: INVALID_OPCODE, .. }) => Ok(()),
        _ => Err("the guest does not run"),
    }
}

/// Writes to each page of it.
fn spoil(memory: &SharedMemory) {
    for at in (0..memory.len()).step_by(PAGE) {
        assert!(memory.write(at, b"spoilt"));
    }
}
