//! The list of checks. All are run, and all that they find is reported, in one go.

mod asserts;
mod calls;
mod devices;
mod disks;
mod faults;
mod form;
mod grants;
mod guests;
mod images;
mod limits;
mod lives;
mod management;
mod measured;
mod memory;
mod menu;
mod names;
mod platform;
mod policy;
mod programs;
mod schedule;
mod servers;
mod switches;
mod trust;
mod walls;

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write;

pub use programs::BINARY_CHECKS;
pub(crate) use programs::{files, plan, programs};

use crate::diagnostic::Diagnostic;
use crate::system::Draft;

/// A check with a name.
pub struct Check {
    /// Its id, which every fault that it finds carries.
    pub id: &'static str,
    /// What it refuses, in a few words.
    pub summary: &'static str,
    /// Finds the faults. The id is added by [`run`].
    pub run: fn(&Draft<'_>) -> Vec<Diagnostic>,
}

/// Every check of a manifest. The tens are groups: form, names, grants, machine, calls, memory, limits,
/// faults, arguments and switches; M100: time; from M105 on: facts of the machine that cannot be; M110: guests; M118: disks;
/// M125: what flows; M130: the policy; M150: lives on request; M164: menus; M185: trust; M190: what a guest can have.
#[rustfmt::skip] // A table: one check a line.
pub const CHECKS: &[Check] = &[
    Check { id: "M001", summary: "a file that cannot be read, is none, is empty, too large, or not text", run: form::unreadable },
    Check { id: "M002", summary: "a file that is not TOML", run: form::syntax },
    Check { id: "M003", summary: "a name used twice in one table", run: form::duplicate },
    Check { id: "M004", summary: "a key that its table does not have", run: form::unknown_key },
    Check { id: "M005", summary: "a key that is missing", run: form::missing_key },
    Check { id: "M006", summary: "a value of the wrong type or form", run: form::wrong_value },
    Check { id: "M010", summary: "a name that is too long or has other characters than a-z, 0-9 and -", run: names::malformed },
    Check { id: "M011", summary: "a name that belongs to the kernel or the builder", run: names::reserved },
    Check { id: "M012", summary: "a platform that does not exist", run: names::unknown_platform },
    Check { id: "M013", summary: "a component that does not exist", run: names::unknown_component },
    Check { id: "M014", summary: "a domain that does not exist", run: names::unknown_domain },
    Check { id: "M015", summary: "a device that the platform does not have", run: names::unknown_device },
    Check { id: "M016", summary: "a right that does not exist or cannot be given", run: names::unknown_right },
    Check { id: "M017", summary: "a system without domains", run: names::no_domain },
    Check { id: "M020", summary: "a gate that a component needs and its domain was not given", run: grants::missing_gate },
    Check { id: "M021", summary: "a device that a component needs and its domain was not given", run: grants::missing_device },
    Check { id: "M022", summary: "a right that a component needs and its domain was not given", run: grants::missing_right },
    Check { id: "M023", summary: "a gate that the component did not ask for", run: grants::superfluous_gate },
    Check { id: "M024", summary: "a device of a class that the component did not ask for", run: grants::superfluous_device },
    Check { id: "M025", summary: "a right that the component did not ask for", run: grants::superfluous_right },
    Check { id: "M026", summary: "a server that does not offer the gate", run: grants::gate_not_offered },
    Check { id: "M027", summary: "a device or right given twice", run: grants::given_twice },
    Check { id: "M028", summary: "a gate given twice under one name", run: grants::gate_given_twice },
    Check { id: "M029", summary: "an option that the gate does not have, or a value out of its range", run: grants::option },
    Check { id: "M030", summary: "two devices of a platform whose memory overlaps", run: devices::memory_overlap },
    Check { id: "M031", summary: "two devices of a platform whose ports overlap, or ports above 0xffff", run: devices::port_overlap },
    Check { id: "M032", summary: "two devices of a platform with one interrupt line, or a line that is too high", run: devices::irq },
    Check { id: "M033", summary: "device memory that does not fill whole pages", run: devices::page_alignment },
    Check { id: "M034", summary: "more devices that interrupt than the kernel can deliver interrupts", run: devices::interrupts },
    Check { id: "M035", summary: "two devices of a platform that are one PCI function", run: devices::pci_functions },
    Check { id: "M036", summary: "a virtio device of which is not said which PCI function it is", run: platform::without_function },
    Check { id: "M040", summary: "domains that call each other in a circle", run: calls::circles },
    Check { id: "M041", summary: "a client whose priority is above its server's", run: calls::priority_inversion },
    Check { id: "M042", summary: "a priority out of range", run: schedule::priority_range },
    Check { id: "M043", summary: "a budget or period out of range", run: schedule::budget_range },
    Check { id: "M050", summary: "a stack of nothing, or a stack or heap that is too large", run: memory::stack_and_heap },
    Check { id: "M051", summary: "more memory than the machine has", run: memory::machine },
    Check { id: "M052", summary: "a region of no pages, or of too many", run: memory::regions },
    Check { id: "M053", summary: "a gate with memory that both sides write and memory that one side writes", run: memory::two_kinds },
    Check { id: "M060", summary: "more domains than the kernel's table holds", run: limits::domains },
    Check { id: "M061", summary: "more slots than a domain's table holds", run: limits::slots },
    Check { id: "M062", summary: "more mappings than a domain can have", run: limits::mappings },
    Check { id: "M063", summary: "more events than a domain has bits", run: limits::events },
    Check { id: "M064", summary: "more ranges of ports than a domain can have", run: limits::port_ranges },
    Check { id: "M065", summary: "more than the information page holds", run: limits::info_bytes },
    Check { id: "M066", summary: "more regions than the kernel's table holds", run: limits::regions },
    Check { id: "M067", summary: "more than the builder holds at once in its slots", run: limits::builder_slots },
    Check { id: "M068", summary: "more guests than the kernel's table holds", run: guests::number },
    Check { id: "M070", summary: "a fault policy that does not exist", run: faults::unknown_policy },
    Check { id: "M071", summary: "a fault handler that is missing, not asked for, or the domain itself", run: faults::handler },
    Check { id: "M080", summary: "arguments that the component did not ask for, or that are too long", run: grants::arguments },
    Check { id: "M081", summary: "a switch or port without the gate `port` and its one-way memory", run: switches::gate },
    Check { id: "M082", summary: "the use of a switch without a port", run: switches::without_port },
    Check { id: "M083", summary: "an address, a network or a MAC address that is none", run: switches::malformed },
    Check { id: "M084", summary: "an address outside of its switch's network, or one that stands for it", run: switches::outside },
    Check { id: "M085", summary: "an address used twice on a switch", run: switches::duplicate_address },
    Check { id: "M086", summary: "a MAC address used twice on a switch", run: switches::duplicate_mac },
    Check { id: "M087", summary: "a VLAN out of range, or one that nobody else is in", run: switches::lonely },
    Check { id: "M088", summary: "an access list that names nobody, one out of reach, or one twice", run: switches::access },
    Check { id: "M089", summary: "an uplink without a network card", run: switches::uplink },
    Check { id: "M090", summary: "what a port says that does not go together", run: switches::contradictions },
    Check { id: "M091", summary: "an mtu, a rate or a burst out of range, or that no frame fits", run: switches::sizes },
    Check { id: "M092", summary: "more ports than a switch can have", run: switches::number },
    Check { id: "M093", summary: "a forward to a domain that nothing from outside reaches", run: switches::forward },
    Check { id: "M094", summary: "a port of the host that is forwarded twice, or that is none", run: switches::host_port },
    Check { id: "M100", summary: "a share of the CPU that budgets and priorities do not leave", run: schedule::guarantee },
    Check { id: "M105", summary: "a device where the machine's memory or its interrupt controllers are", run: platform::device_in_memory },
    Check { id: "M106", summary: "`ends_with` on a platform without an exit port", run: platform::no_exit_port },
    Check { id: "M107", summary: "a device that QEMU is not told to make, or not by its name", run: platform::not_made },
    Check { id: "M108", summary: "a device with the exit port", run: platform::exit_port_taken },
    Check { id: "M109", summary: "a machine without memory, or with more than there can be", run: platform::memory_range },
    Check { id: "M110", summary: "a key of a guest in a domain whose component runs none", run: guests::superfluous_key },
    Check { id: "M111", summary: "a guest without memory, or a Linux without a kernel", run: guests::missing_key },
    Check { id: "M112", summary: "a payload that does not exist, or that is for something else", run: guests::unknown_payload },
    Check { id: "M113", summary: "a file of a guest that cannot be read, is none, is empty or too large", run: guests::unusable_file },
    Check { id: "M114", summary: "a kernel that cannot be started as a guest", run: guests::unfit_kernel },
    Check { id: "M115", summary: "a guest with less memory than its kernel needs", run: guests::too_little_memory },
    Check { id: "M116", summary: "a guest with a number of CPUs other than one", run: guests::cpus },
    Check { id: "M117", summary: "a command line of a guest that is too long or is not one line", run: guests::cmdline },
    Check { id: "M118", summary: "a disk that no domain can drive, or of which is not said what is on it", run: disks::nothing_on_it },
    Check { id: "M119", summary: "a file of a disk that cannot be used, or has no whole sectors", run: disks::unusable_file },
    Check { id: "M120", summary: "sectors of a disk that two have and one may write, or a disk given twice", run: disks::shared },
    Check { id: "M121", summary: "a disk given by `uses`, or to write if it is read-only, or no partition's number", run: disks::given_wrongly },
    Check { id: "M125", summary: "a system in which an assertion of its manifest does not hold", run: asserts::broken },
    Check { id: "M126", summary: "an assertion that is no question, or no single one", run: asserts::misunderstood },
    Check { id: "M127", summary: "an assertion about nobody who is there", run: asserts::about_nobody },
    Check { id: "M128", summary: "`keeps_apart` of a domain that has nobody to keep apart", run: asserts::nobody_to_keep_apart },
    Check { id: "M130", summary: "a policy without its monitor, or a monitor without a policy", run: policy::monitor },
    Check { id: "M131", summary: "a type that is missing, unknown, there twice or of no domain, or too many", run: policy::types },
    Check { id: "M132", summary: "a rule of the policy that names nothing, or allows what nobody can do", run: policy::rules },
    Check { id: "M133", summary: "a gate that the policy does not let its client use", run: policy::uses },
    Check { id: "M134", summary: "a monitor that is not above those it judges", run: policy::priority },
    Check { id: "M140", summary: "a guest with a TPM that its kernel does not look for", run: guests::unsought_tpm },
    Check { id: "M141", summary: "images of a domain among which nobody chooses", run: images::unchosen },
    Check { id: "M142", summary: "a guest that is started on request, and can be saved", run: guests::saved_on_request },
    Check { id: "M144", summary: "images of a domain with one name, or too many of them", run: images::same_or_too_many },
    Check { id: "M145", summary: "a guest that can be saved, and writes to a disk", run: disks::saved_without },
    Check { id: "M146", summary: "an image of a domain on request that nobody can name", run: images::unnamed },
    Check { id: "M147", summary: "a program of a domain that needs more than the domain has, or offers less", run: images::unfit },
    Check { id: "M150", summary: "a `start` that does not exist", run: lives::unknown_start },
    Check { id: "M151", summary: "a domain on request that nobody could start, or a manager or budget for none", run: lives::manager },
    Check { id: "M152", summary: "a domain on request that has to be there from the start", run: lives::needed_at_boot },
    Check { id: "M153", summary: "a domain that can be held, and for which the manager or the monitor would wait", run: lives::holds_up },
    Check { id: "M154", summary: "a domain for which the builder keeps a right, where it is to keep none", run: lives::kept_rights },
    Check { id: "M155", summary: "a domain on request with more of the CPU than the budget has for it", run: lives::beyond_the_budget },
    Check { id: "M156", summary: "a domain on request whose device writes to memory, and nobody vouches for it", run: lives::writing_devices },
    Check { id: "M160", summary: "an operation that there is not, or a domain that nobody starts, in `may`, `on`", run: management::unknown },
    Check { id: "M161", summary: "`may` or `on` of a gate that is not the manager's", run: management::misplaced },
    Check { id: "M162", summary: "a client of the manager for which it does nothing", run: management::useless },
    Check { id: "M163", summary: "a group of nobody, of too many, or that nobody starts", run: management::groups },
    Check { id: "M164", summary: "a menu that has one system twice or its own, or that cannot be shown", run: menu::entries },
    Check { id: "M165", summary: "a wall of the policy that names a type which there is not, or one twice", run: walls::sides },
    Check { id: "M166", summary: "a gate that is used unasked, as the monitor needs it, and that no rule allows", run: policy::exempt },
    Check { id: "M167", summary: "a policy that the monitor would refuse: a wall of one, or one with a hole", run: walls::refused },
    Check { id: "M168", summary: "a policy to be loaded whose name is taken, or too many of them", run: walls::policies },
    Check { id: "M169", summary: "a disk that remembers what a wall keeps apart", run: walls::disks },
    Check { id: "M175", summary: "options of a gate that take more than 32 bits together, or have one name", run: grants::options_together },
    Check { id: "M176", summary: "a gate that is for domains with another right", run: measured::reserved_gate },
    Check { id: "M177", summary: "a register of the TPM that two domains can extend", run: measured::shared_registers },
    Check { id: "M178", summary: "a domain that is to extend a register of the TPM, and may not", run: measured::without_register },
    Check { id: "M185", summary: "a bound of what memory rests on that nothing keeps, or that bounds nothing", run: trust::senseless },
    Check { id: "M190", summary: "a guest with more memory than its domain can keep the tables of", run: guests::too_much_memory },
];

/// The check that adds up what all domains state; it says nothing while anything else is wrong.
const SUMS: &str = "M100";

/// Checks of what flows. That is worked out of a whole system, so they are run when nothing else is wrong.
const OF_FLOWS: [&str; 5] = ["M125", "M127", "M128", "M167", "M169"];

/// The checks that a file which is not TOML can be put to.
const FORM_CHECKS: [&str; 3] = ["M001", "M002", "M003"];

/// The checks of a menu. Its systems are checked each for itself.
const MENU_CHECKS: [&str; 7] = ["M001", "M002", "M003", "M004", "M005", "M006", "M164"];

/// Checks whose faults are about something that several places can name.
const OF_SEVERAL: [&str; 4] = ["M127", "M131", "M132", "M167"];

/// Other places that one fault shows.
const MOST_LABELS: usize = 16;

/// Checks whose faults follow from those of others: what was found there has to be mended first, and then they
/// are gone, or can be told for what they are.
const FOLLOWERS: &[(&str, &[&str])] = &[
    ("M051", &["M050", "M052", "M060", "M066", "M068", "M109", "M190"]),
    ("M061", &["M060", "M092"]),
    ("M062", &["M060", "M061", "M092"]),
    ("M063", &["M060", "M061", "M092"]),
    ("M065", &["M060", "M061", "M062", "M063", "M064", "M092"]),
    ("M066", &["M052", "M060", "M061", "M062", "M068", "M092"]),
    ("M067", &["M052", "M060", "M061", "M062", "M066", "M068", "M092"]),
    ("M132", &["M088"]),
    ("M133", &["M130", "M131", "M132"]),
    ("M134", &["M041", "M042", "M130"]),
    ("M166", &["M130", "M131", "M132"]),
    ("M141", &["M151", "M160", "M163"]),
    ("M093", &["M014", "M020", "M081", "M083", "M084", "M087", "M088", "M089", "M090", "M091", "M092"]),
];

/// Runs every check. If a file is not TOML, only those of form: what was understood of it says too little for
/// others.
#[must_use]
pub fn run(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let has_syntax_faults = !form::syntax(draft).is_empty();
    let run = |check: &Check| {
        let mut faults = (check.run)(draft);
        faults.iter_mut().for_each(|fault| fault.id = check.id);
        faults
    };
    let (last, first): (Vec<&Check>, _) = CHECKS.iter().partition(|check| OF_FLOWS.contains(&check.id));
    let is_menu = !draft.inputs.manifest.menu.is_empty();
    let first = first.into_iter().filter(|check| !has_syntax_faults || FORM_CHECKS.contains(&check.id));
    let first = first.filter(|check| !is_menu || MENU_CHECKS.contains(&check.id));
    let mut found: Vec<Diagnostic> = first.flat_map(run).collect();
    if found.is_empty() && !is_menu {
        return told_once(last.into_iter().flat_map(run).collect());
    }
    let ids: BTreeSet<&str> = found.iter().map(|fault| fault.id).collect();
    let follows = |id: &str| {
        let causes = FOLLOWERS.iter().filter(|(follower, _)| *follower == id).flat_map(|(_, causes)| *causes);
        causes.into_iter().any(|cause| ids.contains(cause))
    };
    // What is promised rests on all that is stated.
    let is_sum = |id: &str| id == SUMS;
    let is_alone = ids.iter().all(|id| is_sum(id));
    found.retain(|fault| !follows(fault.id) && (is_alone || !is_sum(fault.id)));
    told_once(found)
}

/// A fault that several places have in common is told once, with the others beside it.
fn told_once(mut faults: Vec<Diagnostic>) -> Vec<Diagnostic> {
    faults.sort_by_key(|fault| fault.at);
    let mut told: HashMap<(&str, String), usize> = HashMap::new();
    let mut all: Vec<Diagnostic> = Vec::new();
    for fault in faults {
        let place = *told.entry((fault.id, fault.message.clone())).or_insert(all.len());
        match all.get_mut(place).filter(|_| OF_SEVERAL.contains(&fault.id)) {
            Some(first) if first.labels.len() < MOST_LABELS && first.at != fault.at => {
                first.labels.push((fault.at, "here, too".to_owned()));
            }
            Some(_) => {}
            None => all.push(fault),
        }
    }
    all
}

/// The checks as a table in Markdown: those of a manifest, then those of the programs.
#[must_use]
pub fn checks_table() -> String {
    let manifest = CHECKS.iter().map(|check| (check.id, check.summary));
    let rows: Vec<_> = manifest.chain(BINARY_CHECKS.iter().copied()).collect();
    let width = rows.iter().map(|(_, summary)| summary.len()).max().unwrap_or_default();
    let mut table = format!("| id   | {:width$} |\n|------|-{}-|\n", "what is refused", "-".repeat(width));
    for (id, summary) in rows {
        // Writing to a string cannot fail.
        let _ = writeln!(table, "| {id} | {summary:width$} |");
    }
    table
}
