//! Says in a sentence how a run ended.

use std::time::Duration;

use cloison_abi::call::SystemEnd;
use image_compiler::visible::visible;

use super::{End, Line, Stuck, Transcript, complaint};
use crate::{Failure, symbols::CALLED};

/// Why nobody watches a session any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conclusion {
    /// The machine is gone.
    Ended(End),
    /// It did not end in time.
    TimedOut,
    /// It does not get to the first domain.
    Stuck(Stuck),
    /// The user has left.
    Left,
    /// Nobody reads what it writes any more.
    Unread,
}

/// The facts from which a sentence on a run is made.
#[derive(Debug)]
pub struct Run<'a> {
    /// Name of the system.
    pub system: &'a str,
    /// The domain whose end is the end of the run.
    pub ends_with: Option<&'a str>,
    /// The machine's output.
    pub transcript: &'a Transcript,
    /// All that QEMU itself complained about.
    pub complaints: &'a str,
    /// The CPU that the user wants and the platform's, if they are not the same.
    pub cpus: Option<(&'a str, &'a str)>,
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
            Conclusion::Unread => Ok(String::new()),
            Conclusion::Stuck(stuck) => {
                Err(Failure::Failed(format!("{system} failed: {}", self.why_stuck(stuck))))
            }
            Conclusion::TimedOut => {
                Err(Failure::Failed(format!("{system} failed: it had not ended after {seconds:.1} s")))
            }
            Conclusion::Ended(End::Status(1..))
                if let Some(failure) = complaint::explain(self.complaints) =>
            {
                Err(failure)
            }
            Conclusion::Ended(end) => Err(Failure::Failed(format!("{system} failed: {}", self.why(end)))),
        }
    }

    /// Why the machine ended as it did, in its own words where it has some.
    fn why(&self, end: End) -> String {
        let complaint = self.complaint();
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
                let last = self.last_line();
                format!("the machine was reset or switched off before the system ended{last}")
            }
            End::Status(status) => format!("QEMU ended with status {status}{complaint}"),
            End::Signal(signal) => format!("QEMU was ended by signal {signal}{complaint}"),
        }
    }

    /// Why the machine does not get further.
    fn why_stuck(&self, stuck: Stuck) -> String {
        let lines = self.transcript.lines();
        let where_it_is = match lines.iter().any(|line| line.name() == Some("kernel")) {
            true => format!("the kernel has not reached the first domain{}", self.last_words(&["kernel"])),
            false => format!("the machine has not reached the kernel{}", self.last_line()),
        };
        let how = match stuck {
            Stuck::Dead => "; it is halted for good".to_owned(),
            Stuck::Late(time) => format!("; it has had {:.0} s", time.as_secs_f64()),
        };
        let cpu =
            self.cpus.map(|(own, platforms)| format!("; its CPU is `{own}`, the platform's `{platforms}`"));
        where_it_is + &how + &cpu.unwrap_or_default()
    }

    /// QEMU's own last complaint.
    fn complaint(&self) -> String {
        let last = self.complaints.lines().map(str::trim).rfind(|line| !line.is_empty());
        let last = last.map(|line| line.trim_start_matches("qemu-system-x86_64: "));
        last.map(|line| format!(": {}", visible(line))).unwrap_or_default()
    }

    /// The last line that says something.
    fn last_line(&self) -> String {
        let mut lines = self.transcript.lines().iter().rev().map(|line| line.text.trim());
        let last = lines.find(|line| !line.is_empty());
        last.map(|line| format!("; last line: {line}")).unwrap_or_default()
    }

    /// The kernel's line on a domain's fault. A panic is left out, because the domain itself says more of it.
    fn fault(&self, domain: &str) -> Option<String> {
        let begin = format!("{domain} faulted: ");
        let of_kernel = self.transcript.lines().iter().filter(|line| line.name() == Some("kernel"));
        let last = of_kernel.map(|line| line.message()).rfind(|message| message.starts_with(&begin))?;
        (!last[begin.len()..].starts_with("panic")).then(|| last.to_owned())
    }

    /// The last line of whichever of these spoke last.
    fn last_words(&self, names: &[&str]) -> String {
        let said = |name: Option<&str>| name.is_some_and(|name| names.contains(&name));
        let is_word = |line: &&Line| said(line.name()) && !line.message().starts_with(CALLED);
        let line = self.transcript.lines().iter().rev().find(is_word);
        line.map(|line| format!(": {}", line.message().trim_start_matches("error: "))).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn explain(end: End, console: &str) -> String {
        conclude(Conclusion::Ended(end), console)
    }

    fn conclude(conclusion: Conclusion, console: &str) -> String {
        let mut transcript = Transcript::default();
        transcript.add(console.as_bytes());
        let run = Run {
            system: "demo",
            ends_with: Some("tpmdemo"),
            transcript: &transcript,
            complaints: "warning: x\nqemu-system-x86_64: no such device\n",
            cpus: Some(("486", "max")),
            elapsed: Duration::from_millis(1234),
        };
        run.explain(conclusion).unwrap_or_else(|failure| failure.to_string())
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
        let console = "tpmdemo | no more\ntpmdemo | called from 0x401000\nkernel | tpmdemo faulted: panic at source line 7; it is stopped\n";
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
    fn a_machine_that_gets_nowhere_says_how_far_it_came() {
        assert_eq!(
            conclude(Conclusion::Stuck(Stuck::Late(Duration::from_secs(20))), "Shell> \n"),
            "demo failed: the machine has not reached the kernel; last line: Shell>; it has had 20 s; its CPU is `486`, \
             the platform's `max`"
        );
        let text = conclude(Conclusion::Stuck(Stuck::Dead), "kernel | this needs a 64-bit CPU\n");
        assert!(text.contains("first domain: this needs a 64-bit CPU; it is halted for good"), "{text}");
    }

    #[test]
    fn only_success_is_success() {
        assert_eq!(explain(End::System(SystemEnd::Success), ""), "demo ended well after 1.2 s");
    }
}
