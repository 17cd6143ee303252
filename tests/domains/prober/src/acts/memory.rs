//! Addresses that are not the prober's, or not for this.

use cloison_abi::limits::{DOMAIN_END, INFO_ADDRESS, KERNEL_BASE, KERNEL_END, PAGE_BYTES};

use super::{
    Act,
    Deed::{Jump, Read, Write},
    act,
};

/// Physical address of the local interrupt controller's registers.
const LOCAL_APIC: u64 = 0xfee0_0000;
/// Physical address of the TPM's registers.
const TPM: u64 = 0xfed4_0000;
/// Where a kernel at -2 GiB would lie. Ours does not.
const MINUS_2_GIB: u64 = 0xffff_ffff_8000_0000;
/// The slots of the top table that are kept for guests.
const GUEST_BASE: u64 = 0xffff_8000_0000_0000;

pub(crate) const ACTS: &[Act] = &[
    act("NULL is not readable", Read(|_| 0)),
    act("NULL is not writable", Write(|_| 0)),
    act("NULL is not executable", Jump(|_| 0)),
    act("NULL with a large index is not readable", Read(|_| INFO_ADDRESS - 8)),
    act("the kernel's first page is not readable", Read(|_| KERNEL_BASE)),
    act("the kernel's image is not readable", Read(|_| KERNEL_BASE + 0x10_0000)),
    act("the kernel's image is not writable", Write(|_| KERNEL_BASE + 0x10_0000)),
    act("the kernel's image is not executable", Jump(|_| KERNEL_BASE + 0x10_0000)),
    act("the direct map of memory is not readable", Read(|_| KERNEL_BASE + 0x200_0000)),
    act("the direct map of memory is not writable", Write(|_| KERNEL_BASE + 0x200_0000)),
    act("the end of the kernel's addresses is not readable", Read(|_| KERNEL_END - 8)),
    act("the guests' addresses are not readable", Read(|_| GUEST_BASE)),
    act("the top of the address space is not readable", Read(|_| MINUS_2_GIB)),
    act("the interrupt controller is not reachable", Write(|_| LOCAL_APIC)),
    act("the interrupt controller is not reachable in the direct map", Write(|_| KERNEL_BASE + LOCAL_APIC)),
    act("a device of another domain is not readable", Read(|_| TPM)),
    act("memory that neighbours share is not readable", Read(|world| world.beyond() + PAGE_BYTES)),
    act("memory that neighbours share is not writable", Write(|world| world.beyond() + PAGE_BYTES)),
    act("the last addresses of the lower half are not readable", Read(|_| DOMAIN_END)),
    act("the stack has a guard below", Write(|world| world.stack_bottom() - 8)),
    act("the stack has a guard above", Write(|world| world.stack_top)),
    act("shared memory has a guard above", Write(|world| world.beyond())),
    act("code is not writable", Write(|world| world.code())),
    act("constants are not writable", Write(|world| world.constant())),
    act("the information page is not writable", Write(|_| INFO_ADDRESS)),
    act("the program's first page is not writable", Write(|world| world.image())),
    act("constants are not executable", Jump(|world| world.constant() & !(PAGE_BYTES - 1))),
    act("data is not executable", Jump(|world| world.data())),
    act("the stack is not executable", Jump(|world| world.stack_bottom())),
    act("shared memory is not executable", Jump(|world| world.shared())),
    act("the information page is not executable", Jump(|_| INFO_ADDRESS)),
];
