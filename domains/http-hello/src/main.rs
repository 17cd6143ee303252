//! A page with the switch's ports and counters, for a browser; a shell beside it.

#![no_std]
#![no_main]

extern crate alloc;

use alloc::vec::Vec;
use core::{cell::RefCell, future::poll_fn, time::Duration};

use cloison_net::{Config, Error, Net, TcpConfig, TcpListener};
use cloison_rt::{log, sys::info, task};
use http_hello_core::Site;
use netshell_core::ThisDomain;
use ore_api::{CountersError, Report, counters};

cloison_rt::entry!(main);

const PORT: u16 = 80;
/// The buffers of a connection: a request, and most of a page.
const TCP: TcpConfig = TcpConfig { receive_bytes: 4096, send_bytes: 8192, ..TcpConfig::DEFAULT };
/// Browsers open several connections, and keep them.
const CLIENTS: usize = 4;
/// Connections that wait for their turn.
const BACKLOG: usize = 8;
/// How long a client may stay.
const SESSION: Duration = Duration::from_secs(15);

fn main() -> Result<(), Error> {
    let net = Net::attach("net", Config::default())?;
    let domain = ThisDomain::new(&net);
    let listener = RefCell::new(TcpListener::bind_with(&net, PORT, BACKLOG, TCP)?);
    let pages = task::join_all((0..CLIENTS).map(|_| serve_next(&net, &listener)));
    let shell = async {
        if let Err(error) = netshell_core::listen(&net, &domain, 1).await {
            log!("the shell: {error}");
        }
    };
    task::block_on(task::select(net.run(), task::join(pages, shell)));
    Ok(())
}

async fn serve_next(net: &Net, listener: &RefCell<TcpListener>) {
    loop {
        let Ok(stream) = poll_fn(|context| listener.borrow_mut().poll_accept(context)).await else {
            // No room in the heap now.
            net.sleep(Duration::from_secs(1)).await;
            continue;
        };
        // A client that resets its connection, or stays too long, has had its turn. The connection ends by
        // itself, behind the next one's.
        let _ = net.within(SESSION, http_hello_core::serve(&stream, &stream, &ThisSite)).await;
    }
}

/// What there is to see here.
struct ThisSite;

impl Site for ThisSite {
    fn domain(&self) -> &str {
        info::get().domain()
    }

    fn system(&self) -> &str {
        info::get().system()
    }

    fn reports(&self) -> Result<Vec<Report>, CountersError> {
        ore_api::reports(&counters::Client::find("counters")?)?.collect()
    }
}
