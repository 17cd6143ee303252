//! A panic: the message goes to the log, then the domain faults.

use core::panic::PanicInfo;

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    let line = info.location().map_or(0, |location| location.line());
    crate::log!("{info}");
    cloison_sys::panic(line)
}
