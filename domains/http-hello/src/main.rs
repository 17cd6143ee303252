//! A page with the switch's ports and counters, for a browser; a shell beside it.

#![no_std]
#![no_main]

extern crate alloc;

use alloc::vec::Vec;
use core::{cell::RefCell, future::poll_fn, time::Duration};

use cloison_net::{Config, Error, Net, TcpListener};
use cloison_rt::{log, sys::info, task};
use http_hello_core::Site;
use netshell_core::ThisDomain;
use ore_api::{CountersError, Report, counters};

cloison_rt::entry!(main);

const PORT: u16 = 80;
/// Browsers open several connections, and keep them.
const CLIENTS: usize = 4;
/// How long a client may stay.
const SESSION: Duration = Duration::from_secs(15);

fn main() -> Result<(), Error> {
    let net = Net::attach("net", Config::default())?;
    let domain = ThisDomain::new(&net);
    let listener = RefCell::new(TcpListener::bind(&net, PORT, CLIENTS)?);
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
        let session = async {
            http_hello_core::serve(&stream, &stream, &ThisSite).await?;
            stream.close().await
        };
        // A client that resets its connection, or stays too long, has had its turn.
        let _ = net.within(SESSION, session).await;
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
