//! Parameters and results of an iperf3 client: what is read from them can be made, or is refused.

use iperf::{Parameters, Results};

/// Reads an object as parameters and as results.
pub fn run(bytes: &[u8]) {
    let Ok(object) = serde_json::from_slice(bytes) else { return };
    if let Ok(parameters) = Parameters::read(&object) {
        let sent = serde_json::to_value(&parameters).expect("it can be sent");
        assert_eq!(Parameters::read(&sent), Ok(parameters));
    }
    if let Ok(bytes) = Results::read_bytes(&object) {
        assert_eq!(Some(bytes.len()), object["streams"].as_array().map(Vec::len));
    }
}
