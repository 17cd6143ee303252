//! What the guest asks of the hypervisor as such: what it is, what memory there is, text.

use cloison_abi::limits::PAGE_BYTES;
use cloison_xen::cpu::assist;
use cloison_xen::memory::MACHINE_TO_PHYSICAL;
use cloison_xen::version::{self, FeatureInfo, MachineToPhysical, MemoryMap, MemoryRange};
use cloison_xen::{Errno, console};

use super::{Answer, Arguments, Progress, Share};
use crate::cpuid::VERSION;
use crate::guest::Guest;
use crate::machine::Machine;

/// What comes behind it.
const EXTRA_VERSION: [u8; version::EXTRA_BYTES] = *b"-cloison\0\0\0\0\0\0\0\0";
/// What is offered. Linux wants the last two.
const FEATURES: u32 = version::PAE_ROOT_ABOVE_4GB | version::KEEPS_ACCESSED_DIRTY | version::GRANT_BITS_FREE;
/// Bytes of text that count as an entry of a list.
const TEXT_BYTES: u64 = 64;

impl Guest {
    /// `xen_version(command, argument)`. On the way back events are delivered; Linux makes the first command for that.
    pub(super) fn xen_version(
        &mut self,
        machine: &mut impl Machine,
        command: u64,
        at: u64,
    ) -> Result<u64, Errno> {
        match command {
            version::VERSION => return Ok(VERSION.into()),
            version::EXTRA_VERSION => self.put(machine, at, &EXTRA_VERSION)?,
            version::FEATURES => {
                let info: FeatureInfo = self.get(machine, at)?;
                let word = if info.index == 0 { FEATURES } else { 0 };
                self.put(machine, at, &FeatureInfo { word, ..info })?;
            }
            _ => return Err(Errno::NotOffered),
        }
        Ok(0)
    }

    /// `memory_op(command, argument)`.
    pub(super) fn memory_op(
        &mut self,
        machine: &mut impl Machine,
        command: u64,
        at: u64,
    ) -> Result<(), Errno> {
        let pages = u64::from(machine.pages());
        match command {
            version::MEMORY_MAP => {
                let map: MemoryMap = self.get(machine, at)?;
                if map.entries == 0 {
                    return Err(Errno::Invalid);
                }
                let bytes = pages * PAGE_BYTES;
                let range = MemoryRange {
                    start: [0; 2],
                    bytes: [bytes as u32, (bytes >> 32) as u32],
                    kind: version::RAM,
                };
                self.put(machine, map.buffer, &range)?;
                self.put(machine, at, &MemoryMap { entries: 1, ..map })
            }
            version::MACHINE_TO_PHYSICAL => {
                let end = MACHINE_TO_PHYSICAL + pages * size_of::<u64>() as u64;
                let place = MachineToPhysical { start: MACHINE_TO_PHYSICAL, end, max_frame: pages - 1 };
                self.put(machine, at, &place)
            }
            _ => Err(Errno::NotOffered),
        }
    }

    /// `console_io(command, bytes, text)`.
    pub(super) fn console_io(
        &mut self,
        machine: &mut impl Machine,
        a: &mut Arguments,
        share: &mut Share,
    ) -> Answer {
        if a[0] != console::WRITE {
            return Err(Errno::NotOffered);
        }
        a[1] = u32::try_from(a[1])
            .ok()
            .filter(|bytes| i32::try_from(*bytes).is_ok())
            .ok_or(Errno::Invalid)?
            .into();
        while a[1] != 0 {
            if !share.take() {
                return Ok(Progress::Step);
            }
            let bytes = a[1].min(TEXT_BYTES);
            let mut text = [0; TEXT_BYTES as usize];
            let text = &mut text[..bytes as usize];
            self.paging.read_virtual(machine, a[2], text).map_err(|_| Errno::BadAddress)?;
            machine.print(text);
            a[1] -= bytes;
            a[2] = a[2].wrapping_add(bytes);
        }
        Ok(Progress::Done(0))
    }
}

/// `vm_assist(command, what)`: nothing has to be done for any of them here.
pub(super) fn vm_assist(command: u64, what: u64) -> Result<(), Errno> {
    match (command, what) {
        (
            assist::ENABLE | assist::DISABLE,
            assist::SEGMENTS_4GB
            | assist::SEGMENTS_4GB_NOTIFY
            | assist::WRITABLE_PAGE_TABLES
            | assist::PAE_ABOVE_4GB
            | assist::RUNSTATE_UPDATE,
        ) => Ok(()),
        _ => Err(Errno::Invalid),
    }
}

/// `physdev_op(command)`: ports are out of reach of the guest, whatever privilege it asks for.
pub(super) fn physdev_op(command: u64) -> Result<(), Errno> {
    match command {
        version::SET_IOPL | version::SET_IOBITMAP => Ok(()),
        _ => Err(Errno::NotOffered),
    }
}
