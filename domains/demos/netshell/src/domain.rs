//! What a shell says of its domain.

use alloc::vec::Vec;
use core::{fmt, net::Ipv4Addr, time::Duration};

use cloison_net::{EchoReply, Error, Net};
use cloison_rt::sys::{Instant, info, settings};
use ore_api::counters::Client;

/// How long a ping waits for answers.
const PING_WAIT: Duration = Duration::from_secs(1);

/// A domain, for its shell to speak of.
pub trait Domain {
    /// Its name.
    fn name(&self) -> &str;
    /// Name of the system that it is part of.
    fn system(&self) -> &str;
    /// SHA-256 of the system's manifest.
    fn manifest(&self) -> [u8; 32];
    /// How long it has been running.
    fn uptime(&self) -> Duration;
    /// Its arguments.
    fn arguments(&self) -> &str;
    /// Writes its counters, a line each.
    ///
    /// # Errors
    /// Those of `out`.
    fn write_counters(&self, out: &mut dyn fmt::Write) -> fmt::Result;
    /// Sends an echo request and shows `each` who answers. Returns how many did.
    ///
    /// # Errors
    /// Why nothing could be sent.
    #[allow(async_fn_in_trait, reason = "a domain has one thread")]
    async fn ping(&self, to: Ipv4Addr, each: impl FnMut(EchoReply)) -> Result<usize, Error>;
}

/// The domain that the program runs in.
pub struct ThisDomain {
    net: Net,
    start: Instant,
}

impl ThisDomain {
    /// The domain, with its network; it counts as started now.
    #[must_use]
    pub fn new(net: &Net) -> Self {
        Self { net: net.clone(), start: Instant::now() }
    }
}

impl Domain for ThisDomain {
    fn name(&self) -> &str {
        info::get().domain()
    }

    fn system(&self) -> &str {
        info::get().system()
    }

    fn manifest(&self) -> [u8; 32] {
        *info::get().manifest()
    }

    fn uptime(&self) -> Duration {
        cloison_rt::time::since(self.start)
    }

    fn arguments(&self) -> &str {
        settings::arguments()
    }

    fn write_counters(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        let counters = self.net.counters();
        writeln!(out, "in   {:>10} frames {:>14} bytes", counters.frames_in, counters.bytes_in)?;
        writeln!(out, "out  {:>10} frames {:>14} bytes", counters.frames_out, counters.bytes_out)?;
        write_switch(out)
    }

    async fn ping(&self, to: Ipv4Addr, each: impl FnMut(EchoReply)) -> Result<usize, Error> {
        self.net.ping(to, PING_WAIT, each).await
    }
}

/// Writes what the switch has counted, a line for each port, if this domain may ask it.
fn write_switch(out: &mut dyn fmt::Write) -> fmt::Result {
    if info::get().find::<info::Use>("counters").is_none() {
        return Ok(());
    }
    let reports = Client::find("counters").and_then(|switch| {
        // Collected first: the reports borrow the client.
        ore_api::reports(&switch)?.collect::<Result<Vec<_>, _>>()
    });
    match reports {
        Ok(reports) => reports.iter().try_for_each(|report| writeln!(out, "{report}")),
        Err(error) => writeln!(out, "the switch: {error}"),
    }
}
