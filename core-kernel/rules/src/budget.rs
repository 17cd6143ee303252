//! Budgets: how much time a domain may take at its own priority in each of its periods.
//!
//! Periods of one length begin at the same time for all: at the multiples of that length. So two budgets of one
//! period never fall into one period of a third twice, and sums say what is guaranteed ([`crate::guarantee`]).

/// The account of one domain. Times are in ticks of the time-stamp counter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Budget {
    /// Time in each period.
    limit: u64,
    /// Length of a period; 0: no limit.
    period: u64,
    /// Time taken in this period.
    used: u64,
    /// When this period ends.
    period_end: u64,
}

impl Budget {
    /// No limit.
    pub const NONE: Self = Self { limit: 0, period: 0, used: 0, period_end: 0 };

    /// An account with `limit` in each `period`; a period of 0 means no limit.
    #[must_use]
    pub fn new(limit: u64, period: u64) -> Self {
        Self { limit, period, used: 0, period_end: 0 }
    }

    /// Whether there is a limit at all.
    #[must_use]
    #[inline]
    pub fn is_limited(&self) -> bool {
        self.period != 0
    }

    /// Takes the time from `now - elapsed` to `now` off the account: what lies in the period of `now` off that
    /// one.
    #[inline]
    pub fn charge(&mut self, elapsed: u64, now: u64) {
        if !self.is_limited() {
            return;
        }
        let late = now.saturating_sub(self.period_end);
        if now < self.period_end {
            self.used = self.used.saturating_add(elapsed);
        } else {
            let here = elapsed.min(late % self.period);
            self.used = self.used.saturating_add(elapsed - here);
            self.renew(now);
            self.used = self.used.saturating_add(here);
        }
    }

    /// Begins the period of `now` if the old one is over. What was taken too much, because the kernel noticed
    /// the end of the budget late, is missing in the next one.
    #[inline]
    pub fn renew(&mut self, now: u64) {
        if self.is_limited() && now >= self.period_end {
            self.used = self.used.saturating_sub(self.limit);
            self.period_end = (now / self.period + 1).saturating_mul(self.period);
        }
    }

    /// Whether the account is empty.
    #[must_use]
    #[inline]
    pub fn is_exhausted(&self) -> bool {
        self.is_limited() && self.used >= self.limit
    }

    /// When the account will be empty if it pays from `now` on; never, if there is no limit.
    #[must_use]
    #[inline]
    pub fn exhausted_at(&self, now: u64) -> u64 {
        if self.is_limited() { now.saturating_add(self.limit.saturating_sub(self.used)) } else { u64::MAX }
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
        budget.renew(99);
        assert!(budget.is_exhausted());
        budget.renew(100);
        assert!(!budget.is_exhausted());
        assert_eq!(budget.renewed_at(), 200);
    }

    #[test]
    fn what_is_taken_up_to_the_end_of_a_period_is_that_periods() {
        let mut budget = Budget::new(10, 100);
        budget.renew(0);
        budget.charge(10, 100);
        assert_eq!((budget.is_exhausted(), budget.renewed_at()), (false, 200));
    }

    #[test]
    fn periods_begin_at_multiples_of_their_length() {
        let mut budget = Budget::new(10, 100);
        budget.renew(270);
        assert_eq!(budget.renewed_at(), 300);
        budget.charge(7, 305);
        assert_eq!(
            (budget.exhausted_at(305), budget.renewed_at()),
            (310, 400),
            "2 before the end, 5 after it"
        );
    }

    #[test]
    fn what_was_taken_too_much_is_missing_in_the_next_period() {
        let mut budget = Budget::new(10, 100);
        budget.renew(0);
        budget.charge(13, 13);
        budget.renew(100);
        assert_eq!(budget.exhausted_at(100), 107);
    }

    proptest! {
        /// A domain that stops when its account is empty takes its limit in a period, and no more.
        #[test]
        fn never_more_than_the_limit(
            limit in 1_u64..1000,
            more in 0_u64..1000,
            runs in prop::collection::vec((1_u64..300, 0_u64..300), 1..100),
        ) {
            let period = limit + more;
            let mut budget = Budget::new(limit, period);
            let mut now = 0;
            let mut taken = std::collections::BTreeMap::<u64, u64>::new();
            for (run, rest) in runs {
                budget.renew(now);
                let run = run.min(budget.exhausted_at(now) - now);
                for tick in now..now + run {
                    *taken.entry(tick / period).or_default() += 1;
                }
                now += run;
                budget.charge(run, now);
                now += rest;
            }
            prop_assert!(taken.values().all(|taken| *taken <= limit), "{:?} of {}", taken, limit);
        }
    }
}
