//! A TPM that answers as swtpm did, and notes what it has been asked.

use std::{string::String, vec::Vec};

use cloison_tpm::{Error, ReturnCode, header::check_command};

use super::*;

/// What swtpm has answered.
const RECORDED: &str = include_str!("../../../libos/tpm/recorded/quote.hex");
/// The key and the session that it gave, and what it is told when it lets go of one.
const KEY: u32 = 0x8000_0000;
const SESSION: u32 = 0x0300_0000;
const DONE: &str = "80010000000a00000000";

#[derive(Default)]
struct Fake {
    asked: Vec<(u32, u32)>,
    /// The command with this number, from 0, is refused.
    refuses: Option<usize>,
}

#[derive(Debug, PartialEq)]
struct Gone;

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len() / 2).map(|at| u8::from_str_radix(&text[2 * at..][..2], 16).unwrap()).collect()
}

fn recorded(name: &str) -> String {
    let mut lines = RECORDED.lines().skip_while(|line| line.strip_prefix("# ") != Some(name));
    lines.nth(2).and_then(|line| line.strip_prefix("< ")).unwrap().into()
}

impl Transmit for Fake {
    type Error = Gone;

    fn transmit<'b>(&mut self, command: &[u8], response: &'b mut [u8]) -> Result<&'b [u8], Gone> {
        let code = check_command(command, 4096).unwrap().ordinal;
        let handle = command.get(10..14).map_or(0, |bytes| u32::from_be_bytes(bytes.try_into().unwrap()));
        self.asked.push((code, handle));
        let answer = match code {
            _ if self.refuses == Some(self.asked.len() - 1) => "80010000000a00000101".into(),
            0x131 => recorded("create attestation key"),
            0x176 => recorded("policy session"),
            0x16f => recorded("policy"),
            0x158 => recorded("quote"),
            0x165 => DONE.into(),
            _ => panic!("command {code:#x}"),
        };
        let bytes = unhex(&answer);
        response[..bytes.len()].copy_from_slice(&bytes);
        Ok(&response[..bytes.len()])
    }
}

#[test]
fn a_quote_leaves_nothing_in_the_tpm() {
    let (mut tpm, mut room) = (Fake::default(), Room::EMPTY);
    let made = make(&mut tpm, &[7; 32], &mut room).unwrap();
    assert!(AttestationKey::read(made.key).is_ok());
    let stated = cloison_tpm::tpm20::Statement::read(made.quoted.statement).unwrap();
    assert_eq!(stated.registers, REGISTERS);
    let asked: Vec<u32> = tpm.asked.iter().map(|(code, _)| *code).collect();
    assert_eq!(asked, [0x131, 0x176, 0x16f, 0x158, 0x165]);
    assert_eq!(tpm.asked.last(), Some(&(0x165, KEY)), "the session ends with the quote, the key does not");
}

/// Whichever command is refused: what was made before is flushed, and the refusal is said.
#[test]
fn a_refusal_leaves_nothing_in_the_tpm_either() {
    let cases: [(usize, &[u32]); 5] =
        [(0, &[]), (1, &[KEY]), (2, &[SESSION, KEY]), (3, &[SESSION, KEY]), (4, &[KEY])];
    for (number, flushed) in cases {
        let (mut tpm, mut room) = (Fake { refuses: Some(number), ..Fake::default() }, Room::EMPTY);
        let trouble = make(&mut tpm, &[7; 32], &mut room).unwrap_err();
        assert_eq!(trouble, Trouble::Tpm(Error::Refused(ReturnCode(0x101))), "command {number}");
        let flushes = tpm.asked.iter().filter(|(code, _)| *code == 0x165).map(|(_, handle)| *handle);
        assert_eq!(flushes.collect::<Vec<_>>(), flushed, "command {number}");
    }
}
