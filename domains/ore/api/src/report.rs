//! All that a switch says of a port, and how it looks as a line.

use cloison_abi::port::PortFlags;
use cloison_ipc::Transport;

use crate::{
    Cause, Counters, CountersError, Mac,
    counters::{Client, PortFacts},
};

/// A port, and what it has counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// What the port is.
    pub facts: PortFacts,
    /// What it has counted.
    pub counters: Counters,
}

/// The reports of all ports, in the order of their numbers.
///
/// # Errors
/// What the switch refuses, and what can go wrong with a call.
pub fn reports<T: Transport>(
    switch: &Client<T>,
) -> Result<impl Iterator<Item = Result<Report, CountersError>>, CountersError> {
    let ports = switch.ports()?.ports;
    Ok((0..ports).map(|port| report(switch, port)))
}

fn report<T: Transport>(switch: &Client<T>, port: u8) -> Result<Report, CountersError> {
    let (facts, traffic) = (switch.facts(port)?, switch.traffic(port)?);
    let mut counters = Counters {
        frames_in: traffic.frames_in,
        bytes_in: traffic.bytes_in,
        frames_out: traffic.frames_out,
        bytes_out: traffic.bytes_out,
        ..Counters::default()
    };
    for (cause, dropped) in (0..).zip(&mut counters.dropped) {
        *dropped = switch.dropped(port, cause)?.frames;
    }
    Ok(Report { facts, counters })
}

impl Report {
    /// What is special about the port.
    #[must_use]
    pub fn flags(&self) -> PortFlags {
        PortFlags::from_bits_truncate(self.facts.flags.into())
    }
}

/// One line: `alice, VLAN 1, 192.168.0.11, 02:00:c0:a8:00:0b: in 7 frames, 588 bytes; out …; dropped: 2 no
/// room`.
impl core::fmt::Display for Report {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let (facts, counters) = (&self.facts, &self.counters);
        write!(out, "{}", facts.name)?;
        if self.flags().contains(PortFlags::MIRROR) {
            write!(out, ", mirror")?;
        } else {
            write!(out, ", VLAN {}", facts.vlan)?;
            let [a, b, c, d] = facts.address;
            if facts.address != [0; 4] {
                write!(out, ", {a}.{b}.{c}.{d}")?;
            }
            write!(out, ", {}", Mac::from(facts.mac))?;
        }
        if self.flags().contains(PortFlags::UPLINK) {
            write!(out, ", uplink")?;
        }
        if facts.cut_off {
            write!(out, ", cut off")?;
        }
        write!(out, ": in {} frames, {} bytes", counters.frames_in, counters.bytes_in)?;
        write!(out, "; out {} frames, {} bytes", counters.frames_out, counters.bytes_out)?;
        let mut before = "; dropped: ";
        for cause in Cause::ALL.iter().filter(|cause| counters.dropped(**cause) > 0) {
            write!(out, "{before}{} {cause}", counters.dropped(*cause))?;
            before = ", ";
        }
        Ok(())
    }
}
