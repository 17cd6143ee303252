//! Connections that have not said yet what they are for.

use alloc::{boxed::Box, vec::Vec};
use core::{future::poll_fn, pin::Pin, task::Poll, time::Duration};

use embassy_futures::select::{Either, select};

use crate::{Clock, Cookie, Error, Listener, control::read_cookie, host::within};

/// How long a new connection may take to show a cookie.
const PATIENCE: Duration = Duration::from_secs(2);
/// How many may be about to; beyond that, the oldest goes. A client shows its cookie at once.
const MAX_NEWCOMERS: usize = 4;

/// A connection and the cookie that it has shown, or why there is none.
type Shown<S> = (S, Result<Cookie, Error>);

/// A connection that is being heard.
type Hearing<'a, S> = Pin<Box<dyn Future<Output = Shown<S>> + 'a>>;

/// A port with those who have come to it. All are heard at the same time, so that nobody waits for the
/// others.
pub struct Newcomers<'a, L: Listener, C> {
    listener: L,
    clock: &'a C,
    waiting: Vec<Hearing<'a, L::Stream>>,
}

impl<'a, L: Listener, C: Clock> Newcomers<'a, L, C>
where
    L::Stream: 'a,
{
    /// Nobody has come yet.
    pub fn new(listener: L, clock: &'a C) -> Self {
        Self { listener, clock, waiting: Vec::new() }
    }

    pub(crate) fn clock(&self) -> &'a C {
        self.clock
    }

    /// The next connection that shows a cookie, or fails to.
    ///
    /// # Errors
    ///
    /// The listener's.
    pub(crate) async fn next(&mut self) -> Result<Shown<L::Stream>, Error> {
        loop {
            // Who has shown a cookie comes first: a newcomer may take the place of the oldest one.
            match select(first_of(&mut self.waiting), self.listener.accept()).await {
                Either::First(shown) => return Ok(shown),
                Either::Second(stream) => self.hear(stream?),
            }
        }
    }

    /// The port.
    pub(crate) fn listener(&mut self) -> &mut L {
        &mut self.listener
    }

    /// Sends those away who are still silent. Returns the port.
    pub(crate) fn dismiss(&mut self) -> &mut L {
        self.waiting.clear();
        &mut self.listener
    }

    fn hear(&mut self, mut stream: L::Stream) {
        if self.waiting.len() == MAX_NEWCOMERS {
            drop(self.waiting.remove(0));
        }
        let clock = self.clock;
        self.waiting.push(Box::pin(async move {
            let shown = within(clock, PATIENCE, "no cookie came", read_cookie(&mut stream)).await;
            (stream, shown)
        }));
    }
}

/// What the first future says that is ready.
async fn first_of<S>(futures: &mut Vec<Hearing<'_, S>>) -> Shown<S> {
    poll_fn(|context| {
        for place in 0..futures.len() {
            if let Poll::Ready(output) = futures[place].as_mut().poll(context) {
                drop(futures.remove(place));
                return Poll::Ready(output);
            }
        }
        Poll::Pending
    })
    .await
}
