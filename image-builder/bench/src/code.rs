//! The kernel's code: its functions, and where its costly instructions are.

use iced_x86::{Decoder, DecoderOptions, Instruction, Mnemonic, Register};
use object::{LittleEndian, Object, ObjectSection, ObjectSymbol, SymbolKind, read::elf::ElfFile64};

/// Instructions that take a CPU far longer than others, or that throw away what it has cached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Costly {
    /// Another address space.
    Cr3Write,
    Xsave,
    Xrstor,
    MsrWrite,
    /// SYSCALL, which is in the domain's code and counted where it leads, and SYSRET.
    SystemCall,
    Swapgs,
    SegmentLoad,
}

impl Costly {
    fn of(instruction: &Instruction) -> Option<Self> {
        use Register::{CR3, DS, ES, FS, GS, SS};
        match (instruction.mnemonic(), instruction.op0_register()) {
            (Mnemonic::Mov, CR3) => Some(Self::Cr3Write),
            (Mnemonic::Mov, DS | ES | FS | GS | SS) => Some(Self::SegmentLoad),
            (mnemonic, _) => Self::of_mnemonic(mnemonic),
        }
    }

    fn of_mnemonic(mnemonic: Mnemonic) -> Option<Self> {
        use Mnemonic::{
            Swapgs, Sysretq, Wrmsr, Xrstor, Xrstor64, Xrstors, Xrstors64, Xsave, Xsave64, Xsavec, Xsavec64,
            Xsaveopt, Xsaveopt64, Xsaves, Xsaves64,
        };
        match mnemonic {
            Xsave | Xsave64 | Xsavec | Xsavec64 | Xsaveopt | Xsaveopt64 | Xsaves | Xsaves64 => {
                Some(Self::Xsave)
            }
            Xrstor | Xrstor64 | Xrstors | Xrstors64 => Some(Self::Xrstor),
            Wrmsr => Some(Self::MsrWrite),
            Sysretq => Some(Self::SystemCall),
            Swapgs => Some(Self::Swapgs),
            _ => None,
        }
    }
}

/// The kernel's code.
#[derive(Debug)]
pub(super) struct Code {
    /// Address of the first byte.
    start: u64,
    /// Where SYSCALL leads.
    entry: u64,
    bytes: Vec<u8>,
    /// Functions and other places with a name: address and name, by address.
    functions: Vec<(u64, String)>,
}

impl Code {
    /// Where SYSCALL leads.
    const ENTRY: &str = "syscall_entry";
    /// What runs at boot and never again.
    const BOOT: &str = "core_kernel::boot::kernel_main";

    /// Reads it from an ELF file with symbols. `None` if it is not one, or not a kernel's.
    pub(super) fn parse(kernel: &[u8]) -> Option<Self> {
        let file = ElfFile64::<LittleEndian>::parse(kernel).ok()?;
        let text = file.section_by_name(".text")?;
        let symbols = file.symbols().filter(|symbol| symbol.section_index() == Some(text.index()));
        // A label of assembly code has no type.
        let symbols =
            symbols.filter(|symbol| matches!(symbol.kind(), SymbolKind::Text | SymbolKind::Unknown));
        let name = |name: &str| format!("{:#}", rustc_demangle::demangle(name));
        let mut functions: Vec<_> =
            symbols.filter_map(|symbol| Some((symbol.address(), name(symbol.name().ok()?)))).collect();
        functions.sort();
        functions.dedup_by_key(|(address, _)| *address);
        let entry = functions.iter().find(|(_, name)| name == Self::ENTRY)?.0;
        Some(Self { start: text.address(), entry, bytes: text.data().ok()?.to_vec(), functions })
    }

    /// Where SYSCALL leads.
    pub(super) fn entry(&self) -> u64 {
        self.entry
    }

    /// Where the first function begins whose name ends so.
    pub(super) fn named(&self, end: &str) -> Option<u64> {
        self.functions.iter().find(|(_, name)| name.ends_with(end)).map(|(address, _)| *address)
    }

    /// The costly instructions. Decoding starts afresh at each function, so that it stays in step.
    pub(super) fn costly(&self) -> Vec<(u64, Costly)> {
        let costly = self.instructions().filter_map(|found| Some((found.ip(), Costly::of(&found)?)));
        [(self.entry, Costly::SystemCall)].into_iter().chain(costly).collect()
    }

    /// The addresses behind the instructions of this kind.
    pub(super) fn after(&self, kind: Costly) -> impl Iterator<Item = u64> {
        let found = self.instructions().filter(move |found| Costly::of(found) == Some(kind));
        found.map(|found| found.next_ip())
    }

    /// The first `count` stubs from the place of this name on. Each ends with a jump, and may have breakpoints behind
    /// it.
    pub(super) fn stubs(&self, name: &str, count: usize) -> Option<Vec<u64>> {
        let first = self.functions.iter().find(|(_, known)| known == name)?.0;
        let bytes = self.bytes.get(usize::try_from(first.checked_sub(self.start)?).ok()?..)?;
        let (mut stubs, mut is_begin) = (Vec::new(), true);
        for found in Decoder::with_ip(64, bytes, first, DecoderOptions::NONE) {
            if is_begin && found.mnemonic() != Mnemonic::Int3 {
                stubs.push(found.ip());
                is_begin = false;
            }
            is_begin |= found.mnemonic() == Mnemonic::Jmp;
            if stubs.len() == count {
                return Some(stubs);
            }
        }
        None
    }

    fn instructions(&self) -> impl Iterator<Item = Instruction> {
        let decode = |(address, bytes, _)| Decoder::with_ip(64, bytes, address, DecoderOptions::NONE);
        self.functions().flat_map(move |function| decode(function).into_iter().collect::<Vec<_>>())
    }

    /// The code without what runs at boot only, as QEMU's `-dfilter` wants it.
    pub(super) fn filter(&self) -> String {
        let kept = self.functions().filter(|(_, bytes, name)| *name != Self::BOOT && !bytes.is_empty());
        let mut ranges: Vec<(u64, u64)> = Vec::new();
        for (start, bytes, _) in kept {
            let end = start + bytes.len() as u64;
            match ranges.last_mut() {
                Some(last) if last.1 == start => last.1 = end,
                _ => ranges.push((start, end)),
            }
        }
        let ranges: Vec<_> =
            ranges.iter().map(|(start, end)| format!("{start:#x}+{:#x}", end - start)).collect();
        ranges.join(",")
    }

    /// The function in which an address lies.
    pub(super) fn function(&self, address: u64) -> &str {
        let after = self.functions.partition_point(|(start, _)| *start <= address);
        after.checked_sub(1).map_or("?", |index| &self.functions[index].1)
    }

    /// Each function: its address, its bytes up to the next one, its name.
    fn functions(&self) -> impl Iterator<Item = (u64, &[u8], &str)> {
        let end = self.start + self.bytes.len() as u64;
        let ends = self.functions.iter().skip(1).map(|(start, _)| *start).chain([end]);
        self.functions.iter().zip(ends).filter_map(move |((start, name), end)| {
            let offset = |address: u64| usize::try_from(address.checked_sub(self.start)?).ok();
            Some((*start, self.bytes.get(offset(*start)?..offset(end)?)?, name.as_str()))
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Code at 0x1000, with a function every 16 bytes.
    pub(crate) fn code(bytes: &[u8], names: &[&str]) -> Code {
        let functions = names.iter().zip(0..).map(|(name, index)| (0x1000 + 16 * index, (*name).to_owned()));
        Code { start: 0x1000, entry: 0x1000, bytes: bytes.to_vec(), functions: functions.collect() }
    }

    #[test]
    fn knows_costly_instructions_from_bytes_that_look_like_them() {
        let instructions: [(&[u8], Option<Costly>); 12] = [
            (b"\x0f\x01\xf8", Some(Costly::Swapgs)),
            (b"\x41\x0f\x22\xdf", Some(Costly::Cr3Write)),
            (b"\x0f\x30", Some(Costly::MsrWrite)),
            // mov eax, 0x300f; mov cr4, rax; mov rax, cr3
            (b"\xb8\x0f\x30\x00\x00", None),
            (b"\x0f\x22\xe0", None),
            (b"\x0f\x20\xd8", None),
            (b"\x48\x0f\xae\xa4\x24\xc0\x00\x00\x00", Some(Costly::Xsave)),
            (b"\x48\x0f\xae\xaf\xc0\x00\x00\x00", Some(Costly::Xrstor)),
            // lfence; mov eax, ds
            (b"\x0f\xae\xe8", None),
            (b"\x8c\xd8", None),
            (b"\x8e\xd8", Some(Costly::SegmentLoad)),
            (b"\x48\x0f\x07", Some(Costly::SystemCall)),
        ];
        let mut bytes = Vec::new();
        let mut expected = vec![(0x1000, Costly::SystemCall)];
        for (instruction, kind) in instructions {
            expected.extend(kind.map(|kind| (0x1000 + bytes.len() as u64, kind)));
            bytes.extend_from_slice(instruction);
        }
        assert_eq!(code(&bytes, &["syscall_entry"]).costly(), expected);
    }

    #[test]
    fn stays_in_step_after_padding_that_is_no_code() {
        // The last two bytes of the first function begin an instruction that would swallow the start of the
        // next.
        let mut bytes = vec![0x90; 16];
        bytes[14..].copy_from_slice(b"\x48\xb8");
        bytes.extend_from_slice(b"\x0f\x30");
        let costly = code(&bytes, &["syscall_entry", "write_msr"]).costly();
        assert_eq!(costly, [(0x1000, Costly::SystemCall), (0x1010, Costly::MsrWrite)]);
    }

    #[test]
    fn leaves_out_what_runs_at_boot_only() {
        let code = code(&[0x90; 64], &["syscall_entry", "on_call", Code::BOOT, "fault"]);
        assert_eq!(code.filter(), "0x1000+0x20,0x1030+0x10");
    }

    #[test]
    fn an_address_belongs_to_the_function_before_it() {
        let code = code(&[0x90; 64], &["syscall_entry", "on_call"]);
        let names = [0xfff, 0x1000, 0x100f, 0x1010].map(|address| code.function(address));
        assert_eq!(names, ["?", "syscall_entry", "syscall_entry", "on_call"]);
    }

    #[test]
    fn what_is_no_kernel_is_refused() {
        assert!(Code::parse(b"").is_none());
        assert!(Code::parse(&std::fs::read(std::env::current_exe().unwrap()).unwrap()).is_none());
    }
}
