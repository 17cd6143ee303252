//! The data of a test: as much as the streams take, until somebody says that it is enough.

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

use crate::{
    Clock, Direction, Error, Report, Results,
    amount::{Amount, Arrivals},
};

/// Most bytes that are read or written at once; each stream has a buffer of that size.
const MAX_BLOCK_BYTES: usize = 32 << 10;
/// How often a stream may go on before the others get a turn.
const BLOCKS_PER_TURN: usize = 32;
/// A test in which nothing moves for so long has failed.
const STANDSTILL: Duration = Duration::from_secs(30);
/// A sender that is to keep to a rate does so over this time.
const BEAT: Duration = Duration::from_millis(1);

/// How data is moved.
pub(crate) struct Transfer<'a, C> {
    pub(crate) clock: &'a C,
    pub(crate) block_bytes: usize,
    /// Time at the beginning that does not count.
    pub(crate) omit: Duration,
    /// How fast this side may send on each stream; 0: as fast as it can.
    pub(crate) bits_per_second: u64,
}

/// What is being moved on a stream, and which way.
pub(crate) struct Movement {
    pub(crate) direction: Direction,
    bytes: Cell<u64>,
    pub(crate) arrivals: Cell<Arrivals>,
    /// What had come when it began to count.
    before: Cell<Arrivals>,
}

/// What a transfer has moved.
#[derive(Debug, PartialEq)]
pub(crate) struct Moved {
    pub(crate) streams: Vec<Amount>,
    pub(crate) time: Duration,
}

/// What moves data on a stream. It ends only if it fails.
pub(crate) type Mover<'a> = Pin<Box<dyn Future<Output = Result<(), Error>> + 'a>>;

/// Which way each stream of a test goes, as one side sees it. iperf3 makes those first that it sends on.
pub(crate) fn directions(direction: Direction, streams: usize) -> Vec<Direction> {
    match direction {
        Direction::Both => [vec![Direction::Received; streams], vec![Direction::Sent; streams]].concat(),
        direction => vec![direction; streams],
    }
}

impl Movement {
    pub(crate) fn new(direction: Direction) -> Self {
        let none = || Cell::new(Arrivals::default());
        Self { direction, bytes: Cell::new(0), arrivals: none(), before: none() }
    }

    pub(crate) fn add(&self, bytes: u64) {
        self.bytes.set(self.bytes.get() + bytes);
    }

    fn start(&self) {
        self.bytes.set(0);
        self.before.set(self.arrivals.get());
    }

    fn amount(&self) -> Amount {
        let arrivals = self.arrivals.get().since(&self.before.get());
        Amount { direction: self.direction, bytes: self.bytes.get(), arrivals }
    }
}

impl Moved {
    /// As the other side wants to hear it.
    pub(crate) fn results(&self) -> Results {
        Results::new(&self.streams, self.time.as_secs_f64())
    }

    /// As people want to read it. `seen` is what the other side has seen of each stream: what is still under way
    /// when the test ends has been sent, and has not arrived.
    pub(crate) fn report(&self, direction: Direction, seen: &[u64], counts_datagrams: bool) -> Report {
        let arrived = |(index, amount): (usize, &Amount)| match amount.direction {
            Direction::Sent => seen.get(index).map_or(amount.bytes, |seen| amount.bytes.min(*seen)),
            _ => amount.bytes,
        };
        let total = |way: Direction| -> u64 {
            let of_way = self.streams.iter().enumerate().filter(|(_, amount)| amount.direction == way);
            of_way.map(arrived).sum()
        };
        let (main, back) = match direction {
            Direction::Both => (Direction::Received, Some(total(Direction::Sent))),
            way => (way, None),
        };
        let incoming = self.streams.iter().filter(|amount| amount.direction == Direction::Received);
        let datagrams = incoming.fold((0, 0), |(lost, all), amount| {
            (lost + amount.arrivals.lost, all + amount.arrivals.numbered)
        });
        Report {
            direction,
            bytes: total(main),
            back,
            datagrams: Some(datagrams).filter(|_| counts_datagrams && main == Direction::Received),
            time: self.time,
            streams: self.streams.iter().filter(|amount| amount.direction == main).count(),
        }
    }
}

impl<C: Clock> Transfer<'_, C> {
    /// Moves data until `end` is ready.
    pub(crate) async fn run<S: Read + Write>(
        &self,
        streams: &mut [S],
        directions: &[Direction],
        end: impl Future<Output = Result<(), Error>>,
    ) -> Result<Moved, Error> {
        let movements: Vec<Movement> = directions.iter().map(|way| Movement::new(*way)).collect();
        let movers = streams.iter_mut().zip(&movements);
        let movers = movers.map(|(stream, movement)| -> Mover<'_> { Box::pin(self.work(stream, movement)) });
        let movers = movers.collect();
        self.watch(&movements.iter().collect::<Vec<_>>(), movers, end).await
    }

    /// Has data moved until `end` is ready, as long as some does.
    pub(crate) async fn watch(
        &self,
        movements: &[&Movement],
        movers: Vec<Mover<'_>>,
        end: impl Future<Output = Result<(), Error>>,
    ) -> Result<Moved, Error> {
        let since = Cell::new(self.clock.now());
        let watch = async {
            match select3(end, self.stands_still(movements), self.begin_to_count(movements, &since)).await {
                Either3::First(result) => result,
                Either3::Second(()) => Err(Error::TimedOut("no data moved")),
                Either3::Third(()) => Ok(()),
            }
        };
        first_of(watch, movers).await?;
        let streams = movements.iter().map(|movement| movement.amount()).collect();
        Ok(Moved { streams, time: self.clock.now().saturating_sub(since.get()) })
    }

    async fn work<S: Read + Write>(&self, stream: &mut S, movement: &Movement) -> Result<(), Error> {
        let mut block = vec![0; self.block_bytes.clamp(1, MAX_BLOCK_BYTES)];
        let (pace, mut total) = (Pace::new(self.clock, self.bits_per_second), 0);
        loop {
            for _ in 0..BLOCKS_PER_TURN {
                let bytes = match movement.direction {
                    Direction::Sent => stream.write(&block).await,
                    _ => stream.read(&mut block).await,
                };
                match bytes.map_err(Error::network)? as u64 {
                    // The sender's end may come before the word that the test has ended.
                    0 => return pending().await,
                    bytes => {
                        movement.add(bytes);
                        total += bytes;
                    }
                }
                if movement.direction == Direction::Sent && self.bits_per_second > 0 {
                    pace.wait(total).await;
                }
            }
            yield_now().await;
        }
    }

    /// Ready when nothing has moved for long.
    async fn stands_still(&self, movements: &[&Movement]) {
        // Not the sum of what counts, which may begin at 0 once more.
        let total = || movements.iter().map(|one| one.bytes.get()).sum::<u64>();
        loop {
            let before = total();
            self.clock.sleep(STANDSTILL).await;
            if total() == before {
                return;
            }
        }
    }

    /// Forgets what was moved in the time that does not count. Never ready.
    async fn begin_to_count(&self, movements: &[&Movement], since: &Cell<Duration>) {
        if !self.omit.is_zero() {
            self.clock.sleep(self.omit).await;
            movements.iter().for_each(|movement| movement.start());
            since.set(self.clock.now());
        }
        pending().await
    }
}

/// A rate that a sender keeps to.
pub(crate) struct Pace<'a, C> {
    clock: &'a C,
    start: Duration,
    bits_per_second: u64,
}

impl<'a, C: Clock> Pace<'a, C> {
    pub(crate) fn new(clock: &'a C, bits_per_second: u64) -> Self {
        Self { clock, start: clock.now(), bits_per_second }
    }

    /// Waits until this many bytes may have been sent. Lets others have a turn in any case.
    pub(crate) async fn wait(&self, bytes: u64) {
        if self.bits_per_second > 0 {
            let micros = u128::from(bytes) * 8_000_000 / u128::from(self.bits_per_second);
            let due = self.start + Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX));
            let ahead = due.saturating_sub(self.clock.now());
            if ahead >= BEAT {
                return self.clock.sleep(ahead).await;
            }
        }
        yield_now().await;
    }
}

/// Runs `watch` and the movers until `watch` is ready, or a mover fails.
async fn first_of(
    watch: impl Future<Output = Result<(), Error>>,
    mut movers: Vec<Mover<'_>>,
) -> Result<(), Error> {
    let mut watch = core::pin::pin!(watch);
    poll_fn(|context| {
        if let Poll::Ready(result) = watch.as_mut().poll(context) {
            return Poll::Ready(result);
        }
        let ended = movers.iter_mut().find_map(|mover| match mover.as_mut().poll(context) {
            Poll::Ready(result) => Some(result),
            Poll::Pending => None,
        });
        ended.map_or(Poll::Pending, Poll::Ready)
    })
    .await
}
