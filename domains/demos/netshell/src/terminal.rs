//! The console's terminal as a stream: what is typed comes in, what is written goes to the log.

use core::{convert::Infallible, future::poll_fn, task::Poll};

use cloison_ipc::ring::{Consumer, Doorbell, SharedRing};
use cloison_rt::{
    log,
    sys::{Instant, info},
    task,
};
use embedded_io_async::{ErrorType, Read, Write};

use crate::{Domain, End, serve};

/// Serves the console, if this domain was given a terminal there. Nobody can hang up a keyboard: after
/// `quit`, the next session begins. That the input ends means that the console has spoilt the ring.
pub async fn on_console<D: Domain>(domain: &D) {
    let Some((mut keyboard, mut log)) = Terminal::find().map(|keyboard| (keyboard, Log)) else { return };
    while serve(&mut keyboard, &mut log, domain).await == Ok(End::Quit) {}
}

/// The keyboard half of a terminal. What is written goes to the log.
pub struct Terminal {
    keyboard: Consumer<SharedRing, Doorbell>,
    typed: u64,
}

/// Lines of the log as a stream that is written to.
struct Log;

impl Terminal {
    /// The terminal that this domain was given by the name `terminal`, if it was.
    #[must_use]
    pub fn find() -> Option<Self> {
        let entry = info::get().find::<info::Use>("terminal")?;
        let ring = SharedRing::of(entry)?;
        let keyboard = Consumer::new(ring, Doorbell::of(entry));
        Some(Self { keyboard, typed: info::event_mask(entry) })
    }
}

impl ErrorType for Terminal {
    type Error = Infallible;
}

impl ErrorType for Log {
    type Error = Infallible;
}

impl Read for Terminal {
    /// Ends (with 0 bytes) only if the console spoils the ring.
    async fn read(&mut self, to: &mut [u8]) -> Result<usize, Infallible> {
        poll_fn(|_| {
            // Taken before the look: a key that arrives after it sets the event again.
            let _ = task::take(self.typed);
            match self.keyboard.try_read(to) {
                Ok(0) if !to.is_empty() => {}
                Ok(count) => return Poll::Ready(Ok(count)),
                Err(_) => return Poll::Ready(Ok(0)),
            }
            match self.keyboard.prepare_wait(0) {
                Ok(true) => task::want(self.typed, Instant::NEVER),
                // A key has been pressed meanwhile; it is read in a moment.
                Ok(false) => task::want(0, Instant::PAST),
                Err(_) => return Poll::Ready(Ok(0)),
            }
            Poll::Pending
        })
        .await
    }
}

impl Write for Log {
    async fn write(&mut self, from: &[u8]) -> Result<usize, Infallible> {
        let text = core::str::from_utf8(from).unwrap_or("(this is not text)");
        text.lines().for_each(|line| log!("{line}"));
        Ok(from.len())
    }

    async fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}
