//! Which frames belong into a capture: all, or what one port of the switch sees.

use core::fmt;

/// Addresses that are remembered of the port.
const MAX_ADDRESSES: usize = 64;
/// Bytes of a MAC address, of which a frame begins with two: to and from.
const MAC_BYTES: usize = 6;
/// In the first byte of an address: it is that of a group.
const IS_GROUP: u8 = 1;

/// Arguments that say no port.
#[derive(Debug, PartialEq, Eq)]
pub struct BadArguments;

impl fmt::Display for BadArguments {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("the arguments have to be the number of a port, or nothing")
    }
}

/// Decides which frames belong into a capture.
///
/// A mirror shows where each frame came in, not where it goes. What goes to a port is seen as a switch would
/// know it: frames for groups, and frames to addresses from which the port has sent before.
#[derive(Debug)]
pub struct Filter {
    port: Option<u32>,
    known: [[u8; MAC_BYTES]; MAX_ADDRESSES],
    count: usize,
}

impl Filter {
    /// The filter that a domain's arguments ask for.
    ///
    /// # Errors
    /// [`BadArguments`].
    pub fn new(arguments: &str) -> Result<Self, BadArguments> {
        let arguments = arguments.trim();
        let port = match arguments {
            "" => None,
            number => Some(number.parse().map_err(|_| BadArguments)?),
        };
        Ok(Self { port, known: [[0; MAC_BYTES]; MAX_ADDRESSES], count: 0 })
    }

    /// Whether a frame that came in at `port` and begins so belongs into the capture.
    pub fn shows(&mut self, port: u32, start: &[u8]) -> bool {
        let Some(wanted) = self.port else { return true };
        let [to, from] = [0, MAC_BYTES].map(|at| start.get(at..)?.first_chunk::<MAC_BYTES>().copied());
        if port == wanted {
            from.into_iter().for_each(|from| self.learn(from));
            return true;
        }
        to.is_some_and(|to| to[0] & IS_GROUP != 0 || self.knows(to))
    }

    fn knows(&self, address: [u8; MAC_BYTES]) -> bool {
        self.known[..self.count].contains(&address)
    }

    fn learn(&mut self, address: [u8; MAC_BYTES]) {
        if self.count < MAX_ADDRESSES && !self.knows(address) {
            self.known[self.count] = address;
            self.count += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALICE: u8 = 2;
    const BOB: u8 = 4;

    fn frame(to: u8, from: u8) -> [u8; 14] {
        [to, 0, 0, 0, 0, 0, from, 0, 0, 0, 0, 0, 8, 0]
    }

    #[test]
    fn without_a_port_all_is_shown() {
        let mut filter = Filter::new(" ").unwrap();
        assert!(filter.shows(0, &frame(ALICE, BOB)) && filter.shows(9, &[]));
    }

    #[test]
    fn a_port_sees_what_it_sends_what_is_for_it_and_for_groups() {
        let mut filter = Filter::new("3").unwrap();
        assert!(!filter.shows(1, &frame(ALICE, BOB)), "nobody knows yet who is at the port");
        assert!(filter.shows(3, &frame(BOB, ALICE)));
        assert!(filter.shows(1, &frame(ALICE, BOB)));
        assert!(!filter.shows(1, &frame(6, BOB)));
        assert!(filter.shows(1, &frame(0xff, BOB)));
        assert!(!filter.shows(1, &[ALICE, 0, 0, 0, 0]), "no address");
    }

    #[test]
    fn an_endless_number_of_addresses_is_borne() {
        let mut filter = Filter::new("3").unwrap();
        for address in 0..=u8::MAX {
            assert!(filter.shows(3, &frame(BOB, address)));
        }
        assert!(filter.shows(1, &frame(ALICE, BOB)) && !filter.shows(1, &frame(0xfe, BOB)));
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for arguments in ["alice", "-1", "1 2", "99999999999"] {
            assert!(Filter::new(arguments).is_err(), "{arguments}");
        }
    }
}
