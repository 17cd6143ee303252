//! Shows who is on its network, and how fast data gets to a peer. Serves beside that: a shell on port 22 and,
//! if it was given a terminal, on the console; and port 9 for peers that measure.

#![no_std]
#![no_main]

mod discard;
mod show;

use core::{fmt::Display, future::Future, net::Ipv4Addr};

use cloison_net::{Config, Error, Net};
use cloison_rt::{log, sys::settings, task};
use netshell::ThisDomain;

cloison_rt::entry!(main);

/// Clients that the shell serves at a time.
const SHELL_CLIENTS: usize = 3;

fn main() -> Result<(), Error> {
    let peer = peer(settings::arguments());
    let net = Net::attach("net", Config::default())?;
    let domain = ThisDomain::new(&net);
    let serve = task::join(
        watched("the shell", netshell::listen(&net, &domain, SHELL_CLIENTS)),
        watched("port 9", discard::listen(&net)),
    );
    let show = async {
        if let Some(peer) = peer {
            watched("the demo", show::all(&net, peer)).await;
        }
    };
    task::block_on(task::select(
        net.run(),
        task::join(task::join(serve, netshell::on_console(&domain)), show),
    ));
    Ok(())
}

/// The peer that the arguments name, if they do.
fn peer(arguments: &str) -> Option<Ipv4Addr> {
    let word = arguments.split_ascii_whitespace().next()?;
    let peer = word.parse().ok();
    if peer.is_none() {
        log!("`{word}` is no IPv4 address, such as 192.168.0.12: nothing is measured");
    }
    peer
}

/// Says why a part of the demo has ended; the others go on.
async fn watched<E: Display>(what: &str, part: impl Future<Output = Result<(), E>>) {
    if let Err(error) = part.await {
        log!("{what}: {error}");
    }
}
