//! What a line of `bmic` asks for.

use alloc::{string::String, vec::Vec};
use core::fmt;

use cloison_abi::Name;

use crate::{closest, text};

/// What ends the name of a group.
const GROUP_ENDING: &str = ".cfg";

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Which commands there are.
    Help,
    /// Which version this is.
    Version,
    /// All domains. With more: their lives and programs.
    List {
        /// With `-v`.
        with_more: bool,
    },
    /// All that is known of a domain.
    Info(Name),
    /// How much memory is free.
    Budget,
    /// Start a domain.
    Start(Name),
    /// Start all domains of a group.
    StartGroup(Name),
    /// Start a guest with this kernel and this much memory.
    StartLinux {
        /// The kernel's name.
        image: Name,
        /// Its memory.
        mib: u32,
    },
    /// Start a domain with this program from now on.
    SetImage(Name, Name),
    /// Ask a domain to end, and wait for this number of seconds.
    Shutdown(Name, u16),
    /// End a domain.
    Kill(Name),
    /// Hold a domain.
    Pause(Name),
    /// Let it go on.
    Resume(Name),
    /// Keep what a domain is, and end it.
    Save(Name),
    /// Let it go on from there.
    Restore(Name),
}

/// Why a line asks for nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageError(pub String);

impl fmt::Display for UsageError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl core::error::Error for UsageError {}

/// An option, what stands behind it, and what it does.
struct Form {
    option: &'static str,
    operands: &'static str,
    meaning: &'static str,
}

const fn form(option: &'static str, operands: &'static str, meaning: &'static str) -> Form {
    Form { option, operands, meaning }
}

/// How long `--shutdown` waits unless it is said, in seconds.
const GRACE: u16 = 5;

const FORMS: [Form; 14] = [
    form("--list", "[-v]", "all domains: state, memory; with -v lives and programs, too"),
    form("--info", "NAME", "all that is known of one, and why it has faulted"),
    form("--budget", "", "memory for domains that are started: all, free, in one piece"),
    form("--start", "NAME", "start a domain; NAME.cfg: all domains of a group"),
    form("--start-linux", "IMAGE MIB", "start a guest with this kernel and so much memory"),
    form("--set-image", "NAME IMAGE", "the program with which a domain is started from now on"),
    form("--shutdown", "NAME [SECONDS]", "ask a domain to end, and wait for 5 seconds or as many"),
    form("--kill", "NAME", "end a domain, whatever it does, and take its memory"),
    form("--pause", "NAME", "hold a domain; who calls it waits"),
    form("--resume", "NAME", "let it go on"),
    form("--save", "NAME", "keep what a domain is, in place of its life"),
    form("--restore", "NAME", "let it go on from where it was saved, once"),
    form("--help", "", "this list"),
    form("--version", "", "which version this is"),
];

/// All options.
pub const OPTIONS: [&str; FORMS.len()] = {
    let mut options = [""; FORMS.len()];
    let mut place = 0;
    while place < FORMS.len() {
        options[place] = FORMS[place].option;
        place += 1;
    }
    options
};

/// The manual, a line each.
pub const MANUAL: Manual = Manual;

/// The manual.
#[derive(Clone, Copy, Debug)]
pub struct Manual;

impl Manual {
    /// Its lines.
    pub fn lines(self) -> impl Iterator<Item = String> {
        let head = ["bmic: has domains started, watched and ended, as far as the manifest lets this domain"];
        let tail = ["exit status: 0 done, 1 refused or failed, 2 the line is wrong or names nobody"];
        let forms = FORMS.iter().map(|form| {
            let what = text(format_args!("{} {}", form.option, form.operands));
            text(format_args!("  {what:<26} {}", form.meaning))
        });
        head.map(String::from).into_iter().chain(forms).chain(tail.map(String::from))
    }
}

impl Command {
    /// Reads a line without the word `bmic`.
    ///
    /// # Errors
    /// [`UsageError`] says what is wrong, and what was probably meant.
    pub fn parse(line: &str) -> Result<Self, UsageError> {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let Some((option, operands)) = words.split_first() else {
            return Err(UsageError("no option is given; bmic --help lists them".into()));
        };
        let form = FORMS.iter().find(|form| form.option == *option).ok_or_else(|| unknown_option(option))?;
        form.fill(operands)
    }
}

fn unknown_option(option: &str) -> UsageError {
    let meant = closest(option, OPTIONS).map_or(String::from("bmic --help lists them"), did_you_mean);
    UsageError(text(format_args!("there is no option `{option}`; {meant}")))
}

/// A proposal.
#[must_use]
pub fn did_you_mean(word: &str) -> String {
    text(format_args!("did you mean `{word}`?"))
}

impl Form {
    /// The command, with its operands.
    fn fill(&self, operands: &[&str]) -> Result<Command, UsageError> {
        Ok(match (self.option, operands) {
            ("--list", []) => Command::List { with_more: false },
            ("--list", ["-v"]) => Command::List { with_more: true },
            ("--budget", []) => Command::Budget,
            ("--help", []) => Command::Help,
            ("--version", []) => Command::Version,
            ("--info", [domain]) => Command::Info(name(domain)?),
            ("--start", [start]) => match start.strip_suffix(GROUP_ENDING) {
                Some(group) => Command::StartGroup(name(group)?),
                None => Command::Start(name(start)?),
            },
            ("--start-linux", [image, mib]) => {
                Command::StartLinux { image: name(image)?, mib: number(mib, "MiB")? }
            }
            ("--set-image", [domain, image]) => Command::SetImage(name(domain)?, name(image)?),
            ("--shutdown", [domain]) => Command::Shutdown(name(domain)?, GRACE),
            ("--shutdown", [domain, seconds]) => {
                Command::Shutdown(name(domain)?, number(seconds, "seconds")?)
            }
            ("--kill", [domain]) => Command::Kill(name(domain)?),
            ("--pause", [domain]) => Command::Pause(name(domain)?),
            ("--resume", [domain]) => Command::Resume(name(domain)?),
            ("--save", [domain]) => Command::Save(name(domain)?),
            ("--restore", [domain]) => Command::Restore(name(domain)?),
            _ => return Err(self.misused()),
        })
    }

    fn misused(&self) -> UsageError {
        let Self { option, operands, .. } = self;
        let behind = if operands.is_empty() { "nothing" } else { operands };
        UsageError(text(format_args!("behind {option} stands {behind}: {}", self.meaning)))
    }
}

fn name(typed: &str) -> Result<Name, UsageError> {
    let is_one = |typed: &&str| !typed.is_empty() && !typed.starts_with('-');
    let name = Some(typed).filter(is_one).and_then(Name::new);
    name.ok_or_else(|| {
        UsageError(text(format_args!("`{typed}` is no name: at most {} letters and digits", Name::BYTES)))
    })
}

fn number<N: core::str::FromStr>(typed: &str, of: &str) -> Result<N, UsageError> {
    typed.parse().map_err(|_| UsageError(text(format_args!("`{typed}` is no number of {of}"))))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use std::string::ToString;

    use super::*;

    extern crate std;

    fn named(text: &str) -> Name {
        Name::new(text).unwrap()
    }

    #[test]
    fn each_option_has_its_command() {
        let (stpm, old) = (named("stpm"), named("stpm-old"));
        let cases = [
            ("--list", Command::List { with_more: false }),
            ("--list -v", Command::List { with_more: true }),
            ("--info stpm", Command::Info(stpm)),
            ("--budget", Command::Budget),
            ("  --start\t stpm ", Command::Start(stpm)),
            ("--start ipcmon_test.cfg", Command::StartGroup(named("ipcmon_test"))),
            ("--start-linux vmlinux 15", Command::StartLinux { image: named("vmlinux"), mib: 15 }),
            ("--set-image stpm stpm-old", Command::SetImage(stpm, old)),
            ("--shutdown stpm", Command::Shutdown(stpm, 5)),
            ("--shutdown stpm 0", Command::Shutdown(stpm, 0)),
            ("--kill stpm", Command::Kill(stpm)),
            ("--pause stpm", Command::Pause(stpm)),
            ("--resume stpm", Command::Resume(stpm)),
            ("--save stpm", Command::Save(stpm)),
            ("--restore stpm", Command::Restore(stpm)),
            ("--help", Command::Help),
            ("--version", Command::Version),
        ];
        for (line, command) in cases {
            assert_eq!(Command::parse(line), Ok(command), "{line}");
        }
        for option in OPTIONS {
            assert!(cases.iter().any(|(line, _)| line.trim().starts_with(option)), "{option} has no case");
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        let cases = [
            ("", "no option is given; bmic --help lists them"),
            ("--strat stpm", "there is no option `--strat`; did you mean `--start`?"),
            ("start stpm", "there is no option `start`; did you mean `--start`?"),
            ("frobnicate", "there is no option `frobnicate`; bmic --help lists them"),
            ("--kill", "behind --kill stands NAME: end a domain, whatever it does, and take its memory"),
            ("--kill a b", "behind --kill stands NAME: end a domain, whatever it does, and take its memory"),
            (
                "--budget x",
                "behind --budget stands nothing: memory for domains that are started: all, free, in one piece",
            ),
            (
                "--list stpm",
                "behind --list stands [-v]: all domains: state, memory; with -v lives and programs, too",
            ),
            (
                "--kill a-name-that-is-too-long",
                "`a-name-that-is-too-long` is no name: at most 16 letters and digits",
            ),
            ("--kill --list", "`--list` is no name: at most 16 letters and digits"),
            ("--start .cfg", "`` is no name: at most 16 letters and digits"),
            ("--start-linux vmlinux many", "`many` is no number of MiB"),
            ("--start-linux vmlinux 99999999999", "`99999999999` is no number of MiB"),
            ("--shutdown stpm -1", "`-1` is no number of seconds"),
        ];
        for (line, message) in cases {
            assert_eq!(Command::parse(line).unwrap_err().to_string(), message, "{line}");
        }
    }

    #[test]
    fn the_manual_names_each_option_and_fits_on_the_console() {
        let lines: Vec<String> = MANUAL.lines().collect();
        for option in OPTIONS {
            assert_eq!(lines.iter().filter(|line| line.trim().split(' ').next() == Some(option)).count(), 1);
        }
        assert!(lines.iter().all(|line| line.len() <= 110), "{lines:?}");
    }

    /// BMI's manual, as far as it has options and operations in tables.
    fn rows() -> impl Iterator<Item = Vec<&'static str>> {
        let lines = include_str!("../../README.md").lines().filter(|line| line.starts_with("| "));
        lines.map(|line| line.split('|').collect())
    }

    #[test]
    fn the_readme_has_a_row_for_each_option_and_says_which_operation_it_takes() {
        let named =
            |cell: &str, word: &str| cell.split('`').any(|part| part.split(' ').any(|one| one == word));
        for option in OPTIONS {
            assert!(rows().any(|row| named(row[1], option)), "{option}");
        }
        for operation in cloison_abi::management::Operation::ALL.map(|operation| operation.name()) {
            let takes = |row: &Vec<&str>| row.len() > 3 && named(row[3], operation);
            assert!(
                rows().any(|row| takes(&row) && named(row[1], &["--", operation].concat())),
                "{operation}"
            );
            // Either the report's BMI has it, or the table says that it has not.
            let is_compared = |row: &Vec<&str>| row.len() == 4 && named(row[2], operation);
            assert!(rows().any(|row| is_compared(&row)), "{operation}");
        }
    }

    proptest! {
        /// Whatever is typed, it is a command, or it is said what is wrong.
        #[test]
        fn any_line(
            words in prop::collection::vec(prop_oneof![prop::sample::select(&OPTIONS[..]).prop_map(String::from), ".*"], 0..5)
        ) {
            if let Err(error) = Command::parse(&words.join(" ")) {
                prop_assert!(!error.0.is_empty());
            }
        }
    }
}
