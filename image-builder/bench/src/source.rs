//! The kernel's source in figures: how much of it has to be read, and how much of that can break memory.

use std::{io, path::Path};

use image_compiler::trust::Source;
use image_machine::source;

/// The kernel's folder.
const KERNEL: &str = "core-kernel";

/// Counts the source of the kernel, of what it is linked with, and of the contract.
pub(super) fn of_kernel(project: &Path) -> io::Result<Source> {
    source::of_folder(&project.join(KERNEL))
}
