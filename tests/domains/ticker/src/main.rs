//! Ticker: a bystander. It counts in the page that it shares with the watcher, for as long as it lives.

#![no_std]
#![no_main]

use core::{sync::atomic::Ordering, time::Duration};

use cloison_rt::{
    sys::{info, memory::SharedMemory},
    time::sleep,
};

cloison_rt::entry!(main);

const PERIOD: Duration = Duration::from_millis(1);

fn main() -> Result<(), &'static str> {
    let page = info::get().find::<info::Use>("pulse").and_then(SharedMemory::of);
    let count = page.and_then(|page| page.atomic_u32(0)).ok_or("the plan gives the ticker no page")?;
    loop {
        count.fetch_add(1, Ordering::Relaxed);
        sleep(PERIOD);
    }
}
