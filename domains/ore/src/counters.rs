//! Answers to those who may ask what was counted.

use cloison_abi::Badge;
use ore_api::counters::{PortCount, PortDropped, PortFacts, PortTraffic, Refusal, Server};
use ore_switch::{Cause, Counters};

use crate::plane::Plane;

impl Server for Plane {
    fn ports(&mut self, _client: Badge) -> Result<PortCount, Refusal> {
        Ok(PortCount { ports: self.settings.len() as u8 })
    }

    fn facts(&mut self, _client: Badge, port: u8) -> Result<PortFacts, Refusal> {
        let settings = self.settings.get(usize::from(port)).ok_or(Refusal::NoPort)?;
        Ok(PortFacts {
            name: settings.name,
            mac: settings.mac,
            address: settings.address,
            vlan: settings.vlan,
            flags: settings.flags as u8,
            cut_off: self.cut_off.has(port.into()),
        })
    }

    fn traffic(&mut self, _client: Badge, port: u8) -> Result<PortTraffic, Refusal> {
        let counted = counted(self, port)?;
        Ok(PortTraffic {
            frames_in: counted.frames_in,
            bytes_in: counted.bytes_in,
            frames_out: counted.frames_out,
            bytes_out: counted.bytes_out,
        })
    }

    fn dropped(&mut self, _client: Badge, port: u8, cause: u8) -> Result<PortDropped, Refusal> {
        let cause = *Cause::ALL.get(usize::from(cause)).ok_or(Refusal::NoCause)?;
        Ok(PortDropped { frames: counted(self, port)?.dropped(cause) })
    }
}

fn counted(plane: &Plane, port: u8) -> Result<&Counters, Refusal> {
    let port = usize::from(port);
    let known = port < plane.settings.len();
    plane.switch.counters(port).filter(|_| known).ok_or(Refusal::NoPort)
}
