//! Model-specific registers that the guest's kernel reads and writes. The CPU's own are out of its reach.

use cloison_abi::guest::GuestRegisters;

use crate::memory::is_canonical;

const TIME_STAMP: u32 = 0x10;
const APIC_BASE: u32 = 0x1b;
const MICROCODE: u32 = 0x8b;
const PLATFORM_INFO: u32 = 0xce;
const MISC_FEATURES: u32 = 0x140;
const MACHINE_CHECK: core::ops::RangeInclusive<u32> = 0x179..=0x17b;
const MISC_ENABLE: u32 = 0x1a0;
const PAT: u32 = 0x277;
const MACHINE_CHECK_BANKS: core::ops::RangeInclusive<u32> = 0x400..=0x47f;
const EFER: u32 = 0xc000_0080;
const FS_BASE: u32 = 0xc000_0100;
const GS_BASE: u32 = 0xc000_0101;
const KERNEL_GS_BASE: u32 = 0xc000_0102;
const TSC_AUX: u32 = 0xc000_0103;

/// Kinds of memory: those that a PC has at its start, and in place of the fifth and sixth the two that Xen has there.
const PAT_OF_XEN: u64 = 0x0000_0501_0007_0406;
/// The local interrupt controller: enabled, of the CPU that booted.
const APIC: u64 = 0xfee0_0900;
/// Strings are fast; there are no buffers to trace branches or events in.
const MISC: u64 = 1 | 1 << 11 | 1 << 12;
/// System calls, 64-bit mode and that it runs, no execution of data.
const EFER_VALUE: u64 = 1 | 1 << 8 | 1 << 10 | 1 << 11;

/// What a register holds; `None` if there is no such register.
pub fn read(number: u32, ticks: u64, registers: &GuestRegisters) -> Option<u64> {
    Some(match number {
        TIME_STAMP => ticks,
        APIC_BASE => APIC,
        MISC_ENABLE => MISC,
        PAT => PAT_OF_XEN,
        EFER => EFER_VALUE,
        FS_BASE => registers.fs_base,
        GS_BASE => registers.gs_base,
        KERNEL_GS_BASE => registers.other_gs_base,
        MICROCODE | PLATFORM_INFO | MISC_FEATURES | TSC_AUX => 0,
        number if MACHINE_CHECK.contains(&number) || MACHINE_CHECK_BANKS.contains(&number) => 0,
        _ => return None,
    })
}

/// Writes a register; `None` if there is no such register, or it cannot hold the value. Beside the bases nothing changes.
pub fn write(number: u32, value: u64, registers: &mut GuestRegisters) -> Option<()> {
    let base = match number {
        FS_BASE => &mut registers.fs_base,
        GS_BASE => &mut registers.gs_base,
        KERNEL_GS_BASE => &mut registers.other_gs_base,
        TIME_STAMP | MICROCODE | MISC_FEATURES | MISC_ENABLE | PAT | EFER | TSC_AUX => return Some(()),
        number if MACHINE_CHECK.contains(&number) || MACHINE_CHECK_BANKS.contains(&number) => {
            return Some(());
        }
        _ => return None,
    };
    is_canonical(value).then(|| *base = value)
}
