//! Disks: what is on each, who drives it, and who has what of it.

use std::collections::{HashMap, HashSet};

use crate::diagnostic::{At, Diagnostic, Span};
use crate::manifest::{DISK_GATE, DiskTable, DiskUse};
use crate::system::{Draft, DraftDisk, DraftDomain};

/// Bytes of a sector.
const SECTOR_BYTES: u64 = 512;
/// Size of a disk that is made for a run, in MiB.
const SCRATCH_MIB: std::ops::RangeInclusive<u64> = 1..=1 << 20;
/// Others that one fault shows.
const MOST_LABELS: usize = 8;
/// Numbers of partitions: as many as a GPT has as a rule.
const PARTITIONS: std::ops::RangeInclusive<u64> = 1..=128;

/// Each disk whose domain there is: that others are none is told once.
fn each_disk<'d, 'a>(draft: &'d Draft<'a>) -> impl Iterator<Item = &'d DraftDisk<'a>> {
    draft.disks.iter().filter(|disk| disk.is_known)
}

/// The disks by the names of the domains that drive them.
fn by_name<'d>(draft: &'d Draft<'_>) -> HashMap<&'d str, &'d DiskTable> {
    draft.disks.iter().map(|disk| (disk.table.name.value.as_str(), disk.table)).collect()
}

/// Each entry of `disks`, with its domain, where all of them could be read.
fn each_use<'d>(draft: &'d Draft<'_>) -> impl Iterator<Item = Taker<'d>> {
    let whole = draft.domains.iter().filter(|domain| !draft.is_spoiled(domain.table, "disks"));
    whole.flat_map(|domain| domain.table.disks.iter().map(move |given| (domain, given)))
}

/// The number of a partition that there cannot be.
fn no_partition(given: &DiskUse) -> Option<&At<u64>> {
    given.partition.as_ref().filter(|number| !PARTITIONS.contains(&number.value))
}

/// A disk is driven by a domain that offers it, and it is said what is on it, in one way.
pub(super) fn nothing_on_it(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let mut faults = Vec::new();
    for disk in each_disk(draft) {
        let name = &disk.table.name;
        let Some(component) = disk.domain.and_then(|domain| draft.domains[domain].component) else {
            continue;
        };
        let (source, path) = disk.table.path();
        if !component.offers.iter().any(|offer| offer.name.value == DISK_GATE) {
            let message = format!(
                "the domain `{}` cannot be a disk: its component `{}` offers no gate `{DISK_GATE}`",
                name.value, component.name
            );
            let fault = Diagnostic::new(name.span, message).label(component.summary.span, "here");
            faults.push(
                fault.help(format!("let it run a component that offers `{DISK_GATE}`, such as `disk`")),
            );
        } else if !draft.inputs.spoiled.contains(source, &path) {
            faults.extend(wrong_content(disk));
        }
    }
    let drives = draft.domains.iter().filter(|domain| {
        let offers = |component: &crate::manifest::Component| {
            component.offers.iter().any(|offer| offer.name.value == DISK_GATE)
        };
        domain.component.is_some_and(offers)
    });
    let named = by_name(draft);
    let has_stranger =
        draft.disks.iter().any(|disk| !disk.is_known) || draft.inputs.spoiled.contains_table("disk");
    for domain in
        drives.filter(|domain| !has_stranger && !named.contains_key(domain.table.name.value.as_str()))
    {
        let name = &domain.table.name;
        let message = format!("nothing says what is on the disk that the domain `{}` drives", name.value);
        let help = format!("add `[disk.{}]` with `file = \"…\"` or `scratch_mib = 64`", name.value);
        faults.push(Diagnostic::new(name.span, message).help(help));
    }
    faults
}

fn wrong_content(disk: &DraftDisk<'_>) -> Option<Diagnostic> {
    let name = &disk.table.name;
    let help = "give either `file`, a file of the host, or `scratch_mib`, a size";
    match (&disk.table.file, &disk.table.scratch_mib) {
        (None, None) => {
            let message = format!("nothing is said of what is on the disk `{}`", name.value);
            Some(Diagnostic::new(name.span, message).help(help))
        }
        (Some(file), Some(size)) => {
            let message = format!("the disk `{}` is a file, and it is made for each run", name.value);
            Some(Diagnostic::new(size.span, message).label(file.span, "the file").help(help))
        }
        (None, Some(size)) if !SCRATCH_MIB.contains(&size.value) => {
            let message = format!("the disk `{}` cannot have {} MiB", name.value, size.value);
            let (least, most) = (SCRATCH_MIB.start(), SCRATCH_MIB.end());
            Some(Diagnostic::new(size.span, message).help(format!("give from {least} to {most} MiB")))
        }
        _ => None,
    }
}

/// A file that is a disk has whole sectors.
pub(super) fn unusable_file(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let mut faults = Vec::new();
    for disk in &draft.disks {
        let Some((written, facts)) = disk.file else { continue };
        let reason = match facts {
            Err(reason) => reason.clone(),
            Ok(facts) if facts.bytes == 0 => "the file is empty".to_owned(),
            Ok(facts) if !facts.bytes.is_multiple_of(SECTOR_BYTES) => {
                format!("it has {} bytes, which are no whole sectors of {SECTOR_BYTES}", facts.bytes)
            }
            Ok(_) => continue,
        };
        let name = &disk.table.name.value;
        let message = format!("the file {:?} of the disk `{name}` cannot be used: {reason}", written.value);
        let place = draft.inputs.folder.join(&written.value);
        let fault = Diagnostic::new(written.span, message).note(place.display().to_string());
        faults.push(
            fault.help(
                "give a file of whole sectors, seen from the manifest's folder, or `scratch_mib`, a size",
            ),
        );
    }
    faults
}

/// What somebody writes is nobody else's.
pub(super) fn shared(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let mut faults = same_file(draft);
    let disks = by_name(draft);
    let mut takers: HashMap<(&str, u64), Takers<'_>> = HashMap::new();
    let mut known = HashSet::new();
    let mut told = HashMap::new();
    for taker in each_use(draft).filter(|(_, given)| no_partition(given).is_none()) {
        let (domain, given) = taker;
        let disk = given.disk.value.as_str();
        let is_read_only = given.is_read_only || disks.get(disk).is_some_and(|table| table.is_read_only);
        // Two partitions have no sector in common: whether a disk's table keeps to that, its domain sees to.
        let in_the_way = match part(given) {
            0 => vec![ANY_PART],
            number => vec![0, number],
        };
        let of_part = |part: &u64| takers.get(&(disk, *part)).copied().unwrap_or_default();
        let mut others = in_the_way.iter().filter_map(|part| of_part(part).in_the_way(is_read_only));
        let is_twice = !known.insert((disk, part(given), domain.table.name.value.as_str()));
        let again = is_twice.then(|| of_part(&part(given)).first).flatten();
        match others.next().or(again) {
            Some(other) if is_twice || other.0.table.name == domain.table.name => {
                faults.push(shared_by(taker, other, true));
            }
            Some(other) => tell_once(&mut faults, &mut told, taker, other),
            None => {}
        }
        for part in [ANY_PART, part(given)] {
            takers.entry((disk, part)).or_default().add(taker, is_read_only);
        }
    }
    faults
}

/// One entry can be in the way of several, and one mistake is the likely cause. `told`: in which fault an entry is.
fn tell_once<'d>(
    faults: &mut Vec<Diagnostic>,
    told: &mut HashMap<Span, usize>,
    taker: Taker<'d>,
    other: Taker<'d>,
) {
    let at = taker.1.disk.span;
    let place = told.get(&other.1.disk.span).copied();
    match place {
        Some(place) if faults[place].labels.len() < MOST_LABELS => {
            faults[place].labels.push((at, format!("and by `{}`", taker.0.table.name.value)));
        }
        Some(_) => {}
        None => faults.push(shared_by(taker, other, false)),
    }
    let place = place.unwrap_or(faults.len() - 1);
    told.insert(at, place);
    told.insert(other.1.disk.span, place);
}

/// In place of a partition's number: whatever it is.
const ANY_PART: u64 = u64::MAX;

/// A domain, and what it has of a disk.
type Taker<'d> = (&'d DraftDomain<'d>, &'d DiskUse);

/// Who has a part of a disk.
#[derive(Clone, Copy, Default)]
struct Takers<'d> {
    /// The first.
    first: Option<Taker<'d>>,
    /// The first that may write.
    writer: Option<Taker<'d>>,
}

impl<'d> Takers<'d> {
    fn add(&mut self, taker: Taker<'d>, is_read_only: bool) {
        self.first.get_or_insert(taker);
        if !is_read_only {
            self.writer.get_or_insert(taker);
        }
    }

    /// Who keeps one more from having it.
    fn in_the_way(self, is_read_only: bool) -> Option<Taker<'d>> {
        if is_read_only { self.writer } else { self.first }
    }
}

/// The number of the partition; 0: all of the disk.
fn part(given: &DiskUse) -> u64 {
    given.partition.as_ref().map_or(0, |number| number.value)
}

fn shared_by((domain, given): Taker<'_>, (owner, other): Taker<'_>, is_twice: bool) -> Diagnostic {
    let (disk, name, owner_name) = (&given.disk, &domain.table.name.value, &owner.table.name.value);
    let message = if is_twice {
        format!("the domain `{name}` is given the disk `{}` twice", disk.value)
    } else {
        format!(
            "`{owner_name}` and `{name}` have the same sectors of the disk `{}`, and not only to read",
            disk.value
        )
    };
    let fault = Diagnostic::new(disk.span, message).label(other.disk.span, "given before");
    fault.help("give each a partition of its own, or `read_only = true` to both")
}

/// One file behind two disks is one disk.
fn same_file(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let mut first_with: HashMap<(u64, u64), (&DraftDisk<'_>, Span)> = HashMap::new();
    let mut faults = Vec::new();
    for disk in &draft.disks {
        let Some((written, Ok(facts))) = disk.file else { continue };
        match first_with.get(&facts.identity) {
            Some((other, first)) if !(other.table.is_read_only && disk.table.is_read_only) => {
                let names = (&other.table.name.value, &disk.table.name.value);
                let message =
                    format!("the disks `{}` and `{}` are one file, and not only to read", names.0, names.1);
                let fault = Diagnostic::new(written.span, message).label(*first, "first here");
                faults.push(fault.help("give each a file of its own, or `read_only = true` to both"));
            }
            Some(_) => {}
            None => drop(first_with.insert(facts.identity, (disk, written.span))),
        }
    }
    faults
}

/// A guest that goes on from where it was saved finds its memory as it was then; a disk would be as it is now.
pub(super) fn saved_without(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let disks = by_name(draft);
    let writes = |given: &DiskUse| {
        let is_read_only = disks.get(given.disk.value.as_str()).is_some_and(|table| table.is_read_only);
        !given.is_read_only && !is_read_only
    };
    let wrong = each_use(draft).filter(|(_, given)| writes(given));
    let wrong = wrong.filter_map(|(domain, given)| Some((domain, given, domain.table.guest.saves?)));
    let faults = wrong.map(|(domain, given, at)| {
        let (name, disk) = (&domain.table.name.value, &given.disk);
        let message = format!(
            "the guest of `{name}` can be saved, and writes to the disk `{}`, which is not saved with it",
            disk.value
        );
        let fault = Diagnostic::new(disk.span, message).label(at, "it says so here");
        fault.help(format!("remove `saves`, or write `{{ disk = \"{}\", read_only = true }}`", disk.value))
    });
    faults.collect()
}

/// Whom a disk is given to is said by `disks`, and as what it is.
pub(super) fn given_wrongly(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let mut faults = Vec::new();
    let disks = by_name(draft);
    for (domain, given) in each_use(draft) {
        let name = &domain.table.name.value;
        let At { value: disk, span } = &given.disk;
        if let Some(number) = no_partition(given) {
            let message = format!("`{name}` cannot have the partition {} of the disk `{disk}`", number.value);
            let help = format!("give a number from {} to {}", PARTITIONS.start(), PARTITIONS.end());
            faults.push(Diagnostic::new(number.span, message).help(help));
        }
        if let Some(table) = disks.get(disk.as_str())
            && table.is_read_only
            && !given.is_read_only
        {
            let message = format!("`{name}` is given the disk `{disk}` to write, which is read-only");
            let fault = Diagnostic::new(*span, message).label(table.name.span, "it says so here");
            faults.push(fault.help(format!("write `{{ disk = \"{disk}\", read_only = true }}`")));
        }
    }
    for domain in &draft.domains {
        let given = domain.uses.iter().filter(|gate_use| gate_use.table.is_disk);
        let given: HashSet<&str> = given.map(|gate_use| gate_use.table.local.value.as_str()).collect();
        // What is given twice is told of another way.
        let stated = domain.uses.iter().filter(|gate_use| {
            let is_told = gate_use.table.is_disk || given.contains(gate_use.table.local.value.as_str());
            gate_use.is_known && !is_told
        });
        let disks = stated.filter(|gate_use| {
            gate_use.need.is_some_and(|(_, need)| need.gate.value == DISK_GATE) && gate_use.is_needed
        });
        for gate_use in disks {
            let (local, from) = (&gate_use.table.local, &gate_use.table.from.value);
            let message = format!("the gate `{}` of `{}` is a disk's", local.value, domain.table.name.value);
            let help = format!("write `disks = [\"{from}\"]` in its place, so that it is clear who has what");
            faults.push(Diagnostic::new(local.span, message).help(help));
        }
    }
    faults
}
