//! Drives a session to its end.

use std::{
    fmt,
    os::fd::{AsFd, BorrowedFd},
    time::{Duration, Instant},
};

use super::{Conclusion, Event, Recording, Session, Startup};
use crate::{
    Failure,
    interrupts::Interrupts,
    patience::Patience,
    terminal::{Key, Keyboard},
};

/// How often is looked at what gives no sign by itself.
const PERIOD: Duration = Duration::from_millis(250);

/// The fate of a piece of output.
#[derive(Debug, Clone, Copy, Default)]
pub struct Heard {
    /// Nobody reads it any more.
    pub is_unread: bool,
    /// It says that the first domain runs.
    pub is_up: bool,
    /// It shows a line of a domain, so the console listens.
    pub is_spoken: bool,
}

/// The sources that are watched beside the machine.
pub struct Watch<'a> {
    /// After which time the watch is over, by the clock on the wall.
    pub limit: Option<Duration>,
    /// After which time it is over as [`Patience`] counts, for a machine that is to get its time on a busy host too.
    pub patience: Option<(Patience, Duration)>,
    /// Requests to stop.
    pub interrupts: &'a Interrupts,
    /// What is typed as soon as the console listens.
    pub typed: Option<Vec<u8>>,
    /// The user's keyboard.
    pub keyboard: Option<Keyboard>,
    /// Whether the machine gets anywhere, until it has.
    pub startup: Option<Startup>,
    /// Where frames are recorded.
    pub recording: Option<Recording>,
    /// The pipe that the output goes to, to hear of it if nobody reads any more.
    pub reader: Option<BorrowedFd<'a>>,
    /// Whether what the machine was started for is done.
    pub is_done: Option<&'a dyn Fn() -> bool>,
}

impl fmt::Debug for Watch<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Watch").field("limit", &self.limit).finish_non_exhaustive()
    }
}

impl<'a> Watch<'a> {
    /// Of the machine alone.
    #[must_use]
    pub fn new(limit: Option<Duration>, interrupts: &'a Interrupts) -> Self {
        Self {
            limit,
            interrupts,
            patience: None,
            typed: None,
            keyboard: None,
            startup: None,
            recording: None,
            reader: None,
            is_done: None,
        }
    }

    /// Of the machine alone, for a time that is counted by [`Patience`].
    #[must_use]
    pub fn patient(limit: Duration, interrupts: &'a Interrupts) -> Self {
        Self { patience: Some((Patience::new(), limit)), ..Self::new(None, interrupts) }
    }

    /// Watches a session until it ends, and hands what it writes to `on_output`.
    ///
    /// # Errors
    ///
    /// When somebody asks to stop, or what the machine says or records cannot be written.
    pub fn until_end(
        mut self,
        session: &mut Session,
        on_output: &mut dyn FnMut(&[u8]) -> Result<Heard, Failure>,
    ) -> Result<Conclusion, Failure> {
        let deadline = self.limit.map(|limit| Instant::now() + limit);
        let mut next_look = Instant::now();
        let conclusion = loop {
            if let Some(conclusion) = self.look(session, &mut next_look)? {
                break conclusion;
            }
            let event =
                session.next(Some(deadline.map_or(next_look, |end| end.min(next_look))), &self.files())?;
            let heard = match &event {
                Event::Output(bytes) => on_output(bytes)?,
                _ => Heard::default(),
            };
            self.startup.take_if(|_| heard.is_up);
            if let Some(typed) = self.typed.take_if(|_| heard.is_spoken) {
                session.send(&typed);
            }
            self.interrupts.check()?;
            match event {
                _ if heard.is_unread => break Conclusion::Unread,
                Event::Output(_) => {}
                Event::Deadline if deadline.is_some_and(|end| end <= Instant::now()) => {
                    break Conclusion::TimedOut;
                }
                Event::Deadline => {}
                Event::Ended(end) => break Conclusion::Ended(end),
                Event::Ready(index) if self.is_reader(index) => break Conclusion::Unread,
                Event::Ready(_) => match self.keyboard.as_mut().map_or(Key::Closed, Keyboard::read) {
                    Key::Bytes(bytes) => session.send(&bytes),
                    Key::Leave => break Conclusion::Left,
                    Key::Closed => self.keyboard = None,
                },
            }
        };
        self.recording.as_mut().map_or(Ok(()), Recording::finish)?;
        Ok(conclusion)
    }

    /// Looks, from time to time, at what gives no sign by itself.
    fn look(&mut self, session: &Session, next: &mut Instant) -> Result<Option<Conclusion>, Failure> {
        if Instant::now() < *next {
            return Ok(None);
        }
        *next = Instant::now() + PERIOD;
        if let Some(keyboard) = &mut self.keyboard {
            keyboard.attend();
        }
        self.recording.as_mut().map_or(Ok(()), Recording::attend)?;
        if let Some((patience, limit)) = &mut self.patience
            && patience.counted(|| session.cpu_time()) >= *limit
        {
            return Ok(Some(Conclusion::TimedOut));
        }
        if self.is_done.is_some_and(|is_done| is_done()) {
            return Ok(Some(Conclusion::Left));
        }
        Ok(self.startup.as_mut().and_then(|startup| startup.look(session.process())).map(Conclusion::Stuck))
    }

    /// The sources to wait for: requests to stop, the reader, the keyboard.
    fn files(&self) -> Vec<BorrowedFd<'_>> {
        let keyboard = self.keyboard.as_ref().and_then(Keyboard::source);
        [self.interrupts.as_fd()].into_iter().chain(self.reader).chain(keyboard).collect()
    }

    fn is_reader(&self, index: usize) -> bool {
        index == 1 && self.reader.is_some()
    }
}
