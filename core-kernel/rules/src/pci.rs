//! PCI's configuration space: where it lies, by what firmware says of it.
//!
//! Each function has a page there (PCI Express Base Specification, section 7.2.2). ACPI's table MCFG says where the pages of a
//! run of buses are (PCI Firmware Specification 3.3, section 4.1.2).

use cloison_abi::limits::PAGE_BYTES;

use crate::{memory::Run, refs::Frame};

/// Pages of a bus: 32 devices with 8 functions each.
const BUS_PAGES: u64 = 32 * 8;
/// 52 bits is the widest physical address that page tables hold.
const PHYSICAL_PAGES: u64 = (1 << 52) / PAGE_BYTES;

/// Buses whose pages lie one after the other: an entry of the table MCFG.
#[derive(Clone, Copy, Debug)]
pub struct Buses {
    /// Physical address of the first page of bus 0, whether bus 0 is one of them or not.
    pub base: u64,
    /// The segment group: a machine with more buses than 256 has several.
    pub segment: u16,
    /// The first bus.
    pub first: u8,
    /// The last bus.
    pub last: u8,
}

/// The pages of all functions of segment group 0, from bus 0 on: the page of a function has the place that its number is.
/// None if no entry says where they are, or one says so of a place where no bus can be.
#[must_use]
pub fn configuration_space(mut entries: impl Iterator<Item = Buses>) -> Option<Run> {
    let Buses { base, last, .. } = entries.find(|buses| buses.segment == 0 && buses.first == 0)?;
    let pages = (u64::from(last) + 1) * BUS_PAGES;
    let is_whole = base != 0 && base.is_multiple_of(BUS_PAGES * PAGE_BYTES);
    let is_reached = base / PAGE_BYTES + pages <= PHYSICAL_PAGES;
    (is_whole && is_reached).then(|| Run::new(Frame::holding(base), pages))
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;

    const WHOLE: Buses = Buses { base: 0xe000_0000, segment: 0, first: 0, last: 255 };

    fn found(entries: &[Buses]) -> Option<(u64, u64)> {
        let space = configuration_space(entries.iter().copied())?;
        Some((space.first.address(), space.pages()))
    }

    #[test]
    fn the_space_lies_where_the_table_says() {
        assert_eq!(found(&[WHOLE]), Some((0xe000_0000, 0x1_0000)));
        assert_eq!(found(&[Buses { base: 0xb000_0000, ..WHOLE }]), Some((0xb000_0000, 0x1_0000)));
        assert_eq!(found(&[Buses { last: 0, ..WHOLE }]), Some((0xe000_0000, 0x100)));
        assert_eq!(found(&[Buses { base: 0x10_0000, last: 63, ..WHOLE }]), Some((0x10_0000, 0x4000)));
    }

    #[test]
    fn other_segments_and_other_buses_are_passed_over() {
        let others =
            [Buses { segment: 1, base: 1 << 40, ..WHOLE }, Buses { first: 64, base: 2 << 40, ..WHOLE }];
        assert_eq!(found(&others), None);
        assert_eq!(found(&[]), None);
        let all: Vec<_> = others.into_iter().chain([WHOLE]).collect();
        assert_eq!(found(&all), Some((0xe000_0000, 0x1_0000)));
    }

    #[test]
    fn a_place_where_no_bus_can_be_is_none() {
        let top = (1 << 52) - 0x1000_0000;
        assert_eq!(found(&[Buses { base: top, ..WHOLE }]), Some((top, 0x1_0000)));
        for base in [0, 0x1000, 0xe000_1000, 0xe008_0000, top + 0x10_0000, 1 << 52, !0xf_ffff, u64::MAX] {
            assert_eq!(found(&[Buses { base, ..WHOLE }]), None, "{base:#x}");
        }
    }
}
