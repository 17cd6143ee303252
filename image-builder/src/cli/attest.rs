//! `cargo image run --attest`: has a bank ask the system what it runs while it runs.
//!
//! The bank is the program `cloison-verify`, as others use it too. Cargo compiles it when it is wanted: what judges signatures
//! takes a while to compile, and no other run needs it.

use std::{
    cell::RefCell,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use image_compiler::{
    Boot, Prediction, System,
    digest::{digest, hex},
};
use image_machine::{
    Failure,
    disc::write_file,
    process::{self, Child},
    run::OpenForward,
    scratch::Scratch,
};

use super::{Mode, scene::Scene, verdict::Verdict};
use crate::{
    build::{self, Built, Context},
    output,
};

/// The package of the bank's program.
const VERIFIER: &str = "cloison-verify";
/// The forward that leads to who answers for the system.
const FORWARD: &str = "attest";
/// What the bank keeps of an answer, before it judges it.
const EVIDENCE: &str = "evidence";
/// Seconds that a machine may take until it answers. The run's own limit comes first, if it has one.
const PATIENCE: &str = "3600";
/// Exit status of a bank that has accepted a machine, and of one that has refused it. Any other: it has not judged.
const ACCEPTED: i32 = 0;
const REFUSED: i32 = 1;
/// How long a bank may take to judge an answer when the machine that has given it has ended.
const JUDGES_WITHIN: Duration = Duration::from_secs(2);
/// How often it is looked at meanwhile.
const LOOK: Duration = Duration::from_millis(20);

/// Somebody who wants to know what a machine runs.
#[derive(Debug)]
pub(super) struct Bank {
    program: PathBuf,
    port: u16,
    scene: Option<Scene>,
    /// What the bank expects, what it hears and what it says.
    folder: Scratch,
    asking: RefCell<Option<Child>>,
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
        let program = context.compiler().build_for_host(VERIFIER)?;
        let no_program = || Failure::Failed("what was built cannot be measured".into());
        let prediction =
            Prediction::new(Boot::Efi(&loader), &built.kernel, &built.image).ok_or_else(no_program)?;
        let folder = Scratch::new(&context.target.join("bank"))?;
        let bank = Self { program, port, scene, folder, asking: RefCell::default() };
        write_file(&bank.file("expected.json"), prediction.json().as_bytes())?;
        Ok(bank)
    }

    /// Begins to ask.
    pub(super) fn ask(&self) -> Result<(), Failure> {
        let mut command = self.command("ask");
        command.arg(format!("127.0.0.1:{}", self.port)).args(["--patience", PATIENCE, "--save"]);
        *self.asking.borrow_mut() = Some(self.start(command.arg(self.file(EVIDENCE)))?);
        Ok(())
    }

    /// Whether there is a verdict.
    pub(super) fn is_done(&self) -> bool {
        self.asking.borrow_mut().as_mut().is_some_and(|asking| asking.ended().is_some())
    }

    /// Whether there is a verdict, or is one soon: a machine can end while its answer is judged.
    fn has_judged(&self) -> bool {
        let end = Instant::now() + JUDGES_WITHIN;
        while !self.is_done() {
            if !self.file(EVIDENCE).exists() || Instant::now() >= end {
                return false;
            }
            thread::sleep(LOOK);
        }
        true
    }

    /// Prints the verdict, which is the outcome of the run.
    pub(super) fn conclude(&self, mode: Mode) -> Result<(), Failure> {
        if !self.has_judged() {
            return Err(Failure::Failed("the machine has not answered".into()));
        }
        let asked = self.asking.take();
        let verdict = asked.map_or_else(|| Ok(Verdict::read("")), |asking| self.verdict(asking))?;
        // Without an answer there was nothing to keep.
        let Some(nonce) = &verdict.nonce else { return Err(Failure::Failed(why(&verdict.text))) };
        let lines: Vec<String> = verdict.lines().map(|line| format!("bank | {line}\n")).collect();
        let shown = if mode == Mode::Expert { &lines[..] } else { &lines[lines.len() - 1..] };
        output::print(&shown.concat())?;
        match self.scene {
            None if verdict.is_accepted() => Ok(()),
            None => Err(Failure::Failed("the machine is refused".into())),
            Some(scene) if !scene.is_as_expected(&verdict) => Err(judges_otherwise()),
            Some(Scene::Replay) => self.replay(nonce),
            Some(_) => Ok(()),
        }
    }

    /// Shows the same answer for another question, and to a bank that knows the machine's TPM by another key.
    fn replay(&self, nonce: &str) -> Result<(), Failure> {
        let another_nonce = hex(&digest(nonce.as_bytes()));
        // A key's name begins with the algorithm of its digest, SHA-256.
        let another_key = format!("000b{}", hex(&digest(b"the key of another TPM")));
        let check = |more: &[&str]| {
            let mut command = self.command("check");
            command.arg(self.file(EVIDENCE)).args(["--nonce", &another_nonce]).args(more);
            self.verdict(self.start(&mut command)?)
        };
        let (again, other) = (check(&[])?, check(&["--key", &another_key])?);
        output::print(&format!("bank | {}\nbank | {}", again.text, other.text))?;
        let is_so = again.is_refused_for("nonce: ") && other.is_refused_for("key: its name is ");
        if is_so { Ok(()) } else { Err(judges_otherwise()) }
    }

    /// The bank's program, which expects this system.
    fn command(&self, action: &str) -> Command {
        let mut command = process::command(&self.program);
        command.arg(action).arg("--expect").arg(self.file("expected.json"));
        command
    }

    /// Starts the bank's program. What it says goes to a file, which never makes it wait.
    fn start(&self, command: &mut Command) -> Result<Child, Failure> {
        let said = self.file("said");
        let refused = |error| Failure::file("cannot write", &said, &error);
        let out = File::create(&said).map_err(refused)?;
        let complaints = out.try_clone().map_err(refused)?;
        Child::start(command.stdin(Stdio::null()).stdout(out).stderr(complaints), VERIFIER)
    }

    /// Waits for a verdict.
    fn verdict(&self, mut asking: Child) -> Result<Verdict, Failure> {
        let status = asking.wait()?;
        let file = self.file("said");
        let said = fs::read_to_string(&file).map_err(|error| Failure::file("cannot read", &file, &error))?;
        let verdict = Verdict::read(&said);
        // Both the status and the last line say whether the machine is accepted.
        match (status.code(), verdict.is_accepted()) {
            (Some(ACCEPTED), true) | (Some(REFUSED), false) => Ok(verdict),
            _ => Err(Failure::Failed(format!("the bank cannot judge ({status}): {}", said.trim()))),
        }
    }

    fn file(&self, name: impl AsRef<Path>) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// Why a bank that has heard no answer gives none.
fn why(said: &str) -> String {
    let silent = || "the bank has ended without a verdict, and without a word".to_owned();
    if said.trim().is_empty() { silent() } else { said.to_owned() }
}

fn judges_otherwise() -> Failure {
    Failure::Failed("the bank judges otherwise than this scene has it".into())
}
