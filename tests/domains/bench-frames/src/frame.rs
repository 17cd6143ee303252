//! The frames of the benchmark: an Ethernet header, and three numbers.

/// Everybody's address.
pub(crate) const BROADCAST: [u8; 6] = [0xff; 6];
/// Bytes of a frame that mean something.
pub(crate) const START_BYTES: usize = 32;
/// Ethertype for experiments within one LAN (IEEE 802, local experimental ethertype 1).
const ETHERTYPE: [u8; 2] = [0x88, 0xb5];

/// What a frame says.
#[derive(Clone, Copy)]
pub(crate) struct Note {
    /// When the batch began; in an answer, how long it took.
    pub(crate) ticks: u64,
    /// How many frames of the batch are still to come.
    pub(crate) rest: u32,
}

impl Note {
    /// Writes the start of a frame, `START_BYTES` long at least.
    pub(crate) fn write(self, to: [u8; 6], from: [u8; 6], frame: &mut [u8]) {
        frame[..6].copy_from_slice(&to);
        frame[6..12].copy_from_slice(&from);
        frame[12..14].copy_from_slice(&ETHERTYPE);
        frame[16..24].copy_from_slice(&self.ticks.to_le_bytes());
        frame[24..28].copy_from_slice(&self.rest.to_le_bytes());
    }

    /// What the start of a frame says, and who sent it.
    pub(crate) fn read(start: &[u8; START_BYTES]) -> (Self, [u8; 6]) {
        let ticks = core::array::from_fn(|index| start[16 + index]);
        let rest = core::array::from_fn(|index| start[24 + index]);
        let from = core::array::from_fn(|index| start[6 + index]);
        (Self { ticks: u64::from_le_bytes(ticks), rest: u32::from_le_bytes(rest) }, from)
    }
}

/// The MAC address that goes with an IPv4 address, as the manifest has it by default.
pub(crate) fn mac_of(address: &str) -> Option<[u8; 6]> {
    let mut mac = [2, 0, 0, 0, 0, 0];
    let mut parts = address.split('.');
    for byte in &mut mac[2..] {
        *byte = parts.next()?.parse().ok()?;
    }
    parts.next().is_none().then_some(mac)
}
