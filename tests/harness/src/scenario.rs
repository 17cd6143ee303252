//! A boot scenario as it is written down.
//!
//! ```text
//! # Lines that begin with # are comments.
//! manifest: manifests/tpm-demo.toml       the system; needed
//! menu: manifests/demo.toml               the disc is one with this menu, which has the system in it; with `typed` behind
//!                                         it, the scenario types its number
//! tpm: 1.2                                1.2 (default), 2.0 or none
//! kernel: self-attack                     a kernel that attacks itself at boot (default: the one that is shipped)
//! firmware: uefi                          bios (default), uefi, or efi, which is UEFI with the loader that measures
//! disc: raw                               a disc for both kinds of firmware: iso, raw or qcow2 (default: one for this
//!                                         firmware alone)
//! cpu: qemu64                             QEMU's name of the CPU (default: the platform's)
//! smp: 4                                  processors (default 1)
//! memory: 64                              MiB (default: the platform's)
//! status: success                         how the system ends: success (default), failure, halt, panic; or
//!                                         `none`: it does not, and is stopped a second after the last
//!                                         expected line
//! timeout: 60                             seconds (default 60), as `patience` counts them
//! icount: yes                             the machine's clock counts its instructions (default: no), so that no time
//!                                         in it depends on the host. It does not wait for the host either; with
//!                                         `paced` it does: while it has nothing to do, time passes as on the host
//! tamper: forged 0x17e                    what becomes on its way of the TPM's response to each command with this
//!                                         number, and, with one more number, with this handle; see `tamper`
//! prepare: swtpm_setup …                   runs on the host before the machine starts, and leaves the TPM's state in
//!                                         the folder `$TPM_STATE`, or fills a disk; may come several times
//! qemu: -global NAME.PROPERTY=VALUE       more arguments for QEMU; may come several times
//! forward: 0:alice:22                     a port of the host that leads to a domain, beside those of the
//!                                         manifest; may come several times. HOST is chosen for each run
//! capture: yes                            records what the switch takes in (default: no); `ore`, if there are
//!                                         several, or `ore:alice`, for one port
//! damage: plan                            what is wrong with the image (default: nothing)
//! builder: architect                      the program that stands in for the builder's
//! program: trial                          a program of `tests/guest` that guests have in their file systems, in `/bin`
//!
//! + hello | hello                         a line with this text must come, after those above
//! & hello | ready                         and another one with this text, before or after the one above
//! > some text                             then this is typed, with Enter; ^] is Ctrl-], ^I Tab, ^? Backspace
//! ! unplug tpm                            then the TPM is pulled out
//! ! freeze tpm                            then the TPM stops answering
//! $ some command                          then this runs on the host; see `host` for what it finds there, and
//!                                         for the lines that it adds
//! ! stop                                  then the machine is ended, and that is how it is to end
//! - panic                                 no line may ever have this text
//! ```
//!
//! Runs of blanks count as one, so that the width of columns does not matter.

use std::time::Duration;

use cloison_abi::call::SystemEnd;
use image_machine::{
    disc::Firmware,
    medium::Form,
    run::{Accelerator, ForwardRequest, TpmVersion},
};

use crate::{Damage, tamper::Tamper};

/// What to boot and what to expect.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields' names say what they are")]
pub struct Scenario {
    /// The system's manifest, from the project's root.
    pub manifest: String,
    /// The menu whose disc the machine starts from, and whether the system is chosen by typing.
    pub menu: Option<(String, bool)>,
    /// The machine's TPM.
    pub tpm: Option<TpmVersion>,
    /// The kernel is the one that attacks itself.
    pub self_attack: bool,
    /// What starts the machine.
    pub firmware: Firmware,
    /// The form of the disc, if it is one for both kinds of firmware.
    pub disc: Option<Form>,
    /// QEMU's name of the CPU.
    pub cpu: Option<String>,
    pub processors: u32,
    pub memory_mib: Option<u32>,
    /// How the system is to end; `None`: it goes on for ever, or stands still.
    pub end: Option<SystemEnd>,
    /// How long it may take.
    pub timeout: Duration,
    /// How instructions are carried out, and so whether the machine's clock counts them.
    pub accelerator: Accelerator,
    /// What becomes of the TPM's responses.
    pub tamper: Option<Tamper>,
    /// Commands of the host that make the TPM's state, before the machine starts.
    pub prepare: Vec<String>,
    /// More arguments for QEMU.
    pub qemu: Vec<String>,
    /// What is wrong with the image.
    pub damage: Option<Damage>,
    /// The package that stands in for the builder's program.
    pub builder: Option<String>,
    /// A program of the tests that guests find in their file systems.
    pub program: Option<String>,
    /// Forwards beside those of the manifest.
    pub forwards: Vec<ForwardRequest>,
    /// Which frames are recorded: `SWITCH[:PORT]`, or empty for those of the only switch.
    pub capture: Option<String>,
    /// What has to happen, in this order.
    pub steps: Vec<Step>,
    /// What must not be printed.
    pub forbidden: Vec<String>,
}

/// One thing that happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// For each of these texts a line with it comes, in any order.
    See(Vec<String>),
    /// This is typed.
    Type(String),
    /// The TPM is pulled out.
    UnplugTpm,
    /// The TPM stops answering.
    FreezeTpm,
    /// This command runs on the host.
    Command(String),
    /// The machine is ended.
    Stop,
}

impl Scenario {
    /// Reads a scenario.
    ///
    /// # Errors
    ///
    /// A line that means nothing; a scenario without a manifest, one that expects nothing and so could not fail, or one that
    /// forbids nothing and so notices only what is missing.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut scenario = Self::empty();
        for (index, line) in text.lines().map(str::trim).enumerate() {
            if !line.is_empty() && !line.starts_with('#') {
                scenario.line(line).ok_or_else(|| format!("line {}: `{line}` means nothing", index + 1))?;
            }
        }
        if scenario.manifest.is_empty() {
            return Err("the scenario names no manifest".into());
        }
        if !scenario.steps.iter().any(|step| matches!(step, Step::See(_))) {
            return Err("the scenario expects nothing, so it could not fail".into());
        }
        if scenario.forbidden.is_empty() {
            return Err("the scenario forbids nothing, so it would notice only what is missing".into());
        }
        let has_command = scenario.steps.iter().any(|step| matches!(step, Step::Command(_)));
        if scenario.accelerator == Accelerator::Counted && has_command {
            return Err("a clock that counts instructions does not wait for a command on the host".into());
        }
        scenario.judge_stop()?;
        Ok(scenario)
    }

    /// A machine that is ended does not end by itself, and does nothing more.
    fn judge_stop(&mut self) -> Result<(), String> {
        match self.steps.iter().position(|step| *step == Step::Stop) {
            None => Ok(()),
            Some(place) if place + 1 < self.steps.len() => Err("nothing can come after `! stop`".into()),
            Some(_) => {
                self.end = None;
                Ok(())
            }
        }
    }

    fn empty() -> Self {
        Self {
            manifest: String::new(),
            menu: None,
            tpm: Some(TpmVersion::V12),
            self_attack: false,
            firmware: Firmware::Bios,
            disc: None,
            cpu: None,
            processors: 1,
            memory_mib: None,
            end: Some(SystemEnd::Success),
            timeout: Duration::from_secs(60),
            accelerator: Accelerator::Best,
            tamper: None,
            prepare: Vec::new(),
            qemu: Vec::new(),
            damage: None,
            builder: None,
            program: None,
            forwards: Vec::new(),
            capture: None,
            steps: Vec::new(),
            forbidden: Vec::new(),
        }
    }

    /// Takes one line. `None` if it means nothing.
    fn line(&mut self, line: &str) -> Option<()> {
        match line.split_once(' ')? {
            (_, "") => return None,
            ("+", text) => self.steps.push(Step::See(vec![squeeze(text)])),
            ("&", text) => match self.steps.last_mut()? {
                Step::See(texts) => texts.push(squeeze(text)),
                _ => return None,
            },
            ("-", text) => self.forbidden.push(squeeze(text)),
            (">", text) => self.steps.push(Step::Type(typed(text))),
            ("$", command) => self.steps.push(Step::Command(command.to_owned())),
            ("!", "stop") => self.steps.push(Step::Stop),
            ("!", "unplug tpm") => self.steps.push(Step::UnplugTpm),
            ("!", "freeze tpm") => self.steps.push(Step::FreezeTpm),
            (key, value) => self.setting(key.strip_suffix(':')?, value.trim())?,
        }
        Some(())
    }

    fn setting(&mut self, key: &str, value: &str) -> Option<()> {
        match key {
            "manifest" => self.manifest = value.to_owned(),
            "menu" => {
                let file = value.strip_suffix(" typed");
                self.menu = Some((file.unwrap_or(value).to_owned(), file.is_some()));
            }
            "tpm" => self.tpm = tpm(value)?,
            "kernel" => self.self_attack = (value == "self-attack").then_some(true)?,
            "firmware" => self.firmware = firmware(value)?,
            "disc" => self.disc = Some(form(value)?),
            "cpu" => self.cpu = Some(value.to_owned()),
            "smp" => self.processors = value.parse().ok()?,
            "memory" => self.memory_mib = Some(value.parse().ok()?),
            "status" => self.end = end(value)?,
            "timeout" => self.timeout = Duration::from_secs(value.parse().ok()?),
            "icount" => self.accelerator = accelerator(value)?,
            "forward" => self.forwards.push(value.parse().ok()?),
            "capture" => self.capture = capture(value),
            "tamper" => self.tamper = Some(Tamper::parse(value)?),
            "prepare" => self.prepare.push(value.to_owned()),
            "qemu" => self.qemu.extend(value.split_whitespace().map(str::to_owned)),
            "builder" => self.builder = Some(value.to_owned()),
            "program" => self.program = Some(value.to_owned()),
            "damage" => self.damage = Some(Damage::from_name(value)?),
            _ => return None,
        }
        Some(())
    }
}

fn firmware(value: &str) -> Option<Firmware> {
    match value {
        "bios" => Some(Firmware::Bios),
        "uefi" => Some(Firmware::Uefi),
        "efi" => Some(Firmware::Efi),
        _ => None,
    }
}

fn form(value: &str) -> Option<Form> {
    [Form::Iso, Form::Raw, Form::Qcow2].into_iter().find(|form| form.name() == value)
}

fn capture(value: &str) -> Option<String> {
    match value {
        "no" => None,
        "yes" => Some(String::new()),
        which => Some(which.to_owned()),
    }
}

fn accelerator(value: &str) -> Option<Accelerator> {
    match value {
        "no" => Some(Accelerator::Best),
        "yes" => Some(Accelerator::Counted),
        "paced" => Some(Accelerator::Paced),
        _ => None,
    }
}

/// Makes one blank out of each run of blanks.
pub(crate) fn squeeze(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// `None`: no such version. `Some(None)`: no TPM.
#[expect(clippy::option_option, reason = "a bad word and the word `none` are two things")]
fn tpm(value: &str) -> Option<Option<TpmVersion>> {
    match value {
        "1.2" => Some(Some(TpmVersion::V12)),
        "2.0" => Some(Some(TpmVersion::V20)),
        "none" => Some(None),
        _ => None,
    }
}

/// `None`: no such end. `Some(None)`: no end at all.
#[expect(clippy::option_option, reason = "a bad word and the word `none` are two things")]
fn end(value: &str) -> Option<Option<SystemEnd>> {
    match value {
        "success" => Some(Some(SystemEnd::Success)),
        "failure" => Some(Some(SystemEnd::Failure)),
        "halt" => Some(Some(SystemEnd::Halt)),
        "panic" => Some(Some(SystemEnd::Panic)),
        "none" => Some(None),
        _ => None,
    }
}

/// What is typed: `^` and a capital letter, or one of `[\]_?`, is the control character that terminals show so.
fn typed(text: &str) -> String {
    let mut rest = text.chars();
    let mut all = String::new();
    while let Some(one) = rest.next() {
        let is_control = |next: &char| matches!(next, 'A'..='Z' | '[' | '\\' | ']' | '_' | '?');
        match rest.clone().next().filter(|next| one == '^' && is_control(next)) {
            Some(next) => {
                rest.next();
                all.push(char::from(next as u8 ^ 0x40));
            }
            None => all.push(one),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_kind_of_line() {
        let text = "# c\nmanifest: m.toml\ntpm: none\nsmp: 4\nmemory: 64\nstatus: halt\ntimeout: 5\n\
                    damage: plan\n\n+ a  |   b\n> x\n! unplug tpm\n- c\n";
        let scenario = Scenario::parse(text).unwrap();
        assert_eq!(scenario.manifest, "m.toml");
        assert_eq!((scenario.tpm, scenario.processors, scenario.memory_mib), (None, 4, Some(64)));
        assert_eq!((scenario.end, scenario.timeout), (Some(SystemEnd::Halt), Duration::from_secs(5)));
        assert_eq!(
            scenario.steps,
            [Step::See(vec!["a | b".into()]), Step::Type("x".into()), Step::UnplugTpm]
        );
        assert_eq!(scenario.forbidden, ["c"]);
    }

    #[test]
    fn refuses_what_it_does_not_understand() {
        for line in [
            "forward: 22",
            "tmp: 1.2",
            "tpm: 3.0",
            "icount: 3",
            "smp: many",
            "firmware: coreboot",
            "disc: vmdk",
            "tamper: forged",
            "tamper: broken 0x17e",
            "+",
            "* a",
            "a | b",
            "status: good",
            "damage: all",
        ] {
            let text = format!("manifest: m\n+ a\n{line}\n");
            assert_eq!(Scenario::parse(&text), Err(format!("line 3: `{line}` means nothing")));
        }
    }

    #[test]
    fn reads_commands_and_the_end() {
        let text =
            "manifest: m\nforward: 0:alice:22\ncapture: yes\n$ nc  -w 1 x | head\n+ host | a\n! stop\n- b\n";
        let scenario = Scenario::parse(text).unwrap();
        let command = Step::Command("nc  -w 1 x | head".into());
        assert_eq!(scenario.steps, [command, Step::See(vec!["host | a".into()]), Step::Stop]);
        assert_eq!((scenario.end, scenario.capture), (None, Some(String::new())));
        assert_eq!(scenario.forwards, ["0:alice:22".parse().unwrap()]);
        assert!(Scenario::parse("manifest: m\n- b\n! stop\n+ a\n").is_err());
    }

    #[test]
    fn refuses_to_expect_or_to_forbid_nothing() {
        assert!(Scenario::parse("manifest: m\n+ a\n- never\n").is_ok());
        assert!(Scenario::parse("manifest: m\n- never\n").is_err());
        assert!(Scenario::parse("manifest: m\n+ a\n").is_err());
        assert!(Scenario::parse("+ a\n").is_err());
    }

    #[test]
    fn a_clock_that_counts_instructions_waits_for_no_command() {
        let clock = |text| Scenario::parse(text).map(|scenario| scenario.accelerator);
        assert_eq!(clock("manifest: m\nicount: yes\n+ a\n- c\n"), Ok(Accelerator::Counted));
        assert_eq!(clock("manifest: m\nicount: paced\n+ a\n- c\n$ b\n"), Ok(Accelerator::Paced));
        assert_eq!(clock("manifest: m\nicount: no\n+ a\n- c\n$ b\n"), Ok(Accelerator::Best));
        assert!(clock("manifest: m\nicount: yes\n+ a\n- c\n$ b\n").is_err());
    }

    #[test]
    fn control_characters_are_typed_as_terminals_show_them() {
        for (text, bytes) in
            [("^]2", "\x1d2"), ("a^Ib^?", "a\tb\x7f"), ("^[[A^C", "\x1b[A\x03"), ("2^3 ^", "2^3 ^")]
        {
            assert_eq!(typed(text), bytes);
        }
    }
}
