//! How often CR3 is written in each round of a path, out of QEMU's log of a run.
//!
//! The log has a line for each of the kernel's instructions that write CR3, and for the first one of two functions: the
//! domain that measures has them called to mark where a round begins and where it ends (`bench-marks`).

use std::io::BufRead;

use image_builder::build::Built;
use image_machine::{
    Failure,
    run::{Accelerator, Machine, Stepping},
};
use tempfile::NamedTempFile;

use super::{
    Bench, Figures,
    code::{Code, Costly},
    code_of, median,
    round::{address, log_arguments},
};

/// What a domain says whose paths can be told apart: their names, in their order, each with the number by which what is
/// counted in a round is to be divided, if there is one.
const NAMES: &str = "paths: ";
/// Ends of the names of the kernel's functions that are called at a mark.
const BEGIN: &str = "::find_census";
const END: &str = "::find_lent";
/// What QEMU writes behind the line of a block that it has not begun.
const STOPPED: &str = "Stopped execution of TB chain before";

impl Bench<'_> {
    /// How often CR3 is written in a round of each path of this system, as the figure `<path> cr3`.
    ///
    /// # Errors
    ///
    /// When its run does not end well, or its log does not show the paths that it names.
    pub(super) fn count_writes(&self, built: &Built) -> Result<Figures, Failure> {
        let step = self.context.progress.step("counting CR3 writes");
        let places = Places::of(&code_of(built)?).ok_or_else(|| {
            Failure::Failed(format!("the kernel's symbols do not name the functions …{BEGIN} and …{END}"))
        })?;
        let log = NamedTempFile::new_in(&built.folder)
            .map_err(|error| Failure::file("cannot write in", &built.folder, &error))?;
        let accelerator = Accelerator::Stepped(Stepping::ask(&self.context.interrupts)?);
        let mut machine = Machine { accelerator, ..built.machine() };
        machine.extra = log_arguments(&places.filter(), log.path());
        let booted = self.boot(built, &machine)?;
        let said = booted.transcript.lines().iter().find_map(|line| line.message().strip_prefix(NAMES));
        let paths = rounds(places.read(std::io::BufReader::new(log.as_file())));
        let figures = named(said.unwrap_or_default(), &paths).ok_or_else(|| {
            let count = paths.len();
            Failure::Failed(format!(
                "{}: {count} paths in QEMU's log, and not those that it names",
                built.system.name()
            ))
        })?;
        step.done(&format!("{}: {} paths", built.system.name(), figures.len()));
        Ok(figures)
    }
}

/// What a line of the log stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    Begin,
    End,
    Write,
}

/// The instructions that are logged.
struct Places(Vec<(u64, Mark)>);

impl Places {
    fn of(code: &Code) -> Option<Self> {
        let writes = code.costly().into_iter().filter(|(_, kind)| *kind == Costly::Cr3Write);
        let mut places: Vec<_> = writes.map(|(address, _)| (address, Mark::Write)).collect();
        places.push((code.named(BEGIN)?, Mark::Begin));
        places.push((code.named(END)?, Mark::End));
        Some(Self(places))
    }

    /// The places as QEMU's `-dfilter` wants them.
    fn filter(&self) -> String {
        let ranges: Vec<_> = self.0.iter().map(|(address, _)| format!("{address:#x}+1")).collect();
        ranges.join(",")
    }

    /// The marks of a log, in their order. A block that is interrupted before it begins has a line of its own that says so,
    /// and comes again.
    fn read(&self, log: impl BufRead) -> impl Iterator<Item = Mark> {
        let found = |address: u64| self.0.iter().find(|(place, _)| *place == address).map(|(_, mark)| *mark);
        let mut lines = log.lines().map_while(Result::ok).peekable();
        std::iter::from_fn(move || {
            let line = lines.next()?;
            let has_begun = lines.next_if(|next| next.starts_with(STOPPED)).is_none();
            Some(address(&line).and_then(found).filter(|_| has_begun))
        })
        .flatten()
    }
}

/// The writes of each round of each path. A second beginning without an end says that another path comes; what is ended
/// without a beginning is none.
fn rounds(marks: impl Iterator<Item = Mark>) -> Vec<Vec<f64>> {
    let mut paths: Vec<Vec<f64>> = Vec::new();
    let mut writes = None;
    for mark in marks {
        match mark {
            Mark::Begin => {
                if writes.replace(0.0).is_some() {
                    paths.push(Vec::new());
                }
            }
            Mark::Write => writes = writes.map(|writes| writes + 1.0),
            Mark::End => {
                if let (Some(path), Some(writes)) = (paths.last_mut(), writes.take()) {
                    path.push(writes);
                }
            }
        }
    }
    paths
}

/// The median round of each path, by name. `None` if these are not the paths that are named.
fn named(names: &str, paths: &[Vec<f64>]) -> Option<Figures> {
    let names: Vec<&str> = names.split_whitespace().collect();
    if names.is_empty() || names.len() != paths.len() {
        return None;
    }
    let figure = |(name, rounds): (&&str, &Vec<f64>)| {
        let (name, share) = name.split_once('/').unwrap_or((name, "1"));
        Some((format!("{name} cr3"), median(rounds)? / share.parse::<f64>().ok()?))
    };
    names.iter().zip(paths).map(figure).collect()
}

#[cfg(test)]
mod tests {
    use super::{super::code::tests::code, *};

    const ROUND: [Mark; 4] = [Mark::Begin, Mark::Write, Mark::Write, Mark::End];

    #[test]
    fn counts_the_writes_between_two_marks() {
        let other = [Mark::Write, Mark::End];
        let marks = [
            &ROUND[..],
            &other,
            &[Mark::Begin],
            &ROUND,
            &other,
            &ROUND,
            &[Mark::Begin, Mark::Begin, Mark::End],
        ];
        assert_eq!(rounds(marks.concat().into_iter()), [vec![2.0, 2.0], vec![0.0]]);
    }

    #[test]
    fn a_path_has_the_name_and_the_share_that_it_was_given() {
        let paths = [vec![2.0, 9.0, 2.0], vec![8.0]];
        let figures = Figures::from([("one cr3".into(), 2.0), ("batch cr3".into(), 0.5)]);
        assert_eq!(named("one batch/16", &paths), Some(figures));
        assert_eq!(named("one", &paths), None);
        assert_eq!(named("", &[]), None, "nobody has named any");
        assert_eq!(named("one two/x", &paths), None);
        assert_eq!(named("one two", &[vec![1.0], vec![]]), None, "a path without a round");
    }

    #[test]
    fn logs_writes_of_cr3_and_the_two_functions() {
        let bytes = [&b"\x0f\x22\xdf"[..], &[0x90; 45]].concat();
        let places =
            Places::of(&code(&bytes, &["syscall_entry", "calls::system::find_census", "a::find_lent"]))
                .unwrap();
        assert_eq!(places.filter(), "0x1000+1,0x1010+1,0x1020+1");
        let log = "Trace 0: 0x7f [0/0000000000001010/0/0] \nx\nTrace 0: 0x7f [0/1000/0/0] \nTrace 0: 0x7f [0/1020/0/0]";
        let marks = [Mark::Begin, Mark::Write, Mark::End];
        assert_eq!(places.read(log.as_bytes()).collect::<Vec<_>>(), marks);
        let again =
            "Trace 0: 0x7f [0/1010/0/0] \nStopped execution of TB chain before 0x7f [0000000000001010] \n";
        assert_eq!(places.read([again, log].concat().as_bytes()).collect::<Vec<_>>(), marks);
        assert!(Places::of(&code(&bytes, &["syscall_entry", "x::find_lent"])).is_none());
    }
}
