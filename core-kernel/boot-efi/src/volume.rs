//! Files on the volume that the loader was started from (*UEFI Specification* 2.10, section 13.5).
#![expect(unsafe_code, reason = "firmware's protocols are tables of functions")]

use core::ptr::{self, NonNull};

use uefi_raw::{
    Status,
    protocol::file_system::{FileAttribute, FileMode, FileProtocolV1, SimpleFileSystemProtocol},
};

use crate::{
    firmware::{Firmware, done},
    pages::Pages,
};

/// A position that is the end of a file.
const END: u64 = u64::MAX;
/// The most that is read at once: firmware does not read more at once everywhere.
const AT_ONCE: usize = 1 << 20;
/// The longest name of a file, with the end of it.
const NAME_LETTERS: usize = 32;

/// A file or folder that is open.
struct File(NonNull<FileProtocolV1>);

/// The volume.
pub(crate) struct Volume<'a> {
    firmware: &'a Firmware,
    root: File,
}

impl<'a> Volume<'a> {
    /// Opens it.
    pub(crate) fn own(firmware: &'a Firmware) -> Result<Self, Status> {
        let device = firmware.loaded()?.device_handle;
        let system = firmware
            .protocol_of::<SimpleFileSystemProtocol>(device, &SimpleFileSystemProtocol::GUID)?
            .as_ptr();
        let mut root = ptr::null_mut();
        // SAFETY: firmware's own protocol, and a place for the answer.
        done(unsafe { ((*system).open_volume)(system, &raw mut root) })?;
        let root = NonNull::new(root).ok_or(Status::NOT_FOUND)?;
        Ok(Self { firmware, root: File(root) })
    }

    /// Reads a file.
    pub(crate) fn read(&self, name: &str) -> Result<Pages, Status> {
        let file = self.open(name)?;
        file.seek(END)?;
        let bytes = file.position()? as usize;
        file.seek(0)?;
        let mut pages = Pages::anywhere(self.firmware, bytes)?;
        pages.bytes_mut().chunks_mut(AT_ONCE).try_for_each(|part| file.read(part))?;
        Ok(pages)
    }

    fn open(&self, name: &str) -> Result<File, Status> {
        let mut letters = [0; NAME_LETTERS];
        for (place, letter) in letters.iter_mut().zip(name.encode_utf16().take(NAME_LETTERS - 1)) {
            *place = letter;
        }
        let (root, mut file) = (self.root.0.as_ptr(), ptr::null_mut());
        // SAFETY: the volume's root, a place for the answer, and a name that a zero ends.
        done(unsafe {
            ((*root).open)(root, &raw mut file, letters.as_ptr(), FileMode::READ, FileAttribute::empty())
        })?;
        NonNull::new(file).map(File).ok_or(Status::NOT_FOUND)
    }
}

impl File {
    fn seek(&self, position: u64) -> Result<(), Status> {
        let file = self.0.as_ptr();
        // SAFETY: a file that is open.
        done(unsafe { ((*file).set_position)(file, position) })
    }

    fn position(&self) -> Result<u64, Status> {
        let (file, mut position) = (self.0.as_ptr(), 0);
        // SAFETY: a file that is open, and a place for the answer.
        done(unsafe { ((*file).get_position)(file, &raw mut position) }).map(|()| position)
    }

    /// Reads as many bytes as there is room for.
    fn read(&self, room: &mut [u8]) -> Result<(), Status> {
        let (file, mut bytes) = (self.0.as_ptr(), room.len());
        // SAFETY: a file that is open, and room for as many bytes as it says.
        done(unsafe { ((*file).read)(file, &raw mut bytes, room.as_mut_ptr().cast()) })?;
        if bytes == room.len() { Ok(()) } else { Err(Status::END_OF_FILE) }
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let file = self.0.as_ptr();
        // SAFETY: a file that is open, and of which nobody knows after this.
        let _ = unsafe { ((*file).close)(file) };
    }
}
