//! Linux: runs an unmodified Linux kernel beside domains. The library does the work.

#![no_std]
#![no_main]

use linux::Unfit;

cloison_rt::entry!(main);

fn main() -> Result<(), Unfit> {
    linux::run(())
}
