//! A TPM that gives answers from a table, and swtpm's recorded ones to all other questions.

use core::fmt;
use std::{cell::RefCell, format, string::String, thread_local, vec::Vec};

use cloison_tpm::Family;
use sha1::{Digest, Sha1};

use crate::{Failure, Transmit, show};

const RECORDED_12: &str = include_str!("../../../../../libos/tpm/recorded/tpm12.hex");
const RECORDED_20: &str = include_str!("../../../../../libos/tpm/recorded/tpm20.hex");

thread_local! {
    /// What was shown. Each test has a thread of its own.
    static LOG: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

fn log(line: fmt::Arguments<'_>) {
    LOG.with_borrow_mut(|lines| lines.push(format!("{line}")));
}

/// No response came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Gone;

/// The TPM.
pub(super) struct Fake {
    family: Family,
    answers: Vec<(&'static str, Vec<u8>)>,
    /// Answers to all but the first question, one after the other, if there are any.
    any: Vec<Vec<u8>>,
    asked: Vec<String>,
    lives_for: usize,
}

impl Fake {
    pub(super) fn new(family: Family, answers: Vec<(&'static str, Vec<u8>)>) -> Self {
        Self { family, answers, any: Vec::new(), asked: Vec::new(), lives_for: usize::MAX }
    }

    pub(super) fn dies_after(&mut self, commands: usize) {
        self.lives_for = commands;
    }

    pub(super) fn answers_all(&mut self, answers: impl Iterator<Item = Vec<u8>>) {
        self.any = answers.collect();
    }

    /// What it was asked.
    pub(super) fn asked(&self) -> &[String] {
        &self.asked
    }

    /// Shows it. Returns how that ended, and the lines.
    pub(super) fn show(&mut self) -> (Result<(), Failure<Gone>>, Vec<String>) {
        LOG.with_borrow_mut(Vec::clear);
        let outcome = show(self, log);
        (outcome, LOG.with_borrow_mut(core::mem::take))
    }

    fn answer(&self, question: &str, command: &[u8]) -> Vec<u8> {
        if let Some(count) = self.asked.len().checked_sub(2).filter(|_| !self.any.is_empty()) {
            return self.any[count % self.any.len()].clone();
        }
        if let Some((_, answer)) = self.answers.iter().find(|(known, _)| *known == question) {
            return answer.clone();
        }
        match (self.family, question.split(' ').next()) {
            (Family::Tpm12, Some("register")) => answer_12(&[command[13]; 20]),
            (Family::Tpm12, Some("key")) => key_12(recorded_key_12()),
            (Family::Tpm12, _) => recorded(RECORDED_12, name_12(question)),
            (Family::Tpm20, Some("register")) => register_20(command, question),
            (Family::Tpm20, _) => recorded(RECORDED_20, name_20(question)),
        }
    }
}

impl Transmit for Fake {
    type Error = Gone;

    fn transmit<'b>(&mut self, command: &[u8], response: &'b mut [u8]) -> Result<&'b [u8], Gone> {
        if self.asked.len() == self.lives_for {
            return Err(Gone);
        }
        let question = if self.asked.is_empty() { "probe".into() } else { question(self.family, command) };
        self.asked.push(question.clone());
        let answer = self.answer(&question, command);
        response[..answer.len()].copy_from_slice(&answer);
        Ok(&response[..answer.len()])
    }
}

fn number(command: &[u8], offset: usize) -> u32 {
    u32::from_be_bytes(command[offset..offset + 4].try_into().expect("four bytes"))
}

/// What a command asks, in a word or two.
fn question(family: Family, command: &[u8]) -> String {
    match (family, number(command, 6)) {
        (Family::Tpm12, 0x15) => format!("register {}", number(command, 10)),
        (Family::Tpm12, 0x7c) => "key".into(),
        (Family::Tpm12, 0x65) => match (number(command, 10), command.get(21)) {
            (0x1a, _) => "version".into(),
            (7, _) => "handles".into(),
            (5, Some(1)) => "count".into(),
            (5, Some(3)) => "manufacturer".into(),
            area => panic!("capability {area:?}"),
        },
        (Family::Tpm20, 0x17a) => match number(command, 10) {
            1 => format!("handles {:#x}", number(command, 14)),
            5 => "banks".into(),
            6 => format!("properties {:#x}", number(command, 14)),
            capability => panic!("capability {capability}"),
        },
        (Family::Tpm20, 0x17e) => {
            let hash = if command[15] == 4 { "sha1" } else { "sha256" };
            let bits = command[17..].iter().rev().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
            assert!(bits.is_power_of_two(), "one register at a time");
            format!("register {hash} {}", bits.trailing_zeros())
        }
        (Family::Tpm20, 0x173) => "kept".into(),
        (Family::Tpm20, 0x131) => "create".into(),
        (Family::Tpm20, 0x165) => "flush".into(),
        (_, ordinal) => panic!("ordinal {ordinal:#x}"),
    }
}

/// What the recording calls a question.
fn name_12(question: &str) -> &str {
    match question {
        "count" => "register count",
        "handles" => "key handles",
        same => same,
    }
}

fn name_20(question: &str) -> &str {
    match question {
        "probe" => "probe after startup",
        "handles 0x80000000" => "transient handles",
        "handles 0x81000000" => "persistent handles",
        "kept" => "no such key",
        "create" => "create endorsement key",
        _ if question.starts_with("properties") => "properties",
        same => same,
    }
}

fn recorded(text: &str, name: &str) -> Vec<u8> {
    let mut lines = text.lines().skip_while(|line| line.strip_prefix("# ") != Some(name)).skip(2);
    let response = lines.next().and_then(|line| line.strip_prefix("< "));
    let digits = response.unwrap_or_else(|| panic!("no answer recorded to {name}")).as_bytes();
    let pairs = digits.chunks(2).map(|pair| core::str::from_utf8(pair).expect("text"));
    pairs.map(|pair| u8::from_str_radix(pair, 16).expect("hexadecimal digits")).collect()
}

/// A response with this tag, code and body.
pub(super) fn answer(tag: &[u8], code: u32, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(10 + body.len()).expect("a short body").to_be_bytes();
    [tag, &length, &code.to_be_bytes(), body].concat()
}

pub(super) fn answer_12(body: &[u8]) -> Vec<u8> {
    answer(&[0, 0xc4], 0, body)
}

pub(super) fn refusal_12(code: u32) -> Vec<u8> {
    answer(&[0, 0xc4], code, &[])
}

pub(super) fn answer_20(body: &[u8]) -> Vec<u8> {
    answer(&[0x80, 1], 0, body)
}

pub(super) fn refusal_20(code: u32) -> Vec<u8> {
    answer(&[0x80, 1], code, &[])
}

/// The answer to `TPM2_GetCapability`.
pub(super) fn capability_20(has_more: bool, capability: u32, body: &[u8]) -> Vec<u8> {
    answer_20(&[&[u8::from(has_more)][..], &capability.to_be_bytes(), body].concat())
}

/// An answer of any kind: sound in form, or with a capability's head, or with a session.
pub(super) fn any_answer(family: Family, kind: u8, code: u32, body: &[u8]) -> Vec<u8> {
    let body = if code == 0 { body } else { &[] };
    match (family, kind) {
        (Family::Tpm12, 0) => answer(&[0, 0xc4], code, body),
        (Family::Tpm12, _) => {
            let length = u32::try_from(body.len()).expect("a short body").to_be_bytes();
            answer(
                &[0, 0xc4],
                code,
                if code == 0 { [&length[..], body].concat() } else { Vec::new() }.as_slice(),
            )
        }
        (Family::Tpm20, 0) => answer(&[0x80, 1], code, body),
        (Family::Tpm20, 1) if code == 0 => capability_20(body.len() % 2 == 0, body.len() as u32 % 8, body),
        (Family::Tpm20, _) => answer(&[0x80, 2], code, body),
    }
}

/// The answer to `TPM_ReadPubek`: a `TPM_PUBKEY`, and the checksum that the demo's nonce asks for.
pub(super) fn key_12(structure: &[u8]) -> Vec<u8> {
    let checksum = Sha1::new().chain_update(structure).chain_update(b"tpmdemo asks the TPM").finalize();
    answer_12(&[structure, checksum.as_slice()].concat())
}

/// The `TPM_PUBKEY` that was recorded, without the checksum for the recorder's nonce.
fn recorded_key_12() -> &'static [u8] {
    let answer = recorded(RECORDED_12, "endorsement key");
    let structure = answer[10..answer.len() - 20].to_vec();
    structure.leak()
}

/// The answer to `TPM2_PCR_Read`: the register's number as its digest.
fn register_20(command: &[u8], question: &str) -> Vec<u8> {
    let register: u8 = question.rsplit(' ').next().and_then(|digits| digits.parse().ok()).expect("a number");
    let length = if command[15] == 4 { 20 } else { 32 };
    let digest = std::vec![register; usize::from(length)];
    // Update counter, the selection as it was asked, one digest.
    answer_20(&[&[0, 0, 0, 20][..], &command[10..], &[0, 0, 0, 1, 0, length], &digest].concat())
}
