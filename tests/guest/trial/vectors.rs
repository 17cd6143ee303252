//! Vector registers, beside others that use them too.

use std::arch::asm;

/// Rounds between two looks at what was lost.
const ROUNDS: u64 = 5000;

/// Keeps registers full and looks at them again and again. What it does between, a system call that lets others run, could
/// lose them.
pub fn vectors(number: u64, rounds: Option<u64>) {
    let kind = if std::is_x86_feature_detected!("avx") { "AVX" } else { "SSE" };
    let mut lost = 0_u64;
    for round in 1..=rounds.unwrap_or(u64::MAX) {
        let seed = number << 32 | round;
        // SAFETY: the CPU has AVX, or the other one is taken.
        let kept = unsafe { if kind == "AVX" { keep_avx(seed) } else { keep_sse(seed) } };
        lost += u64::from(!kept);
        if round % ROUNDS == 0 {
            println!("vectors {number}: {round} rounds with {kind}, {lost} lost");
        }
    }
}

/// Fills the registers, lets others have the CPU, and compares.
unsafe fn keep_avx(seed: u64) -> bool {
    let words: [u64; 4] = [seed, !seed, seed.rotate_left(17), seed ^ 0x5555_aaaa_5555_aaaa];
    let mut out = [[0_u64; 4]; 3];
    // SAFETY: reads four words, writes three times four; sched_yield changes nothing else.
    unsafe {
        asm!(
            "vmovdqu ymm0, [{words}]",
            "vmovdqu ymm7, [{words}]",
            "vmovdqu ymm15, [{words}]",
            "mov eax, 24",
            "syscall",
            "pause",
            "vmovdqu [{out}], ymm0",
            "vmovdqu [{out} + 32], ymm7",
            "vmovdqu [{out} + 64], ymm15",
            words = in(reg) words.as_ptr(),
            out = in(reg) out.as_mut_ptr(),
            out("rax") _, out("rcx") _, out("r11") _,
            out("xmm0") _, out("xmm7") _, out("xmm15") _,
        );
    }
    out.iter().all(|kept| *kept == words)
}

unsafe fn keep_sse(seed: u64) -> bool {
    let words: [u64; 2] = [seed, !seed];
    let mut out = [[0_u64; 2]; 2];
    // SAFETY: as above.
    unsafe {
        asm!(
            "movdqu xmm0, [{words}]",
            "movdqu xmm15, [{words}]",
            "mov eax, 24",
            "syscall",
            "movdqu [{out}], xmm0",
            "movdqu [{out} + 16], xmm15",
            words = in(reg) words.as_ptr(),
            out = in(reg) out.as_mut_ptr(),
            out("rax") _, out("rcx") _, out("r11") _,
            out("xmm0") _, out("xmm15") _,
        );
    }
    out.iter().all(|kept| *kept == words)
}
