//! What differs in the answers of a TPM 1.2, and what is shown then.

use std::{vec, vec::Vec};

use cloison_tpm::Family;

use super::{
    Case, check,
    fake::{answer_12, key_12, refusal_12},
};

#[test]
fn a_tpm_1_2_is_shown() {
    let lines = &[
        "TPM version 1.2.18.158",
        "manufacturer IBM",
        "24 PCR registers are available",
        "PCR-00: 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00",
        "PCR-23: 17 17 17 17 17 17 17 17 17 17 17 17 17 17 17 17 17 17 17 17",
        "no key handles are loaded",
        "endorsement key: RSA, 2048 bits, exponent 65537",
        "!PCR-24",
        "!not shown",
    ];
    check(Family::Tpm12, ("swtpm", Vec::new(), lines));
}

#[test]
fn a_tpm_1_2_of_any_make_is_shown() {
    let ecc = [&[0, 0, 0, 0x23, 0, 3, 0, 1, 0, 0, 0, 2, 9, 9, 0, 0, 0, 3][..], b"key"].concat();
    let long =
        [&[0, 0, 0, 1, 0, 3, 0, 1, 0, 0, 0, 17, 0, 0, 8, 0, 0, 0, 0, 2, 0, 0, 0, 5][..], &[1; 5]].concat();
    let cases: [Case; 17] = [
        (
            "with an owner",
            vec![("key", refusal_12(0x8))],
            &["endorsement key: not shown; the TPM has an owner, who alone can read it: \
               the command is switched off (code 0x8, DISABLED_CMD)"],
        ),
        (
            "without an endorsement key",
            vec![("key", refusal_12(0x23))],
            &["endorsement key: none; its maker has not given this TPM one"],
        ),
        (
            "disabled",
            vec![("key", refusal_12(0x7)), ("handles", refusal_12(0x7)), ("register 0", refusal_12(0x7))],
            &[
                "PCR-00: not shown: the TPM refused: the TPM is disabled (code 0x7, DISABLED)",
                "key handles: not shown: the TPM refused: the TPM is disabled (code 0x7, DISABLED)",
                "endorsement key: not shown: the TPM refused: the TPM is disabled (code 0x7, DISABLED)",
            ],
        ),
        (
            "that still tests itself",
            vec![("register 7", refusal_12(0x802))],
            &["PCR-07: not shown: the TPM refused: the self-test is running (code 0x802, DOING_SELFTEST)"],
        ),
        (
            "without a version",
            vec![("version", refusal_12(0x2e))],
            &["TPM version 1.2; more is not shown: the TPM refused: \
               the TPM cannot do this version of the capability (code 0x2e, BAD_VERSION)"],
        ),
        (
            "with a short version",
            vec![("version", answer_12(&[0, 0, 0, 4, 1, 1, 0, 0]))],
            &["TPM version 1.2; more is not shown: the response's version tag cannot be 0x101"],
        ),
        (
            "whose maker has no letters",
            vec![("manufacturer", answer_12(&[0, 0, 0, 4, 0, 0, 0x15, 0xd1]))],
            &["manufacturer 00 00 15 D1"],
        ),
        (
            "whose maker sends an escape sequence",
            vec![("manufacturer", answer_12(b"\0\0\0\x04\x1b[2J"))],
            &["manufacturer [2J"],
        ),
        (
            "with 16 registers",
            vec![("count", answer_12(&[0, 0, 0, 4, 0, 0, 0, 16]))],
            &[
                "PCR-15: \
            0F 0F 0F 0F 0F 0F 0F 0F 0F 0F 0F 0F 0F 0F 0F 0F 0F 0F 0F 0F",
                "!PCR-16",
            ],
        ),
        (
            "with registers beyond count",
            vec![("count", answer_12(&[0, 0, 0, 4, 0xff, 0xff, 0xff, 0xff]))],
            &["4294967295 PCR registers are available", "PCR registers from 32 on are not shown"],
        ),
        (
            "that does not say how many registers it has",
            vec![("count", answer_12(&[0, 0, 0, 0]))],
            &["PCR registers: their number is not shown: \
               the response ends early: a field needs 4 bytes, 0 are left"],
        ),
        (
            "with a short register",
            vec![("register 3", answer_12(&[1, 2, 3]))],
            &["PCR-03: not shown: the response ends early: a field needs 20 bytes, 3 are left"],
        ),
        (
            "with keys loaded",
            vec![("handles", answer_12(&[0, 0, 0, 10, 0, 2, 1, 0, 0, 0, 0x5e, 0x6b, 0x12, 0]))],
            &["key handle: 0x01000000", "key handle: 0x5e6b1200", "!no key handles"],
        ),
        (
            "that lists fewer handles than it says",
            vec![("handles", answer_12(&[0, 0, 0, 6, 0, 2, 1, 0, 0, 0]))],
            &["key handles: not shown: the response ends early: a field needs 8 bytes, 4 are left"],
        ),
        (
            "with a key that is not RSA",
            vec![("key", key_12(&ecc))],
            &["endorsement key: of algorithm 0x0023, whose keys are not shown here", "!RSA"],
        ),
        (
            "with a long exponent",
            vec![("key", key_12(&[&long[..], &[0, 0, 0, 1, 5]].concat()))],
            &["endorsement key: not shown: the response's exponent's length cannot be 0x5"],
        ),
        (
            "whose key was changed on the way",
            vec![("key", answer_12(&[&ecc[..], &[0; 20]].concat()))],
            &["endorsement key: not shown: the endorsement key does not match its checksum"],
        ),
    ];
    cases.into_iter().for_each(|case| check(Family::Tpm12, case));
}
