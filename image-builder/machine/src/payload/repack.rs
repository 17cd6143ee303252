//! A kernel packed again. Distributions pack theirs by several methods; the domain `linux` unpacks one. What is packed
//! stays the same.

use std::io::Read;

use linux_core::boot::{lz4, vmlinuz};
use ruzstd::decoding::StreamingDecoder;

/// First bytes of what zstd has packed.
const ZSTD: &[u8] = b"\x28\xb5\x2f\xfd";
/// Window with which Linux's build packs a kernel.
const WINDOW_BYTES: u64 = 128 << 20;
/// Bytes of the number behind the packed kernel: those that it has when it is unpacked.
const LENGTH_BYTES: usize = 4;

/// A kernel that zstd has packed, packed by LZ4; any other one as it is.
pub(super) fn as_lz4(mut kernel: Vec<u8>) -> Result<Vec<u8>, String> {
    let Some(place) = vmlinuz::place(&kernel).ok().filter(|place| kernel[place.clone()].starts_with(ZSTD))
    else {
        return Ok(kernel);
    };
    let packed = &kernel[place.start..place.end - LENGTH_BYTES];
    let unpacked = unpack(packed)?;
    let mut again = pack(&unpacked);
    let length = u32::try_from(unpacked.len()).map_err(|_| "it is too large")?;
    again.extend(length.to_le_bytes());
    let bytes = u32::try_from(again.len()).map_err(|_| "it is too large")?;
    // What is behind it is for other boot loaders.
    kernel.truncate(place.start);
    kernel[vmlinuz::PAYLOAD_LENGTH..][..4].copy_from_slice(&bytes.to_le_bytes());
    kernel.extend(again);
    Ok(kernel)
}

fn unpack(packed: &[u8]) -> Result<Vec<u8>, String> {
    let decoder = StreamingDecoder::new_with_max_window_size(packed, WINDOW_BYTES);
    let mut unpacked = Vec::new();
    decoder
        .map_err(|error| error.to_string())?
        .read_to_end(&mut unpacked)
        .map_err(|error| error.to_string())?;
    Ok(unpacked)
}

/// A frame of blocks, each after its length.
fn pack(bytes: &[u8]) -> Vec<u8> {
    let mut frame = lz4::MAGIC.to_vec();
    for block in bytes.chunks(lz4::BLOCK_BYTES) {
        let packed = lz4_flex::block::compress(block);
        frame.extend((packed.len() as u32).to_le_bytes());
        frame.extend(packed);
    }
    frame
}

#[cfg(test)]
mod tests {
    use super::*;
    use ruzstd::encoding::{CompressionLevel, compress_to_vec};

    /// A file with a kernel that is packed so.
    fn vmlinuz(packed: &[u8], unpacked: usize) -> Vec<u8> {
        let mut file = vec![0; 2 * 512];
        file[0x1f1] = 1;
        file[0x202..0x206].copy_from_slice(b"HdrS");
        file[0x206..0x208].copy_from_slice(&0x20f_u16.to_le_bytes());
        let bytes = (packed.len() + LENGTH_BYTES) as u32;
        file[vmlinuz::PAYLOAD_LENGTH..][..4].copy_from_slice(&bytes.to_le_bytes());
        [&file[..], packed, &(unpacked as u32).to_le_bytes(), b"what is behind it"].concat()
    }

    fn unpacked(file: &[u8]) -> Vec<u8> {
        let payload = vmlinuz::payload(file).unwrap();
        let mut all = Vec::new();
        let mut window = vec![0; lz4::WINDOW_BYTES];
        let window = window.as_mut_slice().try_into().unwrap();
        lz4::unpack(payload.frame, payload.bytes as usize, window, |piece| {
            all.extend_from_slice(piece);
            Ok(())
        })
        .unwrap();
        all
    }

    #[test]
    fn what_is_packed_stays_the_same() {
        // More than one block, of what can be packed and of what cannot.
        let kernel: Vec<u8> = (0..lz4::BLOCK_BYTES as u32 + 70_000)
            .map(|at| if at % 9000 < 4000 { 7 } else { (at.wrapping_mul(0x9e37_79b1) >> 24) as u8 })
            .collect();
        let file = vmlinuz(&compress_to_vec(&kernel[..], CompressionLevel::Fastest), kernel.len());
        let again = as_lz4(file.clone()).unwrap();
        assert!(unpacked(&again) == kernel);
        assert_eq!(again[..0x24c], file[..0x24c], "the header");
        assert!(as_lz4(file).unwrap() == again, "the same twice");
    }

    #[test]
    fn other_files_stay_as_they_are() {
        let lz4 = vmlinuz(&pack(b"a kernel"), 8);
        for file in [lz4, b"no kernel".to_vec(), vmlinuz(b"\xfd7zXZ\0", 8)] {
            assert_eq!(as_lz4(file.clone()).unwrap(), file);
        }
    }

    #[test]
    fn a_damaged_kernel_is_refused() {
        let mut packed = compress_to_vec(&[3_u8; 5000][..], CompressionLevel::Fastest);
        packed.truncate(packed.len() - 3);
        assert!(as_lz4(vmlinuz(&packed, 5000)).is_err());
    }
}
