//! The number that the manifest fixes for each client of the gate.

/// What a client gets of a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The number of a partition; 0: all of it.
    pub partition: u8,
    /// Whether the client may read alone, even if the disk can be written.
    pub is_read_only: bool,
}

impl Choice {
    /// The largest number.
    pub const MOST: u64 = READ_ONLY as u64 * 2 - 1;

    /// What a number means.
    #[must_use]
    pub fn of_option(option: u32) -> Self {
        Self { partition: option as u8, is_read_only: option & READ_ONLY != 0 }
    }

    /// Its number.
    #[must_use]
    pub fn option(self) -> u32 {
        u32::from(self.partition) | if self.is_read_only { READ_ONLY } else { 0 }
    }
}

const READ_ONLY: u32 = 1 << 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_choice_has_a_number_of_its_own() {
        for option in 0..=Choice::MOST as u32 {
            assert_eq!(Choice::of_option(option).option(), option);
        }
        let choice = Choice { partition: 2, is_read_only: true };
        assert_eq!(choice.option(), 0x102);
        assert!(Choice::of_option(0x100).is_read_only && !Choice::of_option(0xff).is_read_only);
    }
}
