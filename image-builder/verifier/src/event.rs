//! What is said of an event of the log.

use cloison_measure::{
    Bank, Digests,
    log::{LogEvent, kind},
};

/// The most letters of an event's text that are shown.
const SHOWN: usize = 80;
/// What stands between the name of a part and its digest in the loader's events.
const NAME_END: &str = " sha256:";

/// What an event that nobody has foretold is called: by its text, if that is what has been measured.
pub(crate) fn name_of(event: &LogEvent<'_>) -> String {
    match shown(event.data).split_once(NAME_END) {
        Some((name, _)) if is_measured(event) => name.to_owned(),
        _ => format!("an event of kind {:#x}", event.kind),
    }
}

/// Whether an event's text is what has been measured. What is no action was in no register.
pub(crate) fn is_measured(event: &LogEvent<'_>) -> bool {
    event.kind != kind::NO_ACTION && Digests::of(event.data).get(Bank::Sha256) == event.digest(Bank::Sha256)
}

/// Text of somebody else, as far as it can be shown.
pub(crate) fn shown(text: &[u8]) -> String {
    let visible = text.iter().filter(|byte| (b' '..=b'~').contains(*byte));
    visible.take(SHOWN).map(|byte| char::from(*byte)).collect()
}
