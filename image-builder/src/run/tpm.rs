//! The machine's TPM: the emulator swtpm, and the state it keeps.

use std::{
    fs,
    io::{self, Read, Write},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use cloison_tpm::{
    self as tpm, Command as _, MAX_MESSAGE_BYTES, header::HEADER_BYTES, tpm12::CreateEndorsementKeyPair,
};
use rustix::process::Signal;
use tempfile::TempDir;

use crate::{
    Failure,
    interrupts::Interrupts,
    process::{self, Child},
    tools,
};

/// How long swtpm may take until it listens.
const START_LIMIT: Duration = Duration::from_secs(10);
/// swtpm's file for a TPM 1.2's permanent state.
const STATE_FILE: &str = "tpm-00.permall";

/// Which TPM a machine has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TpmVersion {
    /// TPM 1.2.
    V12,
    /// TPM 2.0.
    V20,
}

impl TpmVersion {
    /// What a folder for its state is called.
    #[must_use]
    pub const fn folder(self) -> &'static str {
        match self {
            Self::V12 => "kept-1.2",
            Self::V20 => "kept-2.0",
        }
    }
}

/// Where the TPM's state comes from and what becomes of it.
#[derive(Debug, Clone)]
pub enum TpmState {
    /// A new TPM, forgotten after the run.
    Fresh,
    /// The one in this folder, made if there is none, and kept.
    Kept(PathBuf),
}

/// A TPM that is running.
#[derive(Debug)]
pub struct Tpm {
    child: Child,
    /// Holds the socket and, unless it is kept, the state.
    folder: TempDir,
}

impl Tpm {
    /// The class of device, in manifests, that it is.
    pub const DEVICE_CLASS: &str = "tpm-tis";

    /// Starts a TPM. Under `cache`, what a new TPM takes time to make is kept for the next one.
    ///
    /// # Errors
    ///
    /// When swtpm does not start, or somebody asks to stop.
    pub fn start(
        version: TpmVersion,
        state: &TpmState,
        cache: &Path,
        interrupts: &Interrupts,
    ) -> Result<Self, Failure> {
        let folder = temporary_folder()?;
        let state = match state {
            TpmState::Fresh => folder.path().join("state"),
            TpmState::Kept(folder) => folder.clone(),
        };
        fs::create_dir_all(&state).map_err(|error| Failure::file("cannot make", &state, &error))?;
        if version == TpmVersion::V12 && !state.join(STATE_FILE).is_file() {
            let prepared = prepared(cache, interrupts)?;
            let content =
                fs::read(&prepared).map_err(|error| Failure::file("cannot read", &prepared, &error))?;
            crate::disc::write_file(&state.join(STATE_FILE), &content)?;
        }
        let child = start(version, &state, folder.path(), &[], interrupts)?;
        Ok(Self { child, folder })
    }

    /// The socket through which QEMU reaches it.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        control_socket(self.folder.path())
    }

    /// Stops it in the middle of whatever it is doing: it hangs.
    pub fn freeze(&self) {
        self.child.signal(Signal::STOP);
    }

    /// Kills it, as if it had been pulled out of the machine.
    pub fn unplug(&mut self) {
        self.child.end();
    }
}

/// The state of a TPM 1.2 that has an endorsement key, as a real one has when it leaves the factory. → its
/// file.
fn prepared(cache: &Path, interrupts: &Interrupts) -> Result<PathBuf, Failure> {
    let file = cache.join("tpm-1.2").join(STATE_FILE);
    if file.is_file() {
        return Ok(file);
    }
    let folder = temporary_folder()?;
    let data = folder.path().join("data");
    let mut server = std::ffi::OsString::from("type=unixio,path=");
    server.push(&data);
    let options = ["--server".into(), server, "--flags".into(), "not-need-init,startup-clear".into()];
    let mut child = start(TpmVersion::V12, folder.path(), folder.path(), &options, interrupts)?;
    let answer = create_endorsement_key(&data);
    child.end();
    answer?;
    let content = fs::read(folder.path().join(STATE_FILE))
        .map_err(|error| Failure::file("cannot read swtpm's state in", folder.path(), &error))?;
    let parent = cache.join("tpm-1.2");
    fs::create_dir_all(&parent).map_err(|error| Failure::file("cannot make", &parent, &error))?;
    crate::disc::write_file(&file, &content)?;
    Ok(file)
}

/// Has a TPM 1.2 make its endorsement key.
fn create_endorsement_key(socket: &Path) -> Result<(), Failure> {
    // The nonce guards against somebody between TPM and reader; there is nobody.
    let command = CreateEndorsementKeyPair { nonce: [0; 20] };
    let response = transmit(socket, &command).map_err(|error| Failure::program("swtpm", &error))?;
    match command.parse(&response) {
        Ok(_) => Ok(()),
        Err(error) => Err(Failure::Failed(format!("the TPM does not make its endorsement key: {error}"))),
    }
}

/// Sends a command to a TPM. → its response, whatever it is.
fn transmit(socket: &Path, command: &impl tpm::Command) -> io::Result<Vec<u8>> {
    let mut buffer = [0; MAX_MESSAGE_BYTES];
    let command = command.write(&mut buffer).map_err(io::Error::other)?;
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(START_LIMIT))?;
    stream.write_all(command)?;
    let mut header = [0; HEADER_BYTES];
    stream.read_exact(&mut header)?;
    let [_, _, a, b, c, d, ..] = header;
    let rest = u64::from(u32::from_be_bytes([a, b, c, d])).saturating_sub(HEADER_BYTES as u64);
    let mut response = header.to_vec();
    stream.take(rest.min(MAX_MESSAGE_BYTES as u64)).read_to_end(&mut response)?;
    Ok(response)
}

/// Starts swtpm and waits until it listens.
fn start(
    version: TpmVersion,
    state: &Path,
    folder: &Path,
    options: &[std::ffi::OsString],
    interrupts: &Interrupts,
) -> Result<Child, Failure> {
    let log = folder.join("log");
    let mut child = Child::start(swtpm(version, state, folder, &log)?.args(options), "swtpm")?;
    let start = Instant::now();
    while !control_socket(folder).exists() {
        interrupts.check()?;
        if child.ended().is_some() || start.elapsed() > START_LIMIT {
            let said = fs::read_to_string(&log).unwrap_or_default();
            let reason = said.lines().last().unwrap_or("it said nothing");
            return Err(Failure::Environment(format!("swtpm does not start: {reason}")));
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok(child)
}

fn swtpm(version: TpmVersion, state: &Path, folder: &Path, log: &Path) -> Result<Command, Failure> {
    let option = |prefix: &str, path: &Path| {
        let mut option = std::ffi::OsString::from(prefix);
        option.push(path);
        option
    };
    let output = fs::File::create(log).map_err(|error| Failure::file("cannot write", log, &error))?;
    let mut command = process::command(&tools::path(tools::SWTPM)?);
    command.args(["socket", "--terminate", "--tpmstate"]).arg(option("dir=", state));
    command.arg("--ctrl").arg(option("type=unixio,path=", &control_socket(folder)));
    if version == TpmVersion::V20 {
        command.arg("--tpm2");
    }
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(output);
    Ok(command)
}

fn control_socket(folder: &Path) -> PathBuf {
    folder.join("control")
}

/// A folder for sockets, whose paths must be short.
fn temporary_folder() -> Result<TempDir, Failure> {
    tempfile::Builder::new()
        .prefix("cloison-tpm-")
        .tempdir()
        .map_err(|error| Failure::file("cannot write in", &std::env::temp_dir(), &error))
}
