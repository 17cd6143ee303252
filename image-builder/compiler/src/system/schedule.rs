//! Priorities and budgets of domains that do not state them.

use cloison_abi::limits;
use cloison_rules::guarantee::{self, Terms, Title};

use super::{Budget, Call};

#[cfg(test)]
mod tests;

/// Lowest priority that a domain can have; 0 is for those that have used up their budget.
pub const LOWEST_PRIORITY: u64 = limits::LOWEST_PRIORITY as u64;
/// Highest priority that a domain can have; the builder's is one above.
pub const HIGHEST_PRIORITY: u64 = limits::PRIORITIES as u64 - 2;
/// Period of a domain that states none.
pub const DEFAULT_PERIOD_US: u64 = 10_000;
/// How much of each such period the domains above the lowest priority share, unless they state more: the rest is
/// for those of the lowest.
pub const SHARED_US: u64 = 8_000;
/// The least budget of a domain that states none, if the others' stated budgets leave nothing to share.
const LEAST_US: u64 = 100;

/// A manifest's statement about one domain's priority.
#[derive(Debug, Clone, Copy)]
pub struct Stated {
    /// The priority, if stated.
    pub priority: Option<u64>,
    /// Whether it owns devices. It then has to answer them, whatever other domains have to do.
    pub is_driver: bool,
}

/// A priority for each domain. What is stated stays; every other server is above its clients, and a driver
/// above the lowest. The result can be out of range or upside down if what is stated leaves no room; a check
/// says so.
#[must_use]
pub fn priorities(stated: &[Stated], calls: &[Call]) -> Vec<u64> {
    let floor = |one: &Stated| one.priority.unwrap_or(LOWEST_PRIORITY + u64::from(one.is_driver));
    let mut priorities: Vec<u64> = stated.iter().map(floor).collect();
    // Clients first: a domain is looked at when all who call it have been. Those in a circle, which another
    // check reports, and those behind one never are.
    let mut callers = vec![0; stated.len()];
    let mut calls_of = vec![Vec::new(); stated.len()];
    for call in calls {
        callers[call.server] += 1;
        calls_of[call.client].push(call.server);
    }
    let mut ready: Vec<usize> = (0..stated.len()).filter(|domain| callers[*domain] == 0).collect();
    while let Some(client) = ready.pop() {
        for server in &calls_of[client] {
            if stated[*server].priority.is_none() {
                priorities[*server] = priorities[*server].max(priorities[client].saturating_add(1));
            }
            callers[*server] -= 1;
            if callers[*server] == 0 {
                ready.push(*server);
            }
        }
    }
    priorities
}

/// A manifest's statement about one domain's budget, and the default if it makes none.
#[derive(Debug, Clone, Copy)]
pub struct StatedBudget {
    /// Time in each period.
    pub budget_us: Option<u64>,
    /// Length of the period.
    pub period_us: Option<u64>,
    /// Its component's need, compared with others'.
    pub weight: u64,
    /// Its priority.
    pub priority: u64,
}

/// The budget of each domain. Those at the lowest priority have nobody below whom they could starve, and so no
/// limit; the others share what those that state a budget leave of [`SHARED_US`].
#[must_use]
pub fn budgets(stated: &[StatedBudget]) -> Vec<Budget> {
    let lowest = stated.iter().map(|one| one.priority).min().unwrap_or_default();
    let fixed = stated.iter().filter_map(|one| {
        let period_us = one.period_us.unwrap_or(DEFAULT_PERIOD_US);
        one.budget_us.map(|budget_us| part_of(budget_us, DEFAULT_PERIOD_US, period_us))
    });
    let left = SHARED_US.saturating_sub(fixed.fold(0, u64::saturating_add));
    let shares = |one: &&StatedBudget| {
        let lowest_without = one.priority == lowest && one.period_us.is_none();
        one.budget_us.is_none() && one.period_us != Some(0) && !lowest_without
    };
    let weights = stated.iter().filter(shares).fold(0, |sum: u64, one| sum.saturating_add(one.weight.max(1)));
    let budget = |one: &StatedBudget| {
        let share = part_of(left, one.weight.max(1), weights.max(1)).max(LEAST_US);
        match (one.budget_us, one.period_us) {
            (None, None) if one.priority == lowest => Budget { budget_us: 0, period_us: 0 },
            (None, period_us) => {
                let period_us = period_us.unwrap_or(DEFAULT_PERIOD_US);
                Budget { budget_us: part_of(period_us, share, DEFAULT_PERIOD_US), period_us }
            }
            (Some(budget_us), period_us) => {
                Budget { budget_us, period_us: period_us.unwrap_or(DEFAULT_PERIOD_US) }
            }
        }
    };
    stated.iter().map(budget).collect()
}

/// `whole` times `part` of `parts`.
fn part_of(whole: u64, part: u64, parts: u64) -> u64 {
    let part = u128::from(whole) * u128::from(part) / u128::from(parts.max(1));
    u64::try_from(part).unwrap_or(u64::MAX)
}

/// A domain's guarantee, whatever the others do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guarantee {
    /// The part of the CPU, in millionths.
    pub share: u64,
    /// How long it waits for the CPU at most, from when it wants it with some of its budget left, in
    /// microseconds. None: for ever.
    pub wait_us: Option<u64>,
}

/// The titles to the CPU of all domains, in their order; then the builder's, if it stays to restart some.
pub fn titles(given: impl Iterator<Item = (u64, Budget)>, restarts: bool) -> Vec<Title> {
    let own = given.map(|(priority, Budget { budget_us, period_us })| Title {
        priority,
        budget: budget_us,
        period: period_us,
    });
    let builder = Title {
        priority: LOWEST_PRIORITY,
        budget: limits::RETIRED_BUDGET_US.into(),
        period: limits::RETIRED_PERIOD_US.into(),
    };
    own.chain(restarts.then_some(builder)).collect()
}

/// Figures that hold for all domains, in microseconds.
#[must_use]
pub const fn terms() -> Terms {
    Terms { turn: limits::QUANTUM_US, delay: limits::LONGEST_STEP_US }
}

/// The worth of each title.
#[must_use]
pub fn guarantees(titles: &[Title]) -> Vec<Guarantee> {
    let worth = |which| Guarantee {
        share: guarantee::share(titles, which, terms()),
        wait_us: guarantee::longest_wait(titles, which, terms()),
    };
    (0..titles.len()).map(worth).collect()
}

/// How much of each of its periods a domain needs to be sure of its budget. None if no time is enough, or it has
/// no limit.
#[must_use]
pub fn needed(titles: &[Title], which: usize) -> Option<u64> {
    guarantee::needed(titles, which, terms())
}
