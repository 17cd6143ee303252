//! The data of a test: as much as the streams take, one way, until somebody says that it is enough.

use alloc::{boxed::Box, vec, vec::Vec};
use core::{
    cell::Cell,
    future::{Future, pending, poll_fn},
    pin::Pin,
    task::Poll,
    time::Duration,
};

use embassy_futures::{
    select::{Either3, select3},
    yield_now,
};
use embedded_io_async::{Read, Write};

use crate::{Clock, Direction, Error, Report, Results};

/// Most bytes that are read or written at once; each stream has a buffer of that size.
const MAX_BLOCK_BYTES: usize = 32 << 10;
/// How often a stream may go on before the others get a turn.
const BLOCKS_PER_TURN: usize = 32;
/// A test in which nothing moves for so long has failed.
const STANDSTILL: Duration = Duration::from_secs(30);

/// How data is moved.
pub(crate) struct Transfer<'a, C> {
    pub(crate) clock: &'a C,
    pub(crate) direction: Direction,
    pub(crate) block_bytes: usize,
    /// Time at the beginning that does not count.
    pub(crate) omit: Duration,
}

/// What a transfer has moved.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Moved {
    /// Bytes of each stream.
    pub(crate) bytes: Vec<u64>,
    pub(crate) time: Duration,
}

impl Moved {
    /// As the other side wants to hear it.
    pub(crate) fn results(&self) -> Results {
        Results::new(&self.bytes, self.time.as_secs_f64())
    }

    /// As people want to read it. `seen` is what the other side has seen: what is still under way when the
    /// test ends has been sent, and has not arrived.
    pub(crate) fn report(&self, direction: Direction, seen: u64) -> Report {
        let moved = self.bytes.iter().sum();
        let bytes = if direction == Direction::Sent { seen.min(moved) } else { moved };
        Report { direction, bytes, time: self.time, streams: self.bytes.len() }
    }
}

impl<C: Clock> Transfer<'_, C> {
    /// Moves data until `end` is ready.
    pub(crate) async fn run<S: Read + Write>(
        &self,
        streams: &mut [S],
        end: impl Future<Output = Result<(), Error>>,
    ) -> Result<Moved, Error> {
        let counts = Counts::new(streams.len(), self.clock.now());
        let workers = streams.iter_mut().zip(&counts.bytes).map(|(stream, count)| self.work(stream, count));
        let watch = async {
            match select3(end, self.stands_still(&counts), self.begin_to_count(&counts)).await {
                Either3::First(result) => result,
                Either3::Second(()) => Err(Error::TimedOut("no data moved")),
                Either3::Third(()) => Ok(()),
            }
        };
        first_of(watch, workers.map(Box::pin).collect()).await?;
        Ok(counts.moved(self.clock.now()))
    }

    async fn work<S: Read + Write>(&self, stream: &mut S, count: &Cell<u64>) -> Result<(), Error> {
        let mut block = vec![0; self.block_bytes.clamp(1, MAX_BLOCK_BYTES)];
        loop {
            for _ in 0..BLOCKS_PER_TURN {
                let bytes = match self.direction {
                    Direction::Sent => stream.write(&block).await,
                    Direction::Received => stream.read(&mut block).await,
                };
                match bytes.map_err(Error::network)? {
                    // The sender's end may come before the word that the test has ended.
                    0 => return pending().await,
                    bytes => count.set(count.get() + bytes as u64),
                }
            }
            yield_now().await;
        }
    }

    /// Ready when nothing has moved for long.
    async fn stands_still(&self, counts: &Counts) {
        loop {
            let before = counts.total();
            self.clock.sleep(STANDSTILL).await;
            if counts.total() == before {
                return;
            }
        }
    }

    /// Forgets what was moved in the time that does not count. Never ready.
    async fn begin_to_count(&self, counts: &Counts) {
        if !self.omit.is_zero() {
            self.clock.sleep(self.omit).await;
            counts.start_anew(self.clock.now());
        }
        pending().await
    }
}

/// What is being moved.
struct Counts {
    bytes: Vec<Cell<u64>>,
    since: Cell<Duration>,
}

impl Counts {
    fn new(streams: usize, now: Duration) -> Self {
        Self { bytes: vec![Cell::new(0); streams], since: Cell::new(now) }
    }

    fn start_anew(&self, now: Duration) {
        self.bytes.iter().for_each(|count| count.set(0));
        self.since.set(now);
    }

    fn total(&self) -> u64 {
        self.bytes.iter().map(Cell::get).sum()
    }

    fn moved(&self, now: Duration) -> Moved {
        let time = now.saturating_sub(self.since.get());
        Moved { bytes: self.bytes.iter().map(Cell::get).collect(), time }
    }
}

/// Runs `watch` and the workers until `watch` is ready, or a worker fails.
async fn first_of<W: Future<Output = Result<(), Error>>>(
    watch: impl Future<Output = Result<(), Error>>,
    mut workers: Vec<Pin<Box<W>>>,
) -> Result<(), Error> {
    let mut watch = core::pin::pin!(watch);
    poll_fn(|context| {
        if let Poll::Ready(result) = watch.as_mut().poll(context) {
            return Poll::Ready(result);
        }
        let ended = workers.iter_mut().find_map(|worker| match worker.as_mut().poll(context) {
            Poll::Ready(result) => Some(result),
            Poll::Pending => None,
        });
        ended.map_or(Poll::Pending, Poll::Ready)
    })
    .await
}
