//! Which entry of the segment table is which. `sysret` wants the user's data segment right before its code segment (AMD
//! APM volume 2, section 6.1.1).

/// The kernel's code.
pub const KERNEL_CODE: u16 = 0x08;
/// The kernel's data.
pub const KERNEL_DATA: u16 = 0x10;
/// A domain's data.
pub const USER_DATA: u16 = 0x18 | 3;
/// A domain's code.
pub const USER_CODE: u16 = 0x20 | 3;
/// The task state.
pub const TASK_STATE: u16 = 0x28;
