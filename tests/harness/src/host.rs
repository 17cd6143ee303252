//! Commands that a scenario runs on the host while its machine runs.
//!
//! A command is a line for `sh`, in a folder of its own for each scenario. It finds in its environment, for
//! each forward, `FORWARD_` and the forward's name in upper case, with `_` for each `-`: the host's port
//! that leads into the machine. A forward of the scenario's own is named after where it leads: `0:alice:22`
//! gives `FORWARD_ALICE_22`. `CAPTURE` is the file of recorded frames, if there is one; `LOG` is a file with the
//! lines of the console so far; `TPM` is a socket that takes commands for the machine's TPM and gives responses,
//! and `TPM2TOOLS_TCTI` has the tools of TPM 2.0 use it. `DISK_STORE` is the file behind the disk that the domain `store`
//! drives. A command that prepares something, before there is a machine, finds the disks' files, and the folder of the
//! TPM's state as `TPM_STATE`. `FORETOLD` is what `cargo image pcrs` prints of the system, and `REFERENCE` the same in JSON.
//! `PROGRAMS` is the folder of the harness's own programs (`src/bin`). `GUEST_FILES` is one with what guests begin with, by the
//! names in the manifest, if a command asks for it.
//!
//! Each line that it prints becomes a line of the console, `host | …`. So does its exit status, if it is not
//! 0: `host | exit status 7`.

use std::{
    env,
    ffi::OsString,
    fs::{self, File},
    io::{Write, pipe},
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::process::ExitStatusExt,
    },
    path::{Path, PathBuf},
    process::ExitStatus,
    time::Duration,
};

use image_compiler::{Prediction, System};
use image_machine::{
    Failure,
    patience::Patience,
    payload::Payloads,
    process::{self, Child, read_some},
    run::{OpenDisk, OpenForward, Relay, TpmVersion},
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tempfile::TempDir;

use crate::tamper::Tamper;

/// How long a command may take.
const LIMIT: Duration = Duration::from_secs(30);
/// Between two looks whether a command has ended.
const PAUSE: Timespec = Timespec { tv_sec: 0, tv_nsec: 10_000_000 };
/// The status with which `sh` says that a program is not there.
const NOT_FOUND: i32 = 127;

/// What commands find on the host.
pub(crate) struct Host {
    folder: TempDir,
    environment: Vec<(String, OsString)>,
}

impl Host {
    /// Sets up a folder, and tells of forwards.
    pub(crate) fn new(forwards: &[OpenForward]) -> Result<Self, Failure> {
        let folder = tempfile::tempdir()
            .map_err(|error| Failure::file("cannot write in", &std::env::temp_dir(), &error))?;
        let ports = forwards
            .iter()
            .map(|forward| (variable("FORWARD", &forward.name), forward.host_port.to_string().into()));
        let mut host = Self { environment: ports.collect(), folder };
        host.environment.push(("CAPTURE".into(), host.capture_file().into()));
        host.environment.push(("LOG".into(), host.log_file().into()));
        host.environment.push(("MONITOR".into(), host.monitor().into()));
        host.environment.extend(programs().map(|folder| ("PROGRAMS".into(), folder.into())));
        Ok(host)
    }

    /// Makes the files behind the disks, in the scenario's own folder: those that are kept are copies, so that each run
    /// begins with what is there.
    pub(crate) fn disks(
        &mut self,
        system: &System,
        payloads: &Payloads<'_>,
    ) -> Result<Vec<OpenDisk>, Failure> {
        let mut disks = OpenDisk::open_all(system, self.folder.path(), payloads, false)?;
        for disk in &mut disks {
            let own = self.folder.path().join(format!("{}.disk", disk.domain));
            if disk.path != own {
                fs::copy(&disk.path, &own)
                    .map_err(|error| Failure::file("cannot copy", &disk.path, &error))?;
                disk.path.clone_from(&own);
            }
            self.environment.push((variable("DISK", &disk.domain), own.into()));
        }
        Ok(disks)
    }

    /// Puts what guests begin with where commands find it.
    pub(crate) fn give_guest_files(&mut self, system: &System) -> Result<(), Failure> {
        let folder = self.folder.path().join("guest-files");
        fs::create_dir_all(&folder).map_err(|error| Failure::file("cannot make", &folder, &error))?;
        for file in system.files() {
            let path = folder.join(&file.name);
            let bytes = file.bytes.as_deref().unwrap_or_default();
            fs::write(&path, bytes).map_err(|error| Failure::file("cannot write", &path, &error))?;
        }
        self.environment.push(("GUEST_FILES".into(), folder.into()));
        Ok(())
    }

    /// Lets commands reach a TPM whose control socket is `tpm`, and changes what the machine is answered. Returns the
    /// socket by which QEMU reaches it then.
    pub(crate) fn relay(&mut self, tpm: &Path, tamper: Option<Tamper>) -> Result<PathBuf, Failure> {
        let relay = Relay::start(self.folder.path(), tpm, Tamper::change(tamper))?;
        let tools = format!("cmd:nc -N -U '{}'", relay.commands.display());
        self.environment.push(("TPM".into(), relay.commands.into()));
        self.environment.push(("TPM2TOOLS_TCTI".into(), tools.into()));
        Ok(relay.control)
    }

    /// Runs the commands that make a TPM's state, or fill disks. Returns the folder for [`TpmState::Kept`], if
    /// there are any and a TPM.
    ///
    /// [`TpmState::Kept`]: image_machine::run::TpmState::Kept
    ///
    /// # Errors
    ///
    /// When a command does not end, or not well.
    pub(crate) fn prepare(
        &mut self,
        version: Option<TpmVersion>,
        commands: &[String],
    ) -> Result<Option<PathBuf>, Failure> {
        let cache = self.folder.path().join("tpm-cache");
        let version = version.filter(|_| !commands.is_empty());
        if let Some(version) = version {
            let state = cache.join(version.folder());
            fs::create_dir_all(&state).map_err(|error| Failure::file("cannot make", &state, &error))?;
            self.environment.push(("TPM_STATE".into(), state.into()));
        }
        commands.iter().try_for_each(|line| self.run(line))?;
        Ok(version.map(|_| cache))
    }

    /// Runs a command to its end.
    fn run(&self, line: &str) -> Result<(), Failure> {
        let mut command = self.start(line, Duration::ZERO)?;
        let mut patience = Patience::new();
        let mut said = Vec::new();
        let status = loop {
            if let Some(output) = command.output() {
                let mut fds = [PollFd::new(&output, PollFlags::IN)];
                let is_ready = poll(&mut fds, Some(&PAUSE)).is_ok_and(|count| count > 0);
                if is_ready {
                    said.extend(command.read());
                }
            } else if let Some(status) = command.ended()? {
                break status;
            }
            if command.is_late(patience.counted(|| None)) {
                break Some(command.give_up());
            }
        };
        match status {
            None => Ok(()),
            Some(status) => {
                said.push(status);
                Err(Failure::Environment(format!("what is to be there before is not: {}", said.join("; "))))
            }
        }
    }

    /// Adds a line of the console to the file that commands find.
    pub(crate) fn note(&self, line: &str) -> Result<(), Failure> {
        let file = self.log_file();
        let opened = File::options().create(true).append(true).open(&file);
        let noted = opened.and_then(|mut log| writeln!(log, "{line}"));
        noted.map_err(|error| Failure::file("cannot write", &file, &error))
    }

    /// Tells commands what the TPM's registers are to be.
    pub(crate) fn foretell(&mut self, prediction: &Prediction) -> Result<(), Failure> {
        for (name, text) in [("FORETOLD", prediction.table()), ("REFERENCE", prediction.json())] {
            let file = self.folder.path().join(name.to_lowercase());
            fs::write(&file, text).map_err(|error| Failure::file("cannot write", &file, &error))?;
            self.environment.push((name.into(), file.into()));
        }
        Ok(())
    }

    fn log_file(&self) -> PathBuf {
        self.folder.path().join("console")
    }

    /// The file of recorded frames.
    pub(crate) fn capture_file(&self) -> PathBuf {
        self.folder.path().join("capture.pcap")
    }

    /// The socket of QEMU's monitor, which takes a command a line.
    pub(crate) fn monitor(&self) -> PathBuf {
        self.folder.path().join("monitor")
    }

    /// Starts a command. `now` is what has been counted of the run's time.
    pub(crate) fn start(&self, line: &str, now: Duration) -> Result<HostCommand, Failure> {
        let refused = |error| Failure::program("sh", &error);
        let (output, input) = pipe().map_err(refused)?;
        let mut command = process::command(Path::new("/bin/sh"));
        command.args(["-c", line]).current_dir(self.folder.path());
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.stdin(std::process::Stdio::null());
        command.stdout(input.try_clone().map_err(refused)?).stderr(input);
        let child = Child::start(&mut command, "sh")?;
        Ok(HostCommand {
            line: line.to_owned(),
            child,
            output: Some(File::from(OwnedFd::from(output))),
            text: Vec::new(),
            deadline: now + LIMIT,
        })
    }
}

/// Where the harness's own programs are: a test program lies in a folder below.
fn programs() -> Option<PathBuf> {
    Some(env::current_exe().ok()?.parent()?.parent()?.to_owned())
}

/// The variable that holds a forward's port, or a disk's file.
fn variable(kind: &str, name: &str) -> String {
    format!("{kind}_{}", name.to_uppercase().replace('-', "_"))
}

/// A command that runs on the host. It is ended, with all that it started, when this value goes.
pub(crate) struct HostCommand {
    line: String,
    child: Child,
    output: Option<File>,
    text: Vec<u8>,
    deadline: Duration,
}

impl HostCommand {
    /// What to wait for: something to read, or the end of it. `None`: it has nothing more to say.
    pub(crate) fn output(&self) -> Option<BorrowedFd<'_>> {
        self.output.as_ref().map(AsFd::as_fd)
    }

    /// Whether its time is up.
    pub(crate) fn is_late(&self, now: Duration) -> bool {
        now >= self.deadline
    }

    /// Takes what it has printed. Returns the lines that this completes.
    pub(crate) fn read(&mut self) -> Vec<String> {
        read_some(&mut self.output, &mut self.text);
        self.lines(self.output.is_none())
    }

    /// Whole lines; at the end, the rest as well.
    fn lines(&mut self, is_over: bool) -> Vec<String> {
        let end = self.text.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
        let whole: Vec<u8> = self.text.drain(..if is_over { self.text.len() } else { end }).collect();
        String::from_utf8_lossy(&whole).lines().map(host_line).collect()
    }

    /// Whether it has ended; then the line that says how, if that is worth one.
    ///
    /// # Errors
    ///
    /// When its program is not there.
    pub(crate) fn ended(&mut self) -> Result<Option<Option<String>>, Failure> {
        if self.output.is_some() {
            return Ok(None);
        }
        self.child.ended().map(|status| self.judge(status)).transpose()
    }

    /// Ends it because its time is up. Returns the line that says so.
    pub(crate) fn give_up(&mut self) -> String {
        self.child.end();
        host_line(&format!("`{}` did not end within {} s", self.line, LIMIT.as_secs()))
    }

    fn judge(&self, status: ExitStatus) -> Result<Option<String>, Failure> {
        match (status.code(), status.signal()) {
            (Some(0), _) => Ok(None),
            (Some(NOT_FOUND), _) => {
                Err(Failure::Environment(format!("`{}` needs a program that is not there", self.line)))
            }
            (Some(code), _) => Ok(Some(host_line(&format!("exit status {code}")))),
            (None, signal) => Ok(Some(host_line(&format!("signal {}", signal.unwrap_or_default())))),
        }
    }
}

fn host_line(text: &str) -> String {
    format!("host | {text}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a command to its end.
    fn run(line: &str) -> Result<Vec<String>, Failure> {
        let host = Host::new(&[]).unwrap();
        let mut command = host.start(line, Duration::ZERO)?;
        let mut all = Vec::new();
        loop {
            all.extend(command.read());
            if let Some(status) = command.ended()? {
                all.extend(status);
                return Ok(all);
            }
        }
    }

    #[test]
    fn a_command_prints_lines_and_its_status() {
        assert_eq!(run("echo one; printf two >&2").unwrap(), ["host | one", "host | two"]);
        assert_eq!(run("exit 7").unwrap(), ["host | exit status 7"]);
        assert_eq!(run("basename $CAPTURE").unwrap(), ["host | capture.pcap"]);
    }

    #[test]
    fn a_program_that_is_not_there_is_no_verdict() {
        let error = run("no-such-program").unwrap_err();
        assert!(error.to_string().contains("`no-such-program` needs a program that is not there"), "{error}");
    }

    #[test]
    fn forwards_are_variables() {
        assert_eq!(variable("FORWARD", "alice-22"), "FORWARD_ALICE_22");
    }
}
