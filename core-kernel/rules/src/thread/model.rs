//! Random systems in which random things happen, against what must hold whatever the threads do.

use std::{collections::BTreeMap, format, vec, vec::Vec};

use cloison_abi::call::POLL;
use proptest::prelude::*;

use super::*;
use crate::guarantee::{Terms, Title, longest_wait, needed};

const QUANTUM: u64 = 40;
/// Every period is a multiple of this.
const GRID: u64 = 50;

#[derive(Clone, Debug)]
enum Step {
    Call(usize),
    Reply { mask: u64, after: u64 },
    Wait { mask: u64, after: u64 },
    Poll(u64),
    Signal { to: usize, bits: u64 },
    Time(u64),
    Halt { who: usize, handler: Option<usize> },
    Start(usize),
    Rebuild(usize),
    Ask(u64),
    Answer(usize),
    Withdraw(usize),
    Pause(usize),
    Resume(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let who = 0..6_usize;
    // 0: at once. The last ones: never.
    let after = prop_oneof![1 => Just(0_u64), 3 => 1..300_u64, 2 => Just(NO_DEADLINE)];
    let one = prop_oneof![
        8 => who.clone().prop_map(Step::Call),
        6 => (0..4_u64, after.clone()).prop_map(|(mask, after)| Step::Reply { mask, after }),
        2 => (0..4_u64, after).prop_map(|(mask, after)| Step::Wait { mask, after }),
        1 => (0..4_u64).prop_map(Step::Poll),
        4 => (who.clone(), 1..4_u64).prop_map(|(to, bits)| Step::Signal { to, bits }),
        8 => (1..200_u64).prop_map(Step::Time),
        1 => (who.clone(), prop::option::of(who.clone())).prop_map(|(who, handler)| Step::Halt { who, handler }),
        3 => who.clone().prop_map(Step::Start),
        1 => who.clone().prop_map(Step::Rebuild),
        1 => (1..300_u64).prop_map(Step::Ask),
        2 => who.clone().prop_map(Step::Answer),
        1 => who.clone().prop_map(Step::Withdraw),
        2 => who.clone().prop_map(Step::Pause),
        3 => who.prop_map(Step::Resume),
    ];
    prop::collection::vec(one, 0..250)
}

fn titles() -> impl Strategy<Value = Vec<Title>> {
    let limited =
        (1..4_u64, 1..12_u64).prop_map(|(periods, tenth)| (periods * GRID, periods * tenth * GRID / 20));
    let budget = prop_oneof![3 => limited, 2 => Just((0, 0))];
    let one = (1..4_u64, budget).prop_map(|(priority, (period, budget))| Title { priority, budget, period });
    prop::collection::vec(one, 6)
}

/// A system, what time it is there, and what each account has paid.
struct World {
    threads: Threads,
    ids: Vec<ThreadId>,
    titles: Vec<Title>,
    now: u64,
    alarm: u64,
    /// By thread and period: how long it wanted the CPU at its priority or was in the background, and how much it
    /// had at its priority.
    wished: BTreeMap<(usize, u64), u64>,
    paid: BTreeMap<(usize, u64), u64>,
    /// By thread: how long its claim had the CPU.
    had: Vec<u64>,
    /// How long each has waited for the CPU at its priority.
    waited: Vec<u64>,
    /// Which claim has the CPU, at which priority, and for how long beside another of that priority.
    turn: (Option<(ThreadId, u8)>, u64),
}

impl World {
    fn new(titles: Vec<Title>) -> Self {
        let mut threads = Threads::EMPTY;
        threads.init(QUANTUM);
        let mut ids = Vec::new();
        for title in &titles {
            let thread = threads.create().unwrap();
            threads.configure(thread.id, title.priority as u8, Budget::new(title.budget, title.period));
            threads.start(thread.id).unwrap();
            ids.push(thread.id);
        }
        let [waited, had] = [(); 2].map(|()| ids.iter().map(|_| 0).collect());
        let (wished, paid) = (BTreeMap::new(), BTreeMap::new());
        let mut world =
            Self { threads, ids, titles, now: 0, alarm: 0, wished, paid, had, waited, turn: (None, 0) };
        world.settle();
        world
    }

    fn settle(&mut self) {
        if !self.threads.is_settled() {
            let mut short = self.threads.clone();
            let at_once = short.settle_at_once(|| self.now);
            self.alarm = self.threads.settle(|| self.now);
            if let Some(alarm) = at_once {
                assert_eq!((alarm, format!("{short:?}")), (self.alarm, format!("{:?}", self.threads)));
            }
            let claim = self.threads.dispatch.claim.map(|claim| (claim, self.threads.get(claim).priority));
            if claim != self.turn.0 {
                self.turn = (claim, 0);
            }
            for (which, id) in self.ids.iter().enumerate() {
                if self.threads.dispatch.claim == Some(*id) || !is_wanted(&self.threads, *id) {
                    self.waited[which] = 0;
                }
            }
        }
    }

    /// Lets time pass, and the timer interrupt when it should.
    fn pass(&mut self, time: u64) {
        let end = self.now + time;
        while self.now < end {
            self.settle();
            let next = self.alarm.min((self.now / GRID + 1) * GRID).min(end).max(self.now);
            self.account(next - self.now);
            self.now = next;
            if self.now >= self.alarm {
                let late = self.threads.timer(self.now);
                for id in ThreadId::all().filter(|id| late & id.bit() != 0) {
                    answer(&mut self.threads, id);
                }
                self.settle();
                check(self);
            }
        }
    }

    fn account(&mut self, time: u64) {
        let terms = Terms { turn: QUANTUM, delay: 0 };
        let claim = self.threads.dispatch.claim;
        for (which, id) in self.ids.iter().enumerate() {
            let (title, thread) = (self.titles[which], self.threads.get(*id));
            let (is_wanted, is_spent) =
                (is_wanted(&self.threads, *id), thread.priority != thread.base_priority);
            let has = claim == Some(*id) && !is_spent;
            self.had[which] += if claim == Some(*id) { time } else { 0 };
            let period = (which, self.now.checked_div(title.period).unwrap_or(0));
            *self.wished.entry(period).or_default() += if is_wanted { time } else { 0 };
            *self.paid.entry(period).or_default() += if has { time } else { 0 };
            let waits = is_wanted && !is_spent && !has;
            self.waited[which] = if waits { self.waited[which] + time } else { 0 };
            if let Some(longest) = longest_wait(&self.titles, which, terms) {
                assert!(self.waited[which] <= longest, "{id:?} has waited, and should at most {longest}");
            }
            let paid = self.paid[&period];
            assert!(title.period == 0 || paid <= title.budget, "{id:?} has paid {paid} in one period");
        }
        let priority = claim.map(|claim| self.threads.get(claim).priority);
        let peers = self.ids.iter().filter(|id| Some(self.threads.get(**id).priority) == priority);
        let is_shared = peers.filter(|id| is_wanted(&self.threads, **id)).count() > 1;
        self.turn.1 = if is_shared { self.turn.1 + time } else { 0 };
        assert!(!is_shared || self.turn.1 <= QUANTUM, "{claim:?} keeps its peers waiting");
    }

    /// In every period each has had its budget, if it wanted it all the time, and the sums allow it.
    fn check_guarantees(&self) {
        let terms = Terms { turn: QUANTUM, delay: 0 };
        for (which, title) in self.titles.iter().enumerate() {
            let Some(needed) = needed(&self.titles, which, terms) else { continue };
            for ((_, period), wished) in self.wished.iter().filter(|((of, _), _)| *of == which) {
                let paid = self.paid[&(which, *period)];
                if needed <= title.period && *wished == title.period {
                    assert_eq!(paid, title.budget, "thread {which} in its period {period}");
                }
            }
        }
    }
}

/// Where a claim leads, in other words than those of the code.
fn leads_to(threads: &Threads, id: ThreadId) -> Option<ThreadId> {
    let mut seen = Vec::new();
    let mut at = id;
    while !seen.contains(&at) {
        seen.push(at);
        at = match threads.get(at).state {
            State::Runnable => return Some(at),
            State::Calling(next) | State::Served(next) | State::Faulted(Some(next)) => next,
            _ => return None,
        }
    }
    None
}

fn is_wanted(threads: &Threads, id: ThreadId) -> bool {
    let thread = threads.get(id);
    let serves_only =
        thread.serving.is_some() && thread.pending & thread.mask == 0 && thread.deadline != PASSED;
    leads_to(threads, id).is_some() && !serves_only
}

/// What must hold in every state.
fn check(world: &World) {
    let wanted = check_threads(&world.threads);
    check_alarm(world, &wanted);
}

/// What must hold of threads in every state. Returns those whose claims want the CPU.
pub(super) fn check_threads(threads: &Threads) -> Vec<ThreadId> {
    let wanted: Vec<ThreadId> = ThreadId::all().filter(|id| is_wanted(threads, *id)).collect();
    for id in ThreadId::all() {
        let thread = threads.get(id);
        let is_there = threads.dispatch.ready.contains(id, thread.priority);
        assert_eq!(is_there, wanted.contains(&id), "whether {id:?} wants the CPU: {thread:?}");
        if let Some(client) = thread.serving {
            assert_eq!(threads.get(client).state, State::Served(id), "{client:?} waits for {id:?}");
        }
        check_held(threads, id);
        match thread.state {
            State::Served(server) => assert_eq!(threads.get(server).serving, Some(id)),
            State::Calling(server) => check_queue(threads, server, id),
            State::Waiting | State::Receiving => {
                assert!(threads.dispatch.next_deadline <= thread.deadline, "no deadline is missed");
            }
            State::Asking => {
                let limit = threads.limits[id.index()];
                assert!(threads.dispatch.next_deadline <= limit, "no question waits for ever");
            }
            _ => {}
        }
    }
    let highest = wanted.iter().map(|id| threads.get(*id).priority).max();
    assert_eq!(
        threads.dispatch.claim.map(|claim| threads.get(claim).priority),
        highest,
        "the highest priority has the CPU"
    );
    assert!(threads.dispatch.claim.is_none_or(|claim| wanted.contains(&claim)));
    assert_eq!(
        threads.dispatch.current,
        threads.dispatch.claim.and_then(|claim| leads_to(threads, claim)),
        "it runs who is led to"
    );
    wanted
}

/// Who is held does nothing, and a server knows whether its client is. Nobody waits for what is there.
fn check_held(threads: &Threads, id: ThreadId) {
    let thread = threads.get(id);
    let fits = match thread.state {
        State::Paused(_) => thread.is_paused,
        State::Calling(_) | State::Served(_) | State::Asking => true,
        _ => !thread.is_paused,
    };
    assert!(fits, "{id:?} is held: {thread:?}");
    let serves_held = thread.serving.is_some_and(|client| threads.get(client).is_paused);
    assert_eq!(
        thread.in_the_way & HELD_CLIENT != 0,
        serves_held,
        "{id:?} serves one that is held: {thread:?}"
    );
    let has_come = thread.pending & thread.mask != 0;
    match thread.state {
        State::Waiting => assert!(!has_come, "{id:?} waits for what has come"),
        State::Receiving => assert!(!has_come && thread.callers.is_none(), "{id:?} waits for what has come"),
        _ => {}
    }
}

fn check_queue(threads: &Threads, server: ThreadId, caller: ThreadId) {
    let mut queue = Vec::new();
    let mut at = threads.get(server).callers;
    while let Some(id) = at {
        queue.push(id);
        at = threads.get(id).next_caller;
    }
    assert_eq!(
        queue.iter().filter(|id| **id == caller).count(),
        1,
        "{caller:?} is in the queue of {server:?}"
    );
    let ranks: Vec<u8> = queue.iter().map(|id| threads.get(*id).rank).collect();
    assert!(ranks.is_sorted_by(|a, b| a >= b), "the highest rank is first: {ranks:?}");
    // A caller that waits through another waits with its own rank.
    for id in &queue {
        let ahead = threads.get(*id).callers.map_or(0, |first| threads.get(first).rank);
        assert!(threads.get(*id).rank >= ahead, "{id:?} waits with the rank of its callers");
    }
}

/// If somebody waits at the priority of whom runs, the alarm is no later than the end of its turn; and no later
/// than the end of its budget.
fn check_alarm(world: &World, wanted: &[ThreadId]) {
    let (threads, alarm) = (&world.threads, world.alarm);
    let Some(claim) = threads.dispatch.claim else { return };
    assert_eq!(threads.dispatch.payer, Some(claim));
    let thread = threads.get(claim);
    let peers = wanted.iter().filter(|id| threads.get(**id).priority == thread.priority).count();
    let turn = threads.turn_left(claim);
    assert!(turn <= QUANTUM);
    assert!(
        peers == 1 || alarm <= threads.dispatch.charged_at + turn,
        "the alarm {alarm} is later than the turn's end"
    );
    let budget = &threads.budgets[claim.index()];
    let is_spent = thread.priority != thread.base_priority;
    assert!(
        is_spent || alarm <= budget.exhausted_at(threads.dispatch.charged_at),
        "the alarm {alarm} is too late"
    );
    assert!(alarm <= threads.dispatch.next_deadline);
    for id in ThreadId::all().filter(|id| threads.is_spent(*id)) {
        assert!(
            alarm <= threads.budgets[id.index()].renewed_at().max(world.now),
            "{id:?} gets its budget in time"
        );
    }
}

/// Does one step. `rebuilds`: whether a thread can get a new account, beside which the old one has been used.
fn act(world: &mut World, step: Step, rebuilds: bool) {
    let (threads, ids, now) = (&mut world.threads, &world.ids, world.now);
    let deadline = |after: u64| if after == 0 { POLL } else { after.saturating_add(now) };
    match (step, threads.current()) {
        (Step::Call(to), Some(current)) => {
            let _ = threads.call(current, ids[to], 0);
        }
        (Step::Reply { mask, after }, Some(current)) => reply(world, current, mask, deadline(after)),
        (Step::Wait { mask, after }, Some(current)) => {
            threads.wait(current, mask, deadline(after));
        }
        (Step::Poll(mask), Some(current)) => {
            let mut long = threads.clone();
            let next = long.wait(current, mask, POLL);
            if let Some(events) = threads.poll(current, mask) {
                let short = if events == 0 { Next::TimedOut } else { Next::Events(events) };
                assert_eq!((short, format!("{threads:?}")), (next, format!("{long:?}")));
            }
        }
        (Step::Ask(after), Some(current)) => threads.ask(current, deadline(after)),
        (Step::Answer(who), _) => answer(threads, ids[who]),
        (Step::Withdraw(who), _) => threads.withdraw_call(ids[who]),
        (Step::Pause(who), current) if current != Some(ids[who]) => _ = threads.pause(ids[who]),
        (Step::Resume(who), _) => _ = threads.resume(ids[who]),
        (Step::Signal { to, bits }, _) => {
            threads.signal(ids[to], bits);
        }
        (Step::Time(time), _) => world.pass(time),
        (Step::Halt { who, handler }, _) => halt(threads, ids, who, handler),
        (Step::Start(who), _) => {
            let _ = threads.start(ids[who]);
        }
        (Step::Rebuild(who), _) if rebuilds => {
            threads.halt(ids[who], State::Stopped);
            threads.destroy(ids[who]);
            let created = threads.create().unwrap();
            assert_eq!(created.id, ids[who]);
            let title = world.titles[who];
            threads.configure(created.id, title.priority as u8, Budget::new(title.budget, title.period));
        }
        _ => {}
    }
}

/// Who waits for the monitor has its answer, or has waited long enough.
fn answer(threads: &mut Threads, id: ThreadId) {
    if threads.get(id).state == State::Asking {
        threads.answered(id);
    }
}

/// A reply; if the short way is open, it must come to the same as the long one.
fn reply(world: &mut World, server: ThreadId, mask: u64, deadline: u64) {
    let mut short = world.threads.clone();
    let long = world.threads.reply_wait(server, mask, deadline);
    if let Some(client) = short.reply_at_once(server, mask, deadline) {
        assert_eq!(long, (Some(client), Next::Blocked));
        assert!(short.is_settled());
        world.settle();
        assert_eq!(format!("{short:?}"), format!("{:?}", world.threads));
    }
}

fn halt(threads: &mut Threads, ids: &[ThreadId], who: usize, handler: Option<usize>) {
    if matches!(threads.get(ids[who]).state, State::Stopped | State::Faulted(_)) {
        return;
    }
    let handler = handler.map(|handler| ids[handler]).filter(|handler| *handler != ids[who]);
    threads.halt(ids[who], handler.map_or(State::Stopped, |handler| State::Faulted(Some(handler))));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Every state is sound, and no account pays for what it should not.
    #[test]
    fn whatever_happens_time_belongs_to_whom_it_should(titles in titles(), steps in steps()) {
        let mut world = World::new(titles);
        check(&world);
        for step in steps {
            act(&mut world, step, false);
            world.settle();
            check(&world);
            for (id, had) in world.ids.iter().zip(&world.had) {
                assert_eq!(world.threads.paid(*id, world.now), *had, "what {id:?} has paid for");
            }
        }
        world.check_guarantees();
    }

    /// The same with threads that are destroyed and built again.
    #[test]
    fn every_state_is_sound(steps in steps()) {
        let title = |priority| Title { priority, budget: 0, period: 0 };
        let mut world = World::new([1, 2, 3, 3, 5, 6].map(title).to_vec());
        for step in steps {
            act(&mut world, step, true);
            world.settle();
            check(&world);
        }
    }
}
