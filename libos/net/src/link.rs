//! What the stack needs of the world: frames in, frames out, the time, to be woken, and luck.

/// Microseconds since some moment before the domain started.
pub type Micros = u64;

/// A place where Ethernet frames come and go: a port of a switch, or a simulated one in a test.
pub trait Link {
    /// The oldest frame that has come in: copies it to the start of `buffer` and returns its length. `None`:
    /// there is none now. One that does not fit is dropped.
    fn receive(&mut self, buffer: &mut [u8]) -> Option<usize>;

    /// Room for a frame of this many bytes, to fill in place. `None`: there is none now.
    fn reserve(&mut self, bytes: usize) -> Option<&mut [u8]>;

    /// Sends the frame last reserved.
    fn publish(&mut self, bytes: usize);

    /// Wakes the other side if it sleeps and has something to do.
    fn flush(&mut self);

    /// Asks to be woken when a frame comes in, and when there is room for one of `room` bytes to go out.
    /// False: one of the two is so now.
    fn prepare_wait(&mut self, room: Option<usize>) -> bool;

    /// Whether the other side has woken this one since the last call.
    fn take_wake(&mut self) -> bool;

    /// Has the program polled when the other side wakes it. Holds until the next poll.
    fn wait(&mut self);

    /// Has the program polled at this time, if nothing comes before. Holds until the next poll.
    fn wait_until(&mut self, time: Micros);

    /// The time.
    fn now(&self) -> Micros;

    /// A number that nobody else can guess.
    fn random(&mut self) -> u64;
}
