//! What the READMEs show as output is what the systems print.
//!
//! ~~~text
//! <!-- printed by tpm-demo-1.2 -->
//! ```text
//! tpmdemo | 24 PCR registers are available
//! ```
//! ~~~
//!
//! Each line `NAME | text` of such a block has to be among the lines of the scenario that is named, those of one domain
//! in this order.
//! What differs from machine to machine or from build to build is taken as the same: quantities with a unit, digests,
//! versions of four numbers. Lines of another form are the tool's own and are not looked at.

use std::{collections::BTreeMap, fs, io, path::Path};

/// A block of output in a README.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// The README, from the project's root.
    pub file: String,
    /// The scenario that prints it, if it is named.
    pub scenario: Option<String>,
    /// Its lines `NAME | text`.
    pub lines: Vec<String>,
}

/// The samples of all READMEs of the project.
///
/// # Errors
/// If a folder or a README cannot be read.
pub fn samples(project: &Path) -> io::Result<Vec<Sample>> {
    let mut found = of_folder(project, project, &["target", ".git"])?;
    found.sort_by(|one, other| one.file.cmp(&other.file));
    Ok(found)
}

fn of_folder(project: &Path, folder: &Path, left_out: &[&str]) -> io::Result<Vec<Sample>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let (path, name) = (entry.path(), entry.file_name());
        if entry.file_type()?.is_dir() && !left_out.iter().any(|out| name == *out) {
            found.extend(of_folder(project, &path, left_out)?);
        } else if name == "README.md" {
            let file = path.strip_prefix(project).unwrap_or(&path).display().to_string();
            found.extend(of_text(&file, &fs::read_to_string(&path)?));
        }
    }
    Ok(found)
}

fn of_text(file: &str, text: &str) -> Vec<Sample> {
    let mut found = Vec::new();
    let mut lines = text.lines().peekable();
    let mut before = "";
    while let Some(line) = lines.next() {
        if line.trim() == "```text" {
            let block: Vec<&str> = lines.by_ref().take_while(|line| line.trim() != "```").collect();
            let shown: Vec<String> =
                block.iter().filter(|line| is_printed(line)).map(|line| squeeze(line)).collect();
            if !shown.is_empty() {
                let named =
                    before.trim().strip_prefix("<!-- printed by ").and_then(|end| end.strip_suffix(" -->"));
                found.push(Sample {
                    file: file.to_owned(),
                    scenario: named.map(str::to_owned),
                    lines: shown,
                });
            }
        }
        before = line;
    }
    found
}

/// Whether a line is one that a domain or the kernel has printed.
fn is_printed(line: &str) -> bool {
    let is_name = |name: &str| {
        let name = name.trim_end().trim_start_matches('*');
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    line.split_once(" | ").is_some_and(|(name, _)| is_name(name))
}

impl Sample {
    /// The first of its lines that the scenario has not printed, after those of the same domain above it. Between
    /// domains there is an order only where they wait for each other.
    #[must_use]
    pub fn missing_in(&self, printed: &[String]) -> Option<&str> {
        let printed: Vec<String> = printed.iter().map(|line| masked(&squeeze(line))).collect();
        let mut next = BTreeMap::new();
        for shown in &self.lines {
            let (from, line) = (next.entry(speaker(shown)).or_insert(0), masked(shown));
            match printed[*from..].iter().position(|other| *other == line) {
                Some(place) => *from += place + 1,
                None => return Some(shown),
            }
        }
        None
    }
}

/// Who has printed a line.
fn speaker(line: &str) -> &str {
    line.split_once(" | ").map_or(line, |(name, _)| name)
}

fn squeeze(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Units of what is measured.
const UNITS: [&str; 9] = ["MHz", "KiB", "MiB", "ms", "s", "sec", "Mbit/s", "Mbits/sec", "MBytes"];

/// A line without what differs from machine to machine.
fn masked(line: &str) -> String {
    let words: Vec<&str> = line.split(' ').collect();
    let bare = |word: &str| word.trim_end_matches([',', ';', ':', '.', ')']).to_owned();
    let is_byte = |at: usize| words.get(at).is_some_and(|word| is_hex_byte(&bare(word)));
    let is_unit = |at: usize| words.get(at).is_some_and(|next| UNITS.contains(&bare(next).as_str()));
    let differs = |at: usize, word: &str| {
        let word = bare(word);
        let is_number = word.parse::<f64>().is_ok();
        let is_version = word.split('.').filter(|part| part.parse::<u32>().is_ok()).count() == 4;
        let is_byte = is_byte(at) && (is_byte(at + 1) || is_byte(at.wrapping_sub(1)));
        (is_number && is_unit(at + 1)) || is_version || is_byte || is_digest(&word)
    };
    let shown: Vec<&str> =
        words.iter().enumerate().map(|(at, word)| if differs(at, word) { "#" } else { word }).collect();
    shown.join(" ")
}

/// One of several bytes of a digest.
fn is_hex_byte(word: &str) -> bool {
    word.len() == 2 && word.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'A'..=b'F'))
}

/// A digest, or its beginning; a number that begins with 0x.
fn is_digest(word: &str) -> bool {
    let digits = word.strip_prefix("0x").unwrap_or(word);
    let is_hex = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hex && (word.len() >= 16 || word.starts_with("0x"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const README: &str = "\
<!-- printed by hello -->
```text
kernel | Cloison 0.1.0, ABI version 2
kernel | clock 2601 MHz
hello  | hello
the tool's own line
```

```text
a | picture
```
";

    fn printed(lines: &[&str]) -> Vec<String> {
        lines.iter().map(|line| (*line).to_owned()).collect()
    }

    #[test]
    fn blocks_with_printed_lines_are_samples() {
        let found = of_text("README.md", README);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].scenario.as_deref(), Some("hello"));
        assert_eq!(found[0].lines.len(), 3);
        assert_eq!(found[1].scenario, None);
    }

    #[test]
    fn a_line_that_is_not_printed_any_more_is_found() {
        let sample = &of_text("README.md", README)[0];
        let today = printed(&[
            "kernel | Cloison 0.1.0, ABI version 2",
            "x",
            "kernel | clock 99 MHz",
            "hello | hello",
        ]);
        assert_eq!(sample.missing_in(&today), None);
        let next =
            printed(&["kernel | Cloison 0.1.0, ABI version 3", "kernel | clock 99 MHz", "hello | hello"]);
        assert_eq!(sample.missing_in(&next), Some("kernel | Cloison 0.1.0, ABI version 2"));
        let elsewhere = ["hello | hello", "kernel | Cloison 0.1.0, ABI version 2", "kernel | clock 99 MHz"];
        assert_eq!(sample.missing_in(&printed(&elsewhere)), None, "domains do not wait for each other");
        let other_order = ["kernel | clock 99 MHz", "kernel | Cloison 0.1.0, ABI version 2", "hello | hello"];
        assert_eq!(sample.missing_in(&printed(&other_order)), Some("kernel | clock 2601 MHz"));
    }

    #[test]
    fn only_what_differs_from_machine_to_machine_is_masked() {
        let same = [
            ("memory 129852 KiB, free 1 KiB", "memory 129916 KiB, free 2 KiB"),
            ("program 239f13b171f9aabb...", "program 0000000000000000..."),
            ("PCR-00: 3A 3F", "PCR-00: FF 00"),
            ("version 1.2.18.158", "version 1.2.17.1"),
            ("features 0x120010020", "features 0x1"),
        ];
        for (one, other) in same {
            assert_eq!(masked(one), masked(other));
        }
        for (one, other) in
            [("24 PCR registers", "16 PCR registers"), ("priority 3,", "priority 2,"), ("a", "b")]
        {
            assert_ne!(masked(one), masked(other));
        }
    }
}
