//! Questions about what can flow in a system, and their answers.
//!
//! | module | what it does |
//! |---|---|
//! | `parse` | reads a question |
//! | `sets` | looks up whom it names |
//! | `search` | finds the shortest way |
//! | `answer` | says it |

mod answer;
mod parse;
mod search;
mod sets;

use crate::diagnostic::{Span, propose};
use crate::flow::{Flows, NodeId};
use crate::system::{Right, System};
use parse::{Only, Question, Set};
use search::{Way, Ways};
use sets::Members;

/// The forms of a question, for those whose question has none of them.
pub const FORMS: &str = "ask `can A reach B`, `who can reach B`, `whom can A reach`, `does every way from A to B pass C` \
                         or `who holds RIGHT`; `by`, `not through` and `while … is stopped` may follow";

/// What is taken for granted of those who could pass on more than they say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Assume {
    /// That devices, and domains of which the manifest says so, do what they are meant to.
    Usual,
    /// Nothing.
    Nothing,
}

/// The answer to a question.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Whether it is yes; of a list, whether there is something in it.
    pub is_yes: bool,
    /// The answer without the way.
    pub summary: String,
    /// The answer in words, some lines.
    pub text: String,
    /// The way that it speaks of, if it speaks of one.
    pub way: Vec<Step>,
}

/// A step of a way.
#[derive(Debug, Clone)]
pub struct Step {
    /// From whom to whom, and by what.
    pub text: String,
    /// The places of the manifest that allow it.
    pub at: Vec<Span>,
}

/// Why a question has no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misunderstood {
    /// What is wrong with it.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
}

impl Answer {
    /// An answer of one line.
    fn short(is_yes: bool, text: String) -> Self {
        Self { is_yes, summary: text.clone(), text: text + "\n", way: Vec::new() }
    }
}

impl Misunderstood {
    fn new(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { message: message.into(), help: Some(help.into()) }
    }
}

/// Whether a text is a question at all; whom it names is not looked at.
///
/// # Errors
///
/// What is wrong with it.
pub fn understand(question: &str) -> Result<(), Misunderstood> {
    parse::parse(question).map(drop)
}

/// Answers a question about a system.
///
/// # Errors
///
/// What is wrong with the question.
pub fn ask(system: &System, question: &str, assume: Assume) -> Result<Answer, Misunderstood> {
    ask_about(system, &Flows::new(system), question, assume)
}

/// The same, with the graph of what flows in the system.
///
/// # Errors
///
/// What is wrong with the question.
pub fn ask_about(
    system: &System,
    flows: &Flows,
    question: &str,
    assume: Assume,
) -> Result<Answer, Misunderstood> {
    let asked = Asked { system, flows, assume };
    match parse::parse(question)? {
        Question::Reach { from, to, only } => asked.reach(&from, &to, &only),
        Question::WhoReaches { to, only } => asked.list(&to, &only, Direction::To),
        Question::ReachesWhom { from, only } => asked.list(&from, &only, Direction::From),
        Question::EveryWay { from, to, pass, only } => asked.every_way(&from, &to, &pass, &only),
        Question::Holds { right } => asked.holds(&right),
    }
}

/// What a question is about.
struct Asked<'a> {
    system: &'a System,
    flows: &'a Flows,
    assume: Assume,
}

/// Whether a list is of those from whom, or to whom something can get.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    From,
    To,
}

impl Asked<'_> {
    fn reach(&self, from: &Set, to: &Set, only: &Only) -> Result<Answer, Misunderstood> {
        let ways = self.ways(only, None)?;
        Ok(match self.search(&ways, from, to)? {
            Some(way) => self.found("yes", &ways, &way),
            None => self.none("no: there is no way"),
        })
    }

    fn every_way(&self, from: &Set, to: &Set, pass: &Set, only: &Only) -> Result<Answer, Misunderstood> {
        let ways = self.ways(only, Some(pass))?;
        let answer = match self.search(&ways, from, to)? {
            Some(way) => Answer { is_yes: false, ..self.found("no, one does not", &ways, &way) },
            None => {
                let all = self.ways(only, None)?;
                let is_any = self.search(&all, from, to)?.is_some();
                let text =
                    if is_any { "yes: without it there is no way" } else { "yes: there is no way at all" };
                Answer { is_yes: true, ..self.none(text) }
            }
        };
        Ok(answer)
    }

    fn list(&self, set: &Set, only: &Only, direction: Direction) -> Result<Answer, Misunderstood> {
        let ways = self.ways(only, None)?;
        let ends = self.ends(&ways, set)?;
        let distances = match direction {
            Direction::To => ways.distances_to(&ends),
            Direction::From => ways.distances_from(&ends),
        };
        let nodes = self.flows.nodes().map(|(node, _)| node).filter(|node| !ends.has(*node));
        let mut found: Vec<_> = nodes.filter_map(|node| Some((distances[node.0]?, node))).collect();
        found.sort_unstable();
        Ok(self.listed(&found))
    }

    fn holds(&self, right: &str) -> Result<Answer, Misunderstood> {
        if Right::is_builders(right) {
            let text =
                format!("nobody: the {right} is the builder's, which drops it when the system is built");
            return Ok(Answer::short(false, text));
        }
        let names = Right::ALL.map(Right::name);
        let Some(known) = Right::from_name(right) else {
            return Err(Misunderstood::new(
                format!("there is no right `{right}`"),
                propose(right, "right", names),
            ));
        };
        Ok(self.held(known))
    }

    /// The shortest way from one set to another.
    fn search(&self, ways: &Ways<'_>, from: &Set, to: &Set) -> Result<Option<Way>, Misunderstood> {
        let (from, to) = (self.ends(ways, from)?, self.ends(ways, to)?);
        if from.count() == 1 && from == to {
            let name = from.all().next().map_or("", |node| self.flows.name(node));
            let message = format!("both ends of the way are `{name}`");
            return Err(Misunderstood::new(message, "name two that differ"));
        }
        Ok(ways.shortest(&from, &to))
    }

    /// The ways that a question is about, without those through a set.
    fn ways(&self, only: &Only, without: Option<&Set>) -> Result<Ways<'_>, Misunderstood> {
        let mut removed = Members::none(self.flows);
        for set in [&only.not_through, &only.stopped].into_iter().flatten().chain(without) {
            removed.add(&Members::of(self.flows, set)?);
        }
        let is_nothing_assumed = self.assume == Assume::Nothing;
        Ok(Ways { flows: self.flows, removed, kinds: only.by.clone(), is_nothing_assumed })
    }

    /// The nodes at an end of ways. A question about none would be answered with no whatever the system is.
    fn ends(&self, ways: &Ways<'_>, set: &Set) -> Result<Members, Misunderstood> {
        let mut members = Members::of(self.flows, set)?;
        if members.is_empty() {
            return Err(Misunderstood::new("nobody is in a set", "take less out of it"));
        }
        members.remove(&ways.removed);
        if members.is_empty() {
            let message = "an end of the way is not to be passed, or is stopped";
            return Err(Misunderstood::new(message, "name another end, or leave it out of the others"));
        }
        Ok(members)
    }

    fn name(&self, node: NodeId) -> &str {
        self.flows.name(node)
    }
}
