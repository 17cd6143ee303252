//! Who had called whom when the domain panics: where the calls return to that are on its stack.
#![allow(unsafe_code, reason = "words of the stack and bytes of the text are read by their addresses")]

use core::{
    fmt,
    ops::Range,
    sync::atomic::{AtomicU64, Ordering},
};

use cloison_sys::callers::{CALL_BYTES, MOST, WORDS, ends_with_call};

/// The address of a word of the first function's frame: the stack is in use up to there.
static BOTTOM: AtomicU64 = AtomicU64::new(0);

/// Notes where the stack begins.
pub(crate) fn begin() {
    let word = 0_u64;
    BOTTOM.store((&raw const word).addr() as u64, Ordering::Relaxed);
}

/// Tells the log who had called whom, the innermost first.
pub(crate) fn tell() {
    let word = 0_u64;
    let callers =
        Callers { stack: (&raw const word).addr() as u64..BOTTOM.load(Ordering::Relaxed), text: text() };
    if callers.all().next().is_some() {
        crate::log!("called from{callers}");
    }
}

/// The addresses of the program's text.
fn text() -> Range<u64> {
    unsafe extern "C" {
        fn _start();
        static __text_end: u8;
    }
    _start as *const () as u64..(&raw const __text_end).addr() as u64
}

/// A stack, as far as it is in use, and the text into which its calls return.
struct Callers {
    stack: Range<u64>,
    text: Range<u64>,
}

impl Callers {
    /// Where its calls return to.
    fn all(&self) -> impl Iterator<Item = u64> {
        let words = self.stack.clone().step_by(size_of::<u64>()).take(WORDS);
        let words = words.map(|at| {
            // SAFETY: the domain has one stack, and this word lies between a word of the frame in use and one of the first
            // frame, both of them aligned. It is read as a number, whatever it is.
            unsafe { core::ptr::with_exposed_provenance::<u64>(at as usize).read_volatile() }
        });
        words.filter(|address| self.is_behind_call(*address)).take(MOST)
    }

    fn is_behind_call(&self, address: u64) -> bool {
        let start = address.checked_sub(CALL_BYTES as u64);
        let Some(start) = start.filter(|start| self.text.contains(start) && self.text.contains(&address))
        else {
            return false;
        };
        // SAFETY: these bytes are text of the program, which the linker has put there, and nobody writes.
        let before =
            unsafe { core::ptr::with_exposed_provenance::<[u8; CALL_BYTES]>(start as usize).read_volatile() };
        ends_with_call(&before)
    }
}

impl fmt::Display for Callers {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.all().try_for_each(|address| write!(out, " {address:#x}"))
    }
}
