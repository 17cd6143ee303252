//! The file of a kernel, as the boot loader of a PC gets it: a setup header, code for the bare machine, and somewhere
//! in it the compressed kernel (Linux's `Documentation/arch/x86/boot.rst`).

use core::ops::Range;

use super::BootError;

const SETUP_SECTORS: usize = 0x1f1;
const MAGIC: usize = 0x202;
const VERSION: usize = 0x206;
const PAYLOAD_OFFSET: usize = 0x248;
/// Where the header says how long the compressed kernel is.
pub const PAYLOAD_LENGTH: usize = 0x24c;
const SECTOR_BYTES: usize = 512;
/// Since this version the header says where the compressed kernel lies.
const VERSION_WITH_PAYLOAD: u16 = 0x0208;

/// First bytes of what is in use for kernels.
const COMPRESSIONS: &[(&[u8], &str)] = &[
    (b"\x1f\x8b", "gzip"),
    (b"BZh", "bzip2"),
    (b"\x5d\0\0", "lzma"),
    (b"\xfd7zXZ", "xz"),
    (b"\x89LZO", "lzo"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"\x04\x22\x4d\x18", "lz4 in its new frame"),
];

/// A compressed kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Payload<'a> {
    /// The frame, as [`super::lz4`] reads it.
    pub frame: &'a [u8],
    /// Bytes of the kernel when it is unpacked.
    pub bytes: u32,
}

/// Finds the compressed kernel in a file.
///
/// # Errors
/// [`BootError::NotAKernel`], [`BootError::CutShort`], [`BootError::Compression`].
pub fn payload(file: &[u8]) -> Result<Payload<'_>, BootError> {
    let payload = &file[place(file)?];
    if !payload.starts_with(super::lz4::MAGIC) {
        let known = COMPRESSIONS.iter().find(|(magic, _)| payload.starts_with(magic));
        return Err(BootError::Compression(known.map_or("an unknown method", |(_, name)| name)));
    }
    let (frame, bytes) = payload.split_last_chunk().ok_or(BootError::Damaged)?;
    Ok(Payload { frame, bytes: u32::from_le_bytes(*bytes) })
}

/// Where the compressed kernel lies in a file, with the number of its unpacked bytes behind it.
///
/// # Errors
/// [`BootError::NotAKernel`], [`BootError::CutShort`].
pub fn place(file: &[u8]) -> Result<Range<usize>, BootError> {
    if file.get(MAGIC..MAGIC + 4) != Some(b"HdrS") {
        return Err(BootError::NotAKernel);
    }
    if u16::from_le_bytes(bytes_at(file, VERSION)?) < VERSION_WITH_PAYLOAD {
        return Err(BootError::NotAKernel);
    }
    let sectors = match file[SETUP_SECTORS] {
        0 => 4,
        sectors => usize::from(sectors),
    };
    let offset = u32::from_le_bytes(bytes_at(file, PAYLOAD_OFFSET)?) as usize;
    let length = u32::from_le_bytes(bytes_at(file, PAYLOAD_LENGTH)?) as usize;
    let start = (sectors + 1) * SECTOR_BYTES + offset;
    let end = start + length;
    if end > file.len() {
        return Err(BootError::CutShort { needed: end as u64, has: file.len() as u64 });
    }
    Ok(start..end)
}

fn bytes_at<const N: usize>(file: &[u8], at: usize) -> Result<[u8; N], BootError> {
    let found = file.get(at..).and_then(|rest| rest.first_chunk());
    found.copied().ok_or(BootError::CutShort { needed: (at + N) as u64, has: file.len() as u64 })
}
