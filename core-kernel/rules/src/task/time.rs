//! Time: who pays, whose turn is over, what is due.

use cloison_abi::call::NO_DEADLINE;

use super::{DomainSet, PASSED, State, Tasks};
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
        if !self.picked {
            self.pick();
        }
        if self.claim != self.payer {
            self.charge(now());
        }
        self.settled = true;
        self.next_interrupt()
    }

    /// Charges the time since the last charge to who has been paying, off the budget and off the turn; from now
    /// on the claim that has the CPU pays.
    #[inline(always)]
    fn charge(&mut self, now: u64) {
        let is_limited = self.claim.is_some_and(|claim| self.budgets[claim.index()].is_limited());
        if self.payer_is_limited || is_limited {
            self.charge_budgets(now);
        }
        if let Some(payer) = self.payer {
            let turn = &mut self.turns[payer.index()];
            *turn = turn.saturating_sub(now.wrapping_sub(self.charged_at));
        }
        self.charged_at = now;
        (self.payer, self.payer_is_limited) = (self.claim, is_limited);
    }

    /// On its own, so that those without a limit do not pay for the registers that this needs.
    #[inline(never)]
    fn charge_budgets(&mut self, now: u64) {
        let elapsed = now.saturating_sub(self.charged_at);
        // Time in the background is what nobody else wants: it costs nothing.
        if let Some(payer) = self.payer.filter(|payer| !self.is_spent(*payer)) {
            self.budget(payer).charge(elapsed, now);
        }
        if let Some(claim) = self.claim {
            self.budget(claim).renew(now);
        }
    }

    /// When the timer has to interrupt next.
    #[inline(always)]
    fn next_interrupt(&self) -> u64 {
        let Some(payer) = self.payer else { return self.next_deadline };
        let mut next = self.next_deadline;
        // Who has been sent to the background has nothing left that could run out.
        if self.payer_is_limited && !self.is_spent(payer) {
            next = next.min(self.budgets[payer.index()].exhausted_at(self.charged_at));
        }
        if self.ready.is_shared(self.level.wrapping_sub(1)) {
            next = next.min(self.charged_at.saturating_add(self.turns[payer.index()]));
        }
        next
    }

    /// Does what is due at `now`: renews budgets, ends waits whose deadline has passed, takes the CPU from a
    /// claim whose budget is used up or that has had its turn. Returns the tasks whose wait timed out.
    pub fn timer(&mut self, now: u64) -> DomainSet {
        self.reconsider();
        self.charge(now);
        if let Some(payer) = self.payer {
            let priority = self.get(payer).priority;
            if self.budget(payer).is_exhausted() && !self.is_spent(payer) {
                self.spend(payer);
            } else if self.turns[payer.index()] == 0 && self.ready.is_shared(priority) {
                self.turns[payer.index()] = self.quantum;
                self.ready.pass_on(payer, priority);
            }
        }
        self.expire(now)
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
            timed_out |= self.look_at_deadline(id, now);
        }
        timed_out
    }

    /// Ends the wait of a task if that is due. Returns it if it was so.
    fn look_at_deadline(&mut self, id: DomainId, now: u64) -> DomainSet {
        let task = self.get(id);
        let waits = matches!(task.state, State::Waiting | State::Receiving);
        let would_wait = task.serving.is_some() && task.deadline != PASSED;
        if !waits && !would_wait {
            return 0;
        }
        if task.deadline > now {
            self.next_deadline = self.next_deadline.min(task.deadline);
            return 0;
        }
        if waits {
            self.wake(id);
            return id.bit();
        }
        self.task(id).deadline = PASSED;
        self.look_at(id);
        0
    }

    /// Gives a claim whose budget was used up its priority back, if its next period has begun.
    fn renew(&mut self, id: DomainId, now: u64) {
        if !self.is_spent(id) {
            return;
        }
        self.budget(id).renew(now);
        if self.budget(id).is_exhausted() {
            let renewed_at = self.budget(id).renewed_at();
            self.next_deadline = self.next_deadline.min(renewed_at);
            return;
        }
        let priority = self.get(id).base_priority;
        self.set_priority(id, priority);
    }
}
