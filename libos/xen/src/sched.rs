//! The virtual CPU's time (Xen's `sched.h`).

/// Let others run.
pub const YIELD: u64 = 0;
/// Take events again, and wait for one.
pub const BLOCK: u64 = 1;
/// End the guest.
pub const SHUTDOWN: u64 = 2;
/// Wait for an event of some ports.
pub const POLL: u64 = 3;

/// Reasons of [`SHUTDOWN`].
pub mod reason {
    /// Off.
    pub const POWER_OFF: u32 = 0;
    /// Begin again.
    pub const REBOOT: u32 = 1;
    /// Be saved.
    pub const SUSPEND: u32 = 2;
    /// A panic.
    pub const CRASH: u32 = 3;
}
