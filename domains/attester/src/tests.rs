//! A TPM that answers as swtpm did, and notes what it has been asked.

use std::{string::String, vec::Vec};

use cloison_measure::{
    Bank, Digests, Log, Registers,
    log::{kind, replay, write_start, write_start_of},
};
use cloison_tpm::{Error, ReturnCode, header::check_command};
use sha2::{Digest as _, Sha256};

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
    /// What it keeps under a number.
    kept: Option<(u32, Vec<u8>)>,
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

/// What a TPM says that has made digests of a text, by SHA-256 and by another hash, of ones.
fn hashed(text: &[u8]) -> String {
    let digest: [u8; 32] = Sha256::digest(text).into();
    let digits = digest.iter().map(|byte| std::format!("{byte:02x}")).collect::<String>();
    let ones = "11".repeat(48);
    std::format!("80020000006b00000000{:08x}00000002000b{digits}000c{ones}0000010000", 4 + 34 + 50)
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
            0x151 => "80020000000a00000000".into(),
            0x147 => std::format!(
                "80020000003a0000000000000022{}{}",
                "0020",
                "5e".repeat(32) + "0000010000" + "0000010000"
            ),
            0x13c => hashed(&command[29..]),
            0x169 => match self.kept.as_ref().filter(|(index, _)| *index == handle) {
                Some((index, bytes)) => {
                    std::format!("80010000001c00000000000e{index:08x}000b000000000000{:04x}0000", bytes.len())
                }
                None => "80010000000a0000018b".into(),
            },
            0x14e => {
                let number = |at: usize| usize::from(u16::from_be_bytes([command[at], command[at + 1]]));
                let (length, offset) = (number(31), number(33));
                let part = &self.kept.as_ref().unwrap().1[offset..offset + length];
                let digits = part.iter().map(|byte| std::format!("{byte:02x}")).collect::<String>();
                let bytes = 10 + 4 + 2 + length + 5;
                std::format!("8002{bytes:08x}00000000{:08x}{length:04x}{digits}0000010000", 2 + length)
            }
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

const DIGITS: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// The log of a boot, with the digests of SHA-256 alone.
fn boot_log() -> Vec<u8> {
    let mut both = Vec::new();
    write_start(&mut both);
    // One hash in place of two: the length of what is said, the number of hashes, and the first of them.
    both[28] -= 4;
    both[56] = 1;
    both.drain(60..64);
    both
}

fn recorder(room: usize) -> (Fake, Records) {
    (Fake::default(), Records::with_room(&boot_log(), room).unwrap())
}

#[test]
fn only_registers_of_a_tpm_2_0_are_quoted() {
    assert!(crate::has_quotes(&boot_log()));
    let mut old = Vec::new();
    write_start_of(&mut old, &[Bank::Sha1]);
    assert!(Log::read(&old).is_ok() && !crate::has_quotes(&old));
    assert!(!crate::has_quotes(b"no log"));
}

#[test]
fn a_line_extends_the_register_and_is_in_the_log() {
    let (mut tpm, mut records) = recorder(4096);
    let line = std::format!("start ticker sha256:{DIGITS}");
    records.take(&mut tpm, "boss", line.as_bytes()).unwrap();
    records.note_log(&mut tpm, "ipcmon", (3, [7; 32])).unwrap();
    assert_eq!(tpm.asked, [(0x13c, 14), (0x13c, 14)]);
    let log = [boot_log(), records.bytes().to_vec()].concat();
    let log = Log::read(&log).unwrap();
    let texts: Vec<_> = log.events().map(|event| event.unwrap()).collect();
    let head = "07".repeat(32);
    let expected = [std::format!("boss: {line}"), std::format!("ipcmon: log 3 sha256:{head}")];
    let mut registers = Registers::new(Bank::Sha256);
    for (event, text) in texts.iter().zip(&expected) {
        assert_eq!((event.pcr, event.kind, event.data), (14, kind::LOADER, text.as_bytes()));
        registers.extend(14, Digests::of(text.as_bytes()).get(Bank::Sha256));
    }
    assert_eq!(texts.len(), 2);
    assert_eq!(replay(&log, Bank::Sha256).unwrap(), registers);
    // A head is news once.
    records.note_log(&mut tpm, "ipcmon", (3, [7; 32])).unwrap();
    assert_eq!(tpm.asked.len(), 2);
    records.note_log(&mut tpm, "ipcmon", (4, [8; 32])).unwrap();
    assert_eq!(tpm.asked.len(), 3);
}

#[test]
fn a_line_of_another_form_reaches_no_tpm() {
    let (mut tpm, mut records) = recorder(4096);
    for line in [
        "",
        "start ticker",
        &std::format!("log 3 sha256:{DIGITS}"),
        &std::format!("start ticker sha256:{DIGITS}\n"),
        &std::format!("ipcmon: log 3 sha256:{DIGITS}"),
    ] {
        assert_eq!(records.take(&mut tpm, "boss", line.as_bytes()), Err(NotRecorded::NotALine), "{line}");
    }
    assert_eq!(records.take(&mut tpm, "boss", &[0xff; 80]), Err(NotRecorded::NotALine));
    assert!(tpm.asked.is_empty() && records.bytes().is_empty());
}

/// What the log has no room for does not extend the register: the log would not lead there any more.
#[test]
fn a_full_log_leaves_the_register_alone() {
    let (mut tpm, mut records) = recorder(1024);
    let line = std::format!("start ticker sha256:{DIGITS}");
    let taken = (0..100).take_while(|_| records.take(&mut tpm, "boss", line.as_bytes()).is_ok()).count();
    assert!((3..8).contains(&taken), "{taken}");
    assert_eq!(records.take(&mut tpm, "boss", line.as_bytes()), Err(NotRecorded::Full));
    assert!(!records.is_behind(), "it is not started");
    let again = std::format!("again ticker sha256:{DIGITS}");
    assert_eq!(records.take(&mut tpm, "boss", again.as_bytes()), Err(NotRecorded::Full));
    assert!(records.is_behind(), "a life of which nothing tells");
    assert_eq!((tpm.asked.len(), records.bytes().len() <= 1024), (taken, true));
}

#[test]
fn what_the_tpm_refuses_is_not_in_the_log() {
    let (_, mut records) = recorder(1024);
    let mut tpm = Fake { refuses: Some(0), ..Fake::default() };
    let line = std::format!("start ticker sha256:{DIGITS}");
    let trouble = Trouble::Tpm(Error::Refused(ReturnCode(0x101)));
    assert_eq!(records.take(&mut tpm, "boss", line.as_bytes()), Err(NotRecorded::Trouble(trouble)));
    assert!(records.bytes().is_empty() && !records.is_behind());
    let again = std::format!("again ticker sha256:{DIGITS}");
    let mut tpm = Fake { refuses: Some(0), ..Fake::default() };
    assert!(records.take(&mut tpm, "boss", again.as_bytes()).is_err() && records.is_behind());
    records.take(&mut tpm, "boss", again.as_bytes()).unwrap();
    assert!(!records.is_behind(), "it is told now");
    assert!(Records::after(b"no log").is_err());
}

/// Whichever command of the two keys' is refused: nothing stays in the TPM.
#[test]
fn keys_and_secrets_leave_nothing_in_the_tpm() {
    let loaded = |tpm: &Fake| {
        let made = tpm
            .asked
            .iter()
            .enumerate()
            .filter(|(place, (code, _))| [0x131, 0x176].contains(code) && tpm.refuses != Some(*place));
        made.count()
    };
    // The first two ask for a certificate, and there is none.
    for refuses in (2..9).map(Some).chain([None]) {
        let (mut tpm, mut room) = (Fake { refuses, ..Fake::default() }, Room::EMPTY);
        let told = tell(&mut tpm, &[7; 100], &mut room);
        let flushed = tpm.asked.iter().filter(|(code, _)| *code == 0x165).count();
        // A session ends with the command that it is for.
        let ended = usize::from(told.is_ok() || refuses > Some(6));
        assert_eq!((told.is_ok(), loaded(&tpm)), (refuses.is_none(), flushed + ended), "{refuses:?}");
    }
    let (mut tpm, mut room) = (Fake::default(), Room::EMPTY);
    assert!(keys(&mut tpm, &mut room).is_ok());
    let asked: Vec<u32> = tpm.asked.iter().map(|(code, _)| *code).collect();
    assert_eq!(asked, [0x169, 0x169, 0x131, 0x165, 0x131, 0x165]);
}

/// A certificate is read whole, in parts that every TPM gives; one that is not all read is none.
#[test]
fn a_certificate_goes_along_with_the_keys() {
    for index in [0x01c0_0002, 0x01c0_000a] {
        let bytes: Vec<u8> = (0..1200_u32).map(|at| (at * at / 97) as u8).collect();
        let kept = Some((index, bytes.clone()));
        let (mut tpm, mut room) = (Fake { kept: kept.clone(), ..Fake::default() }, Room::EMPTY);
        assert_eq!(keys(&mut tpm, &mut room).unwrap().certificate, bytes);
        let reads = tpm.asked.iter().filter(|(code, _)| *code == 0x14e).count();
        let first = tpm.asked.iter().position(|(code, _)| *code == 0x14e).unwrap();
        assert_eq!(reads, 3);
        let (mut tpm, mut room) = (Fake { kept, refuses: Some(first + 1), ..Fake::default() }, Room::EMPTY);
        assert!(keys(&mut tpm, &mut room).is_err());
    }
    let (mut tpm, mut room) =
        (Fake { kept: Some((0x01c0_0002, std::vec![0; 2049])), ..Fake::default() }, Room::EMPTY);
    let trouble = keys(&mut tpm, &mut room).unwrap_err();
    assert_eq!(trouble, Trouble::Tpm(Error::Unexpected { field: "length of the certificate", value: 2049 }));
}
