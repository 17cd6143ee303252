//! What the guest's kernel is told of the CPU: what the CPU says, without the features that take privilege or that no
//! state is kept for, and with the hypervisor's own leaves. User programs ask the CPU itself; so all that counts to
//! them (vector registers and how they are saved) has to be shown as it is.

use cloison_xen::cpuid::{BASE, KEEPS_ACCESSED_DIRTY, LAST, SIGNATURE};

use crate::cpu::CR4_OSXSAVE;
use crate::machine::Machine;

/// The version of the interface: 4.17.
pub const VERSION: u32 = 4 << 16 | 17;

/// Last of the CPU's leaves that are shown: those behind it are about tracing, enclaves, partitions of caches.
const LAST_BASIC: u32 = 0xd;
/// Last of the leaves with more of it.
const LAST_EXTENDED: u32 = 0x8000_0008;
/// First of the leaves with more of it.
const EXTENDED: u32 = 0x8000_0000;
/// The leaf that says, with this bit of `eax`, that a selector of nothing clears the base of its segment.
const SELECTORS: u32 = 0x8000_0021;
const CLEARS_BASE: u32 = 1 << 6;
/// What QEMU calls itself where hypervisors are looked for when it emulates the CPU.
const EMULATOR: [u32; 3] =
    [u32::from_le_bytes(*b"TCGT"), u32::from_le_bytes(*b"CGTC"), u32::from_le_bytes(*b"GTCG")];
/// Where hypervisors are looked for.
const HYPERVISORS: core::ops::RangeInclusive<u32> = BASE..=BASE + 0xffff;

/// Leaf 1, `ecx`: SSE3, PCLMULQDQ, SSSE3, FMA, CX16, SSE4.1, SSE4.2, MOVBE, POPCNT, AES, XSAVE, OSXSAVE, AVX, F16C,
/// RDRAND.
const FEATURES_1C: u32 = bits(&[0, 1, 9, 12, 13, 19, 20, 22, 23, 25, XSAVE, OSXSAVE, AVX, 29, 30]);
/// Leaf 1, `edx`: FPU, TSC, MSR, PAE, CX8, APIC, CMOV, PAT, CLFSH, MMX, FXSR, SSE, SSE2, SS. Not MCE and MCA: there are no
/// banks; not SEP: `sysenter` faults; not PGE, PSE, PSE36, VME, MTRR, DE: there is nothing behind them.
const FEATURES_1D: u32 = bits(&[0, 4, 5, 6, 8, 9, 15, 16, 19, 23, 24, 25, 26, 27]);
/// Leaf 7, `ebx`: BMI1, AVX2, FDP_EXCPTN_ONLY, BMI2, ERMS, no FCS and FDS, RDSEED, ADX, CLFLUSHOPT, CLWB, SHA. Not
/// FSGSBASE, which the kernel has not turned on; not SMEP and SMAP, which mean nothing in ring 3.
const FEATURES_7B: u32 = bits(&[3, 5, 6, 8, 9, 13, 18, 19, 23, 24, 29]);
/// Leaf 7, `ecx`: GFNI, VAES, VPCLMULQDQ. Not RDPID: the register that it reads is not the guest's.
const FEATURES_7C: u32 = bits(&[8, 9, 10]);
/// Leaf 7, `edx`: FSRM.
const FEATURES_7D: u32 = bits(&[4]);
/// Leaf 7, `ebx`: ERMS. Like FSRM it says that strings are moved and stored as fast byte by byte as in words. QEMU's emulation
/// has both bits, and takes one instruction for each byte; without them, Linux takes words.
const FAST_BYTES_7B: u32 = bits(&[9]);
/// Leaf 0xd, subleaf 1, `eax`: XSAVEOPT, XSAVEC, XGETBV with 1. Not XSAVES, which takes privilege.
const FEATURES_D1: u32 = bits(&[0, 1, 2]);
/// Leaf 0x80000001, `ecx`: LAHF, LZCNT, SSE4A, MISALIGNSSE, PREFETCHW.
const FEATURES_81C: u32 = bits(&[0, 5, 6, 7, 8]);
/// Leaf 0x80000001, `edx`: SYSCALL, NX, MMXEXT, FXSR_OPT, RDTSCP, LM, both of 3DNow, and what leaf 1 has at the same
/// places.
const FEATURES_81D: u32 = bits(&[11, 20, 22, 25, 27, 29, 30, 31]) | FEATURES_1D & COMMON_81D;
/// What of leaf 1, `edx`, is repeated in leaf 0x80000001.
const COMMON_81D: u32 = 0x0183_f3ff;
/// Leaf 0x80000007, `edx`: the counter runs always alike.
const INVARIANT_COUNTER: u32 = 1 << 8;

const XSAVE: u32 = 26;
const OSXSAVE: u32 = 27;
const AVX: u32 = 28;
/// Leaf 1, `ecx`: there is a hypervisor.
const HYPERVISOR: u32 = 1 << 31;
/// Leaf 1, `ebx`: bytes of a cache line, as `clflush` has it. Not the numbers of CPUs.
const CACHE_LINE: u32 = 0xff00;
/// Leaf 4, `eax`: what the cache is like, without who shares it.
const CACHE_KIND: u32 = 0x3fff;

/// States that XSAVE saves: of the old floating point unit and of SSE.
const STATES: u64 = 3;
/// And of AVX.
const STATE_AVX: u64 = 1 << 2;
/// Bytes that XSAVE needs without AVX, and with it.
const SAVE_BYTES: u32 = 576;
const SAVE_BYTES_AVX: u32 = 832;

const fn bits(numbers: &[u32]) -> u32 {
    let mut word = 0;
    let mut at = 0;
    while at < numbers.len() {
        word |= 1 << numbers[at];
        at += 1;
    }
    word
}

/// What `cpuid` leaves in `eax`, `ebx`, `ecx` and `edx`. `xcr0`: the states that the guest has chosen to save.
pub fn shown(machine: &impl Machine, xcr0: u64, leaf: u32, subleaf: u32) -> [u32; 4] {
    if HYPERVISORS.contains(&leaf) {
        return hypervisor(leaf);
    }
    let [a, b, c, d] = machine.cpuid(leaf, subleaf);
    match (leaf, subleaf) {
        (0, _) => [a.min(LAST_BASIC), b, c, d],
        (1, _) => [a, b & CACHE_LINE, c & FEATURES_1C | HYPERVISOR, d & FEATURES_1D],
        (2, _) => [a, b, c, d],
        (4, _) => [a & CACHE_KIND, b, c, d],
        (7, 0) if is_emulated(machine) => [0, b & FEATURES_7B & !FAST_BYTES_7B, c & FEATURES_7C, 0],
        (7, 0) => [0, b & FEATURES_7B, c & FEATURES_7C, d & FEATURES_7D],
        (0xd, _) => states_leaf(machine, xcr0, subleaf, [a, b, c, d]),
        (EXTENDED, _) if clears_base(machine) => [SELECTORS, b, c, d],
        (EXTENDED, _) => [a.min(LAST_EXTENDED), b, c, d],
        (SELECTORS, _) if clears_base(machine) => [CLEARS_BASE, 0, 0, 0],
        (0x8000_0001, _) => [a, 0, c & FEATURES_81C, d & FEATURES_81D],
        (0x8000_0002..=0x8000_0006, _) => [a, b, c, d],
        (0x8000_0007, _) => [0, 0, 0, INVARIANT_COUNTER],
        (0x8000_0008, _) => [a & 0xffff, 0, 0, 0],
        _ => [0; 4],
    }
}

/// Whether a selector of nothing clears the base of its segment. A Linux that is not told so loads each segment twice when it
/// changes to another process, which are two exits. Not all CPUs do; one that does has a bit to say so, which QEMU's
/// emulation lacks (its `helper_load_seg` loads base 0).
fn clears_base(machine: &impl Machine) -> bool {
    let has_leaf = machine.cpuid(EXTENDED, 0)[0] >= SELECTORS;
    has_leaf && machine.cpuid(SELECTORS, 0)[0] & CLEARS_BASE != 0 || is_emulated(machine)
}

/// Whether QEMU emulates the CPU.
fn is_emulated(machine: &impl Machine) -> bool {
    machine.cpuid(BASE, 0)[1..] == EMULATOR
}

/// The hypervisor's leaves.
fn hypervisor(leaf: u32) -> [u32; 4] {
    match leaf - BASE {
        0 => [LAST, SIGNATURE[0], SIGNATURE[1], SIGNATURE[2]],
        1 => [VERSION, 0, 0, 0],
        // One page of hypercalls, and the register that Xen has for it.
        2 => [1, BASE, KEEPS_ACCESSED_DIRTY, 0],
        _ => [0; 4],
    }
}

/// Leaf 0xd: states that XSAVE saves.
fn states_leaf(machine: &impl Machine, xcr0: u64, subleaf: u32, found: [u32; 4]) -> [u32; 4] {
    let all = states(machine);
    match subleaf {
        _ if all == 0 => [0; 4],
        0 => [all as u32, save_bytes(xcr0), save_bytes(all), 0],
        1 => [found[0] & FEATURES_D1, save_bytes(xcr0), 0, 0],
        2 if all & STATE_AVX != 0 => found,
        _ => [0; 4],
    }
}

fn save_bytes(states: u64) -> u32 {
    if states & STATE_AVX == 0 { SAVE_BYTES } else { SAVE_BYTES_AVX }
}

/// The states that all CPUs here save: the kernel enables these if the CPU has them, and no others.
pub fn states(machine: &impl Machine) -> u64 {
    let features = machine.cpuid(1, 0)[2];
    match (features >> XSAVE & 1, features >> AVX & 1) {
        (0, _) => 0,
        (_, 0) => STATES,
        _ => STATES | STATE_AVX,
    }
}

/// Whether these are states that can be chosen.
pub fn are_states(machine: &impl Machine, chosen: u64) -> bool {
    let needs_sse = chosen & STATE_AVX != 0 && chosen & STATES != STATES;
    chosen & 1 != 0 && !needs_sse && chosen & !states(machine) == 0
}

/// The bit of CR4 that goes with them.
pub fn cr4(machine: &impl Machine) -> u64 {
    if states(machine) == 0 { 0 } else { CR4_OSXSAVE }
}
