//! Who calls whom: no circles, and no client above its server.

use crate::diagnostic::Diagnostic;
use crate::system::{Call, Draft, LOWEST_PRIORITY};

/// A circle of calls would wait for itself for ever: a server waits for the answer while its client waits for
/// its.
pub(super) fn circles(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let calls = draft.calls();
    let mut faults = Vec::new();
    let mut seen = vec![false; draft.domains.len()];
    for start in 0..draft.domains.len() {
        if seen[start] {
            continue;
        }
        if let Some(circle) = shortest_circle(&calls, start, draft.domains.len()) {
            circle.iter().for_each(|call| seen[call.client] = true);
            faults.push(describe(draft, &circle));
        }
    }
    faults
}

/// The shortest way from a domain back to itself.
fn shortest_circle(calls: &[Call], start: usize, count: usize) -> Option<Vec<Call>> {
    let mut arrived_by: Vec<Option<Call>> = vec![None; count];
    let mut front = vec![start];
    while !front.is_empty() && arrived_by[start].is_none() {
        let mut next = Vec::new();
        for call in calls.iter().filter(|call| front.contains(&call.client)) {
            if arrived_by[call.server].is_none() {
                arrived_by[call.server] = Some(*call);
                next.push(call.server);
            }
        }
        front = next;
    }
    let mut circle = vec![arrived_by[start]?];
    while circle[0].client != start {
        let before = arrived_by[circle[0].client]?;
        circle.insert(0, before);
    }
    Some(circle)
}

fn describe(draft: &Draft<'_>, circle: &[Call]) -> Diagnostic {
    let name = |index: usize| draft.domains[index].table.name.value.as_str();
    let mut path: Vec<_> = circle.iter().map(|call| format!("`{}`", name(call.client))).collect();
    path.push(path[0].clone());
    let message = match circle {
        [own] => format!("the domain `{}` would call itself", name(own.client)),
        _ => format!("calls go in a circle: {}", path.join(" → ")),
    };
    let note = format!("`{}` calls `{}`", name(circle[0].client), name(circle[0].server));
    let mut fault = Diagnostic::new(circle[0].at, message).note(note);
    for call in &circle[1..] {
        fault = fault.label(call.at, format!("`{}` calls `{}`", name(call.client), name(call.server)));
    }
    fault.help("remove one of the calls; a server can tell a client by an event instead")
}

/// A server below its client would be kept from answering by whoever runs between the two.
pub(super) fn priority_inversion(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let priorities = draft.priorities();
    let mut faults = Vec::new();
    for call in draft.calls() {
        let (client, server) = (&draft.domains[call.client].table, &draft.domains[call.server].table);
        let (above, below) = (priorities[call.client], priorities[call.server]);
        let Some(stated) = server.priority.as_ref().filter(|_| above > below) else { continue };
        let message = format!(
            "the client `{}` (priority {above}) is above its server `{}` (priority {below})",
            client.name.value, server.name.value
        );
        let mut fault = Diagnostic::new(stated.span, message).label(call.at, "the call");
        if let Some(priority) = &client.priority {
            fault = fault.label(priority.span, "the client's priority");
        }
        faults.push(fault.help(match client.priority {
            Some(_) if below >= LOWEST_PRIORITY => {
                format!("give the server {above} or more, or the client {below} or less")
            }
            _ => format!("give the server {above} or more, or leave its priority out"),
        }));
    }
    faults
}
