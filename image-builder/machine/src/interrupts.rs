//! Being asked to stop: Ctrl-C and its relatives, as something that can be waited for.

use std::{
    io,
    os::{
        fd::{AsFd, BorrowedFd},
        unix::net::UnixStream,
    },
    process, thread,
    time::Duration,
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM},
    low_level::pipe,
};

use crate::{Failure, progress::say, terminal::restore_terminal};

/// How long the tool may take to stop by itself.
const LIMIT: Duration = Duration::from_millis(800);

/// Requests to stop. Once one has come it stays there: nothing reads it away.
#[derive(Debug)]
pub struct Interrupts {
    receiver: UnixStream,
    /// Kept open: a closed sending end would read as a request.
    _sender: UnixStream,
}

impl Interrupts {
    /// Takes over the signals that ask a program to stop. From then on they end nothing by themselves; but if the
    /// tool is still there a while after one, because it waits for a file or for a reader that has stopped reading,
    /// it is ended. What it has started ends with it.
    ///
    /// # Errors
    ///
    /// When the system refuses a socket or a signal handler.
    pub fn install() -> Result<Self, Failure> {
        let interrupts = Self::watch(&[SIGINT, SIGTERM, SIGHUP, SIGQUIT])?;
        interrupts.receiver.try_clone().and_then(end_when_overdue).map_err(refused)?;
        Ok(interrupts)
    }

    /// None ever come: for programs that leave the signals as they are, such as tests.
    ///
    /// # Errors
    ///
    /// When the system refuses a socket.
    pub fn none() -> Result<Self, Failure> {
        Self::watch(&[])
    }

    /// Fails if somebody has asked the tool to stop.
    ///
    /// # Errors
    ///
    /// [`Failure::Interrupted`].
    pub fn check(&self) -> Result<(), Failure> {
        let mut fds = [PollFd::new(&self.receiver, PollFlags::IN)];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        match poll(&mut fds, Some(&now)) {
            Ok(1..) => Err(Failure::Interrupted),
            _ => Ok(()),
        }
    }

    fn watch(signals: &[i32]) -> Result<Self, Failure> {
        let set_up = || -> io::Result<Self> {
            let (receiver, sender) = UnixStream::pair()?;
            for signal in signals {
                pipe::register(*signal, sender.try_clone()?)?;
            }
            Ok(Self { receiver, _sender: sender })
        };
        set_up().map_err(refused)
    }
}

fn refused(error: io::Error) -> Failure {
    Failure::machine("cannot watch for Ctrl-C", &error)
}

/// Ends the tool if it does not do so by itself in time.
fn end_when_overdue(receiver: UnixStream) -> io::Result<()> {
    let wait = move || {
        while !matches!(poll(&mut [PollFd::new(&receiver, PollFlags::IN)], None), Ok(1..)) {}
        thread::sleep(LIMIT);
        restore_terminal();
        say(format_args!("\n{}\n", Failure::Interrupted));
        process::exit(Failure::Interrupted.status().into());
    };
    thread::Builder::new().spawn(wait).map(drop)
}

impl AsFd for Interrupts {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.receiver.as_fd()
    }
}
