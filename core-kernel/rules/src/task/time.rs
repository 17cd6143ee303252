//! Time: who pays, whose turn is over, what is due.

use cloison_abi::{call::NO_DEADLINE, limits::BACKGROUND_PRIORITY};

use super::{DomainSet, State, Tasks};
use crate::DomainId;

impl Tasks {
    /// Whether nothing has happened since [`Tasks::settle`] that asks for it again.
    #[inline(always)]
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.settled
    }

    /// Something outside of the tasks asks for [`Tasks::settle`].
    pub fn unsettle(&mut self) {
        self.settled = false;
    }

    /// Decides who runs and who pays. Returns when the timer has to interrupt next.
    pub fn settle(&mut self, now: impl FnOnce() -> u64) -> u64 {
        self.pick();
        if self.payer_changed() {
            self.charge(now());
        }
        self.settled = true;
        self.payer_is_spent = self.payer.is_some_and(|payer| self.is_spent(payer));
        self.next_interrupt()
    }

    /// Whether a domain's budget is used up, so that it runs in the background and has no time to lend.
    #[inline(always)]
    pub(super) fn is_spent(&self, id: DomainId) -> bool {
        let task = self.get(id);
        task.own_priority != task.base_priority
    }

    /// Whether the running task's time is paid by another account than before, so that [`Tasks::charge`] is
    /// due.
    #[inline(always)]
    #[must_use]
    pub fn payer_changed(&self) -> bool {
        self.current.and_then(|current| self.get(current).account) != self.payer
    }

    /// Charges the time since the last charge to who has been paying, off the budget and off the turn, and
    /// lets the running task's account pay from now on.
    #[inline(always)]
    pub fn charge(&mut self, now: u64) {
        let elapsed = now.saturating_sub(self.charged_at);
        self.charged_at = now;
        if let Some(payer) = self.payer {
            self.budget(payer).charge(elapsed, now);
            let turn = &mut self.turns[payer.index()];
            *turn = turn.saturating_sub(elapsed);
        }
        self.payer = self.current.and_then(|current| self.get(current).account);
        if let Some(payer) = self.payer {
            self.budget(payer).renew(now);
        }
    }

    /// When the timer has to interrupt next.
    #[inline(always)]
    #[must_use]
    pub fn next_interrupt(&self) -> u64 {
        let (Some(current), Some(payer)) = (self.current, self.payer) else { return self.next_deadline };
        let mut next = self.next_deadline;
        // Who has been sent to the background has nothing left that could run out.
        if !self.payer_is_spent {
            next = next.min(self.budgets[payer.index()].exhausted_at(self.charged_at));
        }
        if self.ready.waits_at(self.get(current).priority) {
            next = next.min(self.charged_at.saturating_add(self.turns[payer.index()]));
        }
        next
    }

    /// Does what is due at `now`: renews budgets, ends waits whose deadline has passed, takes the CPU from a
    /// task that has used up its budget or has had its turn. Returns the tasks whose wait timed out.
    pub fn timer(&mut self, now: u64) -> DomainSet {
        self.settled = false;
        self.charge(now);
        let timed_out = self.expire(now);
        // One that has just been preempted is dealt with when it runs again.
        if let (Some(current), Some(payer)) = (self.current, self.payer)
            && self.get(current).account == Some(payer)
        {
            if self.budgets[payer.index()].is_exhausted() && !self.is_spent(payer) {
                self.out_of_budget(current, payer);
            } else if self.turns[payer.index()] == 0 && self.ready.waits_at(self.get(current).priority) {
                self.turns[payer.index()] = self.quantum;
                self.put_back(current);
            }
        }
        timed_out
    }

    /// The budget that pays for the running task is used up. A server on a client's account goes on with its
    /// own; a task on its own account goes on in the background, until its next period.
    fn out_of_budget(&mut self, id: DomainId, payer: DomainId) {
        let renewed_at = self.budget(payer).renewed_at();
        self.next_deadline = self.next_deadline.min(renewed_at);
        let lender = self.task(payer);
        lender.own_priority = BACKGROUND_PRIORITY;
        if matches!(lender.state, State::Served(_) | State::Calling(_)) {
            lender.priority = BACKGROUND_PRIORITY;
        }
        let task = self.task(id);
        task.account = Some(id);
        task.priority = task.own_priority;
        self.put_back(id);
    }

    fn put_back(&mut self, id: DomainId) {
        self.task(id).state = State::Ready;
        let priority = self.get(id).priority;
        self.ready.push_back(id, priority);
        self.give_up_cpu();
    }

    /// Renews budgets and ends waits that are due, and finds the next point in time at which some will be.
    fn expire(&mut self, now: u64) -> DomainSet {
        if now < self.next_deadline {
            return 0;
        }
        let mut timed_out = 0;
        self.next_deadline = NO_DEADLINE;
        for id in DomainId::all() {
            self.renew(id, now);
            let task = self.get(id);
            if !matches!(task.state, State::Waiting | State::Receiving) {
                continue;
            }
            if task.deadline <= now {
                timed_out |= 1 << id.index();
                self.turns[id.index()] = self.quantum;
                self.make_ready(id);
            } else {
                self.next_deadline = self.next_deadline.min(task.deadline);
            }
        }
        timed_out
    }

    /// Gives a task whose budget was used up its priority back, if its next period has begun.
    fn renew(&mut self, id: DomainId, now: u64) {
        if self.get(id).state == State::Free || self.get(id).own_priority == self.get(id).base_priority {
            return;
        }
        self.budget(id).renew(now);
        if self.budget(id).is_exhausted() {
            let renewed_at = self.budget(id).renewed_at();
            self.next_deadline = self.next_deadline.min(renewed_at);
            return;
        }
        let task = self.task(id);
        task.own_priority = task.base_priority;
        let (old, own) = (task.priority, task.own_priority);
        if own <= old {
            return;
        }
        let queued = task.state == State::Ready;
        if queued {
            self.ready.remove(id, old);
        }
        self.task(id).priority = own;
        if queued {
            self.make_ready(id);
        }
    }
}
