//! How an interrupt reaches the CPU.

/// Where an interrupt comes from. It travels as bits: the number in bits 0 to 7, then a bit each for message, level
/// triggered, active low.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum InterruptSource {
    /// A line to the I/O APIC (a global system interrupt).
    Line {
        /// Which.
        number: u8,
        /// Whether it is level triggered (else edge).
        is_level: bool,
        /// Whether it is active when low (else when high).
        is_active_low: bool,
    },
    /// A message that the device writes.
    Message {
        /// Which of the device's messages, counted from 0.
        number: u8,
    },
}

impl InterruptSource {
    /// Bit of a message.
    pub const MESSAGE: u32 = 1 << 8;
    /// Bit of a line that is level triggered.
    pub const LEVEL: u32 = 1 << 9;
    /// Bit of a line that is active when low.
    pub const ACTIVE_LOW: u32 = 1 << 10;

    /// As it travels.
    #[must_use]
    pub const fn to_bits(self) -> u32 {
        match self {
            Self::Line { number, is_level, is_active_low } => {
                let level = if is_level { Self::LEVEL } else { 0 };
                number as u32 | level | if is_active_low { Self::ACTIVE_LOW } else { 0 }
            }
            Self::Message { number } => number as u32 | Self::MESSAGE,
        }
    }

    /// The source that travels as these bits.
    #[must_use]
    pub const fn from_bits(bits: u32) -> Option<Self> {
        let number = bits as u8;
        let source = if bits & Self::MESSAGE == 0 {
            Self::Line {
                number,
                is_level: bits & Self::LEVEL != 0,
                is_active_low: bits & Self::ACTIVE_LOW != 0,
            }
        } else {
            Self::Message { number }
        };
        if source.to_bits() == bits { Some(source) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_that_are_no_source_are_refused() {
        let known = (0..1 << 12).filter_map(|bits| InterruptSource::from_bits(bits).map(|_| bits));
        assert_eq!(known.count(), 256 * 4 + 256, "lines of four kinds, and messages, which have no kind");
        assert_eq!(InterruptSource::from_bits(1 << 12), None);
        assert_eq!(InterruptSource::from_bits(InterruptSource::MESSAGE | InterruptSource::LEVEL), None);
        let line = InterruptSource::Line { number: 4, is_level: true, is_active_low: false };
        assert_eq!((line.to_bits(), InterruptSource::from_bits(line.to_bits())), (0x204, Some(line)));
        let message = InterruptSource::Message { number: 1 };
        assert_eq!((message.to_bits(), InterruptSource::from_bits(0x101)), (0x101, Some(message)));
    }
}
