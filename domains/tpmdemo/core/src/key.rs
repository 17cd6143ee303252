//! How keys are shown.

use cloison_rt::log;
use cloison_tpm::RsaPublicKey;

use crate::text::Hex;

/// Bytes of the modulus in a line.
const BYTES_PER_LINE: usize = 32;

/// Shows the public part of the endorsement key.
pub(crate) fn show_endorsement_key(key: &RsaPublicKey<'_>) {
    log!("endorsement key: RSA, {} bits, exponent {}", key.bits, key.exponent);
    for line in key.modulus.chunks(BYTES_PER_LINE) {
        log!("    {}", Hex(line));
    }
    log!("endorsement key SHA-1: {}", Hex(&key.sha1()));
}

/// Shows which keys are loaded.
pub(crate) fn show_handles(handles: impl Iterator<Item = u32>) {
    let mut found = false;
    for handle in handles {
        found = true;
        log!("key handle: {handle:#010x}");
    }
    if !found {
        log!("no key handles are loaded");
    }
}
