//! A gate call and its reply, instruction by instruction, out of QEMU's log of a run.
//!
//! The log has a line for each instruction that the kernel has carried out. It falls into visits to the
//! kernel, each from a system call on. While one domain calls and another one answers, two visits alternate:
//! the call, and the reply. The longest stretch in which they do so without any difference is the steady
//! state; one call and one reply of it are a round.

use std::{collections::BTreeMap, io::BufRead, path::Path};

use super::code::{Code, Costly};

/// Fewest rounds in a row that are a steady state.
const STEADY: usize = 50;

/// QEMU's arguments for such a log, which has a line for each block. A block that is interrupted before it
/// begins has a second one; that round is then unlike its neighbours.
pub(super) fn log_arguments(filter: &str, log: &Path) -> Vec<String> {
    let log = log.display().to_string();
    ["-d", "exec,nochain", "-dfilter", filter, "-D", &log].map(String::from).into()
}

/// The instructions that the kernel carries out for a gate call and its reply, as addresses.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Round(Vec<u64>);

impl Round {
    /// Finds the steady state in a log. `entry` is where system calls enter the kernel.
    pub(super) fn find(log: impl BufRead, entry: u64) -> Option<Self> {
        let trace: Vec<u64> = log.lines().map_while(Result::ok).filter_map(|line| address(&line)).collect();
        let visits: Vec<&[u64]> = trace.chunk_by(|_, next| *next != entry).collect();
        let (mut longest, mut last, mut length) = (0, 0, 0);
        for (index, visit) in visits.windows(3).enumerate() {
            length = if visit[0] == visit[2] && visit[0] != visit[1] { length + 1 } else { 0 };
            if length > longest {
                (longest, last) = (length, index);
            }
        }
        (longest / 2 >= STEADY).then(|| Self([visits[last], visits[last + 1]].concat()))
    }

    pub(super) fn instructions(&self) -> usize {
        self.0.len()
    }

    /// How many of them are of this kind.
    pub(super) fn count(&self, kind: Costly, costly: &[(u64, Costly)]) -> usize {
        let is = |address: &u64| costly.contains(&(*address, kind));
        self.0.iter().filter(|address| is(address)).count()
    }

    /// How many of them each function takes, as text.
    pub(super) fn profile(&self, code: &Code) -> String {
        let mut functions: BTreeMap<&str, usize> = BTreeMap::new();
        for address in &self.0 {
            *functions.entry(code.function(*address)).or_default() += 1;
        }
        let mut lines: Vec<(usize, &str)> =
            functions.into_iter().map(|(name, count)| (count, name)).collect();
        lines.sort_by(|one, other| other.0.cmp(&one.0).then(one.1.cmp(other.1)));
        lines.push((self.0.len(), "in all, for a gate call and its reply"));
        lines.iter().map(|(count, name)| format!("{count:>6}  {name}\n")).collect()
    }
}

/// The address in a line such as `Trace 0: 0x7f…80 [0000000000000000/ffff840000108000/0040c290/ff020201]`:
/// after host address and segment base.
pub(super) fn address(line: &str) -> Option<u64> {
    let (_, place) = line.strip_prefix("Trace ")?.split_once('[')?;
    u64::from_str_radix(place.split('/').nth(1)?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::{super::code::tests::code, *};

    const ENTRY: u64 = 0x1000;
    const CALL: [u64; 3] = [ENTRY, 0x1003, 0x1010];
    const REPLY: [u64; 4] = [ENTRY, 0x1003, 0x1010, 0x1012];

    fn find(addresses: &[u64]) -> Option<Round> {
        let line = |address: &u64| {
            format!("Trace 0: 0x7f12 [0000000000000000/{address:016x}/0040c290/ff020201] x\n")
        };
        Round::find(addresses.iter().map(line).collect::<String>().as_bytes(), ENTRY)
    }

    fn rounds(count: usize) -> Vec<u64> {
        [&CALL[..], &REPLY].concat().repeat(count)
    }

    #[test]
    fn reads_the_address_and_skips_other_lines() {
        let line = "Trace 0: 0x7f8224d0bb80 [0000000000000000/ffff840000108720/0040c290/ff020201] ";
        assert_eq!(address(line), Some(0xffff_8400_0010_8720));
        assert_eq!(address("Stopped execution of TB chain before 0x7f82 [ffff840000108720] "), None);
        assert_eq!(address("Trace 0: 0x7f82 [0000000000000000"), None);
    }

    #[test]
    fn finds_the_steady_state_between_other_work() {
        let boot = [0x1020, 0x1021, 0x1022];
        let interrupted = [&CALL[..], &[0x1030], &REPLY].concat();
        let trace = [&boot[..], &rounds(9), &interrupted, &rounds(STEADY + 2), &[ENTRY, 0x1020]].concat();
        let round = find(&trace).unwrap();
        assert_eq!(round.instructions(), CALL.len() + REPLY.len());
    }

    #[test]
    fn a_few_rounds_or_one_call_over_and_over_are_none() {
        assert_eq!(find(&[]), None);
        assert_eq!(find(&rounds(STEADY / 2)), None);
        assert_eq!(find(&CALL.repeat(4 * STEADY)), None);
    }

    #[test]
    fn counts_what_is_costly_and_by_function() {
        let round = find(&rounds(2 * STEADY)).unwrap();
        let costly = [(ENTRY, Costly::SystemCall), (ENTRY, Costly::Swapgs), (0x1012, Costly::Cr3Write)];
        let counts = [Costly::SystemCall, Costly::Swapgs, Costly::Cr3Write, Costly::Xsave]
            .map(|kind| round.count(kind, &costly));
        assert_eq!(counts, [2, 2, 1, 0]);
        let profile = round.profile(&code(&[0x90; 32], &["syscall_entry", "on_call"]));
        assert!(profile.starts_with("     4  syscall_entry\n     3  on_call\n     7  in all"), "{profile}");
    }
}
