//! The kernel's words: its log and the debug output of domains.
//!
//! All lines go through one ring, whole or not at all. While a domain with the log right (the console) runs, it
//! takes them out, so that one party alone writes to the serial line. Before, and if it ends, the kernel writes to
//! the line itself, some bytes at a time and without waiting; only while nothing else runs, at boot and at the
//! end, does it wait.

use core::fmt;

use cloison_abi::{call::NO_DEADLINE, limits::LOG_LINE_BYTES};
use cloison_rules::{
    DomainId, EventRef, Peer,
    text::{LOG_BYTES, LogRing},
};

use crate::{
    arch::{serial::Serial, time},
    state::Kernel,
};

/// Bytes that one step gives to the serial line at most: what two calls of a domain bring.
const STEP_BYTES: usize = 64;
/// How long until the next step: in this time, a line of 115,200 baud sends 12 bytes. In microseconds.
const STEP_US: u64 = 1000;
/// A line that takes nothing for so long holds nobody up any more. In microseconds.
const PATIENCE_US: u64 = 1_000_000;
/// Room that lines of domains leave for those of the kernel.
const RESERVE: usize = LOG_BYTES / 4;

/// The kernel's log.
pub struct Log {
    serial: Serial,
    ring: LogRing,
    /// Who reads the ring: the event that says that there is something.
    reader: Option<EventRef>,
    /// The reader is stopped, so the kernel writes to the line until it starts again.
    reader_is_away: bool,
    /// The reader may have begun a line, which has to end before the kernel writes.
    breaks_line: bool,
    /// Domains run, so nobody may wait for the line.
    is_running: bool,
    /// When the next step is due, while something waits for the line.
    pub due: u64,
    /// When the line last took something, or was last not needed.
    moved: u64,
    /// Lines of domains, and lines of the kernel, that were dropped because the ring was full.
    dropped: u32,
    lost: u32,
}

impl Log {
    /// A log without a line to write to.
    pub const EMPTY: Self = Self {
        serial: Serial::NONE,
        ring: LogRing::EMPTY,
        reader: None,
        reader_is_away: false,
        breaks_line: false,
        is_running: false,
        due: 0,
        moved: 0,
        dropped: 0,
        lost: 0,
    };

    /// Sets the serial line.
    pub fn set_serial(&mut self, serial: Serial) {
        self.serial = serial;
    }

    /// From now on domains run.
    pub fn set_running(&mut self) {
        self.flush();
        (self.is_running, self.due) = (true, NO_DEADLINE);
    }

    /// From now on lines wait for this domain.
    fn set_reader(&mut self, reader: EventRef) {
        (self.reader, self.reader_is_away, self.due) = (Some(reader), false, NO_DEADLINE);
        self.ring.begin_line();
    }

    /// Who reads the log.
    pub fn reader(&self) -> Option<EventRef> {
        self.reader.filter(|_| !self.reader_is_away)
    }

    /// Takes up to 32 bytes out of the ring, as message words.
    pub fn read(&mut self) -> ([u64; 4], u32) {
        self.ring.pop_words()
    }

    /// Whether there is room for a line of a domain, beside what is kept for the kernel's.
    fn has_room(&self) -> bool {
        self.ring.room() >= RESERVE + LOG_LINE_BYTES
    }

    /// Adds a line of the kernel's.
    fn push(&mut self, line: fmt::Arguments<'_>) {
        let lost = self.lost;
        let told = lost == 0
            || self
                .ring
                .push_line(format_args!("kernel | {lost} lines of the kernel were lost: the log was full"));
        if told {
            self.lost = 0;
        }
        if !told || !self.ring.push_line(line) {
            self.lost += 1;
        }
    }

    /// Gives the serial line what it takes now, without waiting.
    fn step(&mut self, now: u64, ticks: impl Fn(u64) -> u64) {
        let mut write = self.serial.without_waiting();
        if self.breaks_line {
            self.breaks_line = !write(b'\n');
        }
        let moved = !self.breaks_line && self.ring.drain(STEP_BYTES, write) > 0;
        if moved || self.due == NO_DEADLINE {
            self.moved = now;
        }
        let next = now.saturating_add(ticks(STEP_US));
        self.due = if self.ring.is_empty() { NO_DEADLINE } else { next };
    }

    /// Writes what waits to the serial line, waiting for it. A line that takes no byte is given up, so that it
    /// costs the time of waiting for it once.
    pub fn flush(&mut self) {
        if self.reader().is_some() {
            self.take_over();
        }
        let first = core::mem::take(&mut self.breaks_line).then_some(b'\n');
        for byte in first.into_iter().chain(core::iter::from_fn(|| self.ring.pop())) {
            if !self.serial.write(byte) {
                self.serial = Serial::NONE;
            }
        }
    }

    /// The reader reads no more: the kernel goes on with the next whole line, below what the reader may have
    /// begun.
    fn take_over(&mut self) {
        self.reader_is_away = true;
        self.breaks_line = true;
        self.ring.begin_line();
    }
}

impl Kernel {
    /// Says one line.
    pub fn say(&mut self, line: fmt::Arguments<'_>) {
        self.log.push(format_args!("kernel | {line}"));
        self.bring_out();
    }

    /// Sees to it that what is in the log comes out.
    pub fn bring_out(&mut self) {
        match self.log.reader() {
            Some(reader) => self.notify(reader),
            None if self.log.is_running => {
                let (now, timer) = (time::now(), self.machine.timer);
                self.log.step(now, |microseconds| timer.ticks(microseconds));
                self.threads.expect(self.log.due);
            }
            None => self.log.flush(),
        }
    }

    /// Adds text of a domain to its line, and shows the line when it is complete. Returns how many of the bytes
    /// it took: without a reader, a line waits for room.
    ///
    /// A domain that floods the log loses lines of its own while somebody reads it; it waits, in its own time,
    /// while the kernel writes to the serial line; and it loses them if that line is stuck.
    pub fn debug_write(&mut self, id: DomainId, bytes: &[u8]) -> usize {
        for (taken, byte) in bytes.iter().enumerate() {
            if self.log.reader().is_none() && !self.log.has_room() && !self.is_line_stuck() {
                self.bring_out();
                return taken;
            }
            if self.domain_mut(id).line.push(*byte) {
                self.show_line(id);
            }
        }
        bytes.len()
    }

    /// Shows what a domain has written of a line that it does not end any more.
    pub fn finish_line(&mut self, id: DomainId) {
        if !self.domain(id).line.as_str().is_empty() {
            self.show_line(id);
        }
    }

    fn is_line_stuck(&self) -> bool {
        time::now() > self.log.moved.saturating_add(self.machine.timer.ticks(PATIENCE_US))
    }

    /// Shows what a domain has written of its line. The star marks a line that did not go through a log service;
    /// the builder, for which there is none, goes without.
    fn show_line(&mut self, id: DomainId) {
        let star = if id == DomainId::BUILDER { "" } else { "*" };
        let Kernel { log, domains, .. } = self;
        let domain = &mut domains[id.index()];
        if log.has_room() {
            let dropped = core::mem::take(&mut log.dropped);
            if dropped > 0 {
                log.push(format_args!("kernel | {dropped} lines of domains were dropped: the log was full"));
            }
            log.push(format_args!("{star}{} | {}", domain.name, domain.line.as_str()));
        } else {
            log.dropped += 1;
        }
        domain.line.clear();
        self.bring_out();
    }

    /// A domain has stopped. If it was the reader of the log, the kernel writes to the serial line itself.
    pub fn reader_stopped(&mut self, stopped: Peer) {
        if self.log.reader().is_some_and(|reader| reader.target == stopped) {
            self.log.take_over();
            self.bring_out();
        }
    }

    /// A domain is to start. If it is the reader of the log, it reads on from the next whole line. Returns false
    /// while the kernel is in the middle of one.
    pub fn reader_may_start(&mut self, id: DomainId) -> bool {
        match self.log.reader.filter(|reader| reader.target.domain == id) {
            Some(reader) => self.set_reader(reader),
            None => true,
        }
    }

    /// From now on lines wait for this domain. Returns false, and has done nothing, while the kernel is in the
    /// middle of writing one itself.
    pub fn set_reader(&mut self, reader: EventRef) -> bool {
        let is_writing = self.log.reader().is_none() && self.log.ring.is_inside_line();
        if is_writing && !self.is_line_stuck() {
            self.bring_out();
            return false;
        }
        self.log.set_reader(reader);
        true
    }
}
