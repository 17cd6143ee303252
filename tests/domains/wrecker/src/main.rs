//! Wrecker: has an interrupt line, and panics in each of its lives, until nobody starts it any more.

#![no_std]
#![no_main]

cloison_rt::entry!(main);

fn main() {
    panic!("in each life");
}
