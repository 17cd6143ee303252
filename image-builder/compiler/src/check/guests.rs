//! Guests: what is said of them, and the files that they begin with.

use std::collections::BTreeSet;

use cloison_abi::guest::MAX_GUESTS;
use cloison_xen::start::COMMAND_LINE_BYTES;
use linux_core::boot::BootError;
use linux_core::memory::MAX_PAGES;

use crate::diagnostic::{At, Diagnostic, propose};
use crate::manifest::{GuestFile, GuestNeed, Lookup, Purpose, is_path};
use crate::system::{Draft, DraftDomain, NoBytes, PAGES_IN_MIB, unpack};
use crate::workspace::PAYLOADS;

/// What the component calls its TPM.
const TPM: &str = "tpm";
/// By this Linux looks for a TPM without being told of one by firmware, which a guest has not.
const SEEKS_TPM: &str = "tpm_tis.force=1";

/// The domains whose components run guests, each with what its component says of them.
fn guests<'d>(draft: &'d Draft<'_>) -> impl Iterator<Item = (&'d DraftDomain<'d>, &'d GuestNeed)> {
    draft.domains.iter().filter_map(|domain| Some((domain, domain.component?.guest.as_ref()?)))
}

/// The same of those whose guest is a Linux.
fn linuxes<'d>(draft: &'d Draft<'_>) -> impl Iterator<Item = &'d DraftDomain<'d>> {
    guests(draft).filter(|(_, need)| need.is_linux).map(|(domain, _)| domain)
}

pub(super) fn superfluous_key(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let mut faults = Vec::new();
    for domain in &draft.domains {
        let Some(component) = domain.component else { continue };
        let (name, component_name) = (&domain.table.name.value, &component.name);
        for (key, at, is_of_linux) in domain.table.guest.stated() {
            // Without a guest they are components.
            if key == "images" && component.guest.is_none() {
                continue;
            }
            let message = match &component.guest {
                Some(need) if need.is_linux || !is_of_linux => continue,
                Some(_) => format!(
                    "the domain `{name}` has `{key}`; the guest that its component `{component_name}` runs is no Linux"
                ),
                None => format!(
                    "the domain `{name}` has `{key}`, but its component `{component_name}` runs no guest"
                ),
            };
            faults.push(
                Diagnostic::new(at, message).help("remove it, or let the domain run another component"),
            );
        }
    }
    faults
}

pub(super) fn missing_key(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let mut faults = Vec::new();
    for (domain, need) in guests(draft) {
        let table = &domain.table.guest;
        let mut judge = |key: &str, is_missing: bool, example: &str| {
            if is_missing && !draft.is_spoiled(domain.table, key) {
                let name = &domain.table.name;
                let message = format!("the domain `{}` runs a guest and has no `{key}`", name.value);
                let fault = Diagnostic::new(name.span, message).label(need.at, "its component runs a guest");
                faults.push(fault.help(format!("add `{key} = {example}`")));
            }
        };
        judge("memory_mib", table.memory_mib.is_none(), "128");
        let example = "\"debian-cloud\"`, or the path of a kernel: `kernel = \"./vmlinuz\"";
        judge("kernel", need.is_linux && table.kernel.is_none(), example);
    }
    faults
}

pub(super) fn unknown_payload(draft: &Draft<'_>) -> Vec<Diagnostic> {
    // A file of payloads that cannot be read is a fault of its own.
    if matches!(draft.inputs.payloads, Lookup::Broken) {
        return Vec::new();
    }
    let files = linuxes(draft).flat_map(|domain| domain.table.guest.purposes());
    let names = files.filter(|(_, written)| !is_path(&written.value));
    let of_guests = names.filter_map(|(purpose, written)| wrong_payload(draft, purpose, written));
    let disks = draft.disks.iter().filter_map(|disk| disk.table.payload());
    of_guests.chain(disks.filter_map(|written| wrong_content(draft, written))).collect()
}

/// What a disk begins with by a name that nothing has.
fn wrong_content(draft: &Draft<'_>, written: &At<String>) -> Option<Diagnostic> {
    let name = &written.value;
    if draft.inputs.debian(name).is_some() {
        return None;
    }
    let message = match draft.inputs.payload(name) {
        Some(_) => format!("the payload `{name}` is nothing for a disk"),
        None => format!("there is no payload `{name}`"),
    };
    let all = draft.inputs.payloads.found().into_iter().flat_map(|listed| &listed.disks);
    Some(no_payload(written, message, "disk", all.map(|debian| debian.name.as_str()).collect()))
}

fn no_payload(written: &At<String>, message: String, key: &str, known: Vec<&str>) -> Diagnostic {
    let proposal = propose(&written.value, key, known);
    let help = format!("{proposal} (a path has a `/` or a `.` in it: `./{}`)", written.value);
    Diagnostic::new(written.span, message).note(format!("payloads are listed in {PAYLOADS}")).help(help)
}

fn wrong_payload(draft: &Draft<'_>, purpose: Purpose, written: &At<String>) -> Option<Diagnostic> {
    let (key, name) = (purpose.key(), &written.value);
    let message = match draft.inputs.payload(name) {
        Some(payload) if payload.purpose == purpose => return None,
        Some(_) => format!("the payload `{name}` is no {key}"),
        None => format!("there is no payload `{name}`"),
    };
    let all = draft.inputs.payloads.found().into_iter().flat_map(|listed| &listed.files);
    let fitting = all.filter(|payload| payload.purpose == purpose);
    let known = fitting.map(|payload| payload.name.value.as_str());
    Some(no_payload(written, message, key, known.collect()))
}

pub(super) fn unusable_file(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let mut faults = Vec::new();
    let files = linuxes(draft).flat_map(|domain| domain.table.guest.files());
    for written in files.filter(|written| is_path(&written.value)) {
        if let Some(GuestFile::Unusable(reason)) = draft.inputs.guest_files.get(&written.value) {
            let message = format!("the file {:?} of a guest cannot be used: {reason}", written.value);
            let place = draft.inputs.folder.join(&written.value);
            let fault = Diagnostic::new(written.span, message).note(place.display().to_string());
            faults.push(fault.help("give a file, seen from the manifest's folder, or the name of a payload"));
        }
    }
    faults
}

/// Each kernel is judged where it is named first.
pub(super) fn unfit_kernel(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let mut judged = BTreeSet::new();
    let kernels = linuxes(draft).flat_map(|domain| domain.table.guest.kernels());
    let kernels = kernels.filter(|kernel| judged.insert(kernel.value.as_str()));
    let faults = kernels.filter_map(|kernel| {
        let error = unpack(&mut NoBytes::without_end(), bytes_of(draft, kernel)?, 0)?;
        Some(Diagnostic::new(kernel.span, error.to_string()).help("give another kernel"))
    });
    faults.collect()
}

pub(super) fn too_little_memory(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let kernels = linuxes(draft).flat_map(|domain| {
        let kernels = domain.table.guest.kernels();
        kernels.filter_map(move |kernel| too_little_for(draft, domain, kernel))
    });
    kernels.collect()
}

fn too_little_for(draft: &Draft<'_>, domain: &DraftDomain<'_>, kernel: &At<String>) -> Option<Diagnostic> {
    let table = &domain.table.guest;
    let memory = table.memory_mib.as_ref()?;
    let initramfs = table.initramfs.as_ref();
    // What the guest begins with has to be there, to be measured.
    let initramfs = initramfs.map_or(Some(0), |file| Some(bytes_of(draft, file)?.len() as u64))?;
    let mut room = NoBytes::refusing(memory.value);
    let error = unpack(&mut room, bytes_of(draft, kernel)?, initramfs)?;
    let BootError::TooLittleMemory { needed, .. } = error else { return None };
    let (name, needed) = (&domain.table.name.value, needed.div_ceil(PAGES_IN_MIB));
    let has = memory.value;
    let message = format!(
        "the guest of `{name}` has {has} MiB of memory; with this kernel and initramfs it needs {needed} MiB"
    );
    let fault = Diagnostic::new(memory.span, message).label(kernel.span, "its kernel");
    Some(fault.help(format!("give at least {needed} MiB")))
}

/// More memory than the domain learns the page tables of.
pub(super) fn too_much_memory(draft: &Draft<'_>) -> Vec<Diagnostic> {
    const MOST_MIB: u64 = MAX_PAGES as u64 / PAGES_IN_MIB;
    let sizes = linuxes(draft).filter_map(|domain| Some((domain, domain.table.guest.memory_mib.as_ref()?)));
    let faults = sizes.filter(|(_, memory)| memory.value > MOST_MIB).map(|(domain, memory)| {
        let (name, has) = (&domain.table.name.value, memory.value);
        let message = format!("the guest of `{name}` has {has} MiB of memory; it can have {MOST_MIB} MiB");
        Diagnostic::new(memory.span, message).help(format!("give at most {MOST_MIB} MiB"))
    });
    faults.collect()
}

fn bytes_of<'d>(draft: &'d Draft<'_>, file: &At<String>) -> Option<&'d [u8]> {
    Some(draft.inputs.guest_files.get(&file.value)?.bytes()?)
}

pub(super) fn cpus(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let stated = guests(draft).filter_map(|(domain, _)| Some((domain, domain.table.guest.vcpus.as_ref()?)));
    let faults = stated.filter(|(_, vcpus)| vcpus.value != 1).map(|(domain, vcpus)| {
        let name = &domain.table.name.value;
        let message = format!("the guest of `{name}` cannot have {} CPUs: each guest has one", vcpus.value);
        Diagnostic::new(vcpus.span, message).help("give `vcpus = 1`, or leave it out")
    });
    faults.collect()
}

pub(super) fn cmdline(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let lines = linuxes(draft).filter_map(|domain| domain.table.guest.cmdline.as_ref());
    lines.filter_map(wrong_cmdline).collect()
}

fn wrong_cmdline(line: &At<String>) -> Option<Diagnostic> {
    const MOST: usize = COMMAND_LINE_BYTES - 1;
    let text = &line.value;
    let wrong = text.chars().find(|letter| letter.is_control());
    let (reason, help) = if text.len() > MOST {
        (format!("has {} bytes", text.len()), format!("give at most {MOST} bytes"))
    } else {
        (format!("has a {:?} in it", wrong?), "give one line of text".to_owned())
    };
    Some(Diagnostic::new(line.span, format!("the command line of a guest {reason}")).help(help))
}

pub(super) fn unsought_tpm(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let faults = linuxes(draft).filter_map(|domain| {
        let tpm = domain.table.uses.iter().find(|written| written.local.value == TPM)?;
        let line = domain.table.guest.cmdline.as_ref();
        let seeks = line.is_some_and(|line| line.value.split_whitespace().any(|word| word == SEEKS_TPM));
        if seeks || draft.is_spoiled(domain.table, "cmdline") {
            return None;
        }
        let name = &domain.table.name.value;
        let message = format!("the guest of `{name}` has a TPM, and its kernel does not look for one");
        let place = line.map_or(tpm.local.span, |line| line.span);
        let help = format!("add `{SEEKS_TPM} tpm_tis.interrupts=0` to its `cmdline`");
        Some(Diagnostic::new(place, message).help(help))
    });
    faults.collect()
}

/// What a life has saved is not the next one's, and nobody clears it between them.
pub(super) fn saved_on_request(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let guests = draft.domains.iter().filter_map(|domain| {
        let (saves, at) = (domain.table.guest.saves?, domain.table.on_request()?);
        let message =
            format!("the guest of `{}` is started on request, and can be saved", domain.table.name.value);
        let fault = Diagnostic::new(saves, message).label(at, "where the manifest says so");
        Some(fault.help("remove `saves`, or `start`"))
    });
    guests.collect()
}

pub(super) fn number(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let Some((first_too_many, _)) = guests(draft).nth(MAX_GUESTS) else { return Vec::new() };
    let message = format!("the system has {} guests, {MAX_GUESTS} fit", guests(draft).count());
    let name = &first_too_many.table.name;
    let fault = Diagnostic::new(name.span, message).note("the first that does not fit");
    vec![fault.help("MAX_GUESTS of the ABI crate sets the limit")]
}
