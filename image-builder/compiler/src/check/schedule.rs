//! Priorities, budgets and periods: within their ranges, and not more than there is.

use std::collections::BTreeMap;

use cloison_abi::limits::{LONGEST_STEP_US, MAX_DOMAINS, MIN_PERIOD_US};

use crate::diagnostic::{Diagnostic, Span};
use crate::system::{
    Budget, DEFAULT_PERIOD_US, Draft, DraftDomain, Guarantee, HIGHEST_PRIORITY, LOWEST_PRIORITY, SHARED_US,
    guarantees, needed, titles,
};

pub(super) fn priority_range(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let priorities = draft.priorities();
    let outside = |place: &usize| !(LOWEST_PRIORITY..=HIGHEST_PRIORITY).contains(&priorities[*place]);
    let (stated, rest): (Vec<_>, Vec<_>) = (0..draft.domains.len())
        .filter(outside)
        .partition(|place| draft.domains[*place].table.priority.is_some());
    let mut faults: Vec<_> = stated.into_iter().filter_map(|place| out_of_range(draft, place)).collect();
    // What is worked out rests on what others state.
    let is_sure = draft.domains.iter().all(|domain| !draft.is_spoiled(domain.table, "priority"));
    if is_sure && faults.is_empty() {
        faults.extend(none_left(draft, &priorities, &rest));
    }
    faults
}

fn out_of_range(draft: &Draft<'_>, place: usize) -> Option<Diagnostic> {
    let table = draft.domains[place].table;
    let stated = table.priority.as_ref()?;
    let message = format!("the priority {} of `{}` is out of range", stated.value, table.name.value);
    let help = format!("give a number from {LOWEST_PRIORITY} to {HIGHEST_PRIORITY}, or leave it out");
    Some(Diagnostic::new(stated.span, message).help(help))
}

/// Servers for which their clients leave no priority: told where the highest of those states its own, if one does.
fn none_left(draft: &Draft<'_>, priorities: &[u64], servers: &[usize]) -> Vec<Diagnostic> {
    let mut faults: BTreeMap<Span, (u64, Diagnostic)> = BTreeMap::new();
    if servers.is_empty() {
        return Vec::new();
    }
    let highest = highest_clients(draft, priorities);
    for server in servers {
        let name = &draft.domains[*server].table.name;
        let Some((client, depth)) = highest_that_states(draft, &highest, *server) else {
            let message = format!(
                "the clients of `{}` leave no priority for it: it would have {}",
                name.value, priorities[*server]
            );
            let fault =
                Diagnostic::new(name.span, message).help("let fewer domains call each other in a row");
            faults.insert(name.span, (0, fault));
            continue;
        };
        let table = draft.domains[client].table;
        let at = table.priority.as_ref().map_or(table.name.span, |priority| priority.span);
        // Of several servers above a client, the one that is the highest leaves it least.
        if faults.get(&at).is_some_and(|(known, _)| *known >= depth) {
            continue;
        }
        let message = format!(
            "the priority {} of `{}` leaves none for `{}`, which has to be above it",
            priorities[client], table.name.value, name.value
        );
        let fault =
            Diagnostic::new(at, message).label(name.span, format!("it would have {}", priorities[*server]));
        let help = match HIGHEST_PRIORITY.checked_sub(depth) {
            Some(most @ LOWEST_PRIORITY..) => {
                format!("give a number from {LOWEST_PRIORITY} to {most}, or leave it out")
            }
            _ => "leave it out".to_owned(),
        };
        faults.insert(at, (depth, fault.help(help)));
    }
    faults.into_values().map(|(_, fault)| fault).collect()
}

/// For each domain, the highest of those that call it.
fn highest_clients(draft: &Draft<'_>, priorities: &[u64]) -> Vec<Option<usize>> {
    let mut highest = vec![None; draft.domains.len()];
    for call in draft.calls().into_iter().chain(draft.questions()) {
        let known = &mut highest[call.server];
        if known.is_none_or(|known: usize| priorities[call.client] > priorities[known]) {
            *known = Some(call.client);
        }
    }
    highest
}

/// The highest of those that call a domain, through others or not, which states its priority, and how many steps it is
/// away. One that is farther away than there are priorities is not the cause.
fn highest_that_states(draft: &Draft<'_>, highest: &[Option<usize>], server: usize) -> Option<(usize, u64)> {
    let mut at = server;
    for depth in 1..=HIGHEST_PRIORITY {
        at = highest[at]?;
        if draft.domains[at].table.priority.is_some() {
            return Some((at, depth));
        }
    }
    None
}

pub(super) fn budget_range(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let budgets = draft.budgets(&draft.priorities());
    let is_whole = |domain: &DraftDomain<'_>| {
        !["budget_us", "period_us"].iter().any(|key| draft.is_spoiled(domain.table, key))
    };
    let whole = draft.domains.iter().zip(budgets).filter(|(domain, _)| is_whole(domain));
    whole.filter_map(|(domain, budget)| wrong_budget(domain, budget)).collect()
}

fn wrong_budget(domain: &DraftDomain<'_>, budget: Budget) -> Option<Diagnostic> {
    let table = domain.table;
    let at = table.budget_us.as_ref().or(table.period_us.as_ref())?.span;
    let name = &table.name.value;
    let Budget { budget_us, period_us } = budget;
    if period_us == 0 {
        let message =
            format!("`{name}` has a budget of {budget_us} µs in a period of 0, which means no limit");
        let help = "leave budget_us out, or give a period";
        return (budget_us != 0).then(|| Diagnostic::new(at, message).help(help));
    }
    let most = u64::from(u32::MAX);
    // What is proposed has to hold the budget, and the kernel's steps beside it.
    let least = u64::from(MIN_PERIOD_US).max(match &table.budget_us {
        Some(budget) => budget.value.saturating_add(LONGEST_STEP_US).min(most),
        None => LONGEST_STEP_US * DEFAULT_PERIOD_US / (DEFAULT_PERIOD_US - SHARED_US),
    });
    let longest = period_us.min(most).saturating_sub(LONGEST_STEP_US);
    let (reason, help) = if budget_us == 0 && table.budget_us.is_some() {
        ("it could never run", format!("give a budget from 1 to {longest} µs"))
    } else if budget_us > most && table.budget_us.is_some() {
        ("the budget is too long", format!("give a budget of {longest} µs or less"))
    } else if period_us < u64::from(MIN_PERIOD_US) {
        ("the period is too short", format!("give a period from {least} to {most} µs"))
    } else if period_us > most {
        ("the period is too long", format!("give a period from {least} to {most} µs"))
    } else if budget_us > period_us {
        ("the budget is longer than the period", format!("give a budget from 1 to {longest} µs"))
    } else {
        return None;
    };
    let message = format!("`{name}` has a budget of {budget_us} µs in a period of {period_us} µs: {reason}");
    Some(Diagnostic::new(at, message).help(help))
}

/// For a domain without a limit, less than this part of the CPU, in millionths, is as good as nothing: a thousandth.
const LEAST_SHARE: u64 = 1_000;

/// What is promised has to be there. One fault, at the highest priority at which it is not: below, it would be the
/// same.
pub(super) fn guarantee(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let priorities = draft.priorities();
    // Each domain is compared with all others: more than there can be would take long, and are a fault already.
    if draft.domains.len() > MAX_DOMAINS {
        return Vec::new();
    }
    if !priority_range(draft).is_empty() || !budget_range(draft).is_empty() {
        return Vec::new();
    }
    let budgets = draft.budgets(&priorities);
    let on_fault =
        |domain: &DraftDomain<'_>| domain.table.on_fault.as_ref().map(|policy| policy.value.clone());
    let stays = |domain: &DraftDomain<'_>| {
        on_fault(domain).as_deref() == Some("restart") || domain.table.on_request().is_some()
    };
    let restarts = draft.domains.iter().any(stays);
    let titles = titles(priorities.iter().copied().zip(budgets.iter().copied()), restarts);
    let is_kept = |which: usize, worth: Guarantee| match budgets[which].period_us {
        0 => worth.share >= LEAST_SHARE,
        period_us => needed(&titles, which).is_some_and(|needed| needed <= period_us),
    };
    let promised = draft.domains.iter().zip(guarantees(&titles)).enumerate();
    let broken =
        promised.filter(|(which, (domain, worth))| !domain.table.is_best_effort && !is_kept(*which, *worth));
    let first =
        broken.map(|(which, _)| which).max_by_key(|which| (priorities[*which], std::cmp::Reverse(*which)));
    let Some(which) = first else { return Vec::new() };
    let domain = &draft.domains[which];
    let Some(period_us) = Some(budgets[which].period_us).filter(|period_us| *period_us != 0) else {
        return vec![nothing_left(draft, &priorities, &budgets, which)];
    };
    let above = unlimited_above(draft, &priorities, &budgets, which);
    if let Some(above) = above {
        return vec![below_unlimited(draft, &priorities, which, above)];
    }
    let budget_us = budgets[which].budget_us;
    let needed = needed(&titles, which).unwrap_or(u64::MAX);
    let (name, others) = (&domain.table.name.value, needed.saturating_sub(budget_us));
    let priority = priorities[which];
    let message = format!(
        "`{name}` (priority {priority}) cannot be sure of {budget_us} of each {period_us} µs: those above it and \
         beside it, and the kernel, can take {others} µs"
    );
    let at = domain.table.budget_us.as_ref().map_or(domain.table.name.span, |us| us.span);
    let help = match period_us.checked_sub(others) {
        Some(rest @ 1..) => format!("give it a budget of {rest} µs or less, or those others smaller ones"),
        _ => {
            format!(
                "give it and those others smaller budgets: {} µs less in all",
                needed.saturating_sub(period_us)
            )
        }
    };
    vec![Diagnostic::new(at, message).help(help + BEST_EFFORT)]
}

/// The statement about a domain that has no guarantee.
const BEST_EFFORT: &str = "; or say `best_effort = true`, if nothing has to be left for it";

/// The lowest domain without a limit above this one.
fn unlimited_above(draft: &Draft<'_>, priorities: &[u64], budgets: &[Budget], which: usize) -> Option<usize> {
    let above = (0..draft.domains.len()).filter(|other| priorities[*other] > priorities[which]);
    above.filter(|other| budgets[*other].period_us == 0).min_by_key(|other| priorities[*other])
}

fn below_unlimited(draft: &Draft<'_>, priorities: &[u64], which: usize, above: usize) -> Diagnostic {
    let name = |which: usize| (draft.domains[which].table.name.value.as_str(), priorities[which]);
    let ((name, priority), (other, higher)) = (name(which), name(above));
    let message = format!(
        "nothing is left for `{name}` (priority {priority}): `{other}` (priority {higher}) is above it and has no limit"
    );
    let at = draft.domains[above]
        .table
        .period_us
        .as_ref()
        .map_or(draft.domains[above].table.name.span, |us| us.span);
    Diagnostic::new(at, message)
        .label(draft.domains[which].table.name.span, "what is below it")
        .help(format!("give `{other}` a budget, or `{name}` its priority") + BEST_EFFORT)
}

fn nothing_left(draft: &Draft<'_>, priorities: &[u64], budgets: &[Budget], which: usize) -> Diagnostic {
    if let Some(above) = unlimited_above(draft, priorities, budgets, which) {
        return below_unlimited(draft, priorities, which, above);
    }
    let others = (0..draft.domains.len()).filter(|other| priorities[*other] > priorities[which]);
    let parts = others.map(|other| budgets[other].budget_us as f64 / budgets[other].period_us.max(1) as f64);
    let (name, percent) = (&draft.domains[which].table.name, parts.sum::<f64>() * 100.0);
    let message = format!(
        "nothing is left for `{}` (priority {}): those above it can take {percent:.1} % of the CPU",
        name.value, priorities[which]
    );
    Diagnostic::new(name.span, message).help(
        format!("give those above it budgets of less than 100 % together, now {percent:.1} %") + BEST_EFFORT,
    )
}
