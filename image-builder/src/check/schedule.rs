//! Priorities, budgets and periods within their ranges.

use cloison_abi::limits::MIN_PERIOD_US;

use crate::diagnostic::Diagnostic;
use crate::system::{Draft, DraftDomain, HIGHEST_PRIORITY, LOWEST_PRIORITY, budget};

pub(super) fn priority_range(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let help = format!("give a number from {LOWEST_PRIORITY} to {HIGHEST_PRIORITY}, or leave it out");
    let mut faults = Vec::new();
    for (domain, priority) in draft.domains.iter().zip(draft.priorities()) {
        if (LOWEST_PRIORITY..=HIGHEST_PRIORITY).contains(&priority) {
            continue;
        }
        let name = &domain.table.name;
        faults.push(match &domain.table.priority {
            Some(stated) => {
                let message = format!("the priority {priority} of `{}` is out of range", name.value);
                Diagnostic::new(stated.span, message).help(help.clone())
            }
            None => {
                let message = format!(
                    "the clients of `{}` leave no priority for it: it would have {priority}",
                    name.value
                );
                Diagnostic::new(name.span, message).help(format!("keep its clients below {HIGHEST_PRIORITY}"))
            }
        });
    }
    faults
}

pub(super) fn budget_range(draft: &Draft<'_>) -> Vec<Diagnostic> {
    draft.domains.iter().filter_map(wrong_budget).collect()
}

fn wrong_budget(domain: &DraftDomain<'_>) -> Option<Diagnostic> {
    let table = domain.table;
    let value = |number: &Option<crate::diagnostic::At<u64>>| number.as_ref().map(|us| us.value);
    let at = table.budget_us.as_ref().or(table.period_us.as_ref())?.span;
    let wanted = budget(value(&table.budget_us), value(&table.period_us), true);
    let name = &table.name.value;
    let (budget_us, period_us) = (wanted.budget_us, wanted.period_us);
    if period_us == 0 {
        let message =
            format!("`{name}` has a budget of {budget_us} µs in a period of 0, which means no limit");
        let help = "leave budget_us out, or give a period";
        return (budget_us != 0).then(|| Diagnostic::new(at, message).help(help));
    }
    let (reason, help) = if period_us < u64::from(MIN_PERIOD_US) {
        ("the period is too short".to_owned(), format!("give a period of {MIN_PERIOD_US} µs or more"))
    } else if period_us > u64::from(u32::MAX) {
        ("the period is too long".to_owned(), format!("give a period of {} µs or less", u32::MAX))
    } else if budget_us == 0 {
        ("it could never run".to_owned(), "give a budget of 1 µs or more".to_owned())
    } else if budget_us > period_us {
        (
            "the budget is longer than the period".to_owned(),
            format!("give a budget of {period_us} µs or less"),
        )
    } else {
        return None;
    };
    let message = format!("`{name}` has a budget of {budget_us} µs in a period of {period_us} µs: {reason}");
    Some(Diagnostic::new(at, message).help(help))
}
