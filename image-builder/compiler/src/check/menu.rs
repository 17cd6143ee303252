//! Menus: several systems on one disc.

use std::collections::BTreeMap;

use crate::diagnostic::{At, Diagnostic};
use crate::manifest::MenuTable;
use crate::system::Draft;

/// Longest title.
const MAX_TITLE: usize = 60;
/// Most systems of a menu: a person looks through them.
const MAX_ENTRIES: usize = 20;

pub(super) fn entries(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let manifest = &draft.inputs.manifest;
    let mut faults: Vec<Diagnostic> = manifest.menu.iter().filter_map(title).collect();
    faults.extend(manifest.menu.iter().filter_map(name));
    let mut earlier = BTreeMap::new();
    for entry in &manifest.menu {
        if let Some(first) = earlier.insert(entry.name(), entry.manifest.span) {
            let message = format!("`{}` is in the menu twice", entry.name());
            let fault = Diagnostic::new(entry.manifest.span, message).label(first, "the first");
            faults.push(fault.help("remove one of them, or give its file another name"));
        }
    }
    if let Some(entry) = manifest.menu.get(MAX_ENTRIES) {
        let message = format!("the menu has {} systems, {MAX_ENTRIES} are the most", manifest.menu.len());
        faults.push(Diagnostic::new(entry.at, message).help("make two menus of it"));
    }
    if !manifest.menu.is_empty() && manifest.has_system() {
        let fault = Diagnostic::new(manifest.menu[0].at, "a menu beside a system");
        faults.push(fault.help("put the system into a manifest of its own, and name that in the menu"));
    }
    faults
}

/// A boot loader reads it, from within quotes.
fn title(MenuTable { title: At { value, span }, .. }: &MenuTable) -> Option<Diagnostic> {
    let is_fine = |byte: u8| (b' '..=b'~').contains(&byte) && byte != b'\'';
    let is_plain = value.bytes().all(is_fine) && (1..=MAX_TITLE).contains(&value.trim().len());
    let help = format!("use 1 to {MAX_TITLE} visible ASCII characters other than '");
    (!is_plain).then(|| Diagnostic::new(*span, "the boot loader cannot show this title").help(help))
}

/// So is the name of its file on the disc.
fn name(entry: &MenuTable) -> Option<Diagnostic> {
    let is_fine = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let is_plain = !entry.name().is_empty() && entry.name().bytes().all(is_fine);
    let message = format!("`{}` cannot be chosen by its name", entry.name());
    let help = "give the file a name of a-z, 0-9 and -, and `.toml` behind it";
    (!is_plain).then(|| Diagnostic::new(entry.manifest.span, message).help(help))
}
