//! How the files are written.

use crate::diagnostic::{Diagnostic, did_you_mean};
use crate::manifest::{MAX_DEPTH, Problem, ProblemKind};
use crate::system::Draft;

pub(super) fn unreadable(draft: &Draft<'_>) -> Vec<Diagnostic> {
    each(draft, |problem| match &problem.kind {
        ProblemKind::Unreadable(reason) => Some(Diagnostic::new(problem.at, reason)),
        _ => None,
    })
}

pub(super) fn syntax(draft: &Draft<'_>) -> Vec<Diagnostic> {
    each(draft, |problem| match &problem.kind {
        ProblemKind::Syntax(message) => {
            Some(Diagnostic::new(problem.at, format!("this is not TOML: {message}")))
        }
        ProblemKind::TooDeep => {
            let message =
                format!("tables and lists are nested too deep here: at most {MAX_DEPTH} levels are read");
            Some(Diagnostic::new(problem.at, message).help("no key needs more than a few levels"))
        }
        _ => None,
    })
}

pub(super) fn duplicate(draft: &Draft<'_>) -> Vec<Diagnostic> {
    each(draft, |problem| match &problem.kind {
        ProblemKind::Duplicate(name, first) => {
            let fault = Diagnostic::new(problem.at, format!("`{name}` is used twice"))
                .note("used again here")
                .help("remove one of them, or give it another name if the name is yours to choose");
            Some(match first {
                Some(first) => fault.label(*first, "used first here"),
                None => fault,
            })
        }
        _ => None,
    })
}

pub(super) fn unknown_key(draft: &Draft<'_>) -> Vec<Diagnostic> {
    each(draft, |problem| match &problem.kind {
        ProblemKind::UnknownKey(key, table, known) => {
            let fault = Diagnostic::new(problem.at, format!("unknown key `{key}` in {}", table_name(table)));
            Some(fault.help(proposal(key, known)))
        }
        _ => None,
    })
}

fn proposal(key: &str, known: &[&str]) -> String {
    did_you_mean(key, known.iter().copied()).unwrap_or_else(|| format!("known keys: {}", known.join(", ")))
}

pub(super) fn missing_key(draft: &Draft<'_>) -> Vec<Diagnostic> {
    each(draft, |problem| match &problem.kind {
        ProblemKind::MissingKey(key, table, expected) => {
            let fault =
                Diagnostic::new(problem.at, format!("the key `{key}` is missing in {}", table_name(table)));
            Some(fault.help(format!("add {}", example(key, expected))))
        }
        _ => None,
    })
}

fn example(key: &str, expected: &str) -> String {
    match key {
        "system" | "machine" => format!("a table `[{key}]`"),
        "platform" => "`platform = \"qemu-q35\"`, or another file of manifests/platforms".to_owned(),
        "component" => "`component = ` and the name of a folder of domains".to_owned(),
        _ => format!("`{key} = ` and {expected}"),
    }
}

pub(super) fn wrong_value(draft: &Draft<'_>) -> Vec<Diagnostic> {
    each(draft, |problem| match &problem.kind {
        ProblemKind::WrongValue(expected, found) => {
            let fault = Diagnostic::new(problem.at, format!("expected {expected}, found {found}"));
            Some(match (expected.as_str(), found.as_str()) {
                ("a table", "a list of tables") => {
                    fault.help("open a table by `[NAME]`, in one pair of brackets")
                }
                _ => fault,
            })
        }
        _ => None,
    })
}

fn each(draft: &Draft<'_>, describe: impl Fn(&Problem) -> Option<Diagnostic>) -> Vec<Diagnostic> {
    draft.inputs.problems.iter().filter_map(describe).collect()
}

fn table_name(path: &str) -> String {
    if path.is_empty() { "the file".to_owned() } else { format!("`[{path}]`") }
}
