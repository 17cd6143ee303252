//! Carries a scenario out: builds its system, boots it, plays the user.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    path::{Path, PathBuf},
    sync::{Arc, LazyLock, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use image_builder::build::{self, Built, Context};
use image_compiler::{BUILDER, Boot, Inputs, Prediction, System, pcrs};
use image_machine::{
    Failure,
    cargo_build::{self, Part},
    disc::{self, Firmware, OnDisc},
    interrupts::Interrupts,
    medium::{self, Content, Form},
    patience::Patience,
    progress,
    run::{
        CaptureRequest, Conclusion, Devices, End, Event, ForwardRequest, HostPorts, OpenForward, Session,
        Tpm, TpmState, TpmVersion, Transcript,
    },
    tools::{self, Tool},
};

use crate::{
    Damage, Observation, Scenario, Verdict, guest,
    host::{Host, HostCommand},
    judge::{Progress, judge},
    scenario::Step,
};

/// How long a machine that is not to end is watched after the last expected line.
const QUIET: Duration = Duration::from_secs(1);
/// Between two looks whether a command that has nothing more to say has ended.
const PAUSE: Duration = Duration::from_millis(2);

/// Boots a scenario and judges it. Returns the verdict, and the lines of the console.
pub(crate) fn boot(scenario: &Scenario) -> (Verdict, Vec<String>) {
    let mut transcript = Transcript::default();
    let result = observe(scenario, &mut transcript);
    transcript.finish();
    let lines: Vec<String> = transcript.lines().iter().map(|line| line.text.clone()).collect();
    let verdict = match result {
        Ok((conclusion, complaint)) => judge(scenario, &Observation { lines: &lines, conclusion, complaint }),
        Err(failure) => Verdict::Broken(failure.to_string()),
    };
    (verdict, lines)
}

/// Boots a scenario. Returns how it ended, and what QEMU complained about.
fn observe(
    scenario: &Scenario,
    transcript: &mut Transcript,
) -> Result<(Conclusion, Option<String>), Failure> {
    let context = Context::find(progress::Progress::silent(), Interrupts::none()?)?;
    let built = built(&context, scenario)?;
    let version = scenario.tpm.filter(|_| built.system.uses_device_class(Tpm::DEVICE_CLASS));
    let to_write = scenario.disc.map_or(&[][..], Form::tools);
    let needed =
        [tools::to_run(version.is_some()), scenario.firmware.tools(), to_write, &clients(scenario)].concat();
    tools::require(&needed, &context.progress, &context.interrupts)?;
    let forwards = OpenForward::open_all(&forwarded(&context, scenario)?, HostPorts::Free)?;
    let mut host = Host::new(&forwards)?;
    let disks = host.disks(&built.system, &context.payloads())?;
    let cache = host.prepare(version, &scenario.prepare)?;
    let capture = scenario.capture.as_ref().map(|_| host.capture_file());
    let mut machine = built.machine();
    machine.devices =
        Devices { system: &built.system, forwards: &forwards, disks: &disks, capture: capture.as_deref() }
            .arguments();
    machine.extra =
        vec!["-monitor".to_owned(), format!("unix:{},server=on,wait=off", host.monitor().display())];
    machine.extra.extend_from_slice(&scenario.qemu);
    machine.firmware = scenario.firmware;
    machine.form = scenario.disc;
    machine.processors = scenario.processors;
    machine.cpu.clone_from(&scenario.cpu);
    machine.accelerator = scenario.accelerator;
    machine.memory_mib = scenario.memory_mib.unwrap_or(machine.memory_mib);
    // The folder has to live for as long as the machine that boots from it.
    let folder = tempfile::tempdir()
        .map_err(|error| Failure::file("cannot write in", &std::env::temp_dir(), &error))?;
    if let Some(disc) = disc_of_its_own(&context, &built, scenario, folder.path())? {
        machine.disc = disc;
    }
    let wants = |name: &str| commands(scenario).any(|line| line.contains(name));
    if (wants("$FORETOLD") || wants("$REFERENCE"))
        && let Some(prediction) = foretold(&context, &built, scenario, &machine.disc)?
    {
        host.foretell(&prediction)?;
    }
    if wants("$GUEST_FILES") {
        host.give_guest_files(&built.system)?;
    }
    let start = |version| match &cache {
        Some(cache) => Tpm::start(version, TpmState::Kept, cache, &context.interrupts),
        None => Tpm::start(version, TpmState::Fresh, &context.target.join("tpm"), &context.interrupts),
    };
    let mut tpm = version.map(start).transpose()?;
    if let Some(tpm) = tpm.as_mut().filter(|_| asks_tpm(scenario)) {
        tpm.relay_by(host.relay(&tpm.socket(), scenario.tamper)?);
    }
    if let Some((menu, is_typed)) = &scenario.menu {
        machine.disc = disc_with_menu(&context, menu)?;
        let name = Path::new(&scenario.manifest).file_stem().unwrap_or_default();
        machine.entry = (!is_typed).then(|| name.to_string_lossy().into_owned());
    }
    let session = Session::start(&machine, tpm)?;
    let progress = Progress::new(scenario);
    let mut play = Play {
        session,
        transcript,
        host,
        command: None,
        progress,
        is_stopped: false,
        patience: Patience::new(),
    };
    let conclusion = play.run(scenario)?;
    Ok((conclusion, play.session.complaint()))
}

/// A machine that runs, and how far it has come.
struct Play<'a> {
    session: Session,
    transcript: &'a mut Transcript,
    host: Host,
    command: Option<HostCommand>,
    progress: Progress<'a>,
    is_stopped: bool,
    patience: Patience,
}

impl Play<'_> {
    /// Watches the machine, and does what the scenario says when its turn has come.
    fn run(&mut self, scenario: &Scenario) -> Result<Conclusion, Failure> {
        let mut quiet_until = None;
        loop {
            self.act()?;
            if self.is_stopped {
                return Ok(Conclusion::Left);
            }
            match self.next()? {
                Event::Output(bytes) => self.see(&bytes)?,
                Event::Ready(_) => self.hear(),
                Event::Ended(end) => return self.finish(end),
                Event::Deadline => {}
            }
            self.attend()?;
            let is_complete = self.progress.is_complete() && self.command.is_none();
            let now = self.now();
            if scenario.end.is_none() && is_complete && quiet_until.is_none() {
                quiet_until = Some(now + QUIET);
            }
            match quiet_until {
                Some(until) if now >= until => return Ok(Conclusion::Left),
                None if now >= scenario.timeout => return Ok(Conclusion::TimedOut),
                _ => {}
            }
        }
    }

    /// What counts of the run's time.
    fn now(&mut self) -> Duration {
        self.patience.counted(|| self.session.cpu_time())
    }

    /// Waits for the machine and for the command, until it is time to look at the clock.
    fn next(&mut self) -> Result<Event, Failure> {
        let output = self.command.as_ref().map(HostCommand::output);
        let is_ending = matches!(output, Some(None));
        let until = if is_ending { Instant::now() + PAUSE } else { self.patience.next_look() };
        let others: Vec<_> = output.flatten().into_iter().collect();
        self.session.next(Some(until), &others)
    }

    /// Does what is to be done by now, one command at a time.
    fn act(&mut self) -> Result<(), Failure> {
        let now = self.now();
        while self.command.is_none() {
            match self.progress.act() {
                None => break,
                Some(Step::Stop) => self.is_stopped = true,
                Some(Step::Command(line)) => self.command = Some(self.host.start(line, now)?),
                Some(Step::Type(text)) => self.session.send(format!("{text}\r").as_bytes()),
                Some(Step::UnplugTpm) => self.session.unplug_tpm(),
                Some(Step::FreezeTpm) => self.session.freeze_tpm(),
                Some(Step::See(_)) => {}
            }
        }
        Ok(())
    }

    /// Takes what the machine wrote, and does what each line asks for before the next.
    fn see(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        for line in self.transcript.add(bytes).to_vec() {
            self.host.note(&line.text)?;
            self.progress.see(&line.text);
            self.act()?;
        }
        Ok(())
    }

    /// Takes what the command wrote.
    fn hear(&mut self) {
        let lines = self.command.as_mut().map(HostCommand::read).unwrap_or_default();
        lines.into_iter().for_each(|line| self.add(line));
    }

    /// Lets a command go that has ended, or whose time is up.
    fn attend(&mut self) -> Result<(), Failure> {
        let now = self.now();
        let Some(command) = &mut self.command else { return Ok(()) };
        let last_line = match command.ended()? {
            Some(status) => status,
            None if command.is_late(now) => Some(command.give_up()),
            None => return Ok(()),
        };
        self.command = None;
        last_line.into_iter().for_each(|line| self.add(line));
        Ok(())
    }

    fn add(&mut self, line: String) {
        self.progress.see(&line);
        self.transcript.add_line(line);
    }

    /// Lets a command that still runs say what the machine told it before its end.
    fn finish(&mut self, end: End) -> Result<Conclusion, Failure> {
        while let Some(command) = &self.command {
            if command.output().is_some() {
                self.hear();
            } else {
                thread::sleep(PAUSE);
            }
            self.attend()?;
        }
        Ok(Conclusion::Ended(end))
    }
}

/// The programs that the scenario's commands run on the host.
fn clients(scenario: &Scenario) -> Vec<Tool> {
    let runs = |tool: &Tool| {
        let is_word = |command: &String| command.split_ascii_whitespace().any(|word| word == tool.name);
        let asks_tpm = *tool == tools::NC && asks_tpm(scenario);
        asks_tpm || commands(scenario).chain(&scenario.prepare).any(is_word)
    };
    tools::CLIENTS.iter().copied().filter(runs).collect()
}

/// Whether commands on the host reach for the machine's TPM.
fn asks_tpm(scenario: &Scenario) -> bool {
    let asks = |command: &String| command.contains("$TPM") || command.contains("tpm2_");
    scenario.tamper.is_some() || commands(scenario).any(asks)
}

/// What runs on the host while the machine runs.
fn commands(scenario: &Scenario) -> impl Iterator<Item = &String> {
    scenario.steps.iter().filter_map(|step| if let Step::Command(line) = step { Some(line) } else { None })
}

/// The system of a manifest, built once in each run of the tests. While one test builds, the others wait.
fn built(context: &Context, scenario: &Scenario) -> Result<Arc<Built>, Failure> {
    type Systems = HashMap<(PathBuf, [Option<String>; 3]), Arc<Built>>;
    static BUILT: LazyLock<Mutex<Systems>> = LazyLock::new(Mutex::default);
    let manifest = context.workspace.root.join(&scenario.manifest);
    let key = (manifest, [scenario.capture.clone(), scenario.builder.clone(), scenario.program.clone()]);
    let mut all = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(built) = all.get(&key) {
        return Ok(Arc::clone(built));
    }
    let (manifest, [capture, builder, program]) = &key;
    let mut inputs = build::fetch(context, Inputs::read(&context.workspace, manifest))?;
    if let Some(program) = program {
        inputs = guest::with_program(context, inputs, program)?;
    }
    let mut system = build::check(&inputs)?;
    if let Some(which) = capture {
        let addition = CaptureRequest::of_switch(which).addition(&context.workspace, &system)?;
        system = addition.map_or(Ok(system), |addition| build::check(&inputs.with(&addition)))?;
    }
    let built = Arc::new(build::build_with(context, system, builder.as_deref().unwrap_or(BUILDER))?);
    all.insert(key, Arc::clone(&built));
    Ok(built)
}

/// The disc of a menu, written once in each run of the tests.
fn disc_with_menu(context: &Context, menu: &str) -> Result<PathBuf, Failure> {
    static WRITTEN: Mutex<BTreeMap<String, PathBuf>> = Mutex::new(BTreeMap::new());
    let mut written = WRITTEN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(disc) = written.get(menu) {
        return Ok(disc.clone());
    }
    let manifest = context.workspace.root.join(menu);
    let entries = build::menu(&Inputs::read(&context.workspace, &manifest))?;
    let entries = entries.ok_or_else(|| Failure::Failed(format!("{menu} is no menu")))?;
    let disc = build::build_menu(context, &manifest, &entries)?.disc;
    written.insert(menu.to_owned(), disc.clone());
    Ok(disc)
}

/// The system with the forwards of the scenario's own, which are in no image.
fn forwarded(context: &Context, scenario: &Scenario) -> Result<System, Failure> {
    let inputs = Inputs::read(&context.workspace, &context.workspace.root.join(&scenario.manifest));
    let system = build::check(&inputs)?;
    let addition = ForwardRequest::addition(&scenario.forwards, &system);
    addition.map_or(Ok(system), |addition| build::check(&inputs.with(&addition)))
}

/// A disc that differs from the one that the tool has written, if the scenario asks for one: with something
/// wrong on it, or for another firmware.
fn disc_of_its_own(
    context: &Context,
    built: &Built,
    scenario: &Scenario,
    folder: &Path,
) -> Result<Option<PathBuf>, Failure> {
    let firmware = scenario.firmware;
    let is_usual = firmware == Firmware::Bios && scenario.disc.is_none();
    if scenario.damage.is_none() && is_usual && !scenario.self_attack {
        return Ok(None);
    }
    let no_image = || Failure::Failed(format!("the image of {} is none", built.system.name()));
    let image = match scenario.damage {
        Some(damage) => damage.apply(built.image.clone()).ok_or_else(no_image)?,
        None => built.image.clone(),
    };
    let kernel = if scenario.self_attack { self_attacking_kernel(context)? } else { built.kernel.clone() };
    let disc = folder.join("boot.iso");
    let serial_port = built.system.platform().serial_port;
    if firmware == Firmware::Efi || scenario.disc.is_some() {
        let listed = if scenario.damage.is_some_and(Damage::is_listed) { &image } else { &built.image };
        let listing = pcrs::listing(&kernel, listed).ok_or_else(no_image)?;
        let loader = build::loader(context)?;
        let content =
            Content { loader: &loader, kernel: &kernel, image: &image, listing: &listing, serial_port };
        match scenario.disc {
            Some(form) => medium::write(&disc, form, content, &context.interrupts)?,
            None => medium::write_efi(&disc, content)?,
        }
        return Ok(Some(disc));
    }
    let contents =
        disc::Contents { kernel: &kernel, systems: &[OnDisc::only(&image)], serial_port, firmware };
    disc::write(&disc, contents, &context.interrupts)?;
    Ok(Some(disc))
}

/// What is foretold of a system that is started from a disc; nothing if GRUB starts it by UEFI.
fn foretold(
    context: &Context,
    built: &Built,
    scenario: &Scenario,
    disc: &Path,
) -> Result<Option<Prediction>, Failure> {
    let read = || fs::read(disc).map_err(|error| Failure::file("cannot read", disc, &error));
    let (loader, disk);
    let boot = match (scenario.firmware, scenario.disc) {
        (Firmware::Uefi, _) | (_, Some(Form::Qcow2)) => return Ok(None),
        (Firmware::Bios, _) => {
            disk = read()?;
            Boot::Bios(&disk)
        }
        (Firmware::Efi, Some(Form::Raw)) => {
            (loader, disk) = (build::loader(context)?, read()?);
            Boot::EfiDisk { loader: &loader, disk: &disk }
        }
        (Firmware::Efi, _) => {
            loader = build::loader(context)?;
            Boot::Efi(&loader)
        }
    };
    let prediction = Prediction::new(boot, &built.kernel, &built.image);
    let is_old = scenario.firmware == Firmware::Efi && scenario.tpm == Some(TpmVersion::V12);
    Ok(prediction.map(|foretold| if is_old { foretold.of_tpm_12() } else { foretold }))
}

/// The kernel that attacks itself, compiled once in each run of the tests.
fn self_attacking_kernel(context: &Context) -> Result<Vec<u8>, Failure> {
    static KERNEL: Mutex<Option<Vec<u8>>> = Mutex::new(None);
    let mut kernel = KERNEL.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(kernel) = &*kernel {
        return Ok(kernel.clone());
    }
    let file = context.compiler().build(Part::SelfAttack, &[cargo_build::KERNEL])?.pop().unwrap_or_default();
    let symbols = fs::read(&file).map_err(|error| Failure::file("cannot read", &file, &error))?;
    let bare = disc::without_sections(&symbols)
        .ok_or_else(|| Failure::Failed("the kernel that the compiler made is no ELF file".into()))?;
    Ok(kernel.insert(bare).clone())
}
