//! Asks hosts whether they are there, and shows what the switch counted.

#![no_std]
#![no_main]

extern crate alloc;

use alloc::vec::Vec;
use core::{cell::Cell, net::Ipv4Addr, time::Duration};

use cloison_net::{Config, Error, Net};
use cloison_rt::{log, sys::settings, task};

cloison_rt::entry!(main);

/// How often a host is asked before it counts as not there, and for how long it may answer. A first request
/// may only find out MAC addresses, or come before the host has started.
const TRIES: usize = 2;
const WAIT: Duration = Duration::from_millis(1100);

fn main() -> Result<(), Error> {
    let net = Net::attach("net", Config::default())?;
    match task::block_on(task::select(net.run(), ask_all(&net))) {
        task::Either::First(never) => match never {},
        task::Either::Second(asked) => asked?,
    }
    if let Err(error) = show_counters() {
        log!("the switch's counters: {error}");
    }
    Ok(())
}

/// Asks all hosts at the same time, then says in their order who has answered.
async fn ask_all(net: &Net) -> Result<(), Error> {
    let words: Vec<&str> = settings::arguments().split_ascii_whitespace().collect();
    let answers: Vec<_> = words.iter().map(|_| Cell::new(Ok(false))).collect();
    let asked = words.iter().zip(&answers).filter_map(|(word, answer)| {
        let host = word.parse().ok()?;
        Some(async move { answer.set(is_there(net, host).await) })
    });
    task::join_all(asked).await;
    for (word, answer) in words.iter().zip(answers) {
        match (word.parse::<Ipv4Addr>(), answer.into_inner()?) {
            (Ok(host), true) => log!("{host} answers"),
            (Ok(host), false) => log!("{host} does not answer"),
            (Err(_), _) => log!("`{word}` is no IPv4 address, such as 192.168.0.12"),
        }
    }
    Ok(())
}

async fn is_there(net: &Net, host: Ipv4Addr) -> Result<bool, Error> {
    for _ in 0..TRIES {
        if net.ping(host, WAIT, |_| ()).await? > 0 {
            return Ok(true);
        }
    }
    Ok(false)
}

fn show_counters() -> Result<(), ore_api::CountersError> {
    for report in ore_api::reports(&ore_api::counters::Client::find("counters")?)? {
        log!("{}", report?);
    }
    Ok(())
}
