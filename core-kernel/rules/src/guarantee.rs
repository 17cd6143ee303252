//! What fixed priorities and budgets guarantee, whatever the others do.
//!
//! All times are in one unit, which is the caller's choice. Periods of one length begin at the same time, so a
//! period of one domain meets a known number of periods of another, and each of these costs at most its budget.

/// A domain's title to the CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Title {
    /// Its priority.
    pub priority: u64,
    /// Time in each period.
    pub budget: u64,
    /// Length of the period; 0: no limit.
    pub period: u64,
}

/// What is the same for all.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// Length of a turn.
    pub turn: u64,
    /// How long the kernel at most keeps the CPU from whom it belongs to, each time.
    pub delay: u64,
}

/// How often [`longest_wait`] looks again at what others take while it waits for what others take.
const ROUNDS: usize = 1000;

/// A whole CPU, in the unit of [`share`].
pub const WHOLE: u64 = 1_000_000;

impl Title {
    fn is_limited(&self) -> bool {
        self.period != 0
    }

    /// The part of the CPU that its budget is, rounded up.
    fn part(&self) -> u64 {
        let part = (u128::from(self.budget) * u128::from(WHOLE)).div_ceil(u128::from(self.period.max(1)));
        u64::try_from(part).unwrap_or(u64::MAX)
    }

    /// The most that it takes in one period of another domain.
    fn taken_in_period(&self, period: u64) -> u64 {
        let common = greatest_common_divisor(period, self.period);
        let met = 1 + (period - common).div_ceil(self.period);
        met.saturating_mul(self.budget)
    }

    /// The most that it takes from any moment until another has waited for `wait`: at the end of one of its
    /// periods, and from the begin of the next one on.
    fn taken_in(&self, wait: u64) -> u64 {
        let shifted = wait.saturating_add(self.period - self.budget.min(self.period));
        (shifted / self.period + 1).saturating_mul(self.budget)
    }

    /// The most that it takes in turns until another of its priority has had `time`, beginning with the rest of a
    /// turn.
    fn taken_in_turns(time: u64, turn: u64) -> u64 {
        time.div_ceil(turn).saturating_add(1).saturating_mul(turn)
    }
}

/// How much of each of its periods a domain has to ask for to get all of its budget. It is guaranteed if that is
/// no longer than the period. None if it has no limit, or if one without a limit is above it.
#[must_use]
pub fn needed(titles: &[Title], which: usize, terms: Terms) -> Option<u64> {
    let own = titles[which];
    let mut needed = own.budget.saturating_add(terms.delay);
    for (_, other) in others(titles, which).filter(|(_, other)| other.priority >= own.priority) {
        let in_turns = Title::taken_in_turns(own.budget, terms.turn);
        let taken = match (other.is_limited(), other.priority == own.priority) {
            (true, false) => other.taken_in_period(own.period.max(1)),
            (true, true) => other.taken_in_period(own.period.max(1)).min(in_turns),
            (false, true) => in_turns,
            (false, false) => return None,
        };
        needed = needed.saturating_add(taken).saturating_add(terms.delay);
    }
    own.is_limited().then_some(needed)
}

/// The part of the CPU that a domain gets at least, in millionths, if it always wants it: its budget, if that is
/// guaranteed; without a limit, its part of what those above it leave.
#[must_use]
pub fn share(titles: &[Title], which: usize, terms: Terms) -> u64 {
    let own = titles[which];
    if own.is_limited() {
        let is_guaranteed = needed(titles, which, terms).is_some_and(|needed| needed <= own.period);
        return if is_guaranteed { own.budget.saturating_mul(WHOLE) / own.period } else { 0 };
    }
    let mut left = WHOLE;
    for (_, other) in others(titles, which).filter(|(_, other)| other.priority > own.priority) {
        left = left.saturating_sub(if other.is_limited() { other.part() } else { WHOLE });
    }
    let peers = || others(titles, which).filter(|(_, other)| other.priority == own.priority);
    let in_turns = left / (1 + peers().count() as u64);
    // Those with a limit take no more than that, though their turn comes as often.
    let limited = peers().filter(|(_, other)| other.is_limited());
    let (count, parts) = limited.fold((0, 0), |(count, sum), (_, other)| (count + 1, sum + other.part()));
    in_turns.max(left.saturating_sub(parts) / (1 + peers().count() as u64 - count))
}

/// How long a domain waits at most until it has the CPU, from when it wants it with a part of its budget left.
/// None if it can be for ever.
#[must_use]
pub fn longest_wait(titles: &[Title], which: usize, terms: Terms) -> Option<u64> {
    let own = titles[which];
    let above = || others(titles, which).filter(|(_, other)| other.priority > own.priority);
    let parts = above().map(|(_, other)| if other.is_limited() { other.part() } else { WHOLE });
    if parts.sum::<u64>() >= WHOLE {
        return None;
    }
    let peers = others(titles, which).filter(|(_, other)| other.priority == own.priority);
    let turns = peers.map(|(_, other)| match other.period {
        0 => terms.turn,
        _ => terms.turn.min(other.budget.saturating_mul(2)),
    });
    let fixed = turns.sum::<u64>().saturating_add(terms.delay);
    // Each round is longer than the one before; since the parts of the others add up to less than all, there is a
    // last one. It can be far away, so a bound from above stands in for what comes after many.
    let mut wait = fixed;
    for _ in 0..ROUNDS {
        let taken = above().map(|(_, other)| other.taken_in(wait).saturating_add(terms.delay));
        let longer = taken.fold(fixed, u64::saturating_add);
        if longer <= wait {
            return Some(wait);
        }
        wait = longer;
    }
    let left = WHOLE - above().map(|(_, other)| other.part()).sum::<u64>();
    let at_once = above().map(|(_, other)| other.budget.saturating_mul(2).saturating_add(terms.delay));
    let bound = u128::from(at_once.fold(fixed, u64::saturating_add)) * u128::from(WHOLE) / u128::from(left);
    u64::try_from(bound).ok()
}

fn others(titles: &[Title], which: usize) -> impl Iterator<Item = (usize, &Title)> {
    titles.iter().enumerate().filter(move |(place, _)| *place != which)
}

fn greatest_common_divisor(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TERMS: Terms = Terms { turn: 10_000, delay: 0 };

    fn title(priority: u64, budget: u64, period: u64) -> Title {
        Title { priority, budget, period }
    }

    #[test]
    fn budgets_of_one_period_can_add_up_to_all_of_it() {
        let fits = [title(3, 3_000, 10_000), title(2, 5_000, 10_000), title(1, 2_000, 10_000)];
        assert_eq!(needed(&fits, 2, TERMS), Some(10_000));
        assert_eq!(share(&fits, 2, TERMS), 200_000);
        let too_much = [title(3, 3_001, 10_000), title(2, 5_000, 10_000), title(1, 2_000, 10_000)];
        assert_eq!(needed(&too_much, 2, TERMS), Some(10_001));
        assert_eq!(share(&too_much, 2, TERMS), 0);
    }

    #[test]
    fn a_period_meets_others_as_often_as_it_can() {
        for (period, other, met) in
            [(10, 10, 1), (20, 10, 2), (10, 20, 1), (10, 15, 2), (15, 10, 2), (10, 7, 3), (10, 3, 4)]
        {
            assert_eq!(title(1, 1, other).taken_in_period(period), met, "{period} in {other}");
        }
    }

    #[test]
    fn a_wait_meets_a_budget_more_each_time_a_period_can_begin() {
        for (wait, taken) in [(0, 3), (2, 3), (3, 6), (12, 6), (13, 9)] {
            assert_eq!(title(2, 3, 10).taken_in(wait), taken, "in {wait}");
        }
    }

    #[test]
    fn peers_without_a_limit_share_what_is_left_or_their_turns() {
        let with = |budget| [title(1, 0, 0), title(1, 0, 0), title(1, budget, 100_000)];
        assert_eq!(
            share(&with(90_000), 0, TERMS),
            333_333,
            "their turns are more than a half of what is left"
        );
        assert_eq!(share(&with(10_000), 0, TERMS), 450_000, "a half of what is left");
        assert_eq!(longest_wait(&with(10_000), 0, TERMS), Some(2 * 10_000), "a turn of each of the others");
    }

    /// Two millionths of the CPU are left, so the end of the wait is further away than can be counted.
    #[test]
    fn a_wait_that_is_too_long_to_be_counted_has_a_bound() {
        let titles = [title(2, 499_999, 500_000), title(1, 0, 0), title(1, 0, 0)];
        let at_once = 10_000 + 2 * 499_999;
        assert_eq!(longest_wait(&titles, 1, TERMS), Some(at_once * WHOLE / 2));
    }

    #[test]
    fn peers_take_turns_or_their_budget() {
        let peers = [title(1, 2_000, 100_000), title(1, 0, 0), title(1, 50_000, 100_000)];
        assert_eq!(needed(&peers, 0, TERMS), Some(42_000), "two turns of each of the others");
        assert_eq!(share(&peers, 1, TERMS), 480_000, "all that the others' budgets leave");
        assert_eq!(longest_wait(&peers, 1, TERMS), Some(4_000 + 10_000));
    }

    #[test]
    fn nothing_is_guaranteed_below_one_without_a_limit() {
        let titles = [title(2, 0, 0), title(1, 1_000, 10_000), title(1, 0, 0)];
        for which in 1..3 {
            assert_eq!(share(&titles, which, TERMS), 0);
            assert_eq!(longest_wait(&titles, which, TERMS), None);
        }
        assert_eq!(longest_wait(&titles, 0, TERMS), Some(0));
    }

    #[test]
    fn a_wait_meets_the_end_of_a_budget_and_the_next_one() {
        let titles = [title(2, 3_000, 10_000), title(1, 0, 0)];
        assert_eq!(longest_wait(&titles, 1, TERMS), Some(6_000));
        let full = [title(2, 10_000, 10_000), title(1, 0, 0)];
        assert_eq!(longest_wait(&full, 1, TERMS), None);
    }

    #[test]
    fn any_numbers_come_to_an_end() {
        let most = title(2, u64::MAX, u64::MAX);
        let titles = [most, title(2, u64::MAX - 1, u64::MAX), title(1, 0, 0), title(1, 1, 1)];
        for which in 0..titles.len() {
            let _ = (needed(&titles, which, TERMS), share(&titles, which, TERMS));
            let _ = longest_wait(&titles, which, TERMS);
        }
    }
}
