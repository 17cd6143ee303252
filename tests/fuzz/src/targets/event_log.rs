//! Event logs: each event of one is all there, and one is replayed as a whole or refused.

use cloison_measure::{Bank, Log, log::replay};

/// Reads and replays a log.
pub fn run(bytes: &[u8]) {
    let Ok(log) = Log::read(bytes) else { return };
    let mut read = 0;
    let mut is_whole = true;
    for event in log.events() {
        match event {
            Ok(event) => {
                read += event.data.len();
                for bank in Bank::ALL.into_iter().filter(|bank| log.has(*bank)) {
                    assert_eq!(event.digest(bank).len(), bank.bytes());
                }
            }
            Err(_) => is_whole = false,
        }
    }
    assert!(read <= bytes.len());
    for bank in Bank::ALL {
        assert_eq!(replay(&log, bank).is_ok(), is_whole && log.has(bank), "{bank:?}");
    }
}
