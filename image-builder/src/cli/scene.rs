//! The scenes of `manifests/pet-demo.toml`: what a bank makes of a machine that is as built, and of others.

use clap::ValueEnum;
use image_compiler::{Addition, Binaries};
use image_machine::Failure;

use super::verdict::Verdict;

/// The component whose program is changed, a text in it, and what becomes of that.
const CHANGED: &str = "shopper";
const TEXT: &[u8] = b"a bank can ask on port";
const OTHER_TEXT: &[u8] = b"A bank can ask on port";
/// What is given to a domain beyond the manifest.
const WIDER: &str = "[switch.ore.port.untrusted]\naddress = \"192.168.0.66\"\n";

/// A scene.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Scene {
    /// The system as it was built
    #[value(name = "good", alias = "1")]
    Good,
    /// One letter of the shopper's program is another; plan and digests are made for that
    #[value(name = "program", alias = "2")]
    Program,
    /// One domain has a port of the switch that the manifest does not give it
    #[value(name = "policy", alias = "3")]
    Policy,
    /// The system as it was built, started by a BIOS, which measures nothing of it
    #[value(name = "unmeasured", alias = "4")]
    Unmeasured,
    /// The answer of before for a new question, and the answer of another TPM
    #[value(name = "replay", alias = "5")]
    Replay,
    /// The system as it was built, with a keylogger in it
    #[value(name = "spy", alias = "6")]
    Spy,
}

impl Scene {
    /// What the machine's manifest has beyond the one that the bank knows.
    pub(super) fn addition(self) -> Option<Addition> {
        (self == Self::Policy).then(|| Addition { name: "scene", text: WIDER.into() })
    }

    /// Whether the machine runs something else than what the bank expects.
    pub(super) fn is_changed(self) -> bool {
        matches!(self, Self::Program | Self::Policy)
    }

    /// Where the machine's files go, apart from those that the bank knows.
    pub(super) fn folder(self) -> String {
        format!(
            "scene-{}",
            self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
        )
    }

    /// Changes the programs as the scene has it.
    pub(super) fn change(self, binaries: &mut Binaries) -> Result<(), Failure> {
        if self != Self::Program {
            return Ok(());
        }
        let no_text = || Failure::Usage(format!("this scene needs the component `{CHANGED}`"));
        let program = binaries.0.get_mut(CHANGED).ok_or_else(no_text)?;
        let place = program.windows(TEXT.len()).position(|text| text == TEXT).ok_or_else(no_text)?;
        program[place..place + TEXT.len()].copy_from_slice(OTHER_TEXT);
        Ok(())
    }

    /// Whether the bank judges as the scene has it.
    pub(super) fn is_as_expected(self, verdict: &Verdict) -> bool {
        match self {
            Self::Good | Self::Replay | Self::Spy => verdict.is_accepted(),
            Self::Program => verdict.differs(13, "domain shopper"),
            Self::Policy => {
                verdict.differs(12, "policy") && verdict.differs(12, "plan") && verdict.is_as_foretold(13)
            }
            Self::Unmeasured => verdict.is_refused_for("the machine says: "),
        }
    }
}
