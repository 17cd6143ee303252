//! The machine's TPM: the emulator swtpm, and the state it keeps.

use std::{
    fmt,
    fs::{self, File},
    io::{self, Read, Write},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use cloison_tpm::{
    self as tpm, Command as _, MAX_MESSAGE_BYTES, header::HEADER_BYTES, tpm12::CreateEndorsementKeyPair,
};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{FlockOperation, flock},
    process::Signal,
};

use crate::{
    Failure,
    interrupts::Interrupts,
    patience::Patience,
    process::{self, Child},
    scratch::Scratch,
    tools,
};

/// How long swtpm may take until it listens, and until it has made a key; see [`Patience`].
const START_LIMIT: Duration = Duration::from_secs(10);
/// swtpm's file for a TPM 1.2's permanent state.
const STATE_FILE: &str = "tpm-00.permall";
/// Names in the folder that swtpm runs in: all its paths are relative, since it cuts its options at commas and
/// sockets have short paths.
const CONTROL: &str = "control";
const DATA: &str = "data";
const STATE: &str = "state";
const LOG: &str = "log";

/// Which TPM a machine has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TpmVersion {
    /// TPM 1.2.
    V12,
    /// TPM 2.0.
    V20,
}

impl fmt::Display for TpmVersion {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::V12 => "1.2",
            Self::V20 => "2.0",
        })
    }
}

impl TpmVersion {
    /// The name of a folder for its state.
    #[must_use]
    pub const fn folder(self) -> &'static str {
        match self {
            Self::V12 => "kept-1.2",
            Self::V20 => "kept-2.0",
        }
    }
}

/// Where the TPM's state comes from and what becomes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TpmState {
    /// A new TPM, forgotten after the run.
    Fresh,
    /// The one of the last run that kept it, or a new one; and kept.
    Kept,
}

/// A TPM that is running.
#[derive(Debug)]
pub struct Tpm {
    child: Child,
    /// Holds the socket and, unless it is kept, the state.
    folder: Scratch,
    /// The folder of a kept state, locked.
    _kept: Option<File>,
    /// Where QEMU reaches it, if not at its own socket.
    relay: Option<PathBuf>,
}

impl Tpm {
    /// The class of device, in manifests, that it is.
    pub const DEVICE_CLASS: &str = "tpm-tis";

    /// Starts a TPM. Under `cache` are the states that are kept, and what a new TPM takes time to make.
    ///
    /// # Errors
    ///
    /// When swtpm does not start, when another run uses the kept TPM, or when somebody asks to stop.
    pub fn start(
        version: TpmVersion,
        state: TpmState,
        cache: &Path,
        interrupts: &Interrupts,
    ) -> Result<Self, Failure> {
        let folder = Scratch::new(cache)?;
        let (kept, relative) = match state {
            TpmState::Fresh => (None, STATE.to_owned()),
            // Beside the folder that swtpm runs in.
            TpmState::Kept => {
                (Some(lock(&cache.join(version.folder()))?), format!("../{}", version.folder()))
            }
        };
        let state = folder.path().join(&relative);
        fs::create_dir_all(&state).map_err(|error| Failure::file("cannot make", &state, &error))?;
        if version == TpmVersion::V12 && !state.join(STATE_FILE).is_file() {
            let prepared = prepared(cache, interrupts)?;
            let content =
                fs::read(&prepared).map_err(|error| Failure::file("cannot read", &prepared, &error))?;
            crate::disc::write_file(&state.join(STATE_FILE), &content)?;
        }
        let child = start(version, &relative, &folder, &[], interrupts)?;
        Ok(Self { child, folder, _kept: kept, relay: None })
    }

    /// The socket through which QEMU reaches it.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.relay.clone().unwrap_or_else(|| self.folder.short(CONTROL))
    }

    /// Has QEMU reach it through this socket, which somebody else listens to.
    pub fn relay_by(&mut self, socket: PathBuf) {
        self.relay = Some(socket);
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

/// Makes the folder of a kept state, for this run alone.
fn lock(folder: &Path) -> Result<File, Failure> {
    let open = || {
        fs::create_dir_all(folder)?;
        File::open(folder)
    };
    let lock = open().map_err(|error| Failure::file("cannot make", folder, &error))?;
    match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(lock),
        Err(_) => Err(Failure::Environment(format!(
            "the kept TPM is in use: another run with --keep has {}; wait for its end, or run without --keep",
            folder.display()
        ))),
    }
}

/// The state of a TPM 1.2 that has an endorsement key, as a real one has when it leaves the factory. Returns its
/// file.
fn prepared(cache: &Path, interrupts: &Interrupts) -> Result<PathBuf, Failure> {
    let parent = cache.join("tpm-1.2");
    let file = parent.join(STATE_FILE);
    if file.is_file() {
        return Ok(file);
    }
    let folder = Scratch::new(cache)?;
    let server = format!("type=unixio,path={DATA}");
    let options = ["--server", &server, "--flags", "not-need-init,startup-clear"];
    let mut child = start(TpmVersion::V12, ".", &folder, &options, interrupts)?;
    let answer = create_endorsement_key(&folder.short(DATA), &child, interrupts);
    child.end();
    answer?;
    let content = fs::read(folder.path().join(STATE_FILE))
        .map_err(|error| Failure::file("cannot read swtpm's state in", folder.path(), &error))?;
    fs::create_dir_all(&parent).map_err(|error| Failure::file("cannot make", &parent, &error))?;
    crate::disc::write_file(&file, &content)?;
    Ok(file)
}

/// Has a TPM 1.2 make its endorsement key.
fn create_endorsement_key(socket: &Path, swtpm: &Child, interrupts: &Interrupts) -> Result<(), Failure> {
    // The nonce guards against somebody between TPM and reader; there is nobody.
    let command = CreateEndorsementKeyPair { nonce: [0; 20] };
    let response =
        transmit(socket, &command, swtpm, interrupts).map_err(|error| Failure::program("swtpm", &error))?;
    interrupts.check()?;
    match command.parse(&response) {
        Ok(_) => Ok(()),
        Err(error) => Err(Failure::Failed(format!("the TPM does not make its endorsement key: {error}"))),
    }
}

/// Sends a command to a TPM. Returns its response, whatever it is; nothing, if somebody asks to stop.
fn transmit(
    socket: &Path,
    command: &impl tpm::Command,
    swtpm: &Child,
    interrupts: &Interrupts,
) -> io::Result<Vec<u8>> {
    let mut buffer = [0; MAX_MESSAGE_BYTES];
    let command = command.write(&mut buffer).map_err(io::Error::other)?;
    let mut stream = UnixStream::connect(socket)?;
    stream.write_all(command)?;
    if !answers(&stream, swtpm, interrupts)? {
        return Ok(Vec::new());
    }
    let mut header = [0; HEADER_BYTES];
    stream.read_exact(&mut header)?;
    let [_, _, a, b, c, d, ..] = header;
    let rest = u64::from(u32::from_be_bytes([a, b, c, d])).saturating_sub(HEADER_BYTES as u64);
    let mut response = header.to_vec();
    stream.take(rest.min(MAX_MESSAGE_BYTES as u64)).read_to_end(&mut response)?;
    Ok(response)
}

/// Waits until a TPM answers; it does not if somebody asks to stop.
fn answers(stream: &UnixStream, swtpm: &Child, interrupts: &Interrupts) -> io::Result<bool> {
    let mut patience = Patience::new();
    while patience.counted(|| swtpm.cpu_time()) < START_LIMIT {
        let mut ready = [PollFd::new(stream, PollFlags::IN), PollFd::new(interrupts, PollFlags::IN)];
        poll(&mut ready, Some(&Timespec { tv_sec: 0, tv_nsec: 100_000_000 }))?;
        match ready.map(|fd| !fd.revents().is_empty()) {
            [_, true] => return Ok(false),
            [true, false] => return Ok(true),
            [false, false] => {}
        }
    }
    Err(io::ErrorKind::TimedOut.into())
}

/// Starts swtpm in a folder, with its state in another one as seen from there, and waits until it listens.
fn start(
    version: TpmVersion,
    state: &str,
    folder: &Scratch,
    options: &[&str],
    interrupts: &Interrupts,
) -> Result<Child, Failure> {
    let log = folder.path().join(LOG);
    let output = File::create(&log).map_err(|error| Failure::file("cannot write", &log, &error))?;
    let mut command = process::command(&tools::path(tools::SWTPM)?);
    command.current_dir(folder.path());
    command.args(["socket", "--terminate", "--tpmstate", &format!("dir={state}")]);
    command.args(["--ctrl", &format!("type=unixio,path={CONTROL}")]);
    command.args((version == TpmVersion::V20).then_some("--tpm2")).args(options);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(output);
    let mut child = Child::start(&mut command, "swtpm")?;
    let names: Vec<_> = [CONTROL, DATA].into_iter().filter(|name| command_names(&command, name)).collect();
    let mut patience = Patience::new();
    while !names.iter().all(|name| is_listening(child.id(), Path::new(name))) {
        interrupts.check()?;
        if child.ended().is_some() || patience.counted(|| child.cpu_time()) > START_LIMIT {
            let said = fs::read_to_string(&log).unwrap_or_default();
            return Err(Failure::Environment(match said.lines().last() {
                Some(reason) => format!("swtpm does not start: {reason}"),
                None => "the TPM emulator swtpm ended before the machine could use it".to_owned(),
            }));
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok(child)
}

/// Whether a socket is among a command's arguments.
fn command_names(command: &std::process::Command, socket: &str) -> bool {
    let path = format!("path={socket}");
    command.get_args().any(|argument| argument.to_string_lossy().split(',').any(|part| part == path))
}

/// Whether a process listens to a socket of this name. That its file is there says less: between the two, who connects is
/// refused. Connecting to see would be no way either, since swtpm ends with its first connection.
fn is_listening(process: u32, socket: &Path) -> bool {
    /// A flag of a socket that listens (`__SO_ACCEPTCON` of Linux's `net.h`).
    const LISTENS: u32 = 1 << 16;
    let Ok(sockets) = fs::read_to_string(format!("/proc/{process}/net/unix")) else { return false };
    let Ok(files) = fs::read_dir(format!("/proc/{process}/fd")) else { return false };
    let open: Vec<_> = files.flatten().filter_map(|file| fs::read_link(file.path()).ok()).collect();
    // Number, references, protocol, flags, type, state, inode, path (proc(5), `/proc/net/unix`).
    sockets.lines().any(|line| {
        let cells: Vec<_> = line.split_whitespace().collect();
        let [_, _, _, flags, _, _, inode, path] = cells[..] else { return false };
        u32::from_str_radix(flags, 16).is_ok_and(|flags| flags & LISTENS != 0)
            && Path::new(path) == socket
            && open.contains(&PathBuf::from(format!("socket:[{inode}]")))
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn a_socket_listens_while_its_process_has_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        assert!(!is_listening(std::process::id(), &path));
        let listener = UnixListener::bind(&path).unwrap();
        assert!(is_listening(std::process::id(), &path));
        assert!(!is_listening(std::process::id(), &folder.path().join("other")));
        assert!(!is_listening(1, &path), "another process");
        drop(listener);
        assert!(path.exists() && !is_listening(std::process::id(), &path), "its file is there still");
    }

    #[test]
    fn the_sockets_of_a_command_are_known() {
        let mut command = std::process::Command::new("swtpm");
        command.args(["--ctrl", "type=unixio,path=control"]);
        assert!(command_names(&command, CONTROL));
        assert!(!command_names(&command, DATA));
    }
}
