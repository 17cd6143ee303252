//! What a line asks for, and what its words can become.

use alloc::{borrow::ToOwned, string::String, vec::Vec};

use bmi_api::{OPTIONS, closest, did_you_mean, text};
use cloison_abi::Name;

/// What a line of the shell asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// Nothing.
    Empty,
    /// `h`: which commands there are.
    Help,
    /// `ps`: all domains.
    Domains,
    /// `l NAME`: load and start a domain.
    Load(&'a str),
    /// `caps NAME`: whom a domain can reach.
    Caps(Name),
    /// `log [NAME]`: what was said last; the empty name: by all.
    Log(Name),
    /// `switch [N or NAME]`: the terminals, or give the focus to one.
    Switch(Option<&'a str>),
    /// `bmic ...`: what stands behind it.
    Bmic(&'a str),
    /// `exit`: the shell ends.
    Exit,
}

/// Why a line asks for nothing, for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrongLine(pub String);

/// The commands: their words, what stands behind them, and what they do.
const COMMANDS: [(&str, &str, &str); 8] = [
    ("h", "", "this list"),
    ("ps", "", "all domains"),
    ("l", "NAME", "load and start a domain, or NAME.cfg, a group"),
    ("caps", "NAME", "whom a domain can tell something, who tells it, and how far that leads"),
    ("log", "[NAME]", "what was said last, by all or by one domain"),
    ("switch", "[N]", "the terminals; give the focus to the one with this number or name"),
    ("bmic", "OPTION ...", "start, watch and end domains; bmic --help lists the options"),
    ("exit", "", "end this shell"),
];

/// The list of commands, a line each.
pub const HELP: Help = Help;

/// The list of commands.
#[derive(Clone, Copy, Debug)]
pub struct Help;

impl Help {
    /// Its lines.
    pub fn lines(self) -> impl Iterator<Item = String> {
        COMMANDS.iter().map(|(word, operands, meaning)| {
            let what = text(format_args!("{word} {operands}"));
            text(format_args!("{what:<16} {meaning}"))
        })
    }
}

impl<'a> Line<'a> {
    /// Reads a line.
    ///
    /// # Errors
    /// [`WrongLine`] says what is wrong, and what was probably meant.
    pub fn parse(line: &'a str) -> Result<Self, WrongLine> {
        let line = line.trim();
        let (word, rest) = line.split_once(' ').map_or((line, ""), |(word, rest)| (word, rest.trim()));
        let operands: Vec<&str> = rest.split_ascii_whitespace().collect();
        Ok(match (word, &operands[..]) {
            ("", _) => Self::Empty,
            ("bmic", _) => Self::Bmic(rest),
            ("h", []) => Self::Help,
            ("ps", []) => Self::Domains,
            ("exit", []) => Self::Exit,
            ("l", [name]) => Self::Load(name),
            ("caps", [name]) => Self::Caps(domain(name)?),
            ("log", []) => Self::Log(Name::EMPTY),
            ("log", [name]) => Self::Log(domain(name)?),
            ("switch", []) => Self::Switch(None),
            ("switch", [which]) => Self::Switch(Some(which)),
            _ => return Err(wrong(word)),
        })
    }
}

fn domain(name: &str) -> Result<Name, WrongLine> {
    Name::new(name).ok_or_else(|| WrongLine(text(format_args!("`{name}` is no name of a domain"))))
}

fn wrong(word: &str) -> WrongLine {
    let command = COMMANDS.iter().find(|(known, ..)| *known == word);
    WrongLine(match command {
        Some((_, "", _)) => text(format_args!("behind `{word}` stands nothing")),
        Some((_, operands, _)) => text(format_args!("behind `{word}` stands {operands}")),
        None => {
            let meant = closest(word, COMMANDS.map(|(known, ..)| known));
            let meant = meant.map_or("h lists them".to_owned(), did_you_mean);
            text(format_args!("there is no command `{word}`; {meant}"))
        }
    })
}

/// The names that can be completed.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// All domains.
    pub domains: &'a [Name],
    /// Groups that can be started.
    pub groups: &'a [Name],
}

/// What the last word of a line can become.
#[must_use]
pub fn complete(line: &str, known: Known<'_>) -> Vec<String> {
    let mut words: Vec<&str> = line.split(' ').collect();
    let begun = words.pop().unwrap_or_default();
    words.retain(|word| !word.is_empty());
    let domains = || known.domains.iter().map(|name| name.as_str().to_owned());
    let startable = || domains().chain(known.groups.iter().map(|name| text(format_args!("{name}.cfg"))));
    let all: Vec<String> = match &words[..] {
        [] => COMMANDS.iter().map(|(word, ..)| (*word).to_owned()).collect(),
        ["bmic"] => OPTIONS.map(ToOwned::to_owned).to_vec(),
        ["l"] | ["bmic", "--start"] => startable().collect(),
        ["caps" | "log" | "switch"] | ["bmic", _] => domains().collect(),
        _ => Vec::new(),
    };
    all.into_iter().filter(|word| word.starts_with(begun)).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn named(text: &str) -> Name {
        Name::new(text).unwrap()
    }

    #[test]
    fn each_command_is_read() {
        let cases = [
            ("", Line::Empty),
            ("   ", Line::Empty),
            ("h", Line::Help),
            (" ps ", Line::Domains),
            ("l stpm", Line::Load("stpm")),
            ("caps  ore", Line::Caps(named("ore"))),
            ("log", Line::Log(Name::EMPTY)),
            ("log ore", Line::Log(named("ore"))),
            ("switch", Line::Switch(None)),
            ("switch 2", Line::Switch(Some("2"))),
            ("bmic", Line::Bmic("")),
            ("bmic  --kill  stpm ", Line::Bmic("--kill  stpm")),
            ("exit", Line::Exit),
        ];
        for (text, line) in cases {
            assert_eq!(Line::parse(text), Ok(line), "{text}");
        }
        for (word, ..) in COMMANDS {
            assert!(cases.iter().any(|(text, _)| text.trim().split(' ').next() == Some(word)), "{word}");
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        let cases = [
            ("bmci --list", "there is no command `bmci`; did you mean `bmic`?"),
            ("frobnicate", "there is no command `frobnicate`; h lists them"),
            ("h x", "behind `h` stands nothing"),
            ("caps", "behind `caps` stands NAME"),
            ("log a b", "behind `log` stands [NAME]"),
            ("caps a-name-that-is-too-long", "`a-name-that-is-too-long` is no name of a domain"),
        ];
        for (text, message) in cases {
            assert_eq!(Line::parse(text), Err(WrongLine(message.into())), "{text}");
        }
    }

    #[test]
    fn words_are_completed_by_their_place() {
        let known = Known { domains: &["stpm", "tpmdemo", "run"].map(named), groups: &[named("test")] };
        let cases: &[(&str, &[&str])] = &[
            ("", &["h", "ps", "l", "caps", "log", "switch", "bmic", "exit"]),
            ("b", &["bmic"]),
            ("bmic --st", &["--start", "--start-linux"]),
            ("bmic --start t", &["tpmdemo", "test.cfg"]),
            ("bmic  --kill st", &["stpm"]),
            ("l ", &["stpm", "tpmdemo", "run", "test.cfg"]),
            ("caps r", &["run"]),
            ("switch x", &[]),
            ("ps ", &[]),
        ];
        for (text, words) in cases {
            assert_eq!(complete(text, known), *words, "{text}");
        }
    }

    proptest! {
        /// Whatever is typed, it is read or refused, and completed or not.
        #[test]
        fn any_text(text in "[ -~]{0,40}") {
            let _ = Line::parse(&text);
            let words = complete(&text, Known { domains: &[named("stpm")], groups: &[] });
            let begun = text.rsplit(' ').next().unwrap_or_default();
            prop_assert!(words.iter().all(|word| word.starts_with(begun)));
        }
    }
}
