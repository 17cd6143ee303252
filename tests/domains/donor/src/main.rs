//! Donor: lends memory to a server that fails again and again, and finds the place for it free each time. It is asked to, in each life.

#![no_std]
#![no_main]

use cloison_abi::Rights;
use cloison_rt::{
    log,
    sys::{
        Instant, info,
        peer::{PEER_FAILED, Peer},
        region_grant, wait,
    },
};
use keeper_api::gift;

cloison_rt::entry!(main);

fn main() -> Result<(), &'static str> {
    let page = info::get();
    let missing = "the plan lacks a grant";
    let (plot, gate) =
        (page.slot::<info::Region>("plot").ok_or(missing)?, page.slot::<info::Use>("gift").ok_or(missing)?);
    let asked = page.find::<info::Use>("gift").map_or(0, info::event_mask);
    let console =
        Peer::behind(page.slot::<info::Use>("log").ok_or(missing)?).ok_or("the log leads to nobody")?;
    let server = gift::Client::new(gate);
    let mut peer = Peer::behind(gate).ok_or("the gate leads to nobody")?;
    loop {
        let events = wait(PEER_FAILED | asked, Instant::NEVER);
        if events & PEER_FAILED != 0 {
            let (reborn, console) = (peer.has_failed(), console.has_failed());
            log!("a peer has failed; the server of gifts: {reborn}, the console: {console}");
            peer = Peer::behind(gate).ok_or("the gate leads to nobody")?;
        }
        if events & asked != 0 {
            match region_grant(plot, gate, Rights::READ) {
                Ok(slot) => {
                    // The server fails before it answers, whatever it says.
                    let _ = server.take(slot.0);
                }
                Err(error) => log!("cannot lend: {error}"),
            }
        }
    }
}
