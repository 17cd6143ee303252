//! Names: their form, and whether somebody has them.

use std::collections::{HashMap, HashSet};

use cloison_abi::Name;

use super::images::images;
use crate::diagnostic::{At, Diagnostic, closest, propose};
use crate::manifest::Lookup;
use crate::system::{Draft, Right};
use crate::workspace::BUILDER;

/// Places of one unknown name that are shown.
const MOST_PLACES: usize = 8;
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
    let policy = manifest.policy.iter().flat_map(|policy| {
        let types = policy.types.iter().map(|kind| ("type", kind));
        let parts = policy.parts.iter().map(|part| ("policy", &part.name));
        let walls = policy.parts.iter().flat_map(|part| &part.walls);
        types.chain(parts).chain(walls.filter_map(|wall| Some(("wall", wall.name.as_ref()?))))
    });
    let groups = manifest.groups.iter().map(|group| (GROUP, &group.name));
    let names =
        domains.chain(system).chain(forwards).chain(devices).chain(locals).chain(policy).chain(groups);
    names.filter_map(|(kind, name)| malformed_name(kind, name)).collect()
}

/// The kind whose names can have a `_` in them: `bmic` is given them as names of files.
const GROUP: &str = "group";

fn malformed_name(kind: &str, name: &At<String>) -> Option<Diagnostic> {
    let reason = flaw(kind, &name.value)?;
    let message = format!("`{}` cannot be the name of a {kind}: {reason}", name.value);
    let marks = if kind == GROUP { "0-9, - and _" } else { "0-9 and -" };
    let help = format!("use a-z, {marks}, beginning with a letter, at most {} in all", Name::BYTES);
    Some(Diagnostic::new(name.span, message).help(help))
}

/// Whether the one that was probably meant by an unknown name has a name that it cannot have. Then that is the fault, and
/// what was written may be as it should.
pub(super) fn is_meant_for_malformed<'a>(
    written: &str,
    kind: &str,
    names: impl Iterator<Item = &'a str>,
) -> bool {
    closest(written, names).is_some_and(|close| flaw(kind, close).is_some())
}

/// Why something of a kind cannot have a name.
fn flaw(kind: &str, text: &str) -> Option<String> {
    let is_mark = |byte: u8| byte == b'-' || (kind == GROUP && byte == b'_');
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || is_mark(byte);
    let wrong = text.chars().find(|letter| !letter.is_ascii() || !is_plain(*letter as u8));
    if text.is_empty() {
        Some("it is empty".to_owned())
    } else if !text.starts_with(|first: char| first.is_ascii_lowercase()) {
        Some("it does not begin with a letter from a to z".to_owned())
    } else if let Some(wrong) = wrong {
        Some(format!("it has a {wrong:?} in it"))
    } else if text.len() > Name::BYTES {
        Some(format!("it has {} characters, at most {} fit", text.len(), Name::BYTES))
    } else {
        None
    }
}

pub(super) fn reserved(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let mut faults = Vec::new();
    for domain in &draft.domains {
        let name = &domain.table.name;
        if let Some((_, owner)) = RESERVED.iter().find(|(reserved, _)| *reserved == name.value) {
            let message = format!("a domain cannot have the name `{}`: it is {owner}", name.value);
            faults.push(Diagnostic::new(name.span, message).help("give the domain another name"));
        }
        let component = domain.table.component.iter().chain(domain.images.iter().map(|image| image.written));
        for component in component.filter(|component| component.value == BUILDER) {
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
    let names = draft.domains.iter().filter_map(|domain| domain.table.component.as_ref());
    let names = names.chain(images(draft).map(|(_, image)| image.written));
    let is_absent =
        |name: &&At<String>| matches!(draft.inputs.components.get(&name.value), Some(Lookup::Absent));
    let mut faults = each_name(names.filter(is_absent), |name| {
        let fault = Diagnostic::new(name.span, format!("there is no component `{}`", name.value))
            .note(format!("no file domains/{}/domain.toml", name.value));
        fault.help(propose(&name.value, "component", known.clone()))
    });
    if matches!(draft.inputs.components.get(BUILDER), Some(Lookup::Absent)) {
        let message = "the builder's component is missing: no file domains/builder/domain.toml";
        faults.push(
            Diagnostic::new(draft.inputs.manifest.start, message).help("run this in a complete checkout"),
        );
    }
    faults
}

pub(super) fn unknown_domain(draft: &Draft<'_>) -> Vec<Diagnostic> {
    if draft.inputs.spoiled.contains_table("domain") {
        return Vec::new();
    }
    let mut wanted: Vec<(&At<String>, bool)> = Vec::new();
    wanted.extend(draft.ends_with.iter().map(|named| (named.written, named.is_known)));
    for domain in &draft.domains {
        // What a port implies is named by its switch.
        let uses = domain.uses.iter().filter(|gate_use| !gate_use.table.is_port);
        wanted.extend(uses.map(|gate_use| (&gate_use.table.from, gate_use.is_known)));
        wanted.extend(domain.fault_handler.iter().map(|named| (named.written, named.is_known)));
    }
    for switch in &draft.switches {
        wanted.push((&switch.table.name, switch.is_known));
        wanted.extend(switch.ports.iter().map(|port| (&port.table.name, port.is_known)));
    }
    wanted.extend(draft.disks.iter().map(|disk| (&disk.table.name, disk.is_known)));
    let forwards = draft.forwards.iter().filter_map(|forward| forward.to);
    wanted.extend(forwards.map(|named| (named.written, named.is_known)));
    let known: HashSet<&str> = draft.domain_names().collect();
    wanted.extend(only_named(draft).map(|name| (name, known.contains(name.value.as_str()))));
    let unknown = wanted.into_iter().filter(|(_, is_known)| !is_known).map(|(name, _)| name);
    let has_malformed = draft.domain_names().any(|name| flaw("domain", name).is_some());
    let unknown = unknown.filter(|name| {
        !has_malformed || !is_meant_for_malformed(&name.value, "domain", draft.domain_names())
    });
    each_name(unknown, |name| {
        let fault = Diagnostic::new(name.span, format!("there is no domain `{}` in this system", name.value));
        let known = draft.domain_names().filter(|known| flaw("domain", known).is_none());
        fault.help(propose(&name.value, "domain", known))
    })
}

/// Domains to which nothing leads but their names: the monitor, and those that others start and end.
fn only_named<'d>(draft: &'d Draft<'_>) -> impl Iterator<Item = &'d At<String>> {
    let manifest = &draft.inputs.manifest;
    let monitor = manifest.policy.iter().filter_map(|policy| policy.monitor.as_ref());
    let uses = manifest.domains.iter().flat_map(|domain| &domain.uses);
    let permits = uses.filter_map(|table| table.permit.as_ref()?.on.as_ref()).flatten();
    monitor.chain(permits).chain(manifest.groups.iter().flat_map(|group| &group.start))
}

pub(super) fn unknown_device(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let Some(platform) = draft.platform else { return Vec::new() };
    let known = platform.devices.iter().map(|device| device.name.value.as_str());
    let devices = draft.domains.iter().flat_map(|domain| &domain.devices);
    let unknown = devices.filter(|device| !device.is_known).map(|device| device.written);
    each_name(unknown, |name| {
        let message = format!("the platform `{}` has no device `{}`", platform.name, name.value);
        Diagnostic::new(name.span, message).help(propose(&name.value, "device", known.clone()))
    })
}

pub(super) fn unknown_right(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let needed = draft.inputs.components.values().filter_map(Lookup::found);
    let needed = needed.flat_map(|component| {
        component.rights.iter().chain(component.offers.iter().flat_map(|offer| &offer.only_with))
    });
    let given = draft.domains.iter().flat_map(|domain| &domain.table.rights);
    let unknown = given.chain(needed).filter(|name| Right::from_name(&name.value).is_none());
    each_name(unknown, |name| {
        if Right::is_builders(&name.value) {
            let message = format!("the right `{}` cannot be given: it is the builder's alone", name.value);
            return Diagnostic::new(name.span, message).help("remove it");
        }
        let fault = Diagnostic::new(name.span, format!("there is no right `{}`", name.value));
        fault.help(propose(&name.value, "right", Right::ALL.iter().map(|right| right.name())))
    })
}

/// One fault for each name, however often it is written.
fn each_name<'a>(
    names: impl Iterator<Item = &'a At<String>>,
    describe: impl Fn(&'a At<String>) -> Diagnostic,
) -> Vec<Diagnostic> {
    let mut names: Vec<_> = names.collect();
    names.sort_by_key(|name| name.span);
    let mut faults: Vec<Diagnostic> = Vec::new();
    let mut places = HashMap::new();
    for name in names {
        match places.get(name.value.as_str()) {
            None => {
                places.insert(name.value.as_str(), faults.len());
                faults.push(describe(name));
            }
            Some(place) if faults[*place].labels.len() < MOST_PLACES => {
                faults[*place].labels.push((name.span, "here, too".to_owned()));
            }
            Some(_) => {}
        }
    }
    faults
}

pub(super) fn no_domain(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let manifest = &draft.inputs.manifest;
    if !manifest.domains.is_empty() || !draft.inputs.problems.is_empty() {
        return Vec::new();
    }
    let help = "add a table `[domain.hello]` with `component = \"hello\"`";
    vec![Diagnostic::new(manifest.start, "the system has no domain").help(help)]
}
