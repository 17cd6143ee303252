//! A guest sees what it is shown, of the regions that are attached to it, and nothing else.

use cloison_abi::{
    CallError, CallNumber,
    guest::{GUEST_LOW_END, GUEST_MAP_PAGES, GuestHalf, GuestMapEntry, SPACE_CREATE},
    limits::{KERNEL_BASE, KERNEL_END, PAGE_BYTES},
};
use cloison_rt::sys::{Instant, guest::Exit};

use super::{Act, act};
use crate::{
    blob::{Blob, blob},
    world::{
        CODE, DATA, DATA_PAGE, Found, NUMBERS, RAM, SHARED, World, Wrong, came_out, is, page_fault, readable,
        refused, trap,
    },
};

pub(crate) const ACTS: &[Act] = &[
    act("nothing is shown at the kernel's addresses", kernel_slots),
    act("nothing is shown in the last page of the lower half", last_page),
    act("nothing is shown where there is no address", no_address),
    act("no page beyond a region is shown", beyond),
    act("no region that is not attached is shown", not_attached),
    act("what a guest may only read is not shown for writing", read_only),
    act("an entry with bits that mean nothing is refused", garbage),
    act("a list is no longer than there is room for", counts),
    act("a guest reads and writes nothing of the kernel's", kernel_memory),
    act("a guest reads nothing of the prober's", probers_memory),
    act("what is not to be written is not, nor executed what is not to be", rights),
    act("a page is shown in place of another one", replaced),
    act("a page that is hidden is gone", hidden),
    act("all that was shown in a range is hidden, and nothing beside it", ranges),
    act("the upper half is seen from all spaces, and made in the first", shared_half),
    act("the lower half is a space's own", own_half),
    act("a space that has ended is not there", ended),
    act("the first space is first and last", first_space),
    act("tables come from the pool, and all come back to it", pool),
];

/// The first page of the upper half that is a guest's.
const UPPER: u64 = 0xffff_8800_0000_0000;

fn refuses(world: &mut World, address: u64, entry: GuestMapEntry, why: CallError) -> Found {
    refused(world.guest.map(0, address, &[entry]), why)
}

fn kernel_slots(world: &mut World) -> Found {
    for address in [KERNEL_BASE, KERNEL_BASE + (1 << 40), KERNEL_END - PAGE_BYTES] {
        refuses(world, address, readable(0, 0), CallError::BadArgument)?;
        refused(world.guest.unmap(0, address, 1), CallError::BadArgument)?;
    }
    let two = [readable(0, 0); 2];
    refused(world.guest.map(0, KERNEL_BASE - PAGE_BYTES, &two), CallError::BadArgument)?;
    refused(world.guest.map(0, KERNEL_END - PAGE_BYTES, &two), CallError::BadArgument)?;
    refused(world.guest.unmap(0, KERNEL_BASE - PAGE_BYTES, 1 << 31), CallError::BadArgument)?;
    world.guest.map(0, KERNEL_BASE - PAGE_BYTES, &two[..1])?;
    world.guest.map(0, KERNEL_END, &two[..1])?;
    Ok(())
}

fn last_page(world: &mut World) -> Found {
    refuses(world, GUEST_LOW_END, readable(0, 0), CallError::BadArgument)?;
    let two = [readable(0, GuestMapEntry::EXECUTE); 2];
    refused(world.guest.map(0, GUEST_LOW_END - PAGE_BYTES, &two), CallError::BadArgument)?;
    // A call at the end of the page before has an address to return to.
    world.guest.map(0, GUEST_LOW_END - PAGE_BYTES, &two[..1])?;
    let mut registers = world.load(blob!("syscall"));
    registers.rip = GUEST_LOW_END - 2;
    let _ = world.ram.write(0xffe, &[0x0f, 0x05]);
    let (exit, after) = world.go(&registers)?;
    came_out(exit, Exit::Call)?;
    is("rip", after.rip, GUEST_LOW_END)?;
    came_out(world.go_on()?.0, page_fault(0x14, GUEST_LOW_END))
}

fn no_address(world: &mut World) -> Found {
    for address in [1 << 47, 0xffff_7fff_ffff_f000, 1 << 48 | CODE, 1 << 63, 0x10_0001, 0xffff_ffff_ffff_ffff]
    {
        refuses(world, address, readable(0, 0), CallError::BadArgument)?;
        refused(world.guest.unmap(0, address, 1), CallError::BadArgument)?;
    }
    refused(world.guest.map(0, u64::MAX - PAGE_BYTES + 1, &[readable(0, 0); 2]), CallError::BadArgument)
}

fn beyond(world: &mut World) -> Found {
    let [ram, numbers] = [&world.ram, &world.numbers].map(|memory| (memory.len() as u64 / PAGE_BYTES) as u32);
    for (region, pages) in [(RAM, ram), (SHARED, 1), (NUMBERS, numbers)] {
        refuses(world, DATA, GuestMapEntry::new(region, pages), CallError::BadArgument)?;
        refuses(world, DATA, GuestMapEntry::new(region, u32::MAX), CallError::BadArgument)?;
        world.guest.map(0, DATA, &[GuestMapEntry::new(region, pages - 1)])?;
    }
    Ok(())
}

fn not_attached(world: &mut World) -> Found {
    (NUMBERS + 1..16)
        .try_for_each(|region| refuses(world, DATA, GuestMapEntry::new(region, 0), CallError::BadArgument))
}

fn read_only(world: &mut World) -> Found {
    let entry = GuestMapEntry::new(NUMBERS, 0);
    refuses(world, DATA, GuestMapEntry(entry.0 | GuestMapEntry::WRITE), CallError::MissingRight)?;
    let both = GuestMapEntry::WRITE | GuestMapEntry::EXECUTE;
    refuses(world, DATA, GuestMapEntry(entry.0 | both), CallError::MissingRight)?;
    world.guest.map(0, DATA, &[entry])?;
    came_out(world.run(write_to_data())?.0, page_fault(7, DATA))
}

/// Writes to the data page, then makes a call.
fn write_to_data() -> Blob {
    blob!("mov eax, 0x200000", "mov [rax], rax", "syscall")
}

fn garbage(world: &mut World) -> Found {
    for bit in 38..64 {
        refuses(world, DATA, GuestMapEntry(1 << bit | 1), CallError::BadArgument)?;
        if bit > 38 {
            refuses(world, DATA, GuestMapEntry(1 << bit | GuestMapEntry::SKIP.0), CallError::BadArgument)?;
        }
    }
    // It stops where one is refused, and those that are to be skipped are.
    let list = [GuestMapEntry::SKIP, readable(3, 0), GuestMapEntry(u64::MAX), readable(4, 0)];
    world.guest.map(0, DATA, &[readable(DATA_PAGE, 0)])?;
    refused(world.guest.map(0, DATA, &list), CallError::BadArgument)?;
    let program =
        blob!("mov eax, 0x200000", "mov rbx, [rax]", "mov rbx, [rax + 0x1000]", "mov rbx, [rax + 0x3000]");
    came_out(world.run(program)?.0, page_fault(4, DATA + 0x3000))
}

fn counts(world: &mut World) -> Found {
    let most = GUEST_MAP_PAGES as u64;
    for count in [0, most + 1, 1 << 32, 1 << 52, u64::MAX] {
        world.call(CallNumber::GuestMap, [0, DATA, count, 0, 0, 0], CallError::BadArgument)?;
    }
    for count in [0, 1 << 52, u64::MAX] {
        world.call(CallNumber::GuestUnmap, [0, DATA, count, 0, 0, 0], CallError::BadArgument)?;
    }
    for space in [32, 256, u64::MAX] {
        world.call(CallNumber::GuestMap, [space, DATA, 1, 0, 0, 0], CallError::BadArgument)?;
        world.call(CallNumber::GuestUnmap, [space, DATA, 1, 0, 0, 0], CallError::BadArgument)?;
        world.call(CallNumber::GuestSpace, [SPACE_CREATE, space, 0, 0, 0, 0], CallError::BadArgument)?;
    }
    for what in [3, u64::MAX] {
        world.call(CallNumber::GuestSpace, [what, 1, 0, 0, 0, 0], CallError::BadArgument)?;
    }
    world.guest.map(0, DATA, &[GuestMapEntry::SKIP; GUEST_MAP_PAGES])?;
    world.any_call(CallNumber::GuestMap, [0, DATA, most, 0, 0, 0], 0)
}

fn kernel_memory(world: &mut World) -> Found {
    for address in [KERNEL_BASE, KERNEL_BASE + 0x10_8000, KERNEL_END - 8] {
        for (blob, wanted) in [(blob!("mov rax, [rdi]"), 4), (blob!("mov [rdi], rax"), 6)] {
            let mut registers = world.load(blob);
            registers.rdi = address;
            match world.go(&registers)?.0 {
                Exit::Trap { vector: 14, code, address: at } if code & !1 == wanted && at == address => {}
                other => return Err(Wrong::Exit(other)),
            }
        }
    }
    Ok(())
}

/// Where the prober has its program and the page that it shares, the guest has nothing.
fn probers_memory(world: &mut World) -> Found {
    let mut registers = world.load(blob!("mov rax, [rdi]"));
    for address in [cloison_abi::limits::IMAGE_ADDRESS, cloison_abi::limits::INFO_ADDRESS, 0x1000_0000, 0] {
        registers.rdi = address;
        came_out(world.go(&registers)?.0, page_fault(4, address))?;
    }
    Ok(())
}

fn rights(world: &mut World) -> Found {
    world.guest.map(0, DATA, &[readable(DATA_PAGE, 0)])?;
    came_out(world.run(write_to_data())?.0, page_fault(7, DATA))?;
    let mut registers = world.load(blob!("syscall"));
    registers.rip = DATA;
    came_out(world.go(&registers)?.0, page_fault(0x15, DATA))?;
    let _ = world.ram.write(0x1000, &[0x90, 0x0f, 0x05]);
    world.guest.map(0, DATA, &[readable(DATA_PAGE, GuestMapEntry::WRITE | GuestMapEntry::EXECUTE)])?;
    came_out(world.go(&registers)?.0, Exit::Call)?;
    came_out(world.run(write_to_data())?.0, Exit::Call)
}

/// Reads a word of the data page.
fn read_from_data(world: &mut World) -> Found<u64> {
    let (exit, after) = world.run(blob!("mov eax, 0x200000", "mov rbx, [rax]", "syscall"))?;
    came_out(exit, Exit::Call).map(|()| after.rbx)
}

fn replaced(world: &mut World) -> Found {
    for page in 3..6 {
        let _ = world.ram.write(page << 12, &page.to_le_bytes());
        world.guest.map(0, DATA, &[readable(page as u32, 0)])?;
        is("the page", read_from_data(world)?, page as u64)?;
    }
    Ok(())
}

fn hidden(world: &mut World) -> Found {
    read_from_data(world)?;
    world.guest.unmap(0, DATA, 1)?;
    came_out(world.run(blob!("mov eax, 0x200000", "mov rbx, [rax]"))?.0, page_fault(4, DATA))?;
    // To hide what is not there is nothing.
    Ok(world.guest.unmap(0, DATA, 1)?)
}

/// Pages around the borders of tables: one before, and three on each.
fn ranges(world: &mut World) -> Found {
    const GIB: u64 = 1 << 30;
    let at: [u64; 8] =
        [GIB, GIB + 0x1000, GIB + 0x20_0000, 2 * GIB, 512 * GIB, 513 * GIB, 1024 * GIB, 1024 * GIB + 0x1000];
    for address in at {
        world.guest.map(0, address, &[readable(DATA_PAGE, 0)])?;
    }
    let first = at[1];
    world.guest.unmap(0, first, (at[6] - first) / PAGE_BYTES + 1)?;
    let mut registers = world.load(blob!("mov rbx, [rdi]", "syscall"));
    for (place, address) in at.into_iter().enumerate() {
        registers.rdi = address;
        let expected = if matches!(place, 0 | 7) { Exit::Call } else { page_fault(4, address) };
        came_out(world.go(&registers)?.0, expected)?;
    }
    Ok(())
}

fn shared_half(world: &mut World) -> Found {
    world.space(1)?;
    for address in [UPPER, 0xffff_8000_0000_0000, 0xffff_ffff_ffff_f000] {
        let page = readable(DATA_PAGE, 0);
        refused(world.guest.map(1, address, &[page]), CallError::BadArgument)?;
        refused(world.guest.unmap(1, address, 1), CallError::BadArgument)?;
        world.guest.map(0, address, &[page])?;
    }
    world.space(31)?;
    let mut registers = world.load(blob!("mov rbx, [rdi]", "syscall"));
    registers.rdi = UPPER;
    let see = |world: &mut World, half, expected| -> Found {
        for space in [0, 1, 31] {
            world.guest.set_registers(&registers);
            came_out(world.guest.enter(space, half, 0, Instant::NEVER)?, expected)?;
        }
        Ok(())
    };
    see(world, GuestHalf::Both, Exit::Call)?;
    see(world, GuestHalf::Lower, page_fault(4, UPPER))?;
    world.guest.unmap(0, UPPER, 1 << 27)?;
    see(world, GuestHalf::Both, page_fault(4, UPPER))
}

fn own_half(world: &mut World) -> Found {
    world.space(1)?;
    world.guest.map(1, DATA + 0x1000, &[readable(DATA_PAGE, 0)])?;
    let mut registers = world.load(blob!("mov rbx, [rdi]", "syscall"));
    registers.rdi = DATA + 0x1000;
    for (space, expected) in [(0, page_fault(4, DATA + 0x1000)), (1, Exit::Call)] {
        for half in [GuestHalf::Both, GuestHalf::Lower] {
            world.guest.set_registers(&registers);
            came_out(world.guest.enter(space, half, 0, Instant::NEVER)?, expected)?;
        }
    }
    Ok(())
}

/// Right after it has run there.
fn ended(world: &mut World) -> Found {
    world.space(1)?;
    let registers = world.load(blob!("syscall"));
    world.guest.set_registers(&registers);
    came_out(world.guest.enter(1, GuestHalf::Both, 0, Instant::NEVER)?, Exit::Call)?;
    world.guest.destroy_space(1)?;
    refused(world.guest.enter(1, GuestHalf::Both, 0, Instant::NEVER), CallError::BadState)?;
    refused(world.guest.map(1, DATA, &[readable(0, 0)]), CallError::BadState)?;
    refused(world.guest.unmap(1, DATA, 1), CallError::BadState)?;
    refused(world.guest.destroy_space(1), CallError::BadState)?;
    // What was seen there is not seen in the next one.
    world.guest.create_space(1)?;
    world.guest.set_registers(&registers);
    came_out(world.guest.enter(1, GuestHalf::Both, 0, Instant::NEVER)?, page_fault(0x14, CODE))
}

fn first_space(world: &mut World) -> Found {
    world.guest.create_space(7)?;
    refused(world.guest.create_space(7), CallError::BadState)?;
    refused(world.guest.destroy_space(0), CallError::BadState)?;
    came_out(world.run(blob!("ud2"))?.0, trap(6, 0))?;
    world.guest.destroy_space(7)?;
    world.guest.destroy_space(0)?;
    refused(world.guest.create_space(7), CallError::BadState)?;
    world.guest.create_space(0)?;
    Ok(())
}

/// How many pages can be shown, each in tables of its own, until there is no room.
fn fill(world: &mut World) -> Found<u64> {
    for count in 0..4096 {
        match world.guest.map(0, (count + 1) << 30, &[readable(0, 0)]) {
            Ok(()) => {}
            Err(CallError::QuotaExceeded) => return Ok(count),
            Err(error) => return Err(error.into()),
        }
    }
    Err(Wrong::Said("the pool has no end"))
}

fn pool(world: &mut World) -> Found {
    let all = fill(world)?;
    if all < 16 {
        return Err(Wrong::Differs("the pool's room", all, 16));
    }
    refused(world.guest.create_space(1), CallError::QuotaExceeded)?;
    // What is there still works.
    came_out(world.run(blob!("syscall"))?.0, Exit::Call)?;
    // One by one, by a range, and with the space: it has room again, for as many.
    for _ in 0..2 {
        world.guest.unmap(0, 1 << 30, (all + 1) << 18)?;
        is("the room after a range is hidden", fill(world)?, all)?;
        world.begin()?;
        is("the room after a space has ended", fill(world)?, all)?;
    }
    world.guest.unmap(0, 0, GUEST_LOW_END / PAGE_BYTES)?;
    is("the room after all is hidden", u64::from(fill(world)? >= all), 1)?;
    world.begin()
}
