//! Places for clients, who give way to others when they have nothing to say.

use alloc::vec::Vec;
use core::{
    cell::{Cell, RefCell},
    future::{Future, poll_fn},
    task::Poll,
    time::Duration,
};

use cloison_rt::task;

use super::{listener::TcpListener, stream::TcpStream};
use crate::{Micros, Net, net::micros};

/// A number of clients that are served at a time, each with a connection that a listener has accepted.
pub struct Seats {
    net: Net,
    listener: RefCell<TcpListener>,
    states: Vec<Cell<State>>,
    least: Micros,
}

/// The state of a place.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nobody is there.
    Free,
    /// This side has something to do.
    Works,
    /// The client has, since then.
    Waits(Micros),
    /// So it has, and afterwards the place will be free.
    Leaves(Micros),
}

/// One client's place, while it is served.
pub struct Seat<'a> {
    seats: &'a Seats,
    number: usize,
}

/// How long to wait when there is no room in the heap for a connection.
const PAUSE: Duration = Duration::from_secs(1);

impl Seats {
    /// This many places. A client that is waited for longer than `least` gives way when somebody stands in line.
    #[must_use]
    pub fn new(net: &Net, listener: TcpListener, seats: usize, least: Duration) -> Self {
        let states = (0..seats).map(|_| Cell::new(State::Free)).collect();
        Self { net: net.clone(), listener: RefCell::new(listener), states, least: micros(least) }
    }

    /// Has one client after the other served at each place, for ever.
    pub async fn serve(&self, each: impl AsyncFn(TcpStream, &Seat<'_>)) {
        let each = &each;
        task::join_all((0..self.states.len()).map(|number| async move {
            let seat = Seat { seats: self, number };
            loop {
                let accepted = poll_fn(|context| self.listener.borrow_mut().poll_accept(context)).await;
                match accepted {
                    Ok(stream) => {
                        seat.waits();
                        each(stream, &seat).await;
                        seat.state().set(State::Free);
                    }
                    Err(_) => self.net.sleep(PAUSE).await,
                }
            }
        }))
        .await;
    }
}

impl Seats {
    /// How many places are lacking for those who stand in line, beside some that are as good as free.
    fn lacking(&self, is_free: impl Fn(State) -> bool) -> usize {
        self.listener.borrow().waiting().saturating_sub(self.count(is_free))
    }

    fn wanted(&self) -> usize {
        self.lacking(|state| state == State::Free)
    }

    fn count(&self, is_meant: impl Fn(State) -> bool) -> usize {
        self.states.iter().filter(|state| is_meant(state.get())).count()
    }
}

impl State {
    /// Since when the client has been waited for.
    fn waits_since(self) -> Option<Micros> {
        match self {
            Self::Free | Self::Works => None,
            Self::Waits(since) | Self::Leaves(since) => Some(since),
        }
    }
}

impl Seat<'_> {
    /// The client has to say or take something now.
    pub fn waits(&self) {
        self.state().set(State::Waits(self.seats.net.now()));
    }

    /// As [`Seat::waits`], before what this side says. Returns whether that should be the last that this client
    /// hears, since others stand in line: one that is never idle would keep its place else.
    #[must_use]
    pub fn leaves(&self) -> bool {
        let will_be_free = |state| matches!(state, State::Free | State::Leaves(_));
        let now = self.seats.net.now();
        let leaves = will_be_free(self.state().get()) || self.seats.lacking(will_be_free) > 0;
        self.state().set(if leaves { State::Leaves(now) } else { State::Waits(now) });
        leaves
    }

    /// This side has to do something now.
    pub fn works(&self) {
        self.state().set(State::Works);
    }

    /// Ready when somebody else should have the place: more stand in line than places are free, and this client
    /// has been waited for long, and longer than others.
    pub fn wanted(&self) -> impl Future<Output = ()> {
        poll_fn(|_| {
            let wanted = self.seats.wanted();
            let Some(since) = self.state().get().waits_since() else { return Poll::Pending };
            if wanted == 0 {
                return Poll::Pending;
            }
            let until = since.saturating_add(self.seats.least);
            if self.seats.net.now() < until {
                self.seats.net.wake_at(until);
                return Poll::Pending;
            }
            // As many give way as have to, the idlest first.
            let is_idler = |state: State| state.waits_since().is_some_and(|other| other < since);
            if self.seats.count(is_idler) < wanted { Poll::Ready(()) } else { Poll::Pending }
        })
    }

    fn state(&self) -> &Cell<State> {
        &self.seats.states[self.number]
    }
}
