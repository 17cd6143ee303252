//! What the registers of a CPU say: which protections are on, whether what was written has been kept, and what
//! firmware has left switched on that the kernel cannot use.

/// Writes of the kernel to read-only pages fault.
const CR0_WRITE_PROTECT: u64 = 1 << 16;
/// Floating point errors are exceptions.
const CR0_NUMERIC_ERROR: u64 = 1 << 5;
/// User mode cannot read where the kernel's tables are.
const CR4_UMIP: u64 = 1 << 11;
/// The kernel cannot execute a domain's memory.
const CR4_SMEP: u64 = 1 << 20;
/// The kernel cannot read or write a domain's memory.
const CR4_SMAP: u64 = 1 << 21;
/// Pages can be kept from execution.
const EFER_NO_EXECUTE: u64 = 1 << 11;
/// In IA32_APIC_BASE: the local APIC is used by model-specific registers, and is on.
const APIC_X2: u64 = 1 << 10;
const APIC_ON: u64 = 1 << 11;

/// Registers that turn protections on (Intel SDM volume 3, section 2.5 and table 2-2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ControlRegisters {
    /// CR0.
    pub cr0: u64,
    /// CR4.
    pub cr4: u64,
    /// Extended features.
    pub efer: u64,
    /// States that XSAVE handles.
    pub xcr0: u64,
}

impl ControlRegisters {
    /// The protections that are on.
    pub fn protections(self) -> impl Iterator<Item = &'static str> {
        let has = |register: u64, bit: u64| register & bit != 0;
        let no_execute = has(self.efer, EFER_NO_EXECUTE);
        let all = [
            ("W^X", no_execute && has(self.cr0, CR0_WRITE_PROTECT)),
            ("NX", no_execute),
            ("SMEP", has(self.cr4, CR4_SMEP)),
            ("SMAP", has(self.cr4, CR4_SMAP)),
            ("UMIP", has(self.cr4, CR4_UMIP)),
        ];
        all.into_iter().filter(|(_, on)| *on).map(|(name, _)| name)
    }

    /// The name of a register that does not hold what was written to it, if there is one. CR4 and XCR0 are
    /// written as a whole; in the others, the bits that protect count.
    #[must_use]
    pub fn not_kept(self, written: Self) -> Option<&'static str> {
        const CR0: u64 = CR0_WRITE_PROTECT | CR0_NUMERIC_ERROR;
        match self {
            _ if self.cr0 & CR0 != CR0 => Some("CR0"),
            _ if self.cr4 != written.cr4 => Some("CR4"),
            _ if self.efer & EFER_NO_EXECUTE == 0 => Some("EFER"),
            _ if self.xcr0 != written.xcr0 => Some("XCR0"),
            _ => None,
        }
    }
}

/// Why the local APIC cannot be used as its base register says that firmware has left it, if it cannot.
#[must_use]
pub fn unfit_apic(base: u64) -> Option<&'static str> {
    match base {
        _ if base & APIC_ON == 0 => Some("firmware has turned the local APIC off"),
        _ if base & APIC_X2 != 0 => Some(
            "firmware has left the local APIC in x2APIC mode, which the kernel does not use; \
             turn x2APIC off in the firmware's settings",
        ),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;

    const ALL: ControlRegisters = ControlRegisters {
        cr0: 0x8005_0033,
        cr4: CR4_UMIP | CR4_SMEP | CR4_SMAP | 0x406e0,
        efer: 0xd01,
        xcr0: 7,
    };

    fn protections(registers: ControlRegisters) -> Vec<&'static str> {
        registers.protections().collect()
    }

    #[test]
    fn a_protection_is_on_if_its_register_says_so() {
        let ControlRegisters { cr0, cr4, efer, .. } = ALL;
        assert_eq!(protections(ALL), ["W^X", "NX", "SMEP", "SMAP", "UMIP"]);
        let without = |registers| protections(registers).join(" ");
        assert_eq!(without(ControlRegisters { cr4: cr4 & !CR4_SMEP, ..ALL }), "W^X NX SMAP UMIP");
        assert_eq!(without(ControlRegisters { cr4: cr4 & !CR4_SMAP, ..ALL }), "W^X NX SMEP UMIP");
        assert_eq!(without(ControlRegisters { cr4: cr4 & !CR4_UMIP, ..ALL }), "W^X NX SMEP SMAP");
        assert_eq!(without(ControlRegisters { cr0: cr0 & !CR0_WRITE_PROTECT, ..ALL }), "NX SMEP SMAP UMIP");
        assert_eq!(without(ControlRegisters { efer: efer & !EFER_NO_EXECUTE, ..ALL }), "SMEP SMAP UMIP");
    }

    #[test]
    fn a_register_that_does_not_keep_what_was_written_is_named() {
        let ControlRegisters { cr0, cr4, efer, .. } = ALL;
        assert_eq!(ALL.not_kept(ALL), None);
        assert_eq!(ControlRegisters { cr0: cr0 & !CR0_WRITE_PROTECT, ..ALL }.not_kept(ALL), Some("CR0"));
        assert_eq!(ControlRegisters { cr0: cr0 & !CR0_NUMERIC_ERROR, ..ALL }.not_kept(ALL), Some("CR0"));
        for bit in [CR4_SMEP, CR4_SMAP, CR4_UMIP, 1 << 18, 1 << 12] {
            assert_eq!(ControlRegisters { cr4: cr4 ^ bit, ..ALL }.not_kept(ALL), Some("CR4"));
        }
        assert_eq!(ControlRegisters { efer: efer & !EFER_NO_EXECUTE, ..ALL }.not_kept(ALL), Some("EFER"));
        assert_eq!(ControlRegisters { xcr0: 3, ..ALL }.not_kept(ALL), Some("XCR0"));
    }

    #[test]
    fn a_local_apic_in_another_mode_is_refused() {
        assert_eq!(unfit_apic(0xfee0_0900), None);
        assert!(unfit_apic(0xfee0_0d00).is_some_and(|why| why.contains("x2APIC")));
        assert!(unfit_apic(0xfee0_0100).is_some_and(|why| why.contains("off")));
    }
}
