//! What a user has added to a manifest on the command line.

use super::Manifest;
use super::reader::{self, Problem};
use crate::diagnostic::{Sources, Span};

/// Domains, ports and forwards as a manifest would state them, merged into one. A switch of the manifest gets the
/// ports that are added to it. A forward that is added takes the place of those that lead to the same port of the
/// same domain.
#[derive(Debug, Clone)]
pub struct Addition {
    /// Its name, after the option that adds it.
    pub name: &'static str,
    /// The text that the manifest would have had.
    pub text: String,
}

impl Addition {
    pub(super) fn read(&self, manifest: &mut Manifest, sources: &mut Sources, problems: &mut Vec<Problem>) {
        let source = sources.add(format!("--{}", self.name), self.text.clone());
        let added = reader::parse(source, &self.text, problems, |reader| {
            let mut added = Manifest::nothing(Span { source, start: 0, end: 0 });
            added.read_parts(reader);
            added
        });
        manifest.domains.extend(added.domains);
        manifest.forwards.retain(|old| !added.forwards.iter().any(|new| new.leads_where(old)));
        manifest.forwards.extend(added.forwards);
        for switch in added.switches {
            match manifest.switches.iter_mut().find(|known| known.name.value == switch.name.value) {
                Some(known) => known.ports.extend(switch.ports),
                None => manifest.switches.push(switch),
            }
        }
    }
}
