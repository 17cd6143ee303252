//! What a manifest asserts of what flows in its system.

use crate::diagnostic::Diagnostic;
use crate::flow::{Flows, Node};
use crate::manifest::AssertTable;
use crate::query::{Answer, Assume, FORMS, Misunderstood, ask_about, understand};
use crate::system::{Assertion, Draft, Part, System};

/// An assertion that says something has to be a question, and one question only.
pub(super) fn misunderstood(draft: &Draft<'_>) -> Vec<Diagnostic> {
    draft.inputs.manifest.asserts.iter().filter_map(|table| misunderstood_one(draft, table)).collect()
}

fn misunderstood_one(draft: &Draft<'_>, table: &AssertTable) -> Option<Diagnostic> {
    let is_spoiled = |key| draft.inputs.spoiled.contains(table.at.source, key);
    match (&table.never, &table.always) {
        (Some(never), Some(always)) => {
            let message = "an assertion says both what is never and what is always so";
            let fault = Diagnostic::new(always.span, message).label(never.span, "and here");
            Some(fault.help("make two assertions of it"))
        }
        (None, None) if is_spoiled("assert.never") || is_spoiled("assert.always") => None,
        (None, None) => {
            let fault = Diagnostic::new(table.at, "an assertion asserts nothing");
            Some(fault.help("add `never = ` or `always = ` and a question"))
        }
        (Some(question), None) | (None, Some(question)) => {
            let Misunderstood { message, help } = understand(&question.value).err()?;
            let fault = Diagnostic::new(question.span, format!("this is no question: {message}"));
            Some(fault.help(help.unwrap_or_else(|| FORMS.to_owned())))
        }
    }
}

/// An assertion is about somebody who is there.
pub(super) fn about_nobody(draft: &Draft<'_>) -> Vec<Diagnostic> {
    each(draft, |system, flows, assertion| {
        let misunderstood = ask_about(system, flows, &assertion.question.value, Assume::Usual).err()?;
        let fault = Diagnostic::new(assertion.question.span, misunderstood.message);
        Some(fault.help(misunderstood.help.unwrap_or_else(|| FORMS.to_owned())))
    })
}

/// An assertion holds, under each policy and whichever were in force before.
pub(super) fn broken(draft: &Draft<'_>) -> Vec<Diagnostic> {
    if draft.inputs.manifest.asserts.is_empty() {
        return Vec::new();
    }
    whole(draft, |system, flows| {
        let parts = system.policy().map_or(&[][..], |policy| &policy.parts);
        // What is true of the only policy is true of all.
        let parts = if parts.len() > 1 { parts } else { &[] };
        let under: Vec<_> = parts.iter().map(|part| (part, Flows::under(system, part))).collect();
        system.asserts().iter().filter_map(|assertion| judge(system, flows, &under, assertion)).collect()
    })
}

/// Judges an assertion: by all that can ever flow, and by what flows under each policy alone. What must not flow is found by
/// the first, what has to by the second.
fn judge(
    system: &System,
    flows: &Flows,
    under: &[(&Part, Flows)],
    assertion: &Assertion,
) -> Option<Diagnostic> {
    let broken = |flows| {
        let answer = ask_about(system, flows, &assertion.question.value, Assume::Usual).ok()?;
        (answer.is_yes != assertion.expects_yes).then_some(answer)
    };
    let among_all = broken(flows);
    let alone: Vec<_> = under.iter().filter_map(|(part, flows)| Some((*part, broken(flows)?))).collect();
    let is_of_each = alone.len() == under.len();
    match (among_all, alone.first()) {
        (None, None) => None,
        (Some(answer), _) if is_of_each => Some(broken_one(assertion, &answer, "")),
        (_, Some((part, answer))) => {
            let fault = broken_one(assertion, answer, &format!(" under the policy `{}`", part.name));
            Some(fault.label(part.at, "the policy"))
        }
        (Some(answer), None) => {
            Some(broken_one(assertion, &answer, " while policies are loaded one after the other"))
        }
    }
}

/// Shows the way that should not be there. Of a step that several lines allow, the first is shown.
fn broken_one(assertion: &Assertion, answer: &Answer, when: &str) -> Diagnostic {
    let mut message = format!("an assertion does not hold{when}: {}", answer.summary);
    let steps: Vec<_> = answer.way.iter().map(|step| step.text.as_str()).collect();
    let help = if steps.is_empty() {
        "add what is missing, or change the assertion"
    } else {
        message += &format!(", {}", steps.join("; "));
        "take a step of the way out of the system, vouch for a domain on it with `keeps_apart`, or change the assertion"
    };
    let mut fault = Diagnostic::new(assertion.question.span, message);
    for step in &answer.way {
        fault.labels.extend(step.at.first().map(|at| (*at, step.text.clone())));
    }
    fault.note(assertion.why.clone().unwrap_or_default()).help(help)
}

/// A domain with fewer than two clients has none to keep apart.
pub(super) fn nobody_to_keep_apart(draft: &Draft<'_>) -> Vec<Diagnostic> {
    if draft.domains.iter().any(|domain| domain.table.keeps_apart) {
        whole(draft, lonely)
    } else {
        Vec::new()
    }
}

fn lonely(system: &System, flows: &Flows) -> Vec<Diagnostic> {
    let keepers = system.domains().filter(|(_, domain)| domain.keeps_apart);
    let lonely = keepers.filter_map(|(id, domain)| {
        let clients: Vec<&str> =
            flows.clients(flows.find(Node::Domain(id))?).map(|node| flows.name(node)).collect();
        let who = match clients.as_slice() {
            [] => "nobody is its client".to_owned(),
            [one] => format!("`{one}` is its only client"),
            _ => return None,
        };
        let fault = Diagnostic::new(domain.at, format!("`{}` keeps nobody apart: {who}", domain.name));
        Some(fault.help("remove `keeps_apart`"))
    });
    lonely.collect()
}

/// Judges each assertion.
fn each(
    draft: &Draft<'_>,
    judge: impl Fn(&System, &Flows, &Assertion) -> Option<Diagnostic>,
) -> Vec<Diagnostic> {
    if draft.inputs.manifest.asserts.is_empty() {
        return Vec::new();
    }
    whole(draft, |system, flows| {
        system.asserts().iter().filter_map(|assertion| judge(system, flows, assertion)).collect()
    })
}

/// Judges the system, of which nothing else is wrong.
fn whole(draft: &Draft<'_>, judge: impl Fn(&System, &Flows) -> Vec<Diagnostic>) -> Vec<Diagnostic> {
    let Some(system) = System::resolve(draft) else { return Vec::new() };
    judge(&system, &Flows::new(&system))
}
