//! Names: their form, and whether somebody has them.

use cloison_abi::{Name, ObjectKind};

use crate::BUILDER;
use crate::diagnostic::{At, Diagnostic, propose};
use crate::manifest::Lookup;
use crate::system::{Draft, Right};

/// Names that no domain can have, and whose they are.
const RESERVED: [(&str, &str); 2] = [("kernel", "the kernel's"), (BUILDER, "the builder's")];

pub(super) fn malformed(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let manifest = &draft.inputs.manifest;
    let domains = manifest.domains.iter().map(|domain| ("domain", &domain.name));
    let system = manifest.name.iter().map(|name| ("system", name));
    let forwards = manifest.forwards.iter().map(|forward| ("forward", &forward.name));
    let devices = draft.platform.iter().flat_map(|platform| &platform.devices);
    let devices = devices.map(|device| ("device", &device.name));
    let components = draft.inputs.components.values().filter_map(Lookup::found);
    let locals = components.flat_map(|component| {
        let offers = component.offers.iter().map(|offer| ("gate", &offer.name));
        let gates = component.gates.iter().map(|need| ("gate", &need.local));
        let devices = component.devices.iter().map(|need| ("device", &need.local));
        let regions = component.regions.iter().map(|need| ("region", &need.local));
        offers.chain(gates).chain(devices).chain(regions)
    });
    let names = domains.chain(system).chain(forwards).chain(devices).chain(locals);
    names.filter_map(|(kind, name)| malformed_name(kind, name)).collect()
}

fn malformed_name(kind: &str, name: &At<String>) -> Option<Diagnostic> {
    let text = &name.value;
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let reason = if text.is_empty() {
        "it is empty".to_owned()
    } else if text.len() > Name::BYTES {
        format!("it has {} characters, at most {} fit", text.chars().count(), Name::BYTES)
    } else if !text.starts_with(|first: char| first.is_ascii_lowercase()) {
        "it does not begin with a letter from a to z".to_owned()
    } else {
        let wrong = text.chars().find(|letter| !letter.is_ascii() || !is_plain(*letter as u8))?;
        format!("it has a {wrong:?} in it")
    };
    let message = format!("`{text}` cannot be the name of a {kind}: {reason}");
    let help = format!("use a-z, 0-9 and -, beginning with a letter, at most {} in all", Name::BYTES);
    Some(Diagnostic::new(name.span, message).help(help))
}

pub(super) fn reserved(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let mut faults = Vec::new();
    for domain in &draft.domains {
        let name = &domain.table.name;
        if let Some((_, owner)) = RESERVED.iter().find(|(reserved, _)| *reserved == name.value) {
            let message = format!("a domain cannot have the name `{}`: it is {owner}", name.value);
            faults.push(Diagnostic::new(name.span, message).help("give the domain another name"));
        }
        let component = domain.table.component.as_ref().filter(|component| component.value == BUILDER);
        if let Some(component) = component {
            let message = format!("the domain `{}` cannot run the component `{BUILDER}`", name.value);
            let help = "every system has one builder already; remove this domain";
            faults.push(Diagnostic::new(component.span, message).help(help));
        }
    }
    faults
}

pub(super) fn unknown_platform(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let Some(name) = &draft.inputs.manifest.platform else { return Vec::new() };
    if !matches!(draft.inputs.platform, Lookup::Absent) {
        return Vec::new();
    }
    let message = format!("there is no platform `{}`", name.value);
    let known = draft.inputs.known_platforms.iter().map(String::as_str);
    let fault =
        Diagnostic::new(name.span, message).note(format!("no file manifests/platforms/{}.toml", name.value));
    vec![fault.help(propose(&name.value, "platform", known))]
}

pub(super) fn unknown_component(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let known = draft.inputs.known_components.iter().map(String::as_str);
    let mut faults = Vec::new();
    for name in draft.domains.iter().filter_map(|domain| domain.table.component.as_ref()) {
        if matches!(draft.inputs.components.get(&name.value), Some(Lookup::Absent)) {
            let fault = Diagnostic::new(name.span, format!("there is no component `{}`", name.value))
                .note(format!("no file domains/{}/domain.toml", name.value));
            faults.push(fault.help(propose(&name.value, "component", known.clone())));
        }
    }
    if matches!(draft.inputs.components.get(BUILDER), Some(Lookup::Absent)) {
        let message = "the builder's component is missing: no file domains/builder/domain.toml";
        faults.push(
            Diagnostic::new(draft.inputs.manifest.start, message).help("run this in a complete checkout"),
        );
    }
    faults
}

pub(super) fn unknown_domain(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let mut wanted: Vec<(&At<String>, bool)> = Vec::new();
    wanted.extend(draft.ends_with.iter().map(|named| (named.written, named.found.is_some())));
    for domain in &draft.domains {
        // What a port implies is named by its switch.
        let uses = domain.uses.iter().filter(|grant| !grant.table.is_port);
        wanted.extend(uses.map(|grant| (&grant.table.from, grant.server.is_some())));
        wanted.extend(domain.fault_handler.iter().map(|named| (named.written, named.found.is_some())));
    }
    for switch in &draft.switches {
        wanted.push((&switch.table.name, switch.domain.is_some()));
        wanted.extend(switch.ports.iter().map(|port| (&port.table.name, port.domain.is_some())));
    }
    let forwards = draft.forwards.iter().filter_map(|forward| forward.to);
    wanted.extend(forwards.map(|named| (named.written, named.found.is_some())));
    let unknown = wanted.into_iter().filter(|(_, is_known)| !is_known);
    let faults = unknown.map(|(name, _)| {
        let fault = Diagnostic::new(name.span, format!("there is no domain `{}` in this system", name.value));
        fault.help(propose(&name.value, "domain", draft.domain_names()))
    });
    faults.collect()
}

pub(super) fn unknown_device(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let Some(platform) = draft.platform else { return Vec::new() };
    let known = platform.devices.iter().map(|device| device.name.value.as_str());
    let devices = draft.domains.iter().flat_map(|domain| &domain.devices);
    let unknown = devices.filter(|device| device.found.is_none());
    let faults = unknown.map(|device| {
        let name = &device.written.value;
        let message = format!("the platform `{}` has no device `{name}`", platform.name);
        Diagnostic::new(device.written.span, message).help(propose(name, "device", known.clone()))
    });
    faults.collect()
}

pub(super) fn unknown_right(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let needed = draft.inputs.components.values().filter_map(Lookup::found);
    let needed = needed.flat_map(|component| &component.rights);
    let given = draft.domains.iter().flat_map(|domain| &domain.table.rights);
    given.chain(needed).filter_map(unknown_right_name).collect()
}

fn unknown_right_name(name: &At<String>) -> Option<Diagnostic> {
    if Right::from_name(&name.value).is_some() {
        return None;
    }
    if name.value == ObjectKind::BuilderRight.name() {
        let message = format!("the right `{}` cannot be given: it is the builder's alone", name.value);
        return Some(Diagnostic::new(name.span, message).help("remove it"));
    }
    let fault = Diagnostic::new(name.span, format!("there is no right `{}`", name.value));
    Some(fault.help(propose(&name.value, "right", Right::ALL.iter().map(|right| right.name()))))
}

pub(super) fn no_domain(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let manifest = &draft.inputs.manifest;
    if !manifest.domains.is_empty() || !draft.inputs.problems.is_empty() {
        return Vec::new();
    }
    let help = "add a table `[domain.hello]` with `component = \"hello\"`";
    vec![Diagnostic::new(manifest.start, "the system has no domain").help(help)]
}
