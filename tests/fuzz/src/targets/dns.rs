//! A name server's answer to a query: it is read to an end, and no address is found that is not in it.

use cloison_net::messages::{answer, query};

/// Reads a message as an answer to a query for the name that its first byte chooses.
pub fn run(bytes: &[u8]) {
    let Some((choice, message)) = bytes.split_first() else { return };
    let name = ["a", "www.host.example", "A.B.C.D.E.F.G.H.example."][usize::from(*choice) % 3];
    let query = query(name, 7).expect("hosts can have these names");
    if let Some(Ok(address)) = answer(message, &query) {
        assert!(message.windows(4).any(|bytes| bytes == address.octets()));
        assert!(message.len() >= query.len() + 15, "a question and a record");
    }
    // As an answer, whatever its header says.
    let mut forged = query.clone();
    forged[2] |= 0x80;
    forged[6..8].copy_from_slice(&u16::from(*choice).to_be_bytes());
    forged.extend(message);
    if let Some(Ok(address)) = answer(&forged, &query) {
        assert!(message.windows(4).any(|bytes| bytes == address.octets()));
    }
}
