//! What the user sees while a system is being built: one line for each step, with the time it took.

use std::{
    fmt,
    io::{IsTerminal, Write, stderr},
    time::Instant,
};

use image_compiler::visible::visible_line;

/// Where steps are shown: on standard error, so that standard output holds results alone.
#[derive(Debug)]
pub struct Progress {
    shown: bool,
    /// A line that changes in place needs a terminal.
    live: bool,
}

impl Progress {
    /// Shows steps to the user.
    #[must_use]
    pub fn visible() -> Self {
        Self { shown: true, live: stderr().is_terminal() }
    }

    /// Shows nothing.
    #[must_use]
    pub const fn silent() -> Self {
        Self { shown: false, live: false }
    }

    /// Begins a step. It has failed unless [`Step::done`] is called.
    pub fn step(&self, what: &str) -> Step<'_> {
        let step = Step { progress: self, what: what.to_owned(), start: Instant::now() };
        step.now("");
        step
    }
}

/// A step that is under way.
#[derive(Debug)]
pub struct Step<'a> {
    progress: &'a Progress,
    what: String,
    start: Instant,
}

impl Step<'_> {
    /// Says what the step is busy with.
    pub fn now(&self, detail: &str) {
        if self.progress.live {
            let detail: String = visible_line(detail.trim()).chars().take(50).collect();
            say(format_args!("\r\x1b[K  {:<28} {detail}", self.what));
        }
    }

    /// Ends the step well, with a word on the outcome.
    pub fn done(mut self, outcome: &str) {
        if self.progress.shown {
            let clear = if self.progress.live { "\r\x1b[K" } else { "" };
            let seconds = self.start.elapsed().as_secs_f64();
            let what = std::mem::take(&mut self.what);
            let outcome = visible_line(outcome);
            say(format_args!("{clear}  {what:<28} {seconds:>6.2} s  {outcome}\n"));
        }
    }
}

impl Drop for Step<'_> {
    fn drop(&mut self) {
        // A step that was not done: leave the line to the message that says why.
        if self.progress.live && !self.what.is_empty() {
            say(format_args!("\r\x1b[K"));
        }
    }
}

/// Says something on standard error. If nobody reads that any more, the work goes on all the same.
pub fn say(text: fmt::Arguments<'_>) {
    let mut out = stderr().lock();
    let _ = out.write_fmt(text).and_then(|()| out.flush());
}
