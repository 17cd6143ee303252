//! Sizes of the kernel's fixed tables and the layout of a domain's address space.

/// Bytes in a page, the unit of every mapping.
pub const PAGE_BYTES: u64 = 4096;

/// Domains that can exist at one time, the builder included.
pub const MAX_DOMAINS: usize = 31;
/// Slots in a domain's table.
pub const MAX_SLOTS: usize = 128;
/// Regions that can exist at one time, in the whole system.
pub const MAX_REGIONS: usize = 128;
/// Mappings in one domain's address space.
pub const MAX_MAPPINGS: usize = 64;
/// Ranges of I/O ports that one domain can hold.
pub const MAX_PORT_RANGES: usize = 4;
/// Interrupts that domains can have at one time, by lines and by messages.
pub const MAX_INTERRUPTS: usize = 64;
/// Pins that an I/O APIC can have at most: its redirection entries have register numbers of one byte, from 0x10
/// on, two each. So lines are numbered from 0 to 119.
pub const MAX_INTERRUPT_LINES: u32 = (0x100 - 0x10) / 2;

/// Number of scheduling priorities; 0 is the lowest. See [`BACKGROUND_PRIORITY`].
pub const PRIORITIES: usize = 32;
/// Priority of a domain that has used up its budget, until its next period begins. No plan gives it out.
pub const BACKGROUND_PRIORITY: u8 = 0;
/// Time for which a domain runs before another one of its priority has its turn, in microseconds.
pub const QUANTUM_US: u64 = 10_000;
/// Shortest period that a plan can ask for, in microseconds. Shorter ones would spend the CPU on timer
/// interrupts.
pub const MIN_PERIOD_US: u32 = 100;

/// Lowest priority that a plan gives out.
pub const LOWEST_PRIORITY: u8 = BACKGROUND_PRIORITY + 1;
/// Time of its own that is left, in each [`RETIRED_PERIOD_US`], to a domain that has given up its priority: enough
/// to see what is to be done, and for whom.
pub const RETIRED_BUDGET_US: u32 = 100;
/// See [`RETIRED_BUDGET_US`].
pub const RETIRED_PERIOD_US: u32 = 10_000;
/// How long the kernel at most keeps the CPU from its owner, in microseconds: the longest step of a call (pages are
/// zeroed, mapped and unmapped a few at a time) and the way in and out.
pub const LONGEST_STEP_US: u64 = 50;

/// Shortest time that a wait with a deadline takes, in microseconds; a nearer deadline is treated as this far
/// away. Waking costs the domain that runs then, so a domain that wakes as often as it can has to leave the
/// others most of the CPU.
pub const MIN_WAIT_US: u64 = 50;

/// How long a domain waits for the monitor's answer, in microseconds. Then what it asked for is denied, until the
/// monitor decides otherwise.
pub const ASK_LIMIT_US: u64 = 20_000;

/// Longest line of the kernel's log, its end included. The reader of the log has to take one that long in one
/// piece, or its rest could pass for a line.
pub const LOG_LINE_BYTES: usize = 200;

/// Words of a gate message, each 8 bytes.
pub const MESSAGE_WORDS: usize = 4;
/// Event bits that a plan can assign: 0 to 62.
pub const PLAN_EVENTS: u32 = 63;
/// Event bit that the kernel sets when a domain to which the receiver has a gate, or which has a gate to the
/// receiver, has failed or ended. Which one, [`SlotInfo`](crate::CallNumber::SlotInfo) and
/// [`GoneRead`](crate::CallNumber::GoneRead) say.
pub const EVENT_PEER_FAILED: u32 = 63;

/// First mapped address of a domain: its [information page](crate::info). Everything below stays unmapped, so
/// that a NULL pointer with a large index still faults.
pub const INFO_ADDRESS: u64 = 0x40_0000;
/// Address at which a domain's image is linked, one page after the information page.
pub const IMAGE_ADDRESS: u64 = INFO_ADDRESS + PAGE_BYTES;
/// First address that is never a domain's. The last pages of the lower half stay unmapped, so that the
/// address after a system call is always canonical (`sysret` with any other one faults in ring 0 on Intel
/// CPUs).
pub const DOMAIN_END: u64 = 0x7fff_ffff_0000;

/// Where the builder maps the regions that it fills, a part at a time.
pub const BUILDER_WINDOW_ADDRESS: u64 = 0x2000_0000;
/// How much of a region it maps at a time, at most. The image builder sets aside page tables for this.
pub const BUILDER_WINDOW_BYTES: u64 = 8 << 20;

/// Start of the kernel's address space and of its direct map of physical memory: PML4 slot 264.
pub const KERNEL_BASE: u64 = 0xffff_8400_0000_0000;
/// First address after what the kernel may use: the end of PML4 slot 271.
pub const KERNEL_END: u64 = 0xffff_8800_0000_0000;
