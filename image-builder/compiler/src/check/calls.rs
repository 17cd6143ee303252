//! Who calls whom: no circles, and no client above its server.

use std::cmp::Reverse;
use std::collections::HashMap;

use crate::diagnostic::{Diagnostic, Span};
use crate::system::{Call, Draft, HIGHEST_PRIORITY, LOWEST_PRIORITY};

/// Calls of a circle that are shown.
const MOST_CALLS: usize = 16;
/// Circles that are told of: mending one may mend others.
const MOST_CIRCLES: usize = 16;

/// A circle of calls would wait for itself for ever: a server waits for the answer while its client waits for
/// its.
pub(super) fn circles(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let calls = in_circles(draft.calls(), draft.domains.len());
    let mut calls_of: Vec<Vec<Call>> = vec![Vec::new(); draft.domains.len()];
    for call in &calls {
        calls_of[call.client].push(*call);
    }
    let mut faults = Vec::new();
    let mut seen = vec![false; draft.domains.len()];
    for start in 0..draft.domains.len() {
        if seen[start] || calls_of[start].is_empty() || faults.len() == MOST_CIRCLES {
            continue;
        }
        if let Some(circle) = shortest_circle(&calls_of, start) {
            circle.iter().for_each(|call| seen[call.client] = true);
            faults.push(describe(draft, &circle));
        }
    }
    faults
}

/// Only calls that can be part of a circle: of clients that are called and to servers that call.
fn in_circles(mut calls: Vec<Call>, count: usize) -> Vec<Call> {
    for is_forward in [true, false] {
        let ends =
            |call: &Call| if is_forward { (call.client, call.server) } else { (call.server, call.client) };
        let mut arriving = vec![0; count];
        let mut leaving = vec![Vec::new(); count];
        for call in &calls {
            let (start, end) = ends(call);
            arriving[end] += 1;
            leaving[start].push(end);
        }
        let mut bare: Vec<usize> = (0..count).filter(|domain| arriving[*domain] == 0).collect();
        let mut is_bare = vec![false; count];
        while let Some(domain) = bare.pop() {
            is_bare[domain] = true;
            for next in &leaving[domain] {
                arriving[*next] -= 1;
                if arriving[*next] == 0 {
                    bare.push(*next);
                }
            }
        }
        calls.retain(|call| !is_bare[call.client] && !is_bare[call.server]);
    }
    calls
}

/// The shortest way from a domain back to itself.
fn shortest_circle(calls_of: &[Vec<Call>], start: usize) -> Option<Vec<Call>> {
    let mut arrived_by: Vec<Option<Call>> = vec![None; calls_of.len()];
    let mut front = vec![start];
    while !front.is_empty() && arrived_by[start].is_none() {
        let mut next = Vec::new();
        for call in front.iter().flat_map(|client| &calls_of[*client]) {
            if arrived_by[call.server].is_none() {
                arrived_by[call.server] = Some(*call);
                next.push(call.server);
            }
        }
        front = next;
    }
    let mut circle = vec![arrived_by[start]?];
    while let Some(first) = circle.last().filter(|first| first.client != start) {
        circle.push(arrived_by[first.client]?);
    }
    circle.reverse();
    Some(circle)
}

fn describe(draft: &Draft<'_>, circle: &[Call]) -> Diagnostic {
    let name = |index: usize| draft.domains[index].table.name.value.as_str();
    let mut path: Vec<_> =
        circle.iter().take(MOST_CALLS).map(|call| format!("`{}`", name(call.client))).collect();
    if circle.len() > MOST_CALLS {
        path.push(format!("{} more", circle.len() - MOST_CALLS));
    }
    path.push(path[0].clone());
    let message = match circle {
        [own] => format!("the domain `{}` would call itself", name(own.client)),
        _ => format!("calls go in a circle: {}", path.join(" → ")),
    };
    let note = format!("`{}` calls `{}`", name(circle[0].client), name(circle[0].server));
    let mut fault = Diagnostic::new(circle[0].at, message).note(note);
    for call in circle.iter().take(MOST_CALLS).skip(1) {
        fault = fault.label(call.at, format!("`{}` calls `{}`", name(call.client), name(call.server)));
    }
    fault.help("remove one of the calls; a server can tell a client by an event instead")
}

/// A server below its client would be kept from answering by any domain that runs between the two.
pub(super) fn priority_inversion(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let priorities = draft.priorities();
    let is_good = |priority: u64| (LOWEST_PRIORITY..=HIGHEST_PRIORITY).contains(&priority);
    let is_spoiled = |place: usize| draft.is_spoiled(draft.domains[place].table, "priority");
    let mut faults: Vec<Diagnostic> = Vec::new();
    let mut told: HashMap<Span, usize> = HashMap::new();
    let mut calls = draft.calls();
    // The highest client first: what is proposed is above all of them.
    calls.sort_by_key(|call| Reverse(priorities[call.client]));
    for call in calls {
        let (client, server) = (&draft.domains[call.client].table, &draft.domains[call.server].table);
        let (above, below) = (priorities[call.client], priorities[call.server]);
        let Some(stated) = server.priority.as_ref().filter(|_| above > below) else { continue };
        if !is_good(above) || !is_good(below) || is_spoiled(call.client) {
            continue;
        }
        let place = *told.entry(stated.span).or_insert(faults.len());
        if let Some(fault) = faults.get_mut(place) {
            if fault.labels.len() < MOST_CALLS {
                fault
                    .labels
                    .push((call.at, format!("`{}` (priority {above}) calls it, too", client.name.value)));
            }
            continue;
        }
        let message = format!(
            "the client `{}` (priority {above}) is above its server `{}` (priority {below})",
            client.name.value, server.name.value
        );
        let mut fault = Diagnostic::new(stated.span, message).label(call.at, "the call");
        if let Some(priority) = &client.priority {
            fault = fault.label(priority.span, "the client's priority");
        }
        let range = format!("give the server a number from {above} to {HIGHEST_PRIORITY}");
        faults.push(fault.help(match client.priority {
            Some(_) => format!("{range}, or the client {below} or less"),
            None => format!("{range}, or leave its priority out"),
        }));
    }
    faults
}
