//! The header of the system image: whether the kernel can start what it describes.

use core::fmt;

use cloison_abi::{
    ABI_VERSION, Rights,
    image::{BUILDER_SEGMENTS, BuilderSegment, IMAGE_MAGIC, ImageHeader},
    limits::{DOMAIN_END, PAGE_BYTES},
};

/// Why an image is not one that this kernel starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadImage {
    /// There is none.
    Missing,
    /// It does not begin as an image does.
    NoImage,
    /// It was made for another version of the contract.
    Version(u32),
    /// It is shorter or longer than it says: how long it is, and should be.
    Length(u64, u64),
    /// A part of it lies where it cannot: which.
    Layout(&'static str),
    /// Its header or the builder has changed: the checksum that it states, and the one that it has.
    Checksum(u64, u64),
}

impl fmt::Display for BadImage {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => write!(out, "the boot loader loaded no system image beside the kernel"),
            Self::NoImage => write!(out, "the system image does not begin as one"),
            Self::Version(found) => {
                write!(out, "the system image has ABI version {found}, this kernel {ABI_VERSION}")
            }
            Self::Length(found, stated) => {
                write!(out, "the system image is {found} bytes long and should be {stated}")
            }
            Self::Layout(what) => write!(out, "the system image is damaged: {what}"),
            Self::Checksum(stated, found) => write!(
                out,
                "the system image is damaged: header and builder have the checksum {found:016x} and should \
                 have {stated:016x}"
            ),
        }
    }
}

/// Checks what the kernel uses of an image's header. `length` is that of the image in memory.
///
/// # Errors
/// The first fault that there is.
pub fn check(header: &ImageHeader, length: u64) -> Result<(), BadImage> {
    if header.magic != IMAGE_MAGIC {
        return Err(BadImage::NoImage);
    }
    if header.abi_version != ABI_VERSION {
        return Err(BadImage::Version(header.abi_version));
    }
    if header.image_bytes != length || !length.is_multiple_of(PAGE_BYTES) {
        return Err(BadImage::Length(length, header.image_bytes));
    }
    let plan_end = header.plan_offset.checked_add(header.plan_bytes);
    if plan_end.is_none_or(|end| end > length) {
        return Err(BadImage::Layout("the plan is not all there"));
    }
    let (count, program) = (header.builder_segment_count, header.builder_program_segments);
    let segments = header.builder_segments.get(..count as usize).filter(|_| program <= count);
    let segments = segments.ok_or(BadImage::Layout("the builder has too many segments"))?;
    if segments.iter().any(|segment| !fits(segment, length)) {
        return Err(BadImage::Layout("a segment of the builder is out of place"));
    }
    let stack = header.builder_stack.is_multiple_of(16) && header.builder_stack < DOMAIN_END;
    if !fits(&whole(header), length) || !stack || header.builder_entry >= DOMAIN_END {
        return Err(BadImage::Layout("the builder's entry, stack or view of the image is out of place"));
    }
    Ok(())
}

/// Checks that header and builder are as the image builder wrote them. `page_checksum` is told the checksum so far
/// and the number of a page in the image, from 0, and goes on with that page. [`check`] has passed, so the page is
/// there.
///
/// # Errors
/// [`BadImage::Checksum`].
pub fn check_builder(
    header: &ImageHeader,
    mut page_checksum: impl FnMut(u64, u64) -> u64,
) -> Result<(), BadImage> {
    let segments = header.builder_segments.iter().take(header.builder_program_segments as usize);
    let found = segments.fold(header.own_checksum(), |sum, segment| {
        let first = segment.image_offset / PAGE_BYTES;
        (first..first + u64::from(segment.pages)).fold(sum, &mut page_checksum)
    });
    let stated = header.builder_checksum;
    if found == stated { Ok(()) } else { Err(BadImage::Checksum(stated, found)) }
}

/// The builder's segments, and the whole image for it to read. [`check`] has passed.
pub fn segments(header: &ImageHeader) -> impl Iterator<Item = BuilderSegment> {
    let count = (header.builder_segment_count as usize).min(BUILDER_SEGMENTS);
    header.builder_segments[..count].iter().copied().chain(core::iter::once(whole(header)))
}

/// The whole image, as the builder sees it.
fn whole(header: &ImageHeader) -> BuilderSegment {
    BuilderSegment {
        address: header.builder_image_address,
        image_offset: 0,
        pages: (header.image_bytes / PAGE_BYTES) as u32,
        rights: Rights::READ.bits(),
    }
}

/// Whether a segment lies in an image of this many bytes, and may be seen as it says: at a domain's address, and never
/// written and executed.
#[must_use]
pub fn fits(segment: &BuilderSegment, length: u64) -> bool {
    let bytes = u64::from(segment.pages) * PAGE_BYTES;
    let rights = Rights::from_bits(segment.rights);
    let aligned =
        segment.address.is_multiple_of(PAGE_BYTES) && segment.image_offset.is_multiple_of(PAGE_BYTES);
    let inside = segment.image_offset.checked_add(bytes).is_some_and(|end| end <= length);
    let mapped = segment.address.checked_add(bytes).is_some_and(|end| end <= DOMAIN_END);
    let never_both = rights.is_some_and(|rights| !rights.contains(Rights::WRITE | Rights::EXECUTE));
    aligned && inside && mapped && never_both && segment.address >= PAGE_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGES: u64 = 16;
    const LENGTH: u64 = PAGES * PAGE_BYTES;

    fn segment(address: u64, page: u64, pages: u32, rights: Rights) -> BuilderSegment {
        BuilderSegment { address, image_offset: page * PAGE_BYTES, pages, rights: rights.bits() }
    }

    /// A header in order: two program segments, and a stack.
    fn header() -> ImageHeader {
        let mut segments = [BuilderSegment::default(); BUILDER_SEGMENTS];
        segments[0] = segment(0x40_0000, 1, 2, Rights::READ | Rights::EXECUTE);
        segments[1] = segment(0x40_2000, 3, 1, Rights::READ | Rights::WRITE);
        segments[2] = segment(0x50_0000, 4, 1, Rights::READ | Rights::WRITE);
        ImageHeader {
            magic: IMAGE_MAGIC,
            abi_version: ABI_VERSION,
            serial_port: 0,
            exit_port: 0,
            image_bytes: LENGTH,
            plan_offset: 5 * PAGE_BYTES,
            plan_bytes: 100,
            plan_digest: [0; 32],
            builder_entry: 0x40_0000,
            builder_stack: 0x50_1000,
            builder_image_address: 0x1000_0000,
            builder_quota_pages: 8,
            builder_segment_count: 3,
            builder_program_segments: 2,
            reserved: 0,
            builder_checksum: 0,
            builder_segments: segments,
        }
    }

    fn changed(change: impl Fn(&mut ImageHeader)) -> Result<(), BadImage> {
        let mut header = header();
        change(&mut header);
        check(&header, LENGTH)
    }

    #[test]
    fn a_header_in_order_is_taken() {
        assert_eq!(check(&header(), LENGTH), Ok(()));
    }

    #[test]
    fn another_file_another_version_another_length() {
        assert_eq!(changed(|header| header.magic[0] ^= 1), Err(BadImage::NoImage));
        assert_eq!(changed(|header| header.abi_version += 1), Err(BadImage::Version(ABI_VERSION + 1)));
        assert_eq!(check(&header(), LENGTH - 1), Err(BadImage::Length(LENGTH - 1, LENGTH)));
        let torn = ImageHeader { image_bytes: LENGTH - 1, ..header() };
        assert_eq!(check(&torn, LENGTH - 1), Err(BadImage::Length(LENGTH - 1, LENGTH - 1)));
    }

    #[test]
    fn what_lies_outside_is_refused() {
        type Change = fn(&mut ImageHeader);
        let changes: [(&str, Change); 14] = [
            ("plan behind the end", |header| header.plan_offset = LENGTH),
            ("plan without end", |header| header.plan_bytes = u64::MAX),
            ("too many segments", |header| header.builder_segment_count = BUILDER_SEGMENTS as u32 + 1),
            ("more program than segments", |header| header.builder_program_segments = 4),
            ("segment behind the end", |header| header.builder_segments[0].image_offset = LENGTH),
            ("segment across the end", |header| header.builder_segments[1].pages = PAGES as u32),
            ("segment that wraps", |header| header.builder_segments[1].image_offset = u64::MAX - 0xfff),
            ("unaligned place", |header| header.builder_segments[0].image_offset += 1),
            ("unaligned address", |header| header.builder_segments[0].address += 1),
            ("NULL page", |header| header.builder_segments[0].address = 0),
            ("kernel's address", |header| header.builder_segments[0].address = DOMAIN_END),
            ("written and executed", |header| header.builder_segments[0].rights |= Rights::WRITE.bits()),
            ("unknown right", |header| header.builder_segments[0].rights |= 1 << 31),
            ("view of the image", |header| header.builder_image_address = DOMAIN_END - PAGE_BYTES),
        ];
        for (what, change) in changes {
            assert!(matches!(changed(change), Err(BadImage::Layout(_))), "{what}");
        }
        assert!(changed(|header| header.builder_entry = DOMAIN_END).is_err());
        assert!(changed(|header| header.builder_stack = DOMAIN_END).is_err());
        assert!(changed(|header| header.builder_stack += 8).is_err());
    }

    #[test]
    fn the_checksum_goes_over_the_program_and_nothing_else() {
        let mut header = header();
        let mut seen = std::vec::Vec::new();
        let found = check_builder(&header, |sum, page| {
            seen.push(page);
            sum.wrapping_mul(31) + page
        });
        assert_eq!(seen, [1, 2, 3]);
        let Err(BadImage::Checksum(0, sum)) = found else { panic!("{found:?}") };
        header.builder_checksum = sum;
        assert_eq!(check_builder(&header, |sum, page| sum.wrapping_mul(31) + page), Ok(()));
        assert!(check_builder(&header, |sum, page| sum.wrapping_mul(31) + page + 1).is_err());
    }

    #[test]
    fn the_builder_sees_its_segments_and_the_image() {
        let last = segments(&header()).last().unwrap();
        assert_eq!(segments(&header()).count(), 4);
        assert_eq!((last.image_offset, u64::from(last.pages), last.rights), (0, PAGES, Rights::READ.bits()));
    }
}
