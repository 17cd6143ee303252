//! The log: lines of text to the console's `log` gate, or to the kernel if that is closed.
//!
//! Each line goes one way as a whole: so a line that the kernel marks with a star is all there.

use core::{
    fmt::{self, Write},
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
};

use cloison_sys::{Message, Slot, call, debug_write, info, pack};

/// Bytes that one message carries.
const MESSAGE_BYTES: usize = 32;

/// Where lines go: not looked up yet, the kernel, or the gate in this slot.
static ROUTE: AtomicU32 = AtomicU32::new(UNKNOWN);
const UNKNOWN: u32 = u32::MAX;
const KERNEL: u32 = u32::MAX - 1;

/// Whether the gate has got the beginning of a line, and not its end.
static IS_BROKEN: AtomicBool = AtomicBool::new(false);

/// Logs one line; breaks within the text become blanks. [`log!`](crate::log!) is the way to call this.
pub fn line(text: fmt::Arguments<'_>) {
    let is_logged = route().is_some_and(|gate| {
        end_broken_line(gate);
        let mut sent = false;
        let is_whole = write(text, |chunk| {
            let is_sent = send(gate, chunk);
            sent |= is_sent;
            is_sent
        });
        IS_BROKEN.store(sent && !is_whole, Ordering::Relaxed);
        is_whole
    });
    if !is_logged {
        write(text, |chunk| {
            debug_write(chunk);
            true
        });
    }
}

/// Logs text as it is, with or without the end of a line.
pub fn text(text: &[u8]) {
    for chunk in text.chunks(MESSAGE_BYTES) {
        if !route().is_some_and(|gate| send(gate, chunk)) {
            debug_write(chunk);
        }
    }
}

/// Ends the line that the gate has refused to hear to its end: what comes next is no part of it.
fn end_broken_line(gate: Slot) {
    if IS_BROKEN.load(Ordering::Relaxed) && send(gate, b"\n") {
        IS_BROKEN.store(false, Ordering::Relaxed);
    }
}

/// Writes a line, a message's worth at a time. Returns whether all of it was taken.
fn write(text: fmt::Arguments<'_>, take: impl FnMut(&[u8]) -> bool) -> bool {
    let mut chunks = Chunks { bytes: [0; MESSAGE_BYTES], length: 0, take, is_taken: true };
    // An error can only come from a `Display` that gives up; what it wrote is shown.
    let _ = chunks.write_fmt(text);
    chunks.push(b'\n');
    chunks.flush();
    chunks.is_taken
}

/// Gathers text into messages, so that a line costs as few calls as it can.
struct Chunks<F> {
    bytes: [u8; MESSAGE_BYTES],
    length: usize,
    take: F,
    is_taken: bool,
}

impl<F: FnMut(&[u8]) -> bool> Chunks<F> {
    fn push(&mut self, byte: u8) {
        self.bytes[self.length] = byte;
        self.length += 1;
        if self.length == MESSAGE_BYTES {
            self.flush();
        }
    }

    /// Once a part was refused, the rest is not offered.
    fn flush(&mut self) {
        if self.length > 0 && self.is_taken {
            self.is_taken = (self.take)(&self.bytes[..self.length]);
        }
        self.length = 0;
    }
}

impl<F: FnMut(&[u8]) -> bool> Write for Chunks<F> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.bytes().for_each(|byte| self.push(if byte == b'\n' { b' ' } else { byte }));
        Ok(())
    }
}

/// Sends text to the log gate. Returns whether that took it.
fn send(gate: Slot, text: &[u8]) -> bool {
    call(gate, Message { label: text.len() as u32, words: pack(text) }).is_ok()
}

fn route() -> Option<Slot> {
    if ROUTE.load(Ordering::Relaxed) == UNKNOWN {
        let entry = info::get().find::<info::Use>("log");
        let route = entry.and_then(info::slot).map_or(KERNEL, |slot| slot.0.into());
        ROUTE.store(route, Ordering::Relaxed);
    }
    u8::try_from(ROUTE.load(Ordering::Relaxed)).ok().map(Slot)
}
