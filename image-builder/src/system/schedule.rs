//! Priorities and budgets of domains that do not state them.

use cloison_abi::limits;

use super::{Budget, Call};

#[cfg(test)]
mod tests;

/// Lowest priority that a domain can have; 0 is for those that have used up their budget.
pub const LOWEST_PRIORITY: u64 = limits::BACKGROUND_PRIORITY as u64 + 1;
/// Highest priority that a domain can have; the builder's is one above.
pub const HIGHEST_PRIORITY: u64 = limits::PRIORITIES as u64 - 2;
/// Period of a domain that states none.
pub const DEFAULT_PERIOD_US: u64 = 10_000;
/// Budget of a domain that states none: the rest of the period is for those below.
pub const DEFAULT_BUDGET_US: u64 = 8_000;

/// What a manifest states about one domain's priority.
#[derive(Debug, Clone, Copy)]
pub struct Stated {
    /// The priority, if stated.
    pub priority: Option<u64>,
    /// Whether it owns devices. It then has to answer them, whoever else has something to do.
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

/// The budget of a domain of which parts are stated. Those at the lowest priority have nobody below whom they
/// could starve, and so no limit.
#[must_use]
pub fn budget(budget_us: Option<u64>, period_us: Option<u64>, is_lowest: bool) -> Budget {
    match (budget_us, period_us) {
        (None, None) if is_lowest => Budget { budget_us: 0, period_us: 0 },
        (None, None) => Budget { budget_us: DEFAULT_BUDGET_US, period_us: DEFAULT_PERIOD_US },
        (Some(budget_us), None) => Budget { budget_us, period_us: DEFAULT_PERIOD_US },
        (None, Some(period_us)) => Budget { budget_us: share_of(period_us), period_us },
        (Some(budget_us), Some(period_us)) => Budget { budget_us, period_us },
    }
}

/// The budget for a period, in the proportion of the defaults.
fn share_of(period_us: u64) -> u64 {
    (u128::from(period_us) * u128::from(DEFAULT_BUDGET_US) / u128::from(DEFAULT_PERIOD_US)) as u64
}
