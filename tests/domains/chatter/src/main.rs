//! Chatter: writes to the kernel's debug output as much as one call can ask for, then line after line.

#![no_std]
#![no_main]

use core::fmt::Write;

use cloison_rt::sys::debug_write;

cloison_rt::entry!(main);

/// More than the kernel's log holds, several times.
const LINES: u32 = 2000;

fn main() {
    debug_write(&[b'\n'; 32]);
    debug_write(b"end and begin\nagain and again\nend");
    debug_write(b"less\n");
    for number in 1..=LINES {
        // The kernel takes everything.
        let _ = writeln!(Debug, "line {number} of {LINES}");
    }
}

struct Debug;

impl Write for Debug {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        debug_write(text.as_bytes());
        Ok(())
    }
}
