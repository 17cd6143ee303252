//! One mistake gives one fault: what follows from it is not told beside it.
//!
//! Each key, value, name and table of manifests that have them all is damaged by itself, in several ways, and so is
//! each of every system that is shipped.

#[path = "support/slips.rs"]
mod slips;
mod support;

use std::fs;
use std::ops::Range;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use image_compiler::{Diagnostic, Workspace};
use slips::{names, settings, slip, tables};
use support::{fixtures, is_menu, project};

/// A system without a fault.
struct Sample {
    name: String,
    text: String,
    workspace: Workspace,
    is_shipped: bool,
}

/// Manifests of the tests' own components with all keys, then each that is shipped.
fn samples() -> Vec<Sample> {
    let own = [
        "everything",
        "two-switches",
        "guests",
        "disks",
        "on-request",
        "device-on-request",
        "management",
        "policy",
    ];
    let own = own.map(|name| (fixtures(), fixtures().root.join(format!("manifests/{name}.toml"))));
    let shipped = fs::read_dir(project().join("manifests")).unwrap().map(|entry| entry.unwrap().path());
    let shipped = shipped.filter(|path| path.extension().is_some_and(|end| end == "toml") && !is_menu(path));
    let shipped = shipped.map(|path| (Workspace { root: project() }, path));
    let sample = |(workspace, path): (Workspace, PathBuf)| Sample {
        name: path.file_name().unwrap().display().to_string(),
        text: fs::read_to_string(&path).unwrap(),
        is_shipped: workspace.root == project(),
        workspace,
    };
    own.into_iter().chain(shipped).map(sample).collect()
}

/// What a load finds: `ID MESSAGE`, one a line.
fn faults(workspace: &Workspace, folder: &Path, text: &str) -> Vec<String> {
    let path = folder.join("manifests/changed.toml");
    fs::write(&path, text).unwrap();
    match image_compiler::load(workspace, &path) {
        Ok(_) => Vec::new(),
        Err(report) => {
            // It has to be able to be shown as well.
            assert!(report.to_string().contains("changed.toml"));
            let all = report.diagnostics().iter();
            let line = |fault: &Diagnostic| format!("{} {} ({:?})", fault.id, fault.message, fault.help);
            let (broken, others): (Vec<_>, Vec<_>) = all.partition(|fault| fault.id == "M125");
            // Each assertion is a question of its own, with a way of its own to show.
            broken.into_iter().take(1).chain(others).map(line).collect()
        }
    }
}

/// The text with a part of it replaced.
fn changed(text: &str, part: Range<usize>, by: &str) -> String {
    let mut text = text.to_owned();
    text.replace_range(part, by);
    text
}

/// A folder for manifests, with the files that they name.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("manifests")).unwrap();
    symlink(fixtures().root.join("files"), folder.path().join("files")).unwrap();
    folder
}

/// How many faults a change may give.
#[derive(Clone, Copy, PartialEq)]
enum Gives {
    One,
    /// What is left can be as good.
    OneOrNone,
}

/// A change: what it is, and the text then.
type Change = (String, String, Gives);

/// Makes every change of every sample, and shows all that give another number of faults.
fn assert_one_fault(changes: impl Fn(&Sample) -> Vec<Change>) {
    let folder = folder();
    let mut count = 0;
    let mut wrong = Vec::new();
    for sample in samples() {
        for (what, text, gives) in changes(&sample) {
            count += 1;
            let found = faults(&sample.workspace, folder.path(), &text);
            if found.len() > 1 || (found.is_empty() && gives == Gives::One) {
                wrong.push(format!("{}: {what}: {found:#?}", sample.name));
            }
        }
    }
    assert!(count > 100, "only {count} changes");
    assert!(wrong.is_empty(), "{} of {count} changes:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn a_value_of_a_wrong_type() {
    assert_one_fault(|Sample { text, is_shipped, .. }| {
        let wrong = |value: &str| match value.chars().next() {
            Some('"') => ["3", "[3]", "true"],
            Some('t') => ["3", "\"yes\"", "[]"],
            Some('[') => ["3", "\"one\"", "[3]"],
            Some('{') => ["3", "\"one\"", "[3]"],
            _ => ["-1", "\"10\"", "1.5"],
        };
        let change = |setting: slips::Setting| {
            let key = text[setting.key].to_owned();
            wrong(&text[setting.value.clone()])
                .map(|by| (format!("{key} = {by}"), changed(text, setting.value.clone(), by), Gives::One))
        };
        // That a value is of another type is the reader's to see, so one type does for those that are shipped.
        let all = settings(text).into_iter();
        all.flat_map(|setting| change(setting).into_iter().take(if *is_shipped { 1 } else { 3 })).collect()
    });
}

/// A number that nothing can be, a list or text of nothing.
#[test]
fn a_value_out_of_range() {
    assert_one_fault(|Sample { text, .. }| {
        let values = |value: &str| match value.chars().next() {
            Some('"') => vec!["\"\"", "\"x\""],
            Some('[') => vec!["[]"],
            Some('0'..='9') => vec!["0", "1", "1_000_000", "9_000_000_000", "9223372036854775807"],
            _ => Vec::new(),
        };
        let change = |setting: slips::Setting| {
            let key = text[setting.key].to_owned();
            let each =
                |by| (format!("{key} = {by}"), changed(text, setting.value.clone(), by), Gives::OneOrNone);
            values(&text[setting.value.clone()]).into_iter().map(each).collect::<Vec<_>>()
        };
        settings(text).into_iter().flat_map(change).collect()
    });
}

#[test]
fn a_misspelled_key() {
    assert_one_fault(|Sample { text, .. }| {
        let change = |setting: slips::Setting| {
            let by = slip(&text[setting.key.clone()]);
            (format!("{by} in byte {}", setting.key.start), changed(text, setting.key, &by), Gives::One)
        };
        settings(text).into_iter().map(change).collect()
    });
}

#[test]
fn a_misspelled_name() {
    assert_one_fault(|Sample { text, .. }| {
        let change = |word: Range<usize>| {
            let by = slip(&text[word.clone()]);
            (format!("{by} in byte {}", word.start), changed(text, word.clone(), &by), gives(text, &word))
        };
        names(text).into_iter().map(change).collect()
    });
}

/// The name of something begins with a capital, and all that refers to it does not; or the other way round.
#[test]
fn a_name_that_cannot_be_one() {
    assert_one_fault(|Sample { text, .. }| {
        let change = |word: Range<usize>| {
            let by = text[word.start..=word.start].to_uppercase() + &text[word.start + 1..word.end];
            (format!("{by} in byte {}", word.start), changed(text, word, &by), Gives::One)
        };
        names(text).into_iter().map(change).collect()
    });
}

/// A name in the head of a table can be another one, if nothing refers to it.
fn gives(text: &str, word: &Range<usize>) -> Gives {
    let is_head = text[..word.start].rsplit('\n').next().unwrap().starts_with('[');
    if is_head { Gives::OneOrNone } else { Gives::One }
}

#[test]
fn a_table_twice_or_as_a_list() {
    assert_one_fault(|Sample { text, .. }| {
        let heads = text.lines().filter(|line| line.starts_with('[') && !line.starts_with("[["));
        let change = |head: &str| {
            let twice = format!("{text}\n{head}\n");
            let listed = text.replacen(&format!("{head}\n"), &format!("[{head}]\n"), 1);
            [(format!("{head} twice"), twice, Gives::One), (format!("[{head}]"), listed, Gives::One)]
        };
        heads.flat_map(change).collect()
    });
}

#[test]
fn a_table_left_out() {
    assert_one_fault(|Sample { text, .. }| {
        let change = |table: Range<usize>| {
            let head = text[table.clone()].lines().next().unwrap().to_owned();
            (format!("without {head}"), changed(text, table, ""), Gives::OneOrNone)
        };
        tables(text).into_iter().map(change).collect()
    });
}

/// Keys that can be left out, so that what is left is as good.
const OPTIONAL: [&str; 47] = [
    "counts",
    "cpu_percent",
    "keeps_rights",
    "start",
    "images",
    "address",
    "allow",
    "arguments",
    "best_effort",
    "budget_us",
    "burst_kib",
    "census",
    "cmdline",
    "crates",
    "disks",
    "ends_with",
    "gate",
    "gateway",
    "heap_kib",
    "host_port",
    "initramfs",
    "keeps_apart",
    "kib",
    "lines",
    "locality",
    "log",
    "mac",
    "manage",
    "mirror",
    "mtu",
    "name_server",
    "on",
    "on_fault",
    "period_us",
    "priority",
    "rate_mbit",
    "read_only",
    "rests_on_at_most",
    "saves",
    "sends_to",
    "stack_kib",
    "unsafe",
    "uplink_vlan",
    "vcpus",
    "vlan",
    "walls",
    "why",
];

#[test]
fn more_domains_than_fit() {
    let folder = folder();
    let head = "[system]\nname = \"test\"\nplatform = \"machine\"\n";
    for count in [40, 70, 500] {
        let domains = (0..count).map(|number| format!("[domain.d{number}]\ncomponent = \"quiet\"\n"));
        let found = faults(&fixtures(), folder.path(), &(head.to_owned() + &domains.collect::<String>()));
        assert_eq!(found.len(), 1, "{count} domains: {found:#?}");
        assert!(found[0].starts_with("M060"), "{count} domains: {found:#?}");
    }
}

#[test]
fn a_number_that_is_too_large_is_told_so() {
    let folder = folder();
    let text = |number| {
        let head = "[system]\nname = \"test\"\nplatform = \"machine\"\n";
        format!("{head}[domain.quiet]\ncomponent = \"quiet\"\nstack_kib = {number}\n")
    };
    for number in ["18446744073709551616", "0x1_0000_0000_0000_0000", "99999999999999999999999"] {
        let found = faults(&fixtures(), folder.path(), &text(number));
        assert_eq!(found.len(), 1, "{number}: {found:#?}");
        assert!(found[0].starts_with("M006 expected a whole number of at most 18446744073709551615, found"));
    }
    let found = faults(&fixtures(), folder.path(), &text("18446744073709551615"));
    assert!(found.len() == 1 && found[0].starts_with("M050"), "{found:#?}");
}

#[test]
fn a_key_left_out() {
    assert_one_fault(|Sample { text, .. }| {
        let change = |setting: slips::Setting| {
            let key = &text[setting.key.clone()];
            let gives = if OPTIONAL.contains(&key) || key.starts_with("uses.") {
                Gives::OneOrNone
            } else {
                Gives::One
            };
            (format!("without {key} in byte {}", setting.key.start), setting.removed(text), gives)
        };
        settings(text).into_iter().map(change).collect()
    });
}

#[test]
fn a_key_twice() {
    assert_one_fault(|Sample { text, .. }| {
        let change = |setting: slips::Setting| {
            (format!("twice {}", &text[setting.key.clone()]), setting.twice(text), Gives::One)
        };
        settings(text).into_iter().map(change).collect()
    });
}

#[test]
fn a_broken_line_end_or_quote() {
    assert_one_fault(|Sample { text, is_shipped, .. }| {
        let breaks = [("\n", "\r"), ("\"", ""), ("[", ""), ("]", ""), (" = ", " "), ("{", ""), ("}", "")];
        // The parser's part; what is in the tables is of no account.
        let breaks = breaks.into_iter().filter(|_| !is_shipped);
        let all = breaks.flat_map(|(part, by)| {
            // A carriage return before another newline is half of a line end.
            let is_change = move |at: &usize| part != "\n" || !text[at + 1..].starts_with('\n');
            let places = text.match_indices(part).map(|(at, _)| at).filter(is_change);
            places.map(move |at| {
                let what = format!("{part:?} in byte {at} is {by:?}");
                (what, changed(text, at..at + part.len(), by), Gives::One)
            })
        });
        all.chain([("all in one line".to_owned(), text.replace('\n', "\r"), Gives::One)]).collect()
    });
}
