//! Drives a session to its end, and says in a sentence how it ended.

use std::{
    os::fd::{AsFd, BorrowedFd},
    time::{Duration, Instant},
};

use cloison_abi::call::SystemEnd;

use super::{End, Event, Key, Keyboard, Session, Transcript};
use crate::{Failure, interrupts::Interrupts};

/// Why nobody watches a session any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conclusion {
    /// The machine is gone.
    Ended(End),
    /// It did not end in time.
    TimedOut,
    /// The user has left.
    Left,
}

/// Watches a session until it ends, and hands what it writes to `on_output`. `keyboard` is what the user
/// types with.
///
/// # Errors
///
/// When somebody asks to stop.
pub fn watch(
    session: &mut Session,
    limit: Option<Duration>,
    mut keyboard: Option<Keyboard>,
    interrupts: &Interrupts,
    on_output: &mut dyn FnMut(&[u8]) -> Result<(), Failure>,
) -> Result<Conclusion, Failure> {
    let deadline = limit.map(|limit| Instant::now() + limit);
    loop {
        let mut files: Vec<BorrowedFd<'_>> = vec![interrupts.as_fd()];
        files.extend(keyboard.as_ref().map(AsFd::as_fd));
        let event = session.next(deadline, &files)?;
        if let Event::Output(bytes) = &event {
            on_output(bytes)?;
        }
        interrupts.check()?;
        match event {
            Event::Output(_) => {}
            Event::Deadline => return Ok(Conclusion::TimedOut),
            Event::Ended(end) => return Ok(Conclusion::Ended(end)),
            Event::Ready(_) => match keyboard.as_mut().map_or(Key::Closed, Keyboard::read) {
                Key::Bytes(bytes) => session.send(&bytes),
                Key::Leave => return Ok(Conclusion::Left),
                Key::Closed => keyboard = None,
            },
        }
    }
}

/// What a sentence on a run can draw on.
#[derive(Debug)]
pub struct Run<'a> {
    /// Name of the system.
    pub system: &'a str,
    /// The domain whose end is the end of the run.
    pub ends_with: Option<&'a str>,
    /// What the machine wrote.
    pub transcript: &'a Transcript,
    /// QEMU's own last complaint.
    pub complaint: Option<&'a str>,
    /// How long it took.
    pub elapsed: Duration,
}

impl Run<'_> {
    /// Says how the run ended.
    ///
    /// # Errors
    ///
    /// When it did not end well.
    pub fn explain(&self, conclusion: Conclusion) -> Result<String, Failure> {
        let (system, seconds) = (self.system, self.elapsed.as_secs_f64());
        match conclusion {
            Conclusion::Ended(End::System(SystemEnd::Success)) => {
                Ok(format!("{system} ended well after {seconds:.1} s"))
            }
            Conclusion::Left => Ok(format!("{system}: left after {seconds:.1} s")),
            Conclusion::TimedOut => {
                Err(Failure::Failed(format!("{system} failed: it had not ended after {seconds:.1} s")))
            }
            Conclusion::Ended(end) => Err(Failure::Failed(format!("{system} failed: {}", self.why(end)))),
        }
    }

    /// Why the machine ended as it did, in its own words where it has some.
    fn why(&self, end: End) -> String {
        let complaint = self.complaint.map(|text| format!(": {text}")).unwrap_or_default();
        match end {
            End::System(SystemEnd::Success) => "it ended well".into(),
            End::System(SystemEnd::Failure) => {
                let domain = self.ends_with.unwrap_or("a domain");
                self.fault(domain)
                    .unwrap_or_else(|| format!("{domain} ended with an error{}", self.last_words(&[domain])))
            }
            End::System(SystemEnd::Halt) => {
                format!("the system was halted{}", self.last_words(&["kernel", "builder"]))
            }
            End::System(SystemEnd::Panic) => {
                format!("the kernel itself failed{}", self.last_words(&["kernel"]))
            }
            End::Status(0) => {
                let mut lines = self.transcript.lines().iter().rev().map(|line| line.text.trim());
                let last = lines.find(|line| !line.is_empty());
                let last = last.map(|line| format!("; last line: {line}")).unwrap_or_default();
                format!("the machine was reset or switched off before the system ended{last}")
            }
            End::Status(status) => format!("QEMU ended with status {status}{complaint}"),
            End::Signal(signal) => format!("QEMU was ended by signal {signal}{complaint}"),
        }
    }

    /// What the kernel said of a domain's fault; not of a panic, of which the domain itself says more.
    fn fault(&self, domain: &str) -> Option<String> {
        let begin = format!("{domain} faulted: ");
        let of_kernel = self.transcript.lines().iter().filter(|line| line.name() == Some("kernel"));
        let last = of_kernel.map(|line| line.message()).rfind(|message| message.starts_with(&begin))?;
        (!last[begin.len()..].starts_with("panic")).then(|| last.to_owned())
    }

    /// The last line of whichever of these spoke last.
    fn last_words(&self, names: &[&str]) -> String {
        let said = |name: Option<&str>| name.is_some_and(|name| names.contains(&name));
        let line = self.transcript.lines().iter().rev().find(|line| said(line.name()));
        line.map(|line| format!(": {}", line.message().trim_start_matches("error: "))).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn explain(end: End, console: &str) -> String {
        let mut transcript = Transcript::default();
        transcript.add(console.as_bytes());
        let run = Run {
            system: "demo",
            ends_with: Some("tpmdemo"),
            transcript: &transcript,
            complaint: Some("no such device"),
            elapsed: Duration::from_millis(1234),
        };
        run.explain(Conclusion::Ended(end)).unwrap_or_else(|failure| failure.to_string())
    }

    #[test]
    fn lets_the_domain_say_why_it_failed() {
        let text = explain(End::System(SystemEnd::Failure), "tpmdemo | error: no TPM\nstpm | bye\n");
        assert_eq!(text, "demo failed: tpmdemo ended with an error: no TPM");
    }

    #[test]
    fn lets_the_kernel_say_how_a_domain_faulted_unless_it_panicked() {
        let console = "tpmdemo | hello\nkernel | tpmdemo faulted: write to 0x8; it is stopped\n";
        let text = explain(End::System(SystemEnd::Failure), console);
        assert_eq!(text, "demo failed: tpmdemo faulted: write to 0x8; it is stopped");
        let console = "tpmdemo | no more\nkernel | tpmdemo faulted: panic at source line 7; it is stopped\n";
        let text = explain(End::System(SystemEnd::Failure), console);
        assert_eq!(text, "demo failed: tpmdemo ended with an error: no more");
    }

    #[test]
    fn lets_kernel_or_builder_say_why_they_halted() {
        let text = explain(End::System(SystemEnd::Halt), "kernel | start\nbuilder | the plan is cut short\n");
        assert_eq!(text, "demo failed: the system was halted: the plan is cut short");
    }

    #[test]
    fn a_machine_that_just_goes_away_has_failed() {
        let text = explain(End::Status(0), "kernel | start\n");
        assert!(text.starts_with("demo failed: the machine was reset"), "{text}");
        assert!(explain(End::Status(1), "").ends_with("QEMU ended with status 1: no such device"));
        assert!(explain(End::Signal(11), "").starts_with("demo failed: QEMU was ended by signal 11"));
    }

    #[test]
    fn only_success_is_success() {
        assert_eq!(explain(End::System(SystemEnd::Success), ""), "demo ended well after 1.2 s");
    }
}
