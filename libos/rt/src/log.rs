//! The log: lines of text to the console's `log` gate, or to the kernel if that is closed.

use core::{
    fmt::{self, Write},
    sync::atomic::{AtomicU32, Ordering},
};

use cloison_abi::info::InfoKind;
use cloison_sys::{Message, Slot, call, debug_write, info, pack};

/// Bytes that one message carries.
const MESSAGE_BYTES: usize = 32;

/// Where lines go: not looked up yet, the kernel, or the gate in this slot.
static ROUTE: AtomicU32 = AtomicU32::new(UNKNOWN);
const UNKNOWN: u32 = u32::MAX;
const KERNEL: u32 = u32::MAX - 1;

/// Logs one line; breaks within the text become blanks. [`log!`](crate::log!) is the way to call this.
pub fn line(text: fmt::Arguments<'_>) {
    let mut writer = Chunks { bytes: [0; MESSAGE_BYTES], length: 0 };
    // `Chunks` never fails, so an error can only come from a `Display` that gives up; what it wrote is shown.
    let _ = writer.write_fmt(text);
    writer.push(b'\n');
    writer.flush();
}

/// Logs text as it is, with or without the end of a line.
pub fn text(text: &[u8]) {
    text.chunks(MESSAGE_BYTES).for_each(send);
}

/// Gathers text into messages, so that a line costs as few calls as it can.
struct Chunks {
    bytes: [u8; MESSAGE_BYTES],
    length: usize,
}

impl Chunks {
    fn push(&mut self, byte: u8) {
        self.bytes[self.length] = byte;
        self.length += 1;
        if self.length == MESSAGE_BYTES {
            self.flush();
        }
    }

    fn flush(&mut self) {
        if self.length > 0 {
            send(&self.bytes[..self.length]);
            self.length = 0;
        }
    }
}

impl Write for Chunks {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.bytes().for_each(|byte| self.push(if byte == b'\n' { b' ' } else { byte }));
        Ok(())
    }
}

/// Sends text to the log gate; to the kernel's debug output if there is no gate or it refuses.
fn send(text: &[u8]) {
    let message = Message { label: text.len() as u32, words: pack(text) };
    let logged = route().is_some_and(|gate| call(gate, message).is_ok());
    if !logged {
        debug_write(text);
    }
}

fn route() -> Option<Slot> {
    if ROUTE.load(Ordering::Relaxed) == UNKNOWN {
        let entry = info::get().find(InfoKind::Use, "log");
        let route = entry.and_then(info::slot).map_or(KERNEL, |slot| slot.0.into());
        ROUTE.store(route, Ordering::Relaxed);
    }
    u8::try_from(ROUTE.load(Ordering::Relaxed)).ok().map(Slot)
}
