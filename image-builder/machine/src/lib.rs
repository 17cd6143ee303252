//! What needs other programs: compiling the domains, writing a disc, starting the machine and following it.
//!
//! | module | what it drives |
//! |---|---|
//! | [`cargo_build`] | Cargo, which compiles kernel and domains |
//! | [`disc`], [`medium`] | GRUB, xorriso, mtools and qemu-img, which write discs |
//! | [`run`] | QEMU and swtpm |
//! | [`tools`] | `apt-get`, which installs those |
//! | [`payload`] | apt and dpkg-deb, which fetch and read what guests begin with |
//!
//! Below them: [`process`] starts programs and ends them, [`interrupts`] tells that somebody asks to stop,
//! [`package`] and [`initramfs`] read and write archives, [`linux_program`] compiles what runs in a Linux, [`terminal`] has the keyboard, [`progress`] shows what is being done, [`symbols`] finds functions and lines of addresses, [`patience`] and [`scratch`] hold time and
//! files for a run.

#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used))]

pub mod cargo_build;
mod crates;
pub mod disc;
mod failure;
mod fat;
pub mod initramfs;
pub mod interrupts;
pub mod linux_program;
pub mod medium;
pub mod package;
mod partition;
pub mod patience;
pub mod payload;
pub mod process;
pub mod progress;
pub mod run;
mod rust_library;
pub mod scratch;
pub mod source;
pub mod symbols;
pub mod terminal;
pub mod tools;

pub use failure::Failure;
