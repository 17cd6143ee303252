//! The console: a call for the first words, and a ring (Xen's `io/console.h`).

/// `console_io`: write text.
pub const WRITE: u64 = 0;

/// Bytes of the ring for what is typed.
pub const IN_BYTES: u32 = 1024;
/// Bytes of the ring for what is printed.
pub const OUT_BYTES: u32 = 2048;

/// Offset in the page of the ring for what is typed.
pub const IN: u64 = 0;
/// Offset of the ring for what is printed.
pub const OUT: u64 = 1024;
/// Offset of the number of bytes that the guest has read. The four numbers run on freely, without regard to the ring's
/// size.
pub const IN_CONSUMED: u64 = 3072;
/// Offset of the number of bytes that were typed.
pub const IN_PRODUCED: u64 = 3076;
/// Offset of the number of bytes that were brought out.
pub const OUT_CONSUMED: u64 = 3080;
/// Offset of the number of bytes that the guest has printed.
pub const OUT_PRODUCED: u64 = 3084;
