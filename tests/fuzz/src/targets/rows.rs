//! The table of rows behind an image's header: the rows tile the image, or are refused.

use cloison_abi::{image::ImageHeader, limits::PAGE_BYTES};
use cloison_measure::Rows;

/// Lengths of the image with such a table.
const LENGTHS: [u64; 3] = [3000, PAGE_BYTES, 3 * PAGE_BYTES];

/// Reads bytes as a table.
pub fn run(bytes: &[u8]) {
    for length in LENGTHS {
        let mut image = vec![0; size_of::<ImageHeader>()];
        image.extend(bytes);
        image.resize(length as usize, 0);
        let Ok(rows) = Rows::read(&image) else { continue };
        let mut end = 0;
        for row in rows.iter() {
            assert_eq!(row.offset, end);
            assert!(!row.name.is_empty() && row.bytes > 0 && row.of(&image).len() as u64 == row.bytes);
            end += row.bytes;
        }
        assert_eq!(end, length);
    }
}
