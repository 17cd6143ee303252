//! Boots systems in QEMU and judges what they print.
//!
//! A [scenario](Scenario) is a file `tests/boot/NAME.expect`; [`boot`] carries it out and gives a
//! [`Verdict`]. What cannot be judged is *broken*, which is as red as *failed*: a run that does not end, a
//! QEMU that fails, a tool that is missing, a machine that prints nothing.

mod damage;
mod guest;
mod host;
mod judge;
mod machine;
mod sample;
mod scenario;
mod tamper;

use std::{fmt, fs, path::PathBuf};

pub use damage::Damage;
pub use judge::{Observation, judge};
pub use sample::{Sample, samples};
pub use scenario::{Scenario, Step};

/// What a boot scenario came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Everything was as expected.
    Pass,
    /// The system did something else than expected.
    Fail(String),
    /// Nobody can tell: the run itself went wrong.
    Broken(String),
}

impl fmt::Display for Verdict {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pass => out.write_str("pass"),
            Self::Fail(reason) => write!(out, "failed: {reason}"),
            Self::Broken(reason) => write!(out, "broken: {reason}"),
        }
    }
}

/// The folder of the scenarios.
#[must_use]
pub fn scenarios() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../boot")
}

/// Boots the scenario with this name and judges it. Returns the verdict, and all that the machine printed.
#[must_use]
pub fn boot(name: &str) -> (Verdict, String) {
    let path = scenarios().join(format!("{name}.expect"));
    let scenario = fs::read_to_string(&path)
        .map_err(|error| format!("cannot read {}: {error}", path.display()))
        .and_then(|text| Scenario::parse(&text));
    match scenario {
        Ok(scenario) => {
            let (verdict, lines) = machine::boot(&scenario);
            let verdict = if verdict == Verdict::Pass { judge_samples(name, &lines) } else { verdict };
            (verdict, lines.iter().map(|line| format!("{line}\n")).collect())
        }
        Err(reason) => (Verdict::Broken(reason), String::new()),
    }
}

/// Boots a scenario that is in no file, and judges it. Returns the verdict, and the lines that the machine printed.
#[must_use]
pub fn boot_scenario(scenario: &Scenario) -> (Verdict, Vec<String>) {
    machine::boot(scenario)
}

/// Whether the READMEs show what the scenario prints.
fn judge_samples(name: &str, printed: &[String]) -> Verdict {
    let samples = match samples(&scenarios().join("../..")) {
        Ok(samples) => samples,
        Err(error) => return Verdict::Broken(format!("cannot read the READMEs: {error}")),
    };
    let of_this = samples.iter().filter(|sample| sample.scenario.as_deref() == Some(name));
    let wrong = of_this.filter_map(|sample| Some((&sample.file, sample.missing_in(printed)?))).next();
    wrong.map_or(Verdict::Pass, |(file, line)| {
        Verdict::Fail(format!(
            "{file} shows `{line}`, which was not printed, or not after what it shows above"
        ))
    })
}

/// Boots the scenario with this name.
///
/// # Panics
///
/// Unless the verdict is [`Verdict::Pass`]; the message holds the reason and the console.
pub fn assert_boots(name: &str) {
    let (verdict, console) = boot(name);
    assert!(verdict == Verdict::Pass, "{name} {verdict}\n--- console ---\n{console}---------------");
}
