//! What several tests need: the folders, and programs made by hand.
#![allow(dead_code, reason = "each test uses a part of it")]
#![allow(clippy::disallowed_macros, reason = "where the tests' files are is known when they are compiled")]

use std::path::{Path, PathBuf};

use image_compiler::{Binaries, System, Workspace};

/// The project itself.
pub fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The components and platforms that the test manifests name.
pub fn fixtures() -> Workspace {
    Workspace { root: project().join("tests/manifests/fixtures") }
}

/// A manifest that has every key.
pub fn everything() -> System {
    image_compiler::load(&fixtures(), &fixtures().root.join("manifests/everything.toml")).unwrap()
}

/// A segment of a program made by hand.
#[derive(Clone)]
pub struct Segment {
    pub kind: u32,
    pub flags: u32,
    pub address: u64,
    pub bytes: Vec<u8>,
    pub memory: u64,
}

pub const LOAD: u32 = 1;
pub const INTERPRETER: u32 = 3;
pub const EXECUTE: u32 = 1;
pub const WRITE: u32 = 2;
pub const READ: u32 = 4;

/// Code, constants and data, as the linker script makes them.
pub fn segments() -> Vec<Segment> {
    let segment = |flags, address, length: usize, memory| Segment {
        kind: LOAD,
        flags,
        address,
        bytes: (0..length).map(|byte| byte as u8).collect(),
        memory,
    };
    vec![
        segment(READ | EXECUTE, 0x40_1000, 0x1800, 0x1800),
        segment(READ, 0x40_3000, 0x10, 0x10),
        segment(READ | WRITE, 0x40_4000, 0x20, 0x1100),
    ]
}

/// An ELF file with these segments.
pub fn elf(entry: u64, segments: &[Segment]) -> Vec<u8> {
    const FILE_HEADER: usize = 64;
    const PROGRAM_HEADER: usize = 56;
    let mut file = Vec::new();
    file.extend(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
    file.extend([2u16, 62].map(u16::to_le_bytes).concat());
    file.extend(1u32.to_le_bytes());
    file.extend([entry, FILE_HEADER as u64, 0].map(u64::to_le_bytes).concat());
    file.extend(0u32.to_le_bytes());
    let counts = [FILE_HEADER as u16, PROGRAM_HEADER as u16, segments.len() as u16, 64, 0, 0];
    file.extend(counts.map(u16::to_le_bytes).concat());
    let mut offset = FILE_HEADER + PROGRAM_HEADER * segments.len();
    for segment in segments {
        file.extend([segment.kind, segment.flags].map(u32::to_le_bytes).concat());
        let length = segment.bytes.len() as u64;
        let numbers = [offset as u64, segment.address, segment.address, length, segment.memory, 0x1000];
        file.extend(numbers.map(u64::to_le_bytes).concat());
        offset += segment.bytes.len();
    }
    for segment in segments {
        file.extend(&segment.bytes);
    }
    file
}

/// The same program for every component of a system.
pub fn binaries(system: &System, elf: &[u8]) -> Binaries {
    Binaries(system.components().into_iter().map(|component| (component.name, elf.to_vec())).collect())
}

/// Whether a file is a menu of systems, and no system itself.
pub fn is_menu(path: &Path) -> bool {
    std::fs::read_to_string(path).is_ok_and(|text| text.contains("[[menu]]"))
}
