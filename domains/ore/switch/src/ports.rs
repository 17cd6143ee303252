//! Sets of ports.

use core::ops::{BitAnd, BitOr, Not};

/// A set of ports, one bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortSet(pub u32);

impl PortSet {
    /// The set without a port.
    pub const EMPTY: Self = Self(0);

    /// The set of one port.
    #[must_use]
    #[inline]
    pub fn of(port: usize) -> Self {
        Self(1 << (port % 32))
    }

    /// Whether it holds a port.
    #[must_use]
    #[inline]
    pub fn has(self, port: usize) -> bool {
        self.0 >> (port % 32) & 1 != 0
    }

    /// Whether it holds none.
    #[must_use]
    #[inline]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The port in it with the lowest number.
    #[must_use]
    #[inline]
    pub fn first(self) -> Option<usize> {
        (self.0 != 0).then(|| self.0.trailing_zeros() as usize)
    }
}

impl Iterator for PortSet {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        let port = self.first()?;
        self.0 &= self.0 - 1;
        Some(port)
    }
}

impl FromIterator<usize> for PortSet {
    fn from_iter<I: IntoIterator<Item = usize>>(ports: I) -> Self {
        ports.into_iter().fold(Self::EMPTY, |set, port| set | Self::of(port))
    }
}

impl BitAnd for PortSet {
    type Output = Self;

    #[inline]
    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl BitOr for PortSet {
    type Output = Self;

    #[inline]
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl Not for PortSet {
    type Output = Self;

    #[inline]
    fn not(self) -> Self {
        Self(!self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_holds_the_ports_that_were_put_into_it() {
        let set: PortSet = [1, 30, 1].into_iter().collect();
        for port in 0..32 {
            assert_eq!(set.has(port), port == 1 || port == 30, "{port}");
            assert_eq!(PortSet::of(port).first(), Some(port));
        }
        assert!(set.eq([1, 30]), "and gives them in their order");
    }
}
