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

/// Letters from a TPM; what is no visible letter is left out. If none is, the bytes are shown.
pub(crate) struct Letters<'a>(pub(crate) &'a [u8]);

impl fmt::Display for Letters<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.0.iter().any(u8::is_ascii_graphic) {
            return Hex(self.0).fmt(out);
        }
        let visible = self.0.iter().filter(|byte| byte.is_ascii_graphic() || **byte == b' ');
        for byte in visible {
            write!(out, "{}", char::from(*byte))?;
        }
        Ok(())
    }
}

/// Numbers 0 to 31 of which the bits are set, in runs: `0-7, 16`.
pub(crate) struct Runs(pub(crate) u32);

impl fmt::Display for Runs {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut left = self.0;
        let mut gap = "";
        while left != 0 {
            let first = left.trailing_zeros();
            let count = (left >> first).trailing_ones();
            match count {
                1 => write!(out, "{gap}{first}")?,
                _ => write!(out, "{gap}{first}-{}", first + count - 1)?,
            }
            gap = ", ";
            left = left.checked_shr(first + count).unwrap_or(0).checked_shl(first + count).unwrap_or(0);
        }
        Ok(())
    }
}
