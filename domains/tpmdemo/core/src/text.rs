//! How bytes are shown.

use core::fmt;

/// Bytes as pairs of hexadecimal digits with a space between.
pub(crate) struct Hex<'a>(pub(crate) &'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            let gap = if index == 0 { "" } else { " " };
            write!(out, "{gap}{byte:02X}")?;
        }
        Ok(())
    }
}

/// Letters from a TPM; what is no visible letter is left out.
pub(crate) struct Letters<'a>(pub(crate) &'a [u8]);

impl fmt::Display for Letters<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let visible = self.0.iter().filter(|byte| byte.is_ascii_graphic() || **byte == b' ');
        for byte in visible {
            write!(out, "{}", char::from(*byte))?;
        }
        Ok(())
    }
}
