//! What happens when a domain faults, and who decides.

use crate::diagnostic::{Diagnostic, closest, propose};
use crate::system::{Draft, DraftDomain};

const POLICIES: [&str; 4] = ["stop", "halt", "restart", "handler"];

pub(super) fn unknown_policy(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let written = draft.domains.iter().filter_map(|domain| domain.table.on_fault.as_ref());
    let unknown = written.filter(|policy| !POLICIES.contains(&policy.value.as_str()));
    let faults = unknown.map(|policy| {
        let fault = Diagnostic::new(policy.span, format!("there is no fault policy `{}`", policy.value));
        fault.help(propose(&policy.value, "policy", POLICIES))
    });
    faults.collect()
}

pub(super) fn handler(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let domains = draft.domains.iter().enumerate();
    let is_whole = |domain: &DraftDomain<'_>| {
        !["on_fault", "fault_handler"].iter().any(|key| draft.is_spoiled(domain.table, key))
    };
    let domains = domains.filter(|(_, domain)| is_whole(domain));
    domains.filter_map(|(place, domain)| wrong_handler(place, domain)).collect()
}

fn wrong_handler(place: usize, domain: &DraftDomain<'_>) -> Option<Diagnostic> {
    let table = domain.table;
    let name = &table.name.value;
    let policy = table.on_fault.as_ref();
    // A policy that does not exist is told of by another check; it may be a slip.
    let meant = policy.map(|policy| closest(&policy.value, POLICIES));
    if meant == Some(None) {
        return None;
    }
    let asks = meant.flatten() == Some("handler");
    match (&domain.fault_handler, policy) {
        (None, Some(policy)) if asks => {
            let message = format!("the faults of `{name}` go to a handler, but none is named");
            Some(
                Diagnostic::new(policy.span, message).help("add `fault_handler = ` and the name of a domain"),
            )
        }
        (Some(handler), policy) if !asks => {
            let message = format!("`{name}` names a fault handler, but its faults do not go to one");
            let mut fault = Diagnostic::new(handler.written.span, message);
            if let Some(policy) = policy {
                fault = fault.label(policy.span, "what happens instead");
            }
            Some(fault.help("add `on_fault = \"handler\"`, or remove fault_handler"))
        }
        (Some(handler), _) if handler.found == Some(place) => {
            let message = format!("`{name}` cannot handle its own faults: it does not run after one");
            Some(Diagnostic::new(handler.written.span, message).help("name another domain"))
        }
        _ => None,
    }
}
