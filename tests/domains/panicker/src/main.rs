//! Panicker: panics.

#![no_std]
#![no_main]

cloison_rt::entry!(main);

fn main() {
    panic!("this is the message");
}
