//! Grants: which pages of its memory the guest has given to a device's backend. The guest can change them whenever it
//! runs, so nothing is kept: each access looks again, copies, and is done.

use cloison_abi::limits::PAGE_BYTES;
use cloison_xen::grant::{GrantEntry, KIND, PERMIT_ACCESS, READ_ONLY};
use zerocopy::{FromZeros, IntoBytes};

use crate::machine::Memory;
use crate::xenstore::BACKEND;

/// Frames of the table at most: they follow the shared page.
pub const TABLE_FRAMES: u32 = 8;
/// Entries of the table at most.
pub const ENTRIES: u32 = TABLE_FRAMES * (PAGE_BYTES as u32 / ENTRY_BYTES);

const ENTRY_BYTES: u32 = size_of::<GrantEntry>() as u32;

/// Why an access by a grant is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The table has no such entry.
    NoEntry,
    /// The entry grants nothing to a backend.
    NotGranted,
    /// The entry grants reading alone.
    ReadOnly,
    /// The frame is not of the guest's memory.
    NotMemory,
    /// The bytes are not all in the page.
    Bounds,
}

/// What is to be done with a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Read it.
    Read,
    /// Write to it.
    Write,
}

/// The address of the page that a grant stands for.
///
/// # Errors
/// [`Refusal`], but for [`Refusal::Bounds`].
pub fn page(memory: &impl Memory, grant: u32, access: Access) -> Result<u64, Refusal> {
    if grant >= ENTRIES {
        return Err(Refusal::NoEntry);
    }
    let mut entry = GrantEntry::new_zeroed();
    memory.read(entry_at(memory, grant), entry.as_mut_bytes()).ok_or(Refusal::NoEntry)?;
    if entry.flags & KIND != PERMIT_ACCESS || entry.domain != BACKEND {
        return Err(Refusal::NotGranted);
    }
    if access == Access::Write && entry.flags & READ_ONLY != 0 {
        return Err(Refusal::ReadOnly);
    }
    if entry.frame >= memory.pages() {
        return Err(Refusal::NotMemory);
    }
    Ok(u64::from(entry.frame) * PAGE_BYTES)
}

/// The address of an entry, one below [`ENTRIES`].
pub(crate) fn entry_at(memory: &impl Memory, grant: u32) -> u64 {
    memory.shared_address() + PAGE_BYTES + u64::from(grant * ENTRY_BYTES)
}

/// Reads bytes of a granted page.
///
/// # Errors
/// [`Refusal`].
pub fn read(memory: &impl Memory, grant: u32, offset: usize, into: &mut [u8]) -> Result<(), Refusal> {
    let at = page(memory, grant, Access::Read)? + within(offset, into.len())?;
    memory.read(at, into).ok_or(Refusal::NotMemory)
}

/// Writes bytes of a granted page.
///
/// # Errors
/// [`Refusal`].
pub fn write(memory: &mut impl Memory, grant: u32, offset: usize, from: &[u8]) -> Result<(), Refusal> {
    let at = page(memory, grant, Access::Write)? + within(offset, from.len())?;
    memory.write(at, from).ok_or(Refusal::NotMemory)
}

/// The offset, if `length` bytes from there on are in a page.
fn within(offset: usize, length: usize) -> Result<u64, Refusal> {
    let end = offset.checked_add(length).filter(|&end| end as u64 <= PAGE_BYTES);
    end.map(|_| offset as u64).ok_or(Refusal::Bounds)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::Ram;

    const PAGES: u32 = 20;

    fn with_entry(grant: u32, flags: u16, domain: u16, frame: u32) -> Ram {
        let mut ram = Ram::new(PAGES);
        let at = ram.shared_address() + PAGE_BYTES + u64::from(grant) * 8;
        ram.write(at, GrantEntry { flags, domain, frame }.as_bytes()).unwrap();
        ram
    }

    #[test]
    fn a_granted_page_is_read_and_written() {
        let mut ram = with_entry(8, PERMIT_ACCESS, 0, 7);
        write(&mut ram, 8, 4090, b"sixsix").unwrap();
        assert_eq!(ram.bytes(7 * PAGE_BYTES + 4090, 6), Some(&b"sixsix"[..]));
        let mut bytes = [0; 3];
        read(&ram, 8, 4093, &mut bytes).unwrap();
        assert_eq!(&bytes, b"six");
    }

    #[test]
    fn the_last_entry_is_the_last() {
        let mut ram = with_entry(4095, PERMIT_ACCESS, 0, 7);
        assert_eq!(write(&mut ram, 4095, 0, b"x"), Ok(()));
        for beyond in [4096, u32::MAX, 1 << 29] {
            assert_eq!(write(&mut ram, beyond, 0, b"x"), Err(Refusal::NoEntry));
        }
    }

    #[test]
    fn nothing_else_is_granted() {
        let refusals = [
            (0, 0, 7, Refusal::NotGranted),
            (2, 0, 7, Refusal::NotGranted),
            (3, 0, 7, Refusal::NotGranted),
            (PERMIT_ACCESS, 1, 7, Refusal::NotGranted),
            (PERMIT_ACCESS, 0x7ff0, 7, Refusal::NotGranted),
            (PERMIT_ACCESS, 0, PAGES, Refusal::NotMemory),
            (PERMIT_ACCESS, 0, 512, Refusal::NotMemory),
            (PERMIT_ACCESS, 0, u32::MAX, Refusal::NotMemory),
        ];
        for (flags, domain, frame, refusal) in refusals {
            let mut ram = with_entry(9, flags, domain, frame);
            assert_eq!(read(&ram, 9, 0, &mut [0]), Err(refusal), "{flags} {domain} {frame}");
            assert_eq!(write(&mut ram, 9, 0, &[0]), Err(refusal), "{flags} {domain} {frame}");
        }
        let mut ram = with_entry(9, PERMIT_ACCESS | READ_ONLY, 0, PAGES - 1);
        assert_eq!(read(&ram, 9, 0, &mut [0]), Ok(()));
        assert_eq!(write(&mut ram, 9, 0, &[0]), Err(Refusal::ReadOnly));
    }

    proptest! {
        #[test]
        fn what_is_copied_lies_in_the_page(offset in prop_oneof![0..5000_usize, any::<usize>()], length in 0..5000_usize) {
            let mut ram = with_entry(8, PERMIT_ACCESS, 0, 7);
            let from = std::vec![0xa5; length];
            let fits = offset.checked_add(length).is_some_and(|end| end <= 4096);
            prop_assert_eq!(write(&mut ram, 8, offset, &from), if fits { Ok(()) } else { Err(Refusal::Bounds) });
            let page = ram.bytes(7 * PAGE_BYTES, 4096).unwrap();
            prop_assert_eq!(page.iter().filter(|&&byte| byte == 0xa5).count(), if fits { length } else { 0 });
            prop_assert!(ram.bytes(0, 7 * 4096).unwrap().iter().all(|&byte| byte == 0));
            prop_assert!(ram.bytes(8 * PAGE_BYTES, 12 * 4096).unwrap().iter().all(|&byte| byte == 0));
            let mut into = std::vec![0; length];
            prop_assert_eq!(read(&ram, 8, offset, &mut into).is_ok(), fits);
            prop_assert_eq!(into == from, fits || length == 0);
        }
    }
}
