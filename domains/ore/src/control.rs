//! What the monitor closes.

use cloison_abi::{Badge, Name};
use ore_api::control::{Closed, GivenBack, Opened, Refusal, Server};

use crate::plane::Plane;

impl Server for Plane {
    fn close(&mut self, _client: Badge, from: Name, to: Name) -> Result<Closed, Refusal> {
        self.narrow(from, to, true).map(|()| Closed {})
    }

    fn give_back(&mut self, _client: Badge, from: Name, to: Name) -> Result<GivenBack, Refusal> {
        self.narrow(from, to, false).map(|()| GivenBack {})
    }

    fn open(&mut self, _client: Badge) -> Result<Opened, Refusal> {
        self.is_closed = false;
        Ok(Opened {})
    }
}

impl Plane {
    fn narrow(&mut self, from: Name, to: Name, is_closed: bool) -> Result<(), Refusal> {
        let settings = self.settings;
        let ports = |of: Name| (0..settings.len()).filter(move |port| settings[*port].name == of);
        if ports(from).count() == 0 || ports(to).count() == 0 {
            return Err(Refusal::NoPort);
        }
        for (from, to) in ports(from).flat_map(|from| ports(to).map(move |to| (from, to))) {
            self.switch.narrow(from, to, is_closed);
        }
        Ok(())
    }
}
