//! The monitor at work: connects the decisions to the kernel and to the clients.

use cloison_abi::{
    CallError, Name,
    access::{Class, Classes, Decision, Question},
    policy::FIRST_POLICY,
};
use cloison_rt::{
    log,
    sys::{
        Badge, Instant, Message, Received, Slot, info,
        mapped::MappedRegion,
        monitor::{answer, ask_read, verdict_read, verdict_set},
        reply_wait, settings,
    },
};
use heapless::Deque;
use ipcmon_api::{
    control::{self, Allowed, Counted, EntryGiven, Headed, Loaded, Logged, Refusal, Server, Withdrawn},
    record::{Entry, Event},
};
use ipcmon_policy::{Flow, Policies};
use zerocopy::IntoBytes;

use crate::{
    admission::Admitted,
    engine::{Answer as Judged, Engine, NotLoaded},
    state::{COPY_BYTES, Copy, Damaged, Numbered, newer},
    switches::Switches,
    told::{Denial, Reason},
};

/// Denials of which nobody has been told yet. What does not fit is counted, and told as a number.
const MAX_UNTOLD: usize = 16;

/// Why there is nothing to decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// It is no monitor.
    NoRight,
    /// There is no policy.
    Policy(NotLoaded),
    /// The kernel refuses something.
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

impl core::error::Error for Unfit {}

/// The monitor at work.
#[derive(Debug)]
pub struct Monitor {
    right: Slot,
    /// The event that says that somebody asks.
    asked: u64,
    engine: Engine<'static>,
    memory: MappedRegion,
    switches: Switches,
    /// The number of the state that was saved last.
    saved: u64,
    untold: Deque<Denial, MAX_UNTOLD>,
    lost: u32,
    reply: Message,
}

impl Monitor {
    /// Begins a life: what was decided in an earlier one is undecided, and nothing more is allowed than then.
    ///
    /// # Errors
    /// [`Unfit`].
    pub fn open() -> Result<Self, Unfit> {
        let page = info::get();
        let entry = page.find::<info::Right>("monitor-right").ok_or(Unfit::NoRight)?;
        let right = info::slot(entry).ok_or(Unfit::NoRight)?;
        let region = page.find::<info::Region>("state").and_then(info::slot).ok_or(Unfit::NoRight)?;
        let memory = MappedRegion::writable(region)?;
        let policies =
            Policies::read(settings::policy()).map_err(|fault| Unfit::Policy(NotLoaded::Bad(fault)))?;
        let (engine, saved) = begin(policies, &memory).map_err(Unfit::Policy)?;
        let (asked, untold, reply) = (info::event_mask(entry), Deque::new(), Message::default());
        let switches = Switches::find();
        let is_first = saved == 0;
        let mut monitor = Self { right, asked, engine, memory, switches, saved, untold, lost: 0, reply };
        monitor.record(Entry::new(Event::Started, [Name::EMPTY; 2]));
        monitor.save();
        for ends in monitor.engine.withdrawn() {
            // What it was doing when it was withdrawn may not be at an end.
            monitor.decide(ends, Decision::Deny).ok();
        }
        monitor.settle_memory()?;
        monitor.forget_all()?;
        if !is_first {
            // What was withdrawn last may not have reached them. At first they say themselves when they are there.
            monitor.tell_switches(u64::MAX);
        }
        Ok(monitor)
    }

    /// First come answers, then requests, then what a person is told: those who wait for an answer do not wait for the
    /// console.
    pub fn turn(&mut self) {
        let deadline = if self.has_news() { Instant::PAST } else { Instant::NEVER };
        let events = self.asked | self.switches.events();
        match reply_wait(core::mem::take(&mut self.reply), events, deadline) {
            Received::Events(arrived) => {
                if arrived & self.asked != 0 {
                    self.answer_all();
                }
                self.tell_switches(arrived);
            }
            Received::Message { badge, message } => {
                let option = asks(badge).map_or(0, |asks| asks.option);
                self.reply = control::answer(&mut Admitted { server: self, option }, badge, message);
            }
            Received::TimedOut => self.tell(),
        }
    }

    fn forget_all(&self) -> Result<(), CallError> {
        let judged = self.engine.domains().judged();
        judged.into_iter().try_for_each(|(subject, classes)| {
            verdict_set(self.right, subject, None, classes, Decision::Ask).map(drop)
        })
    }

    /// Tells switches what is withdrawn.
    fn tell_switches(&self, events: u64) {
        let (engine, domains) = (&self.engine, self.engine.domains());
        let pairs = domains.all().flat_map(|(from, _)| domains.all().map(move |(to, _)| (from, to)));
        let closed = pairs.filter(|(from, to)| engine.is_withdrawn(*from, *to));
        self.switches.tell(events, closed.map(|(from, to)| [domains.name(from), domains.name(to)]));
    }

    /// Lets domains have memory together as it is decided now.
    fn settle_memory(&self) -> Result<(), CallError> {
        let domains = self.engine.domains();
        let judged = domains.judged().filter(|(_, classes)| classes.contains(Classes::SHARE));
        let pairs = judged.flat_map(|(subject, _)| domains.all().map(move |(object, _)| (subject, object)));
        pairs.filter(|(subject, object)| subject != object).try_for_each(|ends| self.settle(ends))
    }

    fn settle(&self, (subject, object): (u8, u8)) -> Result<(), CallError> {
        let is_closed = self.engine.closes_memory(subject, object);
        let decision = if is_closed { Decision::Deny } else { Decision::Allow };
        verdict_set(self.right, subject, Some(object), Classes::SHARE, decision).map(drop)
    }

    fn answer_all(&mut self) {
        while let Ok(Some(asked)) = ask_read(self.right) {
            let refusals = self.refusals(asked.question.subject);
            let judged = self.engine.judge(asked.question, refusals);
            if judged.decision == Decision::Allow {
                // What it learns then is known before it does.
                self.save();
            }
            // An answer that comes too late is asked for again.
            if answer(self.right, &asked, judged.decision).is_ok() {
                self.note(asked.question, judged);
            }
        }
        self.save();
    }

    /// Notes what was answered: for the log, and for a person.
    fn note(&mut self, question: Question, Judged { line, denial, .. }: Judged) {
        let Question { subject, object, class, .. } = question;
        let event = if denial.is_some() { Event::Denied } else { Event::Allowed };
        let names = [subject, object].map(|index| self.engine.domains().name(index));
        self.record(Entry::new(event, names).about([subject, object], class, line));
        if denial.is_some_and(|denial| self.untold.push_back(denial).is_err()) {
            self.lost += 1;
        }
    }

    fn record(&mut self, entry: Entry) {
        self.engine.record(entry, Instant::now().0);
    }

    /// What another life has to know.
    fn save(&mut self) {
        if self.engine.is_lost() {
            // So is it in the next life.
            return;
        }
        self.saved += 1;
        let copy = Copy::new(self.engine.state(), self.saved);
        // The region has room for two copies, as `domain.toml` says.
        let _ = self.memory.write(Copy::place(self.saved), copy.as_bytes());
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

    /// Ends what is open and may be so no more, then forgets what is decided. Nobody who is judged runs in between: they
    /// are all below this domain.
    fn close(&self, closed: impl Iterator<Item = Flow>) -> Result<u32, Refusal> {
        let (mut count, mut done) = (0, Ok(()));
        for Flow { subject, object, class } in closed {
            let closed = verdict_set(self.right, subject, Some(object), class.bit(), Decision::Deny);
            done = done.and(closed.map(drop));
            count += 1;
        }
        // Whatever was refused: what is left is closed, and nothing stays decided.
        let settled = self.settle_memory();
        let forgotten = self.forget_all();
        done.and(settled).and(forgotten).map_err(|_| Refusal::NotJudged)?;
        Ok(count)
    }

    fn decide(&self, (subject, object): (u8, u8), decision: Decision) -> Result<(), Refusal> {
        let done = verdict_set(self.right, subject, Some(object), Classes::ASKED, decision);
        done.map(drop).map_err(|_| Refusal::NotJudged)
    }
}

/// What the manifest says of a client.
fn asks(client: Badge) -> Option<&'static info::Channel> {
    let page = info::get();
    let entry = page.clients().find(|asks| asks.channel.badge == client);
    entry.map(|asks| &asks.channel)
}

/// The name of a client.
fn name_of(client: Badge) -> Name {
    asks(client).map_or(Name::EMPTY, |asks| asks.peer)
}

/// What [`Admitted`] lets through.
impl Server for Monitor {
    /// What is under way ends by the denial. What is tried later is asked about, so that a person is told of it.
    fn withdraw(&mut self, client: Badge, subject: Name, object: Name) -> Result<Withdrawn, Refusal> {
        let by = name_of(client);
        let ends = self.engine.ends(subject, object)?;
        self.engine.withdraw(ends, by)?;
        self.record(Entry::new(Event::Withdrawn, [subject, object]).about(ends.into(), Class::Call, 0));
        self.save();
        self.switches.narrow([subject, object], true);
        self.decide(ends, Decision::Deny)?;
        self.decide(ends, Decision::Ask)?;
        Ok(Withdrawn {})
    }

    fn allow(&mut self, _client: Badge, subject: Name, object: Name) -> Result<Allowed, Refusal> {
        let ends = self.engine.ends(subject, object)?;
        let Some(restored) = self.engine.restore(ends, self.refusals(ends.0)) else {
            return Ok(Allowed { refused: 0 });
        };
        self.record(Entry::new(Event::GivenBack, [subject, object]).about(ends.into(), Class::Call, 0));
        self.save();
        self.switches.narrow([subject, object], false);
        self.settle(ends).map_err(|_| Refusal::NotJudged)?;
        self.decide(ends, Decision::Ask)?;
        log!("{restored}");
        Ok(Allowed { refused: restored.refused })
    }

    fn load(&mut self, client: Badge, policy: Name) -> Result<Loaded, Refusal> {
        let by = name_of(client);
        let closed = match self.engine.load(policy) {
            Ok(closed) => closed,
            Err(reason) => {
                self.record(Entry::new(Event::NotLoaded, [policy, by]));
                self.save();
                log!("policy {policy}, wanted by {by}, is not in force: {reason}");
                return Err(match reason {
                    NotLoaded::Unknown(_) => Refusal::UnknownPolicy,
                    NotLoaded::Bad(_) | NotLoaded::Lost => Refusal::BadPolicy,
                });
            }
        };
        self.record(Entry::new(Event::Loaded, [policy, by]));
        self.save();
        let closed = self.close(closed)?;
        let epoch = self.engine.counted().epoch;
        log!(
            "policy {policy}: epoch {epoch}, wanted by {by}; {closed} channels closed, all decisions forgotten"
        );
        Ok(Loaded { epoch, closed })
    }

    fn counts(&mut self, _client: Badge) -> Result<Counted, Refusal> {
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

    fn log(&mut self, _client: Badge) -> Result<Logged, Refusal> {
        let (entries, first) = self.engine.chain().numbers();
        Ok(Logged { entries, first })
    }

    fn head(&mut self, _client: Badge, before: bool) -> Result<Headed, Refusal> {
        let (end, start) = self.engine.chain().heads();
        Ok(Headed { head: if before { start } else { end } })
    }

    fn entry(&mut self, _client: Badge, number: u64, second: bool) -> Result<EntryGiven, Refusal> {
        let entry = self.engine.chain().entry(number).ok_or(Refusal::NoEntry)?;
        Ok(EntryGiven { bytes: entry.halves()[usize::from(second)] })
    }
}

/// The monitor's decisions: those of an earlier life, if there was one; and the number of what that one has saved.
fn begin(policies: Policies<'static>, memory: &MappedRegion) -> Result<(Engine<'static>, u64), NotLoaded> {
    let first = Name::new(FIRST_POLICY).unwrap_or_default();
    let mut copies = [Copy::empty(), Copy::empty()];
    for (place, copy) in copies.iter_mut().enumerate() {
        let _ = memory.read(place * COPY_BYTES, copy.as_mut_bytes());
    }
    match newer(copies) {
        Ok(None) => Ok((Engine::new(policies, first)?, 0)),
        Ok(Some(Numbered { state, sequence })) => match Engine::resume(policies, &state) {
            Ok(engine) => {
                log!("goes on after a restart: policy {}, epoch {}", engine.policy(), engine.counted().epoch);
                Ok((engine, sequence))
            }
            Err(_) => Ok((lost(policies, first)?, sequence)),
        },
        Err(Damaged) => Ok((lost(policies, first)?, 0)),
    }
}

fn lost(policies: Policies<'static>, first: Name) -> Result<Engine<'static>, NotLoaded> {
    log!("error: {}: nothing is allowed", Reason::Lost);
    Engine::lost(policies, first)
}
