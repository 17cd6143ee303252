//! Programs that the tool starts: none of them outlives it.
//!
//! Each one gets a process group of its own, so that a Ctrl-C at the terminal reaches the tool alone, which
//! then ends the whole group. Should the tool itself be killed, the kernel ends the program (`setpriv
//! --pdeathsig`, which Debian always has).

use std::{
    fs,
    io::{self, Read},
    os::{
        fd::{AsFd, BorrowedFd},
        unix::process::CommandExt,
    },
    path::Path,
    process::{self, Command, ExitStatus, Stdio},
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, poll},
    process::{Pid, Signal, kill_process_group},
};

use crate::{Failure, interrupts::Interrupts, tools};

/// In what Linux counts the time of a CPU, on every x86-64.
pub const TICKS_PER_SECOND: u64 = 100;

/// A command that runs `program`, and is ended when the thread that started it ends.
#[must_use]
pub fn command(program: &Path) -> Command {
    let mut command = match tools::find("setpriv") {
        Some(setpriv) => {
            let mut command = Command::new(setpriv);
            command.args(["--pdeathsig", "KILL", "--"]).arg(program);
            command
        }
        None => Command::new(program),
    };
    command.process_group(0);
    command
}

/// A program that is running. It is ended, with all that it started, when this value goes.
#[derive(Debug)]
pub struct Child {
    inner: process::Child,
    name: &'static str,
}

impl Child {
    /// Starts what [`command`] made.
    ///
    /// # Errors
    ///
    /// When the program cannot be started.
    pub fn start(command: &mut Command, name: &'static str) -> Result<Self, Failure> {
        let inner = command.spawn().map_err(|error| Failure::program(name, &error))?;
        Ok(Self { inner, name })
    }

    /// Its pipes.
    pub fn pipes(&mut self) -> Pipes {
        Pipes {
            stdin: self.inner.stdin.take(),
            stdout: self.inner.stdout.take(),
            stderr: self.inner.stderr.take(),
        }
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.inner.id()
    }

    /// CPU time that it has taken itself. `None`: the system does not say.
    #[must_use]
    pub fn cpu_time(&self) -> Option<Duration> {
        cpu_time_of(&fs::read_to_string(format!("/proc/{}/stat", self.id())).ok()?)
    }

    /// Waits until it has ended.
    ///
    /// # Errors
    ///
    /// When the system cannot tell.
    pub fn wait(&mut self) -> Result<ExitStatus, Failure> {
        self.inner.wait().map_err(|error| Failure::program(self.name, &error))
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.inner.try_wait().ok().flatten()
    }

    /// Ends it and all that it started, and waits until it is gone.
    pub fn end(&mut self) {
        if self.ended().is_some() {
            return;
        }
        self.signal(Signal::KILL);
        let _ = self.inner.wait();
    }

    /// Sends a signal to it and to all that it started.
    pub fn signal(&self, signal: Signal) {
        // An id is free for others only after `wait`, so this cannot hit a stranger. Errors mean: gone
        // already.
        if let Some(group) = i32::try_from(self.inner.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process_group(group, signal);
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.end();
    }
}

/// CPU time in a line of `/proc/PID/stat`: the fields 14 and 15. The second one, a name, may have blanks.
fn cpu_time_of(line: &str) -> Option<Duration> {
    let mut fields = line.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
    let (user, system): (u64, u64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some(Duration::from_millis((user + system) * 1000 / TICKS_PER_SECOND))
}

/// The ends of a child's pipes that the tool holds.
#[derive(Debug)]
pub struct Pipes {
    /// The child's input.
    pub stdin: Option<process::ChildStdin>,
    /// The child's output.
    pub stdout: Option<process::ChildStdout>,
    /// Its complaints.
    pub stderr: Option<process::ChildStderr>,
}

/// How a program ended and what it said.
#[derive(Debug)]
pub struct Finished {
    /// How it ended.
    pub status: ExitStatus,
    /// All that it wrote, to either output.
    pub text: String,
}

impl Finished {
    /// The complaint that counts: with most programs the last line that looks like one, or else the last
    /// line.
    #[must_use]
    pub fn complaint(&self) -> &str {
        let mut lines = self.text.lines().rev().map(str::trim).filter(|line| !line.is_empty());
        let last = lines.clone().next().unwrap_or("it said nothing");
        lines.find(|line| line.contains("FAILURE :") || line.contains("error:")).unwrap_or(last)
    }
}

/// Runs a program to its end, and hands every line of its standard error to `on_line` as it comes.
///
/// # Errors
///
/// When it cannot be started, or when the tool is asked to stop; the program is then ended.
pub fn run(
    command: &mut Command,
    name: &'static str,
    interrupts: &Interrupts,
    on_line: &mut dyn FnMut(&str),
) -> Result<Finished, Failure> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = Child::start(command, name)?;
    let Pipes { mut stdout, mut stderr, .. } = child.pipes();
    let mut text = Vec::new();
    let mut line = Vec::new();
    while stdout.is_some() || stderr.is_some() {
        let ready =
            wait_for_input(&[stdout.as_ref().map(AsFd::as_fd), stderr.as_ref().map(AsFd::as_fd)], interrupts)
                .map_err(|error| Failure::program(name, &error))?;
        interrupts.check()?;
        if ready[0] {
            read_some(&mut stdout, &mut text);
        }
        if ready[1] {
            let start = text.len();
            read_some(&mut stderr, &mut text);
            split_lines(&mut line, &text[start..], on_line);
        }
    }
    Ok(Finished { status: child.wait()?, text: String::from_utf8_lossy(&text).into_owned() })
}

/// Waits until one of two pipes has something to read (its end included), or somebody asks to stop.
fn wait_for_input(pipes: &[Option<BorrowedFd<'_>>; 2], interrupts: &Interrupts) -> io::Result<[bool; 2]> {
    let mut fds = vec![PollFd::new(interrupts, PollFlags::IN)];
    fds.extend(pipes.iter().flatten().map(|fd| PollFd::from_borrowed_fd(*fd, PollFlags::IN)));
    match poll(&mut fds, None) {
        Ok(_) | Err(rustix::io::Errno::INTR) => {}
        Err(error) => return Err(error.into()),
    }
    let mut ready = fds.iter().skip(1).map(|fd| !fd.revents().is_empty());
    Ok([0, 1].map(|index: usize| pipes[index].is_some() && ready.next().unwrap_or(false)))
}

/// Reads what is there, and forgets the pipe when it has ended.
pub fn read_some(pipe: &mut Option<impl Read>, into: &mut Vec<u8>) {
    let mut buffer = [0; 4096];
    match pipe.as_mut().map(|pipe| pipe.read(&mut buffer)) {
        Some(Ok(count @ 1..)) => into.extend_from_slice(&buffer[..count]),
        Some(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
        _ => *pipe = None,
    }
}

/// Adds bytes to a line and hands it on at each line's end.
fn split_lines(line: &mut Vec<u8>, bytes: &[u8], on_line: &mut dyn FnMut(&str)) {
    for byte in bytes {
        match byte {
            b'\n' => {
                on_line(&String::from_utf8_lossy(line));
                line.clear();
            }
            other => line.push(*other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::patience::comes_within;

    fn shell(script: &str) -> Command {
        let mut command = command(Path::new("/bin/sh"));
        command.args(["-c", script]);
        command
    }

    #[test]
    fn hands_on_each_line_and_keeps_all() {
        let mut lines = Vec::new();
        let interrupts = Interrupts::none().unwrap();
        let script = "echo one; echo two >&2; echo three >&2; exit 4";
        let finished =
            run(&mut shell(script), "sh", &interrupts, &mut |line| lines.push(line.to_owned())).unwrap();
        assert_eq!(lines, ["two", "three"]);
        assert_eq!(finished.status.code(), Some(4));
        assert!(finished.text.contains("one"));
    }

    #[test]
    fn reads_the_time_of_a_process_whatever_its_name() {
        let line = "42 (a ) b 1) S 1 42 42 0 -1 4194560 9 8 7 6 150 25 3 4 20 0 1 0 0 0";
        assert_eq!(cpu_time_of(line), Some(Duration::from_millis(1750)));
        assert_eq!(cpu_time_of("42 (cut) S 1"), None);
        assert_eq!(cpu_time_of(""), None);
    }

    #[test]
    fn ends_what_the_child_started() {
        let mut command = shell("sleep 60 & echo $!; wait");
        let mut child = Child::start(command.stdout(Stdio::piped()), "sh").unwrap();
        let mut text = Vec::new();
        let mut stdout = child.pipes().stdout;
        while !text.ends_with(b"\n") {
            read_some(&mut stdout, &mut text);
        }
        drop(child);
        let grandchild = Path::new("/proc").join(String::from_utf8(text).unwrap().trim());
        // Its parent is gone, so init reaps it, some time later; until then it is a zombie, which has no
        // command line.
        let runs = || std::fs::read(grandchild.join("cmdline")).is_ok_and(|line| !line.is_empty());
        assert!(comes_within(Duration::from_secs(5), || !runs()), "{} still runs", grandchild.display());
    }

    #[test]
    fn a_program_that_is_not_there_is_a_fault_of_the_machine() {
        let error = Child::start(&mut Command::new("/nonexistent"), "nonexistent").unwrap_err();
        assert_eq!(error.to_string(), "cannot run nonexistent: no such file or directory");
        assert_eq!(error.status(), 3);
    }
}
