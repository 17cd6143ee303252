//! The kernel's source in figures: how much of it has to be read, and how much of that can break memory.

use std::{fs, io, path::Path};

/// The kernel's folder.
const KERNEL: &str = "core-kernel";
/// Folders of it that do not run in the kernel.
const TESTS: [&str; 2] = ["tests", "target"];

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
            if !TESTS.contains(&name.as_str()) {
                add_folder(source, &path)?;
            }
        } else if name.ends_with(".rs") && name != "tests.rs" {
            source.add(&fs::read_to_string(&path)?);
        }
    }
    Ok(())
}

impl Source {
    /// Counts a file. Tests stand at its end.
    fn add(&mut self, text: &str) {
        let code = text.lines().map(str::trim).take_while(|line| *line != "#[cfg(test)]");
        for line in code.filter(|line| !line.is_empty() && !line.starts_with("//")) {
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
    }
}
