//! The system image: the one file that the boot loader hands to the kernel beside the kernel itself.
//!
//! It starts with an [`ImageHeader`], which is all that the kernel reads. The builder's segments follow, laid
//! out flat and aligned to pages, so that the kernel maps them where they lie and needs no loader and no
//! copy: pages that the builder needs zeroed, its stack among them, are zeros in the file. Then come the
//! bytes of every other domain's program and the [plan](crate::plan).

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// A SHA-256 digest.
pub type Digest = [u8; 32];

/// First bytes of a system image.
pub const IMAGE_MAGIC: [u8; 8] = *b"cloison\0";
/// Segments that the builder can have: information page, text, read-only data, writable data, stack, heap,
/// and two more for a linker that cuts finer.
pub const BUILDER_SEGMENTS: usize = 8;

/// The start of a system image.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct ImageHeader {
    /// [`IMAGE_MAGIC`].
    pub magic: [u8; 8],
    /// [`crate::ABI_VERSION`] of the image builder that wrote the file.
    pub abi_version: u32,
    /// Port of the machine's debug serial line (16550), or 0 if it has none.
    pub serial_port: u16,
    /// Port to which the kernel writes a byte to end an emulator's run (`isa-debug-exit`), or 0 if there is
    /// none.
    pub exit_port: u16,
    /// Length of the whole image, in bytes, a multiple of the page size.
    pub image_bytes: u64,
    /// Where the plan lies in the image, aligned to a page.
    pub plan_offset: u64,
    /// Length of the plan, in bytes.
    pub plan_bytes: u64,
    /// Digest of the plan.
    pub plan_digest: Digest,
    /// Address of the builder's first instruction.
    pub builder_entry: u64,
    /// First address above the builder's stack.
    pub builder_stack: u64,
    /// Address at which the builder sees this image, for reading only.
    pub builder_image_address: u64,
    /// Pages of page tables that the builder's own address space may use.
    pub builder_quota_pages: u32,
    /// How many of `builder_segments` are in use.
    pub builder_segment_count: u32,
    /// How many of them, from the first on, hold what the builder is: its information page and its program. The
    /// others are stack and heap, where it takes nothing for granted.
    pub builder_program_segments: u32,
    /// Zero.
    pub reserved: u32,
    /// [`checksum`] of this header, with 0 here, and of the pages of those segments, one after the other. The
    /// kernel starts no builder for which it is wrong.
    pub builder_checksum: u64,
    /// The builder's segments.
    pub builder_segments: [BuilderSegment; BUILDER_SEGMENTS],
}

/// A run of pages of the image that the kernel maps into the builder.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct BuilderSegment {
    /// Where it appears in the builder's address space, aligned to a page.
    pub address: u64,
    /// Where it lies in the image, aligned to a page.
    pub image_offset: u64,
    /// Length, in pages.
    pub pages: u32,
    /// [`crate::Rights`] of the mapping.
    pub rights: u32,
}

/// A checksum of bytes, taken by words of 8, that goes on from the checksum of what comes before (0 for
/// nothing). Every step can be undone, so a change within one word always shows; any other change goes
/// unnoticed once in 2^64. It notices damage, not a person who changes the image and the checksum with it.
#[must_use]
pub fn checksum(before: u64, bytes: &[u8]) -> u64 {
    /// Odd, so that multiplying by it can be undone; the bits are those of the golden ratio.
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let step =
        |sum: u64, word: [u8; 8]| (sum ^ u64::from_le_bytes(word)).wrapping_mul(FACTOR).rotate_left(29);
    let (words, rest) = bytes.as_chunks::<8>();
    // Four a turn: at boot this is much of what the kernel does.
    let (fours, others) = words.as_chunks::<4>();
    let sum = fours.iter().fold(before, |sum, [a, b, c, d]| step(step(step(step(sum, *a), *b), *c), *d));
    let sum = others.iter().fold(sum, |sum, word| step(sum, *word));
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    if rest.is_empty() { sum } else { step(sum, last) }
}

impl ImageHeader {
    /// [`checksum`] of the header, with 0 in place of the checksum that it states.
    #[must_use]
    pub fn own_checksum(&self) -> u64 {
        checksum(0, Self { builder_checksum: 0, ..*self }.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_changed_bit_changes_the_checksum() {
        let bytes: [u8; 75] = core::array::from_fn(|place| place as u8);
        let sum = checksum(0, &bytes);
        assert_eq!(checksum(checksum(0, &bytes[..16]), &bytes[16..]), sum, "it goes on");
        for bit in 0..8 * bytes.len() {
            let mut changed = bytes;
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_ne!(checksum(0, &changed), sum, "bit {bit}");
        }
    }
}
