//! The checks, from the key to the rows.

use std::iter;

use cloison_abi::measure::{PCR_LATER, PCR_PLAN};
use cloison_measure::{
    Bank, Evidence, Log, Registers,
    evidence::{NONCE_BYTES, REGISTERS},
    log::{kind, replay},
};
use cloison_tpm::tpm20::{AttestationKey, Signature, Statement};
use sha2::{Digest as _, Sha256};

use crate::{
    event::{is_measured, name_of, shown},
    key::{KeyName, has_signed},
    later,
    reference::{Digest, Reference},
    verdict::{Refusal, Row, State, Verdict},
};

/// What a verifier asks with.
#[derive(Debug, Clone, Copy)]
pub struct Challenge {
    /// What nobody could know before.
    pub nonce: [u8; NONCE_BYTES],
    /// The key that has to sign, if that is known.
    pub key: Option<KeyName>,
}

/// Tells whether evidence shows a machine that has been started as foretold.
#[must_use]
pub fn examine(bytes: &[u8], challenge: &Challenge, reference: &Reference) -> Verdict {
    let Some(evidence) = Evidence::read(bytes) else { return Verdict::refused(no_evidence(bytes)) };
    let key = KeyName::of(evidence.key);
    match rows(&evidence, challenge, reference) {
        Err(refusal) => Verdict { key: Some(key), ..Verdict::refused(refusal) },
        Ok(rows) => {
            let bad: Vec<Row> = rows.iter().filter(|row| !row.is_good()).cloned().collect();
            let refusal = (!bad.is_empty()).then_some(Refusal::Registers(bad));
            Verdict { rows, key: Some(key), policy: policy(&evidence), refusal }
        }
    }
}

/// The digest of the policy, of which the log has been shown to be true.
fn policy(evidence: &Evidence<'_>) -> Option<String> {
    let log = Log::read(evidence.log).ok()?;
    let mut events = log.events().flatten().filter(|event| event.pcr == PCR_PLAN && is_measured(event));
    events.find_map(|event| Some(shown(event.data).strip_prefix("policy sha256:")?.to_owned()))
}

/// What is said of bytes that are no evidence: a machine that has none says so in a line.
fn no_evidence(bytes: &[u8]) -> Refusal {
    let why = bytes.strip_prefix(b"none: ").and_then(|why| why.strip_suffix(b"\n"));
    why.map_or(Refusal::Evidence, |why| Refusal::None(shown(why)))
}

fn rows(evidence: &Evidence<'_>, challenge: &Challenge, reference: &Reference) -> Result<Vec<Row>, Refusal> {
    let stated = check_quote(evidence, challenge)?;
    let log = Log::read(evidence.log).map_err(Refusal::Log)?;
    let registers = replay(&log, Bank::Sha256).map_err(Refusal::Log)?;
    if stated.digest != digest(&registers) {
        return Err(Refusal::Replay);
    }
    Ok(quoted().map(|pcr| row(pcr, &registers, &log, reference)).collect())
}

/// Checks that a TPM has signed registers for this challenge. Returns what it states of them.
fn check_quote<'a>(evidence: &Evidence<'a>, challenge: &Challenge) -> Result<Statement<'a>, Refusal> {
    let key = AttestationKey::read(evidence.key).map_err(Refusal::KeyForm)?;
    let name = KeyName::of(evidence.key);
    if challenge.key.is_some_and(|expected| expected != name) {
        return Err(Refusal::Key(name));
    }
    let signature = Signature::read(evidence.signature).map_err(Refusal::Signature)?;
    if !has_signed(&key, &signature, evidence.statement) {
        return Err(Refusal::NotSigned);
    }
    let stated = Statement::read(evidence.statement).map_err(Refusal::Statement)?;
    if stated.nonce != challenge.nonce {
        return Err(Refusal::Nonce);
    }
    if !stated.is_clock_safe {
        return Err(Refusal::Clock);
    }
    if stated.registers != REGISTERS {
        return Err(Refusal::Selection(stated.registers));
    }
    Ok(stated)
}

/// The registers that are quoted.
fn quoted() -> impl Iterator<Item = u32> {
    (0..u32::BITS).filter(|pcr| REGISTERS >> pcr & 1 != 0)
}

/// What a TPM states of registers that are so.
fn digest(registers: &Registers) -> Digest {
    let all = quoted().fold(Sha256::new(), |hash, pcr| hash.chain_update(registers.value(pcr)));
    all.finalize().into()
}

/// What is told of a register. Its log has been shown to be true.
fn row(pcr: u32, registers: &Registers, log: &Log<'_>, reference: &Reference) -> Row {
    let value = registers.value(pcr);
    let is_empty = value == Registers::new(Bank::Sha256).value(pcr);
    let names = |names: Vec<String>, state| Row { pcr, state, names };
    match reference.registers.get(&pcr) {
        Some(foretold) if value == foretold => {
            names(reference.events_of(pcr).map(|event| event.name.clone()).collect(), State::Foretold)
        }
        Some(_) if is_empty => names(Vec::new(), State::NeverExtended),
        Some(_) => names(differences(pcr, log, reference), State::Differs),
        // Nothing that was foretold goes into it, and what firmware puts there is the machine's.
        None if is_empty => names(Vec::new(), State::Empty),
        None if pcr == PCR_LATER => later::row(log, reference),
        None if pcr >= FIRST_OF_SYSTEM => names(differences(pcr, log, reference), State::Differs),
        None => names(Vec::new(), State::Logged),
    }
}

/// The first register that is not firmware's: what is in it has to be foretold.
const FIRST_OF_SYSTEM: u32 = 8;

/// The rows of a register in which the log is not as foretold: each event against the one in its place.
fn differences(pcr: u32, log: &Log<'_>, reference: &Reference) -> Vec<String> {
    let measured = log.events().flatten().filter(|event| event.pcr == pcr && event.kind != kind::NO_ACTION);
    let mut measured = measured.map(|event| (name_of(&event), event.digest(Bank::Sha256).to_vec()));
    let mut foretold = reference.events_of(pcr);
    let pairs = iter::from_fn(|| match (foretold.next(), measured.next()) {
        (None, None) => None,
        pair => Some(pair),
    });
    let different = pairs.filter_map(|pair| match pair {
        (Some(foretold), Some((_, digest))) if foretold.digest == *digest => None,
        (Some(foretold), Some(_)) => Some(foretold.name.clone()),
        (Some(foretold), None) => Some(format!("{} (missing)", foretold.name)),
        (None, Some((name, _))) => Some(format!("{name} (not foretold)")),
        (None, None) => None,
    });
    different.collect()
}
