//! A small shell: answers questions about its domain on port 22, in plain text, and on the console if it was
//! given a terminal there.

#![no_std]
#![no_main]

use cloison_net::{Config, Error, Net};
use cloison_rt::task;
use netshell::ThisDomain;

cloison_rt::entry!(main);

/// Clients that it serves at a time.
const CLIENTS: usize = 4;

fn main() -> Result<(), Error> {
    let net = Net::attach("net", Config::default())?;
    let domain = ThisDomain::new(&net);
    let shells = async {
        let on_port = netshell::listen(&net, &domain, CLIENTS);
        let (served, ()) = task::join(on_port, netshell::on_console(&domain)).await;
        served
    };
    match task::block_on(task::select(net.run(), shells)) {
        task::Either::First(never) => match never {},
        task::Either::Second(served) => served,
    }
}
