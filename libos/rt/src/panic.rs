//! A panic: the message goes to the log, then the domain faults.

use core::panic::PanicInfo;

/// Where `alloc` panics when the heap has refused what a program cannot do without.
const ALLOCATION: &str = "alloc/src/alloc.rs";

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    // Not `{info}`, which puts the message on a line of its own.
    let line = match info.location() {
        Some(location) => {
            crate::log!("panic at {location}: {}", info.message());
            location.line()
        }
        None => 0,
    };
    if info.location().is_some_and(|location| location.file().ends_with(ALLOCATION)) {
        let (_, bytes) = cloison_sys::info::get().heap();
        crate::log!("the heap of {} KiB was too small; `heap_kib` in domain.toml sets it", bytes / 1024);
    }
    crate::callers::tell();
    cloison_sys::panic(line)
}
