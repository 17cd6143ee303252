//! Shows what a guest begins with: the parts of a kernel, the first registers, the memory that it needs at least.
//!
//! ```sh
//! cargo run -p linux-core --example unpack -- VMLINUZ [INITRAMFS] [MIB]
//! ```

use std::process::ExitCode;
use std::{env, error::Error, fs};

use cloison_abi::limits::PAGE_BYTES;
use linux_core::boot::{self, SCRATCH_BYTES, elf::Place, layout, load};
use linux_core::machine::Memory;

/// Memory of the host in place of a guest's.
struct Bytes {
    pages: u32,
    bytes: Vec<u8>,
}

impl Bytes {
    fn new(mib: u32) -> Self {
        let pages = mib << 8;
        let mut memory = Self { pages, bytes: Vec::new() };
        memory.bytes = vec![0; (memory.shared_address() + PAGE_BYTES) as usize];
        memory
    }
}

impl Memory for Bytes {
    fn pages(&self) -> u32 {
        self.pages
    }

    fn read(&self, at: u64, into: &mut [u8]) -> Option<()> {
        into.copy_from_slice(self.bytes.get(at as usize..)?.get(..into.len())?);
        Some(())
    }

    fn write(&mut self, at: u64, from: &[u8]) -> Option<()> {
        self.bytes.get_mut(at as usize..)?.get_mut(..from.len())?.copy_from_slice(from);
        Some(())
    }
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("unpack: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let vmlinuz = fs::read(arguments.next().ok_or("which file? VMLINUZ [INITRAMFS] [MIB]")?)?;
    let initramfs = arguments.next().map_or(Ok(Vec::new()), fs::read)?;
    let mib = arguments.next().map_or(Ok(256), |mib| mib.parse::<u16>())?;

    let mut memory = Bytes::new(mib.into());
    let mut scratch = Box::new([0; SCRATCH_BYTES]);
    let bytes = initramfs.len() as u64;
    let kernel = load::load(&mut memory, &vmlinuz, bytes, &mut scratch)?;
    for segment in kernel.program.segments() {
        let from = format!("{:#x} bytes at {:#x} of the program", segment.bytes, segment.offset);
        match segment.place {
            Place::Memory { address, bytes } => println!("{from} to {address:#x}-{:#x}", address + bytes),
            Place::Notes { .. } => println!("{from} are notes"),
        }
    }
    println!("{:#x?}", kernel.notes);
    println!("{:#x?}", layout::Layout::new(kernel.program.end, bytes, memory.pages().into()));

    let mut memory = Bytes::new(mib.into());
    println!("{:#x?}", boot::build(&mut memory, &vmlinuz, &initramfs, "console=hvc0", &mut scratch)?);
    let floor = layout::floor(kernel.program.end, bytes) * PAGE_BYTES;
    println!("{} MiB of memory at least", floor.div_ceil(1 << 20));
    Ok(())
}
