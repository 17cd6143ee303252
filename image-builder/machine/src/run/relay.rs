//! A relay between QEMU and its TPM, so that the host can ask the same TPM.
//!
//! QEMU holds the only connection that swtpm takes: one for control, over which it passes the socket for
//! commands. The relay stands between, keeps that socket, and gives swtpm one of its own; so commands of QEMU and
//! of the host take turns, each with its whole response.

use std::{
    io::{self, IoSlice, IoSliceMut, Read, Write},
    mem::MaybeUninit,
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use cloison_measure::Bank;
use cloison_tpm::{
    Command as _, MAX_MESSAGE_BYTES,
    header::HEADER_BYTES,
    tpm20::{self, PcrRead},
};
use rustix::{
    event::{PollFd, PollFlags, poll},
    net::{
        RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
        SendFlags, recvmsg, sendmsg,
    },
};

use crate::Failure;

/// Bytes of control that are passed on at a time.
const CONTROL_BYTES: usize = 4096;

/// What becomes of the response to a command of QEMU's on its way: for tests of those who believe it.
pub type Change = Box<dyn FnMut(&[u8], Vec<u8>) -> Vec<u8> + Send>;

/// Where the relay can be reached. It ends with QEMU's connection.
#[derive(Debug)]
pub struct Relay {
    /// For QEMU, as if it were swtpm's.
    pub control: PathBuf,
    /// For the host: commands in, responses out.
    pub commands: PathBuf,
    /// How long the TPM has had QEMU's commands, in nanoseconds.
    busy: Arc<AtomicU64>,
}

impl Relay {
    /// Stands between QEMU and the TPM whose control socket is `tpm`. Its own sockets lie in `folder`.
    /// `change` is done to each response that QEMU gets.
    ///
    /// # Errors
    ///
    /// When a socket cannot be made, or the TPM does not take the connection.
    pub fn start(folder: &Path, tpm: &Path, change: Change) -> Result<Self, Failure> {
        let busy = Arc::new(AtomicU64::new(0));
        let relay = Self { control: folder.join("tpm-control"), commands: folder.join("tpm"), busy };
        let listen = |path: &Path| {
            UnixListener::bind(path).map_err(|error| Failure::file("cannot make the socket", path, &error))
        };
        let (control, commands) = (listen(&relay.control)?, listen(&relay.commands)?);
        let tpm = UnixStream::connect(tpm).map_err(|error| Failure::program("swtpm", &error))?;
        let turns = Turns { host: commands, change, busy: Arc::clone(&relay.busy) };
        // An error is the end of one side; the other learns of it because its socket closes.
        thread::spawn(move || control.accept().and_then(|(qemu, _)| pass_control(&qemu, &tpm, turns)));
        Ok(relay)
    }
}

impl Relay {
    /// How long the TPM has had QEMU's commands so far: from each command's last byte to its response's last.
    #[must_use]
    pub fn busy(&self) -> Duration {
        Duration::from_nanos(self.busy.load(Ordering::Relaxed))
    }

    /// Reads registers of a TPM 2.0, in both banks.
    ///
    /// # Errors
    ///
    /// When the TPM does not answer, or refuses.
    pub fn registers(
        &self,
        registers: impl IntoIterator<Item = u32>,
    ) -> Result<Vec<(u32, Bank, Vec<u8>)>, Failure> {
        let failed = |error| Failure::program("swtpm", &error);
        let mut tpm = UnixStream::connect(&self.commands).map_err(failed)?;
        let all = registers.into_iter().flat_map(|pcr| Bank::ALL.map(|bank| (pcr, bank)));
        let values = all.map(|(pcr, bank)| {
            let asked = match bank {
                Bank::Sha1 => tpm20::Bank::Sha1,
                Bank::Sha256 => tpm20::Bank::Sha256,
            };
            let read = PcrRead { bank: asked, register: pcr as u8 };
            let refused =
                |error| Failure::Failed(format!("register {pcr} of {} cannot be read: {error}", bank.name()));
            let mut room = [0; MAX_MESSAGE_BYTES];
            tpm.write_all(read.write(&mut room).map_err(refused)?).map_err(failed)?;
            let response = message(&mut tpm).map_err(failed)?;
            Ok((pcr, bank, read.parse(&response).map_err(refused)?.to_vec()))
        });
        values.collect()
    }
}

/// What commands and responses go through.
struct Turns {
    /// Where the host's come.
    host: UnixListener,
    change: Change,
    busy: Arc<AtomicU64>,
}

/// Passes control on, both ways, until one side ends.
fn pass_control(qemu: &UnixStream, tpm: &UnixStream, turns: Turns) -> io::Result<()> {
    let mut turns = Some(turns);
    loop {
        let [from_qemu, from_tpm] = ready([qemu, tpm])?;
        if from_qemu {
            let (bytes, socket) = receive(qemu)?;
            let theirs = match (socket, turns.take()) {
                (Some(socket), Some(turns)) => {
                    let (ours, theirs) = UnixStream::pair()?;
                    let socket = UnixStream::from(socket);
                    thread::spawn(move || take_turns(socket, ours, turns));
                    Some(theirs)
                }
                (_, kept) => {
                    turns = kept;
                    None
                }
            };
            send(tpm, &bytes, theirs.as_ref())?;
        }
        if from_tpm {
            let (bytes, _) = receive(tpm)?;
            send(qemu, &bytes, None)?;
        }
    }
}

/// Which of the sockets have something to say, or have ended.
fn ready<const N: usize>(sockets: [&UnixStream; N]) -> io::Result<[bool; N]> {
    let mut polled = sockets.map(|socket| PollFd::new(socket, PollFlags::IN));
    poll(&mut polled, None)?;
    Ok(polled.map(|socket| !socket.revents().is_empty()))
}

/// Takes what there is, and the socket that came with it. The end is an error.
fn receive(from: &UnixStream) -> io::Result<(Vec<u8>, Option<OwnedFd>)> {
    let mut bytes = vec![0; CONTROL_BYTES];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let received = recvmsg(from, &mut [IoSliceMut::new(&mut bytes)], &mut ancillary, RecvFlags::empty())?;
    if received.bytes == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    bytes.truncate(received.bytes);
    let socket = ancillary.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut sockets) => sockets.next(),
        _ => None,
    });
    Ok((bytes, socket))
}

fn send(to: &UnixStream, bytes: &[u8], socket: Option<&UnixStream>) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    let sockets = socket.map(AsFd::as_fd);
    if let Some(socket) = &sockets {
        ancillary.push(SendAncillaryMessage::ScmRights(std::slice::from_ref(socket)));
    }
    let sent = sendmsg(to, &[IoSlice::new(bytes)], &mut ancillary, SendFlags::empty())?;
    let mut to = to;
    to.write_all(bytes.get(sent..).unwrap_or_default())
}

/// Carries commands of QEMU and of the host to the TPM, one at a time, until QEMU or the TPM ends.
fn take_turns(mut qemu: UnixStream, mut tpm: UnixStream, turns: Turns) -> io::Result<()> {
    let Turns { host, mut change, busy } = turns;
    let mut clients: Vec<UnixStream> = Vec::new();
    loop {
        let mut polled = vec![PollFd::new(&qemu, PollFlags::IN), PollFd::new(&host, PollFlags::IN)];
        polled.extend(clients.iter().map(|client| PollFd::new(client, PollFlags::IN)));
        poll(&mut polled, None)?;
        let ready: Vec<bool> = polled.iter().map(|socket| !socket.revents().is_empty()).collect();
        if ready.first() == Some(&true) {
            let command = message(&mut qemu)?;
            tpm.write_all(&command)?;
            let start = Instant::now();
            let response = message(&mut tpm)?;
            // A machine that runs for five hundred years has its sum begin again.
            busy.fetch_add(start.elapsed().as_nanos() as u64, Ordering::Relaxed);
            qemu.write_all(&change(&command, response))?;
        }
        let mut served = ready.iter().skip(2);
        clients.retain_mut(|client| served.next() != Some(&true) || exchange(client, &mut tpm).is_ok());
        if ready.get(1) == Some(&true) {
            clients.push(host.accept()?.0);
        }
    }
}

/// Carries one command to the TPM and its response back.
fn exchange(client: &mut UnixStream, tpm: &mut UnixStream) -> io::Result<()> {
    tpm.write_all(&message(client)?)?;
    client.write_all(&message(tpm)?)
}

/// Reads one command or response: its header states its length.
fn message(from: &mut UnixStream) -> io::Result<Vec<u8>> {
    let mut message = vec![0; HEADER_BYTES];
    from.read_exact(&mut message)?;
    let stated =
        message.get(2..6).and_then(|bytes| bytes.first_chunk()).map(|bytes| u32::from_be_bytes(*bytes));
    let length = stated.and_then(|stated| usize::try_from(stated).ok()).unwrap_or_default();
    if !(HEADER_BYTES..=MAX_MESSAGE_BYTES).contains(&length) {
        return Err(io::ErrorKind::InvalidData.into());
    }
    message.resize(length, 0);
    from.read_exact(message.get_mut(HEADER_BYTES..).unwrap_or_default())?;
    Ok(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A TPM that answers each command with the command.
    fn mirror(control: UnixListener) -> thread::JoinHandle<Vec<u8>> {
        thread::spawn(move || {
            let (control, _) = control.accept().unwrap();
            let (bytes, socket) = receive(&control).unwrap();
            send(&control, b"done", None).unwrap();
            let mut commands = UnixStream::from(socket.unwrap());
            while let Ok(command) = message(&mut commands) {
                commands.write_all(&command).unwrap();
            }
            bytes
        })
    }

    fn command(last: u8) -> [u8; 11] {
        [0, 0xc1, 0, 0, 0, 11, 0, 0, 0, 1, last]
    }

    #[test]
    fn qemu_and_the_host_take_turns() {
        let change = |command: &[u8], response: Vec<u8>| {
            assert_eq!(command, response);
            self::command(100 + response[10]).to_vec()
        };
        let folder = tempfile::tempdir().unwrap();
        let tpm = folder.path().join("control");
        let end = mirror(UnixListener::bind(&tpm).unwrap());
        let relay = Relay::start(folder.path(), &tpm, Box::new(change)).unwrap();
        let control = UnixStream::connect(&relay.control).unwrap();
        let (mut qemu, theirs) = UnixStream::pair().unwrap();
        send(&control, b"set", Some(&theirs)).unwrap();
        assert_eq!(receive(&control).unwrap().0, b"done");
        let mut host = UnixStream::connect(&relay.commands).unwrap();
        for round in 0..3 {
            qemu.write_all(&command(round)).unwrap();
            host.write_all(&[command(10 + round), command(20 + round)].concat()).unwrap();
            assert_eq!(message(&mut host).unwrap(), command(10 + round));
            assert_eq!(message(&mut host).unwrap(), command(20 + round));
            assert_eq!(message(&mut qemu).unwrap(), command(100 + round), "changed on its way");
        }
        drop((qemu, theirs, control));
        assert_eq!(end.join().unwrap(), b"set");
        assert!(message(&mut host).is_err(), "the host learns that it is over");
    }

    #[test]
    fn a_message_that_states_nonsense_is_refused() {
        for length in [0, 9, 4097, u32::MAX] {
            let (mut one, mut other) = UnixStream::pair().unwrap();
            one.write_all(&[&[0, 0xc1][..], &length.to_be_bytes(), &[0; 4]].concat()).unwrap();
            assert_eq!(message(&mut other).unwrap_err().kind(), io::ErrorKind::InvalidData, "{length}");
        }
    }
}
