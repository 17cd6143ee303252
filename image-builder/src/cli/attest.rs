//! `cargo image run --attest`: asks the system what it runs while it runs, as a bank would.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

use cloison_verify::{Challenge, Prover, Reference, Verdict, examine, fresh_nonce};
use image_compiler::{Boot, Prediction, System};
use image_machine::{Failure, run::OpenForward};

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
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    verdict: Mutex<Option<Result<Verdict, String>>>,
    /// The run is over: nobody will answer.
    is_over: AtomicBool,
}

impl Bank {
    /// The port of the host behind which the system answers.
    pub(super) fn port(system: &System, forwards: &[OpenForward]) -> Result<u16, Failure> {
        let port = forwards.iter().find(|forward| forward.name == FORWARD).map(|forward| forward.host_port);
        port.ok_or_else(|| {
            let name = system.name();
            Failure::Usage(format!("--attest asks nobody: {name} has no [forward.{FORWARD}]"))
        })
    }

    /// Begins to ask.
    pub(super) fn open(context: &Context, built: &Built, port: u16) -> Result<Self, Failure> {
        let loader = build::loader(context)?;
        let no_program = || Failure::Failed("what was built cannot be measured".into());
        let prediction =
            Prediction::new(Boot::Efi(&loader), &built.kernel, &built.image).ok_or_else(no_program)?;
        let reference =
            Reference::read(&prediction.json()).map_err(|why| Failure::Failed(why.to_string()))?;
        let nonce = fresh_nonce().map_err(|error| Failure::machine("there are no random numbers", &error))?;
        let shared = Arc::<Shared>::default();
        let theirs = Arc::clone(&shared);
        thread::spawn(move || {
            let challenge = Challenge { nonce, key: None };
            let address = format!("127.0.0.1:{port}");
            let is_over = || theirs.is_over.load(Ordering::Relaxed);
            let answered = Prover::ask(&address, &nonce, PATIENCE, is_over);
            let verdict = answered.map_err(|why| why.to_string()).map(|(prover, evidence)| {
                let verdict = examine(&evidence, &challenge, &reference);
                prover.tell(&verdict.to_string());
                verdict
            });
            *theirs.verdict.lock().unwrap_or_else(PoisonError::into_inner) = Some(verdict);
        });
        Ok(Self { shared })
    }

    /// Whether there is a verdict.
    pub(super) fn is_done(&self) -> bool {
        self.shared.verdict.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Prints the verdict, which is the outcome of the run.
    pub(super) fn conclude(&self) -> Result<(), Failure> {
        let verdict = self.shared.verdict.lock().unwrap_or_else(PoisonError::into_inner).take();
        match verdict {
            Some(Ok(verdict)) => {
                let rows: Vec<String> = verdict.rows.iter().map(|row| format!("bank | {row}\n")).collect();
                let key = verdict
                    .key
                    .map_or(String::new(), |key| format!("bank | key {key}, which nobody vouches for\n"));
                output::print(&format!("{}{key}bank | {verdict}", rows.concat()))?;
                if verdict.is_accepted() {
                    Ok(())
                } else {
                    Err(Failure::Failed("the machine is refused".into()))
                }
            }
            Some(Err(why)) => Err(Failure::Failed(why)),
            None => Err(Failure::Failed("the machine has not answered".into())),
        }
    }
}

impl Drop for Bank {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Relaxed);
    }
}
