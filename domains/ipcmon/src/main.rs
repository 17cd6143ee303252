//! The monitor, *ipcmon* (the L4 report's name): decides by the manifest's policy what domains may do to each other.
//!
//! This file connects the decisions to the kernel and to the clients. The library decides.

#![no_std]
#![no_main]

use cloison_abi::{
    CallError, Name,
    access::{Class, Classes, Decision},
    info::InfoKind,
};
use cloison_rt::{
    log,
    sys::{
        Badge, Instant, Message, Received, Slot, info,
        monitor::{answer, ask_read, verdict_read, verdict_set},
        reply_wait, settings,
    },
};
use heapless::Deque;
use ipcmon::{BadPolicy, Denial, Engine, Policy};
use ipcmon_api::control::{self, Allowed, Counted, Refusal, Server, Withdrawn};

/// Denials of which nobody has been told yet. What does not fit is counted, and told as a number.
const MAX_UNTOLD: usize = 16;

cloison_rt::entry!(main);

fn main() -> Result<(), Unfit> {
    let entry = info::get().find(InfoKind::Right, "monitor-right").ok_or(Unfit::NoRight)?;
    let right = info::slot(entry).ok_or(Unfit::NoRight)?;
    let policy = Policy::read(settings::policy()).map_err(Unfit::Policy)?;
    let mut monitor = Monitor { right, engine: Engine::new(policy), untold: Deque::new(), lost: 0 };
    monitor.forget_all()?;
    monitor.serve(info::event_mask(entry))
}

/// Why there is nothing to decide.
enum Unfit {
    NoRight,
    Policy(BadPolicy),
    Kernel(CallError),
}

impl core::fmt::Display for Unfit {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::NoRight => out.write_str("this domain was not given the right `monitor-right`"),
            Self::Policy(error) => error.fmt(out),
            Self::Kernel(error) => error.fmt(out),
        }
    }
}

impl From<CallError> for Unfit {
    fn from(error: CallError) -> Self {
        Self::Kernel(error)
    }
}

struct Monitor {
    right: Slot,
    engine: Engine<'static>,
    untold: Deque<Denial, MAX_UNTOLD>,
    lost: u32,
}

impl Monitor {
    /// What was decided in an earlier life is undecided.
    fn forget_all(&self) -> Result<(), CallError> {
        let judged = self.engine.policy().judged();
        judged.into_iter().try_for_each(|(subject, classes)| {
            verdict_set(self.right, subject, None, classes, Decision::Ask).map(drop)
        })
    }

    /// First come answers, then requests, then what a person is told: those who wait for an answer do not wait for the
    /// console.
    fn serve(&mut self, asked: u64) -> ! {
        let mut reply = Message::default();
        loop {
            let deadline = if self.has_news() { Instant::PAST } else { Instant::NEVER };
            match reply_wait(core::mem::take(&mut reply), asked, deadline) {
                Received::Events(_) => self.answer_all(),
                Received::Message { badge, message } => reply = control::answer(self, badge, message),
                Received::TimedOut => self.tell(),
            }
        }
    }

    fn answer_all(&mut self) {
        while let Ok(Some(asked)) = ask_read(self.right) {
            let refusals = self.refusals(asked.question.subject);
            let (decision, denial) = self.engine.judge(asked.question, refusals);
            // An answer that comes too late is asked for again.
            let is_answered = answer(self.right, &asked, decision).is_ok();
            if let Some(denial) = denial.filter(|_| is_answered)
                && self.untold.push_back(denial).is_err()
            {
                self.lost += 1;
            }
        }
    }

    fn has_news(&self) -> bool {
        !self.untold.is_empty() || self.lost > 0
    }

    /// Tells of one denial.
    fn tell(&mut self) {
        if let Some(denial) = self.untold.pop_front() {
            log!("ipcmon_pagefault(): {denial}");
        } else if self.lost > 0 {
            log!("{} more were denied, too fast to be told", core::mem::take(&mut self.lost));
        }
    }

    fn refusals(&self, subject: u8) -> u32 {
        verdict_read(self.right, subject, Class::Call).map_or(0, |verdicts| verdicts.refusals)
    }

    /// The name of a client that may decide about others.
    fn manager(&self, client: Badge) -> Result<Name, Refusal> {
        let page = info::get();
        let entry = page.clients().find(|entry| info::badge(entry) == client && entry.option == 1);
        entry.map(|entry| entry.peer).ok_or(Refusal::NotManager)
    }

    fn decide(&self, (subject, object): (u8, u8), decision: Decision) -> Result<(), Refusal> {
        let done = verdict_set(self.right, subject, Some(object), Classes::ASKED, decision);
        done.map(drop).map_err(|_| Refusal::NotJudged)
    }
}

impl Server for Monitor {
    /// What is under way ends by the denial. What is tried later is asked about, so that a person is told of it.
    fn withdraw(&mut self, client: Badge, subject: Name, object: Name) -> Result<Withdrawn, Refusal> {
        let by = self.manager(client)?;
        let ends = self.engine.ends(subject, object)?;
        self.engine.withdraw(ends, by)?;
        self.decide(ends, Decision::Deny)?;
        self.decide(ends, Decision::Ask)?;
        Ok(Withdrawn {})
    }

    fn allow(&mut self, client: Badge, subject: Name, object: Name) -> Result<Allowed, Refusal> {
        self.manager(client)?;
        let ends = self.engine.ends(subject, object)?;
        let Some(restored) = self.engine.restore(ends, self.refusals(ends.0)) else {
            return Ok(Allowed { refused: 0 });
        };
        self.decide(ends, Decision::Ask)?;
        log!("{restored}");
        Ok(Allowed { refused: restored.refused })
    }

    fn counts(&mut self, _client: Badge) -> Result<Counted, Refusal> {
        Ok(self.engine.counted())
    }
}
