//! What domains ask of the kernel, on a simulated machine: sequences of calls, calls that come between the steps of
//! a long one, and what domains say to one another. After each step the kernel has to keep its promises (`check`), and in the end all has to be back.

mod acts;
mod capture;
mod check;
mod end;
mod guest;
mod interrupted;
mod monitor;
mod operations;
mod pause;
mod sequences;
mod space;
mod talk;
mod vacant;
mod withdrawn;
mod world;
