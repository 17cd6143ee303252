//! A panic: the message goes to the log, then the domain faults.

use core::panic::PanicInfo;

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    let line = info.location().map_or(0, |location| location.line());
    crate::log!("{info}");
    if crate::heap::has_refused() {
        let (_, bytes) = cloison_sys::info::get().heap();
        crate::log!("the heap of {} KiB was too small; `heap_kib` in domain.toml sets it", bytes / 1024);
    }
    cloison_sys::panic(line)
}
