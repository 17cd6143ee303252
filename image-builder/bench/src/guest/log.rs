//! How often CR3 is written and a guest comes out, out of QEMU's log of a run.
//!
//! The log has a line for each block that begins at one of these places: behind an instruction that writes CR3 (such an
//! instruction ends its block), at the function by which a domain enters its guest, as it does once for each time that the
//! guest comes out, at the stub of an invalid instruction. That marks where a path begins or ends; the program makes two such
//! marks for each path, and none after.

use std::{collections::HashMap, io::BufRead};

use crate::{
    Figures,
    code::{Code, Costly},
    round::address,
};

/// The end of the name of the function by which a guest is entered, and the name of the first stub.
const ENTRY: &str = "::on_guest_enter";
const STUBS: &str = "trap_stubs";
/// The vector of an invalid instruction.
const INVALID: usize = 6;

/// What a line of the log stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Write,
    Exit,
    Mark,
}

/// Where the blocks begin that are logged.
pub(super) struct Places(HashMap<u64, Place>);

/// What happened between two marks.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Stretch {
    writes: f64,
    exits: f64,
}

impl Places {
    pub(super) fn of(code: &Code) -> Option<Self> {
        let mut places: HashMap<_, _> =
            code.after(Costly::Cr3Write).map(|address| (address, Place::Write)).collect();
        places.insert(code.named(ENTRY)?, Place::Exit);
        places.insert(*code.stubs(STUBS, INVALID + 1)?.last()?, Place::Mark);
        Some(Self(places))
    }

    /// The places as QEMU's `-dfilter` wants them.
    pub(super) fn filter(&self) -> String {
        let mut places: Vec<_> = self.0.keys().collect();
        places.sort();
        places.iter().map(|address| format!("{address:#x}+1")).collect::<Vec<_>>().join(",")
    }

    /// The stretches between the marks of a log, the first before all marks, the last behind all.
    pub(super) fn read(&self, log: impl BufRead) -> Vec<Stretch> {
        let mut stretches = vec![Stretch::default()];
        let lines = log.lines().map_while(Result::ok);
        for place in lines.filter_map(|line| self.0.get(&address(&line)?).copied()) {
            if let Some(last) = stretches.last_mut() {
                match place {
                    Place::Write => last.writes += 1.0,
                    Place::Exit => last.exits += 1.0,
                    Place::Mark => stretches.push(Stretch::default()),
                }
            }
        }
        stretches
    }
}

/// The figures of paths of which the program says its name and how often it was done, and of the time before the first:
/// `linux-boot exits`. `None` if there are fewer marks than that.
pub(super) fn figures(paths: &str, stretches: &[Stretch]) -> Option<Figures> {
    let paths: Vec<&str> = paths.split_whitespace().collect();
    // The last one is behind the last mark.
    let begin = (stretches.len() - 1).checked_sub(2 * paths.len()).filter(|_| !paths.is_empty())?;
    let boot = stretches[..=begin].iter().map(|stretch| stretch.exits).sum();
    let mut figures = Figures::from([("linux-boot exits".to_owned(), boot)]);
    for (path, stretch) in paths.iter().zip(stretches[begin + 1..].iter().step_by(2)) {
        let (name, rounds) = path.split_once('/')?;
        let rounds: f64 = rounds.parse().ok()?;
        figures.insert(format!("{name} cr3"), stretch.writes / rounds);
        figures.insert(format!("{name} exits"), stretch.exits / rounds);
    }
    Some(figures)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::code::tests::code;

    fn stretch(writes: f64, exits: f64) -> Stretch {
        Stretch { writes, exits }
    }

    #[test]
    fn each_path_has_the_stretch_between_its_two_marks() {
        let stretches = [
            stretch(9.0, 7.0),
            stretch(1.0, 2.0),
            stretch(40.0, 20.0),
            stretch(5.0, 5.0),
            stretch(8.0, 4.0),
            stretch(3.0, 3.0),
        ];
        let found = figures("one/10 two/4", &stretches).unwrap();
        assert_eq!((found["one cr3"], found["one exits"]), (4.0, 2.0));
        assert_eq!((found["two cr3"], found["two exits"]), (2.0, 1.0));
        assert_eq!(found["linux-boot exits"], 9.0);
    }

    #[test]
    fn too_few_marks_are_no_figures() {
        assert_eq!(figures("one/10", &[stretch(1.0, 1.0), stretch(1.0, 1.0)]), None);
        assert_eq!(figures("", &[Stretch::default()]), None);
        assert_eq!(figures("one/x", &[Stretch::default(); 3]), None);
        assert_eq!(figures("one", &[Stretch::default(); 3]), None);
    }

    /// `mov cr3, rdi` at the begin of the first function, and stubs of three bytes at the third: `push 0`, `jmp` to itself.
    #[test]
    fn finds_writes_calls_and_stubs() {
        let stub = b"\x6a\x00\xeb\xfc";
        let mut bytes = [&b"\x0f\x22\xdf"[..], &[0x90; 29]].concat();
        bytes.extend(stub.iter().cycle().take(4 * (INVALID + 2)));
        let places = Places::of(&code(&bytes, &["syscall_entry", "enter::on_guest_enter", STUBS])).unwrap();
        let (invalid, other) = (0x1020 + 4 * INVALID as u64, 0x1020);
        let log: String = [0x1003, 0x1010, other, 0x1010, invalid, 0x1003, 0x1000]
            .map(|address| format!("Trace 0: 0x7f [0/{address:016x}/0/0] \n"))
            .concat();
        assert_eq!(places.read(log.as_bytes()), [stretch(1.0, 2.0), stretch(1.0, 0.0)]);
        assert_eq!(places.filter(), format!("0x1003+1,0x1010+1,{invalid:#x}+1"));
        assert!(Places::of(&code(&bytes, &["syscall_entry", "x", STUBS])).is_none());
    }
}
