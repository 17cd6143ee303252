//! What becomes of calls that a monitor has to decide about, and of those that it withdraws.

use std::{assert_eq, assert_ne};

use cloison_abi::{
    CallError, CallNumber, ObjectKind, Rights,
    access::{Class, Classes, Decision, Question},
    call::{ASK_NONE, BUILDER_SLOT_RIGHT, EVERYONE, NO_DEADLINE, RECEIVED_EVENTS},
};
use cloison_rules::{DomainId, authorize::Verdict, thread::State};

use super::acts::{Act, DOMAINS, GATES, LOANS, OWN, call, start};
use super::world::World;
use crate::{
    arch::machine::{self, Came},
    calls,
};

/// Two domains that are judged, and the monitor. The first can call both others, the second the monitor.
pub(super) const FIRST: DomainId = DomainId::I2;
pub(super) const SECOND: DomainId = DomainId::I3;
pub(super) const MONITOR: DomainId = DomainId::I4;
/// The monitor's slot with its right, and the event that says that there is a question.
pub(super) const RIGHT: u8 = 50;
const BIT: u64 = 9;
/// The first domain's event of the second.
const EVENT: u8 = 10;

const DENIED: Option<Came> = Some(Came::To(CallError::Denied as i32, [0; 4]));

pub(super) struct Judged(pub(super) World);

impl Judged {
    /// All has been built, nothing is decided, and the monitor waits for questions.
    pub(super) fn new() -> Self {
        let mut world = World::new();
        DOMAINS.iter().for_each(|slot| world.done(call(CallNumber::DomainStop, *slot, &[])));
        let kind = ObjectKind::MonitorRight as u64;
        let right = [RIGHT.into(), BUILDER_SLOT_RIGHT.into(), kind, BIT];
        world.done(call(CallNumber::DomainGiveRight, DOMAINS[2], &right));
        for slot in &DOMAINS[..2] {
            world.done(set(*slot, Classes::ASKED, Decision::Ask));
        }
        (0..3).for_each(|index| world.done(start(index)));
        let mut judged = Self(world);
        judged.wait_for_questions();
        judged
    }

    fn wait_for_questions(&mut self) {
        let wait = call(CallNumber::Wait, 0, &[0, 0, 0, 0, 1 << BIT, NO_DEADLINE]);
        self.0.turn(MONITOR, wait);
    }

    fn state(&self, id: DomainId) -> State {
        self.0.kernel.state(id)
    }

    /// What a domain finds in its registers when it runs next.
    fn found(&self, id: DomainId) -> Option<Came> {
        let thread = self.0.kernel.thread(id).unwrap();
        matches!(self.state(id), State::Runnable).then(|| machine::outcome(self.0.kernel.context(thread)))
    }

    /// Whether a call was refused; what else is in the registers is as it was.
    fn is_denied(&self, id: DomainId) -> bool {
        matches!(self.found(id), Some(Came::To(outcome, _)) if outcome == CallError::Denied as i32)
    }

    /// A domain makes a call about which nobody has decided.
    pub(super) fn asks(&mut self, id: DomainId, act: Act) {
        self.0.turn(id, act);
        assert_eq!(self.state(id), State::Asking);
    }

    /// The first question that waits, with the epoch.
    pub(super) fn question(&mut self) -> Option<(Question, u32)> {
        let thread = self.0.kernel.thread(MONITOR).unwrap();
        let came = self.0.turn(MONITOR, call(CallNumber::AskRead, RIGHT, &[]));
        let label = self.0.kernel.context(thread).label();
        let Some(Came::To(outcome, [bits, ..])) = came else { panic!("{came:?}") };
        (outcome != ASK_NONE).then(|| (Question::from_bits(bits).unwrap(), label))
    }

    /// The monitor decides; epoch 0: a new policy.
    pub(super) fn decide(
        &mut self,
        epoch: u32,
        subject: DomainId,
        object: u64,
        classes: Classes,
        decision: Decision,
    ) -> i32 {
        let thread = self.0.kernel.thread(MONITOR).unwrap();
        let arguments = [subject.index() as u64, object, classes.bits().into(), decision as u64, 0, 0];
        let context = self.0.kernel.context_mut(thread);
        machine::make_call(context, CallNumber::VerdictSet, RIGHT, arguments);
        context.set_label(epoch);
        calls::dispatch(&mut self.0.kernel, thread);
        match machine::outcome(self.0.kernel.context(thread)) {
            Came::To(outcome, _) => outcome,
            Came::Again => panic!("it is done in one step"),
        }
    }

    /// The monitor decides about a call to the second domain.
    fn judge(&mut self, decision: Decision) {
        assert_eq!(self.decide(0, FIRST, SECOND.index() as u64, Classes::CALL, decision), 0);
    }

    fn verdict(&self, server: DomainId) -> Verdict {
        self.0.kernel.access(FIRST).authorize(cloison_rules::authorize::Operation::Call { server })
    }

    fn serve(&mut self, server: DomainId) {
        self.0.turn(server, call(CallNumber::ReplyWait, 0, &[0, 0, 0, 0, 0, NO_DEADLINE]));
    }
}

fn set(slot: u8, classes: Classes, decision: Decision) -> Act {
    call(CallNumber::AccessSet, slot, &[EVERYONE, classes.bits().into(), decision as u64])
}

fn calls_second() -> Act {
    call(CallNumber::Call, GATES[0], &[1, 2, 3, 4])
}

fn calls_monitor() -> Act {
    call(CallNumber::Call, GATES[1], &[])
}

#[test]
fn a_call_nobody_has_decided_about_waits_and_is_made_again() {
    let mut judged = Judged::new();
    judged.serve(SECOND);
    judged.asks(FIRST, calls_second());
    assert_eq!(judged.found(MONITOR), Some(Came::To(RECEIVED_EVENTS, [1 << BIT, 0, 0, 0])), "it is told");
    let (question, epoch) = judged.question().unwrap();
    let expected = Question { subject: 2, object: 3, class: Class::Call, call: 0, slot: GATES[0], asker: 2 };
    assert_eq!(question, expected);
    assert_eq!(judged.decide(epoch, FIRST, 3, Classes::CALL, Decision::Allow), 0);
    assert_eq!(judged.found(FIRST), Some(Came::Again), "with its registers as they were");
    judged.0.turn(FIRST, calls_second());
    assert!(matches!(judged.state(FIRST), State::Served(_)));
    assert!(judged.question().is_none());
    assert_eq!(judged.0.kernel.access(FIRST).counts.questions, 1);
}

#[test]
fn a_denial_is_asked_for_once() {
    let mut judged = Judged::new();
    judged.asks(FIRST, calls_second());
    let (_, epoch) = judged.question().unwrap();
    judged.decide(epoch, FIRST, 3, Classes::CALL, Decision::Deny);
    assert_eq!(judged.found(FIRST), Some(Came::Again));
    for _ in 0..3 {
        judged.0.turn(FIRST, calls_second());
        assert!(judged.is_denied(FIRST));
    }
    let counts = judged.0.kernel.access(FIRST).counts;
    assert_eq!((counts.questions, counts.refusals), (1, 3));
}

#[test]
fn an_answer_to_an_old_question_is_no_answer() {
    let mut judged = Judged::new();
    judged.asks(FIRST, calls_second());
    let (question, epoch) = judged.question().unwrap();
    assert_eq!(judged.decide(0, SECOND, EVERYONE, Classes::CALL, Decision::Allow), 0, "a new policy");
    let late = judged.decide(epoch, FIRST, 3, Classes::CALL, Decision::Allow);
    assert_eq!(late, CallError::BadState as i32);
    assert_eq!(judged.state(FIRST), State::Asking);
    let (again, epoch) = judged.question().unwrap();
    assert_eq!(again, question);
    assert_eq!(judged.decide(epoch, FIRST, 3, Classes::CALL, Decision::Allow), 0);
    assert_eq!(judged.found(FIRST), Some(Came::Again));
}

#[test]
fn without_an_answer_in_time_it_is_denied_until_the_answer_comes() {
    let mut judged = Judged::new();
    judged.asks(FIRST, calls_second());
    let (_, epoch) = judged.question().unwrap();
    let now = cloison_abi::limits::ASK_LIMIT_US * 2;
    let timed_out = judged.0.kernel.threads.timer(now);
    judged.0.kernel.time_out(timed_out);
    assert!(judged.is_denied(FIRST));
    assert_eq!(judged.verdict(SECOND), Verdict::Denied);
    assert_eq!(judged.decide(epoch, FIRST, 3, Classes::CALL, Decision::Allow), 0);
    assert_eq!(judged.verdict(SECOND), Verdict::Allowed);
}

#[test]
fn nobody_waits_for_a_monitor_that_has_halted() {
    let mut judged = Judged::new();
    judged.asks(FIRST, calls_second());
    judged.0.done(call(CallNumber::DomainStop, DOMAINS[2], &[]));
    assert!(judged.is_denied(FIRST));
    assert_eq!(judged.verdict(SECOND), Verdict::Ask, "nothing was decided");
    judged.0.turn(FIRST, calls_second());
    assert!(judged.is_denied(FIRST), "at once");
}

#[test]
fn a_question_ends_with_its_asker() {
    let mut judged = Judged::new();
    judged.asks(FIRST, calls_second());
    let (_, epoch) = judged.question().unwrap();
    judged.0.done(call(CallNumber::DomainStop, DOMAINS[0], &[]));
    assert!(judged.question().is_none());
    judged.0.done(start(0));
    let late = judged.decide(epoch, FIRST, 3, Classes::CALL, Decision::Allow);
    assert_eq!(late, CallError::BadState as i32, "its next life is another epoch");
    assert_eq!(judged.verdict(SECOND), Verdict::Ask);
}

#[test]
fn no_verdict_reaches_the_next_life_of_the_object() {
    let mut judged = Judged::new();
    judged.judge(Decision::Allow);
    judged.0.done(call(CallNumber::DomainStop, DOMAINS[1], &[]));
    judged.0.done(start(1));
    assert_eq!(judged.verdict(SECOND), Verdict::Ask);
}

#[test]
fn a_signal_and_one_with_a_wait_are_asked_about_too() {
    let mut judged = Judged::new();
    let with_wait = call(CallNumber::SignalReplyWait, EVENT, &[0, 0, 0, 0, 1, NO_DEADLINE]);
    for act in [call(CallNumber::Signal, EVENT, &[]), with_wait] {
        judged.asks(FIRST, act);
        let (question, epoch) = judged.question().unwrap();
        assert_eq!((question.class, question.slot), (Class::Signal, EVENT));
        assert_eq!(judged.0.kernel.threads.get(judged.0.kernel.thread(SECOND).unwrap()).pending() & 8, 0);
        judged.decide(epoch, FIRST, 3, Classes::SIGNAL, Decision::Deny);
        judged.0.turn(FIRST, act);
        assert!(judged.is_denied(FIRST));
        judged.decide(0, FIRST, 3, Classes::SIGNAL, Decision::Ask);
    }
}

#[test]
fn a_loan_is_asked_about_where_it_is_mapped_too() {
    let mut judged = Judged::new();
    judged.judge(Decision::Allow);
    assert_eq!(judged.decide(0, FIRST, 3, Classes::SHARE, Decision::Allow), 0);
    let rights = Rights::READ.bits().into();
    judged.0.finish(FIRST, call(CallNumber::RegionGrant, OWN, &[GATES[0].into(), rights]));
    assert_eq!(judged.decide(0, FIRST, 3, Classes::SHARE, Decision::Ask), 0);
    judged.asks(SECOND, call(CallNumber::RegionMap, LOANS, &[0x200_0000, 0, 1, rights]));
    let (question, epoch) = judged.question().unwrap();
    assert_eq!((question.subject, question.object, question.asker), (2, 3, 3), "its lender is judged");
    judged.decide(epoch, FIRST, 3, Classes::SHARE, Decision::Deny);
    assert_eq!(judged.found(SECOND), Some(Came::Again));
}

#[test]
fn a_call_that_waits_in_the_queue_is_withdrawn() {
    let mut judged = Judged::new();
    judged.judge(Decision::Allow);
    judged.0.turn(FIRST, calls_second());
    assert!(matches!(judged.state(FIRST), State::Calling(_)));
    judged.judge(Decision::Deny);
    assert!(judged.is_denied(FIRST));
    judged.serve(SECOND);
    assert_eq!(judged.state(SECOND), State::Receiving, "no message is left");
}

#[test]
fn a_call_that_is_served_is_withdrawn_and_its_reply_goes_nowhere() {
    let mut judged = Judged::new();
    judged.judge(Decision::Allow);
    judged.serve(SECOND);
    judged.0.turn(FIRST, calls_second());
    judged.judge(Decision::Deny);
    assert!(judged.is_denied(FIRST));
    assert_eq!(judged.state(SECOND), State::Runnable, "on its own account");
    let before = judged.found(FIRST);
    judged.serve(SECOND);
    assert_eq!(judged.found(FIRST), before);
    assert_eq!(judged.state(SECOND), State::Receiving);
}

#[test]
fn a_call_in_the_middle_of_another_is_withdrawn_alone() {
    let mut judged = Judged::new();
    judged.judge(Decision::Allow);
    judged.decide(0, SECOND, 4, Classes::CALL, Decision::Allow);
    judged.serve(SECOND);
    judged.0.turn(FIRST, calls_second());
    judged.0.turn(SECOND, call(CallNumber::Call, GATES[0], &[]));
    assert!(matches!(judged.state(SECOND), State::Calling(_)), "it waits for a server in turn");
    judged.judge(Decision::Deny);
    assert!(judged.is_denied(FIRST));
    assert!(matches!(judged.state(SECOND), State::Calling(_)), "and waits still");
}

#[test]
fn what_was_sent_before_has_arrived() {
    let mut judged = Judged::new();
    judged.decide(0, FIRST, 3, Classes::SIGNAL, Decision::Allow);
    judged.0.turn(FIRST, call(CallNumber::Signal, EVENT, &[]));
    judged.decide(0, FIRST, 3, Classes::SIGNAL, Decision::Deny);
    let second = judged.0.kernel.thread(SECOND).unwrap();
    assert_ne!(judged.0.kernel.threads.get(second).pending() & 8, 0);
}

#[test]
fn a_denial_withdraws_nothing_else() {
    let mut judged = Judged::new();
    judged.judge(Decision::Allow);
    judged.0.turn(FIRST, calls_second());
    let calling = judged.state(FIRST);
    for (subject, object, classes) in
        [(FIRST, 4, Classes::CALL), (SECOND, EVERYONE, Classes::CALL), (FIRST, 3, Classes::SIGNAL)]
    {
        assert_eq!(judged.decide(0, subject, object, classes, Decision::Deny), 0);
        assert_eq!(judged.state(FIRST), calling);
    }
    judged.judge(Decision::Ask);
    assert_eq!(judged.state(FIRST), calling, "what is undecided again was decided when it began");
    judged.decide(0, FIRST, EVERYONE, Classes::CALL, Decision::Deny);
    assert!(judged.is_denied(FIRST));
}

#[test]
fn who_is_not_judged_is_never_asked() {
    let mut judged = Judged::new();
    judged.judge(Decision::Allow);
    let all = judged.decide(0, MONITOR, EVERYONE, Classes::CALL, Decision::Deny);
    assert_eq!(all, CallError::BadArgument as i32);
    let more = judged.decide(0, FIRST, EVERYONE, Classes::all(), Decision::Deny);
    assert_eq!(more, CallError::BadArgument as i32);
    assert_eq!(judged.verdict(SECOND), Verdict::Allowed, "nothing of it is done");
    judged.0.turn(MONITOR, call(CallNumber::Call, GATES[0], &[]));
    assert!(matches!(judged.state(MONITOR), State::Calling(_)));
}

#[test]
fn the_monitor_is_asked_about_what_can_be_asked_about() {
    let mut world = World::new();
    world.done(call(CallNumber::DomainStop, DOMAINS[0], &[]));
    let ask = |toward, classes: Classes| {
        call(CallNumber::AccessSet, DOMAINS[0], &[toward, classes.bits().into(), Decision::Ask as u64])
    };
    for act in [ask(EVERYONE, Classes::ASKED | Classes::TELL), ask(DOMAINS[1].into(), Classes::CALL)] {
        let came = world.turn(DomainId::BUILDER, act);
        assert!(matches!(came, Some(Came::To(outcome, _)) if outcome == CallError::BadArgument as i32));
    }
    world.done(ask(EVERYONE, Classes::ASKED));
}

#[test]
fn decisions_are_for_the_monitor_alone() {
    let mut judged = Judged::new();
    for number in [CallNumber::AskRead, CallNumber::VerdictSet, CallNumber::VerdictRead] {
        let came = judged.0.turn(FIRST, call(number, OWN, &[2, 3, 1, 1]));
        assert!(matches!(came, Some(Came::To(outcome, _)) if outcome == CallError::WrongType as i32));
    }
    assert_eq!(judged.0.turn(FIRST, calls_monitor()).filter(|came| Some(*came) == DENIED), None);
}

#[test]
fn a_verdict_can_be_read() {
    let mut judged = Judged::new();
    judged.judge(Decision::Allow);
    judged.decide(0, FIRST, 4, Classes::CALL, Decision::Deny);
    judged.asks(FIRST, call(CallNumber::Signal, EVENT, &[]));
    let came = judged.0.turn(MONITOR, call(CallNumber::VerdictRead, RIGHT, &[2, Class::Call as u64]));
    let rows = u64::from(FIRST.bit() | SECOND.bit()) | u64::from(MONITOR.bit()) << 32;
    let name = judged.0.kernel.domain(FIRST).name.to_words();
    assert_eq!(came, Some(Came::To(0, [rows, 1, name[0], name[1]])));
}
