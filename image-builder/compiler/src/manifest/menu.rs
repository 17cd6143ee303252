//! A menu: several systems on one disc, of which one is chosen when the machine starts.

use super::reader::Reader;
use crate::diagnostic::{At, Span};

/// One `[[menu]]`.
#[derive(Debug, Clone)]
pub struct MenuTable {
    /// Where it begins.
    pub at: Span,
    /// What a person reads.
    pub title: At<String>,
    /// The manifest of the system, seen from the menu's folder.
    pub manifest: At<String>,
}

impl MenuTable {
    pub(super) fn read(reader: &mut Reader<'_, '_>) -> Option<Self> {
        let at = reader.at();
        let title = reader.required_text("title");
        let manifest = reader.required_text("manifest");
        Some(Self { at, title: title?, manifest: manifest? })
    }

    /// The name by which it is chosen: that of its file, without the ending.
    #[must_use]
    pub fn name(&self) -> &str {
        let path = self.manifest.value.as_str();
        let file = path.rsplit('/').next().unwrap_or(path);
        file.strip_suffix(".toml").unwrap_or(file)
    }
}
