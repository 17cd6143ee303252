//! Random systems in which random things happen, against what must hold whatever the domains do.

use std::{collections::BTreeMap, format, vec::Vec};

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
        1 => who.prop_map(Step::Rebuild),
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
    tasks: Tasks,
    ids: Vec<DomainId>,
    titles: Vec<Title>,
    now: u64,
    alarm: u64,
    /// By domain and period: how long it wanted the CPU at its priority or was in the background, and how much it
    /// had at its priority.
    wished: BTreeMap<(usize, u64), u64>,
    paid: BTreeMap<(usize, u64), u64>,
    /// How long each has waited for the CPU at its priority.
    waited: Vec<u64>,
    /// Which claim has the CPU, at which priority, and for how long beside another of that priority.
    turn: (Option<(DomainId, u8)>, u64),
}

impl World {
    fn new(titles: Vec<Title>) -> Self {
        let mut tasks = Tasks::EMPTY;
        tasks.init(QUANTUM);
        let mut ids = Vec::new();
        for title in &titles {
            let domain = tasks.create().unwrap();
            tasks.configure(domain.id, title.priority as u8, Budget::new(title.budget, title.period));
            tasks.start(domain.id).unwrap();
            ids.push(domain.id);
        }
        let waited = ids.iter().map(|_| 0).collect();
        let (wished, paid) = (BTreeMap::new(), BTreeMap::new());
        let mut world = Self { tasks, ids, titles, now: 0, alarm: 0, wished, paid, waited, turn: (None, 0) };
        world.settle();
        world
    }

    fn settle(&mut self) {
        if !self.tasks.is_settled() {
            self.alarm = self.tasks.settle(|| self.now);
            let claim = self.tasks.claim.map(|claim| (claim, self.tasks.get(claim).priority));
            if claim != self.turn.0 {
                self.turn = (claim, 0);
            }
            for (which, id) in self.ids.iter().enumerate() {
                if self.tasks.claim == Some(*id) || !is_wanted(&self.tasks, *id) {
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
                self.tasks.timer(self.now);
                self.settle();
                check(self);
            }
        }
    }

    fn account(&mut self, time: u64) {
        let terms = Terms { turn: QUANTUM, delay: 0 };
        let claim = self.tasks.claim;
        for (which, id) in self.ids.iter().enumerate() {
            let (title, task) = (self.titles[which], self.tasks.get(*id));
            let (is_wanted, is_spent) = (is_wanted(&self.tasks, *id), task.priority != task.base_priority);
            let has = claim == Some(*id) && !is_spent;
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
        let priority = claim.map(|claim| self.tasks.get(claim).priority);
        let peers = self.ids.iter().filter(|id| Some(self.tasks.get(**id).priority) == priority);
        let is_shared = peers.filter(|id| is_wanted(&self.tasks, **id)).count() > 1;
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
                    assert_eq!(paid, title.budget, "domain {which} in its period {period}");
                }
            }
        }
    }
}

/// Where a claim leads, in other words than those of the code.
fn leads_to(tasks: &Tasks, id: DomainId) -> Option<DomainId> {
    let mut seen = Vec::new();
    let mut at = id;
    while !seen.contains(&at) {
        seen.push(at);
        at = match tasks.get(at).state {
            State::Runnable => return Some(at),
            State::Calling(next) | State::Served(next) | State::Faulted(Some(next)) => next,
            _ => return None,
        }
    }
    None
}

fn is_wanted(tasks: &Tasks, id: DomainId) -> bool {
    let task = tasks.get(id);
    let serves_only = task.serving.is_some() && task.pending & task.mask == 0 && task.deadline != PASSED;
    leads_to(tasks, id).is_some() && !serves_only
}

/// What must hold in every state.
fn check(world: &World) {
    let tasks = &world.tasks;
    let wanted: Vec<DomainId> = DomainId::all().filter(|id| is_wanted(tasks, *id)).collect();
    for id in DomainId::all() {
        let task = tasks.get(id);
        let is_there = tasks.ready.contains(id, task.priority);
        assert_eq!(is_there, wanted.contains(&id), "whether {id:?} wants the CPU: {task:?}");
        if let Some(client) = task.serving {
            assert_eq!(tasks.get(client).state, State::Served(id), "{client:?} waits for {id:?}");
        }
        match task.state {
            State::Served(server) => assert_eq!(tasks.get(server).serving, Some(id)),
            State::Calling(server) => check_queue(tasks, server, id),
            State::Waiting | State::Receiving => {
                assert!(tasks.next_deadline <= task.deadline, "no deadline is missed");
            }
            _ => {}
        }
    }
    let highest = wanted.iter().map(|id| tasks.get(*id).priority).max();
    assert_eq!(
        tasks.claim.map(|claim| tasks.get(claim).priority),
        highest,
        "the highest priority has the CPU"
    );
    assert!(tasks.claim.is_none_or(|claim| wanted.contains(&claim)));
    assert_eq!(tasks.current, tasks.claim.and_then(|claim| leads_to(tasks, claim)), "it runs who is led to");
    check_alarm(world, &wanted);
}

fn check_queue(tasks: &Tasks, server: DomainId, caller: DomainId) {
    let mut queue = Vec::new();
    let mut at = tasks.get(server).callers;
    while let Some(id) = at {
        queue.push(id);
        at = tasks.get(id).next_caller;
    }
    assert_eq!(
        queue.iter().filter(|id| **id == caller).count(),
        1,
        "{caller:?} is in the queue of {server:?}"
    );
    let ranks: Vec<u8> = queue.iter().map(|id| tasks.get(*id).rank).collect();
    assert!(ranks.is_sorted_by(|a, b| a >= b), "the highest rank is first: {ranks:?}");
    // A caller that waits through another waits with its own rank.
    for id in &queue {
        let ahead = tasks.get(*id).callers.map_or(0, |first| tasks.get(first).rank);
        assert!(tasks.get(*id).rank >= ahead, "{id:?} waits with the rank of its callers");
    }
}

/// If somebody waits at the priority of whom runs, the alarm is no later than the end of its turn; and no later
/// than the end of its budget.
fn check_alarm(world: &World, wanted: &[DomainId]) {
    let (tasks, alarm) = (&world.tasks, world.alarm);
    let Some(claim) = tasks.claim else { return };
    assert_eq!(tasks.payer, Some(claim));
    let task = tasks.get(claim);
    let peers = wanted.iter().filter(|id| tasks.get(**id).priority == task.priority).count();
    let turn = tasks.turns[claim.index()];
    assert!(turn <= QUANTUM);
    assert!(peers == 1 || alarm <= tasks.charged_at + turn, "the alarm {alarm} is later than the turn's end");
    let budget = &tasks.budgets[claim.index()];
    let is_spent = task.priority != task.base_priority;
    assert!(is_spent || alarm <= budget.exhausted_at(tasks.charged_at), "the alarm {alarm} is too late");
    assert!(alarm <= tasks.next_deadline);
    for id in DomainId::all().filter(|id| tasks.is_spent(*id)) {
        assert!(
            alarm <= tasks.budgets[id.index()].renewed_at().max(world.now),
            "{id:?} gets its budget in time"
        );
    }
}

/// Does one step. `rebuilds`: whether a domain can get a new account, beside which the old one has been used.
fn act(world: &mut World, step: Step, rebuilds: bool) {
    let (tasks, ids, now) = (&mut world.tasks, &world.ids, world.now);
    let deadline = |after: u64| if after == 0 { POLL } else { after.saturating_add(now) };
    match (step, tasks.current()) {
        (Step::Call(to), Some(current)) => {
            let _ = tasks.call(current, ids[to], 0);
        }
        (Step::Reply { mask, after }, Some(current)) => reply(world, current, mask, deadline(after)),
        (Step::Wait { mask, after }, Some(current)) => {
            tasks.wait(current, mask, deadline(after));
        }
        (Step::Poll(mask), Some(current)) => {
            let mut long = tasks.clone();
            let next = long.wait(current, mask, POLL);
            if let Some(short) = tasks.poll(current, mask) {
                assert_eq!((short, format!("{tasks:?}")), (next, format!("{long:?}")));
            }
        }
        (Step::Signal { to, bits }, _) => {
            tasks.signal(ids[to], bits);
        }
        (Step::Time(time), _) => world.pass(time),
        (Step::Halt { who, handler }, _) => halt(tasks, ids, who, handler),
        (Step::Start(who), _) => {
            let _ = tasks.start(ids[who]);
        }
        (Step::Rebuild(who), _) if rebuilds => {
            tasks.halt(ids[who], State::Stopped);
            tasks.destroy(ids[who]);
            let created = tasks.create().unwrap();
            assert_eq!(created.id, ids[who]);
            let title = world.titles[who];
            tasks.configure(created.id, title.priority as u8, Budget::new(title.budget, title.period));
        }
        _ => {}
    }
}

/// A reply; if the short way is open, it must come to the same as the long one.
fn reply(world: &mut World, server: DomainId, mask: u64, deadline: u64) {
    let mut short = world.tasks.clone();
    let long = world.tasks.reply_wait(server, mask, deadline);
    if let Some(client) = short.reply_at_once(server, mask, deadline) {
        assert_eq!(long, (Some(client), Next::Blocked));
        assert!(short.is_settled());
        world.settle();
        assert_eq!(format!("{short:?}"), format!("{:?}", world.tasks));
    }
}

fn halt(tasks: &mut Tasks, ids: &[DomainId], who: usize, handler: Option<usize>) {
    if matches!(tasks.get(ids[who]).state, State::Stopped | State::Faulted(_)) {
        return;
    }
    let handler = handler.map(|handler| ids[handler]).filter(|handler| *handler != ids[who]);
    tasks.halt(ids[who], handler.map_or(State::Stopped, |handler| State::Faulted(Some(handler))));
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
        }
        world.check_guarantees();
    }

    /// The same with domains that are destroyed and built again.
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
