//! What a guest finds out about the hypervisor by `cpuid` (Xen's `arch-x86/cpuid.h`).

/// First of the hypervisor's leaves.
pub const BASE: u32 = 0x4000_0000;
/// Last of the hypervisor's leaves: leaf 5, about machine frames wider than 32 bits, is not there, so grants stay as
/// they were at first.
pub const LAST: u32 = BASE + 2;
/// "XenVMMXenVMM", in the order `ebx`, `ecx`, `edx`.
pub const SIGNATURE: [u32; 3] = [0x566e_6558, 0x6558_4d4d, 0x4d4d_566e];
/// In `ecx` of leaf 2: `mmu_update` can keep the bits accessed and dirty.
pub const KEEPS_ACCESSED_DIRTY: u32 = 1;
/// What stands before an instruction that is meant for the hypervisor: `ud2`, then "xen".
pub const PREFIX: [u8; 5] = [0x0f, 0x0b, b'x', b'e', b'n'];
