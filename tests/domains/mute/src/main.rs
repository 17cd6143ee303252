//! Mute: offers a log and ends before anybody can use it, so that its clients find their way to the log closed.

#![no_std]
#![no_main]

cloison_rt::entry!(main);

fn main() {}
