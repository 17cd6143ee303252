//! A mutation as it is written down.
//!
//! ```text
//! # What would be wrong with a kernel that has this change: the reason why a test has to notice.
//! file: core-kernel/rules/src/region.rs
//! notices: test cloison-rules a_parent_with_children_is_of_no_use
//! - let free = !found.holds_page_tables && found.is_clean() && !self.has_children(region.id);
//! + let free = !found.holds_page_tables && found.is_clean();
//! ```
//!
//! The `-` lines stand one below the other in the file, once, and become the `+` lines. Indentation does not count,
//! so that formatting the file changes nothing. A line that stands in the file more than once is made unique by a
//! neighbour, which is then among both the `-` lines and the `+` lines.

use std::{fmt, fs, path::Path};

/// The folders of mutations, and what the files in each may change.
const FOLDERS: [(&str, &[&str]); 3] = [
    ("kernel", &["core-kernel/"]),
    ("domains", &["libos/", "domains/"]),
    ("verifier", &["image-builder/verifier/", "image-builder/compiler/"]),
];

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mutation {
    /// The file's name.
    pub name: String,
    /// Why a test has to notice.
    pub reason: String,
    /// The file that changes, from the project's root.
    pub file: String,
    /// The test that has to notice.
    pub notices: Notices,
    before: Vec<String>,
    after: Vec<String>,
}

/// A test that has to notice.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Notices {
    /// The boot scenario of this name.
    Boot(String),
    /// The tests of a package whose names contain this text, or all of its tests.
    Test(String, Option<String>),
}

impl fmt::Display for Notices {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Boot(scenario) => write!(out, "boot {scenario}"),
            Self::Test(package, None) => write!(out, "test {package}"),
            Self::Test(package, Some(filter)) => write!(out, "test {package} {filter}"),
        }
    }
}

impl Notices {
    fn parse(text: &str) -> Option<Self> {
        let mut words = text.split_whitespace();
        let (kind, name, filter) = (words.next()?, words.next()?.to_owned(), words.next().map(str::to_owned));
        match (kind, filter, words.next()) {
            ("boot", None, None) => Some(Self::Boot(name)),
            ("test", filter, None) => Some(Self::Test(name, filter)),
            _ => None,
        }
    }
}

impl Mutation {
    /// Reads all mutations of a project, in the order of their names.
    ///
    /// # Errors
    /// The first file that cannot be read or understood, or that changes what is not its folder's, and why.
    pub fn read_all(project: &Path) -> Result<Vec<Self>, String> {
        let mut mutations = Vec::new();
        for (folder, may_change) in FOLDERS {
            let folder = project.join("tests/mutations").join(folder);
            let entries = fs::read_dir(&folder)
                .map_err(|error| format!("cannot read {}: {error}", folder.display()))?;
            for entry in entries {
                let path =
                    entry.map_err(|error| format!("cannot read {}: {error}", folder.display()))?.path();
                let mutation = Self::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
                if !may_change.iter().any(|part| mutation.file.starts_with(part)) {
                    return Err(format!(
                        "{}: it changes {}, which is not in {}",
                        path.display(),
                        mutation.file,
                        may_change.join(" or ")
                    ));
                }
                mutations.push(mutation);
            }
        }
        mutations.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(mutations)
    }

    fn read(path: &Path) -> Result<Self, String> {
        let text = fs::read_to_string(path).map_err(|error| format!("cannot read it: {error}"))?;
        Self::parse(&path.file_name().unwrap_or_default().to_string_lossy(), &text)
    }

    /// Reads one mutation.
    ///
    /// # Errors
    /// What is missing or not understood.
    pub fn parse(name: &str, text: &str) -> Result<Self, String> {
        let (mut reason, mut before, mut after) = (Vec::new(), Vec::new(), Vec::new());
        let (mut file, mut notices) = (None, None);
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            if let Some(words) = line.strip_prefix('#') {
                reason.push(words.trim());
            } else if let Some(old) = line.strip_prefix('-') {
                before.push(old.trim().to_owned());
            } else if let Some(new) = line.strip_prefix('+') {
                after.push(new.trim().to_owned());
            } else if let Some(path) = line.strip_prefix("file:") {
                file = Some(path.trim().to_owned());
            } else if let Some(test) = line.strip_prefix("notices:") {
                notices = Some(Notices::parse(test).ok_or_else(|| {
                    format!("`{line}` should be `notices: boot SCENARIO` or `notices: test PACKAGE [NAME]`")
                })?);
            } else {
                return Err(format!(
                    "`{line}` is none of: `# reason`, `file:`, `notices:`, `- old line`, `+ new line`"
                ));
            }
        }
        let file = file.ok_or("`file:` is missing")?;
        let notices = notices.ok_or("`notices:` is missing")?;
        if reason.is_empty() || before.is_empty() {
            return Err("a reason (`# …`) and at least one `-` line are needed".to_owned());
        }
        if before == after {
            return Err("the `+` lines are the `-` lines".to_owned());
        }
        Ok(Self { name: name.to_owned(), reason: reason.join(" "), file, notices, before, after })
    }

    /// The text of the file with this change.
    ///
    /// # Errors
    /// If the `-` lines do not stand in the text exactly once.
    pub fn apply(&self, text: &str) -> Result<String, String> {
        let lines: Vec<&str> = text.lines().collect();
        let stands_at = |at: &usize| {
            let place = lines.get(*at..*at + self.before.len());
            place.is_some_and(|place| place.iter().zip(&self.before).all(|(line, old)| line.trim() == old))
        };
        let places: Vec<usize> = (0..lines.len()).filter(stands_at).collect();
        let [place] = places[..] else {
            return Err(format!(
                "`{}` stands {} times in {}, and should stand there once",
                self.before.join(" / "),
                places.len(),
                self.file
            ));
        };
        let (before, rest) = lines.split_at(place);
        let after = self.after.iter().map(String::as_str);
        let changed = before.iter().copied().chain(after).chain(rest[self.before.len()..].iter().copied());
        Ok(changed.flat_map(|line| [line, "\n"]).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str =
        "# Nobody is asked.\nfile: a.rs\nnotices: test rules asks\n- ask()?;\n- act();\n+ act();\n";

    #[test]
    fn lines_are_changed_where_they_stand() {
        let mutation = Mutation::parse("m", TEXT).unwrap();
        assert_eq!(mutation.apply("x\n    ask()?;\n    act();\ny\n").unwrap(), "x\nact();\ny\n");
        assert_eq!(mutation.notices, Notices::Test("rules".into(), Some("asks".into())));
    }

    #[test]
    fn a_line_that_is_not_there_once_is_an_error() {
        let mutation = Mutation::parse("m", TEXT).unwrap();
        assert!(mutation.apply("act();\n").unwrap_err().contains("stands 0 times"));
        assert!(mutation.apply("ask()?;\nact();\nask()?;\nact();\n").unwrap_err().contains("stands 2 times"));
    }

    #[test]
    fn what_is_missing_is_said() {
        for (text, said) in [
            ("file: a\nnotices: boot b\n- x\n", "a reason"),
            ("# r\nnotices: boot b\n- x\n", "`file:` is missing"),
            ("# r\nfile: a\n- x\n", "`notices:` is missing"),
            ("# r\nfile: a\nnotices: boot b c\n- x\n", "should be"),
            ("# r\nfile: a\nnotices: boot b\n- x\n+ x\n", "the `+` lines are"),
            ("# r\nfile: a\nnotices: boot b\nx\n", "is none of"),
        ] {
            let error = Mutation::parse("m", text).unwrap_err();
            assert!(error.contains(said), "{text}: {error}");
        }
    }
}
