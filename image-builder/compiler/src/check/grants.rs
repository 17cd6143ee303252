//! What components need against what the system gives them: nothing less, nothing more, nothing twice.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::servers::Servers;
use crate::diagnostic::{At, Diagnostic, Span, propose};
use crate::manifest::{Component, DEFAULT_GATE, GateNeed, NETWORK_CARD, Offer, OptionRule};
use crate::system::{Draft, DraftDomain, DraftGateUse, Named, PORT_GATE, Right};

/// Longest arguments of a domain, in bytes.
const MAX_ARGUMENT_BYTES: usize = 1024;

pub(super) fn missing_gate(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let servers = Servers::new(draft);
    let mut faults = Vec::new();
    for (client, domain) in draft.domains.iter().enumerate() {
        let Some(component) = domain.component else { continue };
        for (place, need) in component.gates.iter().enumerate().filter(|(_, need)| !need.is_optional) {
            let is_given =
                domain.uses.iter().any(|gate_use| gate_use.need.is_some_and(|(served, _)| served == place));
            if is_given || is_told(draft, domain, need) {
                continue;
            }
            let (name, local) = (&domain.table.name, &need.local.value);
            let message = format!("the domain `{}` was not given the gate `{local}`", name.value);
            let fault = Diagnostic::new(name.span, message)
                .label(need.local.span, format!("`{}` needs it", component.name));
            faults.push(fault.help(how_to_give(draft, &servers, client, need)));
        }
    }
    faults
}

/// Whether another fault says why a gate is missing.
fn is_told(draft: &Draft<'_>, domain: &DraftDomain<'_>, need: &GateNeed) -> bool {
    let local = &need.local.value;
    let spoiled = |key: &str| draft.is_spoiled(domain.table, key);
    let may_be_port = need.gate.value == PORT_GATE;
    spoiled(&format!("uses.{local}"))
        || (local == "log" && spoiled("log"))
        || (may_be_port && draft.inputs.spoiled.contains_part("switch"))
        || (may_be_port && draft.switches.iter().any(|switch| switch.has_strangers()))
        || (may_be_port
            && draft.switches.iter().any(|switch| switch.names_receiver(&domain.table.name.value)))
}

/// The line that gives a domain a gate.
fn how_to_give(draft: &Draft<'_>, servers: &Servers<'_, '_>, client: usize, need: &GateNeed) -> String {
    let (gate, local) = (&need.gate.value, &need.local.value);
    let has_unknown = servers.has_unknown;
    let servers = servers.of(gate, client);
    if gate == PORT_GATE {
        return how_to_give_port(draft, &servers, client, local);
    }
    let key = if local == "log" { "log".to_owned() } else { format!("uses.{local}") };
    match servers[..] {
        [] if has_unknown => {
            format!("add `{key} = ` and a domain that offers a gate `{gate}`")
        }
        [] => format!("no other domain of this system offers a gate `{gate}`; add one that does"),
        [server] => format!("add `{key} = \"{server}\"`"),
        _ => format!("add `{key} = ` and one of {}", servers.join(", ")),
    }
}

/// A domain has one port on a switch.
fn how_to_give_port(draft: &Draft<'_>, switches: &[&str], client: usize, local: &str) -> String {
    let name = &draft.domains[client].table.name.value;
    let has_port = |switch: &str| {
        let mut known = draft.switches.iter().filter(|known| known.table.name.value == switch);
        known.any(|known| known.ports.iter().any(|port| port.domain == Some(client)))
    };
    let has_uplink = |switch: &str| {
        let mut known = draft.switches.iter().filter(|known| known.table.name.value == switch);
        known.any(|known| known.table.uplink.is_some())
    };
    let gate = if local == DEFAULT_GATE { String::new() } else { format!(" with `gate = \"{local}\"`") };
    let drives_card = draft.domains[client]
        .devices
        .iter()
        .any(|device| device.found.is_some_and(|(_, device)| device.class.value == NETWORK_CARD));
    match switches.iter().find(|switch| !has_port(switch)) {
        Some(switch) if drives_card && !has_uplink(switch) => {
            format!("add `uplink = \"{name}\"` to `[switch.{switch}]`")
        }
        Some(switch) => format!("add `[switch.{switch}.port.{name}]`{gate}"),
        None => format!(
            "no switch is left on which it has no port; add a domain that offers a gate `{PORT_GATE}`"
        ),
    }
}

pub(super) fn missing_device(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let Some(platform) = draft.platform else { return Vec::new() };
    let given: HashMap<&str, &str> = owners(draft);
    each_component(draft, |domain, component, faults| {
        // What is given in its place is a fault of its own.
        let is_told = domain.devices.iter().any(|device| device.need.is_none());
        if is_told || draft.is_spoiled(domain.table, "devices") {
            return;
        }
        for (place, need) in component.devices.iter().enumerate().filter(|(_, need)| !need.is_optional) {
            if domain.devices.iter().any(|device| device.need.is_some_and(|(served, _)| served == place)) {
                continue;
            }
            let class = &need.class.value;
            let (name, local) = (&domain.table.name, &need.local.value);
            let message =
                format!("the domain `{}` was not given a device for `{local}`, a {class}", name.value);
            let fault = Diagnostic::new(name.span, message)
                .label(need.local.span, format!("`{}` needs it", component.name));
            let all = platform.devices.iter().filter(|device| device.class.value == *class);
            let all: Vec<_> = all.map(|device| device.name.value.as_str()).collect();
            let is_free = |device: &str| !given.contains_key(device);
            faults.push(fault.help(match (all.iter().find(|device| is_free(device)), all.first()) {
                (Some(device), _) => format!("add \"{device}\" to its `devices`"),
                (None, Some(device)) => {
                    format!("`{device}` is of that class, but `{}` owns it", given[device])
                }
                (None, None) => format!("the platform `{}` has no device of class {class}", platform.name),
            }));
        }
    })
}

/// Which domain owns which device.
fn owners<'d>(draft: &'d Draft<'_>) -> HashMap<&'d str, &'d str> {
    let devices = |domain: &'d DraftDomain<'_>| {
        domain.devices.iter().filter_map(|device| Some(device.found?.1.name.value.as_str()))
    };
    let owners = draft
        .domains
        .iter()
        .flat_map(|domain| devices(domain).map(move |device| (device, domain.table.name.value.as_str())));
    owners.collect()
}

pub(super) fn missing_right(draft: &Draft<'_>) -> Vec<Diagnostic> {
    each_component(draft, |domain, component, faults| {
        // What is given in its place is a fault of its own.
        let is_told =
            domain.rights.iter().any(|given| !given.is_known || !needs_right(component, given.found));
        if is_told || draft.is_spoiled(domain.table, "rights") {
            return;
        }
        for need in &component.rights {
            let right = Right::from_name(&need.value);
            if right.is_none() || domain.rights.iter().any(|given| given.found == right) {
                continue;
            }
            let name = &domain.table.name;
            let message = format!("the domain `{}` was not given the right `{}`", name.value, need.value);
            let fault = Diagnostic::new(name.span, message)
                .label(need.span, format!("`{}` needs it", component.name));
            faults.push(fault.help(format!("add \"{}\" to its `rights`", need.value)));
        }
    })
}

fn needs_right(component: &Component, right: Option<Right>) -> bool {
    right.is_some() && component.rights.iter().any(|need| Right::from_name(&need.value) == right)
}

pub(super) fn superfluous_gate(draft: &Draft<'_>) -> Vec<Diagnostic> {
    each_component(draft, |domain, component, faults| {
        let given: HashSet<&str> =
            domain.uses.iter().map(|gate_use| gate_use.table.local.value.as_str()).collect();
        for gate_use in domain.uses.iter().filter(|gate_use| !gate_use.is_needed) {
            let local = &gate_use.table.local;
            let message = format!(
                "the domain `{}` is given a gate `{}` that its component did not ask for",
                domain.table.name.value, local.value
            );
            let open = component.gates.iter().map(|need| need.local.value.as_str());
            let open = open.filter(|name| !given.contains(name));
            let help = match gate_use.need {
                Some((_, need)) => format!("did you mean `{}`?", need.local.value),
                None => propose(&local.value, &format!("other gate that `{}` needs", component.name), open),
            };
            let fault = Diagnostic::new(local.span, message)
                .label(component.summary.span, format!("`{}` is described here", component.name));
            faults.push(fault.help(format!("remove it, or name it in [needs.gates]; {help}")));
        }
    })
}

pub(super) fn superfluous_device(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let owners = owners(draft);
    each_component(draft, |domain, component, faults| {
        let mut earlier = HashSet::new();
        for given in domain.devices.iter().filter(|given| given.is_known) {
            let is_first = earlier.insert(given.written.value.as_str());
            let Some((_, device)) = given.found.filter(|_| is_first && given.need.is_none()) else {
                continue;
            };
            let message = format!(
                "the domain `{}` is given the device `{}`, a {}, that its component did not ask for",
                domain.table.name.value, given.written.value, device.class.value
            );
            let mut fault = Diagnostic::new(given.written.span, message)
                .label(device.class.span, "its class is stated here");
            for need in &component.devices {
                fault = fault.label(need.class.span, format!("`{}` asks for this class", component.name));
            }
            let is_open = |place: usize| {
                !domain.devices.iter().any(|other| other.need.is_some_and(|(served, _)| served == place))
            };
            let open = component.devices.iter().enumerate().filter(|(place, _)| is_open(*place));
            let classes: HashSet<&str> = open.map(|(_, need)| need.class.value.as_str()).collect();
            let devices = draft.platform.iter().flat_map(|platform| &platform.devices);
            let mut fit = devices.into_iter().filter(|device| {
                classes.contains(device.class.value.as_str())
                    && !owners.contains_key(device.name.value.as_str())
            });
            faults.push(fault.help(match fit.next() {
                Some(device) => {
                    format!("put \"{}\", a {}, in its place", device.name.value, device.class.value)
                }
                None => "remove it, or name its class in [needs.devices]".to_owned(),
            }));
        }
    })
}

pub(super) fn superfluous_right(draft: &Draft<'_>) -> Vec<Diagnostic> {
    each_component(draft, |domain, component, faults| {
        let is_given = |right: &str| domain.table.rights.iter().any(|given| given.value == right);
        let missing = component.rights.iter().find(|need| !is_given(&need.value));
        let superfluous =
            domain.rights.iter().filter(|right| right.is_known && !needs_right(component, right.found));
        for Named { written: At { value: name, span }, .. } in superfluous {
            let message = format!(
                "the domain `{}` is given the right `{name}` that its component did not ask for",
                domain.table.name.value
            );
            let fault = Diagnostic::new(*span, message)
                .label(component.summary.span, format!("`{}` is described here", component.name));
            faults.push(fault.help(match missing {
                Some(need) => format!("put \"{}\" in its place", need.value),
                None => "remove it, or name it in `rights` of [needs]".to_owned(),
            }));
        }
    })
}

pub(super) fn arguments(draft: &Draft<'_>) -> Vec<Diagnostic> {
    each_component(draft, |domain, component, faults| {
        let Some(arguments) = &domain.table.arguments else { return };
        let name = &domain.table.name.value;
        if component.arguments.is_none() {
            let message =
                format!("the domain `{name}` is given arguments that its component did not ask for");
            let fault = Diagnostic::new(arguments.span, message)
                .label(component.summary.span, format!("`{}` is described here", component.name));
            faults
                .push(fault.help("remove them, or say in the component's domain.toml what `arguments` mean"));
            return;
        }
        let bytes = arguments.value.len();
        if bytes > MAX_ARGUMENT_BYTES {
            let message = format!("the arguments of `{name}` have {bytes} bytes");
            let help = format!("give at most {MAX_ARGUMENT_BYTES}");
            faults.push(Diagnostic::new(arguments.span, message).help(help));
        }
    })
}

pub(super) fn gate_not_offered(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let servers = Servers::new(draft);
    let uses = draft.domains.iter().enumerate();
    let uses = uses.flat_map(|(client, domain)| domain.uses.iter().map(move |gate_use| (client, gate_use)));
    let mut faults = Vec::new();
    for (client, gate_use) in uses.filter(|(_, gate_use)| gate_use.is_known && gate_use.offer.is_none()) {
        let (Some((_, need)), Some(server)) = (gate_use.need, gate_use.server) else { continue };
        let Some(component) = draft.domains[server].component else { continue };
        let gate = &need.gate;
        let message =
            format!("the domain `{}` does not offer a gate `{}`", gate_use.table.from.value, gate.value);
        let fault = Diagnostic::new(gate_use.table.from.span, message)
            .label(gate.span, "asked for here")
            .label(component.summary.span, format!("`{}` is described here", component.name));
        faults.push(fault.help(match servers.of(&gate.value, client).first() {
            Some(other) => format!("`{other}` does"),
            None if servers.has_unknown => "name a domain that does".to_owned(),
            None => "no other domain of this system does; add one that does".to_owned(),
        }));
    }
    faults
}

pub(super) fn given_twice(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let mut faults = Vec::new();
    let mut owners: BTreeMap<&str, (&At<String>, &str)> = BTreeMap::new();
    for domain in &draft.domains {
        let owner = domain.table.name.value.as_str();
        // However often a domain lists a device, it is told once.
        let mut told = HashSet::new();
        for device in &domain.table.devices {
            let name = device.value.as_str();
            let Some((first, other)) = owners.get(name) else {
                owners.insert(name, (device, owner));
                continue;
            };
            if told.insert(name) {
                faults.push(device_twice(device, owner, first.span, other));
            }
        }
        faults.extend(rights_twice(&domain.table.rights));
    }
    faults
}

fn device_twice(device: &At<String>, owner: &str, first: Span, other: &str) -> Diagnostic {
    let name = &device.value;
    if other == owner {
        return twice(&format!("the device `{name}` is given twice to one domain"), device.span, first);
    }
    let message = format!("the device `{name}` is given twice, to `{other}` and to `{owner}`");
    let fault = Diagnostic::new(device.span, message).note("given again here");
    fault
        .label(first, "given first here")
        .help("a device has one owner; let the others reach it through a gate")
}

fn rights_twice(rights: &[At<String>]) -> Vec<Diagnostic> {
    let (mut earlier, mut told) = (HashMap::new(), HashSet::new());
    let again = rights.iter().filter_map(|right| {
        let first = *earlier.entry(right.value.as_str()).or_insert(right.span);
        let message = format!("the right `{}` is given twice to one domain", right.value);
        let is_news = first != right.span && told.insert(right.value.as_str());
        is_news.then(|| twice(&message, right.span, first))
    });
    again.collect()
}

pub(super) fn gate_given_twice(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let mut faults = Vec::new();
    for domain in &draft.domains {
        let mut earlier = HashMap::new();
        for (place, gate_use) in domain.uses.iter().enumerate() {
            let local = &gate_use.table.local;
            let (first, span) = *earlier.entry(local.value.as_str()).or_insert((place, local.span));
            // A name that is none may lead to a domain that has its own port already.
            let has_stranger = || draft.switches.iter().any(|switch| switch.has_strangers());
            let is_told =
                || gate_use.table.is_port && (draft.inputs.spoiled.contains_part("switch") || has_stranger());
            if first != place && !is_told() {
                let message = format!("the gate `{}` is given twice to one domain", local.value);
                faults.push(twice(&message, local.span, span));
            }
        }
    }
    faults
}

fn twice(message: &str, again: Span, first: Span) -> Diagnostic {
    let fault = Diagnostic::new(again, message).note("given again here");
    fault.label(first, "given first here").help("remove one of them")
}

pub(super) fn option(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let uses = draft.domains.iter().flat_map(|domain| &domain.uses);
    let mut faults: Vec<_> = uses.flat_map(wrong_options).collect();
    let components = draft.inputs.components.values().filter_map(crate::manifest::Lookup::found);
    for rule in components.flat_map(|component| &component.offers).flat_map(|offer| &offer.options) {
        faults.extend(wrong_rule(rule));
    }
    faults
}

fn wrong_options(gate_use: &DraftGateUse<'_>) -> Vec<Diagnostic> {
    let Some((_, offer)) = gate_use.offer.filter(|_| gate_use.is_needed && gate_use.is_known) else {
        return Vec::new();
    };
    let gate = &offer.name.value;
    let rule_of = |name: &str| offer.options.iter().find(|rule| rule.name.value == name);
    let wrong = gate_use.table.options.iter().filter_map(|(name, value)| match rule_of(&name.value) {
        Some(rule) if value.value <= rule.max => None,
        Some(rule) => {
            let message = format!("{} = {} is out of range for the gate `{gate}`", name.value, value.value);
            let fault =
                Diagnostic::new(value.span, message).label(rule.name.span, "its range is stated here");
            Some(fault.help(format!("give a number from 0 to {}", rule.max)))
        }
        None => {
            let message = format!("the gate `{gate}` has no option `{}`", name.value);
            let fault =
                Diagnostic::new(name.span, message).label(offer.name.span, "the gate is offered here");
            let (local, server) = (&gate_use.table.local.value, &gate_use.table.from.value);
            let known = offer.options.iter().map(|rule| rule.name.value.as_str());
            Some(fault.help(if offer.options.is_empty() {
                format!("write `uses.{local} = \"{server}\"`: the gate has no option")
            } else {
                propose(&name.value, "option of this gate", known)
            }))
        }
    });
    wrong.collect()
}

fn wrong_rule(rule: &OptionRule) -> Option<Diagnostic> {
    if rule.default <= rule.max && rule.max <= u64::from(u32::MAX) {
        return None;
    }
    let message = format!(
        "the option `{}` has the default {} and the largest value {}",
        rule.name.value, rule.default, rule.max
    );
    let help = format!("let default be at most max, and max at most {}", u32::MAX);
    Some(Diagnostic::new(rule.name.span, message).help(help))
}

/// A server gets all options of a client as one number.
pub(super) fn options_together(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let components = draft.inputs.components.values().filter_map(crate::manifest::Lookup::found);
    components.flat_map(|component| &component.offers).flat_map(wrong_together).collect()
}

fn wrong_together(offer: &Offer) -> Vec<Diagnostic> {
    let bits: u32 = offer.options.iter().map(OptionRule::bits).fold(0, u32::saturating_add);
    let mut faults = Vec::new();
    // One that is too large by itself is another check's.
    if bits > u32::BITS && offer.options.len() > 1 {
        let message = format!("the options of the gate `{}` take {bits} bits together", offer.name.value);
        let help = format!("let their largest values have {} bits together", u32::BITS);
        faults.push(Diagnostic::new(offer.name.span, message).help(help));
    }
    for (place, rule) in offer.options.iter().enumerate() {
        let before = offer.options[..place].iter().find(|before| before.name.value == rule.name.value);
        faults.extend(before.map(|before| {
            let message = format!("the gate `{}` has two options `{}`", offer.name.value, rule.name.value);
            twice(&message, rule.name.span, before.name.span)
        }));
    }
    faults
}

fn each_component(
    draft: &Draft<'_>,
    mut judge: impl FnMut(&DraftDomain<'_>, &Component, &mut Vec<Diagnostic>),
) -> Vec<Diagnostic> {
    let mut faults = Vec::new();
    for domain in &draft.domains {
        if let Some(component) = domain.component {
            judge(domain, component, &mut faults);
        }
    }
    faults
}
