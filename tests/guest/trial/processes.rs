//! Processes and their memory: what parent and child share, and page tables without much behind them.

use std::{ffi::c_int, ptr};

use crate::libc::{
    _exit, NOTHING, PAGE, PRIVATE_ANONYMOUS, READ, WITHOUT_RESERVE, WRITE, execv, fork, mmap, mprotect,
    munmap, waitpid,
};

/// Pages that parent and child share until one of them writes.
const PAGES: usize = 24;

/// Each process sees what its parent had written, and neither sees what the other writes afterwards. Rights that are taken
/// away are gone at once, and memory that is given back is empty when it comes again.
pub fn forks(count: u64) {
    // SAFETY: memory of its own, used within its bounds.
    let memory = unsafe { mmap(NOTHING, PAGES * PAGE, READ | WRITE, PRIVATE_ANONYMOUS, -1, 0) }.cast::<u64>();
    let words = PAGE / 8;
    let mut wrong = 0;
    for round in 0..count {
        for page in 0..PAGES {
            // SAFETY: as above.
            unsafe { memory.add(page * words).write_volatile(round << 8 | page as u64) };
        }
        // SAFETY: the child uses its own copy and ends, or becomes another program.
        let status = unsafe {
            match fork() {
                0 => child(memory, round),
                child => {
                    // While the child runs, the parent writes what the child must not see.
                    (0..PAGES).for_each(|page| memory.add(page * words + 1).write_volatile(round));
                    let mut status = 0;
                    assert!(child > 0 && waitpid(child, &raw mut status, 0) == child, "no process");
                    status
                }
            }
        };
        // SAFETY: as above.
        let kept = (0..PAGES)
            .all(|page| unsafe { memory.add(page * words).read_volatile() } == round << 8 | page as u64);
        let again = unsafe { comes_again(round) };
        if status != ((round * 7 % 251) as c_int) << 8 || !kept || !again {
            wrong += 1;
        }
    }
    println!("forks: {count}, {wrong} wrong");
}

unsafe fn child(memory: *mut u64, round: u64) -> ! {
    let words = PAGE / 8;
    // SAFETY: the caller's memory, which is this process's own copy; strings that end with zeros.
    unsafe {
        for page in 0..PAGES {
            let at = memory.add(page * words);
            if at.read_volatile() != round << 8 | page as u64
                || ![0, round.saturating_sub(1)].contains(&at.add(1).read_volatile())
            {
                _exit(255);
            }
            at.write_volatile(!0);
        }
        let number = format!("{round}\0");
        let arguments =
            [b"trial\0".as_ptr().cast(), b"sum\0".as_ptr().cast(), number.as_ptr().cast(), ptr::null()];
        execv(b"/proc/self/exe\0".as_ptr().cast(), arguments.as_ptr());
        _exit(254)
    }
}

/// A page that is given back and asked for again is empty.
unsafe fn comes_again(round: u64) -> bool {
    // SAFETY: memory of its own, given back before it is asked for again.
    unsafe {
        let page = mmap(NOTHING, PAGE, READ | WRITE, PRIVATE_ANONYMOUS, -1, 0);
        let word = page.cast::<u64>();
        let was_empty = word.read_volatile() == 0;
        word.write_volatile(round | 1);
        mprotect(page, PAGE, READ);
        let is_there = word.read_volatile() == round | 1;
        munmap(page, PAGE);
        was_empty && is_there
    }
}

const GIB: usize = 1 << 30;

/// A process has as many pages, a GiB apart, and a child that gives them back without having looked at one.
pub fn sparse(count: u64) {
    let bytes = count as usize * GIB;
    // SAFETY: memory of its own, touched within its bounds; the child uses its own copy, and ends.
    unsafe {
        let kind = PRIVATE_ANONYMOUS | WITHOUT_RESERVE;
        let memory = mmap(NOTHING, bytes, READ | WRITE, kind, -1, 0);
        assert!(memory as isize != -1, "no addresses");
        let word = |page: u64| memory.cast::<u8>().add(page as usize * GIB).cast::<u64>();
        (0..count).for_each(|page| word(page).write_volatile(!page));
        let mut status = 0;
        match fork() {
            0 => _exit(munmap(memory, bytes)),
            child => assert!(child > 0 && waitpid(child, &raw mut status, 0) == child, "no process"),
        }
        let wrong = (0..count).filter(|page| word(*page).read_volatile() != !page).count();
        println!("sparse: {count} pages, {wrong} wrong, child {status:#x}");
    }
}
