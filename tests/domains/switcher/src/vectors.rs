//! The vector registers, seen from outside.
#![allow(unsafe_code, reason = "registers are filled and read by assembly")]

use core::arch::{
    naked_asm,
    x86_64::{__cpuid, _xgetbv},
};

/// Bytes of the sixteen registers.
const REGISTER_BYTES: usize = 16 * 32;
/// The control words after a system call: everything masked, round to nearest.
const INITIAL_MXCSR: u32 = 0x1f80;
const INITIAL_X87: u32 = 0x37f;

/// `ymm0` to `ymm15`, the control word of the vector unit, and that of the x87 unit.
#[derive(Clone, PartialEq, Eq)]
#[repr(C, align(32))]
pub(crate) struct Vectors {
    registers: [u64; REGISTER_BYTES / 8],
    mxcsr: u32,
    x87: u32,
}

impl Vectors {
    const EMPTY: Self = Self { registers: [0; REGISTER_BYTES / 8], mxcsr: 0, x87: 0 };

    /// Values that no other domain and no other round has.
    pub(crate) fn pattern(seed: u64, round: u32) -> Self {
        let start = seed << 56 | u64::from(round) << 16;
        // Other roundings than the initial ones; all exceptions stay masked.
        let rounding = 1 + round % 3;
        Self {
            registers: core::array::from_fn(|index| start | index as u64),
            mxcsr: INITIAL_MXCSR | rounding << 13,
            x87: INITIAL_X87 | rounding << 10,
        }
    }

    /// Whether nothing is in the registers.
    pub(crate) fn is_initial(&self) -> bool {
        let empty = self.registers.iter().all(|word| *word == 0);
        empty && self.mxcsr == INITIAL_MXCSR && self.x87 == INITIAL_X87
    }
}

/// Whether the CPU has these registers and the kernel keeps them.
pub(crate) fn are_there() -> bool {
    const OSXSAVE_AND_AVX: u32 = 1 << 27 | 1 << 28;
    let features = __cpuid(1).ecx;
    // SAFETY: `xgetbv` exists, and is open to domains, if OSXSAVE is set.
    features & OSXSAVE_AND_AVX == OSXSAVE_AND_AVX && unsafe { kept_state() } & 6 == 6
}

/// # Safety
/// The CPU has XSAVE, and the kernel has enabled it.
#[target_feature(enable = "xsave")]
unsafe fn kept_state() -> u64 {
    // SAFETY: the caller's.
    unsafe { _xgetbv(0) }
}

/// Makes a call with this in the vector registers. Returns `rax`, and what is in them then.
pub(crate) fn call_with(rax: u64, arguments: [u64; 6], before: &Vectors) -> (u64, Vectors) {
    let mut after = Vectors::EMPTY;
    // SAFETY: both references are good for the bytes that the code reads and writes, and aligned; the calls
    // made here (`Call`, `ReplyWait`) change no memory. The code keeps the registers that a function has to
    // keep.
    let outcome = unsafe { enter(rax, &arguments, before, &mut after) };
    (outcome, after)
}

/// Makes a call with `pattern` in the registers that a call keeps, and `deadline` as the last argument. Returns 0 if
/// all of them are as they were.
pub(crate) fn kept_over(rax: u64, deadline: u64, pattern: u64) -> u64 {
    // SAFETY: as in `call_with`; the code keeps the registers that a function has to keep.
    unsafe { keep(rax, deadline, pattern) }
}

/// Keeps this in the vector registers for `spins` rounds of a loop. Returns what is in them then.
pub(crate) fn hold(before: &Vectors, spins: u64) -> Vectors {
    let mut after = Vectors::EMPTY;
    // SAFETY: as in `call_with`; no call is made.
    unsafe { spin(spins, before, &mut after) };
    after
}

/// Assembly that loads every register from `$from` (a register's name).
macro_rules! load {
    ($from:literal) => {
        concat!(
            "ldmxcsr [",
            $from,
            " + 512]\n",
            "fldcw [",
            $from,
            " + 516]\n",
            ".irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n",
            "vmovdqu ymm\\n, [",
            $from,
            " + 32 * \\n]\n",
            ".endr"
        )
    };
}

/// Assembly that stores every register to `$to`, and leaves the initial state.
macro_rules! store {
    ($to:literal) => {
        concat!(
            ".irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n",
            "vmovdqu [",
            $to,
            " + 32 * \\n], ymm\\n\n",
            ".endr\n",
            "stmxcsr [",
            $to,
            " + 512]\n",
            "fnstcw [",
            $to,
            " + 516]\n",
            "fninit\n",
            "vzeroall\n",
            "push 0x1f80\n",
            "ldmxcsr [rsp]\n",
            "pop rcx"
        )
    };
}

#[unsafe(naked)]
unsafe extern "sysv64" fn enter(
    rax: u64,
    arguments: &[u64; 6],
    before: &Vectors,
    after: &mut Vectors,
) -> u64 {
    naked_asm!(
        "push rbp",
        "mov rbp, rcx",
        load!("rdx"),
        "mov rax, rdi",
        "mov rdi, [rsi]",
        "mov rdx, [rsi + 16]",
        "mov r10, [rsi + 24]",
        "mov r8, [rsi + 32]",
        "mov r9, [rsi + 40]",
        "mov rsi, [rsi + 8]",
        "syscall",
        store!("rbp"),
        "pop rbp",
        "ret",
    )
}

#[unsafe(naked)]
unsafe extern "sysv64" fn spin(spins: u64, before: &Vectors, after: &mut Vectors) {
    naked_asm!(load!("rsi"), "2:", "dec rdi", "jnz 2b", store!("rdx"), "ret",)
}

#[unsafe(naked)]
unsafe extern "sysv64" fn keep(rax: u64, deadline: u64, pattern: u64) -> u64 {
    naked_asm!(
        ".irp r,rbx,rbp,r12,r13,r14,r15",
        "push \\r",
        ".endr",
        "push rdx",
        "push rsi",
        ".irp r,rbx,rbp,r12,r13,r14,r15",
        "mov \\r, rdx",
        "rol rdx, 8",
        ".endr",
        "mov rax, rdi",
        "mov r9, rsi",
        "xor r8d, r8d",
        "syscall",
        "pop rsi",
        "pop rdx",
        "xor r9, rsi",
        "mov rax, r9",
        ".irp r,rbx,rbp,r12,r13,r14,r15",
        "xor \\r, rdx",
        "or rax, \\r",
        "rol rdx, 8",
        ".endr",
        ".irp r,r15,r14,r13,r12,rbp,rbx",
        "pop \\r",
        ".endr",
        "ret",
    )
}
