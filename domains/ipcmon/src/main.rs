//! The monitor, *ipcmon* (the L4 report's name): decides by the manifest's policy what domains may do to each other.
//!
//! This file connects the decisions to the kernel and to the clients. The library decides.

#![no_std]
#![no_main]

use cloison_abi::{
    CallError, Name,
    access::{Class, Classes, Decision},
    policy::FIRST_POLICY,
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
use ipcmon::{Denial, Engine, NotLoaded};
use ipcmon_api::control::{self, Allowed, Counted, Loaded, Refusal, Server, Withdrawn};
use ipcmon_policy::{Flow, Policies};

/// Denials of which nobody has been told yet. What does not fit is counted, and told as a number.
const MAX_UNTOLD: usize = 16;

cloison_rt::entry!(main);

fn main() -> Result<(), Unfit> {
    let entry = info::get().find::<info::Right>("monitor-right").ok_or(Unfit::NoRight)?;
    let right = info::slot(entry).ok_or(Unfit::NoRight)?;
    let policies =
        Policies::read(settings::policy()).map_err(|fault| Unfit::Policy(NotLoaded::Bad(fault)))?;
    let first = Name::new(FIRST_POLICY).unwrap_or_default();
    let engine = Engine::new(policies, first).map_err(Unfit::Policy)?;
    let mut monitor = Monitor { right, engine, untold: Deque::new(), lost: 0 };
    monitor.forget_all()?;
    monitor.serve(info::event_mask(entry))
}

/// Why there is nothing to decide.
enum Unfit {
    NoRight,
    Policy(NotLoaded),
    Kernel(CallError),
}

impl core::fmt::Display for Unfit {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::NoRight => out.write_str("this domain was not given the right `monitor-right`"),
            Self::Policy(error) => write!(out, "this domain has no policy: {error}"),
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
        let judged = self.engine.domains().judged();
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
            let judged = self.engine.judge(asked.question, refusals);
            // An answer that comes too late is asked for again.
            let is_answered = answer(self.right, &asked, judged.decision).is_ok();
            if let Some(denial) = judged.denial.filter(|_| is_answered)
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
        let entry = page.clients().find(|asks| asks.channel.badge == client && asks.channel.option == 1);
        entry.map(|asks| asks.channel.peer).ok_or(Refusal::NotManager)
    }

    /// Ends what is open and may be so no more, then forgets what is decided. Nobody who is judged runs in between: they
    /// are all below this domain.
    fn close(&self, closed: impl Iterator<Item = Flow>) -> Result<u32, Refusal> {
        let mut count = 0;
        for Flow { subject, object, class } in closed {
            let done = verdict_set(self.right, subject, Some(object), class.bit(), Decision::Deny);
            done.map_err(|_| Refusal::NotJudged)?;
            count += 1;
        }
        self.forget_all().map_err(|_| Refusal::NotJudged)?;
        Ok(count)
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

    fn load(&mut self, client: Badge, policy: Name) -> Result<Loaded, Refusal> {
        let by = self.manager(client)?;
        let closed = match self.engine.load(policy) {
            Ok(closed) => closed,
            Err(reason) => {
                log!("policy {policy}, wanted by {by}, is not in force: {reason}");
                return Err(match reason {
                    NotLoaded::Unknown => Refusal::UnknownPolicy,
                    NotLoaded::Bad(_) => Refusal::BadPolicy,
                });
            }
        };
        let closed = self.close(closed)?;
        let epoch = self.engine.counted().epoch;
        log!(
            "policy {policy}: epoch {epoch}, wanted by {by}; {closed} channels closed, all decisions forgotten"
        );
        Ok(Loaded { epoch, closed })
    }

    /// Those who are not judged learn from this what others do: it is for managers only.
    fn counts(&mut self, client: Badge) -> Result<Counted, Refusal> {
        self.manager(client)?;
        let (mut kept, mut refused) = (0, 0);
        for (subject, classes) in self.engine.domains().judged() {
            refused += self.refusals(subject);
            for class in Class::ALL.into_iter().filter(|class| classes.contains(class.bit())) {
                let verdicts = verdict_read(self.right, subject, class).map_err(|_| Refusal::NotJudged)?;
                kept += ((verdicts.may | verdicts.refused) & !(1 << subject)).count_ones();
            }
        }
        Ok(Counted { kept, refused, ..self.engine.counted() })
    }
}
