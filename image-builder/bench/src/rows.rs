//! The rows of the table: what is measured, where the figure comes from, and what it is compared with.

use cloison_abi::limits::{MAX_DOMAINS, PAGE_BYTES};
use image_builder::build::Built;
use object::{
    LittleEndian, Object, ObjectSymbol,
    elf::FileHeader64,
    read::elf::{ElfFile64, FileHeader, SectionHeader},
};

use super::{Figures, code::Costly};

/// A row of the table.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) what: &'static str,
    pub(super) source: Source,
    pub(super) unit: Unit,
    pub(super) reference: Reference,
    pub(super) target: Target,
}

/// What a figure is compared with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Reference {
    None,
    /// A figure that was measured once and for all.
    Of(f64),
    /// What Linux on the bare machine was measured at under this name, in the same run.
    Linux(&'static str),
}

/// What a figure has to be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Target {
    None,
    AtMost(f64),
    AtLeast(f64),
    /// At most this number of times as large as the reference.
    AtMostTimes(f64),
    /// This number of times as large as the reference.
    AtLeastTimes(f64),
}

/// Where a figure comes from.
#[derive(Debug)]
pub(super) enum Source {
    /// It was measured under this name: a benchmark system has printed it, or it is a rate.
    Named(&'static str),
    /// The first, less the second, which is a part of it.
    Less(&'static str, &'static str),
    /// The kernel's instructions in a gate call and reply.
    RoundInstructions,
    /// Those of them that are costly in this way.
    RoundCostly(Costly),
    /// A section of the kernel's code, in bytes.
    KernelText(&'static str),
    /// The kernel's tables of objects, in bytes, divided by the domains for which there is room.
    KernelTables,
    /// The kernel's source, in lines of code.
    KernelLines,
    /// How many of its blocks, functions and implementations are `unsafe`.
    KernelUnsafe,
    /// The hello domain's page tables.
    HelloTables,
    /// What the hello domain takes in its image.
    HelloImage,
    /// What it takes in memory, page tables included.
    HelloMemory,
    /// From QEMU's start to the last line of the demo's domain.
    DemoTime,
    /// From QEMU's start to the prompt of a Linux guest.
    PromptTime,
}

impl Source {
    /// The figure, if it was measured under a name.
    pub(super) fn named(&self, figures: &Figures) -> Option<f64> {
        match self {
            Self::Named(name) => figures.get(*name).copied(),
            Self::Less(name, part) => {
                figures.get(*name).zip(figures.get(*part)).map(|(all, part)| all - part)
            }
            _ => None,
        }
    }

    /// Whether it is the figure of this name, or made of it.
    pub(super) fn uses(&self, name: &str) -> bool {
        match self {
            Self::Named(whole) => *whole == name,
            Self::Less(whole, part) => *whole == name || *part == name,
            _ => false,
        }
    }
}

/// What a figure counts.
#[derive(Debug, Clone, Copy)]
pub(super) enum Unit {
    Instructions,
    Times,
    Bytes,
    Seconds,
    Milliseconds,
    /// Of the time-stamp counter: so fast as QEMU lets it run.
    Ticks,
    InstructionsPerByte,
    BitsPerSecond,
}

impl Unit {
    pub(super) fn show(self, figure: f64) -> String {
        match self {
            // A frame's part of what a batch of them needs.
            Self::Times if figure.fract() != 0.0 => format!("{figure:.2}"),
            Self::Instructions | Self::Times | Self::Ticks => format!("{figure:.0}"),
            Self::Bytes => format!("{:.1} KiB", figure / 1024.0),
            Self::Seconds => format!("{figure:.2} s"),
            Self::Milliseconds => format!("{:.1} ms", figure * 1e3),
            Self::InstructionsPerByte => format!("{figure:.2}"),
            Self::BitsPerSecond => format!("{:.0} Mbit/s", figure / 1e6),
        }
    }
}

/// The system that makes gate calls while QEMU logs them.
pub(super) const ROUNDS: &str = "manifests/bench-rounds.toml";
/// The systems of the network whose instructions are counted.
pub(super) const NETWORK: [&str; 2] = ["manifests/bench-net.toml", "manifests/bench-sockets.toml"];
/// The systems that make UDP round trips, and send over TCP, for ever.
pub(super) const UDP: &str = "manifests/profile-udp.toml";
pub(super) const TCP: &str = "manifests/profile-tcp.toml";
/// The system of two domains that measure TCP between them.
pub(super) const BETWEEN_DOMAINS: &str = "manifests/iperf.toml";
/// The system with a domain that the host measures.
pub(super) const FROM_HOST: &str = "manifests/iperf-host.toml";
/// The system of the hello domain.
pub(super) const HELLO: &str = "manifests/hello.toml";
/// The system of a Linux guest with a shell.
pub(super) const LINUX_DEMO: &str = "manifests/linux-demo.toml";
/// The system that a bank asks.
pub(super) const ATTESTED: &str = "manifests/pet-demo.toml";
/// The system of the demo.
pub(super) const DEMO: &str = "manifests/tpm-demo.toml";

/// The table. References: seL4 16.0 (fast path on, no Meltdown mitigation, FPU on), measured on the same QEMU
/// in the same way; for memory and disk Unikraft's smallest image. For the network Linux, measured in the same
/// run.
pub(super) const ROWS: &[Row] = &[
    row("gate call and reply, 4 words", Source::Named("gate-call-4"), Unit::Instructions, 486.0, 300.0),
    counted("- median", Source::Named("gate-call-4-median"), Unit::Instructions, Reference::None),
    counted(
        "- in 99 of 100 calls at most",
        Source::Named("gate-call-4-p99"),
        Unit::Instructions,
        Reference::None,
    ),
    row("gate call and reply, no words", Source::Named("gate-call-0"), Unit::Instructions, 452.0, 300.0),
    counted(
        "kernel's part of it, 4 words",
        Source::RoundInstructions,
        Unit::Instructions,
        Reference::Of(472.0),
    ),
    costly("- CR3 writes", Costly::Cr3Write, Reference::Of(2.0)),
    costly("- XSAVE", Costly::Xsave, Reference::Of(2.0)),
    costly("- XRSTOR", Costly::Xrstor, Reference::Of(2.0)),
    costly("- MSR writes", Costly::MsrWrite, Reference::None),
    costly("- SYSCALL and SYSRET", Costly::SystemCall, Reference::Of(4.0)),
    costly("- SWAPGS", Costly::Swapgs, Reference::None),
    costly("- segment register loads", Costly::SegmentLoad, Reference::None),
    row("cheapest system call", Source::Named("cheapest-call"), Unit::Instructions, 264.0, 120.0),
    writes("- CR3 writes", "cheapest-call cr3"),
    row(
        "signal until the waiting domain runs",
        Source::Named("signal-to-waiter"),
        Unit::Instructions,
        556.0,
        300.0,
    ),
    writes("- CR3 writes", "signal-to-waiter cr3"),
    Row {
        what: "guest entered until it has come out",
        source: Source::Named("guest-bounce"),
        unit: Unit::Instructions,
        reference: Reference::None,
        target: Target::AtMost(400.0),
    },
    writes("- CR3 writes", "guest-bounce cr3"),
    row(
        "kernel entry to first domain, waits aside",
        Source::Named("kernel-to-first-domain"),
        Unit::Instructions,
        1_030_000.0,
        500_000.0,
    ),
    row("kernel text", Source::KernelText(".text"), Unit::Bytes, 60.7 * 1000.0, 72.0 * 1024.0),
    counted("- gone when the first domain runs", Source::KernelText(".init"), Unit::Bytes, Reference::None),
    counted("kernel source, lines of code", Source::KernelLines, Unit::Times, Reference::Of(16_800.0)),
    counted(
        "- unsafe blocks, functions, implementations",
        Source::KernelUnsafe,
        Unit::Times,
        Reference::None,
    ),
    counted("kernel's tables, for each domain", Source::KernelTables, Unit::Bytes, Reference::None),
    counted("- page tables of the hello domain", Source::HelloTables, Unit::Bytes, Reference::None),
    row("hello domain on disk", Source::HelloImage, Unit::Bytes, 1024.0 * 1024.0, 64.0 * 1024.0),
    row("hello domain in memory", Source::HelloMemory, Unit::Bytes, 10.0 * 1024.0 * 1024.0, 512.0 * 1024.0),
    Row {
        what: "TPM demo, QEMU's start to last line",
        source: Source::DemoTime,
        unit: Unit::Seconds,
        reference: Reference::None,
        target: Target::AtMost(3.0),
    },
    frame("1500-byte frame, ring to ring, alone", "carry-1500-one", Target::AtMost(1200.0)),
    writes("- CR3 writes", "carry-1500-one cr3"),
    frame("- one of 16", "carry-1500-batch", Target::AtMost(380.0)),
    writes("- CR3 writes", "carry-1500-batch cr3"),
    frame("- from sender to receiver, alone", "frame-1500-one", Target::None),
    writes("- CR3 writes", "frame-1500-one cr3"),
    frame("- from sender to receiver, one of 16", "frame-1500-batch", Target::None),
    writes("- CR3 writes", "frame-1500-batch cr3"),
    counted(
        "- its copy, which is not in these figures",
        Source::Named(FRAME_COPY),
        Unit::Instructions,
        Reference::None,
    ),
    counted(
        "64-byte frame, sender to receiver, alone",
        Source::Named("frame-64-one"),
        Unit::Instructions,
        Reference::None,
    ),
    writes("- CR3 writes", "frame-64-one cr3"),
    counted("- one of 16", Source::Named("frame-64-batch"), Unit::Instructions, Reference::None),
    writes("- CR3 writes", "frame-64-batch cr3"),
    counted("64-byte frame to 8 receivers", Source::Named("flood-64"), Unit::Instructions, Reference::None),
    counted(
        "1500-byte frame to 8 receivers",
        Source::Named("flood-1500"),
        Unit::Instructions,
        Reference::None,
    ),
    linux(
        "UDP round trip between two domains",
        "udp-round-trip",
        Unit::Instructions,
        Target::AtMost(8_700.0),
    ),
    writes("- CR3 writes", "udp-round-trip cr3"),
    linux("TCP between two domains, per byte", "tcp-byte", Unit::InstructionsPerByte, Target::AtMost(1.1)),
    writes("- CR3 writes, per MiB", "tcp-byte cr3"),
    linux("TCP between two domains", "tcp-rate", Unit::BitsPerSecond, Target::AtLeastTimes(2.5)),
    linux("TCP from the host to a domain", "host-to-domain", Unit::BitsPerSecond, Target::AtLeastTimes(1.2)),
    linux("TCP from a domain to the host", "domain-to-host", Unit::BitsPerSecond, Target::None),
];

/// What a measured boot and an attestation cost.
pub(super) const MEASURED_ROWS: &[Row] = &[
    Row {
        what: "attestation, challenge to verdict",
        source: Source::Named("attestation"),
        unit: Unit::Seconds,
        reference: Reference::None,
        target: Target::AtMost(1.0),
    },
    Row {
        what: "- of it the TPM's own",
        source: Source::Named("attestation tpm"),
        unit: Unit::Milliseconds,
        reference: Reference::None,
        target: Target::None,
    },
    Row {
        what: "loader that measures",
        source: Source::Named("loader"),
        unit: Unit::Bytes,
        reference: Reference::None,
        target: Target::AtMost(65536.0),
    },
    Row {
        what: "- its hashing, per byte, by the CPU's SHA-256",
        source: Source::Named("measuring"),
        unit: Unit::InstructionsPerByte,
        reference: Reference::None,
        target: Target::AtMost(10.0),
    },
];

/// The part of the table about Linux as a guest, and about the same kernel on the bare machine.
pub(super) const GUEST_ROWS: &[Row] = &[
    linux("a guest's null system call", "linux-null-call", Unit::Instructions, Target::AtMost(500.0)),
    writes("- CR3 writes", "linux-null-call cr3"),
    linux("- ticks by the clock", "linux-null-call time", Unit::Ticks, Target::AtMostTimes(30.0)),
    linux("a guest's page fault", "linux-page-fault", Unit::Instructions, Target::AtMost(9_500.0)),
    writes("- CR3 writes", "linux-page-fault cr3"),
    linux("- ticks by the clock", "linux-page-fault time", Unit::Ticks, Target::AtMostTimes(9.0)),
    linux(
        "a guest's fork, exec and wait",
        "linux-fork-exec",
        Unit::Instructions,
        Target::AtMost(1_500_000.0),
    ),
    writes("- CR3 writes", "linux-fork-exec cr3"),
    Row {
        what: "- exits",
        source: Source::Named("linux-fork-exec exits"),
        unit: Unit::Times,
        reference: Reference::None,
        target: Target::AtMost(850.0),
    },
    linux("- ticks by the clock", "linux-fork-exec time", Unit::Ticks, Target::AtMostTimes(4.5)),
    linux("a guest's round trip through pipes", "linux-pipe", Unit::Instructions, Target::AtMost(17_000.0)),
    writes("- CR3 writes", "linux-pipe cr3"),
    linux("- ticks by the clock", "linux-pipe time", Unit::Ticks, Target::None),
    Row {
        what: "exits of a guest until its first process",
        source: Source::Named("linux-boot exits"),
        unit: Unit::Times,
        reference: Reference::None,
        target: Target::AtMost(80_000.0),
    },
    Row {
        what: "Linux demo, QEMU's start to prompt",
        source: Source::PromptTime,
        unit: Unit::Seconds,
        reference: Reference::None,
        target: Target::AtMost(10.0),
    },
    // Xen 4.17 with the same two guests, under the same emulator on the same machine.
    Row {
        what: "TCP between two guests",
        source: Source::Named("linux-tcp-rate"),
        unit: Unit::BitsPerSecond,
        reference: Reference::Of(269e6),
        target: Target::AtLeast(538e6),
    },
    Row {
        what: "memory beside the guest's 128 MiB",
        source: Source::Named("linux-memory"),
        unit: Unit::Bytes,
        reference: Reference::None,
        target: Target::AtMost(8.0 * 1024.0 * 1024.0),
    },
];

const fn row(what: &'static str, source: Source, unit: Unit, reference: f64, target: f64) -> Row {
    Row { what, source, unit, reference: Reference::Of(reference), target: Target::AtMost(target) }
}

/// A row without a target.
const fn counted(what: &'static str, source: Source, unit: Unit, reference: Reference) -> Row {
    Row { what, source, unit, reference, target: Target::None }
}

/// The copy that a frame takes from ring to ring.
const FRAME_COPY: &str = "frame-copy-1500";

/// A frame of 1500 bytes, without its copy.
const fn frame(what: &'static str, name: &'static str, target: Target) -> Row {
    let source = Source::Less(name, FRAME_COPY);
    Row { what, source, unit: Unit::Instructions, reference: Reference::None, target }
}

/// A row that is compared with what Linux was measured at under the same name.
const fn linux(what: &'static str, name: &'static str, unit: Unit, target: Target) -> Row {
    Row { what, source: Source::Named(name), unit, reference: Reference::Linux(name), target }
}

/// How often CR3 is written in a round of the path in the row above.
const fn writes(what: &'static str, name: &'static str) -> Row {
    counted(what, Source::Named(name), Unit::Times, Reference::None)
}

const fn costly(what: &'static str, kind: Costly, reference: Reference) -> Row {
    counted(what, Source::RoundCostly(kind), Unit::Times, reference)
}

/// The bytes of one section of a kernel's code.
pub(super) fn text_bytes(kernel_with_symbols: &[u8], section: &str) -> Option<f64> {
    let header = FileHeader64::<LittleEndian>::parse(kernel_with_symbols).ok()?;
    let sections = header.sections(LittleEndian, kernel_with_symbols).ok()?;
    let (_, text) = sections.section_by_name(LittleEndian, section.as_bytes())?;
    Some(text.sh_size(LittleEndian) as f64)
}

/// The bytes of a kernel's state, for each domain for which it has room.
pub(super) fn table_bytes(kernel_with_symbols: &[u8]) -> Option<f64> {
    let file = ElfFile64::<LittleEndian>::parse(kernel_with_symbols).ok()?;
    let state = file.symbols().find(|symbol| {
        symbol.name().is_ok_and(|name| rustc_demangle::demangle(name).to_string().contains("::lock::KERNEL"))
    })?;
    Some((state.size() / MAX_DOMAINS as u64) as f64)
}

/// The bytes of a domain's page tables.
pub(super) fn page_table_bytes(built: &Built, domain: &str) -> Option<f64> {
    Some((built.plan.domains[index(built, domain)?].quota_pages * PAGE_BYTES) as f64)
}

/// The bytes that a domain takes in the image.
pub(super) fn image_bytes(built: &Built, domain: &str) -> Option<f64> {
    Some(built.plan.program_of(index(built, domain)?).image.len() as f64)
}

/// The bytes that a domain takes in memory, its page tables included.
pub(super) fn memory_bytes(built: &Built, domain: &str) -> Option<f64> {
    Some((built.plan.own_pages(index(built, domain)?) * PAGE_BYTES) as f64)
}

fn index(built: &Built, domain: &str) -> Option<usize> {
    built.system.domains().position(|(_, known)| known.name == domain)
}
