//! What differs in the answers of a TPM 2.0, and what is shown then.

use std::{vec, vec::Vec};

use cloison_tpm::Family;

use super::{
    Case, check,
    fake::{answer, answer_20, capability_20, refusal_20},
};

#[test]
fn a_tpm_2_0_is_shown() {
    let lines = &[
        "further properties: 0x101 0x103 0x104 0x10a 0x10d 0x10e 0x10f 0x110",
        "TPM version 2.0, revision 1.64",
        "manufacturer IBM, \"SW   TPM\"",
        "firmware 0x20191023 0x00163636",
        "24 PCR registers are available",
        "PCR bank sha384: 24 registers, which are not shown here",
        "PCR bank sha512: 24 registers, which are not shown here",
        "PCR-00 sha1: 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00",
        "PCR-23 sha1: 17 17 17 17 17 17 17 17 17 17 17 17 17 17 17 17 17 17 17 17",
        "no key handles are loaded",
        "endorsement key: RSA, 2048 bits, exponent 65537",
        "!PCR-24",
        "!allocated",
        "!not shown:",
    ];
    check(Family::Tpm20, ("swtpm", Vec::new(), lines));
}

#[test]
fn properties_of_any_make_are_shown() {
    let properties = |has_more, list: &[(u32, u32)]| {
        let count = u32::try_from(list.len()).expect("a short list").to_be_bytes();
        let pairs = list.iter().flat_map(|(property, value)| [property.to_be_bytes(), value.to_be_bytes()]);
        capability_20(has_more, 6, &[&count[..], pairs.collect::<Vec<_>>().as_flattened()].concat())
    };
    let letters = |text: &[u8; 4]| u32::from_be_bytes(*text);
    let cases: [Case; 8] = [
        (
            "of three in four parts",
            vec![
                ("properties 0x100", properties(true, &[(0x100, letters(b"2.0\0")), (0x102, 138)])),
                ("properties 0x103", properties(true, &[(0x105, letters(b"INTC"))])),
                (
                    "properties 0x106",
                    properties(true, &[(0x106, letters(b"Inte")), (0x107, letters(b"l\0\0\0"))]),
                ),
                ("properties 0x108", properties(false, &[(0x10b, 1), (0x10c, 2), (0x112, 8)])),
            ],
            &[
                "TPM version 2.0, revision 1.38",
                "manufacturer INTC, \"Intel\"",
                "firmware 0x00000001 0x00000002",
                "8 PCR registers are available",
            ],
        ),
        (
            "that states nothing",
            vec![("properties 0x100", properties(false, &[]))],
            &[
                "TPM version 2.0, revision not stated",
                "manufacturer not stated",
                "firmware not stated not stated",
                "PCR registers: the TPM does not state their number",
                "PCR-23 sha1: 17 17 17 17 17 17 17 17 17 17 17 17 17 17 17 17 17 17 17 17",
            ],
        ),
        (
            "that promises more and never gives it",
            vec![("properties 0x100", properties(true, &[]))],
            &["TPM version 2.0, revision not stated"],
        ),
        (
            "that goes round in circles",
            vec![
                ("properties 0x100", properties(true, &[(0x102, 159)])),
                ("properties 0x103", properties(true, &[(0x102, 159)])),
            ],
            &["TPM version 2.0, revision 1.59"],
        ),
        (
            "with properties that nobody knows",
            vec![("properties 0x100", properties(false, &[(0x102, 138), (0x1ff, 7), (0x8000_0000, 1)]))],
            &["further properties: 0x1ff 0x80000000", "TPM version 2.0, revision 1.38"],
        ),
        (
            "that refuses",
            vec![("properties 0x100", refusal_20(0x2c4))],
            &[
                "properties from 0x100 on: not shown: the TPM refused: \
                 parameter 2: the value is out of range, or wrong here (code 0x2c4, VALUE)",
                "TPM version 2.0, revision not stated",
            ],
        ),
        (
            "that answers another capability",
            vec![("properties 0x100", capability_20(false, 5, &[0; 4]))],
            &["properties from 0x100 on: not shown: the response's capability cannot be 0x5"],
        ),
        (
            "with registers beyond count",
            vec![("properties 0x100", properties(false, &[(0x112, u32::MAX)]))],
            &[
                "4294967295 PCR registers are available",
                "PCR bank sha1: allocated are only the registers 0-23",
            ],
        ),
    ];
    cases.into_iter().for_each(|case| check(Family::Tpm20, case));
}

#[test]
fn banks_of_any_make_are_shown() {
    let banks = |has_more, list: &[(u16, &[u8])]| {
        let count = u32::try_from(list.len()).expect("a short list").to_be_bytes();
        let entries = list
            .iter()
            .flat_map(|(algorithm, bits)| [&algorithm.to_be_bytes()[..], &[bits.len() as u8], bits].concat());
        capability_20(has_more, 5, &count.into_iter().chain(entries).collect::<Vec<_>>())
    };
    let cases: [Case; 9] = [
        (
            "with some registers of sha1",
            vec![("banks", banks(false, &[(4, &[0xff, 0, 0]), (0xb, &[0xff; 3])]))],
            &[
                "PCR bank sha1: allocated are only the registers 0-7",
                "PCR-07 sha1: 07 07 07 07 07 07 07 07 07 07 07 07 07 07 07 07 07 07 07 07",
                "PCR-08 sha256: 08 08 08 08 08 08 08 08 08 08 08 08 08 08 08 08 \
                 08 08 08 08 08 08 08 08 08 08 08 08 08 08 08 08",
                "!PCR-08 sha1",
            ],
        ),
        (
            "with scattered registers",
            vec![("banks", banks(false, &[(0xb, &[0x21, 0, 0x83])]))],
            &["PCR bank sha256: allocated are only the registers 0, 5, 16-17, 23", "!sha1"],
        ),
        (
            "without registers",
            vec![("banks", banks(false, &[(4, &[0; 3]), (0xb, &[]), (0xc, &[0; 3])]))],
            &[
                "PCR bank sha1: no registers are allocated",
                "PCR bank sha256: no registers are allocated",
                "!PCR-",
                "!sha384",
            ],
        ),
        (
            "with banks of other hashes",
            vec![("banks", banks(false, &[(0x12, &[0xff; 3]), (0x27, &[1]), (0x99, &[0xff; 4])]))],
            &[
                "PCR bank sm3_256: 24 registers, which are not shown here",
                "PCR bank sha3_256: 1 registers, which are not shown here",
                "PCR bank of algorithm 0x0099: 32 registers, which are not shown here",
                "!PCR-",
            ],
        ),
        (
            "with more banks than it lists",
            vec![("banks", banks(true, &[(4, &[0xff; 3])]))],
            &[
                "PCR banks: the TPM has more than it lists",
                "PCR-00 sha1: 00 00 00 00 00 00 00 00 00 00 \
               00 00 00 00 00 00 00 00 00 00",
            ],
        ),
        (
            "with many registers",
            vec![("banks", banks(false, &[(4, &[0xff; 255])]))],
            &[
                "PCR bank sha1: registers from 32 on are not shown",
                "PCR-31 sha1: 1F 1F 1F 1F 1F 1F 1F 1F 1F 1F 1F 1F 1F 1F 1F 1F 1F 1F 1F 1F",
                "!PCR-32",
            ],
        ),
        (
            "that breaks off",
            vec![("banks", capability_20(false, 5, &[0, 0, 0, 2, 0, 4, 3, 0xff, 0xff, 0xff, 0]))],
            &["PCR banks: not shown: the response ends early: a field needs 2 bytes, 1 are left"],
        ),
        (
            "whose register is left out",
            vec![("register sha1 5", answer_20(&[0, 0, 0, 9, 0, 0, 0, 1, 0, 4, 3, 0, 0, 0, 0, 0, 0, 0]))],
            &["PCR-05 sha1: not shown: the response's number of registers cannot be 0x0"],
        ),
        (
            "with a refused register",
            vec![("register sha256 0", refusal_20(0x901))],
            &["PCR-00 sha256: not shown: the TPM refused: \
               the saved contexts lie too far apart (code 0x901, CONTEXT_GAP)"],
        ),
    ];
    cases.into_iter().for_each(|case| check(Family::Tpm20, case));
}

#[test]
fn handles_come_in_parts() {
    let handles = |has_more, list: &[u32]| {
        let count = u32::try_from(list.len()).expect("a short list");
        let words = [count].into_iter().chain(list.iter().copied());
        capability_20(has_more, 1, &words.flat_map(u32::to_be_bytes).collect::<Vec<_>>())
    };
    let cases: [Case; 5] = [
        (
            "one at a time",
            vec![
                ("handles 0x80000000", handles(true, &[0x8000_0000])),
                ("handles 0x80000001", handles(false, &[0x8000_0005])),
                ("handles 0x81000000", handles(true, &[0x8101_0001])),
                ("handles 0x81010002", handles(false, &[0x8101_0002])),
            ],
            &[
                "key handle: 0x80000000",
                "key handle: 0x80000005",
                "key kept in the TPM: 0x81010001",
                "key kept in the TPM: 0x81010002",
                "!no key handles",
                "!more than it lists",
            ],
        ),
        (
            "more, and none of them",
            vec![("handles 0x80000000", handles(true, &[]))],
            &["key handle: the TPM has more than it lists"],
        ),
        (
            "for ever the same",
            vec![
                ("handles 0x80000000", handles(true, &[0x8000_0000])),
                ("handles 0x80000001", handles(true, &[0x8000_0000])),
            ],
            &["key handle: 0x80000000", "key handle: the TPM has more than it lists"],
        ),
        (
            "the last there can be",
            vec![("handles 0x81000000", handles(true, &[u32::MAX]))],
            &["key kept in the TPM: 0xffffffff", "key kept in the TPM: the TPM has more than it lists"],
        ),
        (
            "refused",
            vec![("handles 0x80000000", refusal_20(0x921))],
            &[
                "key handle: not shown: the TPM refused: \
               after too many failed authorisations the TPM is locked (code 0x921, LOCKOUT)",
                "!no key handles",
            ],
        ),
    ];
    cases.into_iter().for_each(|case| check(Family::Tpm20, case));
}

#[test]
fn endorsement_keys_of_any_make_are_shown() {
    let kept = |fields: &[&[u8]]| {
        let structure = fields.concat();
        let length = u16::try_from(structure.len()).expect("a short key").to_be_bytes();
        answer_20(&[&length[..], &structure].concat())
    };
    let start: &[u8] = &[0, 0xb, 0, 3, 0, 0xb2, 0, 0];
    let cases: [Case; 14] = [
        (
            "RSA of 3072 bits, no cipher, scheme RSASSA",
            vec![(
                "kept",
                kept(&[&[0, 1], start, &[0, 0x10, 0, 0x14, 0, 0xb, 0xc, 0, 0, 0, 0, 3, 0, 2, 7, 9]]),
            )],
            &["endorsement key: RSA, 3072 bits, exponent 3", "    07 09"],
        ),
        (
            "RSA with scheme RSAES, which states no hash",
            vec![("kept", kept(&[&[0, 1], start, &[0, 0x10, 0, 0x15, 8, 0, 0, 0, 0, 0, 0, 1, 5]]))],
            &["endorsement key: RSA, 2048 bits, exponent 65537", "    05"],
        ),
        (
            "ECC",
            vec![(
                "kept",
                kept(&[
                    &[0, 0x23],
                    start,
                    &[0, 6, 0, 128, 0, 0x43, 0, 0x10, 0, 3, 0, 0x10, 0, 1, 1, 0, 2, 2, 3],
                ]),
            )],
            &["endorsement key: ECC, curve NIST P-256", "    01", "    02 03"],
        ),
        (
            "ECC with ECDAA and a key derivation, on a curve that nobody knows",
            vec![(
                "kept",
                kept(&[
                    &[0, 0x23],
                    start,
                    &[0, 0x10, 0, 0x1a, 0, 0xb, 0, 1, 0x7f, 0xff, 0, 0x20, 0, 0xb, 0, 0, 0, 1, 4],
                ]),
            )],
            &["endorsement key: ECC, curve 0x7fff", "    04"],
        ),
        (
            "a cipher's key",
            vec![("kept", kept(&[&[0, 0x25], start, &[1, 2, 3]]))],
            &["endorsement key: of algorithm 0x0025, whose keys are not shown here"],
        ),
        (
            "a key that breaks off",
            vec![("kept", kept(&[&[0, 1], start, &[0]]))],
            &[
                "endorsement key: kept in the TPM, not shown: \
               the response ends early: a field needs 2 bytes, 1 are left",
                "!made",
            ],
        ),
        (
            "none, and a password",
            vec![("create", refusal_20(0x9a2))],
            &[
                "endorsement key: the TPM keeps none, and makes none without the endorsement hierarchy's password: \
               the TPM refused: session 1: the password or proof is wrong (code 0x9a2, BAD_AUTH)",
            ],
        ),
        (
            "none, and a password that counts",
            vec![("create", refusal_20(0x98e))],
            &[
                "endorsement key: the TPM keeps none, and makes none without the endorsement hierarchy's password: \
               the TPM refused: session 1: the password or proof is wrong, which the TPM counts \
               (code 0x98e, AUTH_FAIL)",
            ],
        ),
        (
            "none, and no hierarchy",
            vec![("create", refusal_20(0x185))],
            &[
                "endorsement key: the TPM keeps none, and makes none while the endorsement hierarchy is switched \
               off: the TPM refused: handle 1: the hierarchy is switched off, or wrong here \
               (code 0x185, HIERARCHY)",
            ],
        ),
        (
            "none, and no room",
            vec![("create", refusal_20(0x902))],
            &["endorsement key: the TPM keeps none, and makes none: the TPM refused: \
               no room is left for another loaded object (code 0x902, OBJECT_MEMORY)"],
        ),
        (
            "none, and an answer without a session",
            vec![("create", answer_20(&[0x80, 0, 0, 0]))],
            &["endorsement key: the TPM keeps none, and makes none: \
               the response has tag 0x8001, which answers no such command"],
        ),
        (
            "made, but of a kind that is not read",
            vec![("create", answer(&[0x80, 2], 0, &[0x80, 0, 0, 7, 0, 0, 0, 1, 0, 1, 0]))],
            &[
                "endorsement key: made, but not shown: \
               the response ends early: a field needs 2 bytes, 1 are left",
                "!still loaded",
            ],
        ),
        (
            "made, and not to be got rid of",
            vec![("flush", refusal_20(0x1cb))],
            &["endorsement key: still loaded as 0x80000000: the TPM refused: parameter 1: \
               nothing has this handle, or what has it does not fit (code 0x1cb, HANDLE)"],
        ),
        (
            "kept, and for others",
            vec![("kept", refusal_20(0x12f)), ("create", refusal_20(0x922))],
            &["endorsement key: the TPM keeps none, and makes none: the TPM refused: \
               the TPM is busy; the command can be sent again later (code 0x922, RETRY)"],
        ),
    ];
    cases.into_iter().for_each(|case| check(Family::Tpm20, case));
}
