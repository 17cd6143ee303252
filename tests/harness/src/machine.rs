//! Carries a scenario out: builds its system, boots it, plays the user.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, LazyLock, Mutex, PoisonError},
    time::{Duration, Instant},
};

use image_builder::{
    Failure,
    build::{self, Built, Context},
    disc,
    interrupts::Interrupts,
    progress,
    run::{Conclusion, Event, Machine, Session, Tpm, TpmState, Transcript},
    tools,
};
use tempfile::TempDir;

use crate::{
    Damage, Observation, Scenario, Verdict,
    judge::{Progress, judge},
    scenario::Step,
};

/// How long a machine that is not to end is watched after the last expected line.
const QUIET: Duration = Duration::from_secs(1);

/// Boots a scenario and judges it. → the verdict, and the console.
pub(crate) fn boot(scenario: &Scenario) -> (Verdict, String) {
    let mut transcript = Transcript::default();
    let result = observe(scenario, &mut transcript);
    transcript.finish();
    let lines: Vec<String> = transcript.lines().iter().map(|line| line.text.clone()).collect();
    let verdict = match result {
        Ok((conclusion, complaint)) => judge(scenario, &Observation { lines: &lines, conclusion, complaint }),
        Err(failure) => Verdict::Broken(failure.to_string()),
    };
    (verdict, lines.iter().map(|line| format!("{line}\n")).collect())
}

/// Boots a scenario. → how it ended, and what QEMU complained about.
fn observe(
    scenario: &Scenario,
    transcript: &mut Transcript,
) -> Result<(Conclusion, Option<String>), Failure> {
    let context = Context::find(progress::Progress::silent(), Interrupts::none()?)?;
    tools::require(tools::RUN, &context.progress, &context.interrupts)?;
    let built = built(&context, &scenario.manifest)?;
    let mut machine = Machine::new(&built);
    machine.processors = scenario.processors;
    machine.cpu.clone_from(&scenario.cpu);
    machine.memory_mib = scenario.memory_mib.unwrap_or(machine.memory_mib);
    // The folder has to live for as long as the machine that boots from it.
    let damaged = scenario.damage.map(|damage| damaged_disc(&context, &built, damage)).transpose()?;
    if let Some((_folder, disc)) = &damaged {
        machine.disc.clone_from(disc);
    }
    let cache = context.target.join("tpm");
    let version = scenario.tpm.filter(|_| built.system.uses_device_class(Tpm::DEVICE_CLASS));
    let start = |version| Tpm::start(version, &TpmState::Fresh, &cache, &context.interrupts);
    let mut session = Session::start(&machine, version.map(start).transpose()?)?;
    let conclusion = play(scenario, &mut session, transcript)?;
    Ok((conclusion, session.complaint()))
}

/// Watches a machine, and types and pulls what the scenario says when its turn has come.
fn play(
    scenario: &Scenario,
    session: &mut Session,
    transcript: &mut Transcript,
) -> Result<Conclusion, Failure> {
    let deadline = Instant::now() + scenario.timeout;
    let mut quiet_until = None;
    let mut progress = Progress::new(scenario);
    while let Some(step) = progress.act() {
        act(step, session);
    }
    loop {
        match session.next(Some(quiet_until.unwrap_or(deadline)), &[])? {
            Event::Output(bytes) => {
                for line in transcript.add(&bytes) {
                    progress.see(&line.text);
                    while let Some(step) = progress.act() {
                        act(step, session);
                    }
                }
            }
            Event::Ended(end) => return Ok(Conclusion::Ended(end)),
            Event::Deadline if quiet_until.is_some() => return Ok(Conclusion::Left),
            Event::Deadline => return Ok(Conclusion::TimedOut),
            Event::Ready(_) => {}
        }
        if scenario.end.is_none() && progress.is_complete() && quiet_until.is_none() {
            quiet_until = Some(Instant::now() + QUIET);
        }
    }
}

fn act(step: &Step, session: &mut Session) {
    match step {
        Step::Type(text) => session.send(format!("{text}\r").as_bytes()),
        Step::UnplugTpm => session.unplug_tpm(),
        Step::FreezeTpm => session.freeze_tpm(),
        Step::See(_) => {}
    }
}

/// The system of a manifest, built once in each run of the tests. While one test builds, the others wait.
fn built(context: &Context, manifest: &str) -> Result<Arc<Built>, Failure> {
    static BUILT: LazyLock<Mutex<HashMap<PathBuf, Arc<Built>>>> = LazyLock::new(Mutex::default);
    let path = context.workspace.root.join(manifest);
    let mut all = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(built) = all.get(&path) {
        return Ok(Arc::clone(built));
    }
    let built = Arc::new(build::build(context, &path)?);
    all.insert(path, Arc::clone(&built));
    Ok(built)
}

/// A disc with something wrong on it, in a folder of its own.
fn damaged_disc(context: &Context, built: &Built, damage: Damage) -> Result<(TempDir, PathBuf), Failure> {
    let folder = tempfile::tempdir()
        .map_err(|error| Failure::file("cannot write in", &std::env::temp_dir(), &error))?;
    let image = damage
        .apply(built.image.clone())
        .ok_or_else(|| Failure::Failed(format!("the image of {} is none", built.system.name())))?;
    let disc: PathBuf = Path::join(folder.path(), "boot.iso");
    let serial_port = built.system.platform().serial_port;
    let contents = disc::Contents { kernel: &built.kernel, image: &image, serial_port };
    disc::write(&disc, contents, &context.interrupts)?;
    Ok((folder, disc))
}
