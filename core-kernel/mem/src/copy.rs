//! The copy of bytes, as instructions that the compiler does not look into.

use core::arch::asm;

/// Copies `count` bytes upwards.
///
/// By vector registers, 128 bytes a turn, then 64, then 16; what is left at the end is copied together with some bytes
/// before it. A string instruction (`rep movsb`) is as fast on a CPU of today, but slow to begin, and one step
/// for each byte where instructions are emulated. Because it is opaque to the compiler, it may also copy from
/// or to memory that another domain changes at the same time: the bytes are then some mixture, and nothing
/// worse.
///
/// # Safety
/// `from` has `count` bytes to read, `to` has `count` bytes to write, and `to` does not lie inside of them
/// behind `from`.
#[inline]
pub unsafe fn copy(to: *mut u8, from: *const u8, count: usize) {
    // SAFETY: the caller vouches for both areas, and each access lies `count` bytes or less from their start.
    unsafe {
        asm!(
            "cmp {count}, 64",
            "jb 3f",
            "mov {word}, {count}",
            "and {word}, -128",
            "jz 21f",
            // `word` counts up to 0, from the end of the whole pieces of 128 bytes.
            "add {from}, {word}",
            "add {to}, {word}",
            "neg {word}",
            "2:",
            "movups {a}, [{from} + {word}]",
            "movups {b}, [{from} + {word} + 16]",
            "movups {c}, [{from} + {word} + 32]",
            "movups {d}, [{from} + {word} + 48]",
            "movups [{to} + {word}], {a}",
            "movups [{to} + {word} + 16], {b}",
            "movups [{to} + {word} + 32], {c}",
            "movups [{to} + {word} + 48], {d}",
            "movups {a}, [{from} + {word} + 64]",
            "movups {b}, [{from} + {word} + 80]",
            "movups {c}, [{from} + {word} + 96]",
            "movups {d}, [{from} + {word} + 112]",
            "movups [{to} + {word} + 64], {a}",
            "movups [{to} + {word} + 80], {b}",
            "movups [{to} + {word} + 96], {c}",
            "movups [{to} + {word} + 112], {d}",
            "add {word}, 128",
            "jnz 2b",
            "and {count}, 127",
            "cmp {count}, 64",
            "jb 3f",
            "21:",
            "movups {a}, [{from}]",
            "movups {b}, [{from} + 16]",
            "movups {c}, [{from} + 32]",
            "movups {d}, [{from} + 48]",
            "movups [{to}], {a}",
            "movups [{to} + 16], {b}",
            "movups [{to} + 32], {c}",
            "movups [{to} + 48], {d}",
            "add {from}, 64",
            "add {to}, 64",
            "sub {count}, 64",
            "3:",
            "cmp {count}, 16",
            "jb 5f",
            // The last 16 bytes, read before anything is written that `from` may have further on.
            "movups {d}, [{from} + {count} - 16]",
            "jmp 42f",
            "4:",
            "movups {a}, [{from}]",
            "movups [{to}], {a}",
            "add {from}, 16",
            "add {to}, 16",
            "sub {count}, 16",
            "42:",
            "cmp {count}, 16",
            "ja 4b",
            "movups [{to} + {count} - 16], {d}",
            "jmp 7f",
            "5:",
            "cmp {count}, 8",
            "jb 62f",
            // The first and the last eight bytes, which may be the same in part.
            "mov {word}, [{from}]",
            "mov {last}, [{from} + {count} - 8]",
            "mov [{to}], {word}",
            "mov [{to} + {count} - 8], {last}",
            "jmp 7f",
            "6:",
            "mov {word:l}, byte ptr [{from}]",
            "mov byte ptr [{to}], {word:l}",
            "inc {from}",
            "inc {to}",
            "dec {count}",
            "62:",
            "test {count}, {count}",
            "jnz 6b",
            "7:",
            count = inout(reg) count => _,
            from = inout(reg) from => _,
            to = inout(reg) to => _,
            word = out(reg) _,
            last = out(reg) _,
            a = out(xmm_reg) _,
            b = out(xmm_reg) _,
            c = out(xmm_reg) _,
            d = out(xmm_reg) _,
            options(nostack),
        );
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::{vec, vec::Vec};

    use super::*;

    #[test]
    fn copies_as_many_bytes_as_asked() {
        let from: Vec<u8> = (0..=u8::MAX).cycle().take(420).collect();
        for (start, count) in (0..17).flat_map(|start| (0..=400).map(move |count| (start, count))) {
            let mut to = vec![0xee; 440];
            // SAFETY: both lie inside their vectors, which are different.
            unsafe { copy(to.as_mut_ptr().add(start), from.as_ptr().add(start + 3), count) };
            let expected = [&vec![0xee; start][..], &from[start + 3..][..count]].concat();
            assert_eq!(to[..start + count], expected);
            assert!(to[start + count..].iter().all(|byte| *byte == 0xee), "{count} bytes at {start}");
        }
    }

    #[test]
    fn moves_bytes_downwards_by_as_little_as_asked() {
        for (by, count) in (1..150).flat_map(|by| (0..=400).map(move |count| (by, count))) {
            let mut bytes: Vec<u8> = (0..=u8::MAX).cycle().take(600).collect();
            let expected = [&bytes[by..][..count], &bytes[count..]].concat();
            // SAFETY: both lie inside the vector, and `to` in front of `from`.
            unsafe { copy(bytes.as_mut_ptr(), bytes.as_ptr().add(by), count) };
            assert_eq!(bytes, expected, "{count} bytes by {by}");
        }
    }
}
