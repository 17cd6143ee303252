//! Signals and gate calls between domains that also fault, end, and are stopped and started.
//!
//! The model knows what each domain waits for, which signals it has not taken, and which call each server has taken. What
//! the kernel gives to one that goes on is held against that, word by word, and nobody may wait for what is there.

use std::{assert_eq, vec::Vec};

use cloison_abi::{
    CallError, CallNumber,
    call::{NO_DEADLINE, POLL, RECEIVED_EVENTS, RECEIVED_MESSAGE},
};
use cloison_rules::{
    DomainId,
    thread::{Held, State},
};
use proptest::prelude::*;

use super::acts::{Act, BADGE, DOMAINS, GATES, call, pause, resume, start};
use super::world::World;
use crate::{
    arch::machine::{self, Came},
    life::Renewal,
};

/// The domains that talk have the indices from here on.
const FIRST: usize = 2;
const COUNT: usize = 3;
/// Slot of the first one's event; the others' follow.
const EVENTS: u8 = 12;
/// The bit by which the first of them signals; the others' follow. No bit of the kernel is among them.
const FIRST_BIT: usize = 8;
const SIGNALS: u64 = 0b111 << FIRST_BIT;

/// What a domain waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waits {
    Events { mask: u64 },
    Messages { mask: u64 },
    Answer { server: usize, token: u64, is_taken: bool, answer: Option<u64> },
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Signal { to: usize },
    Wait { mask: u64, looks: bool },
    Serve { mask: u64, looks: bool, signals: Option<usize> },
    Call { gate: usize },
    Fault,
    Exit,
    Stop,
    Reset,
    Start,
    Pause,
    Resume,
}

struct Talk {
    world: World,
    waits: [Option<Waits>; COUNT],
    /// Who is held.
    held: [bool; COUNT],
    /// Signals that have arrived and were not taken.
    pending: [u64; COUNT],
    /// The client and the call that a server has taken.
    serving: [Option<(usize, u64)>; COUNT],
    /// Who is served through which gate.
    servers: [[Option<usize>; GATES.len()]; COUNT],
    /// What each message and answer says is a number of its own.
    tokens: u64,
}

fn id(index: usize) -> DomainId {
    DomainId::new(FIRST + index).unwrap()
}

impl Talk {
    fn new() -> Self {
        let mut world = World::new();
        for (from, domain) in DOMAINS.into_iter().enumerate() {
            for (to, target) in DOMAINS.into_iter().enumerate() {
                let (slot, bit) = (u64::from(EVENTS) + to as u64, (FIRST_BIT + from) as u64);
                world.done(call(CallNumber::DomainGiveEvent, domain, &[slot, target.into(), bit]));
            }
        }
        let servers = [[Some(1), Some(2)], [Some(2), None], [Some(0), None]];
        Self {
            world,
            waits: [None; COUNT],
            held: [false; COUNT],
            pending: [0; COUNT],
            serving: [None; COUNT],
            servers,
            tokens: 100,
        }
    }

    /// Whether it lives, and is not in the middle of its end, where it only faults.
    fn is_alive(&self, index: usize) -> bool {
        self.world.kernel.is_alive(id(index)) && !self.is_ending(index)
    }

    fn is_ending(&self, index: usize) -> bool {
        self.world.kernel.domain(id(index)).renewal == Renewal::Ending
    }

    fn token(&mut self) -> u64 {
        self.tokens += 1;
        self.tokens
    }

    /// A domain, or the builder about it, does something, if it can.
    fn step(&mut self, index: usize, step: Step) {
        let about = |number| call(number, DOMAINS[index], &[]);
        let lived = self.is_alive(index);
        match step {
            Step::Stop => _ = self.world.finish(DomainId::BUILDER, about(CallNumber::DomainStop)),
            Step::Reset => _ = self.world.finish(DomainId::BUILDER, about(CallNumber::DomainReset)),
            Step::Start => _ = self.world.finish(DomainId::BUILDER, start(index)),
            Step::Pause => self.hold(index, pause(index), true),
            Step::Resume => self.hold(index, resume(index), false),
            _ if self.held[index] => {}
            _ if self.is_ending(index) => _ = self.world.turn(id(index), Act::Fault),
            _ if !self.is_alive(index) || self.waits[index].is_some() => {}
            Step::Fault => _ = self.world.finish(id(index), Act::Fault),
            Step::Exit => _ = self.world.finish(id(index), call(CallNumber::Exit, 0, &[0])),
            Step::Signal { to } => self.signal(index, to),
            Step::Wait { mask, looks } => {
                self.wait(index, Waits::Events { mask }, looks, call(CallNumber::Wait, 0, &[]), None);
            }
            Step::Serve { mask, looks, signals } => self.serve(index, mask, looks, signals),
            Step::Call { gate } => self.call(index, gate),
        }
        for index in 0..COUNT {
            if !self.is_alive(index) {
                self.forget(index);
            }
        }
        if !lived && self.is_alive(index) {
            self.pending[index] = 0;
        }
        (0..COUNT).for_each(|index| self.look(index));
        self.check();
    }

    /// Holds a domain, or lets it go on; refused if it does not live, or if that is so already.
    fn hold(&mut self, index: usize, act: Act, hold: bool) {
        let fits = self.world.kernel.is_alive(id(index)) && self.held[index] != hold;
        let came = self.world.finish(DomainId::BUILDER, act);
        let refusal = if fits { 0 } else { CallError::BadState as i32 };
        assert!(
            matches!(came, Some(Came::To(outcome, _)) if outcome == refusal),
            "{} {came:?}",
            self.world.story()
        );
        self.held[index] = if fits { hold } else { self.held[index] };
    }

    fn signal(&mut self, from: usize, to: usize) {
        let came = self.world.turn(id(from), call(CallNumber::Signal, EVENTS + to as u8, &[]));
        assert!(matches!(came, Some(Came::To(0, _))), "{} a signal: {came:?}", self.world.story());
        self.pending[to] |= 1 << (FIRST_BIT + from);
    }

    /// Takes the answer that its client waits for back to it, and waits for the next message.
    fn serve(&mut self, server: usize, mask: u64, looks: bool, signals: Option<usize>) {
        let said = self.token();
        if let Some((client, served)) = self.serving[server].take()
            && let Some(Waits::Answer { token, answer, .. }) = &mut self.waits[client]
            && *token == served
        {
            *answer = Some(said);
        }
        let act = match signals {
            Some(to) => call(CallNumber::SignalReplyWait, EVENTS + to as u8, &[said]),
            None => call(CallNumber::ReplyWait, 0, &[said]),
        };
        self.wait(server, Waits::Messages { mask }, looks, act, signals);
    }

    /// Makes a call that waits. A domain that only looks goes on at once.
    fn wait(&mut self, index: usize, waits: Waits, looks: bool, act: Act, signals: Option<usize>) {
        let (Waits::Events { mask } | Waits::Messages { mask }) = waits else { return };
        let Act::Call(mut call) = act else { return };
        (call.a[4], call.a[5]) = (mask, if looks { POLL } else { NO_DEADLINE });
        let is_called = matches!(waits, Waits::Messages { .. }) && self.is_called(index);
        let finds = self.pending[index] & mask != 0 || is_called;
        self.waits[index] = Some(waits);
        self.world.turn(id(index), Act::Call(call));
        if finds {
            // Before its own signal comes, which may be to itself.
            self.look(index);
        } else if looks {
            let (status, ..) = self.outcome(index);
            assert_eq!(status, CallError::TimedOut as i32, "{} nothing is there", self.world.story());
            self.waits[index] = None;
        }
        if let Some(to) = signals {
            self.pending[to] |= 1 << (FIRST_BIT + index);
        }
    }

    fn call(&mut self, client: usize, gate: usize) {
        let Some(server) = self.servers[client][gate] else { return };
        let token = self.token();
        self.waits[client] = Some(Waits::Answer { server, token, is_taken: false, answer: None });
        self.world.turn(id(client), call(CallNumber::Call, GATES[gate], &[token]));
    }

    /// Whether a client waits for a server to take its message.
    fn is_called(&self, index: usize) -> bool {
        self.waits
            .iter()
            .flatten()
            .any(|waits| matches!(waits, Waits::Answer { server, is_taken: false, .. } if *server == index))
    }

    /// A domain that does not live waits for nothing. (What signals it keeps is nobody's business.)
    fn forget(&mut self, index: usize) {
        (self.waits[index], self.serving[index]) = (None, None);
        // One that is on its way to its end is held there, too.
        self.held[index] &= self.world.kernel.is_alive(id(index));
        self.pending[index] = self.kernels_pending(index);
    }

    fn kernels_pending(&self, index: usize) -> u64 {
        let thread = self.world.kernel.thread(id(index)).expect("a domain has a thread");
        self.world.kernel.threads.get(thread).pending() & SIGNALS
    }

    fn state(&self, index: usize) -> State {
        self.world.kernel.state(id(index))
    }

    /// What a domain finds in its registers: outcome, first word, badge.
    fn outcome(&self, index: usize) -> (i32, u64, u64) {
        let thread = self.world.kernel.thread(id(index)).expect("a domain has a thread");
        let context = self.world.kernel.context(thread);
        match machine::outcome(context) {
            Came::To(status, words) => (status, words[0], context.badge()),
            Came::Again => panic!("{} it is no long call", self.world.story()),
        }
    }

    /// If a domain that has waited goes on, or could if it were not held, it has to have got what it has waited for.
    fn look(&mut self, index: usize) {
        let Some(waits) = self.waits[index] else { return };
        if !matches!(self.state(index), State::Runnable | State::Paused(Held::Running)) {
            return;
        }
        self.waits[index] = None;
        let (status, word, badge) = self.outcome(index);
        match (waits, status) {
            (Waits::Events { mask } | Waits::Messages { mask }, RECEIVED_EVENTS) => {
                let expected = self.pending[index] & mask;
                assert!(word == expected && word != 0, "{} got {word:#x}, {expected:#x}", self.world.story());
                self.pending[index] &= !word;
            }
            (Waits::Messages { .. }, RECEIVED_MESSAGE) => self.take(index, word, badge),
            (Waits::Answer { answer, .. }, 0) => {
                assert_eq!(Some(word), answer, "{} the wrong answer", self.world.story());
            }
            (Waits::Answer { server, .. }, status) => {
                let has_failed = status == CallError::PeerFailed as i32 && !self.is_alive(server);
                assert!(has_failed, "{} a call came to {status}", self.world.story());
            }
            _ => panic!("{} {waits:?} came to {status}", self.world.story()),
        }
    }

    /// A server has a message: one that a client has sent to it, and nobody has taken.
    fn take(&mut self, index: usize, word: u64, badge: u64) {
        let client = (badge.checked_sub(BADGE).expect("a badge of the plan")) as usize;
        match self.waits.get_mut(client) {
            Some(Some(Waits::Answer { server, token, is_taken, .. }))
                if (*server, *token, *is_taken) == (index, word, false) =>
            {
                *is_taken = true;
            }
            other => panic!("{} {word} of {client} was taken: {other:?}", self.world.story()),
        }
        self.serving[index] = Some((client, word));
    }

    fn check(&self) {
        self.world.check();
        for index in (0..COUNT).filter(|index| self.is_alive(*index)) {
            let (state, pending) = (self.state(index), self.pending[index]);
            assert_eq!(self.kernels_pending(index), pending, "{} signals of {index}", self.world.story());
            let held = self.held[index];
            let fits = match self.waits[index] {
                None if held => state == State::Paused(Held::Running),
                None => state == State::Runnable,
                Some(Waits::Events { .. }) if held => state == State::Paused(Held::Waiting),
                Some(Waits::Messages { .. }) if held => state == State::Paused(Held::Receiving),
                Some(Waits::Events { mask }) => state == State::Waiting && pending & mask == 0,
                Some(Waits::Messages { mask }) => {
                    state == State::Receiving && pending & mask == 0 && !self.is_called(index)
                }
                // While nobody has taken the call, the server may come back from a fault.
                Some(Waits::Answer { server, is_taken: false, .. }) => {
                    matches!(state, State::Calling(_)) && self.state(server) != State::Stopped
                }
                Some(Waits::Answer { server, is_taken: true, .. }) => {
                    matches!(state, State::Served(_)) && self.is_alive(server)
                }
            };
            assert!(fits, "{} {index} is {state:?}: {:?}", self.world.story(), self.waits[index]);
        }
    }
}

fn any_step() -> impl Strategy<Value = Step> {
    let one = 0..COUNT;
    let mask = prop::sample::select(Vec::from([
        SIGNALS,
        1 << FIRST_BIT,
        1 << (FIRST_BIT + 1),
        1 << (FIRST_BIT + 2),
        0,
    ]));
    prop_oneof![
        6 => one.clone().prop_map(|to| Step::Signal { to }),
        3 => (mask.clone(), any::<bool>()).prop_map(|(mask, looks)| Step::Wait { mask, looks }),
        10 => (mask, prop::bool::weighted(0.2), prop::option::of(one))
            .prop_map(|(mask, looks, signals)| Step::Serve { mask, looks, signals }),
        8 => (0..GATES.len()).prop_map(|gate| Step::Call { gate }),
        1 => Just(Step::Fault),
        1 => Just(Step::Exit),
        1 => Just(Step::Stop),
        1 => Just(Step::Reset),
        4 => Just(Step::Start),
        2 => Just(Step::Pause),
        3 => Just(Step::Resume),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn each_signal_and_each_message_arrives_once(steps in prop::collection::vec((0..COUNT, any_step()), 1..120)) {
        let mut talk = Talk::new();
        for (index, step) in steps {
            talk.step(index, step);
        }
        talk.world.take_down();
    }
}
