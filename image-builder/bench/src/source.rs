//! The kernel's source in figures: how much of it has to be read, and how much of that can break memory.

use std::{fs, io, path::Path};

/// The kernel's folder.
const KERNEL: &str = "core-kernel";
/// Folders of it that do not run in the kernel: tests, and the machine that they simulate.
const TEST_FOLDERS: [&str; 3] = ["tests", "host", "target"];
/// Files that are tests.
const TEST_FILES: [&str; 2] = ["tests.rs", "model.rs"];

/// What a reviewer of the kernel reads.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Source {
    /// Lines that are neither blank, nor comment, nor test.
    pub(super) lines: usize,
    /// Blocks, functions and implementations that are `unsafe`.
    pub(super) unsafe_sites: usize,
}

/// Counts the source of the kernel, of what it is linked with, and of the contract.
pub(super) fn of_kernel(project: &Path) -> io::Result<Source> {
    let mut source = Source::default();
    add_folder(&mut source, &project.join(KERNEL))?;
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
            source.add(&fs::read_to_string(&path)?);
        }
    }
    Ok(())
}

impl Source {
    /// Counts a file. Tests stand at its end, or in files of their own that it names.
    fn add(&mut self, text: &str) {
        let mut lines =
            text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("//"));
        while let Some(line) = lines.next() {
            if line == "#[cfg(test)]" {
                if lines.next().is_some_and(|item| item.ends_with(';')) {
                    continue;
                }
                break;
            }
            self.lines += 1;
            let sites = line.match_indices("unsafe ").filter(|(at, _)| {
                let next = line[at + "unsafe ".len()..].trim_start();
                ["{", "fn ", "impl ", "extern "].iter().any(|begin| next.starts_with(begin))
            });
            self.unsafe_sites += sites.count();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_code_and_not_comments_or_tests() {
        let mut source = Source::default();
        source.add("//! unsafe { }\n\nfn a() {\n    // SAFETY: none\n    unsafe { b() };\n}\nunsafe extern \"C\" {}\n#[cfg(test)]\nmod tests {}\n");
        assert_eq!(source, Source { lines: 4, unsafe_sites: 2 });
        source.add("#[cfg(test)]\nmod tests;\nfn a() {}\n");
        assert_eq!(
            source,
            Source { lines: 5, unsafe_sites: 2 },
            "what follows the name of a file with tests"
        );
    }
}
