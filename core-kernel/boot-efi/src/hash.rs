//! SHA-256 by the CPU's own instructions, where it has them: each byte of a system goes through here.
//!
//! The crate `sha2` has them too, but looks for them on no target of UEFI's, whose compiled code does without vector
//! registers. So the blocks are hashed in assembly, which the compiler looks at no closer (FIPS 180-4, section 6.2;
//! Intel's *SDM*, volume 2, SHA256RNDS2, SHA256MSG1, SHA256MSG2).
#![expect(unsafe_code, reason = "the assembly below is no function of Rust's")]

use core::arch::{global_asm, x86_64::__cpuid_count};

use cloison_abi::image::Digest;
use cloison_measure::event;

const BLOCK: usize = 64;
const ROUNDS: usize = 64;

/// What the assembly reads: a constant for each round, and the order in which bytes make big-endian words.
#[repr(C, align(16))]
struct Constants {
    rounds: [u32; ROUNDS],
    order: [u8; 16],
}

static CONSTANTS: Constants =
    Constants { rounds: round_constants(), order: [3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12] };

/// The state before the first block, in the order in which two registers hold it: F, E, B, A and H, G, D, C.
const START: [u32; 8] =
    [0x9b05_688c, 0x510e_527f, 0xbb67_ae85, 0x6a09_e667, 0x5be0_cd19, 0x1f83_d9ab, 0xa54f_f53a, 0x3c6e_f372];
/// Where the words of the digest are in it.
const WORDS: [usize; 8] = [3, 2, 7, 6, 1, 0, 5, 4];

// RDI: the state; RSI: the blocks; RDX: how many, at least one; RCX: the constants.
global_asm!(
    ".globl sha256_blocks",
    "sha256_blocks:",
    "movdqu xmm1, [rdi]",
    "movdqu xmm2, [rdi + 16]",
    "2:",
    "movdqa xmm7, [rcx + 256]",
    "movdqu xmm3, [rsi]",
    "movdqu xmm4, [rsi + 16]",
    "movdqu xmm5, [rsi + 32]",
    "movdqu xmm6, [rsi + 48]",
    "pshufb xmm3, xmm7",
    "pshufb xmm4, xmm7",
    "pshufb xmm5, xmm7",
    "pshufb xmm6, xmm7",
    "mov r8, rcx",
    "mov eax, 16",
    // Four rounds with the oldest four of sixteen words, which then make place for the next four.
    "3:",
    "movdqa xmm0, [r8]",
    "paddd xmm0, xmm3",
    "sha256rnds2 xmm2, xmm1, xmm0",
    "pshufd xmm0, xmm0, 0x0e",
    "sha256rnds2 xmm1, xmm2, xmm0",
    "movdqa xmm7, xmm6",
    "palignr xmm7, xmm5, 4",
    "sha256msg1 xmm3, xmm4",
    "paddd xmm7, xmm3",
    "sha256msg2 xmm7, xmm6",
    "movdqa xmm3, xmm4",
    "movdqa xmm4, xmm5",
    "movdqa xmm5, xmm6",
    "movdqa xmm6, xmm7",
    "add r8, 16",
    "dec eax",
    "jnz 3b",
    "movdqu xmm7, [rdi]",
    "paddd xmm1, xmm7",
    "movdqu [rdi], xmm1",
    "movdqu xmm7, [rdi + 16]",
    "paddd xmm2, xmm7",
    "movdqu [rdi + 16], xmm2",
    "add rsi, 64",
    "dec rdx",
    "jnz 2b",
    "ret",
);

unsafe extern "sysv64" {
    fn sha256_blocks(state: *mut [u32; 8], blocks: *const u8, count: usize, constants: *const Constants);
}

/// Whether this CPU has the instructions: SHA, SSSE3 and SSE4.1.
pub(crate) fn has_instructions() -> bool {
    const SHA: u32 = 1 << 29;
    const SSSE3_AND_SSE41: u32 = 1 << 9 | 1 << 19;
    __cpuid_count(0, 0).eax >= 7
        && __cpuid_count(7, 0).ebx & SHA != 0
        && __cpuid_count(1, 0).ecx & SSSE3_AND_SSE41 == SSSE3_AND_SSE41
}

/// SHA-256 by what this CPU has.
pub(crate) fn sha256(bytes: &[u8]) -> Digest {
    if has_instructions() { by_instructions(bytes) } else { event::sha256(bytes) }
}

/// SHA-256 by the instructions, which the CPU has.
fn by_instructions(bytes: &[u8]) -> Digest {
    let (blocks, rest) = bytes.as_chunks::<BLOCK>();
    // The end: a bit, zeros, and how many bits there are.
    let mut end = [0; 2 * BLOCK];
    end[..rest.len()].copy_from_slice(rest);
    end[rest.len()] = 0x80;
    let end_bytes = if rest.len() + 9 > BLOCK { 2 * BLOCK } else { BLOCK };
    end[end_bytes - 8..end_bytes].copy_from_slice(&(8 * bytes.len() as u64).to_be_bytes());
    let mut state = START;
    for (start, count) in [(blocks.as_ptr().cast::<u8>(), blocks.len()), (end.as_ptr(), end_bytes / BLOCK)] {
        if count > 0 {
            // SAFETY: `count` blocks are there; the CPU has the instructions, and firmware has turned on the registers
            // that they use (UEFI Specification 2.10, section 2.3.4), which no compiled code here does.
            unsafe { sha256_blocks(&raw mut state, start, count, &raw const CONSTANTS) };
        }
    }
    let mut digest = [0; 32];
    for (bytes, word) in digest.chunks_exact_mut(4).zip(WORDS) {
        bytes.copy_from_slice(&state[word].to_be_bytes());
    }
    digest
}

/// The first 32 bits behind the point of the cube roots of the first primes.
const fn round_constants() -> [u32; ROUNDS] {
    let mut constants = [0; ROUNDS];
    let (mut place, mut number) = (0, 2_u128);
    while place < ROUNDS {
        let mut divisor = 2;
        while divisor * divisor <= number && !number.is_multiple_of(divisor) {
            divisor += 1;
        }
        if divisor * divisor > number {
            constants[place] = cube_root(number) as u32;
            place += 1;
        }
        number += 1;
    }
    constants
}

/// The cube root of a number, in 2^-32, rounded down.
const fn cube_root(number: u128) -> u128 {
    let (mut root, mut bit) = (0, 1 << 35);
    while bit > 0 {
        let next: u128 = root | bit;
        if next * next * next <= number << 96 {
            root = next;
        }
        bit >>= 1;
    }
    root
}
