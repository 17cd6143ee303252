//! Donor: lends memory to a server that fails again and again, and finds the place for it free each time.

#![no_std]
#![no_main]

use core::time::Duration;

use cloison_abi::{CallError, Rights, info::InfoKind};
use cloison_rt::{
    log,
    sys::{
        Instant, info,
        peer::{PEER_FAILED, Peer},
        region_grant, wait,
    },
    time,
};
use keeper_api::gift;

cloison_rt::entry!(main);

/// How long to wait before it is tried again.
const PAUSE: Duration = Duration::from_millis(1);

fn main() -> Result<(), &'static str> {
    let page = info::get();
    let find = |kind, name| page.find(kind, name).and_then(info::slot).ok_or("the plan lacks a grant");
    let (plot, gate) = (find(InfoKind::Region, "plot")?, find(InfoKind::Use, "gift")?);
    let console = Peer::behind(find(InfoKind::Use, "log")?).ok_or("the log leads to nobody")?;
    let server = gift::Client::new(gate);
    let mut peer = Peer::behind(gate).ok_or("the gate leads to nobody")?;
    loop {
        match region_grant(plot, gate, Rights::READ) {
            Ok(slot) => {
                // The server fails before it answers, whatever it says.
                let _ = server.take(slot.0);
            }
            // It does not live yet, or not any more.
            Err(CallError::PeerFailed) => time::sleep(PAUSE),
            Err(error) => log!("cannot lend: {error}"),
        }
        if wait(PEER_FAILED, Instant::PAST) != 0 {
            let (reborn, console) = (peer.has_failed(), console.has_failed());
            log!("a peer has failed; the server of gifts: {reborn}, the console: {console}");
            peer = Peer::behind(gate).ok_or("the gate leads to nobody")?;
        }
    }
}
