//! What is told of each register, and why evidence is refused.

use std::fmt;

use cloison_measure::BadLog;
use cloison_tpm::Error;

use crate::key::KeyName;

/// Why a machine is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The machine gives no evidence, and says why.
    None(String),
    /// What it gives is no evidence.
    Evidence,
    /// The key is not one that signs a TPM's own statements alone, for the attester alone.
    KeyForm(Error),
    /// The key has this name, which is another than the one expected.
    Key(KeyName),
    /// The statement cannot be read.
    Statement(Error),
    /// The signature cannot be read.
    Signature(Error),
    /// The signature is not one of the key over the statement.
    NotSigned,
    /// The nonce is another one: the quote is an old one, or one for somebody else.
    Nonce,
    /// The TPM's clock may have gone back.
    Clock,
    /// The quote has other registers: these, as bits.
    Selection(u32),
    /// The log cannot be read.
    Log(BadLog),
    /// The log leads to other registers than those that were quoted.
    Replay,
    /// Registers that are not as foretold.
    Registers(Vec<Row>),
}

impl fmt::Display for Refusal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None(why) => write!(out, "the machine says: {why}"),
            Self::Evidence => out.write_str("what the machine sends is no evidence"),
            Self::KeyForm(error) => write!(out, "key: it is not an attester's: {error}"),
            Self::Key(name) => write!(out, "key: its name is {name}, which is not the one expected"),
            Self::Statement(error) => write!(out, "statement: {error}"),
            Self::Signature(error) => write!(out, "signature: {error}"),
            Self::NotSigned => out.write_str("signature: the key has not signed this statement"),
            Self::Nonce => out.write_str("nonce: the quote answers another question"),
            Self::Clock => out.write_str("clock: the TPM does not vouch for its clock"),
            Self::Selection(found) => {
                write!(out, "registers: {found:#x} are quoted, not those that a system is measured into")
            }
            Self::Log(error) => write!(out, "log: {error}"),
            Self::Replay => out.write_str("log: it does not lead to the registers that were quoted"),
            Self::Registers(rows) => {
                let texts: Vec<String> = rows.iter().map(Row::complaint).collect();
                out.write_str(&texts.join("; "))
            }
        }
    }
}

/// What is told of a register.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The register.
    pub pcr: u32,
    /// How it is.
    pub state: State,
    /// What goes into it; of one that is not as foretold, what differs.
    pub names: Vec<String>,
}

/// How a register is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// As was foretold.
    Foretold,
    /// As the machine's own log says. Nobody has foretold it.
    Logged,
    /// Nothing has been measured into it.
    Empty,
    /// Nothing has been measured into it, but should have been.
    NeverExtended,
    /// What has come about since the boot, by programs that were foretold.
    Later,
    /// Not as was foretold.
    Differs,
}

impl Row {
    /// Whether a machine can have this and be good.
    #[must_use]
    pub fn is_good(&self) -> bool {
        matches!(self.state, State::Foretold | State::Logged | State::Empty | State::Later)
    }

    fn complaint(&self) -> String {
        let Self { pcr, state, names } = self;
        if *state == State::NeverExtended {
            return format!("PCR {pcr} was never extended");
        }
        format!("PCR {pcr}, row{} {}", if names.len() == 1 { "" } else { "s" }, names.join(", "))
    }
}

impl fmt::Display for Row {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            State::Foretold => "as foretold",
            State::Logged => "as the machine's log says",
            State::Empty => "empty",
            State::NeverExtended => "never extended",
            State::Later => "since the boot",
            State::Differs => "differs",
        };
        let names = self.names.join(", ");
        let colon = if names.is_empty() { "" } else { ": " };
        write!(out, "PCR {:>2} {state}{colon}{names}", self.pcr)
    }
}

/// What is told of a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// What is told of each register, if the quote is good.
    pub rows: Vec<Row>,
    /// The name of the key, if it is one.
    pub key: Option<KeyName>,
    /// Digest of the policy, as `cargo image policy` prints it, if the log says it.
    pub policy: Option<String>,
    /// Why the machine is refused, if it is.
    pub refusal: Option<Refusal>,
}

impl Verdict {
    /// Of a machine that is refused before its registers are known.
    #[must_use]
    pub fn refused(refusal: Refusal) -> Self {
        Self { rows: Vec::new(), key: None, policy: None, refusal: Some(refusal) }
    }

    /// Whether the machine is accepted.
    #[must_use]
    pub fn is_accepted(&self) -> bool {
        self.refusal.is_none()
    }
}

/// The one line of it.
impl fmt::Display for Verdict {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.refusal {
            Some(refusal) => write!(out, "refused: {refusal}"),
            None => {
                let foretold = self.rows.iter().filter(|row| row.state == State::Foretold).count();
                write!(out, "accepted: {foretold} registers are as foretold")?;
                self.policy.as_ref().map_or(Ok(()), |policy| write!(out, ", policy {policy}"))
            }
        }
    }
}
