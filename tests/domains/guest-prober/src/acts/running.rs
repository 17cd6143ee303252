//! A guest runs, and comes out with what it has.

use cloison_abi::{
    CallError, CallNumber,
    guest::{GuestHalf, GuestMapEntry, GuestRegisters},
    limits::KERNEL_BASE,
};
use cloison_rt::sys::{Instant, guest::Exit};

use super::{Act, act};
use crate::{
    blob::blob,
    world::{
        CODE, DATA, Found, STACK, World, Wrong, came_out, is, own_segments, page_fault, readable, refused,
        trap,
    },
};

pub(crate) const ACTS: &[Act] = &[
    act("a guest's call comes out with its registers", call),
    act("an invalid instruction comes out", invalid),
    act("a breakpoint comes out behind itself", breakpoint),
    act("what is not there comes out as a page fault", absent),
    act("a division by zero comes out", divide),
    act("a guest has its segment bases, and changes them by selectors alone", bases),
    act("a selector and a base of its own stay together", selectors_and_bases),
    act("a guest's data selectors stay, and no others", selectors),
    act("vector and segment registers survive a hundred thousand exits", many),
    act("a guest begins at an address", not_canonical),
    act("a guest's segments begin at an address", bases_not_canonical),
    act("a guest cannot begin in the kernel", in_the_kernel),
    act("a guest does not choose privileged flags", flags),
    act("a guest cannot have half of a half", halves),
];

fn call(world: &mut World) -> Found {
    let program = blob!("lea rax, [rdi + 1]", "mov rbx, rsp", "std", "syscall");
    let registers = GuestRegisters {
        rdi: 0x1233,
        rsi: 2,
        rdx: 3,
        rbp: 4,
        r8: 5,
        r9: 6,
        r10: 7,
        r12: 8,
        r13: 9,
        r14: 10,
        r15: 11,
        ..world.load(program)
    };
    let (exit, after) = world.go(&registers)?;
    came_out(exit, Exit::Call)?;
    is("rip", after.rip, CODE + 10)?;
    let expected = GuestRegisters {
        rax: 0x1234,
        rbx: registers.rsp,
        rcx: after.rip,
        r11: 0x602,
        rip: after.rip,
        rflags: 0x602,
        half: 1,
        ..registers
    };
    for (is_now, should) in after.to_words().into_iter().zip(expected.to_words()) {
        is("a register", is_now, should)?;
    }
    Ok(())
}

fn invalid(world: &mut World) -> Found {
    let (exit, after) = world.run(blob!("nop", "ud2"))?;
    came_out(exit, trap(6, 0))?;
    is("rip", after.rip, CODE + 1)
}

fn breakpoint(world: &mut World) -> Found {
    let (exit, after) = world.run(blob!("nop", "int3"))?;
    came_out(exit, trap(3, 0))?;
    is("rip", after.rip, CODE + 2)
}

fn absent(world: &mut World) -> Found {
    let (exit, after) = world.run(blob!("mov eax, 0x201000", "mov [rax - 8], rax", "mov [rax], rax"))?;
    came_out(exit, page_fault(6, DATA + 0x1000))?;
    is("rip", after.rip, CODE + 9)?;
    // What is mapped then is there at once.
    world.guest.map(0, DATA + 0x1000, &[readable(5, GuestMapEntry::WRITE)])?;
    let (exit, after) = world.go_on()?;
    came_out(exit, trap(3, 0))?;
    is("rip", after.rip, CODE + 13)
}

fn divide(world: &mut World) -> Found {
    let (exit, after) = world.run(blob!("xor ecx, ecx", "div ecx"))?;
    came_out(exit, trap(0, 0))?;
    is("rip", after.rip, CODE + 2)
}

fn bases(world: &mut World) -> Found {
    let program = blob!(
        "mov rax, fs:[0]",
        "mov rbx, gs:[8]",
        "syscall",
        "mov edx, 0x2b",
        "mov fs, edx",
        "mov gs, edx",
        "syscall"
    );
    let registers = GuestRegisters { fs_base: DATA, gs_base: DATA + 0x100, ..world.load(program) };
    for (offset, value) in [(0, 77_u64), (0x108, 78)] {
        let _ = world.ram.write(0x1000 + offset, &value.to_le_bytes());
    }
    let (exit, after) = world.go(&registers)?;
    came_out(exit, Exit::Call)?;
    is("fs:[0]", after.rax, 77)?;
    is("gs:[8]", after.rbx, 78)?;
    is("the base of fs", after.fs_base, registers.fs_base)?;
    is("the base of gs", after.gs_base, registers.gs_base)?;
    is("the prober's own bases", own_segments().0, 0)?;
    let (exit, after) = world.go_on()?;
    came_out(exit, Exit::Call)?;
    is("the base of fs", after.fs_base, 0)?;
    is("the base of gs", after.gs_base, 0)
}

/// Loading a selector takes the base with it, so what order they come and go in matters.
fn selectors_and_bases(world: &mut World) -> Found {
    let program = blob!(
        "mov edx, 0x2b",
        "mov fs, edx",
        "mov gs, edx",
        "syscall",
        "2: mov rax, fs:[0]",
        "mov rbx, gs:[8]",
        "mov r8d, fs",
        "mov r9d, gs",
        "syscall",
        "jmp 2b"
    );
    for (offset, value) in [(0, 77_u64), (0x108, 78)] {
        let _ = world.ram.write(0x1000 + offset, &value.to_le_bytes());
    }
    let (exit, after) = world.run(program)?;
    came_out(exit, Exit::Call)?;
    let registers = GuestRegisters { fs_base: DATA, gs_base: DATA + 0x100, ..after };
    world.guest.set_registers(&registers);
    for _ in 0..3 {
        let (exit, after) = world.go_on()?;
        came_out(exit, Exit::Call)?;
        for (what, is_now, should) in [
            ("fs:[0]", after.rax, 77),
            ("gs:[8]", after.rbx, 78),
            ("the selector of fs", after.r8, 0x2b),
            ("the selector of gs", after.r9, 0x2b),
            ("the base of fs", after.fs_base, registers.fs_base),
            ("the base of gs", after.gs_base, registers.gs_base),
            ("the prober's own bases", own_segments().0, 0),
            ("the prober's own selectors", own_segments().1, 0),
        ] {
            is(what, is_now, should)?;
        }
    }
    Ok(())
}

/// Each is loaded with the code segment first, which a guest may, and which is gone after an exit.
fn selectors(world: &mut World) -> Found {
    let program = blob!(
        "mov eax, 0x2b",
        "mov ds, eax",
        "mov es, eax",
        "mov fs, eax",
        "mov gs, eax",
        "syscall",
        "mov r8d, ds",
        "mov r9d, es",
        "mov r10d, fs",
        "mov r12d, gs",
        "mov eax, 0x33",
        "mov ds, eax",
        "mov es, eax",
        "mov fs, eax",
        "mov gs, eax",
        "syscall",
        "mov r8d, ds",
        "mov r9d, es",
        "mov r10d, fs",
        "mov r12d, gs",
        "syscall"
    );
    let (exit, _) = world.run(program)?;
    came_out(exit, Exit::Call)?;
    for kept in [0x2b, 0] {
        let (exit, after) = world.go_on()?;
        came_out(exit, Exit::Call)?;
        for selector in [after.r8, after.r9, after.r10, after.r12] {
            is("a selector", selector, kept)?;
        }
        is("the prober's own selectors", own_segments().1, 0)?;
    }
    Ok(())
}

/// The second prober does the same with other values meanwhile.
fn many(world: &mut World) -> Found {
    let program = blob!(
        "movq xmm0, rdi",
        "movq xmm15, rsi",
        "fld1",
        "ldmxcsr [rsp - 8]",
        "2: syscall",
        "movq rax, xmm0",
        "cmp rax, rdi",
        "jne 3f",
        "movq rax, xmm15",
        "cmp rax, rsi",
        "jne 3f",
        "stmxcsr [rsp - 4]",
        "mov eax, [rsp - 4]",
        "cmp eax, [rsp - 8]",
        "jne 3f",
        "fld1",
        "fcomip st, st(1)",
        "jne 3f",
        "mov rax, fs:[0]",
        "cmp rax, gs:[8]",
        "je 2b",
        "3: ud2"
    );
    let _ = world.ram.write(0x2ff8, &0x7f80_u32.to_le_bytes());
    let own = Instant::now().0 | 1;
    for at in [0x1000, 0x1108] {
        let _ = world.ram.write(at, &own.to_le_bytes());
    }
    let registers =
        GuestRegisters { rdi: own, rsi: !own, fs_base: DATA, gs_base: DATA + 0x100, ..world.load(program) };
    world.guest.set_registers(&registers);
    for _ in 0..100_000 {
        came_out(world.guest.enter(0, GuestHalf::Both, 0, Instant::NEVER)?, Exit::Call)?;
    }
    let after = world.guest.registers();
    is("the base of gs", after.gs_base, registers.gs_base)
}

fn not_canonical(world: &mut World) -> Found {
    let good = world.load(blob!("syscall"));
    for rip in [0x8000_0000_0000, 0xffff_7fff_ffff_ffff, 1 << 63] {
        world.refuses(&GuestRegisters { rip, ..good })?;
    }
    Ok(())
}

fn bases_not_canonical(world: &mut World) -> Found {
    let good = world.load(blob!("syscall"));
    for base in [0x8000_0000_0000, 0xffff_7fff_ffff_ffff, 1 << 63] {
        world.refuses(&GuestRegisters { other_gs_base: base, ..good })?;
        world.refuses(&GuestRegisters { fs_base: base, ..good })?;
        world.refuses(&GuestRegisters { gs_base: base, ..good })?;
    }
    Ok(())
}

/// What is there, and where nothing is: the CPU refuses both.
fn in_the_kernel(world: &mut World) -> Found {
    let good = world.load(blob!("syscall"));
    for rip in [KERNEL_BASE, KERNEL_BASE + 0x10_8000, KERNEL_BASE + 0x400_0000, KERNEL_BASE + (1 << 42)] {
        let (exit, _) = world.go(&GuestRegisters { rip, ..good })?;
        match exit {
            Exit::Trap { vector: 14, code: 0x14 | 0x15, address } if address == rip => {}
            other => return Err(Wrong::Exit(other)),
        }
    }
    Ok(())
}

fn flags(world: &mut World) -> Found {
    let good = world.load(blob!("pushfq", "pop rax", "cli"));
    let (exit, after) = world.go(&GuestRegisters { rflags: !(1 << 8), ..good })?;
    came_out(exit, trap(13, 0))?;
    // Those of a guest but for the one of single steps, and interrupts.
    is("the flags", after.rax & !(1 << 16), 0x24_0ed7)?;
    let (exit, after) = world.go(&GuestRegisters { rflags: 0, ..good })?;
    came_out(exit, trap(13, 0))?;
    is("the flags", after.rax, 0x202)
}

/// Numbers that mean nothing, and a space that is not there.
fn halves(world: &mut World) -> Found {
    let registers = world.load(blob!("syscall"));
    world.guest.set_registers(&registers);
    for (space, half) in [(0, 2), (0, 0x100), (0, 0x101), (0, u64::MAX), (32, 1), (u64::MAX, 1), (1 << 32, 1)]
    {
        world.call(CallNumber::GuestEnter, [space, half, 0, 0, 0, 0], CallError::BadArgument)?;
    }
    refused(world.guest.enter(1, GuestHalf::Both, 0, Instant::NEVER), CallError::BadState)?;
    world.guest.map(0, 0xffff_8800_0000_0000, &[readable(3, GuestMapEntry::WRITE)])?;
    let program = blob!("mov rax, 0xffff880000000000", "mov [rax], rsp", "syscall");
    let registers = world.load(program);
    let (exit, _) = world.go(&registers)?;
    came_out(exit, Exit::Call)?;
    world.guest.set_registers(&registers);
    let exit = world.guest.enter(0, GuestHalf::Lower, 0, Instant::NEVER)?;
    came_out(exit, page_fault(6, 0xffff_8800_0000_0000))?;
    is("rsp", world.guest.registers().rsp, STACK + 0x1000)
}
