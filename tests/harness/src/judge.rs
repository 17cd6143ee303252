//! The judge: what was seen against what was expected.

use image_machine::run::{Conclusion, End};

use crate::{Scenario, Step, Verdict, scenario::squeeze};

/// What a run showed.
#[derive(Debug)]
pub struct Observation<'a> {
    /// The lines of the console.
    pub lines: &'a [String],
    /// How the run ended.
    pub conclusion: Conclusion,
    /// What QEMU complained about last.
    pub complaint: Option<String>,
}

/// How far a run has come through a scenario's steps.
#[derive(Debug)]
pub(crate) struct Progress<'a> {
    steps: &'a [Step],
    /// Lines that have to come before the next step, in any order.
    awaited: Vec<&'a str>,
}

impl<'a> Progress<'a> {
    /// Begins.
    pub(crate) fn new(scenario: &'a Scenario) -> Self {
        Self { steps: &scenario.steps, awaited: awaited(&scenario.steps) }
    }

    /// Takes a line of the console. Returns whether it was one that comes next.
    pub(crate) fn see(&mut self, line: &str) -> bool {
        let squeezed = squeeze(line);
        let Some(index) = self.awaited.iter().position(|text| squeezed.contains(text)) else { return false };
        self.awaited.remove(index);
        if self.awaited.is_empty() {
            self.advance();
        }
        true
    }

    /// The next thing to do, if it is the harness's turn.
    pub(crate) fn act(&mut self) -> Option<&'a Step> {
        match self.steps {
            [Step::See(_), ..] | [] => None,
            [step, ..] => {
                self.advance();
                Some(step)
            }
        }
    }

    fn advance(&mut self) {
        self.steps = self.steps.get(1..).unwrap_or_default();
        self.awaited = awaited(self.steps);
    }

    /// Whether all has happened.
    pub(crate) const fn is_complete(&self) -> bool {
        self.steps.is_empty()
    }

    /// The text that has not come yet.
    fn missing(&self) -> Option<&'a str> {
        let later = self.steps.iter().flat_map(|step| awaited(std::slice::from_ref(step)));
        self.awaited.iter().copied().chain(later).next()
    }
}

/// The lines with which the steps begin, if they begin with lines.
fn awaited(steps: &[Step]) -> Vec<&str> {
    match steps {
        [Step::See(texts), ..] => texts.iter().map(String::as_str).collect(),
        _ => Vec::new(),
    }
}

/// Judges a run.
#[must_use]
pub fn judge(scenario: &Scenario, seen: &Observation<'_>) -> Verdict {
    let last = seen.lines.last().map_or("nothing", String::as_str);
    let complaint = seen.complaint.as_deref().unwrap_or("nothing");
    let end = match seen.conclusion {
        Conclusion::TimedOut => {
            let lines = match judge_lines(scenario, seen.lines) {
                Some(Verdict::Fail(reason)) => format!("; {reason}"),
                _ => String::new(),
            };
            return Verdict::Broken(format!(
                "no end within {:?}{lines}; last line: {last}",
                scenario.timeout
            ));
        }
        Conclusion::Ended(End::Signal(signal)) => {
            return Verdict::Broken(format!("signal {signal} ended QEMU; it said: {complaint}"));
        }
        Conclusion::Ended(End::Status(status)) => {
            return Verdict::Broken(format!(
                "QEMU ended with status {status}; it said: {complaint}; last line: {last}"
            ));
        }
        Conclusion::Ended(End::System(end)) => Some(end),
        Conclusion::Stuck(_) | Conclusion::Unread => {
            return Verdict::Broken("nobody watched the run to its end".into());
        }
        // The harness leaves a machine that is not to end when all expected lines have come.
        Conclusion::Left => None,
    };
    if seen.lines.is_empty() {
        return Verdict::Broken("the machine printed nothing".into());
    }
    judge_lines(scenario, seen.lines).unwrap_or_else(|| match (end, scenario.end) {
        (end, expected) if end == expected => Verdict::Pass,
        (end, expected) => Verdict::Fail(format!("the system ended with {end:?}, not with {expected:?}")),
    })
}

/// What is wrong with the lines, if anything is.
fn judge_lines(scenario: &Scenario, lines: &[String]) -> Option<Verdict> {
    let mut progress = Progress::new(scenario);
    for line in lines {
        let squeezed = squeeze(line);
        if let Some(text) = scenario.forbidden.iter().find(|text| squeezed.contains(text.as_str())) {
            return Some(Verdict::Fail(format!("`{text}` must never come, and came: {line}")));
        }
        while progress.act().is_some() {}
        progress.see(line);
    }
    progress.missing().map(|text| Verdict::Fail(format!("`{text}` did not come, or not in this order")))
}

#[cfg(test)]
mod tests {
    use cloison_abi::call::SystemEnd::{self, Failure, Success};

    use super::*;

    fn verdict(expect: &str, conclusion: Conclusion, console: &str) -> Verdict {
        let scenario = Scenario::parse(&format!("manifest: m\n{expect}\n- never seen")).unwrap();
        let lines: Vec<String> = console.lines().map(str::to_owned).collect();
        judge(&scenario, &Observation { lines: &lines, conclusion, complaint: None })
    }

    fn ended(end: SystemEnd) -> Conclusion {
        Conclusion::Ended(End::System(end))
    }

    #[test]
    fn passes_when_all_is_as_expected() {
        assert_eq!(verdict("+ a | b\n> x\n+ c\n- d", ended(Success), "x\na   | b\nc\n"), Verdict::Pass);
        assert_eq!(verdict("status: failure\n+ a", ended(Failure), "a"), Verdict::Pass);
    }

    #[test]
    fn fails_when_a_line_is_missing_or_comes_too_early() {
        assert!(matches!(verdict("+ a\n+ b", ended(Success), "a"), Verdict::Fail(_)));
        assert!(matches!(verdict("+ a\n+ b", ended(Success), "b\na"), Verdict::Fail(_)));
        assert!(matches!(verdict("+ a\n+ a", ended(Success), "a"), Verdict::Fail(_)), "one line is not two");
    }

    #[test]
    fn lines_that_belong_together_come_in_any_order_before_the_next() {
        for console in ["a\nb\nc", "b\na\nc"] {
            assert_eq!(verdict("+ a\n& b\n+ c", ended(Success), console), Verdict::Pass);
        }
        for console in ["a\nc\nb", "c\na\nb", "a\na\nc", "b\nc"] {
            assert!(
                matches!(verdict("+ a\n& b\n+ c", ended(Success), console), Verdict::Fail(_)),
                "{console}"
            );
        }
        assert!(matches!(verdict("+ a\n& a", ended(Success), "a"), Verdict::Fail(_)), "one line is not two");
    }

    #[test]
    fn fails_when_a_forbidden_line_comes_wherever_it_is() {
        for console in ["bad\na", "a\nbad"] {
            assert!(matches!(verdict("+ a\n- bad", ended(Success), console), Verdict::Fail(_)));
        }
    }

    #[test]
    fn fails_when_the_system_ends_otherwise() {
        assert!(matches!(verdict("+ a", ended(Failure), "a"), Verdict::Fail(_)));
        assert!(matches!(verdict("status: halt\n+ a", ended(Success), "a"), Verdict::Fail(_)));
    }

    #[test]
    fn a_system_that_is_not_to_end_must_not_and_one_that_is_must() {
        assert_eq!(verdict("status: none\n+ a", Conclusion::Left, "a"), Verdict::Pass);
        assert!(matches!(verdict("status: none\n+ a", ended(Success), "a"), Verdict::Fail(_)));
        assert!(matches!(verdict("+ a", Conclusion::Left, "a"), Verdict::Fail(_)));
    }

    #[test]
    fn is_broken_when_the_run_itself_went_wrong() {
        let ends = [End::Status(0), End::Status(1), End::Signal(9), End::Signal(11)];
        let conclusions = ends.map(Conclusion::Ended).into_iter().chain([Conclusion::TimedOut]);
        for conclusion in conclusions {
            assert!(matches!(verdict("+ a", conclusion, "a"), Verdict::Broken(_)), "{conclusion:?}");
        }
        assert!(matches!(verdict("+ a", ended(Success), ""), Verdict::Broken(_)));
    }
}
