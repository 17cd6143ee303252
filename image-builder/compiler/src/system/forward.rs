//! Ports of the host that lead into the system.

use std::fmt;
use std::net::Ipv4Addr;

use super::{DomainId, DraftForward, Switch};
use crate::diagnostic::Span;

/// A TCP port of the host that leads to a domain.
#[derive(Debug, Clone)]
pub struct Forward {
    /// Its name.
    pub name: String,
    /// The host's port; `None`: a free one is chosen when the system is run.
    pub host_port: Option<u16>,
    /// The domain.
    pub to: DomainId,
    /// The domain's port.
    pub port: u16,
    /// Where the manifest begins it.
    pub at: Span,
}

/// Why nothing from outside reaches a domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unreachable {
    /// None of its ports is on a switch with an uplink.
    NoUplink,
    /// Its port has no fixed address.
    NoAddress,
    /// Its port is in another VLAN than the uplink's.
    OtherVlan,
    /// Frames from the uplink may not go to it.
    NoWayIn,
    /// Its frames may not go to the uplink.
    NoWayOut,
}

/// The address at which a domain is reached from outside.
///
/// # Errors
///
/// Why it is not.
pub fn reach(switches: &[Switch], domain: DomainId) -> Result<Ipv4Addr, Unreachable> {
    let mut why = Unreachable::NoUplink;
    for switch in switches {
        let Some(uplink) = switch.uplink() else { continue };
        let ports = switch.ports.iter().enumerate();
        for (number, _) in ports.filter(|(number, port)| port.domain == domain && *number != uplink) {
            match reach_port(switch, uplink, number) {
                Ok(address) => return Ok(address),
                Err(reason) => why = reason,
            }
        }
    }
    Err(why)
}

fn reach_port(switch: &Switch, uplink: usize, number: usize) -> Result<Ipv4Addr, Unreachable> {
    let port = &switch.ports[number];
    let address = port.address.ok_or(Unreachable::NoAddress)?;
    if port.vlan != switch.ports[uplink].vlan {
        Err(Unreachable::OtherVlan)
    } else if !switch.may_send(uplink, number) {
        Err(Unreachable::NoWayIn)
    } else if !switch.may_send(number, uplink) {
        Err(Unreachable::NoWayOut)
    } else {
        Ok(address)
    }
}

impl Forward {
    /// `None` if a number is no port's, which the checks have ruled out.
    pub(super) fn resolve(draft: &DraftForward<'_>) -> Option<Self> {
        let host_port = draft.table.host_port.as_ref();
        Some(Self {
            name: draft.table.name.value.clone(),
            host_port: host_port.map(|port| u16::try_from(port.value)).transpose().ok()?,
            to: DomainId(draft.to?.found?),
            port: u16::try_from(draft.table.port.as_ref()?.value).ok()?,
            at: draft.table.name.span,
        })
    }
}

impl fmt::Display for Unreachable {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::NoUplink => "it has no port on a switch with an uplink",
            Self::NoAddress => "its port has no fixed address",
            Self::OtherVlan => "its port is in another VLAN than the uplink",
            Self::NoWayIn => "the uplink's `sends_to` does not name it",
            Self::NoWayOut => "its `sends_to` does not name the uplink",
        })
    }
}
