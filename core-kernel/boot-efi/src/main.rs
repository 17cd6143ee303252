//! The boot loader for UEFI: reads kernel and system image from the volume that it was started from, measures both
//! into the TPM, and starts the kernel as a Multiboot2 loader does.
//!
//! What it measures is what `cloison_measure` says, so that the image builder foretells the registers. On a machine
//! without a TPM it says so, tells the kernel, and goes on; a chain that has begun is never left half measured.

#![no_std]
#![no_main]

mod firmware;
mod handover;
mod hash;
mod pages;
mod tpm;
mod volume;

use boot_efi::{Information, Kernel, Listing, line};
use cloison_measure::{Rows, event::System};
use uefi_raw::{Handle, Status, table::system::SystemTable};

use firmware::Firmware;
use handover::Handover;
use pages::Pages;
use tpm::{Tpm, TpmLog};
use volume::Volume;

/// What is on the volume: kernel, image, and what has to be measured of them.
const KERNEL: &str = "cloison\\kernel.elf";
const IMAGE: &str = "cloison\\system.img";
const LISTING: &str = "cloison\\measured.txt";
/// Room for firmware's list of memory.
const MEMORY_MAP_BYTES: usize = 64 << 10;
/// Room for what the kernel is told, the memory map above all.
const INFORMATION_BYTES: usize = 64 << 10;

/// The system cannot be started; why has been said.
struct Refused;

/// Says why nothing is started.
fn refuse(firmware: &Firmware, why: core::fmt::Arguments<'_>) -> Refused {
    firmware.say(format_args!("{why}; not started"));
    Refused
}

/// Called by firmware.
#[expect(
    unsafe_code,
    reason = "firmware knows the program's start by its name, and the program firmware by its word"
)]
#[unsafe(no_mangle)]
extern "efiapi" fn efi_main(image: Handle, table: *const SystemTable) -> Status {
    // SAFETY: firmware calls this once, with these arguments.
    let firmware = unsafe { Firmware::new(image, table) };
    firmware.say(format_args!("Cloison's loader, version {}", env!("CARGO_PKG_VERSION")));
    match prepare(&firmware) {
        Ok(ready) => start(firmware, ready),
        Err(Refused) => firmware.give_up(),
    }
}

/// All that is needed when firmware has ended.
struct Ready {
    entry: u32,
    image: Pages,
    log: Option<TpmLog>,
    root: [u8; firmware::ACPI_ROOT_BYTES],
    map: Pages,
    information: Pages,
    handover: Handover,
}

/// Reads, measures and places the system, or says why not.
fn prepare(firmware: &Firmware) -> Result<Ready, Refused> {
    let volume = Volume::own(firmware);
    let volume = volume.map_err(|why| refuse(firmware, format_args!("the volume cannot be read: {why}")))?;
    let read = |name| {
        volume.read(name).map_err(|why| refuse(firmware, format_args!("{name} cannot be read: {why}")))
    };
    let (kernel_file, image, listing) = (read(KERNEL)?, read(IMAGE)?, read(LISTING)?);
    let kernel = Kernel::read(kernel_file.bytes());
    let kernel = kernel.map_err(|why| refuse(firmware, format_args!("{KERNEL}: {why}")))?;
    let log = measure(firmware, &kernel_file, &image, Listing::new(listing.bytes()))?;
    place(firmware, kernel)?;
    let no_root = || refuse(firmware, format_args!("firmware shows no ACPI tables"));
    let no_memory = |why| refuse(firmware, format_args!("firmware gives no memory below 4 GiB: {why}"));
    Ok(Ready {
        entry: kernel.entry,
        image,
        log,
        root: firmware.acpi_root().ok_or_else(no_root)?,
        map: Pages::anywhere(firmware, MEMORY_MAP_BYTES).map_err(no_memory)?,
        information: Pages::anywhere(firmware, INFORMATION_BYTES).map_err(no_memory)?,
        handover: Handover::new(firmware).map_err(no_memory)?,
    })
}

/// Ends firmware, and starts the system. Nothing can be said any more.
fn start(firmware: Firmware, mut ready: Ready) -> ! {
    let (ended, map) = firmware.end(ready.map.bytes_mut());
    let start = ready.information.start();
    let mut information = Information::new(ready.information.bytes_mut());
    information.command_line(if ready.log.is_some() { "measured" } else { "unmeasured" });
    information.module(ready.image.start(), ready.image.end(), "system.img");
    if let Some(log) = ready.log.map(TpmLog::finished) {
        information.module(log.start(), log.end(), "event log");
    }
    information.acpi_root(&ready.root);
    information.memory_map(map.areas());
    match information.finish() {
        Some(_) => ready.handover.enter(ready.entry, start),
        None => ended.give_up(),
    }
}

/// Measures all of the system, if there is a TPM. Returns the log of it.
fn measure(
    firmware: &Firmware,
    kernel: &Pages,
    image: &Pages,
    mut listing: Listing<'_>,
) -> Result<Option<TpmLog>, Refused> {
    let rows = Rows::read(image.bytes());
    let rows = rows.map_err(|why| refuse(firmware, format_args!("{IMAGE}: {why}")))?;
    let system = System { options: firmware.options(), kernel: kernel.bytes(), image: image.bytes(), rows };
    let unmeasured =
        |why: core::fmt::Arguments<'_>| firmware.say(format_args!("this boot is not measured: {why}"));
    let mut tpm = Tpm::find(firmware);
    if tpm.is_none() {
        unmeasured(format_args!("firmware offers no TPM"));
    }
    let mut count = 0;
    for (number, event) in system.events(hash::sha256).enumerate() {
        let name = event.name;
        let line = line(&event);
        let line =
            line.ok_or_else(|| refuse(firmware, format_args!("{IMAGE}: a row has a long name: {name}")))?;
        // The options are the machine's, not the builder's.
        if number > 0 && !listing.is_next(&line) {
            return Err(refuse(firmware, format_args!("{line} is not what was built ({LISTING})")));
        }
        match tpm.as_ref().map(|tpm| tpm.extend(event.pcr, &line)) {
            None => {}
            Some(Ok(())) => count += 1,
            Some(Err(why)) if count == 0 => {
                unmeasured(format_args!("the TPM does not take the first event: {why}"));
                tpm = None;
            }
            Some(Err(why)) => return Err(refuse(firmware, format_args!("{name} cannot be measured: {why}"))),
        }
    }
    let Some(tpm) = tpm else { return Ok(None) };
    let log = tpm.log();
    let log = log.map_err(|why| refuse(firmware, format_args!("the event log cannot be read: {why}")))?;
    firmware.say(format_args!("measured {count} events; the log lies at {:#x}", log.start()));
    Ok(Some(log))
}

/// Puts the kernel where it runs.
fn place(firmware: &Firmware, kernel: Kernel<'_>) -> Result<(), Refused> {
    let (start, end) = kernel.memory;
    let memory = Pages::at(firmware, start, (end - start) as usize);
    let mut memory = memory.map_err(|why| {
        let what = format_args!("firmware uses the kernel's memory from {start:#x} to {end:#x}: {why}");
        refuse(firmware, what)
    })?;
    for segment in kernel.segments() {
        let first = (segment.address - start) as usize;
        memory.bytes_mut()[first..first + segment.bytes.len()].copy_from_slice(segment.bytes);
    }
    Ok(())
}

/// A fault of the loader itself. Nothing is known of firmware here.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    handover::stop()
}
