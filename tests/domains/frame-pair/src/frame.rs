//! The frames by which a pair talks: whom from, a number, and bytes that follow from the number.

/// Everybody's address.
pub(crate) const BROADCAST: [u8; 6] = [0xff; 6];
/// Ethertypes for experiments: the pair's, and that of the frame which says that all is over.
const PAIR_TYPE: [u8; 2] = [0x88, 0xb5];
const DONE_TYPE: [u8; 2] = [0x88, 0xb6];
/// Where the number lies, and where the bytes begin.
const NUMBER_AT: usize = 16;
const BYTES_AT: usize = 20;

/// Which half of the talk a frame is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Ask = 1,
    Answer = 2,
}

/// A frame of the pair.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) kind: Kind,
    pub(crate) number: u32,
    pub(crate) from: [u8; 6],
}

/// What a frame that came in is.
pub(crate) enum Seen {
    Pair(Frame),
    /// It has the pair's type, and is not as the pair sends them.
    False,
    Over,
    Other,
}

impl Frame {
    /// How long it is: all lengths come, a few long ones among them.
    pub(crate) fn bytes(&self) -> usize {
        let long = if self.number.is_multiple_of(37) { 9000 } else { 0 };
        BYTES_AT + (self.number as usize * 7) % 1490 + long
    }

    pub(crate) fn write(&self, to: [u8; 6], place: &mut [u8]) {
        place[..6].copy_from_slice(&to);
        place[6..12].copy_from_slice(&self.from);
        place[12..14].copy_from_slice(&PAIR_TYPE);
        (place[14], place[15]) = (self.kind as u8, 0);
        place[NUMBER_AT..BYTES_AT].copy_from_slice(&self.number.to_le_bytes());
        place[BYTES_AT..].iter_mut().enumerate().for_each(|(at, byte)| *byte = self.byte(at));
    }

    pub(crate) fn read(bytes: &[u8]) -> Seen {
        match bytes.get(12..14) {
            Some(ethertype) if ethertype == DONE_TYPE => Seen::Over,
            Some(ethertype) if ethertype == PAIR_TYPE => Self::parse(bytes).map_or(Seen::False, Seen::Pair),
            _ => Seen::Other,
        }
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let kind = match bytes.get(14)? {
            1 => Kind::Ask,
            2 => Kind::Answer,
            _ => return None,
        };
        let number = u32::from_le_bytes(*bytes.get(NUMBER_AT..)?.first_chunk()?);
        let frame = Self { kind, number, from: *bytes.get(6..)?.first_chunk()? };
        let unchanged = bytes[BYTES_AT..].iter().enumerate().all(|(at, byte)| *byte == frame.byte(at));
        (unchanged && bytes.len() == frame.bytes()).then_some(frame)
    }

    fn byte(&self, at: usize) -> u8 {
        (self.number as usize * 31 + at) as u8
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
