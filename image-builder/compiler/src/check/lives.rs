//! Domains that are started on request: who starts them, with which memory, and which ones cannot wait for it.

use cloison_abi::ObjectKind;

use super::names::unknown_domain;
use crate::diagnostic::{At, Diagnostic, propose};
use crate::manifest::{ON_REQUEST, STARTS};
use crate::system::{Budget, Draft, DraftDomain, HIGHEST_PRIORITY, MANAGE_RIGHT, Right};

pub(super) fn unknown_start(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let written = draft.domains.iter().filter_map(|domain| domain.table.start.as_ref());
    let unknown = written.filter(|start| !STARTS.contains(&start.value.as_str()));
    let faults = unknown.map(|start| {
        let fault = Diagnostic::new(start.span, format!("there is no start `{}`", start.value));
        fault.help(propose(&start.value, "start", STARTS))
    });
    faults.collect()
}

/// Where a domain is given a right, or one that is meant to be it.
fn given<'a>(domain: &DraftDomain<'a>, right: Right) -> Option<&'a At<String>> {
    let held = domain.rights.iter().find(|held| held.found == Some(right));
    held.map(|held| held.written)
}

/// The three belong together: domains to be started, memory for them, and who starts them.
pub(super) fn manager(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let spoiled = &draft.inputs.spoiled;
    let is_spoiled = spoiled.contains_part("domain") || spoiled.contains_part("budget");
    if is_spoiled || !unknown_start(draft).is_empty() {
        return Vec::new();
    }
    let on_request = draft.domains.iter().find_map(|domain| Some((domain, domain.table.on_request()?)));
    let managers: Vec<_> = draft
        .domains
        .iter()
        .filter_map(|domain| Some((&domain.table.name, given(domain, MANAGE_RIGHT)?.span)))
        .collect();
    let mut faults = Vec::new();
    if let [(first, _), (second, at), ..] = managers.as_slice() {
        let message = format!("`{}` and `{}` both start and end domains", first.value, second.value);
        let fault = Diagnostic::new(*at, message).label(first.span, "the first");
        faults.push(fault.help("take the right away from one of them: one domain manages the others"));
    }
    let budget = draft.inputs.manifest.budget.as_ref();
    match on_request {
        Some((domain, at)) => {
            let name = &domain.table.name.value;
            // One that should have the right is told of elsewhere; one that is not there may be it.
            if draft.manager().is_none() && unknown_domain(draft).is_empty() {
                let message = format!("`{name}` is started on request, but nobody can request it");
                let right = MANAGE_RIGHT.name();
                let help =
                    format!("add a domain whose component asks for the right `{right}`, such as `bmi`");
                faults.push(Diagnostic::new(at, message).help(help));
            }
            let none = format!("`{name}` is started on request, but there is no memory for it");
            let mib = budget.and_then(|budget| budget.memory_mib.as_ref());
            if budget.is_none() {
                let help = "add [budget] with a `memory_mib` for all such domains";
                faults.push(Diagnostic::new(at, none).help(help));
            } else if let Some(mib) = mib.filter(|mib| mib.value == 0) {
                let fault = Diagnostic::new(mib.span, none).label(at, "on request");
                faults.push(fault.help("give a number of MiB from 1 on, for all such domains"));
            }
        }
        None => {
            let help = format!("write `start = \"{ON_REQUEST}\"` for a domain");
            let fault = match (managers.first(), budget) {
                (Some((name, at)), _) => {
                    let message =
                        format!("`{}` starts and ends domains, but none is started on request", name.value);
                    Some(Diagnostic::new(*at, message))
                }
                (None, Some(budget)) => {
                    Some(Diagnostic::new(budget.at, "no domain takes its memory of the budget"))
                }
                (None, None) => None,
            };
            faults.extend(fault.map(|fault| fault.help(help)));
        }
    }
    faults
}

/// Others rely on these from their first moment on, or the builder has no say in their lives.
pub(super) fn needed_at_boot(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let mut faults = Vec::new();
    for (place, domain) in draft.domains.iter().enumerate() {
        let Some(at) = domain.table.on_request() else { continue };
        if let Some((why, place)) = needed(draft, place) {
            let message = format!("`{}` {why}, and cannot be started on request", domain.table.name.value);
            let fault = Diagnostic::new(at, message).label(place.span, "where the manifest says so");
            faults.push(fault.help("remove `start`"));
        }
    }
    faults
}

/// Why a domain has to be there from the start, and where that is written.
fn needed<'a>(draft: &'a Draft<'_>, place: usize) -> Option<(String, &'a At<String>)> {
    let domain = &draft.domains[place];
    let kinds = [ObjectKind::LogRight, ObjectKind::MonitorRight, ObjectKind::ManageRight];
    let held = kinds
        .into_iter()
        .find_map(|kind| Some((format!("holds the right `{}`", kind.name()), given(domain, Right(kind))?)));
    let ends = draft.ends_with.as_ref().filter(|named| named.found == Some(place));
    let ends = ends.map(|named| ("ends the system by its end".to_owned(), named.written));
    let handled = domain.table.on_fault.as_ref().filter(|policy| policy.value == "handler");
    let handled = handled.map(|policy| ("has a handler for its faults".to_owned(), policy));
    held.or(ends).or(handled)
}

/// Each domain for which the builder keeps a right, where it is to keep none.
pub(super) fn kept_rights(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let Some(none) = draft.inputs.manifest.keeps_no_rights else { return Vec::new() };
    let needs = draft.domains.iter().filter_map(|domain| {
        let restarted = domain.table.on_fault.as_ref().filter(|policy| policy.value == "restart");
        let restarted = restarted.map(|policy| ("to start it again after a fault", policy.span, "on_fault"));
        let on_request = domain.table.on_request().map(|at| ("to start it on request", at, "start"));
        let (what, at, key) = on_request.or(restarted)?;
        let name = &domain.table.name.value;
        let message = format!("the builder is to keep no right, but needs one over `{name}` {what}");
        let fault = Diagnostic::new(at, message).label(none, "it is to keep none");
        Some(fault.help(format!("remove `{key}`, or `keeps_rights = false`")))
    });
    needs.collect()
}

/// What is started on request has no more of the CPU than the budget has for it.
pub(super) fn beyond_the_budget(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let is_spoiled = |domain: &DraftDomain<'_>| {
        ["start", "priority", "budget_us", "period_us"].iter().any(|key| draft.is_spoiled(domain.table, key))
    };
    let is_whole = !draft.inputs.spoiled.contains_part("budget") && !draft.domains.iter().any(is_spoiled);
    let Some(budget) = draft.inputs.manifest.budget.as_ref().filter(|_| is_whole) else { return Vec::new() };
    let on_request = |place: &usize| draft.domains[*place].table.on_request().is_some();
    let all: Vec<usize> = (0..draft.domains.len()).filter(on_request).collect();
    let mut faults = Vec::new();
    if let Some(highest) = &budget.priority {
        faults.extend(match more_than_there_is(highest, "the priority", HIGHEST_PRIORITY) {
            Some(fault) => vec![fault],
            None => too_high(draft, &all, highest),
        });
    }
    if let Some(most) = &budget.cpu_percent {
        let is_too_much = more_than_there_is(most, "the part of the CPU in percent", 100);
        let unlimited = without_limit(draft, &all, most);
        faults.extend(is_too_much.or_else(|| too_much_time(draft, &all, most)));
        faults.extend(unlimited);
    }
    faults
}

/// A number of the budget that no domain could have.
fn more_than_there_is(stated: &At<u64>, what: &str, most: u64) -> Option<Diagnostic> {
    let message = format!("{what} of the budget is {}; the highest there is is {most}", stated.value);
    let help = format!("give a number of at most {most}, or leave it out");
    (stated.value > most).then(|| Diagnostic::new(stated.span, message).help(help))
}

/// Those without a limit that are above others: they can take all of the CPU from those, whatever part the budget has.
fn without_limit(draft: &Draft<'_>, on_request: &[usize], most: &At<u64>) -> Vec<Diagnostic> {
    let priorities = draft.priorities();
    let budgets = draft.budgets(&priorities);
    let lowest = priorities.iter().copied().min().unwrap_or_default();
    let above = on_request.iter().filter(|place| priorities[**place] > lowest);
    let faults = above.filter_map(|place| {
        let table = draft.domains[*place].table;
        // A budget in a period of 0 is told elsewhere.
        let period = table.period_us.as_ref().filter(|_| budgets[*place] == Budget { budget_us: 0, period_us: 0 })?;
        let (name, has) = (&table.name.value, priorities[*place]);
        let message = format!(
            "`{name}` has no limit at the priority {has}, above the lowest, {lowest}, and the budget has {} % of the CPU",
            most.value
        );
        let fault = Diagnostic::new(period.span, message).label(most.span, "the part of the budget");
        Some(fault.help(format!("give it a `budget_us` and a period, or the priority {lowest}")))
    });
    faults.collect()
}

/// Those that state their priority, and one of those that do not: what those have follows from who calls them.
fn too_high(draft: &Draft<'_>, on_request: &[usize], highest: &At<u64>) -> Vec<Diagnostic> {
    let priorities = draft.priorities();
    let above = on_request.iter().filter(|place| priorities[**place] > highest.value);
    let (stated, others): (Vec<&usize>, Vec<&usize>) =
        above.partition(|place| draft.domains[**place].table.priority.is_some());
    let told = stated.into_iter().chain(others.into_iter().max_by_key(|place| priorities[**place]));
    let faults = told.map(|place| {
        let (table, has) = (draft.domains[*place].table, priorities[*place]);
        let at = table.priority.as_ref().map_or(table.name.span, |stated| stated.span);
        let (name, most) = (&table.name.value, highest.value);
        let message = format!("`{name}` has the priority {has}; on request it can have {most}");
        let fault = Diagnostic::new(at, message).label(highest.span, "the highest of the budget");
        fault.help("give it a lower one, or the budget a higher one")
    });
    faults.collect()
}

/// One percent, in millionths.
const PERCENT: u64 = 10_000;

/// One without a limit has what nobody else wants, and is promised nothing.
fn too_much_time(draft: &Draft<'_>, on_request: &[usize], most: &At<u64>) -> Option<Diagnostic> {
    let budgets = draft.budgets(&draft.priorities());
    let part = |place: &usize| millionths(budgets[*place]);
    let sum = on_request.iter().map(part).fold(0, u64::saturating_add);
    if sum <= most.value.saturating_mul(PERCENT) {
        return None;
    }
    let parts = on_request.iter().map(|place| {
        let name = &draft.domains[*place].table.name.value;
        format!("`{name}` {} %", percent(part(place)))
    });
    let (has, promised) = (most.value, percent(sum));
    let message =
        format!("the domains on request are promised {promised} % of the CPU, and the budget has {has}");
    let fault = Diagnostic::new(most.span, message).note(parts.collect::<Vec<_>>().join(", "));
    let less = "some of them a smaller `budget_us`";
    Some(fault.help(match sum.div_ceil(PERCENT) {
        enough @ ..=100 => format!("give it {enough}, or {less}"),
        _ => format!("give {less}"),
    }))
}

/// The part of the CPU that a budget is, in millionths, and no less than it is.
fn millionths(Budget { budget_us, period_us }: Budget) -> u64 {
    let part = (u128::from(budget_us) * 1_000_000).checked_next_multiple_of(u128::from(period_us));
    part.map_or(0, |part| u64::try_from(part / u128::from(period_us)).unwrap_or(u64::MAX))
}

/// Millionths in percent, with as many places as they need.
fn percent(millionths: u64) -> String {
    let text = format!("{}.{:04}", millionths / PERCENT, millionths % PERCENT);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A device that writes to memory goes on when its driver has ended: what it writes then is in that memory when the next life
/// begins.
pub(super) fn writing_devices(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let is_spoiled = |domain: &DraftDomain<'_>| {
        ["start", "devices", "trusted_dma"].iter().any(|key| draft.is_spoiled(domain.table, key))
    };
    let whole = draft.domains.iter().filter(|domain| !is_spoiled(domain));
    whole.filter_map(writing_device).collect()
}

fn writing_device(domain: &DraftDomain<'_>) -> Option<Diagnostic> {
    let has_regions = domain.component?.regions.iter().any(|region| region.is_dma);
    let device = domain.devices.first().filter(|_| has_regions);
    let is_sure = domain.table.start.as_ref().is_none_or(|start| STARTS.contains(&start.value.as_str()));
    let name = &domain.table.name.value;
    match (domain.table.on_request().zip(device), domain.table.trusted_dma) {
        (Some((at, device)), None) => {
            let message =
                format!("`{name}` is started on request, and its device writes to memory by itself");
            let fault = Diagnostic::new(at, message).label(device.written.span, "the device");
            let help = "remove `start`; or write `trusted_dma = true`, if its driver resets it first";
            Some(
                fault
                    .note("between two lives nobody stops it, and the next one finds what it wrote")
                    .help(help),
            )
        }
        (None, Some(at)) if is_sure => {
            let message = format!("`{name}` has no device that writes to memory between two of its lives");
            Some(Diagnostic::new(at, message).help("remove `trusted_dma`"))
        }
        _ => None,
    }
}

/// Who calls a domain that is held waits. If that were the manager, nobody could let it go.
pub(super) fn holds_up(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let ends = [
        (ObjectKind::ManageRight, "nobody can let it go"),
        (ObjectKind::MonitorRight, "nobody decides what others may do"),
    ];
    let mut faults = Vec::new();
    for (kind, what_follows) in ends {
        let holds = |place: &usize| given(&draft.domains[*place], Right(kind)).is_some();
        for waiting in (0..draft.domains.len()).filter(holds) {
            faults.extend(held_up(draft, waiting, what_follows));
        }
    }
    faults
}

/// The calls on the ways from a domain into those that can be held. One that cannot start on request is told of elsewhere.
fn held_up(draft: &Draft<'_>, waiting: usize, what_follows: &str) -> Vec<Diagnostic> {
    let calls = draft.calls();
    let name = |place: usize| draft.domains[place].table.name.value.as_str();
    let mut is_seen = vec![false; draft.domains.len()];
    let mut open = vec![waiting];
    let mut faults = Vec::new();
    while let Some(client) = open.pop() {
        for call in calls.iter().filter(|call| call.client == client) {
            if std::mem::replace(&mut is_seen[call.server], true) {
                continue;
            }
            open.push(call.server);
            let on_request = draft.domains[call.server].table.on_request();
            let Some(at) = on_request.filter(|_| needed(draft, call.server).is_none()) else { continue };
            let (client, server) = (name(client), name(call.server));
            let message =
                format!("`{client}` calls `{server}`, which can be held: then `{}` waits", name(waiting));
            let fault = Diagnostic::new(call.at, message).label(at, "who is started on request can be held");
            faults.push(
                fault.note(format!("while it waits, {what_follows}")).help("remove `start`, or the call"),
            );
        }
    }
    faults
}
