//! Writes the system image: header with the table of what is measured, the builder's memory, the programs, the files
//! of guests, the policy, the plan.

mod rows;
mod tables;

use cloison_abi::ABI_VERSION;
use cloison_abi::image::{BUILDER_SEGMENTS, BuilderSegment, Digest, IMAGE_MAGIC, ImageHeader, checksum};
use cloison_abi::limits::{BUILDER_WINDOW_ADDRESS, BUILDER_WINDOW_BYTES, PAGE_BYTES};
use cloison_abi::plan::FileEntry;
use zerocopy::IntoBytes;

use crate::digest::digest;
use crate::plan::{Info, Layout, Part, Plan, name, table_pages};
use crate::policy::policy;
use crate::system::System;
use crate::workspace::BUILDER;
use rows::Rows;

/// Where the builder sees the image.
pub const BUILDER_IMAGE_ADDRESS: u64 = 0x4000_0000;

/// The bytes of the system image.
#[must_use]
pub fn image(system: &System, plan: &Plan) -> Vec<u8> {
    let rows = Rows::new(system, plan);
    let mut image = Bytes(vec![0; size_of::<ImageHeader>() + rows.table_bytes()]);
    let segments = builder_segments(system, plan, &mut image);
    let places = image.add_programs(plan);
    let files = image.add_files(plan);
    let policy_offset = image.align();
    image.0.extend_from_slice(policy(system).as_bytes());
    let policy_end = image.0.len() as u64;
    let plan_offset = image.align();
    let tables = tables::bytes(system, plan, plan_offset, &places, &files, policy_offset..policy_end);
    image.0.extend_from_slice(&tables);
    let image_bytes = image.align();
    let mut header = header(system, plan, &segments, &tables, plan_offset, image_bytes);
    let program = segments.iter().take(header.builder_program_segments as usize);
    header.builder_checksum = program.fold(header.own_checksum(), |sum, segment| {
        let start = segment.image_offset as usize;
        checksum(sum, &image.0[start..start + segment.pages as usize * PAGE_BYTES as usize])
    });
    let starts = [0, segments[0].image_offset].into_iter();
    let starts = starts.chain(places.iter().skip(1).map(|place| place.offset));
    let starts = starts.chain(files.iter().map(|file| file.image_offset));
    // The policy's row is the policy to the byte, and its digest is the policy's: what fills up the page is the plan's.
    let starts: Vec<u64> = starts.chain([policy_offset, policy_end, image_bytes]).collect();
    let head = [header.as_bytes(), &rows.table(&starts)].concat();
    image.0[..head.len()].copy_from_slice(&head);
    image.0
}

/// Whether all that is measured of a system has room in the table of that.
pub(crate) fn rows_fit(system: &System, plan: &Plan) -> bool {
    Rows::new(system, plan).fit()
}

/// Where the program of a component lies in the image.
struct Place {
    offset: u64,
    bytes: u64,
    digest: Digest,
}

fn header(
    system: &System,
    plan: &Plan,
    segments: &[BuilderSegment],
    tables: &[u8],
    plan_offset: u64,
    image_bytes: u64,
) -> ImageHeader {
    let mut builder_segments = [BuilderSegment::default(); BUILDER_SEGMENTS];
    builder_segments[..segments.len()].copy_from_slice(segments);
    ImageHeader {
        magic: IMAGE_MAGIC,
        abi_version: ABI_VERSION,
        serial_port: system.platform.serial_port,
        exit_port: system.platform.exit_port,
        image_bytes,
        plan_offset,
        plan_bytes: tables.len() as u64,
        plan_digest: digest(tables),
        builder_entry: plan.programs[0].entry,
        builder_stack: plan.builder.stack.end(),
        builder_image_address: BUILDER_IMAGE_ADDRESS,
        builder_quota_pages: builder_tables(&plan.builder, image_bytes) as u32,
        builder_segment_count: segments.len() as u32,
        builder_segments,
        // The information page comes first.
        builder_program_segments: 1 + plan.programs[0].segments.len() as u32,
        reserved: 0,
        builder_checksum: 0,
    }
}

/// Page tables for the builder's memory, its view of the image, and the window through which it fills
/// regions.
fn builder_tables(layout: &Layout, image_bytes: u64) -> u64 {
    let own = layout.parts().map(|part| (part.address, part.pages));
    let image = (BUILDER_IMAGE_ADDRESS, image_bytes / PAGE_BYTES);
    let window = (BUILDER_WINDOW_ADDRESS, BUILDER_WINDOW_BYTES / PAGE_BYTES);
    table_pages(own.chain([image, window]))
}

/// Writes the builder's memory as it is to be mapped, stack and heap included.
fn builder_segments(system: &System, plan: &Plan, image: &mut Bytes) -> Vec<BuilderSegment> {
    let layout = &plan.builder;
    let program = &plan.programs[0];
    let info = info_page(system, BUILDER, layout, &Info::default());
    let mut segments = vec![image.add_part(&layout.info, &info)];
    for (part, segment) in layout.segments.iter().zip(&program.segments) {
        let start = segment.image_offset as usize;
        let bytes = &program.image[start..start + segment.image_bytes as usize];
        segments.push(image.add_part(part, bytes));
    }
    segments.push(image.add_part(&layout.stack, &[]));
    segments.extend(layout.heap.iter().map(|heap| image.add_part(heap, &[])));
    segments
}

/// The information page of a domain, as far as it is not zero.
fn info_page(system: &System, domain: &str, layout: &Layout, info: &Info) -> Vec<u8> {
    info.page(name(domain), name(&system.name), system.manifest_digest, layout)
}

/// The image as far as it is written.
struct Bytes(Vec<u8>);

impl Bytes {
    /// Fills up to the next page; where that begins.
    fn align(&mut self) -> u64 {
        self.0.resize(self.0.len().next_multiple_of(PAGE_BYTES as usize), 0);
        self.0.len() as u64
    }

    /// Adds the programs. Returns their places. The builder's, the first, is not among the others: its memory lies
    /// in the image as it is to be mapped.
    fn add_programs(&mut self, plan: &Plan) -> Vec<Place> {
        let mut places = Vec::new();
        for (component, program) in plan.programs.iter().enumerate() {
            let bytes: &[u8] = if component == 0 { &[] } else { &program.image };
            let offset = self.align();
            self.0.extend_from_slice(bytes);
            places.push(Place { offset, bytes: bytes.len() as u64, digest: digest(&program.image) });
        }
        places
    }

    /// Adds the files that guests begin with. Returns what the plan says of them.
    fn add_files(&mut self, plan: &Plan) -> Vec<FileEntry> {
        let files = plan.files.iter().map(|file| {
            let image_offset = self.align();
            self.0.extend_from_slice(&file.bytes);
            let (image_bytes, digest) = (file.bytes.len() as u64, digest(&file.bytes));
            FileEntry { image_offset, image_bytes, digest, region: file.region, reserved: 0 }
        });
        files.collect()
    }

    fn add_part(&mut self, part: &Part, bytes: &[u8]) -> BuilderSegment {
        let image_offset = self.align();
        self.0.extend_from_slice(bytes);
        self.0.resize((image_offset + part.pages * PAGE_BYTES) as usize, 0);
        BuilderSegment {
            address: part.address,
            image_offset,
            pages: part.pages as u32,
            rights: part.rights.bits(),
        }
    }
}
