//! Questions as they are written.
//!
//! ```text
//! can SET reach SET [by KIND, …] [not through SET] [while SET is stopped]
//! who can reach SET …  |  whom can SET reach …  |  does every way from SET to SET pass SET …  |  who holds RIGHT
//! SET = TERM, … [but TERM, …]
//! TERM = NAME | domain:NAME | guest:NAME | device:NAME | outside:NAME | type:NAME | outside | any
//! ```

use super::Misunderstood;
use crate::diagnostic::{did_you_mean, propose};
use crate::flow::Kind;

/// A question.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say what they are")]
pub enum Question {
    /// Whether something can get from one set to another.
    Reach { from: Set, to: Set, only: Only },
    /// From where something can get to a set.
    WhoReaches { to: Set, only: Only },
    /// To where something can get from a set.
    ReachesWhom { from: Set, only: Only },
    /// Whether nothing gets from one set to another but through a third.
    EveryWay { from: Set, to: Set, pass: Set, only: Only },
    /// Who holds a right.
    Holds { right: String },
}

/// The ways that a question is about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Only {
    /// By these means; by all, if there are none.
    pub by: Vec<Kind>,
    /// Not through these.
    pub not_through: Option<Set>,
    /// While these are stopped.
    pub stopped: Option<Set>,
}

/// A set of nodes: those of a list, without those of others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Set {
    /// The list.
    pub all: Vec<Term>,
    /// What is left out of it.
    pub but: Vec<Term>,
}

/// A part of a set.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say what they are")]
pub enum Term {
    /// Everything.
    Any,
    /// All that is connected to devices.
    Outside,
    /// A domain, or the builder.
    Name(String),
    /// A domain, whatever its name means else.
    Domain(String),
    Guest(String),
    Device(String),
    /// What is connected to one device.
    Behind(String),
    /// Domains of one type.
    Type(String),
}

/// Words that end a set.
const RESERVED: [&str; 13] =
    ["reach", "but", "by", "not", "through", "while", "is", "stopped", "to", "pass", ",", "can", "from"];

/// Reads a question.
pub(super) fn parse(text: &str) -> Result<Question, Misunderstood> {
    let text = text.trim();
    let spaced = text.strip_suffix('?').unwrap_or(text).replace(',', " , ");
    let mut words = Words { all: spaced.split_whitespace().collect(), next: 0 };
    let question = question(&mut words)?;
    match words.take() {
        None => Ok(question),
        Some(word) => Err(words.unexpected(word, &["by", "not", "while", "but", ","])),
    }
}

fn question(words: &mut Words<'_>) -> Result<Question, Misunderstood> {
    match words.one_of(&["can", "who", "whom", "does"])? {
        "can" => {
            let from = set(words)?;
            words.expect(&["reach"])?;
            Ok(Question::Reach { from, to: set(words)?, only: only(words)? })
        }
        "whom" => {
            words.expect(&["can"])?;
            let from = set(words)?;
            words.expect(&["reach"])?;
            Ok(Question::ReachesWhom { from, only: only(words)? })
        }
        "does" => {
            words.expect(&["every", "way", "from"])?;
            let from = set(words)?;
            words.expect(&["to"])?;
            let to = set(words)?;
            words.expect(&["pass"])?;
            Ok(Question::EveryWay { from, to, pass: set(words)?, only: only(words)? })
        }
        _ => match words.one_of(&["can", "holds"])? {
            "can" => {
                words.expect(&["reach"])?;
                Ok(Question::WhoReaches { to: set(words)?, only: only(words)? })
            }
            _ => Ok(Question::Holds { right: words.name("a right")?.to_owned() }),
        },
    }
}

fn only(words: &mut Words<'_>) -> Result<Only, Misunderstood> {
    let mut only = Only::default();
    if words.skip("by") {
        only.by = listed(words, kind)?;
    }
    if words.skip("not") {
        words.expect(&["through"])?;
        only.not_through = Some(set(words)?);
    }
    if words.skip("while") {
        only.stopped = Some(set(words)?);
        words.expect(&["is", "stopped"])?;
    }
    Ok(only)
}

fn kind(words: &mut Words<'_>) -> Result<Kind, Misunderstood> {
    let word = words.name("a means")?;
    let known = Kind::ALL.iter().find(|(_, name)| *name == word);
    known.map(|(kind, _)| *kind).ok_or_else(|| {
        let names = Kind::ALL.iter().map(|(_, name)| *name);
        Misunderstood::new(format!("nothing flows by `{word}`"), propose(word, "means", names))
    })
}

fn set(words: &mut Words<'_>) -> Result<Set, Misunderstood> {
    let all = listed(words, term)?;
    let mut but = Vec::new();
    while words.skip("but") {
        but.extend(listed(words, term)?);
    }
    Ok(Set { all, but })
}

fn listed<'t, T>(
    words: &mut Words<'t>,
    read: impl Fn(&mut Words<'t>) -> Result<T, Misunderstood>,
) -> Result<Vec<T>, Misunderstood> {
    let mut all = vec![read(words)?];
    while words.skip(",") {
        all.push(read(words)?);
    }
    Ok(all)
}

fn term(words: &mut Words<'_>) -> Result<Term, Misunderstood> {
    const KINDS: [&str; 5] = ["domain", "guest", "device", "outside", "type"];
    let word = words.name("a name")?;
    let Some((kind, name)) = word.split_once(':') else {
        return Ok(match word {
            "any" => Term::Any,
            "outside" => Term::Outside,
            name => Term::Name(name.to_owned()),
        });
    };
    let name = name.to_owned();
    match kind {
        "domain" => Ok(Term::Domain(name)),
        "guest" => Ok(Term::Guest(name)),
        "device" => Ok(Term::Device(name)),
        "outside" => Ok(Term::Behind(name)),
        "type" => Ok(Term::Type(name)),
        other => {
            let message = format!("`{other}:` begins no name");
            Err(Misunderstood::new(message, propose(other, "kind of name", KINDS)))
        }
    }
}

/// The words of a question, and how far they have been read.
struct Words<'t> {
    all: Vec<&'t str>,
    next: usize,
}

impl<'t> Words<'t> {
    fn take(&mut self) -> Option<&'t str> {
        let word = self.all.get(self.next).copied();
        self.next += usize::from(word.is_some());
        word
    }

    /// Takes the next word if it is this one.
    fn skip(&mut self, word: &str) -> bool {
        let is_next = self.all.get(self.next) == Some(&word);
        self.next += usize::from(is_next);
        is_next
    }

    /// Takes these words, which have to follow.
    fn expect(&mut self, words: &[&'static str]) -> Result<(), Misunderstood> {
        words.iter().try_for_each(|word| self.one_of(&[word]).map(drop))
    }

    /// Takes one of these words, which has to follow.
    fn one_of(&mut self, words: &[&'static str]) -> Result<&'static str, Misunderstood> {
        let Some(word) = self.take() else { return Err(self.too_short(&quoted(words))) };
        words.iter().copied().find(|known| *known == word).ok_or_else(|| self.unexpected(word, words))
    }

    /// Takes a word that is none of the language's own.
    fn name(&mut self, what: &str) -> Result<&'t str, Misunderstood> {
        let Some(word) = self.take() else { return Err(self.too_short(what)) };
        if RESERVED.contains(&word) {
            let (place, help) = (self.before(), format!("a domain of that name is `domain:{word}`"));
            return Err(Misunderstood::new(format!("expected {what}{place}, found `{word}`"), help));
        }
        Ok(word)
    }

    fn unexpected(&self, word: &str, known: &[&'static str]) -> Misunderstood {
        let message = format!("expected {}{}, found `{word}`", quoted(known), self.before());
        let help = did_you_mean(word, known.iter().copied());
        Misunderstood { message, help: Some(help.unwrap_or_else(|| super::FORMS.to_owned())) }
    }

    fn too_short(&self, what: &str) -> Misunderstood {
        let last = self.all.last().map_or(String::new(), |word| format!(" after `{word}`"));
        Misunderstood::new(format!("expected {what}{last}, found nothing more"), super::FORMS)
    }

    /// The word before the one that was taken last.
    fn before(&self) -> String {
        let before = self.next.checked_sub(2).and_then(|place| self.all.get(place));
        before.map_or(String::new(), |word| format!(" after `{word}`"))
    }
}

fn quoted(words: &[&str]) -> String {
    let words: Vec<_> = words.iter().map(|word| format!("`{word}`")).collect();
    words.join(" or ")
}
