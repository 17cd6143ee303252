//! Every state that three threads can get into which call and signal each other, are judged, halted and started again,
//! in every order: no state may break a promise.
//!
//! The threads and the verdicts are the real ones. What the kernel does between them (who waits for an answer, whose call is
//! withdrawn) is done here as it does it.

use std::vec::Vec;

use cloison_abi::access::{Class, Classes, Decision};

use super::{model, *};
use crate::{
    DomainId,
    authorize::{Access, Operation, Verdict},
    every_state::{Explorable, explore},
};

const COUNT: usize = 3;
const DECISIONS: [Decision; 3] = [Decision::Allow, Decision::Deny, Decision::Ask];

#[derive(Clone, Copy, Debug)]
enum Step {
    /// What the running thread does.
    Call(usize),
    Signal(usize),
    Serve,
    Wait,
    /// What the monitor decides about calls of the first to the second, and a question that nobody answers.
    Judge(usize, usize, Decision),
    Late(usize),
    /// What others do with a thread.
    Halt(usize, State),
    Start(usize),
    Pause(usize),
    Resume(usize),
}

/// What tells states apart. Time stands still, so nothing else changes.
#[derive(Clone)]
struct Small {
    threads: [Thread; COUNT],
    dispatch: Dispatch,
    verdicts: [[Decision; COUNT]; COUNT],
    questions: [Option<usize>; COUNT],
}

struct System {
    threads: Threads,
    access: [Access; COUNT],
    questions: [Option<usize>; COUNT],
}

fn thread(which: usize) -> ThreadId {
    ThreadId::new(which + 1).unwrap()
}

fn domain(which: usize) -> DomainId {
    DomainId::new(which + 1).unwrap()
}

fn place(id: ThreadId) -> usize {
    id.index() - 1
}

impl System {
    /// All run, and nothing is decided.
    fn new() -> Self {
        let mut threads = Threads::EMPTY;
        threads.init(1);
        for priority in 1..=COUNT as u8 {
            let created = threads.create().unwrap();
            threads.configure(created.id, priority, Budget::NONE);
            threads.start(created.id).unwrap();
        }
        let access = [0, 1, 2].map(|which| {
            let mut access = Access::ALL;
            if which < 2 {
                access.ask(Classes::CALL);
            }
            access.start_over(domain(which).bit());
            access
        });
        let mut system = Self { threads, access, questions: [None; COUNT] };
        system.threads.settle(|| 0);
        system
    }

    fn verdict(&self, from: usize, to: usize) -> Verdict {
        self.access[from].authorize(Operation::Call { server: domain(to) })
    }

    fn call(&mut self, current: ThreadId, to: usize) {
        match self.verdict(place(current), to) {
            Verdict::Allowed => _ = self.threads.call(current, thread(to), 0),
            Verdict::Denied => {}
            Verdict::Ask => {
                self.threads.ask(current, NO_DEADLINE);
                self.questions[place(current)] = Some(to);
            }
        }
    }

    fn judge(&mut self, from: usize, to: usize, decision: Decision) {
        assert!(self.access[from].judge(domain(to).bit(), Class::Call.bit(), decision));
        if decision == Decision::Deny && self.threads.server_of(thread(from)) == Some(thread(to)) {
            self.threads.withdraw_call(thread(from));
        }
        for asker in 0..COUNT {
            if self.questions[asker].is_some_and(|to| self.verdict(asker, to) != Verdict::Ask) {
                self.threads.answered(thread(asker));
                self.questions[asker] = None;
            }
        }
    }

    fn late(&mut self, which: usize) {
        if let Some(to) = self.questions[which].take() {
            self.access[which].judge(domain(to).bit(), Classes::CALL, Decision::Deny);
            self.threads.answered(thread(which));
        }
    }

    fn halt(&mut self, which: usize, state: State) {
        if !matches!(self.threads.get(thread(which)).state, State::Stopped | State::Faulted(_)) {
            self.threads.halt(thread(which), state);
            self.questions[which] = None;
        }
    }

    fn start(&mut self, which: usize) {
        if self.threads.start(thread(which)).is_ok() {
            self.access.iter_mut().for_each(|access| access.forget(domain(which)));
            self.access[which].start_over(domain(which).bit());
        }
    }
}

impl Explorable for System {
    type Step = Step;
    type State = Small;

    fn state(&self) -> Small {
        let verdict = |from: usize, to: usize| match self.verdict(from, to) {
            Verdict::Allowed => Decision::Allow,
            Verdict::Denied => Decision::Deny,
            Verdict::Ask => Decision::Ask,
        };
        Small {
            threads: [0, 1, 2].map(|which| self.threads.get(thread(which)).clone()),
            dispatch: self.threads.dispatch.clone(),
            verdicts: [0, 1, 2].map(|from| [0, 1, 2].map(|to| verdict(from, to))),
            questions: self.questions,
        }
    }

    fn key(small: &Small) -> Vec<u8> {
        small.key()
    }

    fn restore(&mut self, small: &Small) {
        for which in 0..COUNT {
            *self.threads.thread(thread(which)) = small.threads[which].clone();
            let is_asking = small.threads[which].state == State::Asking;
            self.threads.limits[which + 1] = if is_asking { NO_DEADLINE } else { 0 };
        }
        for (from, to) in &GATES[..3] {
            self.access[*from].judge(domain(*to).bit(), Classes::CALL, small.verdicts[*from][*to]);
        }
        (self.threads.dispatch, self.questions) = (small.dispatch.clone(), small.questions);
    }

    fn act(&mut self, step: Step) {
        match (step, self.threads.current()) {
            (Step::Call(to), Some(current)) if GATES.contains(&(place(current), to)) => {
                self.call(current, to)
            }
            (Step::Signal(to), Some(_)) => _ = self.threads.signal(thread(to), 1),
            (Step::Serve, Some(current)) => _ = self.threads.reply_wait(current, 1, NO_DEADLINE),
            (Step::Wait, Some(current)) => _ = self.threads.wait(current, 1, NO_DEADLINE),
            (Step::Judge(from, to, decision), _) => self.judge(from, to, decision),
            (Step::Late(which), _) => self.late(which),
            (Step::Halt(which, state), _) => self.halt(which, state),
            (Step::Start(which), _) => self.start(which),
            (Step::Pause(which), current) if current != Some(thread(which)) => {
                _ = self.threads.pause(thread(which));
            }
            (Step::Resume(which), _) => _ = self.threads.resume(thread(which)),
            _ => {}
        }
        self.threads.settle(|| 0);
    }

    fn check(&self) {
        for which in 0..COUNT {
            let state = self.threads.get(thread(which)).state;
            let is_asking = state == State::Asking;
            assert_eq!(
                is_asking,
                self.questions[which].is_some(),
                "one question for each that waits for an answer"
            );
            if let Some(to) = self.questions[which] {
                assert_eq!(self.verdict(which, to), Verdict::Ask, "who waits, waits for what is undecided");
            }
            if let State::Calling(server) | State::Served(server) = state {
                assert_ne!(
                    self.verdict(which, place(server)),
                    Verdict::Denied,
                    "nothing goes on that is denied"
                );
            }
            let own = self.access[which].authorize(Operation::Call { server: domain(which) });
            assert_eq!(own, Verdict::Allowed, "nobody is asked about itself");
            let (may, refused) = self.access[which].row(Class::Call);
            assert_eq!(may & refused, 0, "nothing is allowed and denied");
        }
        model::check_threads(&self.threads);
    }
}

impl Small {
    /// All of it that matters, as bytes.
    fn key(&self) -> Vec<u8> {
        let id = |id: Option<ThreadId>| id.map_or(0, |id| id.index() as u8);
        let mut key = Vec::new();
        for (which, thread) in self.threads.iter().enumerate() {
            let (kind, of) = match thread.state {
                State::Free => (0, None),
                State::Stopped => (1, None),
                State::Faulted(handler) => (2, handler),
                State::Runnable => (3, None),
                State::Calling(server) => (4, Some(server)),
                State::Served(server) => (5, Some(server)),
                State::Asking => (6, None),
                State::Receiving => (7, None),
                State::Waiting => (8, None),
                State::Paused(held) => (9 + held as u8, None),
            };
            // What is looked at again only after it was set again tells no states apart.
            let is_queued = matches!(thread.state, State::Calling(_));
            let may_wake = thread.serving.is_some()
                || matches!(thread.state, State::Receiving | State::Waiting | State::Paused(_));
            let only = |is_so: bool, value: u8| if is_so { value } else { 0 };
            key.extend([kind, id(of), only(is_queued, thread.rank), thread.pending as u8]);
            key.push(only(may_wake, thread.mask as u8 | u8::from(thread.deadline != NO_DEADLINE) << 1));
            key.push(thread.in_the_way | u8::from(thread.is_paused) << 2);
            key.extend([id(thread.serving), id(thread.callers), id(thread.next_caller)]);
            key.extend(self.verdicts[which].map(|verdict| verdict as u8));
            key.push(self.questions[which].map_or(0, |to| to as u8 + 1));
        }
        key.extend([id(self.dispatch.claim), id(self.dispatch.current), self.dispatch.level]);
        key
    }
}

/// Who calls whom: as manifests have it, and once back, so that there can be a circle. The last is not judged.
const GATES: [(usize, usize); 4] = [(0, 1), (0, 2), (1, 2), (2, 0)];

/// Who is held now and then: it serves one and calls another. (All three held in turn would be ten times the states.)
const HELD: usize = 1;

/// What can be done at all.
fn steps() -> Vec<Step> {
    let mut steps = Vec::from([Step::Serve, Step::Wait]);
    for which in 0..COUNT {
        steps.extend([Step::Call(which), Step::Late(which), Step::Start(which)]);
        steps.push(Step::Signal(which));
        steps.push(Step::Halt(which, State::Stopped));
        steps.push(Step::Halt(which, State::Faulted(Some(thread((which + 1) % COUNT)))));
    }
    steps.extend([Step::Pause(HELD), Step::Resume(HELD)]);
    for (from, to) in &GATES[..3] {
        steps.extend(DECISIONS.map(|decision| Step::Judge(*from, *to, decision)));
    }
    steps
}

#[test]
fn no_order_of_calls_verdicts_and_ends_breaks_a_promise() {
    let states = explore(&mut System::new(), &steps());
    // Fewer would say that something is never tried.
    assert!(states > 500_000, "{states} states");
}
