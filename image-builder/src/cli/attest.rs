//! `cargo image run --attest`: asks the system what it runs while it runs, as a bank would.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

use cloison_verify::{Challenge, KeyName, Prover, Reference, Refusal, Verdict, examine, fresh_nonce};
use image_compiler::{Boot, Prediction, System};
use image_machine::{Failure, run::OpenForward};

use super::{Mode, scene::Scene};
use crate::{
    build::{self, Built, Context},
    output,
};

/// The forward that leads to who answers for the system.
const FORWARD: &str = "attest";
/// How long a machine may take until it answers. The run's own limit comes first, if it has one.
const PATIENCE: Duration = Duration::from_secs(3600);

/// Somebody who wants to know what a machine runs.
#[derive(Debug)]
pub(super) struct Bank {
    port: u16,
    reference: Reference,
    scene: Option<Scene>,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    answer: Mutex<Option<Result<Answer, String>>>,
    /// The run is over: nobody will answer.
    is_over: AtomicBool,
}

/// What a machine has answered, and what is made of it.
#[derive(Debug)]
struct Answer {
    evidence: Vec<u8>,
    verdict: Verdict,
}

impl Bank {
    /// The port of the host behind which the system answers.
    pub(super) fn port(system: &System, forwards: &[OpenForward]) -> Result<u16, Failure> {
        // The user may have it begin at another port of the host: it leads to the same one of the domain then.
        let stated = system.forwards().iter().find(|forward| forward.name == FORWARD);
        let port = stated.and_then(|stated| {
            let domain = &system.domain(stated.to).name;
            let leads = |open: &&OpenForward| open.domain == *domain && open.port == stated.port;
            forwards.iter().find(leads).map(|open| open.host_port)
        });
        port.ok_or_else(|| {
            let name = system.name();
            Failure::Usage(format!(
                "there is nobody to ask: {name} has no [forward.{FORWARD}], as manifests/pet-demo.toml has one"
            ))
        })
    }

    /// One who expects this system, started by UEFI and the loader that measures.
    pub(super) fn new(
        context: &Context,
        built: &Built,
        port: u16,
        scene: Option<Scene>,
    ) -> Result<Self, Failure> {
        let loader = build::loader(context)?;
        let no_program = || Failure::Failed("what was built cannot be measured".into());
        let prediction =
            Prediction::new(Boot::Efi(&loader), &built.kernel, &built.image).ok_or_else(no_program)?;
        let reference =
            Reference::read(&prediction.json()).map_err(|why| Failure::Failed(why.to_string()))?;
        Ok(Self { port, reference, scene, shared: Arc::default() })
    }

    /// Begins to ask.
    pub(super) fn ask(&self) {
        let (shared, reference, address) =
            (Arc::clone(&self.shared), self.reference.clone(), format!("127.0.0.1:{}", self.port));
        thread::spawn(move || {
            let answer = answer(&address, &reference, || shared.is_over.load(Ordering::Relaxed));
            *shared.answer.lock().unwrap_or_else(PoisonError::into_inner) = Some(answer);
        });
    }

    /// Whether there is a verdict.
    pub(super) fn is_done(&self) -> bool {
        self.shared.answer.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Prints the verdict, which is the outcome of the run.
    pub(super) fn conclude(&self, mode: Mode) -> Result<(), Failure> {
        let answer = self.shared.answer.lock().unwrap_or_else(PoisonError::into_inner).take();
        let answer = answer.unwrap_or_else(|| Err("the machine has not answered".into()));
        let Answer { evidence, verdict } = answer.map_err(Failure::Failed)?;
        if mode == Mode::Expert {
            let rows: Vec<String> = verdict.rows.iter().map(|row| format!("bank | {row}\n")).collect();
            let key = verdict.key.map(|key| format!("bank | key {key}, for which nobody vouches\n"));
            output::print(&(rows.concat() + &key.unwrap_or_default()))?;
        }
        output::print(&format!("bank | {verdict}"))?;
        match self.scene {
            None if verdict.is_accepted() => Ok(()),
            None => Err(Failure::Failed("the machine is refused".into())),
            Some(scene) if !scene.is_as_expected(&verdict) => {
                Err(Failure::Failed("the bank judges otherwise than this scene has it".into()))
            }
            Some(Scene::Replay) => self.replay(&evidence),
            Some(_) => Ok(()),
        }
    }

    /// Shows the same answer for another question, and to a bank that knows the machine's TPM by another key.
    fn replay(&self, evidence: &[u8]) -> Result<(), Failure> {
        let again = examine(evidence, &Challenge { nonce: nonce()?, key: None }, &self.reference);
        let another = Challenge { nonce: nonce()?, key: Some(KeyName::of(b"the key of another TPM")) };
        let other = examine(evidence, &another, &self.reference);
        output::print(&format!("bank | {again}\nbank | {other}"))?;
        match (again.refusal, other.refusal) {
            (Some(Refusal::Nonce), Some(Refusal::Key(_))) => Ok(()),
            _ => Err(Failure::Failed("the bank judges otherwise than this scene has it".into())),
        }
    }
}

/// Asks the machine behind an address, and judges what it answers.
fn answer(address: &str, reference: &Reference, is_over: impl Fn() -> bool) -> Result<Answer, String> {
    let challenge = Challenge { nonce: nonce().map_err(|why| why.to_string())?, key: None };
    let asked = Prover::ask(address, &challenge.nonce, PATIENCE, is_over);
    let (prover, evidence) = asked.map_err(|why| why.to_string())?;
    let verdict = examine(&evidence, &challenge, reference);
    prover.tell(&verdict.to_string());
    Ok(Answer { evidence, verdict })
}

fn nonce() -> Result<[u8; 32], Failure> {
    fresh_nonce().map_err(|error| Failure::machine("there are no random numbers", &error))
}

impl Drop for Bank {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Relaxed);
    }
}
