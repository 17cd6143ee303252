//! A bank, a printer, or what else answers those who ask.

#![no_std]
#![no_main]

use desk::{Desk, asking};

cloison_rt::entry!(main);

fn main() {
    asking::serve(&mut Desk::default());
}
