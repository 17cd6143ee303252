//! Addresses learned at uplinks.
//!
//! A table of a fixed size, in which an address has four places; when all four are taken, it gets that of
//! the address not seen for the longest time. So a sender that floods the table makes the switch forget
//! others. What is forgotten is unknown again, and goes to every uplink instead of one: nothing is
//! lost, and nothing reaches a domain that it was not for.

use crate::Mac;

/// Places that an address can have.
const WAYS: usize = 4;
/// Values of [`Mac::hash`].
const SETS: usize = 64;

/// Where addresses outside of the machine were seen last.
#[derive(Clone, Debug)]
pub(crate) struct Learned {
    sets: [[Entry; WAYS]; SETS],
    /// After how many ticks without a frame an address is forgotten.
    age: u64,
}

/// An address, with its VLAN, and where it was seen. All zeros: an empty place.
#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    key: u64,
    port: usize,
    seen: u64,
}

impl Learned {
    pub(crate) fn new(age: u64) -> Self {
        Self { sets: [[Entry::default(); WAYS]; SETS], age }
    }

    /// Notes that an address was seen at a port.
    pub(crate) fn learn(&mut self, mac: Mac, vlan: u16, port: usize, now: u64) {
        let entry = Entry { key: key(mac, vlan), port, seen: now };
        let set = &mut self.sets[mac.hash()];
        let known = set.iter_mut().find(|place| place.key == entry.key);
        if let Some(known) = known {
            *known = entry;
        } else if let Some(oldest) = set.iter_mut().min_by_key(|place| place.seen) {
            *oldest = entry;
        }
    }

    /// At which port an address was seen last, if that is not too long ago.
    pub(crate) fn find(&self, mac: Mac, vlan: u16, now: u64) -> Option<usize> {
        let entry = self.sets[mac.hash()].iter().find(|entry| entry.key == key(mac, vlan))?;
        (now.saturating_sub(entry.seen) <= self.age).then_some(entry.port)
    }
}

/// Address and VLAN in one word; never 0, because no VLAN is.
fn key(mac: Mac, vlan: u16) -> u64 {
    mac.number() | u64::from(vlan) << 48
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mac(number: u32) -> Mac {
        let [a, b, c, d] = number.to_be_bytes();
        Mac::from([2, 0, a, b, c, d])
    }

    #[test]
    fn an_address_is_where_it_was_seen_last_and_only_for_a_time() {
        let mut learned = Learned::new(100);
        assert_eq!(learned.find(mac(1), 1, 0), None);
        learned.learn(mac(1), 1, 4, 10);
        learned.learn(mac(1), 2, 5, 10);
        assert_eq!((learned.find(mac(1), 1, 10), learned.find(mac(1), 2, 10)), (Some(4), Some(5)));
        learned.learn(mac(1), 1, 6, 50);
        assert_eq!(learned.find(mac(1), 1, 150), Some(6));
        assert_eq!(learned.find(mac(1), 1, 151), None);
    }

    #[test]
    fn a_flood_of_addresses_replaces_the_oldest() {
        let mut learned = Learned::new(u64::MAX);
        learned.learn(mac(0), 1, 0, 1);
        for number in 1..10_000_u32 {
            learned.learn(mac(number), 1, 1, 1 + u64::from(number));
        }
        assert_eq!(learned.find(mac(0), 1, 10_000), None);
        assert_eq!(learned.find(mac(9_999), 1, 10_000), Some(1));
    }
}
