//! Whether a machine that has been started gets anywhere: to the kernel, and to the first domain.
//!
//! Two things say that it does not. Its CPUs are halted for good: that is certain, and soon known. Or it has had more
//! time than any boot takes. That time is the machine's own: a moment in which it wanted a CPU of the host and got
//! none does not count, so a busy host makes no difference.

use std::{
    fs,
    time::{Duration, Instant},
};

use image_compiler::workspace::BUILDER;

use super::{
    Line,
    monitor::{Activity, Monitor},
};
use crate::disc::Firmware;

/// How much time of its own a machine with a BIOS may take. A boot takes half a second where emulation is fast.
const PATIENCE: Duration = Duration::from_secs(20);
/// The same with UEFI firmware, which takes four seconds.
const PATIENCE_WITH_UEFI: Duration = Duration::from_secs(60);
/// The longest time between two looks that counts: longer, and the tool itself did not run.
const LONGEST_LOOK: Duration = Duration::from_secs(1);
/// How often the machine is asked what it does.
const QUESTION_PERIOD: Duration = Duration::from_secs(1);
/// QEMU's options after which nobody can say how long a boot takes.
const SLOW: [&str; 5] = ["-d", "-plugin", "-icount", "-singlestep", "-accel"];

/// How a start has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stuck {
    /// Nothing can wake the machine any more.
    Dead,
    /// It has had this time, and is nowhere yet.
    Late(Duration),
}

/// The start of a machine, watched.
#[derive(Debug)]
pub struct Startup {
    monitor: Monitor,
    patience: Option<Duration>,
    own: Duration,
    last_look: Instant,
    waited: Duration,
    last_question: Instant,
    activity: Activity,
}

impl Startup {
    /// Of a machine that starts now.
    #[must_use]
    pub fn new(monitor: Monitor, firmware: Firmware, extra: &[String]) -> Self {
        let patience = match firmware {
            Firmware::Bios => PATIENCE,
            Firmware::Uefi | Firmware::Efi => PATIENCE_WITH_UEFI,
        };
        let is_slow = extra.iter().any(|argument| SLOW.contains(&argument.replacen("--", "-", 1).as_str()));
        let now = Instant::now();
        Self {
            monitor,
            patience: (!is_slow).then_some(patience),
            own: Duration::ZERO,
            last_look: now,
            waited: Duration::ZERO,
            last_question: now,
            activity: Activity::Runs,
        }
    }

    /// Whether these lines say that the first domain runs.
    #[must_use]
    pub fn is_over(lines: &[Line]) -> bool {
        lines.iter().any(|line| line.name() == Some(BUILDER))
    }

    /// Looks at the machine, which is the process `qemu`. Returns what keeps it from getting further.
    pub fn look(&mut self, qemu: u32) -> Option<Stuck> {
        let now = Instant::now();
        let waited = time_waited(qemu).unwrap_or(self.waited);
        if self.activity == Activity::Runs {
            let passed = now.duration_since(self.last_look).min(LONGEST_LOOK);
            self.own += passed.saturating_sub(waited.saturating_sub(self.waited));
        }
        (self.last_look, self.waited) = (now, waited);
        if now.duration_since(self.last_question) >= QUESTION_PERIOD {
            self.last_question = now;
            let before = self.activity;
            self.activity = self.monitor.ask().unwrap_or(Activity::Runs);
            // Twice: one answer can be from between two instructions.
            if before == Activity::IsDead && self.activity == Activity::IsDead {
                return Some(Stuck::Dead);
            }
        }
        self.patience.filter(|patience| self.own > *patience).map(|_| Stuck::Late(self.own))
    }
}

/// How long a process's threads have waited for a CPU while they could have run (`/proc/PID/task/TID/schedstat`: time
/// on a CPU, time waiting for one, both in nanoseconds).
fn time_waited(process: u32) -> Option<Duration> {
    let threads = fs::read_dir(format!("/proc/{process}/task")).ok()?.flatten();
    let waited = threads.filter_map(|thread| {
        let times = fs::read_to_string(thread.path().join("schedstat")).ok()?;
        times.split_whitespace().nth(1)?.parse::<u64>().ok()
    });
    Some(Duration::from_nanos(waited.sum()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_builders_first_line_ends_it() {
        let line = |text: &str| Line { text: text.into() };
        assert!(!Startup::is_over(&[line("kernel | Cloison"), line("BdsDxe: loading")]));
        assert!(Startup::is_over(&[line("builder | system hello: 2 domains built")]));
    }

    #[test]
    fn a_process_knows_how_long_it_has_waited() {
        assert!(time_waited(std::process::id()).is_some());
        assert!(time_waited(u32::MAX).is_none());
    }

    #[test]
    fn time_counts_unless_the_machine_waits_for_a_cpu_or_is_paused() {
        let folder = tempfile::tempdir().unwrap();
        let mut startup = Startup::new(Monitor::new(folder.path()).unwrap(), Firmware::Bios, &[]);
        let nobody = u32::MAX;
        startup.last_look -= Duration::from_secs(60);
        assert_eq!(startup.look(nobody), None, "the tool itself did not run");
        assert!(startup.own <= LONGEST_LOOK);
        startup.own = PATIENCE;
        startup.activity = Activity::IsPaused;
        assert_eq!(startup.look(nobody), None);
        startup.activity = Activity::Runs;
        std::thread::sleep(Duration::from_millis(2));
        assert!(matches!(startup.look(nobody), Some(Stuck::Late(_))));
        let mut slow = Startup::new(Monitor::new(folder.path()).unwrap(), Firmware::Uefi, &["-d".into()]);
        slow.own = 2 * PATIENCE;
        assert_eq!(slow.look(nobody), None);
    }
}
