//! What the store says of a guest before it runs.

use core::fmt::{self, Write};

use heapless::String;

use super::{GUEST, HOME, PATH_BYTES, Refusal, VALUE_BYTES, Xenstore};
use crate::boot::{CONSOLE_PORT, STORE_PORT, Start};

/// KiB of a page.
const PAGE_KIB: u64 = cloison_abi::limits::PAGE_BYTES / 1024;

impl Xenstore {
    /// Writes what Linux looks for: its memory, its CPU, how it is told to end, its rings.
    ///
    /// # Errors
    /// [`Refusal::Full`].
    pub fn describe(&mut self, pages: u32, start: &Start) -> Result<(), Refusal> {
        let kib = u64::from(pages) * PAGE_KIB;
        self.write_at(format_args!("{HOME}/name"), format_args!("linux"))?;
        self.write_at(format_args!("{HOME}/domid"), format_args!("{GUEST}"))?;
        self.write_at(format_args!("{HOME}/memory/target"), format_args!("{kib}"))?;
        self.write_at(format_args!("{HOME}/memory/static-max"), format_args!("{kib}"))?;
        self.write_at(format_args!("{HOME}/cpu/0/availability"), format_args!("online"))?;
        self.write_at(format_args!("{HOME}/control/shutdown"), format_args!(""))?;
        self.write_at(format_args!("{HOME}/store/port"), format_args!("{STORE_PORT}"))?;
        self.write_at(format_args!("{HOME}/store/ring-ref"), format_args!("{}", start.store))?;
        self.write_at(format_args!("{HOME}/console/port"), format_args!("{CONSOLE_PORT}"))?;
        self.write_at(format_args!("{HOME}/console/ring-ref"), format_args!("{}", start.console))?;
        self.write_at(format_args!("{HOME}/console/type"), format_args!("xenconsoled"))
    }

    /// Asks the guest to switch itself off: Linux watches this path, and answers with an empty value.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub fn ask_to_end(&mut self) -> Result<(), Refusal> {
        self.write_at(format_args!("{HOME}/control/shutdown"), format_args!("poweroff"))
    }

    /// Gives a path a value, both of them put together first.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub fn write_at(&mut self, path: fmt::Arguments<'_>, value: fmt::Arguments<'_>) -> Result<(), Refusal> {
        let (mut whole_path, mut whole_value) = (String::<PATH_BYTES>::new(), String::<VALUE_BYTES>::new());
        whole_path.write_fmt(path).and_then(|()| whole_value.write_fmt(value)).or(Err(Refusal::TooLong))?;
        self.write(&whole_path, whole_value.as_bytes())
    }
}
