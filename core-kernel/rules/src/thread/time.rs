//! Time: who pays, whose turn is over, what is due.

use cloison_abi::call::NO_DEADLINE;

use super::{PASSED, State, ThreadSet, Threads};
use crate::ThreadId;

impl Threads {
    /// Whether nothing has happened since [`Threads::settle`] that asks for it again.
    #[inline(always)]
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.dispatch.settled
    }

    /// Something outside of the threads asks for [`Threads::settle`].
    pub fn unsettle(&mut self) {
        self.dispatch.settled = false;
    }

    /// Something that is no thread's is due at this time.
    pub fn expect(&mut self, deadline: u64) {
        self.dispatch.expect(deadline);
    }

    /// What [`Threads::settle`] does when a claim is there already that has to be given the CPU, and nobody's account has
    /// a limit. None if it is not so; then nothing has been done.
    #[inline(always)]
    pub fn settle_at_once(&mut self, now: impl FnOnce() -> u64) -> Option<u64> {
        let (claim, payer) = (self.dispatch.claim?, self.dispatch.payer?);
        let is_limited = self.dispatch.payer_is_limited || self.budgets[claim.index()].is_limited();
        if !self.dispatch.picked || claim == payer || is_limited {
            return None;
        }
        self.charge_turn(payer, now());
        self.dispatch.payer = Some(claim);
        self.dispatch.settled = true;
        Some(self.end_of_turn(claim).min(self.dispatch.next_deadline))
    }

    /// Decides who runs and who pays. Returns when the timer has to interrupt next.
    pub fn settle(&mut self, now: impl FnOnce() -> u64) -> u64 {
        if !self.dispatch.picked {
            self.pick();
        }
        if self.dispatch.claim != self.dispatch.payer {
            self.charge(now());
        }
        self.dispatch.settled = true;
        self.next_interrupt()
    }

    /// Charges the time since the last charge to who has been paying, off the budget and off the turn; from now
    /// on the claim that has the CPU pays.
    #[inline(always)]
    fn charge(&mut self, now: u64) {
        let is_limited = self.dispatch.claim.is_some_and(|claim| self.budgets[claim.index()].is_limited());
        if self.dispatch.payer_is_limited || is_limited {
            self.charge_budgets(now);
        }
        match self.dispatch.payer {
            Some(payer) => self.charge_turn(payer, now),
            None => self.dispatch.charged_at = now,
        }
        (self.dispatch.payer, self.dispatch.payer_is_limited) = (self.dispatch.claim, is_limited);
    }

    #[inline(always)]
    fn charge_turn(&mut self, payer: ThreadId, now: u64) {
        let paid = &mut self.paid[payer.index()];
        *paid = paid.wrapping_add(now.wrapping_sub(self.dispatch.charged_at));
        self.dispatch.charged_at = now;
    }

    /// A thread's claim begins a new turn.
    #[inline(always)]
    pub(super) fn begin_turn(&mut self, id: ThreadId) {
        self.turn_ends[id.index()] = self.paid[id.index()].wrapping_add(self.quantum);
    }

    /// What is left of the turn of a thread's claim, as of when it was charged last.
    #[inline(always)]
    pub(super) fn turn_left(&self, id: ThreadId) -> u64 {
        self.turn_ends[id.index()].saturating_sub(self.paid[id.index()])
    }

    /// For how long a thread's claim has had the CPU until `now`, whichever thread ran by it.
    #[must_use]
    pub fn paid(&self, id: ThreadId, now: u64) -> u64 {
        let is_paying = self.dispatch.payer == Some(id);
        let since = if is_paying { now.saturating_sub(self.dispatch.charged_at) } else { 0 };
        self.paid[id.index()].wrapping_add(since)
    }

    /// On its own, so that those without a limit do not pay for the registers that this needs.
    #[inline(never)]
    fn charge_budgets(&mut self, now: u64) {
        let elapsed = now.saturating_sub(self.dispatch.charged_at);
        // Time in the background is what nobody else wants: it costs nothing.
        if let Some(payer) = self.dispatch.payer.filter(|payer| !self.is_spent(*payer)) {
            self.budget(payer).charge(elapsed, now);
        }
        if let Some(claim) = self.dispatch.claim {
            self.budget(claim).renew(now);
        }
    }

    /// When the timer has to interrupt next.
    #[inline(always)]
    fn next_interrupt(&self) -> u64 {
        let Some(payer) = self.dispatch.payer else { return self.dispatch.next_deadline };
        let mut next = self.dispatch.next_deadline.min(self.end_of_turn(payer));
        if self.dispatch.payer_is_limited {
            next = next.min(self.exhaustion(payer));
        }
        next
    }

    /// When the turn of who pays is over; never, if nobody waits for the next one.
    #[inline(always)]
    fn end_of_turn(&self, payer: ThreadId) -> u64 {
        if !self.dispatch.ready.is_shared(self.dispatch.level.wrapping_sub(1)) {
            return NO_DEADLINE;
        }
        self.dispatch.charged_at.saturating_add(self.turn_left(payer))
    }

    /// When the account of who pays runs out. On its own, as [`Threads::charge_budgets`] is.
    #[inline(never)]
    fn exhaustion(&self, payer: ThreadId) -> u64 {
        // Who has been sent to the background has nothing left that could run out.
        if self.is_spent(payer) {
            return NO_DEADLINE;
        }
        self.budgets[payer.index()].exhausted_at(self.dispatch.charged_at)
    }

    /// Does what is due at `now`: renews budgets, ends waits whose deadline has passed, takes the CPU from a
    /// claim whose budget is used up or that has had its turn. Returns the threads whose wait timed out, and those that
    /// have asked and got no answer in time; these wait still.
    pub fn timer(&mut self, now: u64) -> ThreadSet {
        self.dispatch.reconsider();
        self.charge(now);
        if let Some(payer) = self.dispatch.payer {
            let priority = self.get(payer).priority;
            if self.budget(payer).is_exhausted() && !self.is_spent(payer) {
                self.spend(payer);
            } else if self.turn_left(payer) == 0 && self.dispatch.ready.is_shared(priority) {
                self.begin_turn(payer);
                self.dispatch.ready.pass_on(payer, priority);
            }
        }
        self.expire(now)
    }

    /// Renews budgets and ends waits that are due, and finds the next point in time at which some will be.
    fn expire(&mut self, now: u64) -> ThreadSet {
        if now < self.dispatch.next_deadline {
            return 0;
        }
        let mut timed_out = 0;
        self.dispatch.next_deadline = NO_DEADLINE;
        for id in ThreadId::all() {
            self.renew(id, now);
            timed_out |= self.look_at_deadline(id, now);
        }
        timed_out
    }

    /// Ends the wait of a thread if that is due. Returns it if it was so. (One that runs a guest notices by itself that
    /// this is due, when it goes on. One that asks has to be told what that means: [`Threads::answered`].)
    fn look_at_deadline(&mut self, id: ThreadId, now: u64) -> ThreadSet {
        let limit = self.limits[id.index()];
        if limit > now {
            self.dispatch.expect(limit);
        } else if self.get(id).state == State::Asking {
            return id.bit();
        }
        let thread = self.get(id);
        let waits = matches!(thread.state, State::Waiting | State::Receiving);
        let would_wait = thread.serving.is_some() && thread.deadline != PASSED;
        if !waits && !would_wait {
            return 0;
        }
        if thread.deadline > now {
            self.dispatch.expect(thread.deadline);
            return 0;
        }
        if waits {
            self.wake(id);
            return id.bit();
        }
        self.thread(id).deadline = PASSED;
        self.look_at(id);
        0
    }

    /// Gives a claim whose budget was used up its priority back, if its next period has begun.
    fn renew(&mut self, id: ThreadId, now: u64) {
        if !self.is_spent(id) {
            return;
        }
        self.budget(id).renew(now);
        if self.budget(id).is_exhausted() {
            let renewed_at = self.budget(id).renewed_at();
            self.dispatch.expect(renewed_at);
            return;
        }
        let priority = self.get(id).base_priority;
        self.set_priority(id, priority);
    }
}
