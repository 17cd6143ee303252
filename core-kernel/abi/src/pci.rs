//! PCI functions, by name.

use core::fmt;

/// A function of a device on PCI, in segment group 0. It is written as bus, device and function, `00:03.0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PciFunction(u16);

impl PciFunction {
    /// The function with this number: the bus in bits 8 to 15, the device in bits 3 to 7, the function in bits 0 to 2.
    #[must_use]
    pub const fn new(number: u16) -> Self {
        Self(number)
    }

    /// Its number.
    #[must_use]
    pub const fn number(self) -> u16 {
        self.0
    }
}

impl fmt::Display for PciFunction {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(number) = *self;
        write!(out, "{:02x}:{:02x}.{}", number >> 8, number >> 3 & 0x1f, number & 7)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;

    #[test]
    fn a_function_has_the_name_that_people_know() {
        for (number, name) in [(0, "00:00.0"), (3 << 3, "00:03.0"), (0x1fff, "1f:1f.7"), (0xff00, "ff:00.0")]
        {
            assert_eq!(std::format!("{}", PciFunction::new(number)), name);
        }
    }
}
