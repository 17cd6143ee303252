//! Which peer it was: the event that says that a peer has failed is one bit for all of them.
//!
//! A client asks each peer that it cares for ([`Peer::has_failed`]); a server is told which clients are gone
//! ([`gone_clients`]). Both answers stay as they are until they are asked for, so it does not matter which
//! part of a program has taken the bit.

use cloison_abi::{CallNumber, info::Party, limits::EVENT_PEER_FAILED};

use crate::{Badge, Slot, info, raw::enter, slot_info};

/// Mask of the event that says that a peer has failed or ended.
pub const PEER_FAILED: u64 = 1 << EVENT_PEER_FAILED;

/// The domain behind a gate or an event, in the life that it was in when it was first looked at.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    slot: Slot,
    lives_ended: u64,
}

impl Peer {
    /// The domain to which a slot leads. None if it leads to none.
    #[must_use]
    pub fn behind(slot: Slot) -> Option<Self> {
        slot_info(slot).ok().map(|info| Self { slot, lives_ended: info.lives_ended })
    }

    /// The other party of a record: a server by its gate, a client by its event. None if this
    /// domain can neither call nor signal it.
    #[must_use]
    pub fn of(party: &impl Party) -> Option<Self> {
        info::gate(party).or_else(|| info::signal_slot(party)).and_then(Self::behind)
    }

    /// Whether that life has ended. A new one may have begun.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        slot_info(self.slot).map_or(true, |info| info.lives_ended != self.lives_ended)
    }
}

/// Badges of the clients of this server that have ended a life since this was last asked for: what is kept
/// for them is nobody's now. Each comes once. The event that announces it is [`PEER_FAILED`].
pub fn gone_clients() -> impl Iterator<Item = Badge> {
    let mut cursor = 0;
    core::iter::from_fn(move || {
        let outcome = enter(CallNumber::GoneRead, 0, 0, [cursor, 0, 0, 0, 0, 0]);
        let [next, badge, ..] = outcome.words;
        cursor = next;
        (next != 0).then_some(Badge(badge as u32))
    })
}
