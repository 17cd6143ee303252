//! Interrupts: where each goes, and those that come too often.
//!
//! An edge-triggered line stays open while its driver works, so a device gone wild costs the domain that runs,
//! whichever that is. A line that interrupts so often without its driver keeping up is masked until the driver
//! acknowledges.

use cloison_abi::{
    CallError, InterruptSource,
    limits::{MAX_INTERRUPT_LINES, MAX_INTERRUPTS},
};

use crate::refs::{DomainId, EventRef, InterruptId};

/// Interrupts of an edge-triggered line within a window, above which it is masked.
const MOST: u32 = 100;
/// Length of the window, in microseconds.
pub const WINDOW_US: u64 = 100_000;

/// How many pins an I/O APIC has, from its version register (Intel I/O APIC data sheet, section 3.2.2).
#[must_use]
pub fn io_apic_pins(version: u32) -> u32 {
    ((version >> 16 & 0xff) + 1).min(MAX_INTERRUPT_LINES)
}

/// An interrupt that a domain was given. As it holds the source's bits, and no field has a value to spare but an
/// index, a table of optional ones is all zeros while it is empty.
#[derive(Clone, Copy, Debug)]
pub struct Interrupt {
    /// What is signalled.
    pub event: EventRef,
    /// Where it comes from, as bits.
    source: u32,
    /// How often it has come.
    load: LineLoad,
}

impl Interrupt {
    /// An interrupt from this source, which has not come yet.
    #[must_use]
    pub fn new(source: InterruptSource, event: EventRef) -> Self {
        Self { event, source: source.to_bits(), load: LineLoad::default() }
    }

    /// The line by which it comes; `None` for one that comes by message.
    #[must_use]
    pub fn line(&self) -> Option<Line> {
        (self.source & InterruptSource::MESSAGE == 0).then_some(Line(self.source))
    }

    /// It has come. A line that is level triggered is masked until its driver has dealt with it, or it would
    /// interrupt without end; one that is edge triggered, if it comes too often.
    pub fn arrived(&mut self, now: u64, window: u64) -> Load {
        match self.line() {
            None => Load::Fine,
            Some(line) if line.is_level() => Load::TooMuch,
            Some(_) => self.load.arrived(now, window),
        }
    }

    /// Its driver has dealt with it, as [`LineLoad::acknowledged`].
    pub fn acknowledged(&mut self) -> bool {
        self.load.acknowledged()
    }

    /// Its driver starts: what has come before is forgotten.
    pub fn start_over(&mut self) {
        self.load = LineLoad::default();
    }
}

/// A line to the I/O APIC, as the bits of its [`InterruptSource`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line(u32);

impl Line {
    /// Which of the lines it is.
    #[must_use]
    pub fn number(self) -> u8 {
        self.0 as u8
    }

    /// Whether it is level triggered (else edge).
    #[must_use]
    pub fn is_level(self) -> bool {
        self.0 & InterruptSource::LEVEL != 0
    }

    /// Whether it is active when low (else when high).
    #[must_use]
    pub fn is_active_low(self) -> bool {
        self.0 & InterruptSource::ACTIVE_LOW != 0
    }
}

/// All interrupts.
#[derive(Debug)]
pub struct InterruptTable([Option<Interrupt>; MAX_INTERRUPTS]);

impl InterruptTable {
    /// No interrupt is anybody's.
    pub const EMPTY: Self = Self([None; MAX_INTERRUPTS]);

    /// An entry that is free, for an interrupt from this source.
    ///
    /// # Errors
    /// [`CallError::BadArgument`] if the source is a line that another entry has; [`CallError::TableFull`].
    pub fn place_for(&self, source: InterruptSource) -> Result<InterruptId, CallError> {
        if let InterruptSource::Line { number, .. } = source
            && self.0.iter().flatten().any(|other| other.line().is_some_and(|line| line.number() == number))
        {
            return Err(CallError::BadArgument);
        }
        let free = self.0.iter().position(Option::is_none);
        free.and_then(InterruptId::new).ok_or(CallError::TableFull)
    }

    /// Fills an entry.
    pub fn put(&mut self, id: InterruptId, interrupt: Interrupt) {
        self.0[id.index()] = Some(interrupt);
    }

    /// The interrupt in an entry.
    pub fn get_mut(&mut self, id: InterruptId) -> Option<&mut Interrupt> {
        self.0[id.index()].as_mut()
    }

    /// The interrupts of a domain, however often it was made.
    pub fn of(&mut self, domain: DomainId) -> impl Iterator<Item = (InterruptId, &mut Interrupt)> {
        let filled = self
            .0
            .iter_mut()
            .enumerate()
            .filter_map(|(index, entry)| Some((InterruptId::new(index)?, entry.as_mut()?)));
        filled.filter(move |(_, interrupt)| interrupt.event.target.domain == domain)
    }

    /// Frees the entries of a domain.
    pub fn release(&mut self, domain: DomainId) {
        for entry in
            self.0.iter_mut().filter(|entry| entry.is_some_and(|entry| entry.event.target.domain == domain))
        {
            *entry = None;
        }
    }
}

/// What to do about an interrupt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Load {
    /// Nothing.
    Fine,
    /// Mask the line.
    TooMuch,
    /// Mask the line, and say so, because it is the first time.
    FirstTooMuch,
}

/// How often a line has interrupted.
#[derive(Clone, Copy, Debug, Default)]
pub struct LineLoad {
    /// When the window began.
    since: u64,
    /// Interrupts since then that the driver has not acknowledged in time.
    count: u32,
    /// How often the line was masked for coming too often, and how often it was opened again.
    masked: u32,
    opened: u32,
}

impl LineLoad {
    /// Counts an interrupt. `window` is [`WINDOW_US`] in the unit of `now`.
    pub fn arrived(&mut self, now: u64, window: u64) -> Load {
        if now.saturating_sub(self.since) > window {
            (self.since, self.count) = (now, 0);
        }
        self.count += 1;
        if self.count <= MOST {
            return Load::Fine;
        }
        self.masked = self.opened.wrapping_add(1);
        if self.masked == 1 { Load::FirstTooMuch } else { Load::TooMuch }
    }

    /// The driver has dealt with what there was. A driver that keeps up may be interrupted as often as it likes.
    /// Returns true if the line is masked and has to be opened; the driver then has to look once more, because an
    /// edge may have been lost. Until the window ends, each interrupt masks it again.
    pub fn acknowledged(&mut self) -> bool {
        let is_masked = self.masked != self.opened;
        if !is_masked {
            self.count = 0;
        }
        self.opened = self.masked;
        is_masked
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::refs::{Peer, ThreadId, ThreadRef};

    /// Interrupts until the line is masked, at most 1000.
    fn flood(load: &mut LineLoad, now: u64) -> (u32, Load) {
        let arrivals = (1..=1000).map(|number| (number, load.arrived(now, 10)));
        arrivals.into_iter().find(|(_, load)| *load != Load::Fine).unwrap_or((1000, Load::Fine))
    }

    #[test]
    fn a_flood_is_masked_and_said_once() {
        let mut load = LineLoad::default();
        assert_eq!(flood(&mut load, 1), (MOST + 1, Load::FirstTooMuch));
        assert!(load.acknowledged() && !load.acknowledged());
        assert_eq!(flood(&mut load, 2), (MOST + 1, Load::TooMuch), "a second acknowledgement begins again");
        assert!(load.acknowledged());
        assert_eq!(flood(&mut load, 3), (1, Load::TooMuch), "one interrupt for each acknowledgement");
        assert!(load.acknowledged());
        assert_eq!(flood(&mut load, 10), (1, Load::TooMuch), "the last moment of the window");
        assert!(load.acknowledged());
        assert_eq!(flood(&mut load, 11), (MOST + 1, Load::TooMuch), "the next window");
    }

    #[test]
    fn a_driver_that_keeps_up_is_left_alone() {
        let mut load = LineLoad::default();
        for number in 0..100_000 {
            assert_eq!(load.arrived(number / 100, 10), Load::Fine);
            assert!(!load.acknowledged());
        }
    }

    #[test]
    fn a_slow_line_is_left_alone_even_by_a_driver_that_never_answers() {
        let mut load = LineLoad::default();
        assert!((0..100_000).all(|number| load.arrived(number, u64::from(MOST) - 2) == Load::Fine));
    }

    fn line(number: u8, is_level: bool) -> InterruptSource {
        InterruptSource::Line { number, is_level, is_active_low: false }
    }

    fn peer(index: usize) -> Peer {
        let thread = ThreadRef { id: ThreadId::new(index).unwrap(), generation: 0 };
        Peer { thread, domain: DomainId::new(index).unwrap() }
    }

    #[test]
    fn a_line_has_one_entry_and_messages_have_as_many_as_there_are() {
        let mut table = InterruptTable::EMPTY;
        let mut add = |source, owner| {
            let place = table.place_for(source)?;
            table.put(place, Interrupt::new(source, EventRef { target: peer(owner), bit: 1 }));
            Ok(place.index())
        };
        assert_eq!(add(line(9, false), 1), Ok(0));
        assert_eq!(add(line(9, true), 2), Err(CallError::BadArgument), "for anybody, and in any way");
        let message = InterruptSource::Message { number: 9 };
        assert_eq!([add(message, 2), add(message, 3)], [Ok(1), Ok(2)], "two devices have a message 9 each");
        (3..MAX_INTERRUPTS).for_each(|number| assert_eq!(add(line(number as u8 + 20, false), 3), Ok(number)));
        assert_eq!(add(message, 4), Err(CallError::TableFull));
        table.release(peer(1).domain);
        assert_eq!(table.place_for(line(9, true)).map(InterruptId::index), Ok(0), "it comes back");
        assert_eq!(table.of(peer(3).domain).count(), MAX_INTERRUPTS - 2);
        assert_eq!(table.of(peer(1).domain).count(), 0);
    }

    #[test]
    fn level_triggered_lines_are_masked_each_time_and_messages_never() {
        let new = |source| Interrupt::new(source, EventRef { target: peer(1), bit: 1 });
        let mut level = new(line(9, true));
        assert_eq!([level.arrived(1, 10), level.arrived(1, 10)], [Load::TooMuch; 2]);
        assert!(!level.acknowledged(), "it is opened in any case");
        let (mut message, mut edge) = (new(InterruptSource::Message { number: 0 }), new(line(9, false)));
        assert!((0..1000).all(|_| message.arrived(1, 10) == Load::Fine));
        assert!((0..MOST).all(|_| edge.arrived(1, 10) == Load::Fine));
        assert_eq!(edge.arrived(1, 10), Load::FirstTooMuch);
        edge.start_over();
        assert_eq!(edge.arrived(1, 10), Load::Fine);
    }

    /// The kernel's file would hold the whole of its state otherwise.
    #[test]
    fn no_interrupt_is_all_zeros() {
        assert!(size_of::<Option<Interrupt>>() == size_of::<Interrupt>());
    }

    #[test]
    fn every_pin_of_a_controller_is_known() {
        assert_eq!(io_apic_pins(0x17_0020), 24);
        assert_eq!(io_apic_pins(0x77_0020), 120);
        assert_eq!(io_apic_pins(0xffff_ffff), 120);
        assert_eq!(io_apic_pins(0), 1);
    }
}
