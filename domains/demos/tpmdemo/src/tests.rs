//! TPMs of all kinds: recorded answers, with made-up ones in the place of some.

mod fake;
mod tables_12;
mod tables_20;

use std::{string::String, vec, vec::Vec};

use cloison_tpm::Family;
use proptest::{collection::vec as some, prelude::*};

use fake::Fake;

/// A question (as [`fake`] calls it), and the answer that this TPM has to it.
type Answers = Vec<(&'static str, Vec<u8>)>;

/// A TPM that differs from swtpm's in some answers: what it is, these answers, and lines that must come in this
/// order. A line that begins with `!` must not come, in any form.
type Case = (&'static str, Answers, &'static [&'static str]);

fn check(family: Family, (what, answers, lines): Case) {
    let (outcome, shown) = Fake::new(family, answers).show();
    assert_eq!(outcome, Ok(()), "{what}");
    let mut left = shown.iter();
    for line in lines {
        match line.strip_prefix('!') {
            Some(never) => assert!(!shown.iter().any(|shown| shown.contains(never)), "{what}: {shown:#?}"),
            None => assert!(left.any(|shown| shown == line), "{what}: no line `{line}` in {shown:#?}"),
        }
    }
}

/// A key that was made is unloaded, though it could not be read.
#[test]
fn a_key_that_was_made_is_not_left_behind() {
    let unread = fake::answer(&[0x80, 2], 0, &[0x80, 0, 0, 7]);
    for answers in [Vec::new(), vec![("create", unread)]] {
        let mut tpm = Fake::new(Family::Tpm20, answers);
        assert_eq!(tpm.show().0, Ok(()));
        assert_eq!(tpm.asked().last().map(String::as_str), Some("flush"));
    }
}

#[test]
fn without_a_response_it_is_over() {
    for family in [Family::Tpm12, Family::Tpm20] {
        for count in 0..6 {
            let mut tpm = Fake::new(family, Vec::new());
            tpm.dies_after(count);
            assert_eq!(tpm.show().0, Err(crate::Failure::Transmit(fake::Gone)));
        }
    }
}

/// Bytes that make small numbers more often than chance would, so that lengths and counts get plausible.
fn small_bytes() -> impl Strategy<Value = u8> {
    prop_oneof![4 => Just(0), 2 => 0..8_u8, 1 => any::<u8>()]
}

/// A body, with a code that says success more often than chance would.
fn bodies() -> impl Strategy<Value = (u32, Vec<u8>)> {
    (prop_oneof![3 => Just(0), 1 => any::<u32>()], some(small_bytes(), 0..80))
}

proptest! {
    /// Whatever a TPM answers, it is shown to the end, in no more lines than a person can read, and with visible
    /// letters only.
    #[test]
    fn any_answers_are_shown(
        answers in some(bodies(), 1..40),
        header in 0..3_u8,
        is_old in any::<bool>(),
    ) {
        let family = if is_old { Family::Tpm12 } else { Family::Tpm20 };
        let mut tpm = Fake::new(family, Vec::new());
        tpm.answers_all(answers.into_iter().map(|(code, body)| fake::any_answer(family, header, code, &body)));
        let (outcome, shown) = tpm.show();
        prop_assert_eq!(outcome, Ok(()));
        prop_assert!(shown.len() < 4000 && tpm.asked().len() < 2000);
        prop_assert!(shown.iter().all(|line| line.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic())));
    }
}
