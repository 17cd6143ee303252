//! A page for a browser, with the switch's ports and counters, the system's domains and what a monitor has decided; a
//! shell beside it.

#![no_std]
#![no_main]

extern crate alloc;

use alloc::vec::Vec;
use core::{cell::Cell, time::Duration};

use bmi_api::{
    ManageError,
    manage::{self, Listed},
};
use cloison_net::{Config, Error, Net, Seat, Seats, TcpConfig, TcpListener, TcpStream};
use cloison_rt::{log, sys::info, task};
use http_hello::{Place, Site};
use ipcmon_api::{
    ControlError,
    control::{self, Counted},
};
use netshell::ThisDomain;
use ore_api::{CountersError, Report, counters};

cloison_rt::entry!(main);

const PORT: u16 = 80;
/// The buffers of a connection: a request, and most of a page.
const TCP: TcpConfig = TcpConfig { receive_bytes: 4096, send_bytes: 8192, ..TcpConfig::DEFAULT };
/// Browsers open several connections, and keep them.
const CLIENTS: usize = 12;
/// Connections that wait for their turn.
const BACKLOG: usize = 64;
/// How long a client may stay.
const SESSION: Duration = Duration::from_secs(15);
/// How long it may leave this side waiting while others stand in line: four rounds of them are over before
/// anybody has waited for a second.
const HESITATION: Duration = Duration::from_millis(150);

fn main() -> Result<(), Error> {
    let net = Net::attach("net", Config::default())?;
    let domain = ThisDomain::new(&net);
    let listener = TcpListener::bind_with(&net, PORT, BACKLOG, TCP)?;
    let seats = Seats::new(&net, listener, CLIENTS, HESITATION);
    let pages = seats.serve(async |stream, seat| serve(&net, &stream, seat).await);
    let shell = async {
        if let Err(error) = netshell::listen(&net, &domain, 1).await {
            log!("the shell: {error}");
        }
    };
    task::block_on(task::select(net.run(), task::join(pages, shell)));
    Ok(())
}

async fn serve(net: &Net, stream: &TcpStream, seat: &Seat<'_>) {
    let place = ThisPlace { seat, is_answering: Cell::new(false) };
    let answers = http_hello::serve(stream, stream, &ThisSite, &place);
    // A client that resets its connection, or stays too long, has had its turn. The connection ends by itself,
    // behind the next one's.
    let session = net.within(SESSION, answers);
    let is_dismissed = matches!(task::select(session, seat.wanted()).await, task::Either::Second(()));
    // In the middle of an answer, one more would be taken for the rest of it.
    if is_dismissed && !place.is_answering.get() {
        // Nobody waits until a client that hesitates has taken even this.
        let _ = net.within(HESITATION, http_hello::dismiss(stream)).await;
    }
}

/// A client's place, and whether it is in the middle of an answer.
struct ThisPlace<'a> {
    seat: &'a Seat<'a>,
    is_answering: Cell<bool>,
}

impl Place for ThisPlace<'_> {
    fn begins(&self) -> bool {
        self.is_answering.set(true);
        self.seat.leaves()
    }

    fn ends(&self) {
        self.is_answering.set(false);
        self.seat.waits();
    }
}

/// Whether the manifest gives this domain a gate by this name.
fn is_given(gate: &str) -> bool {
    info::get().find::<info::Use>(gate).is_some()
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

    fn reports(&self) -> Option<Result<Vec<Report>, CountersError>> {
        is_given("counters").then(|| ore_api::reports(&counters::Client::find("counters")?)?.collect())
    }

    fn domains(&self) -> Option<Result<Vec<Listed>, ManageError>> {
        // Who asks for the page again is answered then; meanwhile the others are.
        is_given("bmi").then(|| bmi_api::domains(&manage::Client::find("bmi")?, |_| ()))
    }

    fn decisions(&self) -> Option<Result<Counted, ControlError>> {
        is_given("monitor").then(|| control::Client::find("monitor")?.counts())
    }
}
