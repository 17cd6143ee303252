//! The table against the specifications: its form, and codes of each kind.

use std::{collections::BTreeSet, format, string::ToString};

use super::*;

#[test]
fn each_code_stands_in_the_table_once_and_in_order() {
    let tables =
        [(TPM_12, 103, 0x803), (FORMAT_ZERO, 36, 0x7f), (WARNINGS, 29, 0x7f), (FORMAT_ONE, 35, 0x3f)];
    for (table, count, largest) in tables {
        assert_eq!(table.len(), count);
        assert!(table.iter().map(|(number, ..)| number).is_sorted_by(|one, next| one < next));
        assert!(table.iter().all(|(number, ..)| *number <= largest));
        let names: BTreeSet<_> = table.iter().map(|(_, name, _)| name).collect();
        assert_eq!(names.len(), count, "two codes of one name");
    }
}

#[test]
fn each_sentence_can_stand_before_its_code() {
    for (_, name, sentence) in [TPM_12, FORMAT_ZERO, WARNINGS, FORMAT_ONE].into_iter().flatten() {
        let starts = sentence.chars().next().is_some_and(char::is_lowercase);
        assert!(starts && sentence.contains(' ') && !sentence.ends_with('.'), "{name}: {sentence}");
    }
}

#[test]
fn codes_of_each_kind_are_explained() {
    let table = [
        (0x8, "the command is switched off (code 0x8, DISABLED_CMD)"),
        (0x801, "the command needs a self-test first (code 0x801, NEEDS_SELFTEST)"),
        (0x802, "the self-test is running (code 0x802, DOING_SELFTEST)"),
        (0x100, "the startup command is missing, or came twice (code 0x100, INITIALIZE)"),
        (0x142, "the length in the header is not the command's (code 0x142, COMMAND_SIZE)"),
        (0x144, "the length of the authorisations is wrong (code 0x144, AUTHSIZE)"),
        (0x153, "the command needs a self-test first (code 0x153, NEEDS_TEST)"),
        (0x90a, "the self-test is running (code 0x90a, TESTING)"),
        (0x922, "the TPM is busy; the command can be sent again later (code 0x922, RETRY)"),
        (0x084, "the value is out of range, or wrong here (code 0x84, VALUE)"),
        (0x18b, "handle 1: nothing has this handle, or what has it does not fit (code 0x18b, HANDLE)"),
        (0x1cb, "parameter 1: nothing has this handle, or what has it does not fit (code 0x1cb, HANDLE)"),
        (0xfc4, "parameter 15: the value is out of range, or wrong here (code 0xfc4, VALUE)"),
        (0x9a2, "session 1: the password or proof is wrong (code 0x9a2, BAD_AUTH)"),
        (0xf8e, "session 7: the password or proof is wrong, which the TPM counts (code 0xf8e, AUTH_FAIL)"),
    ];
    for (code, text) in table {
        assert_eq!(ReturnCode(code).to_string(), text);
    }
}

#[test]
fn codes_that_the_specifications_lack_are_said_to_be_so() {
    let unknown = "the specifications do not have this code";
    let vendors = "the TPM's maker has a code of its own for this";
    for (code, text) in [
        (0x60, unknown),
        (0x804, unknown),
        (0x102, unknown),
        (0x322, unknown),
        (0x086, unknown),
        (0x1000, unknown),
        (0x1_0922, unknown),
        (u32::MAX, unknown),
        (0x401, vendors),
        (0x501, vendors),
        (0xd22, vendors),
    ] {
        assert_eq!(ReturnCode(code).to_string(), format!("{text} (code {code:#x})"));
    }
}

/// Bit 9 is reserved in *format zero*: nobody may take 0xb22 for 0x922.
#[test]
fn a_reserved_bit_is_not_ignored() {
    assert_eq!(ReturnCode(0xb22).name(), "");
}

#[test]
fn what_a_code_asks_for_is_asked_by_no_other() {
    let codes = |asks: fn(ReturnCode) -> bool| {
        (0..0x1000).filter(|code| asks(ReturnCode(*code))).collect::<std::vec::Vec<u32>>()
    };
    assert_eq!(codes(ReturnCode::wants_startup), [0x26, 0x100]);
    assert_eq!(codes(ReturnCode::wants_retry), [0x800, 0x908, 0x922]);
    assert_eq!(codes(ReturnCode::is_testing), [0x802, 0x90a]);
    assert_eq!(codes(ReturnCode::wants_self_test), [0x153, 0x801]);
}
