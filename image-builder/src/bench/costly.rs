//! Counts costly instructions in a call and its reply: those whose price on real hardware no count of instructions shows.
//!
//! QEMU logs each time that the kernel comes to one of them. Where they are is found by their bytes. Bytes that only look
//! like one, inside of another instruction, do no harm: no instruction ever begins there.

use std::{fs, path::Path};

use object::{
    LittleEndian,
    elf::FileHeader64,
    read::elf::{FileHeader, SectionHeader},
};

/// Calls that are left out at the start, while the system is being built and both sides settle.
const SKIPPED_CALLS: usize = 2000;
/// Calls that are looked at: a gate call takes two, that of the client and that of the server. The benchmark system makes
/// some 8,000 gate calls before anything else.
const CALLS: usize = 2000;

/// A kind of instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Changes the address space.
    Cr3Write,
    /// Saves or restores the vector registers.
    Xsave,
    /// Writes a model-specific register.
    MsrWrite,
    /// Goes back to a domain: the end of each call.
    Return,
}

/// An instruction of the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    address: u64,
    kind: Kind,
}

/// Finds all places in a kernel's code where an instruction of interest may begin.
pub(super) fn places(kernel_with_symbols: &[u8]) -> Option<Vec<Place>> {
    let header = FileHeader64::<LittleEndian>::parse(kernel_with_symbols).ok()?;
    let sections = header.sections(LittleEndian, kernel_with_symbols).ok()?;
    let (_, text) = sections.section_by_name(LittleEndian, b".text")?;
    let code = text.data(LittleEndian, kernel_with_symbols).ok()?;
    let start = text.sh_addr(LittleEndian);
    let found = (0..code.len()).filter_map(|at| {
        let kind = kind_of(code.get(at..)?)?;
        Some(Place { address: start + at as u64, kind })
    });
    Some(found.collect())
}

/// QEMU's arguments that make it log these places, and no others, to a file.
pub(super) fn arguments(places: &[Place], log: &Path) -> Vec<String> {
    let ranges: Vec<String> = places.iter().map(|place| format!("{:#x}+1", place.address)).collect();
    let log = log.display().to_string();
    ["-singlestep", "-d", "exec,nochain", "-dfilter", &ranges.join(","), "-D", &log].map(String::from).into()
}

/// How many instructions of a kind there are in one gate call and reply. `None` if the log is too short to tell.
pub(super) fn per_gate_call(log: &Path, places: &[Place], kind: Kind) -> Option<f64> {
    let text = fs::read_to_string(log).ok()?;
    let kinds = text
        .lines()
        .filter_map(address)
        .filter_map(|address| places.iter().find(|place| place.address == address).map(|place| place.kind));
    let mut returns = 0;
    let mut count = 0;
    for seen in kinds {
        returns += usize::from(seen == Kind::Return);
        count += usize::from(seen == kind && returns >= SKIPPED_CALLS);
        if returns == SKIPPED_CALLS + CALLS {
            return Some(count as f64 * 2.0 / CALLS as f64);
        }
    }
    None
}

/// The address in a line such as `Trace 0: 0x7f10 [00000000/ffff840000108abc/00c0b0b3/ff000001] name`.
fn address(line: &str) -> Option<u64> {
    let (_, state) = line.strip_prefix("Trace ")?.split_once('[')?;
    u64::from_str_radix(state.split('/').nth(1)?, 16).ok()
}

/// What kind of instruction these bytes begin, going by its prefix, operation code and operands.
fn kind_of(code: &[u8]) -> Option<Kind> {
    let (width, rest) = match code {
        [prefix @ 0x40..=0x4f, rest @ ..] => (prefix & 8 != 0, rest),
        rest => (false, rest),
    };
    let [first, second, rest @ ..] = rest else { return None };
    // The operand byte: whether it names memory, and the part that belongs to the operation.
    let (memory, operation) = rest.first().map_or((false, 0), |byte| (byte >> 6 != 3, byte >> 3 & 7));
    match (first, second) {
        (0x0f, 0x22) if !memory && operation == 3 => Some(Kind::Cr3Write),
        (0x0f, 0x30) => Some(Kind::MsrWrite),
        (0x0f, 0xae) if memory && (4..=6).contains(&operation) => Some(Kind::Xsave),
        (0x0f, 0xc7) if memory && (3..=5).contains(&operation) => Some(Kind::Xsave),
        (0x0f, 0x07) if width => Some(Kind::Return),
        (0xcf, _) if width => Some(Kind::Return),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_the_instructions() {
        let known: [(&[u8], Kind); 8] = [
            (b"\x0f\x22\xd8", Kind::Cr3Write),
            (b"\x41\x0f\x22\xdf", Kind::Cr3Write),
            (b"\x0f\x30\x90", Kind::MsrWrite),
            (b"\x48\x0f\xae\x27", Kind::Xsave),
            (b"\x0f\xae\x6f\x40", Kind::Xsave),
            (b"\x48\x0f\xc7\x67\x40", Kind::Xsave),
            (b"\x48\x0f\x07\x90", Kind::Return),
            (b"\x48\xcf\x90", Kind::Return),
        ];
        for (code, kind) in known {
            assert_eq!(kind_of(code), Some(kind), "{code:02x?}");
        }
        // mov cr4, fences, the 32-bit sysret.
        for other in [&b"\x0f\x22\xe0"[..], b"\x0f\xae\xe8", b"\x0f\xae\xf0", b"\x0f\x07\x90", b"\x0f"] {
            assert_eq!(kind_of(other), None, "{other:02x?}");
        }
    }

    #[test]
    fn counts_by_call_from_the_log() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let place = |address, kind| Place { address, kind };
        let places = [place(0x10, Kind::Return), place(0x20, Kind::Cr3Write)];
        let line = |address: u64| format!("Trace 0: 0x7f [00000000/{address:016x}/00c0b0b3/ff000001] x\n");
        let call = line(0x20) + &line(0x10);
        fs::write(&log, call.repeat(SKIPPED_CALLS + CALLS)).unwrap();
        assert_eq!(per_gate_call(&log, &places, Kind::Cr3Write), Some(2.0));
        assert_eq!(per_gate_call(&log, &places, Kind::Xsave), Some(0.0));
        fs::write(&log, call.repeat(10)).unwrap();
        assert_eq!(per_gate_call(&log, &places, Kind::Cr3Write), None);
    }
}
