//! Carries a mutation out: the test that has to notice, and the kernel's host tests.

use std::{
    fs::{self, File},
    io,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process_group};

use crate::{Mutation, Notices, Tree};

/// How long a boot scenario and a test on the host may take. A change that makes a test run for ever is noticed too,
/// only late.
const BOOT_PATIENCE: Duration = Duration::from_secs(15 * 60);
/// See [`BOOT_PATIENCE`].
const HOST_PATIENCE: Duration = Duration::from_secs(3 * 60);
/// The packages of the kernel that have tests on the host.
const HOST_PACKAGES: [(&str, &str); 4] = [
    ("core-kernel/abi", "cloison-abi"),
    ("core-kernel/kernel", "core-kernel"),
    ("core-kernel/mem", "cloison-mem"),
    ("core-kernel/rules", "cloison-rules"),
];

/// What one run of a test came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The test passed.
    Green,
    /// The test failed, or did not end.
    Red,
    /// The project did not compile, or no test ran, so nobody can tell.
    Broken,
}

/// What a mutation came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The named test is red.
    Noticed,
    /// Only another test of the kernel on the host is red: the file names the wrong test.
    NoticedElsewhere,
    /// Every test is green.
    Unnoticed,
    /// The change does not compile, or no such test ran.
    Broken,
}

impl Verdict {
    /// The word for the table.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Noticed => "noticed",
            Self::NoticedElsewhere => "NOTICED ELSEWHERE",
            Self::Unnoticed => "UNNOTICED",
            Self::Broken => "BROKEN",
        }
    }
}

/// What runs tests in a copy of the project.
#[derive(Debug)]
pub struct Runner<'a> {
    tree: &'a Tree,
    target: PathBuf,
    log: PathBuf,
}

impl<'a> Runner<'a> {
    /// Tests run in `tree`; what is compiled for them goes to `target`, what they print to `log`.
    #[must_use]
    pub const fn new(tree: &'a Tree, target: PathBuf, log: PathBuf) -> Self {
        Self { tree, target, log }
    }

    /// Runs a test on the copy as it is.
    ///
    /// # Errors
    /// If Cargo cannot be run.
    pub fn test(&self, test: &Notices) -> io::Result<Outcome> {
        match test {
            Notices::Boot(scenario) => match self.boot_test(scenario)? {
                Some(name) => {
                    self.cargo(&["-p", "harness", "--test", "boot"], &["--exact", &name], BOOT_PATIENCE)
                }
                None => Ok(Outcome::Broken),
            },
            Notices::Test(package, filter) => {
                let filter = filter.as_deref().unwrap_or_default();
                self.cargo(&["-p", package], &[filter], HOST_PATIENCE)
            }
        }
    }

    /// The name of the test that boots a scenario.
    fn boot_test(&self, scenario: &str) -> io::Result<Option<String>> {
        let tests = fs::read_to_string(self.tree.root().join("tests/harness/tests/boot.rs"))?;
        let end = format!(": \"{scenario}\",");
        Ok(tests.lines().find_map(|line| line.trim().strip_suffix(&end)).map(str::to_owned))
    }

    /// Applies a mutation, runs its test and, if that does not notice, the other tests of the same package on the
    /// host.
    ///
    /// # Errors
    /// If the mutation does not apply, or Cargo cannot be run.
    pub fn try_out(&self, mutation: &Mutation) -> Result<Verdict, String> {
        let judged =
            self.tree.with_change(&mutation.file, |text| mutation.apply(text), || self.judge(mutation))?;
        judged.map_err(|error| format!("cannot run cargo: {error}"))
    }

    fn judge(&self, mutation: &Mutation) -> io::Result<Verdict> {
        match self.test(&mutation.notices)? {
            Outcome::Red => return Ok(Verdict::Noticed),
            Outcome::Broken => return Ok(Verdict::Broken),
            Outcome::Green => {}
        }
        let package = HOST_PACKAGES.into_iter().find(|(folder, _)| mutation.file.starts_with(folder));
        let elsewhere = match package {
            Some((_, package)) => self.test(&Notices::Test(package.to_owned(), None))?,
            None => Outcome::Green,
        };
        Ok(if elsewhere == Outcome::Red { Verdict::NoticedElsewhere } else { Verdict::Unnoticed })
    }

    /// Compiles tests and runs them. Only the run is limited: how long it takes to compile all that a fresh copy needs
    /// says nothing about a test.
    fn cargo(&self, tests: &[&str], filter: &[&str], patience: Duration) -> io::Result<Outcome> {
        let compiled = self.start(&[&["test", "--no-run"], tests].concat())?.wait()?;
        let status = match compiled.success() {
            true => wait(self.start(&[&["test"], tests, &["--"], filter].concat())?, patience)?,
            false => Some(compiled),
        };
        let printed = String::from_utf8_lossy(&fs::read(&self.log)?).into_owned();
        Ok(judge(status.is_some_and(|status| status.success()), &printed))
    }

    fn start(&self, arguments: &[&str]) -> io::Result<Child> {
        let log = File::create(&self.log)?;
        let mut command = Command::new("cargo");
        command.args(arguments).current_dir(self.tree.root()).env("CARGO_TARGET_DIR", &self.target);
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).process_group(0).spawn()
    }
}

/// What Cargo's exit and its words say. A scenario that cannot be built is no scenario that has failed.
fn judge(success: bool, printed: &str) -> Outcome {
    let results = printed.lines().filter_map(|line| line.strip_prefix("test result: "));
    let ran = results.filter(|line| !line.contains(" 0 passed; 0 failed;")).count() > 0;
    if printed.contains("could not compile") {
        Outcome::Broken
    } else if !success {
        Outcome::Red
    } else if ran {
        Outcome::Green
    } else {
        Outcome::Broken
    }
}

/// Waits for a process; one that does not end is ended with all that it started.
fn wait(mut child: Child, patience: Duration) -> io::Result<Option<ExitStatus>> {
    let begin = Instant::now();
    while begin.elapsed() < patience {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        sleep(Duration::from_millis(100));
    }
    if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        kill_process_group(group, Signal::KILL)?;
    }
    child.wait()?;
    Ok(None)
}

/// Where the project lies.
#[must_use]
pub fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_that_did_not_run_is_not_green() {
        let none = "test result: ok. 0 passed; 0 failed; 0 ignored";
        assert_eq!(judge(true, none), Outcome::Broken);
        assert_eq!(judge(true, &format!("{none}\ntest result: ok. 1 passed; 0 failed;")), Outcome::Green);
        assert_eq!(judge(false, "test result: FAILED. 0 passed; 1 failed;"), Outcome::Red);
        assert_eq!(judge(false, "error: could not compile `kernel`"), Outcome::Broken);
    }
}
