//! How the files are written.

use crate::diagnostic::{Diagnostic, did_you_mean};
use crate::manifest::{MAX_DEPTH, Problem, ProblemKind};
use crate::system::Draft;

pub(super) fn unreadable(draft: &Draft<'_>) -> Vec<Diagnostic> {
    each(draft, |problem| match &problem.kind {
        ProblemKind::Unreadable(reason) => {
            let fault = Diagnostic::new(problem.at, reason);
            let inputs = draft.inputs;
            let unread = inputs.unread.as_ref().filter(|_| problem.at.source == inputs.manifest.start.source);
            Some(Diagnostic { help: unread.cloned(), ..fault })
        }
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
        ProblemKind::OtherFile(kind) => {
            let message =
                format!("the key `system` is missing: this is the file of a {kind}, not of a system");
            let help = format!("name a manifest that uses the {kind}, such as manifests/hello.toml");
            Some(Diagnostic::new(problem.at, message).help(help))
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
            let key = problem.spoils.rsplit('.').next().unwrap_or_default();
            Some(Diagnostic { help: right_form(key, expected, found), ..fault })
        }
        _ => None,
    })
}

/// How a value is written that has another form than its key wants, if that can be said.
fn right_form(key: &str, expected: &str, found: &str) -> Option<String> {
    let text = found.strip_prefix("the text ");
    match (expected, found) {
        ("a table", "a list of tables") => {
            Some("open a table by `[NAME]`, in one pair of brackets".to_owned())
        }
        ("true or false", _) => text.map(|_| "write `true` or `false`, without quotes".to_owned()),
        ("a text in quotes", "a list") => Some("write one text, without brackets".to_owned()),
        ("a text in quotes", "true" | "false") => Some(format!("put it in quotes: \"{found}\"")),
        ("a text in quotes", _) => {
            found.strip_prefix("the number ").map(|number| format!("put it in quotes: \"{number}\""))
        }
        _ if expected.starts_with("a list of texts") => text.map(|text| format!("write `{key} = [{text}]`")),
        _ if expected.starts_with("a whole number") => match text {
            Some(text) => Some(right_number(key, text.trim_matches('"'))),
            None if found.contains('.') => {
                unit(key).map(|unit| format!("`{key}` is in {unit}, without a fraction"))
            }
            None => None,
        },
        _ => None,
    }
}

/// The unit that a key names.
fn unit(key: &str) -> Option<&'static str> {
    let units = [("_mib", "MiB"), ("_kib", "KiB"), ("_us", "µs"), ("_mbit", "Mbit/s")];
    units.iter().find(|(end, _)| key.ends_with(end)).map(|(_, unit)| *unit)
}

/// How the number is written that a text says in place of one.
fn right_number(key: &str, text: &str) -> String {
    let unit = unit(key);
    let (number, rest) = text.split_at(text.bytes().take_while(u8::is_ascii_digit).count());
    let is_in_unit = rest.is_empty() || unit.is_some_and(|unit| rest.trim().eq_ignore_ascii_case(unit));
    let how = match number {
        number if is_in_unit && !number.is_empty() => format!("write `{key} = {number}`"),
        _ => "write a number without quotes".to_owned(),
    };
    unit.map_or_else(|| how.clone(), |unit| format!("{how}: it is in {unit}"))
}

fn each(draft: &Draft<'_>, describe: impl Fn(&Problem) -> Option<Diagnostic>) -> Vec<Diagnostic> {
    draft.inputs.problems.iter().filter_map(describe).collect()
}

fn table_name(path: &str) -> String {
    if path.is_empty() { "the file".to_owned() } else { format!("`[{path}]`") }
}
