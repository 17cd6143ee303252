//! What the switch says of its ports.

use alloc::{format, string::String};

use ore_api::{Cause, Report, counters::Client, reports};

pub(crate) struct Switch(Client);

impl Switch {
    pub(crate) fn find() -> Result<Self, String> {
        Client::find("counters").map(Self).map_err(|error| format!("{error}"))
    }

    /// The report of the port of a domain.
    pub(crate) fn port(&self, name: &str) -> Result<Report, String> {
        let mut reports = reports(&self.0).map_err(|error| format!("{error}"))?;
        let found = reports.find_map(|report| match report {
            Ok(report) => (report.facts.name.as_str() == name).then_some(Ok(report)),
            Err(error) => Some(Err(format!("{error}"))),
        });
        found.unwrap_or_else(|| Err(format!("the switch has no port of {name}")))
    }

    /// How many frames were dropped at a domain's port for a cause.
    pub(crate) fn dropped(&self, name: &str, cause: Cause) -> Result<u64, String> {
        self.port(name).map(|report| report.counters.dropped(cause))
    }
}
