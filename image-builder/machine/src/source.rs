//! Source in figures: how much of it there is to be read, and how much of that can break memory.

use std::{fs, io, path::Path};

use image_compiler::trust::Source;

/// Folders that do not run in what is compiled: tests, and machines that they simulate.
const TEST_FOLDERS: [&str; 4] = ["tests", "benches", "host", "target"];
/// Files that are tests.
const TEST_FILES: [&str; 2] = ["tests.rs", "model.rs"];

/// Counts all source in a folder and in those below it.
///
/// # Errors
///
/// When a file cannot be read.
pub fn of_folder(folder: &Path) -> io::Result<Source> {
    let mut source = Source::default();
    add_folder(&mut source, folder)?;
    Ok(source)
}

fn add_folder(source: &mut Source, folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        if entry.file_type()?.is_dir() {
            if !TEST_FOLDERS.contains(&name.as_str()) {
                add_folder(source, &path)?;
            }
        } else if name.ends_with(".rs") && !TEST_FILES.contains(&name.as_str()) {
            add(source, &fs::read_to_string(&path)?);
        }
    }
    Ok(())
}

/// Counts a file, but for what is compiled for tests alone.
fn add(source: &mut Source, text: &str) {
    let is_code = |line: &&str| !line.trim().is_empty() && !line.trim_start().starts_with("//");
    let mut lines = text.lines().filter(is_code);
    while let Some(whole) = lines.next() {
        let line = whole.trim();
        if line == "#[cfg(test)]" {
            // An item ends where rustfmt ends it: as far to the left as it began.
            let indent = &whole[..whole.len() - whole.trim_start().len()];
            let is_end = |rest: &str| {
                rest.starts_with('}') || !rest.starts_with(' ') && rest.ends_with([';', '}', ','])
            };
            lines.by_ref().find(|item| item.strip_prefix(indent).is_some_and(is_end));
            continue;
        }
        source.lines += 1;
        let sites = line.match_indices("unsafe ").filter(|(at, _)| {
            let next = line[at + "unsafe ".len()..].trim_start();
            ["{", "fn ", "impl ", "extern "].iter().any(|begin| next.starts_with(begin))
        });
        source.unsafe_sites += sites.count() as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_code_and_not_comments_or_tests() {
        let mut source = Source::default();
        add(
            &mut source,
            "//! unsafe { }\n\nfn a() {\n    // SAFETY: none\n    unsafe { b() };\n}\nunsafe extern \"C\" {}\n#[cfg(test)]\nmod tests {}\n",
        );
        assert_eq!(source, Source { lines: 4, unsafe_sites: 2 });
        add(&mut source, "#[cfg(test)]\nmod tests;\nfn a() {}\n");
        assert_eq!(
            source,
            Source { lines: 5, unsafe_sites: 2 },
            "what follows the name of a file with tests"
        );
        let amid = "impl A {\n    fn a() {}\n    #[cfg(test)]\n    fn b() {\n        unsafe { c() };\n    }\n    fn d() {}\n}\n";
        let mut source = Source::default();
        add(&mut source, amid);
        assert_eq!(source, Source { lines: 4, unsafe_sites: 0 }, "a test amid the code, and what follows");
    }
}
