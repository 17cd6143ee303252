//! The kernel attacks itself: only in a kernel that is built for the tests, with the feature `self-attack`.
//!
//! It reads back what protects it, walks its own page tables, and tries what they forbid. Each property has a line
//! that says whether it holds.

use core::{
    arch::{asm, global_asm, x86_64::__cpuid_count},
    sync::atomic::AtomicU64,
};

use cloison_abi::limits::KERNEL_BASE;
use cloison_rules::{DomainId, Frame, Peer, memory::Run};
use x86_64::{
    VirtAddr,
    instructions::tables::lgdt,
    registers::{
        control::{Cr0, Cr0Flags},
        model_specific::{LStar, Msr, SFMask},
        rflags::{self, RFlags},
    },
    structures::{DescriptorTablePointer, paging::PageTableFlags as Flags},
};

use super::{
    cpu::{self, Cpu},
    layout,
    physical::{Entry, direct, load},
    selectors::KERNEL_CODE,
    tables::IdtEntry,
};
use crate::state::Kernel;

const PAGE_FAULT: usize = 14;
/// The register that says where `sysenter` leads.
const IA32_SYSENTER_CS: u32 = 0x174;
/// Flags with which no code of the kernel may run.
const NEVER: RFlags = RFlags::TRAP_FLAG
    .union(RFlags::INTERRUPT_FLAG)
    .union(RFlags::DIRECTION_FLAG)
    .union(RFlags::ALIGNMENT_CHECK)
    .union(RFlags::NESTED_TASK);

/// A function in data: `ret`.
static DATA: AtomicU64 = AtomicU64::new(0xc3);

unsafe extern "C" {
    /// Reads a byte there; returns 0 if that did not fault.
    fn attack_read(address: u64) -> u64;
    /// Writes the byte that is there.
    fn attack_write(address: u64) -> u64;
    /// Jumps there.
    fn attack_jump(address: u64) -> u64;
    fn attack_fault();
}

global_asm!(
    ".text",
    "attack_read: mov r8, rsp",
    "mov al, [rdi]",
    "xor eax, eax",
    "ret",
    "attack_write: mov r8, rsp",
    "mov al, [rdi]",
    "mov [rdi], al",
    "xor eax, eax",
    "ret",
    "attack_jump: mov r8, rsp",
    "call rdi",
    "xor eax, eax",
    "ret",
    // The page fault of an attack: it goes back with the error code, which is made not 0.
    "attack_fault: pop rax",
    "bts rax, 32",
    "lea rcx, [rip + attack_back]",
    "mov [rsp], rcx",
    "iretq",
    "attack_back: mov rsp, r8",
    "ret",
);

/// A segment table with a local one, as it is after a reset: at base 0, of 64 KiB (type 2, present).
static LOCAL: [u64; 3] = [0, 0x82 << 40 | 0xffff, 0];
const LOCAL_SELECTOR: u16 = 8;

/// Leaves ways in as firmware could, and read-only pages writable, before the kernel closes them.
pub fn open_ways_in() {
    let pointer =
        DescriptorTablePointer { limit: size_of_val(&LOCAL) as u16 - 1, base: VirtAddr::from_ptr(&LOCAL) };
    // SAFETY: the descriptor is valid. Nothing loads a segment, and nobody runs in user mode, until the kernel has
    // loaded tables of its own.
    unsafe {
        lgdt(&pointer);
        asm!("lldt {:x}", in(reg) LOCAL_SELECTOR, options(nostack, preserves_flags));
        Msr::new(IA32_SYSENTER_CS).write(KERNEL_CODE.into());
        Cr0::update(|flags| flags.remove(Cr0Flags::WRITE_PROTECT));
    }
}

/// Attacks, once the builder is ready to run.
pub fn run(kernel: &mut Kernel, cpu: &mut Cpu) {
    let mut held = 0;
    let mut failed = 0;
    let mut judge = |kernel: &mut Kernel, property: &str, holds: bool| {
        *if holds { &mut held } else { &mut failed } += 1;
        kernel.say(format_args!("self-attack: {property}: {}", verdict(holds)));
    };
    judge_registers(kernel, &mut judge);
    let (root, guard) = (kernel.machine.space.root(), cpu.guard());
    judge_tables(kernel, root, guard, &mut judge);
    judge_tables(kernel, builder_root(kernel), guard, &mut judge);
    let handler = core::mem::replace(
        &mut cpu.tables.idt[PAGE_FAULT],
        IdtEntry::new(attack_fault as *const () as u64, 0),
    );
    judge_faults(kernel, guard, &mut judge);
    cpu.tables.idt[PAGE_FAULT] = handler;
    let masked = kernel.machine.io_apic.is_masked();
    judge(kernel, "every pin of the I/O APIC is masked", masked);
    // Interrupts of nobody's, which arrive when the first domain runs. Without an end of the first, no timer would follow.
    for vector in [super::apic::SPURIOUS_VECTOR - 1, super::apic::SPURIOUS_VECTOR] {
        kernel.machine.local_apic.interrupt_itself(vector);
    }
    kernel.say(format_args!("self-attack: {held} properties hold, {failed} do not"));
}

fn builder_root(kernel: &Kernel) -> Frame {
    Frame::holding(kernel.domain(DomainId::BUILDER).space.root())
}

fn judge_registers(kernel: &mut Kernel, judge: &mut impl FnMut(&mut Kernel, &str, bool)) {
    let found = cpu::control_registers();
    let features = __cpuid_count(7, 0);
    for (name, is_there) in [
        ("W^X", true),
        ("NX", true),
        ("SMEP", features.ebx & 1 << 7 != 0),
        ("SMAP", features.ebx & 1 << 20 != 0),
        ("UMIP", features.ecx & 1 << 2 != 0),
    ] {
        judge(kernel, name, !is_there || found.protections().any(|on| on == name));
    }
    let cr0 = Cr0Flags::from_bits_truncate(found.cr0);
    let off = Cr0Flags::EMULATE_COPROCESSOR | Cr0Flags::CACHE_DISABLE | Cr0Flags::NOT_WRITE_THROUGH;
    judge(kernel, "CR0 emulates nothing and caches", !cr0.intersects(off));
    judge(kernel, "CR4 is as it was meant", found.cr4 & !ALLOWED_CR4 == 0);
    let cleared = NEVER | RFlags::IOPL_LOW | RFlags::IOPL_HIGH | RFlags::RESUME_FLAG;
    judge(kernel, "system calls clear the flags", SFMask::read().contains(cleared));
    judge(kernel, "system calls lead to text", layout::text().contains(&LStar::read().as_u64()));
    // SAFETY: every CPU with 64 bits has this register.
    judge(kernel, "sysenter leads nowhere", unsafe { Msr::new(IA32_SYSENTER_CS).read() } == 0);
    let local: u16;
    // SAFETY: reads a register.
    unsafe { asm!("sldt {:x}", out(reg) local, options(nomem, nostack, preserves_flags)) };
    judge(kernel, "there are no local descriptors", local == 0);
}

/// PAE, MCE, PGE, OSFXSR, OSXMMEXCPT, UMIP, OSXSAVE, SMEP, SMAP.
const ALLOWED_CR4: u64 = 1 << 5 | 1 << 6 | 1 << 7 | 1 << 9 | 1 << 10 | 1 << 11 | 1 << 18 | 1 << 20 | 1 << 21;

/// What all mappings of the kernel's half have in common.
struct Sweep {
    pages: u64,
    writable_and_executable: bool,
    executable_beside_text: bool,
    writable_constant: bool,
    open_to_users: bool,
    not_direct: bool,
    unknown: bool,
    guard: bool,
    init: bool,
}

fn judge_tables(
    kernel: &mut Kernel,
    root: Frame,
    guard: u64,
    judge: &mut impl FnMut(&mut Kernel, &str, bool),
) {
    let mut sweep = Sweep {
        pages: 0,
        writable_and_executable: false,
        executable_beside_text: false,
        writable_constant: false,
        open_to_users: false,
        not_direct: false,
        unknown: false,
        guard: false,
        init: false,
    };
    visit(root, 4, 0, Flags::all(), &mut |address, physical, pages, flags| {
        let text = layout::text().contains(&address);
        let executable = !flags.contains(Flags::NO_EXECUTE);
        let writable = flags.contains(Flags::WRITABLE);
        sweep.pages += pages;
        sweep.writable_and_executable |= writable && executable;
        sweep.executable_beside_text |= executable && !text;
        sweep.writable_constant |= writable && (text || layout::constants().contains(&address));
        sweep.open_to_users |= flags.contains(Flags::USER_ACCESSIBLE);
        sweep.not_direct |= address != direct(physical);
        let run = Run::new(Frame::holding(physical), pages);
        sweep.unknown |= !is_known(kernel, run);
        sweep.guard |= address == guard;
        sweep.init |= layout::init().contains(&address);
    });
    judge(kernel, "the kernel maps something", sweep.pages > 0);
    judge(kernel, "nothing of the kernel is writable and executable", !sweep.writable_and_executable);
    judge(kernel, "nothing but text is executable, in all of the direct map", !sweep.executable_beside_text);
    judge(kernel, "text and constants are not writable", !sweep.writable_constant);
    judge(kernel, "nothing of the kernel is open to users", !sweep.open_to_users);
    judge(kernel, "each page has one address", !sweep.not_direct);
    judge(kernel, "nothing but memory, the image and the controllers is mapped", !sweep.unknown);
    judge(kernel, "the guard page of the stack is not mapped", !sweep.guard);
    judge(kernel, "the boot's text is mapped no more", !sweep.init);
}

/// Whether pages are memory, the system image, the kernel or controllers, as a whole.
fn is_known(kernel: &Kernel, run: Run) -> bool {
    kernel.machine.space.mapped().iter().any(|known| known.contains(run))
}

/// Shows every page that the kernel's half of an address space maps: its address, where it lies, how many small
/// pages it is, and its rights on the whole way from the root.
fn visit(at: Frame, level: u32, base: u64, above: Flags, show: &mut impl FnMut(u64, u64, u64, Flags)) {
    // The lower half is the domain's own.
    for index in if level == 4 { 256..512 } else { 0..512 } {
        // SAFETY: these are tables that are in use, and nobody changes them meanwhile.
        let entry = unsafe { Entry::of(at, index) }.get();
        if entry == 0 {
            continue;
        }
        let shift = 3 + 9 * level;
        let address = base | (index as u64) << shift;
        let address = if level == 4 { address | 0xffff << 48 } else { address };
        let (own, physical) = (Flags::from_bits_truncate(entry), entry & 0x000f_ffff_ffff_f000);
        // Open to users is what says so at any level, because one more such change is then enough.
        let either = (own | above) & (Flags::NO_EXECUTE | Flags::USER_ACCESSIBLE);
        let inherited = if level == 4 { own } else { own & above & Flags::WRITABLE | either };
        if level == 1 || own.contains(Flags::HUGE_PAGE) {
            show(address, physical, 1 << (shift - 12), inherited);
        } else {
            visit(Frame::holding(physical), level - 1, address, inherited, show);
        }
    }
}

/// Tries what must fault. Nothing else runs, and what the attacks write is what is there.
fn judge_faults(kernel: &mut Kernel, guard: u64, judge: &mut impl FnMut(&mut Kernel, &str, bool)) {
    let features = __cpuid_count(7, 0);
    let (text, constants) = (layout::text().start, layout::constants().start);
    let builder = kernel.thread(DomainId::BUILDER).map(|thread| kernel.context(thread));
    let (entry, stack) = builder.map_or((0, 0), |builder| (builder.instruction(), builder.stack() - 8));
    let data = (&raw const DATA) as u64;
    // SAFETY: a page fault of an attack goes back to its end by way of `attack_fault`; what does not fault reads,
    // or writes what is there, or returns at once. The builder's address space maps the kernel as it is mapped.
    let faults = unsafe {
        let first = [
            ("text cannot be written", attack_write(text)),
            ("constants cannot be written", attack_write(constants)),
            ("data cannot be executed", attack_jump(data)),
            ("the stack has a guard page", attack_write(guard)),
            ("NULL cannot be read", attack_read(0)),
            ("an attack is an attack: data can be written", u64::from(attack_write(data) == 0)),
        ];
        load(builder_root(kernel).address());
        let smap = if features.ebx & 1 << 20 != 0 { attack_read(stack) } else { 1 };
        let smep = if features.ebx & 1 << 7 != 0 { attack_jump(entry) } else { 1 };
        load(kernel.machine.space.root().address());
        let second = [
            ("a domain's memory cannot be read by the kernel", smap),
            ("a domain's memory cannot be executed by the kernel", smep),
        ];
        first.into_iter().chain(second)
    };
    for (property, fault) in faults {
        judge(kernel, property, fault != 0);
    }
}

/// Called on each way into the kernel.
pub fn check_flags() {
    let found = rflags::read();
    assert!(!found.intersects(NEVER), "the kernel is entered with the flags {found:?}");
}

/// Whether pages hold nothing but zeros.
pub fn is_zero(run: Run) -> bool {
    let words = (run.first.address()..run.end.address()).step_by(8);
    words.map(|word| (KERNEL_BASE + word) as *const u64).all(|word| {
        let value: u64;
        // SAFETY: the callers pass pages of memory, which the direct map maps.
        unsafe { asm!("mov {}, [{}]", out(reg) value, in(reg) word, options(nostack, readonly)) };
        value == 0
    })
}

impl Kernel {
    /// A domain has been stopped from outside: none of its lines may be open.
    pub fn attack_lines(&mut self, stopped: Peer) {
        let io_apic = self.machine.io_apic;
        let lines = self.interrupts.of(stopped.domain).filter_map(|(_, interrupt)| interrupt.line());
        let open = lines.map(|line| !io_apic.is_pin_masked(line.number().into()));
        let Some(any_open) = open.reduce(|any, open| any | open) else { return };
        let name = self.domain(stopped.domain).name;
        self.say(format_args!("self-attack: the lines of {name} are masked: {}", verdict(!any_open)));
    }

    /// The builder has ended: its memory may hold nothing.
    pub fn attack_scrubbed(&mut self) {
        let pages = &self.machine.builder_pages;
        let zero = !pages.is_empty() && pages.iter().all(|part| is_zero(part.run()));
        self.say(format_args!("self-attack: the builder's memory is scrubbed: {}", verdict(zero)));
    }
}

fn verdict(holds: bool) -> &'static str {
    if holds { "holds" } else { "FAILED" }
}
