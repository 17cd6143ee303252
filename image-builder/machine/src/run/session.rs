//! A machine that runs.

use std::{
    os::fd::{AsFd, BorrowedFd},
    os::unix::process::ExitStatusExt,
    process::{ChildStderr, ChildStdin, ChildStdout, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use cloison_abi::call::SystemEnd;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};

use super::{Machine, Tpm};
use crate::{
    Failure,
    process::{self, Child, Pipes, read_some},
    tools,
};

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The system itself ended it.
    System(SystemEnd),
    /// QEMU ended with a status of its own. 0: the machine was switched off, or it reset itself after a
    /// triple fault.
    Status(i32),
    /// QEMU was ended by a signal.
    Signal(i32),
}

/// The next step of a session.
#[derive(Debug)]
pub enum Event {
    /// The machine wrote to its console.
    Output(Vec<u8>),
    /// One of the caller's files has something to read: its index.
    Ready(usize),
    /// The time is up.
    Deadline,
    /// The machine is gone.
    Ended(End),
}

/// A machine that runs, and its TPM. Both end when this value goes.
#[derive(Debug)]
pub struct Session {
    // Fields go in this order: the machine before its TPM.
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Option<ChildStdout>,
    stderr: Option<ChildStderr>,
    complaints: Vec<u8>,
    tpm: Option<Tpm>,
    start: Instant,
}

impl Session {
    /// Starts a machine, with a TPM that runs already.
    ///
    /// # Errors
    ///
    /// When QEMU cannot be started.
    pub fn start(machine: &Machine, tpm: Option<Tpm>) -> Result<Self, Failure> {
        let socket = tpm.as_ref().map(Tpm::socket);
        let mut command = process::command(&tools::path(tools::QEMU)?);
        command.args(machine.arguments(socket.as_deref()));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let start = Instant::now();
        let mut child = Child::start(&mut command, "QEMU")?;
        let Pipes { stdin, stdout, stderr } = child.pipes();
        if let Some(stdin) = &stdin {
            // A machine that does not read must not stop the tool.
            rustix::io::ioctl_fionbio(stdin, true)
                .map_err(|error| Failure::program("QEMU", &error.into()))?;
        }
        Ok(Self { child, stdin, stdout, stderr, complaints: Vec::new(), tpm, start })
    }

    /// Waits for what happens next: in the machine, in one of `others`, or by the clock.
    ///
    /// # Errors
    ///
    /// When the system refuses to wait.
    pub fn next(&mut self, deadline: Option<Instant>, others: &[BorrowedFd<'_>]) -> Result<Event, Failure> {
        loop {
            if self.stdout.is_none() && self.stderr.is_none() {
                return Ok(Event::Ended(end_of(self.child.wait()?)));
            }
            // A machine that never stops talking does not get more time.
            let ready = match self.poll(deadline, others)? {
                Some(ready) if deadline.is_none_or(|deadline| Instant::now() < deadline) => ready,
                _ => return Ok(Event::Deadline),
            };
            if ready.complaint {
                read_some(&mut self.stderr, &mut self.complaints);
            }
            // What the machine wrote comes first, so that nothing of it is lost when somebody asks to stop.
            if ready.output {
                let mut bytes = Vec::new();
                read_some(&mut self.stdout, &mut bytes);
                if !bytes.is_empty() {
                    return Ok(Event::Output(bytes));
                }
            }
            if let Some(index) = ready.other {
                return Ok(Event::Ready(index));
            }
        }
    }

    /// Types something at the machine's console. What it does not take in time is lost, as with a real serial
    /// line.
    pub fn send(&mut self, bytes: &[u8]) {
        if let Some(stdin) = &self.stdin {
            let _ = rustix::io::write(stdin, bytes);
        }
    }

    /// Pulls the TPM out of the machine.
    pub fn unplug_tpm(&mut self) {
        if let Some(tpm) = &mut self.tpm {
            tpm.unplug();
        }
    }

    /// Lets the TPM hang.
    pub fn freeze_tpm(&self) {
        if let Some(tpm) = &self.tpm {
            tpm.freeze();
        }
    }

    /// For how long the machine has been running.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// QEMU's process.
    #[must_use]
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// All that QEMU itself complained about.
    #[must_use]
    pub fn complaints(&self) -> String {
        String::from_utf8_lossy(&self.complaints).into_owned()
    }

    /// CPU time that QEMU has taken. `None`: the system does not say.
    #[must_use]
    pub fn cpu_time(&self) -> Option<Duration> {
        self.child.cpu_time()
    }

    /// QEMU's last complaint.
    #[must_use]
    pub fn complaint(&self) -> Option<String> {
        let text = String::from_utf8_lossy(&self.complaints);
        let line = text.lines().map(str::trim).rfind(|line| !line.is_empty())?;
        Some(line.trim_start_matches("qemu-system-x86_64: ").to_owned())
    }

    /// Waits for the machine's pipes, the caller's files and the clock. `None`: the time is up.
    fn poll(&self, deadline: Option<Instant>, others: &[BorrowedFd<'_>]) -> Result<Option<Ready>, Failure> {
        let stdout = self.stdout.as_ref().map(AsFd::as_fd);
        let stderr = self.stderr.as_ref().map(AsFd::as_fd);
        let all = stdout.iter().chain(&stderr).chain(others);
        let mut fds: Vec<_> = all.map(|fd| PollFd::from_borrowed_fd(*fd, PollFlags::IN)).collect();
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let timeout = left.and_then(|left| Timespec::try_from(left).ok());
        match poll(&mut fds, timeout.as_ref()) {
            Ok(0) => return Ok(None),
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(Failure::program("QEMU", &error.into())),
        }
        let mut ready = fds.iter().map(|fd| !fd.revents().is_empty());
        let output = stdout.is_some() && ready.next().unwrap_or(false);
        let complaint = stderr.is_some() && ready.next().unwrap_or(false);
        Ok(Some(Ready { output, complaint, other: ready.position(|ready| ready) }))
    }
}

/// Sources with something to read.
struct Ready {
    output: bool,
    complaint: bool,
    other: Option<usize>,
}

/// The meaning of QEMU's exit status.
fn end_of(status: ExitStatus) -> End {
    use SystemEnd::{Failure, Halt, Panic, Success};
    let Some(code) = status.code() else {
        return End::Signal(status.signal().unwrap_or_default());
    };
    let system = [Success, Failure, Halt, Panic].into_iter().find(|end| end.qemu_status() == code);
    system.map_or(End::Status(code), End::System)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_of_qemus_own_is_never_the_systems() {
        // As `wait` reports them: the code in the second byte, a signal in the first.
        assert_eq!(end_of(ExitStatus::from_raw(33 << 8)), End::System(SystemEnd::Success));
        assert_eq!(end_of(ExitStatus::from_raw(37 << 8)), End::System(SystemEnd::Halt));
        assert_eq!(end_of(ExitStatus::from_raw(0)), End::Status(0));
        assert_eq!(end_of(ExitStatus::from_raw(1 << 8)), End::Status(1));
        assert_eq!(end_of(ExitStatus::from_raw(9)), End::Signal(9));
    }
}
