//! Images: with what else a domain can be started than what it has unless somebody chooses. Those of a guest are kernels; those
//! of a domain without one are components, which get what the domain has, and so must need no more.

use cloison_abi::Name;
use cloison_abi::plan::MAX_IMAGES;

use crate::diagnostic::{At, Diagnostic};
use crate::manifest::{Component, DeviceNeed, GateNeed, Offer};
use crate::system::{Draft, DraftDomain, Named, image_name};

/// Each component that a domain can be started with beside its own.
pub(super) fn images<'d>(
    draft: &'d Draft<'_>,
) -> impl Iterator<Item = (&'d DraftDomain<'d>, &'d Named<'d, &'d Component>)> {
    draft.domains.iter().flat_map(|domain| domain.images.iter().map(move |image| (domain, image)))
}

/// With what a domain can be started, first what it has unless somebody chooses: kernels of its guest, or components. Nothing
/// if nobody could choose: it has a program alone.
fn all_of<'d>(domain: &'d DraftDomain<'_>) -> Vec<&'d At<String>> {
    let table = domain.table;
    match domain.component {
        Some(component) if component.guest.as_ref().is_some_and(|guest| guest.is_linux) => {
            table.guest.kernels().collect()
        }
        Some(component) if component.guest.is_none() && !table.guest.images.is_empty() => {
            table.component.iter().chain(&table.guest.images).collect()
        }
        _ => Vec::new(),
    }
}

/// Whether its images are kernels.
fn has_guest(domain: &DraftDomain<'_>) -> bool {
    domain.component.is_some_and(|component| component.guest.is_some())
}

/// Whose images they are, for a person.
fn owner(domain: &DraftDomain<'_>) -> String {
    let name = &domain.table.name.value;
    if has_guest(domain) { format!("the guest of `{name}`") } else { format!("the domain `{name}`") }
}

/// The manager calls an image by its name.
pub(super) fn unnamed(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let on_request = draft.domains.iter().filter(|domain| domain.table.on_request().is_some());
    let images = on_request.flat_map(|domain| all_of(domain).into_iter().map(move |image| (domain, image)));
    let faults = images.filter_map(|(domain, written)| {
        let image = image_name(&written.value);
        if Name::new(image).is_some() {
            return None;
        }
        let (message, named) = match has_guest(domain) {
            true => (format!("nobody can ask for a guest with the kernel {image:?}"), "file"),
            false => {
                (format!("nobody can ask for {} with the program {image:?}", owner(domain)), "component")
            }
        };
        let help = format!("give the {named} a name of at most {} visible characters of ASCII", Name::BYTES);
        Some(Diagnostic::new(written.span, message).help(help))
    });
    faults.collect()
}

/// Images among which nobody chooses.
pub(super) fn unchosen(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let at_boot = draft
        .domains
        .iter()
        .filter(|domain| !draft.is_spoiled(domain.table, "start"))
        // What start is none is told there.
        .filter(|domain| domain.table.start.as_ref().is_none_or(|start| start.value == "boot"));
    let faults = at_boot.filter(|domain| !all_of(domain).is_empty()).filter_map(|domain| {
        let image = domain.table.guest.images.first()?;
        let message = format!("{} has `images`, and nobody chooses among them", owner(domain));
        Some(Diagnostic::new(image.span, message).help("remove them, or write `start = \"on-request\"`"))
    });
    faults.collect()
}

/// Each image of a domain has a name of its own, and there are not too many of them.
pub(super) fn same_or_too_many(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let mut faults = Vec::new();
    for domain in &draft.domains {
        let (owner, kind, rename) = match has_guest(domain) {
            true => (owner(domain), "kernel", ", or give one of the files another name"),
            false => (owner(domain), "program", "; the domain's own is `component`"),
        };
        let mut known: Vec<&At<String>> = Vec::new();
        for written in all_of(domain) {
            let image = image_name(&written.value);
            if let Some(first) = known.iter().find(|first| image_name(&first.value) == image) {
                let message = format!("{owner} has two {kind}s that are called {image:?}");
                let fault = Diagnostic::new(written.span, message).label(first.span, "the first");
                faults.push(fault.help(format!("name each of them once{rename}")));
            }
            known.push(written);
        }
        if let Some(first_too_many) = known.get(MAX_IMAGES) {
            let message = format!("{owner} has {} {kind}s, {MAX_IMAGES} fit", known.len());
            faults.push(Diagnostic::new(first_too_many.span, message).note("the first that does not fit"));
        }
    }
    faults
}

/// What a domain has is what its component asks for, whatever else it is started with.
pub(super) fn unfit(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let mut faults = Vec::new();
    for (place, domain) in draft.domains.iter().enumerate() {
        let Some(own) = domain.component else { continue };
        faults.extend(too_little(draft, domain, own, "stack_kib", |component| component.stack_kib));
        faults.extend(too_little(draft, domain, own, "heap_kib", |component| component.heap_kib));
        faults.extend(kept(domain, own));
        for image in &domain.images {
            let Some(component) = image.found else { continue };
            let fit = Fit { draft, place, domain, own, image: component };
            faults.extend(fit.lacks().into_iter().map(|lack| fit.fault(image.written, lack)));
        }
    }
    faults
}

/// Stack or heap of which an image needs more than the domain has. The one that needs most is told.
fn too_little(
    draft: &Draft<'_>,
    domain: &DraftDomain<'_>,
    own: &Component,
    key: &str,
    kib: fn(&Component) -> u64,
) -> Option<Diagnostic> {
    let table = domain.table;
    let stated = if key == "stack_kib" { &table.stack_kib } else { &table.heap_kib };
    let has = stated.as_ref().map_or(kib(own), |stated| stated.value);
    let images = domain.images.iter().filter_map(|image| Some((image.written, image.found?)));
    let (written, needs) = images.max_by_key(|(_, component)| kib(component))?;
    let needed = kib(needs);
    if needed <= has || draft.is_spoiled(table, key) {
        return None;
    }
    let (name, image) = (&table.name.value, &needs.name);
    let what = key.trim_end_matches("_kib");
    let message =
        format!("the domain `{name}` has {has} KiB of {what}, its image `{image}` needs {needed} KiB");
    let at = stated.as_ref().map_or(written.span, |stated| stated.span);
    let fault =
        Diagnostic::new(at, message).label(needs.summary.span, format!("`{image}` is described here"));
    Some(fault.help(format!("write `{key} = {needed}` for the domain")))
}

/// What is kept between lives is kept between programs, too: one would find what another has left.
fn kept(domain: &DraftDomain<'_>, own: &Component) -> Option<Diagnostic> {
    let image = domain.images.first()?;
    let region = own.regions.iter().find(|need| need.is_kept)?;
    let (name, local) = (&domain.table.name.value, &region.local.value);
    let message =
        format!("the domain `{name}` has `images` and a region `{local}` that is kept between its lives");
    let fault = Diagnostic::new(image.written.span, message)
        .label(region.local.span, "`keep = true` here")
        .note("one program would find there what another one has left");
    Some(fault.help("remove `images`, or `keep`"))
}

/// What an image needs that its domain has not, or does not offer that others use; and what to do.
type Lack = (String, String);

/// A domain, what it runs, and another component that it is to be started with.
struct Fit<'d> {
    draft: &'d Draft<'d>,
    place: usize,
    domain: &'d DraftDomain<'d>,
    own: &'d Component,
    image: &'d Component,
}

impl Fit<'_> {
    fn fault(&self, written: &At<String>, (what, help): Lack) -> Diagnostic {
        let (name, image, own) = (&self.domain.table.name.value, &self.image.name, &self.own.name);
        let message = format!("the domain `{name}` cannot run `{image}`: {what}");
        let fault = Diagnostic::new(written.span, message)
            .label(self.own.summary.span, format!("`{own}`, which it runs, is described here"))
            .label(self.image.summary.span, format!("`{image}` is described here"));
        fault.help(help)
    }

    fn lacks(&self) -> Vec<Lack> {
        let mut lacks = self.gates();
        lacks.extend(self.devices());
        lacks.extend(self.rights());
        lacks.extend(self.regions());
        lacks.extend(self.kind());
        lacks.extend(self.offers());
        lacks
    }

    /// What to do about something that the domain's own component does not ask for.
    fn let_ask(&self, what: &str) -> String {
        format!("let `{}` ask for {what}, too, or choose another image", self.own.name)
    }

    fn gates(&self) -> Vec<Lack> {
        let needs = self.image.gates.iter().filter(|need| !need.is_optional && !self.has_gate(need));
        needs
            .map(|need| {
                let local = &need.local.value;
                (format!("it needs the gate `{local}`"), self.let_ask(&format!("the gate `{local}`")))
            })
            .collect()
    }

    /// Whether the domain has a gate under this name. What its own component needs, too, is judged there.
    fn has_gate(&self, need: &GateNeed) -> bool {
        let is_its =
            |known: &GateNeed| known.local.value == need.local.value && known.gate.value == need.gate.value;
        let Some(place) = self.own.gates.iter().position(is_its) else { return false };
        let mut given = self.domain.uses.iter().filter_map(|gate_use| gate_use.need);
        !self.own.gates[place].is_optional || given.any(|(served, _)| served == place)
    }

    fn devices(&self) -> Vec<Lack> {
        let needs = self.image.devices.iter().filter(|need| !need.is_optional && !self.has_device(need));
        needs
            .map(|need| {
                let (local, class) = (&need.local.value, &need.class.value);
                let what = format!("it needs a device `{local}` of the class `{class}`");
                (what, self.let_ask(&format!("the device `{local}`")))
            })
            .collect()
    }

    /// As [`Self::has_gate`].
    fn has_device(&self, need: &DeviceNeed) -> bool {
        let is_its = |known: &DeviceNeed| {
            known.local.value == need.local.value && known.class.value == need.class.value
        };
        let Some(place) = self.own.devices.iter().position(is_its) else { return false };
        let mut given = self.domain.devices.iter().filter_map(|device| device.need);
        !self.own.devices[place].is_optional || given.any(|(served, _)| served == place)
    }

    fn rights(&self) -> Vec<Lack> {
        let has = |right: &str| self.own.rights.iter().any(|known| known.value == right);
        let lacking = self.image.rights.iter().map(|right| &right.value).filter(|right| !has(right));
        lacking
            .map(|right| {
                (format!("it needs the right `{right}`"), self.let_ask(&format!("the right `{right}`")))
            })
            .collect()
    }

    fn regions(&self) -> Vec<Lack> {
        let lacking = self.image.regions.iter().filter_map(|need| {
            let (local, pages) = (&need.local.value, need.pages.value);
            let known = self.own.regions.iter().find(|known| known.local.value == *local);
            let what = match known {
                None => format!("it needs a region `{local}`"),
                Some(known) if known.pages.value < pages => {
                    let has = known.pages.value;
                    format!("it needs {pages} pages in its region `{local}`, and the domain's has {has}")
                }
                Some(known) if (known.is_dma, known.is_kept) != (need.is_dma, need.is_kept) => {
                    format!("its region `{local}` is another kind of memory (`dma`, `keep`)")
                }
                Some(_) => return None,
            };
            Some((what, self.let_ask(&format!("such a region `{local}`"))))
        });
        lacking.collect()
    }

    /// What the component is, beside what it has.
    fn kind(&self) -> Vec<Lack> {
        let Self { domain, own, image, .. } = self;
        let has_arguments = domain.table.arguments.is_some() && own.arguments.is_some();
        let lacking = [
            (image.guest.is_some(), "it runs a guest", "choose another image".to_owned()),
            (
                image.directory && !own.directory,
                "it needs the directory of the domains",
                self.let_ask("the directory"),
            ),
            (
                has_arguments && image.arguments.is_none(),
                "the domain has arguments, and it takes none",
                "remove `arguments`, or say in the image's domain.toml what they mean".to_owned(),
            ),
        ];
        let lacking = lacking.into_iter().filter(|(is_lacking, ..)| *is_lacking);
        lacking.map(|(_, what, help)| (what.to_owned(), help)).collect()
    }

    /// Gates of the domain that others use, and that the image does not offer as the domain's component does.
    fn offers(&self) -> Vec<Lack> {
        let uses = self.draft.domains.iter().flat_map(|domain| &domain.uses);
        let uses = uses.filter(|gate_use| gate_use.server == Some(self.place));
        let mut used: Vec<&Offer> = Vec::new();
        for (_, offer) in uses.filter_map(|gate_use| gate_use.offer) {
            if !used.iter().any(|known| known.name.value == offer.name.value) {
                used.push(offer);
            }
        }
        let lacking = used.into_iter().filter_map(|offer| {
            let gate = &offer.name.value;
            let what = match self.image.offers.iter().find(|other| other.name.value == *gate) {
                None => format!("it does not offer the gate `{gate}`, which others use"),
                Some(other) if shape(other) != shape(offer) => {
                    format!(
                        "its gate `{gate}` has other memory, grants, events, options or rights of its clients"
                    )
                }
                Some(_) => return None,
            };
            Some((
                what,
                format!("let it offer `{gate}` as `{}` does, or choose another image", self.own.name),
            ))
        });
        lacking.collect()
    }
}

/// What goes with a gate.
type Shape<'a> = (u64, u64, u64, bool, bool, Vec<(&'a str, u64, u64)>, Vec<&'a str>);

/// Beside the name of a gate, what both sides have of it.
fn shape(offer: &Offer) -> Shape<'_> {
    let options = offer.options.iter().map(|rule| (rule.name.value.as_str(), rule.default, rule.max));
    let mut only_with: Vec<&str> = offer.only_with.iter().map(|right| right.value.as_str()).collect();
    only_with.sort_unstable();
    (
        offer.shared_pages,
        offer.one_way_pages,
        offer.grant_slots,
        offer.signals_client,
        offer.signals_server,
        options.collect(),
        only_with,
    )
}
