//! The registers: where they are and what their bits mean (PTP, section on the CRB interface). Each has 32
//! bits.

use crate::tpm::Locality;

/// Asks for the locality, or gives it up.
pub(super) const LOCALITY_CONTROL: u64 = 0x08;
pub(super) const LOCALITY_REQUEST: u32 = 1 << 0;
pub(super) const LOCALITY_RELINQUISH: u32 = 1 << 1;

/// Whether this locality is the active one.
pub(super) const LOCALITY_STATUS: u64 = 0x0c;
pub(super) const LOCALITY_GRANTED: u32 = 1 << 0;

/// Which interface this is, and in its highest byte the device's revision. TIS 1.3 has all bits of the type
/// set.
pub(super) const INTERFACE_ID: u64 = 0x30;
pub(super) const INTERFACE_TYPE: u32 = 0xf;
pub(super) const INTERFACE_IS_CRB: u32 = 1;

/// Vendor in the lower, device in the upper half.
pub(super) const VENDOR_AND_DEVICE: u64 = 0x34;

/// Asks the TPM to get ready, or to go idle; the TPM clears the bit when it has.
pub(super) const REQUEST: u64 = 0x40;
pub(super) const REQUEST_READY: u32 = 1 << 0;
pub(super) const REQUEST_IDLE: u32 = 1 << 1;

/// Whether the TPM has failed for good.
pub(super) const STATUS: u64 = 0x44;
pub(super) const STATUS_ERROR: u32 = 1 << 0;

/// 1: abort the command.
pub(super) const CANCEL: u64 = 0x48;
/// 1: carry out the command; the TPM writes 0 when it has.
pub(super) const START: u64 = 0x4c;

/// Length of the command buffer, in bytes, and its physical address.
pub(super) const COMMAND_BYTES: u64 = 0x58;
pub(super) const COMMAND_ADDRESS: u64 = 0x5c;
/// Length of the response buffer, in bytes, and its physical address.
pub(super) const RESPONSE_BYTES: u64 = 0x64;
pub(super) const RESPONSE_ADDRESS: u64 = 0x68;

/// Where a locality's register is: each has a page.
pub(super) fn at(locality: Locality, register: u64) -> u64 {
    u64::from(locality.0) << 12 | register
}
