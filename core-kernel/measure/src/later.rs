//! What is measured after the boot: a line of text for each domain that is started, and for how far a monitor's log has come.
//!
//! Who measures puts the name of the one whose word it is in front: `cbbmi: start ticker sha256:...`.

use core::fmt;

use cloison_abi::image::Digest;

use crate::event::MARK;

/// The most bytes of a line, without the name in front.
pub const MAX_LINE_BYTES: usize = 160;
/// What stands behind the name in front.
pub const NAME_END: &str = ": ";
/// What stands between the name of a domain and that of the image with which it is started: a program, or the kernel of its guest.
pub const WITH: &str = " with ";

/// What has come about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// A domain is about to be started because somebody has asked for it.
    Start,
    /// It was not started after all.
    Failed,
    /// A domain has begun another life after a fault.
    Again,
    /// A monitor's log has so many entries, and this head.
    Log,
}

impl What {
    /// All.
    pub const ALL: [Self; 4] = [Self::Start, Self::Failed, Self::Again, Self::Log];

    /// The word for it, with which a line begins.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Failed => "failed",
            Self::Again => "again",
            Self::Log => "log",
        }
    }
}

/// Something that has come about. Shown, it is the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Later<S> {
    /// What.
    pub what: What,
    /// To whom: the name of a domain, and of the image with which it begins, if it has several, or a guest; or the number of
    /// entries.
    pub subject: S,
    /// The digest of the program that runs, as the loader has measured it; or the log's head. A guest's kernel is a file of the
    /// image, which the loader has measured, too.
    pub digest: Digest,
}

impl<S: fmt::Display> fmt::Display for Later<S> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {}{MARK}", self.what.word(), self.subject)?;
        self.digest.iter().try_for_each(|byte| write!(out, "{byte:02x}"))
    }
}

impl<'a> Later<&'a str> {
    /// Reads a line. There is one way to write each.
    #[must_use]
    pub fn read(line: &'a str) -> Option<Self> {
        let (word, rest) = line.split_once(' ')?;
        let what = What::ALL.into_iter().find(|what| what.word() == word)?;
        let (subject, digits) = rest.rsplit_once(MARK)?;
        let (name, kernel) = subject.split_once(WITH).unwrap_or((subject, "-"));
        let is_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        // A kernel is called as its file.
        let is_kernel = !kernel.is_empty() && kernel.bytes().all(|byte| byte.is_ascii_graphic());
        let is_subject = !name.is_empty() && name.bytes().all(is_name) && is_kernel;
        (is_subject && line.len() <= MAX_LINE_BYTES).then_some(Self {
            what,
            subject,
            digest: digest(digits)?,
        })
    }
}

/// A digest as it is shown.
fn digest(digits: &str) -> Option<Digest> {
    let mut digest = Digest::default();
    let (pairs, []) = digits.as_bytes().as_chunks::<2>() else { return None };
    if pairs.len() != digest.len() || digits.bytes().any(|digit| digit.is_ascii_uppercase()) {
        return None;
    }
    for (byte, pair) in digest.iter_mut().zip(pairs) {
        let [high, low] = pair.map(|digit| char::from(digit).to_digit(16));
        *byte = (high? * 16 + low?) as u8;
    }
    Some(digest)
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::{format, string::ToString};

    use super::*;

    #[test]
    fn what_is_shown_is_what_is_read() {
        for what in What::ALL {
            for subject in ["ticker", "linux-1 with debian-cloud", "linux1 with vmlinuz-6.1_RT", "24"] {
                let later = Later { what, subject, digest: core::array::from_fn(|at| 7 * at as u8) };
                assert_eq!(Later::read(&later.to_string()), Some(later));
            }
        }
    }

    #[test]
    fn there_is_one_way_to_write_a_line() {
        let digits = "0123456789abcdef".repeat(4);
        let good = format!("start ticker sha256:{digits}");
        assert!(Later::read(&good).is_some());
        for line in [
            good.replace("start", "stop"),
            good.replace("start ", ""),
            good.replace("ticker", ""),
            good.replace("ticker", "Ticker"),
            good.replace("ticker", "tick\ner"),
            good.replace("ticker", "boss: start ticker"),
            good.replace("ticker", "ticker as hello"),
            good.replace("ticker", "ticker with "),
            good.replace("ticker", " with kernel"),
            good.replace("ticker", "ticker with two words"),
            good.replace("ticker", "ticker with ker\nnel"),
            good.replace("ticker", "ticker with boss: start ticker"),
            good.replace("ticker", &"t".repeat(MAX_LINE_BYTES)),
            good.replace("sha256", "sha1"),
            good.replace('a', "A"),
            good.replace('a', "g"),
            good[..good.len() - 1].into(),
            good[..good.len() - 2].into(),
            format!("{good}00"),
            format!("{good} "),
        ] {
            assert_eq!(Later::read(&line), None, "{line}");
        }
    }
}
