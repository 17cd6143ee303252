//! The kernel's words: its log and the debug output of domains.
//!
//! While a domain with the log right (the console) runs, lines wait in a ring for it, so that one party alone
//! writes to the serial line. Before, and if it ends, the kernel writes to the line itself.

use core::fmt::{self, Write};

use cloison_rules::{
    DomainId,
    capability::DomainRef,
    text::{LOG_BYTES, LogRing},
};

use crate::{arch::serial::Serial, kernel::Kernel};

/// The kernel's log.
pub struct Log {
    serial: Serial,
    ring: LogRing,
    /// Who reads the ring, and the event bit that says that there is something.
    reader: Option<(DomainRef, u8)>,
    /// Who is to read it, while it lives.
    appointed: Option<(DomainRef, u8)>,
    /// Lines of domains that were dropped because the ring was full.
    dropped: u32,
}

impl Log {
    /// A log without a line to write to.
    pub const EMPTY: Self =
        Self { serial: Serial::at(0), ring: LogRing::EMPTY, reader: None, appointed: None, dropped: 0 };

    /// Sets the serial line.
    pub fn set_serial(&mut self, serial: Serial) {
        self.serial = serial;
    }

    /// From now on lines wait for this domain, while it lives.
    pub fn set_reader(&mut self, reader: DomainRef, bit: u8) {
        self.appointed = Some((reader, bit));
        self.reader = self.appointed;
    }

    /// A domain lives again: if it is to read the log, lines wait for it again.
    pub fn reader_started(&mut self, started: DomainRef) {
        if self.appointed.is_some_and(|(appointed, _)| appointed == started) {
            self.reader = self.appointed;
        }
    }

    /// Who reads the log.
    pub fn reader(&self) -> Option<(DomainRef, u8)> {
        self.reader
    }

    /// If this domain was the reader, the kernel writes to the serial line itself again.
    pub fn reader_ended(&mut self, ended: DomainRef) {
        if self.reader.is_some_and(|(reader, _)| reader == ended) {
            self.reader = None;
            self.flush();
        }
    }

    /// Takes up to 32 bytes out of the ring, as message words.
    pub fn read(&mut self) -> ([u64; 4], u32) {
        self.ring.pop_words()
    }

    /// Whether there is room for a line of a domain. A domain that floods the ring loses its own lines; it
    /// shall neither have the kernel wait for the serial line nor fill the last of the room, which is for the
    /// kernel's lines.
    fn admits_line(&mut self) -> bool {
        const RESERVE: usize = LOG_BYTES / 4;
        let admitted = self.reader.is_none() || self.ring.room() > RESERVE;
        self.dropped += u32::from(!admitted);
        admitted
    }

    /// Writes what waits in the ring to the serial line.
    pub fn flush(&mut self) {
        while let Some(byte) = self.ring.pop() {
            self.write_serial(byte);
        }
    }

    /// Without a reader, or with one that does not keep up, bytes go to the serial line at once: out of order
    /// is better than lost.
    fn put(&mut self, byte: u8) {
        if self.reader.is_none() || !self.ring.push(byte) {
            self.write_serial(byte);
        }
    }

    /// A line that takes no byte is given up, so that it costs the time of waiting for it once.
    fn write_serial(&mut self, byte: u8) {
        if !self.serial.write(byte) {
            self.serial = Serial::at(0);
        }
    }
}

impl Write for Log {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.bytes().for_each(|byte| self.put(byte));
        Ok(())
    }
}

impl Kernel {
    /// Says one line.
    pub fn say(&mut self, line: fmt::Arguments<'_>) {
        // `Log` itself never fails.
        let _ = writeln!(self.log, "kernel | {line}");
        self.tell_reader();
    }

    /// Adds text of a domain to its line, and shows the line when it is complete. The star marks a line that
    /// did not go through a log service; the builder, for which there is none, goes without.
    pub fn debug_write(&mut self, id: DomainId, bytes: &[u8]) {
        for byte in bytes {
            if self.domain_mut(id).line.push(*byte) {
                self.show_line(id);
            }
        }
    }

    /// Shows what a domain has written of a line that it does not end any more.
    pub fn finish_line(&mut self, id: DomainId) {
        if !self.domain(id).line.as_str().is_empty() {
            self.show_line(id);
        }
    }

    /// Shows what a domain has written of its line.
    fn show_line(&mut self, id: DomainId) {
        if self.log.admits_line() {
            let dropped = core::mem::take(&mut self.log.dropped);
            if dropped > 0 {
                self.say(format_args!("{dropped} lines of domains were dropped: the log was full"));
            }
            let star = if id == DomainId::BUILDER { "" } else { "*" };
            let domain = &self.domains[id.index()];
            let _ = writeln!(self.log, "{star}{} | {}", domain.name, domain.line.as_str());
            self.tell_reader();
        }
        self.domain_mut(id).line.clear();
    }

    fn tell_reader(&mut self) {
        if let Some(reader) = self.log.reader() {
            self.notify(reader);
        }
    }
}
