//! Programs for the guest.
#![allow(unsafe_code, reason = "programs are written in assembly, and read as bytes")]

/// Bytes of a program at most.
pub(crate) const BLOB_BYTES: usize = 256;

/// A program that lies in this domain's own and never runs there.
#[derive(Clone, Copy)]
pub(crate) struct Blob(pub(crate) extern "C" fn());

impl Blob {
    /// The program as bytes; behind its end are breakpoints.
    pub(crate) fn bytes(self) -> [u8; BLOB_BYTES] {
        let start = self.0 as *const [u8; BLOB_BYTES];
        // SAFETY: `blob!` makes functions of this length, and a domain can read its own program.
        unsafe { start.read_volatile() }
    }
}

/// A program, line by line.
macro_rules! blob {
    ($($line:literal),+ $(,)?) => {{
        #[allow(unsafe_code, reason = "it is assembly, and is never called")]
        #[unsafe(naked)]
        extern "C" fn program() {
            core::arch::naked_asm!(
                "990:",
                $($line,)+
                ".skip {bytes} - (. - 990b), 0xcc",
                bytes = const $crate::blob::BLOB_BYTES,
            )
        }
        $crate::blob::Blob(program)
    }};
}

pub(crate) use blob;
