//! The cookie, by which a server knows which connections belong to a test.

use crate::Error;

/// 36 printable characters, and a zero: letters and digits now, the client's name and the time in old versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cookie([u8; Cookie::BYTES]);

impl Cookie {
    /// Its length in bytes, the zero at its end included.
    pub const BYTES: usize = 37;
    const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

    /// Makes one of a random number.
    #[must_use]
    pub fn new(random: u64) -> Self {
        let mut bytes = [0; Self::BYTES];
        let mut number = random;
        for byte in &mut bytes[..Self::BYTES - 1] {
            // Knuth's multiplier for 64 bits: its upper bits pass every test that a cookie has to.
            number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            *byte = Self::LETTERS[(number >> 59) as usize];
        }
        Self(bytes)
    }

    /// Reads one as it was sent.
    ///
    /// # Errors
    ///
    /// If no iperf3 would send that.
    pub fn parse(bytes: [u8; Self::BYTES]) -> Result<Self, Error> {
        let (end, letters) = bytes.split_last().unwrap_or((&0, &[]));
        if *end == 0 && letters.iter().all(u8::is_ascii_graphic) {
            Ok(Self(bytes))
        } else {
            Err(Error::Garbage("its first bytes are no cookie"))
        }
    }

    /// The cookie as it is sent.
    #[must_use]
    pub const fn bytes(&self) -> &[u8; Self::BYTES] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_cookie_is_one_and_differs_from_the_next() {
        let cookie = Cookie::new(7);
        assert_eq!(Cookie::parse(*cookie.bytes()), Ok(cookie));
        assert_ne!(Cookie::new(8), cookie);
    }

    #[test]
    fn old_clients_have_other_cookies() {
        let cookie = *b"host-1.lan.1417189200.123456.0a1b2c3d\0";
        assert!(Cookie::parse(*cookie.last_chunk().unwrap()).is_ok());
    }

    #[test]
    fn what_a_browser_sends_is_no_cookie() {
        let mut bytes = [b' '; Cookie::BYTES];
        bytes[..14].copy_from_slice(b"GET / HTTP/1.1");
        assert!(Cookie::parse(bytes).is_err());
        assert!(Cookie::parse([b'a'; Cookie::BYTES]).is_err());
    }
}
