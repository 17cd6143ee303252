//! How keys are shown.

use cloison_tpm::{KeyKind, PublicKey};

use crate::{Log, text::Hex};

/// Bytes of a long number in a line.
const BYTES_PER_LINE: usize = 32;

/// Shows the public part of the endorsement key.
pub(crate) fn show_endorsement_key(log: Log, key: &PublicKey<'_>) {
    match key.kind {
        KeyKind::Rsa { bits, exponent, modulus } => {
            log(format_args!("endorsement key: RSA, {bits} bits, exponent {exponent}"));
            show_number(log, modulus);
        }
        KeyKind::Ecc { curve, x, y } => {
            log(format_args!("endorsement key: ECC, curve {}", Curve(curve)));
            show_number(log, x);
            show_number(log, y);
        }
        KeyKind::Other { algorithm } => {
            log(format_args!(
                "endorsement key: of algorithm {algorithm:#06x}, whose keys are not shown here"
            ));
        }
    }
    log(format_args!("endorsement key SHA-1: {}", Hex(&key.sha1())));
}

fn show_number(log: Log, bytes: &[u8]) {
    for line in bytes.chunks(BYTES_PER_LINE) {
        log(format_args!("    {}", Hex(line)));
    }
}

/// A curve's name (TCG *Algorithm Registry*, `TPM_ECC_CURVE`), or its number.
struct Curve(u16);

impl core::fmt::Display for Curve {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let name = match self.0 {
            0x01 => "NIST P-192",
            0x02 => "NIST P-224",
            0x03 => "NIST P-256",
            0x04 => "NIST P-384",
            0x05 => "NIST P-521",
            0x10 => "BN P-256",
            0x11 => "BN P-638",
            0x20 => "SM2 P-256",
            number => return write!(out, "{number:#06x}"),
        };
        out.write_str(name)
    }
}
