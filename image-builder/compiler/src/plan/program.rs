//! The program of a component: what of its ELF file reaches the target.

use std::collections::BTreeMap;

use cloison_abi::limits::{IMAGE_ADDRESS, PAGE_BYTES};
use cloison_abi::{Rights, plan::LoadEntry};
use object::LittleEndian;
use object::elf::{
    EM_X86_64, ET_EXEC, FileHeader64, PF_R, PF_W, PF_X, PT_DYNAMIC, PT_INTERP, PT_LOAD, PT_TLS, ProgramFlags,
    ProgramHeader64,
};
use object::read::elf::{FileHeader, ProgramHeader};

use super::page_count;

/// The program of each component, by the component's name, the builder's included: ELF files.
#[derive(Debug, Default, Clone)]
pub struct Binaries(pub BTreeMap<String, Vec<u8>>);

/// A program's file, as it was read and before it is judged.
#[derive(Debug)]
pub struct ProgramFile<'a> {
    /// Address of the first instruction.
    pub entry: u64,
    /// Whether it asks for an interpreter, relocations or thread-local storage.
    pub needs_loader: bool,
    /// What is to be in memory, in the order of the addresses.
    pub loads: Vec<Load<'a>>,
}

/// A part of a program's file that is to be in memory.
#[derive(Debug)]
pub struct Load<'a> {
    /// Its address.
    pub address: u64,
    /// Its length in memory.
    pub memory_bytes: u64,
    /// Its bytes; the rest of the memory is zero.
    pub bytes: &'a [u8],
    /// What the domain may do with it.
    pub rights: Rights,
}

/// What of a component's ELF file reaches the target.
#[derive(Debug, Clone)]
pub struct Program {
    /// Address of the first instruction.
    pub entry: u64,
    /// Its segments, in the order of their addresses.
    pub segments: Vec<Segment>,
    /// The bytes of all segments, each beginning at a page.
    pub image: Vec<u8>,
}

/// A run of pages with one set of rights.
#[derive(Debug, Clone, Copy)]
pub struct Segment {
    /// Its address, aligned to a page.
    pub address: u64,
    /// Its length in memory, in pages.
    pub pages: u64,
    /// What the domain may do with it.
    pub rights: Rights,
    /// Where its bytes lie in [`Program::image`].
    pub image_offset: u64,
    /// How many they are; the rest of the memory is zero.
    pub image_bytes: u64,
}

const LITTLE: LittleEndian = LittleEndian;

impl<'a> ProgramFile<'a> {
    /// Reads an ELF file. `None`: it is no x86-64 executable.
    #[must_use]
    pub fn read(elf: &'a [u8]) -> Option<Self> {
        let header = FileHeader64::<LittleEndian>::parse(elf).ok()?;
        if header.e_machine(LITTLE) != EM_X86_64 || header.e_type(LITTLE) != ET_EXEC {
            return None;
        }
        let headers = header.program_headers(LITTLE, elf).ok()?;
        let needs_loader =
            headers.iter().any(|header| [PT_INTERP, PT_DYNAMIC, PT_TLS].contains(&header.p_type(LITTLE)));
        let loads = headers.iter().filter(|header| header.p_type(LITTLE) == PT_LOAD);
        let loads = loads.filter(|header| header.p_memsz(LITTLE) > 0).map(|header| Load::read(header, elf));
        let mut loads = loads.collect::<Option<Vec<_>>>()?;
        loads.sort_by_key(|load| load.address);
        Some(Self { entry: header.e_entry(LITTLE), needs_loader, loads })
    }
}

impl<'a> Load<'a> {
    fn read(header: &ProgramHeader64<LittleEndian>, elf: &'a [u8]) -> Option<Self> {
        Some(Self {
            address: header.p_vaddr(LITTLE),
            memory_bytes: header.p_memsz(LITTLE),
            bytes: header.data(LITTLE, elf).ok()?,
            rights: rights(header.p_flags(LITTLE)),
        })
    }

    /// First address above its pages, if it lies in a domain's address space.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.address.saturating_add(page_count(self.memory_bytes).saturating_mul(PAGE_BYTES))
    }
}

impl Program {
    /// Takes what reaches the target out of a file that the checks have found good.
    #[must_use]
    pub fn new(file: &ProgramFile<'_>) -> Self {
        let mut program = Self { entry: file.entry, segments: Vec::new(), image: Vec::new() };
        file.loads.iter().for_each(|load| program.add(load));
        program
    }

    fn add(&mut self, load: &Load<'_>) {
        let image_offset = self.image.len().next_multiple_of(PAGE_BYTES as usize);
        self.image.resize(image_offset, 0);
        self.image.extend_from_slice(load.bytes);
        self.segments.push(Segment {
            address: load.address,
            pages: page_count(load.memory_bytes),
            rights: load.rights,
            image_offset: image_offset as u64,
            image_bytes: load.bytes.len() as u64,
        });
    }

    /// First address above the program.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.segments.last().map_or(IMAGE_ADDRESS, |last| last.address + last.pages * PAGE_BYTES)
    }
}

impl Segment {
    /// The load that brings its bytes into a region, `image_start` being where the program lies in the system image, in lives with
    /// this image of the plan.
    #[must_use]
    pub fn load(&self, image_start: u64, region: u32, first_page: u64, image: u32) -> LoadEntry {
        LoadEntry {
            image_offset: image_start + self.image_offset,
            bytes: self.image_bytes,
            region_offset: first_page * PAGE_BYTES,
            region,
            image,
        }
    }
}

fn rights(flags: ProgramFlags) -> Rights {
    let pairs = [(PF_R, Rights::READ), (PF_W, Rights::WRITE), (PF_X, Rights::EXECUTE)];
    pairs.into_iter().filter(|(flag, _)| flags.contains(*flag)).map(|(_, right)| right).collect()
}
