//! Values that the manifest fixes for this domain.
#![allow(unsafe_code, reason = "addresses from the information page become memory here")]

use cloison_abi::{
    info::{
        SETTINGS_ARGUMENTS, SETTINGS_BOOT_LOG, SETTINGS_CMDLINE, SETTINGS_DIRECTORY, SETTINGS_INITRAMFS,
        SETTINGS_KERNELS, SETTINGS_MANAGEMENT, SETTINGS_POLICY, SETTINGS_PORTS,
    },
    measure::{BOOT_LOG_MAGIC, BootLogHeader},
    port::PortSettings,
};
use zerocopy::FromBytes;

use crate::{info, memory::leads_to_memory};

/// The ports of this switch, in the order of their numbers; or the ports that this domain has on switches.
#[must_use]
pub fn ports() -> &'static [PortSettings] {
    let Some(bytes) = bytes(SETTINGS_PORTS) else { return &[] };
    let start = bytes.as_ptr().cast::<PortSettings>();
    if !start.is_aligned() {
        return &[];
    }
    // SAFETY: `bytes` are readable and never change, `start` is aligned, as many entries fit into them, and
    // any bytes make a valid entry.
    unsafe { core::slice::from_raw_parts(start, bytes.len() / size_of::<PortSettings>()) }
}

/// The policy, for the monitor to read; empty if this domain is none.
#[must_use]
pub fn policy() -> &'static [u8] {
    bytes(SETTINGS_POLICY).unwrap_or_default()
}

/// The domains of the system, as [`cloison_abi::directory::read`] reads them; empty if this domain is not told.
#[must_use]
pub fn directory() -> &'static [u8] {
    bytes(SETTINGS_DIRECTORY).unwrap_or_default()
}

/// Who may have what done to which domains, as [`cloison_abi::management::read`] reads it; empty if this domain is not the
/// manager.
#[must_use]
pub fn management() -> &'static [u8] {
    bytes(SETTINGS_MANAGEMENT).unwrap_or_default()
}

/// The domain's arguments; empty if the manifest states none.
#[must_use]
pub fn arguments() -> &'static str {
    text(SETTINGS_ARGUMENTS)
}

/// The command line of the guest's kernel; empty if the manifest states none.
#[must_use]
pub fn cmdline() -> &'static str {
    text(SETTINGS_CMDLINE)
}

/// The file of the kernel with which the guest begins; `None` if this domain's guest has none.
#[must_use]
pub fn kernel() -> Option<&'static [u8]> {
    bytes(SETTINGS_KERNELS.get(info::get().image())?)
}

/// The file with which the guest's kernel begins; `None` if the manifest states none.
#[must_use]
pub fn initramfs() -> Option<&'static [u8]> {
    bytes(SETTINGS_INITRAMFS)
}

/// The log of what was measured at boot, as firmware keeps it; `None` if this domain may not see it, or this boot was not
/// measured.
#[must_use]
pub fn boot_log() -> Option<&'static [u8]> {
    let (header, events) = BootLogHeader::read_from_prefix(bytes(SETTINGS_BOOT_LOG)?).ok()?;
    let is_there = header.magic == BOOT_LOG_MAGIC;
    events.get(..usize::try_from(header.bytes).ok()?).filter(|_| is_there)
}

fn text(name: &str) -> &'static str {
    bytes(name).and_then(|text| core::str::from_utf8(text).ok()).unwrap_or_default()
}

fn bytes(name: &str) -> Option<&'static [u8]> {
    let settings = info::get().find::<info::Settings>(name)?;
    let &info::Settings { address, bytes, .. } = settings;
    // SAFETY: the plan maps settings for reading and for as long as the domain lives; nobody writes them.
    leads_to_memory(settings, address, bytes)
        .then(|| unsafe { core::slice::from_raw_parts(address as *const u8, bytes as usize) })
}
