//! The program of a component: what of its ELF file reaches the target, and whether it can.

use cloison_abi::limits::{IMAGE_ADDRESS, PAGE_BYTES};
use cloison_abi::{Rights, plan::LoadEntry};
use object::LittleEndian;
use object::elf::{
    EM_X86_64, ET_EXEC, FileHeader64, PF_R, PF_W, PF_X, PT_DYNAMIC, PT_INTERP, PT_LOAD, PT_TLS, ProgramFlags,
};
use object::read::elf::{FileHeader, ProgramHeader};

use super::{SHARED_ADDRESS, page_count};

/// The checks of programs, which can run only when the programs have been built: ids and what each refuses.
pub const BINARY_CHECKS: &[(&str, &str)] = &[
    ("B001", "a program that is missing or is no x86-64 ELF executable"),
    ("B002", "a segment that does not begin at a page, or shares a page with another"),
    ("B003", "a segment that is writable and executable"),
    ("B004", "a program, or its stack and heap, outside the addresses that are theirs"),
    ("B005", "a program that needs a loader: an interpreter, relocations, thread-local storage"),
    ("B006", "a first instruction that is not in executable memory"),
    ("B007", "more segments than fit beside what a domain is given"),
    ("B008", "more memory than the machine has, programs included"),
];

/// A fault in a program: the id of the check, what is wrong, what to do.
pub(super) struct ProgramFault {
    pub(super) id: &'static str,
    pub(super) message: String,
    pub(super) help: &'static str,
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

type Header = FileHeader64<LittleEndian>;
const LITTLE: LittleEndian = LittleEndian;

impl Program {
    /// Reads an ELF file; on failure, everything that is wrong with it.
    pub(super) fn read(name: &str, elf: &[u8]) -> Result<Self, Vec<ProgramFault>> {
        let foreign = |_| vec![not_elf(name)];
        let header = Header::parse(elf).map_err(foreign)?;
        if header.e_machine(LITTLE) != EM_X86_64 || header.e_type(LITTLE) != ET_EXEC {
            return Err(vec![not_elf(name)]);
        }
        let headers = header.program_headers(LITTLE, elf).map_err(foreign)?;
        let mut faults = Vec::new();
        if headers.iter().any(|header| [PT_INTERP, PT_DYNAMIC, PT_TLS].contains(&header.p_type(LITTLE))) {
            faults.push(ProgramFault {
                id: "B005",
                message: format!("the program of `{name}` needs a loader, and there is none"),
                help: "link it statically, without relocations, and use no thread-local variables",
            });
        }
        let mut program = Self { entry: header.e_entry(LITTLE), segments: Vec::new(), image: Vec::new() };
        let mut loads: Vec<_> = headers.iter().filter(|header| header.p_type(LITTLE) == PT_LOAD).collect();
        loads.retain(|header| header.p_memsz(LITTLE) > 0);
        loads.sort_by_key(|header| header.p_vaddr(LITTLE));
        for header in loads {
            let bytes = header.data(LITTLE, elf).map_err(|()| vec![not_elf(name)])?;
            if let Err(fault) = program.add(name, header, bytes) {
                faults.push(fault);
            }
        }
        faults.extend(program.wrong_entry(name).filter(|_| faults.is_empty()));
        if faults.is_empty() { Ok(program) } else { Err(faults) }
    }

    fn add(
        &mut self,
        name: &str,
        header: &object::elf::ProgramHeader64<LittleEndian>,
        bytes: &[u8],
    ) -> Result<(), ProgramFault> {
        let (address, length) = (header.p_vaddr(LITTLE), header.p_memsz(LITTLE));
        let free_from = self.segments.last().map_or(0, |last| last.address + last.pages * PAGE_BYTES);
        let end =
            address.checked_add(length).filter(|end| address >= IMAGE_ADDRESS && *end <= SHARED_ADDRESS);
        let rights = rights(header.p_flags(LITTLE));
        let fault = |id, what: &str, help| ProgramFault {
            id,
            message: format!("the segment at {address:#x} of the program of `{name}` {what}"),
            help,
        };
        if end.is_none() || bytes.len() as u64 > length {
            let what = format!("is not between {IMAGE_ADDRESS:#x} and {SHARED_ADDRESS:#x}");
            return Err(fault("B004", &what, "link it with the library's domain.ld"));
        }
        if !address.is_multiple_of(PAGE_BYTES) || address < free_from {
            return Err(fault(
                "B002",
                "does not have pages of its own",
                "link it with the library's domain.ld",
            ));
        }
        if rights.contains(Rights::WRITE | Rights::EXECUTE) {
            let help = "nothing may be both; give code and data sections of their own";
            return Err(fault("B003", "is writable and executable", help));
        }
        let image_offset = self.image.len().next_multiple_of(PAGE_BYTES as usize);
        self.image.resize(image_offset, 0);
        self.image.extend_from_slice(bytes);
        let (image_offset, image_bytes) = (image_offset as u64, bytes.len() as u64);
        self.segments.push(Segment { address, pages: page_count(length), rights, image_offset, image_bytes });
        Ok(())
    }

    fn wrong_entry(&self, name: &str) -> Option<ProgramFault> {
        let holds_entry = |segment: &Segment| {
            segment.rights.contains(Rights::EXECUTE)
                && (segment.address..segment.address + segment.pages * PAGE_BYTES).contains(&self.entry)
        };
        (!self.segments.iter().any(holds_entry)).then(|| ProgramFault {
            id: "B006",
            message: format!("the program of `{name}` begins at {:#x}, which is not in its code", self.entry),
            help: "link it with the library's domain.ld, whose entry is `_start`",
        })
    }

    /// First address above the program.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.segments.last().map_or(IMAGE_ADDRESS, |last| last.address + last.pages * PAGE_BYTES)
    }
}

impl Segment {
    /// The load that brings its bytes into a region, `image_start` being where the program lies in the image.
    #[must_use]
    pub fn load(&self, image_start: u64, region: u32, first_page: u64) -> LoadEntry {
        LoadEntry {
            image_offset: image_start + self.image_offset,
            bytes: self.image_bytes,
            region_offset: first_page * PAGE_BYTES,
            region,
            reserved: 0,
        }
    }
}

fn not_elf(name: &str) -> ProgramFault {
    ProgramFault {
        id: "B001",
        message: format!("the program of `{name}` is no x86-64 ELF executable"),
        help: "build it again; a file that was cut short while it was written looks so",
    }
}

fn rights(flags: ProgramFlags) -> Rights {
    let pairs = [(PF_R, Rights::READ), (PF_W, Rights::WRITE), (PF_X, Rights::EXECUTE)];
    pairs.into_iter().filter(|(flag, _)| flags.contains(*flag)).map(|(_, right)| right).collect()
}
