//! Instructions that are the kernel's alone, and odd states in which a guest comes out.

use cloison_abi::{
    guest::{GUEST_LOW_END, GuestHalf, GuestRegisters},
    limits::{KERNEL_BASE, PAGE_BYTES},
};
use cloison_rt::sys::{Instant, guest::Exit};

use super::{Act, act};
use crate::{
    blob::{Blob, blob},
    world::{CODE, Found, STACK, World, Wrong, came_out, is, trap},
};

pub(crate) const ACTS: &[Act] = &[
    act("no privileged instruction of a guest does anything", privileged),
    act("a guest has no ports", ports),
    act("sysenter leads a guest nowhere", sysenter),
    act("what hides the CPU's tables hides them from a guest", tables),
    act("every interrupt by instruction comes out, and does nothing else", interrupts),
    act("every selector that a guest loads comes out or stays harmless", every_selector),
    act("a guest does not leave its code segment", far),
    act("a guest does not return to another level", returns),
    act("a guest returns to no address that is none, and not into the kernel", returns_astray),
    act("a guest returns by no stack that it is not shown", returns_from_nowhere),
    act("a single step at a call is the guest's", single_step),
    act("alignment checks and direction are the guest's", odd_flags),
    act("a load of the stack's segment before a call or a breakpoint changes nothing", stack_segment),
    act("vector states that fault come out", vector_states),
    act("a stack that is no address is the guest's matter", odd_stack),
];

/// Checks that a program comes out with a fault at its start.
fn faults(world: &mut World, blob: Blob, exit: Exit) -> Found {
    let (came, after) = world.run(blob)?;
    came_out(came, exit)?;
    is("rip", after.rip, CODE)
}

fn privileged(world: &mut World) -> Found {
    for blob in [
        blob!("hlt"),
        blob!("cli"),
        blob!("sti"),
        blob!("lgdt [rsp - 16]"),
        blob!("lidt [rsp - 16]"),
        blob!("lldt ax"),
        blob!("ltr ax"),
        blob!("mov rax, cr0"),
        blob!("mov rax, cr3"),
        blob!("mov cr3, rax"),
        blob!("mov cr4, rax"),
        blob!("mov cr8, rax"),
        blob!("mov rax, dr7"),
        blob!("mov dr7, rax"),
        blob!("mov dr0, rax"),
        blob!("clts"),
        blob!("lmsw ax"),
        blob!("rdmsr"),
        blob!("wrmsr"),
        blob!("rdpmc"),
        blob!("invlpg [rsp]"),
        blob!("swapgs"),
        blob!("sysretq"),
        blob!("xsetbv"),
    ] {
        faults(world, blob, trap(13, 0))?;
    }
    Ok(())
}

fn ports(world: &mut World) -> Found {
    for blob in
        [blob!("in al, dx"), blob!("out dx, al"), blob!("in eax, 0x40"), blob!("outsb"), blob!("insb")]
    {
        faults(world, blob, trap(13, 0))?;
    }
    Ok(())
}

/// On CPUs of AMD there is no such instruction in 64-bit mode.
fn sysenter(world: &mut World) -> Found {
    match world.run(blob!("sysenter"))?.0 {
        Exit::Trap { vector: 6 | 13, code: 0, .. } => Ok(()),
        other => Err(Wrong::Exit(other)),
    }
}

fn tables(world: &mut World) -> Found {
    for blob in [
        blob!("sgdt [rsp - 16]"),
        blob!("sidt [rsp - 16]"),
        blob!("sldt eax"),
        blob!("str eax"),
        blob!("smsw eax"),
    ] {
        faults(world, blob, trap(13, 0))?;
    }
    // The segment limit that has the number of the CPU is there to be read.
    let (exit, after) =
        world.run(blob!("mov eax, 0x7b", "mov ecx, 99", "lsl ecx, eax", "setz dl", "syscall"))?;
    came_out(exit, Exit::Call)?;
    is("the CPU's number", world.guest.registers().rdx & 0xff, 1)?;
    is("rdx", after.rdx & 0xff, 1)
}

fn interrupts(world: &mut World) -> Found {
    let registers = world.load(blob!("int 0x20"));
    for vector in 0..=u8::MAX {
        let inside = world.ram.write(0, &[0xcd, vector]);
        debug_assert!(inside, "there is room");
        let (exit, after) = world.go(&registers)?;
        if vector == 3 {
            came_out(exit, trap(3, 0))?;
            is("rip", after.rip, CODE + 2)?;
        } else {
            // QEMU counts entries of 16 bytes, not of 8.
            let codes = [3, 4].map(|shift| trap(13, u64::from(vector) << shift | 2));
            came_out(exit, *codes.iter().find(|code| **code == exit).unwrap_or(&codes[0]))?;
            is("rip", after.rip, CODE)?;
        }
    }
    Ok(())
}

/// Each into each of the four data segments. What cannot be loaded comes out with the selector as its code.
fn every_selector(world: &mut World) -> Found {
    const USABLE: [u64; 4] = [0x00, 0x28, 0x30, 0x78];
    for blob in [blob!("mov ds, edi"), blob!("mov es, edi"), blob!("mov fs, edi"), blob!("mov gs, edi")] {
        let registers = world.load(blob);
        for selector in 0..0x100 {
            let (exit, _) = world.go(&GuestRegisters { rdi: selector, ..registers })?;
            let code = selector & !3;
            let expected = if USABLE.contains(&code) { trap(3, 0) } else { trap(13, code) };
            came_out(exit, expected).map_err(|_| Wrong::Differs("what a selector did", selector, code))?;
        }
    }
    Ok(())
}

/// To other code: 32-bit, the kernel's, a task's, nobody's.
fn far(world: &mut World) -> Found {
    for selector in
        [0x08_u64, 0x0b, 0x10, 0x20, 0x23, 0x2b, 0x40, 0x43, 0x48, 0x78, 0x7b, 0x80, 0x83, 0x04, 0x07]
    {
        for blob in [
            blob!("push rdi", "lea rax, [rip]", "push rax", "retfq"),
            blob!("push rdi", "lea rax, [rip]", "push rax", "rex64 ljmp [rsp]"),
            blob!("push 0x2b", "push rsp", "pushfq", "push rdi", "lea rax, [rip]", "push rax", "iretq"),
        ] {
            let registers = world.load(blob);
            let (exit, _) = world.go(&GuestRegisters { rdi: selector, ..registers })?;
            match exit {
                Exit::Trap { vector: 11 | 13, code, .. } if code == selector & !3 => {}
                // QEMU 7.2 reads the stack of a far return with the kernel's rights, which SMAP then refuses.
                Exit::Trap { vector: 14, code: 1, address } if address / PAGE_BYTES == STACK / PAGE_BYTES => {
                }
                other => return Err(Wrong::Exit(other)),
            }
        }
    }
    Ok(())
}

/// A guest returns to itself by an interrupt's return; flags that are not its own stay as they are.
fn returns(world: &mut World) -> Found {
    let program = blob!(
        "mov rcx, rsp",
        "push 0x2b",
        "push rcx",
        "push 0x3202",
        "push 0x33",
        "lea rax, [rip + 3f]",
        "push rax",
        "iretq",
        "3: pushfq",
        "pop rbx",
        "syscall"
    );
    let (exit, after) = world.run(program)?;
    came_out(exit, Exit::Call)?;
    is("the flags", after.rbx, 0x202)?;
    is("the stack", after.rsp, STACK + PAGE_BYTES)
}

/// Where QEMU cannot carry out the return, and what it takes from the stack leads to no place of the guest's, it comes out as in
/// `far`.
fn returns_astray(world: &mut World) -> Found {
    let program = blob!("push 0x2b", "push rsp", "push 0x3202", "push 0x33", "push rdi", "iretq");
    for rdi in [1 << 47, 0xffff_7fff_ffff_ffff, 1 << 63] {
        let registers = GuestRegisters { rdi, ..world.load(program) };
        match world.go(&registers)?.0 {
            Exit::Trap { vector: 13, code: 0, .. } => {}
            Exit::Trap { vector: 14, code: 1, address } if address / PAGE_BYTES == STACK / PAGE_BYTES => {}
            other => return Err(Wrong::Exit(other)),
        }
    }
    // The kernel's addresses are addresses: the guest gets there, and no further.
    let registers = GuestRegisters { rdi: KERNEL_BASE, ..world.load(program) };
    let (exit, after) = world.go(&registers)?;
    match exit {
        Exit::Trap { vector: 14, code, address: KERNEL_BASE } => is("the fault's ring", code & 4, 4)?,
        other => return Err(Wrong::Exit(other)),
    }
    is("rip", after.rip, KERNEL_BASE)
}

/// What is shown elsewhere, or nowhere, is not taken for the stack: the return faults, and the guest is where it was.
fn returns_from_nowhere(world: &mut World) -> Found {
    for rsp in [STACK + PAGE_BYTES, STACK - PAGE_BYTES, 0, GUEST_LOW_END] {
        let registers = GuestRegisters { rsp, ..world.load(blob!("iretq")) };
        let (exit, after) = world.go(&registers)?;
        match exit {
            Exit::Trap { vector: 14, address, .. } => is("what was read", address, rsp)?,
            other => return Err(Wrong::Exit(other)),
        }
        is("rip", after.rip, CODE)?;
        is("rsp", after.rsp, rsp)?;
    }
    Ok(())
}

fn single_step(world: &mut World) -> Found {
    let registers = GuestRegisters { rflags: 1 << 8, ..world.load(blob!("nop", "syscall", "nop", "nop")) };
    let (exit, after) = world.go(&registers)?;
    came_out(exit, trap(1, 0))?;
    is("rip", after.rip, CODE + 1)?;
    let (exit, after) = world.go_on()?;
    came_out(exit, Exit::Call)?;
    is("the flags", after.rflags & 1 << 8, 1 << 8)?;
    let (exit, after) = world.go_on()?;
    came_out(exit, trap(1, 0))?;
    is("rip", after.rip, CODE + 4)
}

/// What was set at a call is set when the guest goes on, and the kernel and the prober have not used it.
fn odd_flags(world: &mut World) -> Found {
    let flags = 1 << 10 | 1 << 18 | 1 << 21 | 0xd5;
    let program = blob!("syscall", "pushfq", "pop rbx", "syscall", "mov eax, [rsp - 7]");
    let registers = GuestRegisters { rflags: flags, ..world.load(program) };
    let (exit, after) = world.go(&registers)?;
    came_out(exit, Exit::Call)?;
    is("the flags", after.rflags, flags | 0x202)?;
    let (exit, after) = world.go_on()?;
    came_out(exit, Exit::Call)?;
    is("the flags", after.rbx, flags | 0x202)
}

fn stack_segment(world: &mut World) -> Found {
    for blob in [
        blob!("mov eax, 0x2b", "mov ss, eax", "syscall"),
        blob!("mov eax, 0x2b", "push rax", "mov ss, [rsp]", "syscall"),
    ] {
        let registers = world.load(blob);
        for rflags in [0, 1 << 8] {
            let (mut exit, _) = world.go(&GuestRegisters { rflags, ..registers })?;
            while exit == trap(1, 0) {
                exit = world.go_on()?.0;
            }
            came_out(exit, Exit::Call)?;
        }
    }
    let (exit, _) = world.run(blob!("mov eax, 0x2b", "mov ss, eax", "int3"))?;
    came_out(exit, trap(3, 0))?;
    // The null selector makes no stack in the outermost ring.
    let (exit, _) = world.run(blob!("xor eax, eax", "mov ss, eax"))?;
    came_out(exit, trap(13, 0))
}

fn vector_states(world: &mut World) -> Found {
    // QEMU takes any value.
    match world.run(blob!("push 0x10000", "ldmxcsr [rsp]"))?.0 {
        Exit::Trap { vector: 3 | 13, code: 0, .. } => {}
        other => return Err(Wrong::Exit(other)),
    }
    // A header with bits that no state has.
    let program = blob!(
        "mov edi, 0x200000",
        "mov qword ptr [rdi + 512], -1",
        "mov eax, -1",
        "mov edx, eax",
        "xrstor64 [rdi]"
    );
    let (exit, _) = world.run(program)?;
    came_out(exit, trap(13, 0))?;
    let (exit, _) = world.run(blob!("mov edi, 0x200008", "xsave64 [rdi]"))?;
    came_out(exit, trap(13, 0))?;
    // The prober's own calls, and the next guest's, are none the worse.
    let (exit, _) = world.run(blob!("fninit", "syscall"))?;
    came_out(exit, Exit::Call)
}

fn odd_stack(world: &mut World) -> Found {
    for rsp in [0x8000_0000_0000, u64::MAX, 0, 1, cloison_abi::limits::KERNEL_BASE] {
        let registers = GuestRegisters { rsp, ..world.load(blob!("syscall", "ud2")) };
        world.guest.set_registers(&registers);
        let exit = world.guest.enter(0, GuestHalf::Both, 0, Instant::NEVER)?;
        came_out(exit, Exit::Call)?;
        let (exit, after) = world.go_on()?;
        came_out(exit, trap(6, 0))?;
        is("rsp", after.rsp, rsp)?;
    }
    Ok(())
}
