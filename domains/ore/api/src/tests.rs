//! A switch that is made up, asked through the interface.

extern crate std;

use std::{cell::RefCell, string::ToString, vec::Vec};

use cloison_abi::{Badge, CallError, Name};
use cloison_ipc::{Message, Transport};

use crate::{
    Cause, CountersError,
    counters::{self, PortCount, PortDropped, PortFacts, PortTraffic, Refusal},
    reports,
};

/// Two ports. The second one has dropped 5 frames for the second cause, and so on.
struct Made;

impl counters::Server for Made {
    fn ports(&mut self, _: Badge) -> Result<PortCount, Refusal> {
        Ok(PortCount { ports: 2 })
    }

    fn facts(&mut self, _: Badge, port: u8) -> Result<PortFacts, Refusal> {
        let name = *[Name::new("alice"), Name::new("nic")].get(usize::from(port)).ok_or(Refusal::NoPort)?;
        Ok(PortFacts {
            name: name.ok_or(Refusal::NoPort)?,
            mac: [2, 0, 192, 168, 0, 11 + port],
            address: if port == 0 { [192, 168, 0, 11] } else { [0; 4] },
            vlan: 1,
            flags: port,
            cut_off: port == 1,
        })
    }

    fn traffic(&mut self, _: Badge, port: u8) -> Result<PortTraffic, Refusal> {
        let port = u64::from(port);
        Ok(PortTraffic { frames_in: port, bytes_in: 60 * port, frames_out: 3, bytes_out: 180 })
    }

    fn dropped(&mut self, _: Badge, port: u8, cause: u8) -> Result<PortDropped, Refusal> {
        Cause::ALL.get(usize::from(cause)).ok_or(Refusal::NoCause)?;
        Ok(PortDropped { frames: if port == 1 && cause < 3 { 4 + u64::from(cause) } else { 0 } })
    }
}

struct Direct(RefCell<Made>);

impl Transport for Direct {
    fn call(&self, message: Message) -> Result<Message, CallError> {
        Ok(counters::answer(&mut *self.0.borrow_mut(), Badge(7), message))
    }
}

#[test]
fn every_port_is_a_line() {
    let client = counters::Client::new(Direct(RefCell::new(Made)));
    let reports: Result<Vec<_>, CountersError> = reports(&client).unwrap().collect();
    let lines: Vec<_> = reports.unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(
        lines,
        [
            "alice, VLAN 1, 192.168.0.11, 02:00:c0:a8:00:0b: in 0 frames, 0 bytes; out 3 frames, 180 bytes",
            "nic, VLAN 1, 02:00:c0:a8:00:0c, uplink, cut off: in 1 frames, 60 bytes; out 3 frames, 180 bytes; \
             dropped: 4 too short, 5 carries a VLAN tag, 6 false source address",
        ]
    );
}
