//! The monitor: the domain that decides what no plan has decided.
//!
//! A call about which nobody has decided waits, and the question with it, in the entry of the domain that makes it: so
//! there are never more questions than domains, and no queue that could fill. The answer is a verdict in the rows of
//! [`Access`](cloison_rules::authorize::Access); the call is then made again, as if it had not been made before.

use cloison_abi::{
    CallError,
    access::{Class, Classes, Decision, Question},
    limits::{ASK_LIMIT_US, MAX_MAPPINGS},
};
use cloison_rules::{
    DomainId, DomainSet, EventRef, Peer, ThreadId,
    authorize::{Operation, Verdict},
    lending,
    mapping::Mapping,
    region::Region,
    thread::State,
};

use crate::{arch::time, calls::settle_step, state::Kernel};

/// Who decides, and at which point of the history.
pub struct Monitor {
    /// The holder of the monitor right: the event that says that there is a question.
    holder: Option<EventRef>,
    /// Counts what makes earlier questions void: new policies, and lives that begin. Never 0.
    pub epoch: u32,
}

impl Monitor {
    /// Nobody decides. All zeros.
    pub const NONE: Self = Self { holder: None, epoch: 0 };

    /// From now on this domain decides.
    pub fn set_holder(&mut self, holder: EventRef) {
        self.holder = Some(holder);
        self.begin_epoch();
    }

    /// What was asked before is void.
    pub fn begin_epoch(&mut self) {
        self.epoch = self.epoch.wrapping_add(1).max(1);
    }
}

impl Kernel {
    /// A thread makes a call that is not allowed: if nobody has decided about it, it waits for the monitor, if one lives;
    /// else it is refused.
    #[cold]
    #[inline(never)]
    pub fn ask_or_refuse(&mut self, asker: ThreadId, operation: Operation) -> CallError {
        let Some(home) = self.context(asker).home() else { return CallError::Denied };
        let subject = operation.subject().unwrap_or(home);
        let verdict = self.access(subject).authorize(operation);
        match self.monitor.holder {
            Some(holder) if verdict == Verdict::Ask && self.is_alive(holder.target.domain) => {
                self.access_mut(subject).counts.questions += 1;
                self.domain_mut(home).question = operation;
                let limit = time::now().saturating_add(self.machine.timer.ticks(ASK_LIMIT_US));
                self.threads.ask(asker, limit);
                self.notify(holder);
            }
            _ => self.access_mut(subject).counts.refusals += 1,
        }
        CallError::Denied
    }

    /// What a thread finds whose call has come to nothing; nothing yet, if it waits for the monitor.
    #[cold]
    #[inline(never)]
    pub fn refuse(&mut self, id: ThreadId, error: CallError) {
        if !self.is_asking(id) {
            self.context_mut(id).set_outcome(error as i32, 0);
        }
    }

    /// Whether a thread waits for the monitor.
    pub fn is_asking(&self, id: ThreadId) -> bool {
        self.threads.get(id).state == State::Asking
    }

    /// The first question that waits, and the domain that asks.
    pub fn question(&self) -> Option<(Question, DomainId)> {
        ThreadId::all().filter(|id| self.is_asking(*id)).find_map(|thread| {
            let context = self.context(thread);
            let asker = context.home()?;
            let (subject, object, class) = self.parts(asker)?;
            let [subject, object, by] = [subject, object, asker].map(|domain| domain.index() as u8);
            let (call, slot) = (context.number(), context.slot() as u8);
            Some((Question { subject, object, class, call, slot, asker: by }, asker))
        })
    }

    /// What a domain has asked: who is judged, toward whom, by which class.
    fn parts(&self, asker: DomainId) -> Option<(DomainId, DomainId, Class)> {
        let operation = self.domain(asker).question;
        let object = operation.objects().0?;
        Some((operation.subject().unwrap_or(asker), object, operation.class()?))
    }

    /// Verdicts have changed: who has asked about what is decided now makes the call again.
    pub fn release_askers(&mut self) {
        for thread in ThreadId::all() {
            let Some(asker) = self.context(thread).home().filter(|_| self.is_asking(thread)) else {
                continue;
            };
            let operation = self.domain(asker).question;
            if self.access(operation.subject().unwrap_or(asker)).authorize(operation) != Verdict::Ask {
                self.threads.answered(thread);
                self.context_mut(thread).repeat_call();
            }
        }
    }

    /// A thread has got no answer in time: what it has asked for is denied, until the monitor decides otherwise.
    pub fn deny_for_want_of_an_answer(&mut self, thread: ThreadId) {
        let asker = self.context(thread).home();
        if let Some((subject, object, class)) = asker.and_then(|asker| self.parts(asker)) {
            let access = self.access_mut(subject);
            access.judge(object.bit(), class.bit(), Decision::Deny);
        }
        self.end_question(thread);
    }

    /// A question comes to nothing.
    fn end_question(&mut self, thread: ThreadId) {
        self.threads.answered(thread);
        self.context_mut(thread).set_outcome(CallError::Denied as i32, 0);
    }

    /// Calls of a domain to these servers are at an end, wherever they have got to.
    pub fn withdraw(&mut self, subject: DomainId, objects: DomainSet, classes: Classes) {
        if !classes.contains(Classes::CALL) {
            return;
        }
        for id in ThreadId::all() {
            let is_subjects = self.context(id).home() == Some(subject);
            let server = self.threads.server_of(id).and_then(|server| self.context(server).home());
            if is_subjects && server.is_some_and(|server| objects & server.bit() != 0) {
                self.threads.withdraw_call(id);
                self.context_mut(id).set_outcome(CallError::Denied as i32, 0);
            }
        }
    }

    /// Whether a domain is not to see what it sees by a mapping.
    pub fn is_withdrawn(&self, id: DomainId, mapping: &Mapping) -> bool {
        lending::is_withdrawn(mapping, id, self.others(mapping), |of| self.access(of).cut())
    }

    /// The domains with which a mapping's region is shared.
    fn others(&self, mapping: &Mapping) -> DomainSet {
        let parties = self.regions.get(mapping.region()).map_or(0, Region::parties);
        mapping.lender().map_or(parties, DomainId::bit)
    }

    /// Lets these domains see what the monitor has decided: by one mapping, and a part of it. Both sides are told. Returns
    /// whether there was something to do.
    pub fn settle_memory_step(&mut self, of: DomainSet) -> bool {
        let ends = || DomainId::all().filter(|id| of & id.bit() != 0);
        for id in ends() {
            for place in 0..MAX_MAPPINGS {
                let Some(mapping) = self.domain(id).mappings.at(place) else { continue };
                if settle_step(self, id, mapping) {
                    let told = self.others(&mapping) | id.bit();
                    DomainId::all()
                        .filter(|id| told & id.bit() != 0)
                        .for_each(|id| self.tell_peer_failed(id));
                    return true;
                }
            }
        }
        false
    }

    /// A domain has halted. If it was the monitor, nobody decides now: who waits for it is refused.
    pub fn monitor_halted(&mut self, halted: Peer) {
        let was_monitor = self.monitor.holder.is_some_and(|holder| holder.target == halted);
        for thread in ThreadId::all() {
            if was_monitor && self.is_asking(thread) {
                self.end_question(thread);
            }
        }
    }

    /// A domain begins another life: what was decided about it, and what was asked before, is void.
    pub fn forget_verdicts(&mut self, id: DomainId) {
        DomainId::all().for_each(|other| self.access_mut(other).forget(id));
        // Last: its own bit is its own.
        self.access_mut(id).start_over(id.bit());
        self.monitor.begin_epoch();
    }
}
