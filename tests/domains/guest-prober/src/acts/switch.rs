//! The kernel switches the halves of a guest by itself.

use core::mem::offset_of;

use cloison_abi::{
    CallError,
    guest::{GuestHalf, GuestMapEntry, GuestRegisters, GuestSwitch},
    limits::KERNEL_BASE,
};
use cloison_rt::sys::{
    Instant,
    guest::{Exit, Lead},
};

use super::{Act, act};
use crate::{
    blob::{Blob, blob},
    world::{
        CODE, CODE_PAGE, Found, NUMBERS, RAM, STACK, World, came_out, is, page_fault, readable, refused, trap,
    },
};

pub(crate) const ACTS: &[Act] = &[
    act("a call of the lower half goes on with both, and says where from", there),
    act("a return goes on with the lower half, with registers of its own", back),
    act("calls with some numbers go on elsewhere and say where from, all others come out", numbers),
    act("a return leads to no address that is none", astray),
    act("a return does not choose privileged flags", flags),
    act("halves are switched for who asks for it alone", closed),
    act("halves are switched to addresses, by words that the guest may write", lead),
    act("registers survive ten thousand calls and returns", many),
];

/// Where the guest's kernel sees its program; the words are a page behind it.
const UPPER: u64 = 0xffff_8080_0000_0000;
const WORDS_PAGE: u32 = 6;
/// Where in a program the kernel's parts begin, and behind which call it returns.
const CALL: u64 = 0x20;
const BACK: u64 = 0x40;
const SITE: u64 = 0x62;
const NUMBER: u32 = 23;
/// Another number with which the kernel's calls lead to the same place, of the other half of the word.
const SECOND: u32 = 40;
/// Bases of the two halves.
const BASES: [u64; 2] = [0x7000, 0xffff_8880_0000_9000];

const LEAD: Lead =
    Lead { call: UPPER + CALL, back: UPPER + BACK, site: UPPER + SITE, numbers: 1 << NUMBER | 1 << SECOND };

fn words_entry() -> GuestMapEntry {
    readable(WORDS_PAGE, GuestMapEntry::WRITE)
}

impl World {
    /// A program of both halves, from its lower one on.
    fn both(&mut self, program: Blob) -> Found<GuestRegisters> {
        self.guest.map(0, UPPER, &[readable(CODE_PAGE, GuestMapEntry::EXECUTE), words_entry()])?;
        self.guest.lead(words_entry(), LEAD)?;
        Ok(GuestRegisters { gs_base: BASES[0], other_gs_base: BASES[1], ..self.load(program) })
    }

    /// Enters a half, with switching.
    fn switch(&mut self, half: GuestHalf, registers: &GuestRegisters) -> Found<(Exit, GuestRegisters)> {
        self.guest.set_registers(registers);
        let exit = self.guest.enter_as(0, half, true, 0, Instant::NEVER)?;
        Ok((exit, self.guest.registers()))
    }

    /// A word that kernel and guest exchange.
    fn word(&self, offset: usize) -> u64 {
        let mut bytes = [0; 8];
        let _ = self.ram.read(WORDS_PAGE as usize * 0x1000 + offset, &mut bytes);
        u64::from_le_bytes(bytes)
    }

    fn set_words(&self, words: GuestSwitch) {
        let GuestSwitch { rip, rflags, rsp, rcx, r11, .. } = words;
        for (number, word) in [rip, rflags, rsp, rcx, r11].into_iter().enumerate() {
            let _ = self.ram.write(WORDS_PAGE as usize * 0x1000 + 8 * number, &word.to_le_bytes());
        }
    }
}

fn there(world: &mut World) -> Found {
    let program = blob!("mov eax, 23", "std", "syscall", ".skip 0x20 - (. - 990b), 0xcc", "int3");
    let registers = GuestRegisters { rdx: 3, rdi: 4, r15: 5, ..world.both(program)? };
    let (exit, after) = world.switch(GuestHalf::Lower, &registers)?;
    came_out(exit, trap(3, 0))?;
    let expected = GuestRegisters {
        rax: NUMBER.into(),
        rcx: UPPER + CALL,
        r11: 0x202,
        rip: UPPER + CALL + 1,
        rflags: 0x202,
        gs_base: BASES[1],
        other_gs_base: BASES[0],
        half: GuestHalf::Both as u64,
        ..registers
    };
    for (is_now, should) in after.to_words().into_iter().zip(expected.to_words()) {
        is("a register", is_now, should)?;
    }
    is("where from", world.word(offset_of!(GuestSwitch, rip)), CODE + 8)?;
    is("the flags there", world.word(offset_of!(GuestSwitch, rflags)), 0x602)
}

/// Begins in the upper half: a call with the number, then one from the site. The lower half does not see the upper one.
/// What a program's call gave may be the number: the call from the site is a return all the same, and comes once.
const RETURNS: Blob = blob!(
    "mov rax, [rbx]",
    "2: jmp 2b",
    ".skip 0x40 - (. - 990b), 0xcc",
    "bts r13d, 0",
    "jc 3f",
    "mov eax, 23",
    ".skip 0x60 - (. - 990b), 0x90",
    "syscall",
    "3: ud2",
    "mov eax, 23",
    "syscall"
);
/// Where it begins.
const BEGIN: u64 = UPPER + SITE + 2;

fn back(world: &mut World) -> Found {
    let registers = world.both(RETURNS)?;
    let [user, kernel] = BASES;
    let registers =
        GuestRegisters { rip: BEGIN, rbx: UPPER, rdx: 6, gs_base: kernel, other_gs_base: user, ..registers };
    let words = GuestSwitch { rip: CODE, rflags: 0x41, rsp: STACK, rcx: 7, r11: 8, ..GuestSwitch::default() };
    world.set_words(words);
    let (exit, after) = world.switch(GuestHalf::Both, &registers)?;
    came_out(exit, page_fault(4, UPPER))?;
    let expected = GuestRegisters {
        rax: NUMBER.into(),
        r13: 1,
        rcx: 7,
        r11: 8,
        rip: CODE,
        rsp: STACK,
        rflags: 0x1_0243,
        gs_base: user,
        other_gs_base: kernel,
        half: GuestHalf::Lower as u64,
        ..registers
    };
    for (is_now, should) in after.to_words().into_iter().zip(expected.to_words()) {
        // A fault sets the flag by which the instruction is tried again without a breakpoint.
        is("a register", is_now | 0x1_0000, should | 0x1_0000)?;
    }
    Ok(())
}

/// The kernel's words for a call are not those of a return. A number has no bit in another word, wherever that would be.
fn numbers(world: &mut World) -> Found {
    let program = blob!("syscall", "ud2", ".skip 0x40 - (. - 990b), 0xcc", "mov r15, rcx", "int3");
    let registers = GuestRegisters { rip: UPPER, ..world.both(program)? };
    for number in [NUMBER, SECOND] {
        world.set_words(GuestSwitch { rip: 5, rflags: 6, ..GuestSwitch::default() });
        let registers = GuestRegisters { rax: number.into(), rdi: 3, ..registers };
        let (exit, after) = world.switch(GuestHalf::Both, &registers)?;
        came_out(exit, trap(3, 0))?;
        let expected = GuestRegisters {
            rcx: UPPER + BACK,
            r15: UPPER + BACK,
            r11: 0x202,
            rip: UPPER + BACK + 4,
            rflags: 0x202,
            half: GuestHalf::Both as u64,
            ..registers
        };
        for (is_now, should) in after.to_words().into_iter().zip(expected.to_words()) {
            is("a register", is_now, should)?;
        }
        is("where from", world.word(offset_of!(GuestSwitch, caller)), UPPER + 2)?;
        is("where to return to", world.word(offset_of!(GuestSwitch, rip)), 5)?;
    }
    // Bit 5 is set of the address that lies behind the numbers; others are of what lies before.
    let far = [64 + 5, 64 + NUMBER, 1 << 31 | NUMBER, u32::MAX, (32 - 64 * 8) as u32];
    for number in [0, 22, 24, 39, 63].into_iter().chain(far) {
        let registers = GuestRegisters { rax: number.into(), ..registers };
        let (exit, after) = world.switch(GuestHalf::Both, &registers)?;
        came_out(exit, Exit::Call)?;
        is("where", after.rip, UPPER + 2)?;
        is("the number", after.rax, number.into())?;
    }
    Ok(())
}

fn astray(world: &mut World) -> Found {
    let registers = world.both(RETURNS)?;
    for rip in [1 << 47, KERNEL_BASE, u64::MAX, 1 << 63] {
        world.set_words(GuestSwitch { rip, ..GuestSwitch::default() });
        let registers = GuestRegisters { rip: BEGIN, rdx: 6, ..registers };
        let (exit, after) = world.switch(GuestHalf::Both, &registers)?;
        came_out(exit, Exit::Call)?;
        let expected = [UPPER + SITE, UPPER + SITE, 0x202, NUMBER.into(), 6, GuestHalf::Both as u64];
        let found = [after.rip, after.rcx, after.r11, after.rax, after.rdx, after.half];
        for (is_now, should) in found.into_iter().zip(expected) {
            is("a register", is_now, should)?;
        }
    }
    Ok(())
}

fn flags(world: &mut World) -> Found {
    let program = blob!(
        "pushfq",
        "pop rax",
        "cli",
        ".skip 0x40 - (. - 990b), 0xcc",
        ".skip 0x60 - (. - 990b), 0x90",
        "syscall",
        "ud2",
        "mov eax, 23",
        "syscall"
    );
    let registers = world.both(program)?;
    for (rflags, expected) in [(!(1 << 8), 0x24_0ed7), (0, 0x202)] {
        world.set_words(GuestSwitch { rip: CODE, rflags, rsp: STACK + 0x800, ..GuestSwitch::default() });
        let registers = GuestRegisters { rip: UPPER + 0x60, rax: NUMBER.into(), ..registers };
        let (exit, after) = world.switch(GuestHalf::Both, &registers)?;
        came_out(exit, trap(13, 0))?;
        is("the flags", after.rax & !(1 << 16), expected)?;
    }
    Ok(())
}

fn closed(world: &mut World) -> Found {
    let program = blob!("mov eax, 23", "syscall", ".skip 0x60 - (. - 990b), 0x90", "syscall");
    let registers = world.both(program)?;
    world.set_words(GuestSwitch { rip: CODE, ..GuestSwitch::default() });
    for (half, rip) in
        [(GuestHalf::Lower, CODE), (GuestHalf::Both, UPPER), (GuestHalf::Both, UPPER + SITE - 2)]
    {
        world.guest.set_registers(&GuestRegisters { rip, ..registers });
        came_out(world.guest.enter(0, half, 0, Instant::NEVER)?, Exit::Call)?;
        is("the half", world.guest.registers().half, half as u64)?;
    }
    Ok(())
}

fn lead(world: &mut World) -> Found {
    for call in [0x8000_0000_0000, 0xffff_7fff_ffff_ffff, 1 << 63] {
        refused(world.guest.lead(words_entry(), Lead { call, ..LEAD }), CallError::BadArgument)?;
        refused(world.guest.lead(words_entry(), Lead { back: call, ..LEAD }), CallError::BadArgument)?;
    }
    let numbers = GuestMapEntry::new(NUMBERS, 0).0;
    for (entry, why) in [
        (numbers, CallError::MissingRight),
        (numbers | GuestMapEntry::WRITE, CallError::MissingRight),
        (readable(WORDS_PAGE, 0).0, CallError::MissingRight),
        (GuestMapEntry::SKIP.0, CallError::BadArgument),
        (GuestMapEntry::new(RAM, u32::MAX).0 | GuestMapEntry::WRITE, CallError::BadArgument),
        (GuestMapEntry::new(3, 0).0 | GuestMapEntry::WRITE, CallError::BadArgument),
        (GuestMapEntry::new(15, 0).0 | GuestMapEntry::WRITE, CallError::BadArgument),
        (words_entry().0 | 1 << 63, CallError::BadArgument),
    ] {
        refused(world.guest.lead(GuestMapEntry(entry), LEAD), why)?;
    }
    Ok(())
}

/// The lower half calls, the upper one returns to it; the second prober does the same with other values meanwhile.
fn many(world: &mut World) -> Found {
    let program = blob!(
        "movq xmm3, r13",
        "2: mov eax, 1",
        "syscall",
        "movq rax, xmm3",
        "cmp rax, r13",
        "jne 3f",
        "dec r12d",
        "jnz 2b",
        "int3",
        "3: ud2",
        ".skip 0x20 - (. - 990b), 0xcc",
        "mov rcx, 0xffff808000001000",
        "mov [rcx + 16], rsp",
        ".skip 0x60 - (. - 990b), 0x90",
        "syscall"
    );
    let own = Instant::now().0 | 1;
    let registers = GuestRegisters { r12: 10_000, r13: own, rbx: !own, ..world.both(program)? };
    let (exit, after) = world.switch(GuestHalf::Lower, &registers)?;
    came_out(exit, trap(3, 0))?;
    for (is_now, should) in [
        (after.half, GuestHalf::Lower as u64),
        (after.gs_base, BASES[0]),
        (after.other_gs_base, BASES[1]),
        (after.r12, 0),
        (after.r13, own),
        (after.rbx, !own),
        (after.rsp, registers.rsp),
    ] {
        is("a register", is_now, should)?;
    }
    Ok(())
}
