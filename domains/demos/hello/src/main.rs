//! The smallest domain, and the template for new ones.

#![no_std]
#![no_main]

use cloison_rt::log;

cloison_rt::entry!(main);

fn main() {
    log!("hello from a unikernel domain");
}
