//! Budgets: how much time a domain may take at its own priority in each of its periods.
//!
//! A domain that has used up its budget is not stopped: it goes on at the background priority until its next
//! period begins, so no time is wasted and nobody is kept from running by a domain of higher priority.

/// The account of one domain. Times are in ticks of the time-stamp counter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Budget {
    /// Time in each period.
    limit: u64,
    /// Length of a period; 0: no limit.
    period: u64,
    /// Time left in this period.
    left: u64,
    /// When this period ends.
    period_end: u64,
}

impl Budget {
    /// No limit.
    pub const NONE: Self = Self { limit: 0, period: 0, left: 0, period_end: 0 };

    /// An account with `limit` in each `period`; a period of 0 means no limit.
    #[must_use]
    pub fn new(limit: u64, period: u64) -> Self {
        Self { limit, period, left: limit, period_end: 0 }
    }

    /// Whether there is a limit at all.
    #[must_use]
    #[inline]
    pub fn is_limited(&self) -> bool {
        self.period != 0
    }

    /// Takes `elapsed` off the account, then begins a new period if the old one is over by `now`.
    #[inline]
    pub fn charge(&mut self, elapsed: u64, now: u64) {
        if self.is_limited() {
            self.left = self.left.saturating_sub(elapsed);
            self.renew(now);
        }
    }

    /// Begins a new period if the old one is over by `now`. Returns whether it did.
    #[inline]
    pub fn renew(&mut self, now: u64) -> bool {
        let over = self.is_limited() && now >= self.period_end;
        if over {
            self.left = self.limit;
            self.period_end = now.saturating_add(self.period);
        }
        over
    }

    /// Whether the account is empty.
    #[must_use]
    #[inline]
    pub fn is_exhausted(&self) -> bool {
        self.is_limited() && self.left == 0
    }

    /// When the account will be empty if it pays from `now` on; never, if there is no limit.
    #[must_use]
    #[inline]
    pub fn exhausted_at(&self, now: u64) -> u64 {
        if self.is_limited() { now.saturating_add(self.left) } else { u64::MAX }
    }

    /// When the next period begins.
    #[must_use]
    pub fn renewed_at(&self) -> u64 {
        if self.is_limited() { self.period_end } else { u64::MAX }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn no_limit_never_runs_out() {
        let mut budget = Budget::new(0, 0);
        budget.charge(u64::MAX, 5);
        assert!(!budget.is_exhausted());
        assert_eq!(budget.exhausted_at(7), u64::MAX);
    }

    #[test]
    fn a_period_renews_the_budget() {
        let mut budget = Budget::new(10, 100);
        budget.renew(0);
        budget.charge(10, 10);
        assert!(budget.is_exhausted());
        assert!(!budget.renew(99));
        assert!(budget.renew(100));
        assert!(!budget.is_exhausted());
        assert_eq!(budget.renewed_at(), 200);
    }

    proptest! {
        /// In no period is more time available than its limit.
        #[test]
        fn never_more_than_the_limit(
            limit in 1_u64..1000,
            period in 1_u64..1000,
            runs in prop::collection::vec(1_u64..50, 1..100),
        ) {
            let mut budget = Budget::new(limit, period);
            let mut now = 0;
            budget.renew(now);
            for run in runs {
                prop_assert!(budget.exhausted_at(now) - now <= limit);
                now += run;
                budget.charge(run, now);
            }
        }
    }
}
