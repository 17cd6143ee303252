//! Stacks joined by a simulated wire, with a simulated clock: the same run each time.

mod flood;
mod frames;
mod hostile;
mod lossy;
mod numbers;
mod segments;
mod sockets;
mod world;
