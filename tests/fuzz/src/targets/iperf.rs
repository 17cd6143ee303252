//! Parameters and results of an iperf3 client: what is read from them can be made, or is refused.

use iperf::{Parameters, Results};

/// Reads an object as parameters and as results.
pub fn run(bytes: &[u8]) {
    if let Ok(parameters) = Parameters::read(bytes) {
        let sent = serde_json::to_vec(&parameters).expect("it can be sent");
        assert_eq!(Parameters::read(&sent), Ok(parameters));
    }
    if let Ok(bytes) = Results::read_bytes(bytes) {
        assert!(bytes.len() < 16 << 10, "each takes more text than a byte");
    }
}
