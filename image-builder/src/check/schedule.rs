//! Priorities, budgets and periods within their ranges.

use cloison_abi::limits::MIN_PERIOD_US;

use crate::diagnostic::Diagnostic;
use crate::system::{Draft, DraftDomain, HIGHEST_PRIORITY, LOWEST_PRIORITY, budget};

pub(super) fn priority_range(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let help = format!("give a number from {LOWEST_PRIORITY} to {HIGHEST_PRIORITY}, or leave it out");
    let mut faults = Vec::new();
    let is_whole = draft.domains.iter().all(|domain| !draft.is_spoiled(domain.table, "priority"));
    for (domain, priority) in draft.domains.iter().zip(draft.priorities()) {
        // What is worked out rests on what others state.
        let is_sure = domain.table.priority.is_some() || is_whole;
        if (LOWEST_PRIORITY..=HIGHEST_PRIORITY).contains(&priority) || !is_sure {
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
    let is_whole = |domain: &&DraftDomain<'_>| {
        !["budget_us", "period_us"].iter().any(|key| draft.is_spoiled(domain.table, key))
    };
    draft.domains.iter().filter(is_whole).filter_map(wrong_budget).collect()
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
    // A period that is given in place of another has to hold the budget that is stated.
    let (least, most) = (u64::from(MIN_PERIOD_US), u64::from(u32::MAX));
    let least = value(&table.budget_us).map_or(least, |budget| budget.clamp(least, most));
    let (reason, help) = if budget_us == 0 && table.budget_us.is_some() {
        ("it could never run", format!("give a budget from 1 to {} µs", period_us.min(most)))
    } else if budget_us > most && table.budget_us.is_some() {
        ("the budget is too long", format!("give a budget of {} µs or less", period_us.min(most)))
    } else if period_us < u64::from(MIN_PERIOD_US) {
        ("the period is too short", format!("give a period from {least} to {most} µs"))
    } else if period_us > most {
        ("the period is too long", format!("give a period from {least} to {most} µs"))
    } else if budget_us > period_us {
        ("the budget is longer than the period", format!("give a budget from 1 to {period_us} µs"))
    } else {
        return None;
    };
    let message = format!("`{name}` has a budget of {budget_us} µs in a period of {period_us} µs: {reason}");
    Some(Diagnostic::new(at, message).help(help))
}
