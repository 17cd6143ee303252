//! Whether there is memory for what is to be started: looked at before a start is measured, so that what is in a log of starts is
//! not what came to nothing for want of memory.

use bmi_api::manage::{Memory, Offered, Refusal};

/// Memory of a MiB, in KiB.
const MIB: u32 = 1024;

/// The memory of the budget that a domain needs to be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Need {
    /// All of it.
    all_kib: u32,
    /// What of it has to be in one piece, as far as that is known: its guest's.
    piece_kib: u32,
}

impl Need {
    /// That of a domain with all that it can have, which is `kib`; and what its guest can have, if it has one.
    #[must_use]
    pub fn of_all(kib: u32, offered: Option<Offered>) -> Self {
        let most_mib = offered.map_or(0, |offered| offered.most_mib);
        Self { all_kib: kib, piece_kib: most_mib.saturating_mul(MIB) }
    }

    /// The same with a guest that is to have this memory, in MiB.
    ///
    /// # Errors
    /// What the builder refuses, and for the same reason: [`Refusal::NoGuest`], [`Refusal::TooLittle`], [`Refusal::TooMuch`].
    pub fn of_guest(kib: u32, offered: Offered, mib: u32) -> Result<Self, Refusal> {
        let Offered { least_mib, most_mib, .. } = offered;
        match mib {
            _ if most_mib == 0 => Err(Refusal::NoGuest),
            _ if mib < least_mib => Err(Refusal::TooLittle),
            _ if mib > most_mib => Err(Refusal::TooMuch),
            _ => {
                let (guest, most) = (mib.saturating_mul(MIB), most_mib.saturating_mul(MIB));
                Ok(Self { all_kib: kib.saturating_sub(most).saturating_add(guest), piece_kib: guest })
            }
        }
    }

    /// Whether that much of the budget is free.
    ///
    /// # Errors
    /// [`Refusal::NoMemory`], [`Refusal::NoPiece`]: the builder surely refuses this. It can refuse more, as all regions of a
    /// domain are pieces, and only it knows them.
    pub fn fits(self, memory: &Memory) -> Result<(), Refusal> {
        if self.all_kib > memory.free_kib {
            return Err(Refusal::NoMemory);
        }
        if self.piece_kib > memory.largest_kib {
            return Err(Refusal::NoPiece);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use cloison_abi::Name;

    use super::*;

    /// Beside its guest a domain takes this.
    const OWN_KIB: u32 = 300;

    fn offered(least_mib: u32, most_mib: u32) -> Offered {
        Offered { image: Name::new("vmlinux").unwrap(), least_mib, most_mib }
    }

    fn memory(free_kib: u32, largest_kib: u32) -> Memory {
        Memory { total_kib: 1 << 20, free_kib, largest_kib }
    }

    #[test]
    fn a_guest_has_what_its_kernel_needs_and_the_manifest_gives() {
        let kib = 128 * MIB + OWN_KIB;
        for (mib, found) in [
            (0, Err(Refusal::TooLittle)),
            (72, Err(Refusal::TooLittle)),
            (73, Ok(73)),
            (128, Ok(128)),
            (129, Err(Refusal::TooMuch)),
            (u32::MAX, Err(Refusal::TooMuch)),
        ] {
            let need = Need::of_guest(kib, offered(73, 128), mib);
            let expected = found.map(|mib| Need { all_kib: mib * MIB + OWN_KIB, piece_kib: mib * MIB });
            assert_eq!(need, expected, "{mib}");
        }
        assert_eq!(Need::of_guest(OWN_KIB, offered(0, 0), 0), Err(Refusal::NoGuest));
        let all = Need { all_kib: kib, piece_kib: 128 * MIB };
        assert_eq!(Need::of_all(kib, Some(offered(73, 128))), all);
        assert_eq!(Need::of_all(OWN_KIB, None), Need { all_kib: OWN_KIB, piece_kib: 0 });
    }

    #[test]
    fn what_the_budget_has_not_is_not_begun() {
        let need = Need::of_guest(128 * MIB + OWN_KIB, offered(73, 128), 96).unwrap();
        let all = 96 * MIB + OWN_KIB;
        for (free, largest, found) in [
            (all, 96 * MIB, Ok(())),
            (all - 1, 96 * MIB, Err(Refusal::NoMemory)),
            (2 * all, 96 * MIB - 1, Err(Refusal::NoPiece)),
            (0, 0, Err(Refusal::NoMemory)),
        ] {
            assert_eq!(need.fits(&memory(free, largest)), found, "{free} {largest}");
        }
        assert_eq!(Need::of_all(OWN_KIB, None).fits(&memory(OWN_KIB, 4)), Ok(()), "in small pieces");
    }
}
