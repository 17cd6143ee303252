//! Flooder: writes to the log as fast as it can. Half of what it writes has no end of line for a long time.

#![no_std]
#![no_main]

cloison_rt::entry!(main);

fn main() {
    loop {
        cloison_rt::log!("{:-<3000}", "endless");
    }
}
