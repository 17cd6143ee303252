//! One mistake gives one fault: what follows from it is not told beside it.
//!
//! Each key and each name of a manifest that has them all is damaged by itself, in several ways.

mod support;

use std::fs;
use std::ops::Range;
use std::os::unix::fs::symlink;
use std::path::Path;

use support::fixtures;

/// What a load finds: `ID MESSAGE`, one a line.
fn faults(folder: &Path, text: &str) -> Vec<String> {
    let path = folder.join("manifests/changed.toml");
    fs::write(&path, text).unwrap();
    match image_compiler::load(&fixtures(), &path) {
        Ok(_) => Vec::new(),
        Err(report) => {
            // It has to be able to be shown as well.
            assert!(report.to_string().contains("changed.toml"));
            let all = report.diagnostics().iter();
            all.map(|fault| format!("{} {} ({:?})", fault.id, fault.message, fault.help)).collect()
        }
    }
}

fn manifest(name: &str) -> String {
    fs::read_to_string(fixtures().root.join("manifests").join(name)).unwrap()
}

/// The text with a part of it replaced.
fn changed(text: &str, part: Range<usize>, by: &str) -> String {
    let mut text = text.to_owned();
    text.replace_range(part, by);
    text
}

/// Lines that set a key: where the key is, and its value.
fn keys(text: &str) -> Vec<(Range<usize>, Range<usize>)> {
    let mut start = 0;
    let mut keys = Vec::new();
    for line in text.split_inclusive('\n') {
        let content = line.trim_end();
        if let Some((key, value)) = content.split_once(" = ").filter(|_| !content.starts_with('#')) {
            keys.push((start..start + key.len(), start + content.len() - value.len()..start + content.len()));
        }
        start += line.len();
    }
    keys
}

/// Words in quotes and in heads of tables that can be misspelled: names of domains, components, devices, rights.
fn names(text: &str) -> Vec<Range<usize>> {
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || letter == '-';
    let mut names = Vec::new();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let is_head = line.starts_with('[');
        let is_number = |word: &str| word.chars().all(|letter| letter.is_ascii_digit() || letter == '-');
        let mut quoted = false;
        let mut word = None;
        for (at, letter) in line.char_indices().filter(|_| !line.starts_with('#')) {
            quoted ^= letter == '"';
            match (is_part(letter) && (is_head || quoted), word) {
                (true, None) => word = Some(at),
                (false, Some(first)) => {
                    if !is_number(&line[first..at]) {
                        names.push(start + first..start + at);
                    }
                    word = None;
                }
                _ => {}
            }
        }
        start += line.len();
    }
    names
}

/// Words in quotes that are no names: free text, addresses.
fn is_free(text: &str, word: &Range<usize>) -> bool {
    let line = text[..word.start].rfind('\n').map_or(0, |newline| newline + 1);
    let key = text[line..].split(" = ").next().unwrap();
    // Nobody else refers to these.
    let lonely = [
        "first", "quiet", "shell", "linux1", "linux2", "plain", "writer1", "writer2", "writer3", "boss",
        "worker",
    ];
    let is_lonely = lonely.contains(&&text[word.clone()]) && text[line..].starts_with('[');
    is_lonely
        || ["arguments", "cmdline", "mac", "why"].contains(&key)
        || (key == "name" && text[..line].ends_with("[system]\n"))
}

/// A folder for manifests, with the files that they name.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("manifests")).unwrap();
    symlink(fixtures().root.join("files"), folder.path().join("files")).unwrap();
    folder
}

/// Runs every change of the manifests and shows all that do not give exactly one fault.
fn assert_one_fault(changes: impl Iterator<Item = (String, String)>) {
    let folder = folder();
    let mut count = 0;
    let mut wrong = Vec::new();
    for (what, text) in changes {
        count += 1;
        let found = faults(folder.path(), &text);
        if found.len() != 1 {
            wrong.push(format!("{what}: {found:#?}"));
        }
    }
    assert!(count > 20, "only {count} changes");
    assert!(wrong.is_empty(), "{} of {count} changes:\n{}", wrong.len(), wrong.join("\n"));
}

const MANIFESTS: [&str; 5] =
    ["everything.toml", "two-switches.toml", "guests.toml", "disks.toml", "on-request.toml"];

#[test]
fn a_value_of_a_wrong_type() {
    let wrong = |value: &str| match value.chars().next() {
        Some('"') => ["3", "[3]", "true"],
        Some('t') => ["3", "\"yes\"", "[]"],
        Some('[') => ["3", "\"one\"", "[3]"],
        Some('{') => ["3", "[]", "{ form = \"stpm\" }"],
        _ => ["-1", "\"10\"", "1.5"],
    };
    let all = MANIFESTS.iter().flat_map(|name| {
        let text = manifest(name);
        let change = move |(key, value): (Range<usize>, Range<usize>)| {
            let (text, name) = (text.clone(), *name);
            wrong(&text[value.clone()]).map(|by| {
                let what = format!("{name}: {} = {by}", &text[key.clone()]);
                (what, changed(&text, value.clone(), by))
            })
        };
        keys(&manifest(name)).into_iter().flat_map(change)
    });
    assert_one_fault(all);
}

#[test]
fn a_misspelled_key() {
    let all = MANIFESTS.iter().flat_map(|name| {
        let text = manifest(name);
        let change = move |(key, _): (Range<usize>, Range<usize>)| {
            let written = text[key.clone()].to_owned();
            let by = slip(&written);
            (format!("{name}: {by}"), changed(&text, key, &by))
        };
        keys(&manifest(name)).into_iter().map(change)
    });
    assert_one_fault(all);
}

#[test]
fn a_misspelled_name() {
    let all = MANIFESTS.iter().flat_map(|name| {
        let text = manifest(name);
        let words = names(&text).into_iter().filter(|word| !is_free(&manifest(name), word));
        words
            .map(move |word| {
                let by = slip(&text[word.clone()]);
                (format!("{name}, byte {}: {by}", word.start), changed(&text, word, &by))
            })
            .collect::<Vec<_>>()
    });
    assert_one_fault(all);
}

/// A word with two letters swapped, or one more.
fn slip(word: &str) -> String {
    let mut letters: Vec<char> = word.chars().collect();
    let last = letters.len() - 1;
    match letters.len() {
        1 => letters.push('x'),
        _ if letters[last - 1] == letters[last] || letters.contains(&'.') => letters.insert(last, 'q'),
        _ => letters.swap(last - 1, last),
    }
    letters.into_iter().collect()
}

#[test]
fn a_table_twice_or_as_a_list() {
    let all = MANIFESTS.iter().flat_map(|name| {
        let text = manifest(name);
        let heads = text.lines().filter(|line| line.starts_with('[')).map(str::to_owned).collect::<Vec<_>>();
        heads.into_iter().flat_map(move |head| {
            let twice = format!("{text}\n{head}\n");
            let listed = text.replacen(&format!("{head}\n"), &format!("[{head}]\n"), 1);
            [(format!("{name}: {head} twice"), twice), (format!("{name}: [{head}]"), listed)]
        })
    });
    assert_one_fault(all);
}

/// Keys that can be left out, so that what is left is as good.
const OPTIONAL: [&str; 34] = [
    "address",
    "arguments",
    "budget_us",
    "burst_kib",
    "best_effort",
    "census",
    "cmdline",
    "disks",
    "ends_with",
    "gate",
    "gateway",
    "heap_kib",
    "host_port",
    "initramfs",
    "keeps_apart",
    "log",
    "mac",
    "mirror",
    "mtu",
    "name_server",
    "on_fault",
    "period_us",
    "priority",
    "rate_mbit",
    "read_only",
    "saves",
    "sends_to",
    "rests_on_at_most",
    "stack_kib",
    "uplink_vlan",
    "uses.next",
    "vcpus",
    "vlan",
    "why",
];

#[test]
fn more_domains_than_fit() {
    let folder = folder();
    let head = "[system]\nname = \"test\"\nplatform = \"machine\"\n";
    for count in [40, 70, 500] {
        let domains = (0..count).map(|number| format!("[domain.d{number}]\ncomponent = \"quiet\"\n"));
        let found = faults(folder.path(), &(head.to_owned() + &domains.collect::<String>()));
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
        let found = faults(folder.path(), &text(number));
        assert_eq!(found.len(), 1, "{number}: {found:#?}");
        assert!(found[0].starts_with("M006 expected a whole number of at most 18446744073709551615, found"));
    }
    let found = faults(folder.path(), &text("18446744073709551615"));
    assert!(found.len() == 1 && found[0].starts_with("M050"), "{found:#?}");
}

#[test]
fn a_key_left_out() {
    let all = MANIFESTS.iter().flat_map(|name| {
        let text = manifest(name);
        let keys = keys(&text).into_iter();
        let keys =
            keys.filter(|(key, _)| !OPTIONAL.contains(&&manifest(name)[key.clone()])).collect::<Vec<_>>();
        keys.into_iter().map(move |(key, value)| {
            let line = text[key.start..value.end].to_owned();
            (format!("{name}: without {line}"), changed(&text, key.start..value.end, ""))
        })
    });
    assert_one_fault(all);
}

#[test]
fn a_key_twice() {
    let all = MANIFESTS.iter().flat_map(|name| {
        let text = manifest(name);
        keys(&text).into_iter().map(move |(key, value)| {
            let line = text[key.start..value.end].to_owned();
            (format!("{name}: twice {line}"), changed(&text, value.end..value.end, &format!("\n{line}")))
        })
    });
    assert_one_fault(all);
}

#[test]
fn a_broken_line_end_or_quote() {
    let text = manifest("everything.toml");
    let breaks = [("\n", "\r"), ("\"", ""), ("[", ""), ("]", ""), (" = ", " "), ("{", ""), ("}", "")];
    let all = breaks.into_iter().flat_map(|(part, by)| {
        let text = text.clone();
        // A carriage return before another newline is half of a line end.
        let is_change = |at: &usize| part != "\n" || !text[at + 1..].starts_with('\n');
        let places: Vec<usize> = text.match_indices(part).map(|(at, _)| at).filter(is_change).collect();
        places
            .into_iter()
            .map(move |at| (format!("{part:?} at {at} is {by:?}"), changed(&text, at..at + part.len(), by)))
    });
    assert_one_fault(all);
    assert_one_fault(std::iter::repeat_n(("all".to_owned(), text.replace('\n', "\r")), 21));
}
