//! The contract between the kernel, the library OS, the builder domain and the image builder.
//!
//! Every number that two of them must agree on is written here and nowhere else. The crate holds types and
//! constants, no logic and no `unsafe`; tables that travel in memory are `#[repr(C)]`, have no padding and
//! derive their conversions from `zerocopy`.
//!
//! * [`access`]: the classes of access by which calls are judged.
//! * [`call`]: the calls a domain can make, their registers and their errors.
//! * [`capture`]: what a thread that is held goes on with.
//! * [`object`]: what a slot can hold, and the rights to it.
//! * [`fault`]: what a domain did wrong, as data.
//! * [`guest`]: what a domain and the kernel say to each other about a guest.
//! * [`image`]: the file that the boot loader hands to the kernel.
//! * [`measure`]: what is measured of that file.
//! * [`plan`]: the compiled manifest inside that file.
//! * [`policy`]: the manifest's policy, as the monitor reads it.
//! * [`info`]: the page in which a domain reads what it was given.
//! * [`interrupt`]: how an interrupt reaches the CPU.
//! * [`PciFunction`]: the name of a device on PCI.
//! * [`limits`]: the sizes of the kernel's tables, and the layout of address spaces.

#![no_std]

pub mod access;
mod badge;
pub mod call;
pub mod capture;
pub mod directory;
pub mod fault;
pub mod guest;
pub mod image;
pub mod info;
pub mod interrupt;
pub mod life;
pub mod limits;
pub mod management;
pub mod measure;
pub mod name;
pub mod object;
mod pci;
pub mod plan;
pub mod policy;
pub mod port;

pub use badge::Badge;
pub use call::{CallError, CallNumber};
pub use fault::{Fault, FaultKind};
pub use interrupt::InterruptSource;
pub use name::Name;
pub use object::{ObjectKind, Rights};
pub use pci::PciFunction;

/// Version of this contract. Kernel, builder and each domain carry it; a mismatch stops the boot.
pub const ABI_VERSION: u32 = 8;
