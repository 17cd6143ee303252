//! Stacks joined by a simulated wire, with a simulated clock: the same run each time.

mod burst;
mod dhcp;
mod flood;
mod frames;
mod hostile;
mod lossy;
mod names;
mod neighbours;
mod numbers;
mod repeats;
mod segments;
mod sockets;
mod strangers;
mod world;
