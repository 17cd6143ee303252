//! Services by name: which of them this domain was given, and whether they are there.
//!
//! There is no server that keeps a register, and so none that could give a right away or be asked too much: the names are those
//! of the domain's own `domain.toml`, which the builder has put into its information page with a slot each, and whether a
//! domain lives the kernel says of each slot that leads to one. To be registered is to be started. A name that the manifest
//! does not give is not found, even if others have it; there is nothing to guess.

use core::time::Duration;

use cloison_sys::{Slot, info, slot_info};

use crate::time::sleep;

/// Between the first two looks whether a service is there; then twice as long each time.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
/// The longest time between two looks.
const LONGEST_PAUSE: Duration = Duration::from_millis(160);

/// A service that the manifest gives this domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Service {
    slot: Slot,
}

/// The service behind the gate that this domain's `domain.toml` calls `name`, if the manifest gave one.
#[must_use]
pub fn find(name: &str) -> Option<Service> {
    info::get().slot::<info::Use>(name).map(|slot| Service { slot })
}

impl Service {
    /// The slot of its gate, in this domain's table.
    #[must_use]
    pub fn slot(self) -> Slot {
        self.slot
    }

    /// Whether its domain lives. A call of one that does waits until it is answered; of one that does not it comes to nothing at
    /// once.
    #[must_use]
    pub fn is_up(self) -> bool {
        slot_info(self.slot).is_ok_and(|info| info.is_alive)
    }

    /// Waits until its domain lives. False if it does not within `patience`. Other tasks of this domain wait, too.
    #[must_use]
    pub fn wait(self, patience: Duration) -> bool {
        is_in_time(|| self.is_up(), sleep, patience)
    }
}

/// Looks whether it is so, and again after pauses that grow, for as long as patience lasts.
fn is_in_time(mut is_so: impl FnMut() -> bool, mut rest: impl FnMut(Duration), patience: Duration) -> bool {
    let (mut left, mut pause) = (patience, FIRST_PAUSE);
    while !is_so() {
        if left.is_zero() {
            return false;
        }
        let now = pause.min(left);
        rest(now);
        left -= now;
        pause = LONGEST_PAUSE.min(pause * 2);
    }
    true
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::vec::Vec;

    use super::*;

    /// The pauses that are made when it is so at the look with this number, and whether that was in time.
    fn pauses(looks: usize, patience: u64) -> (Vec<u128>, bool) {
        let (mut pauses, mut look) = (Vec::new(), 0);
        let is_so = || {
            look += 1;
            look > looks
        };
        let rest = |pause: Duration| pauses.push(pause.as_millis());
        let is_in_time = is_in_time(is_so, rest, Duration::from_millis(patience));
        (pauses, is_in_time)
    }

    #[test]
    fn a_service_is_waited_for_as_long_as_patience_lasts() {
        assert_eq!(pauses(0, 0), (Vec::new(), true));
        assert_eq!(pauses(1, 0), (Vec::new(), false));
        assert_eq!(pauses(3, 1000), (Vec::from([5, 10, 20]), true));
        assert_eq!(pauses(3, 35), (Vec::from([5, 10, 20]), true));
        assert_eq!(pauses(4, 34), (Vec::from([5, 10, 19]), false));
        let (all, is_in_time) = pauses(usize::MAX, 1000);
        assert!(!is_in_time && all.iter().sum::<u128>() == 1000);
        assert_eq!(all.iter().max(), Some(&160));
    }
}
