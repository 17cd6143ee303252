//! Walls, and the policies that can be loaded.

use cloison_abi::limits::MAX_DOMAINS;
use cloison_abi::policy::{FIRST_INDEX, FIRST_POLICY, MAX_POLICIES};
use ipcmon_policy::{Domains, Fault, Policy as Tables};

use super::policy::{By, unknown_types};
use crate::diagnostic::Diagnostic;
use crate::flow::Flows;
use crate::manifest::WallTable;
use crate::plan::{PartTables, PolicyTables};
use crate::system::{DiskContent, Domain, DomainId, Draft, Part, Policy, System, Wall};

/// Types between which a wall is.
pub(super) fn sides(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let Some(policy) = super::policy::policy(draft) else { return Vec::new() };
    let mut faults = unknown_types(&policy, By::Wall, draft);
    let walls = policy.table.parts.iter().flat_map(|part| &part.walls);
    faults.extend(walls.flat_map(named_twice));
    faults
}

fn named_twice(wall: &WallTable) -> Vec<Diagnostic> {
    let mut faults = Vec::new();
    for (place, kind) in wall.between.iter().enumerate() {
        if wall.between[..place].iter().any(|before| before.value == kind.value) {
            let fault = Diagnostic::new(kind.span, format!("the wall names the type `{}` twice", kind.value));
            faults.push(fault.help("remove one of them"));
        }
    }
    faults
}

/// The policies that can be loaded, beside the first.
pub(super) fn policies(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let Some(policy) = super::policy::policy(draft) else { return Vec::new() };
    let others = &policy.table.parts[1..];
    let taken = others.iter().map(|part| &part.name).filter(|name| name.value == FIRST_POLICY);
    let mut faults: Vec<_> = taken
        .map(|name| {
            let message = format!("the policy that [policy] states itself is called `{FIRST_POLICY}`");
            Diagnostic::new(name.span, message).help("give this one another name")
        })
        .collect();
    if let Some(first) = others.get(MAX_POLICIES - 1) {
        let message = format!("there are {} policies", policy.table.parts.len());
        faults.push(Diagnostic::new(first.name.span, message).help(format!("there can be {MAX_POLICIES}")));
    }
    faults
}

/// What the monitor itself would find wrong, by the functions with which it judges a policy before that is in force.
pub(super) fn refused(draft: &Draft<'_>) -> Vec<Diagnostic> {
    whole(draft, |system, policy| {
        let tables = PolicyTables::new(system, policy, &Flows::new(system));
        let domains = Domains::new(&tables.header, &tables.domains);
        let parts = policy.parts.iter().zip(&tables.parts);
        parts.flat_map(|(part, tables)| faults(system, domains, part, tables)).collect()
    })
}

fn faults(system: &System, domains: Domains<'_>, part: &Part, tables: &PartTables) -> Vec<Diagnostic> {
    let judged = Tables { name: tables.start.name, rules: &tables.rules, walls: &tables.walls };
    judged.faults(domains).map(|fault| refused_one(system, part, fault)).collect()
}

fn refused_one(system: &System, part: &Part, fault: Fault) -> Diagnostic {
    let wall = |place: usize| &part.walls[place];
    match fault {
        Fault::WallOfOne(place) => {
            let message = format!("the wall `{}` is between fewer than two types", wall(place).name);
            Diagnostic::new(wall(place).at, message).help("name two types at least, or remove it")
        }
        Fault::WallName(place) => {
            let message = format!("there are two walls `{}`", wall(place).name);
            Diagnostic::new(wall(place).at, message).help("give one of them another name")
        }
        Fault::WallOpen(place, index) => open(system, wall(place), index),
        other => {
            let message = format!("the policy `{}` cannot be in force: {other}", part.name);
            Diagnostic::new(part.at, message).help("let it say less")
        }
    }
}

/// A wall with a hole: something about which nobody is asked.
fn open(system: &System, wall: &Wall, index: u8) -> Diagnostic {
    let domain: &Domain = system.domain(DomainId(usize::from(index) - FIRST_INDEX as usize));
    let message = format!(
        "the wall `{}` does not stand: `{}` learns of two of its sides, and the monitor is not asked",
        wall.name, domain.name
    );
    let fault = Diagnostic::new(wall.at, message).label(domain.at, "the domain");
    let help = "if it passes nothing from one of its clients to another, say `keeps_apart = true`; else take away memory, \
                frames or a right that lead to it";
    fault.help(help)
}

/// A disk remembers what its user knew before the machine was started again; nobody else does.
pub(super) fn disks(draft: &Draft<'_>) -> Vec<Diagnostic> {
    whole(draft, |system, policy| {
        let parts = policy.parts.iter().flat_map(|part| part.walls.iter().map(move |wall| (part, wall)));
        let pairs = parts.flat_map(|(part, wall)| system.domains().map(move |(id, _)| (part, wall, id)));
        pairs.filter_map(|(part, wall, id)| remembers(system, policy, part, wall, id)).collect()
    })
}

fn remembers(system: &System, policy: &Policy, part: &Part, wall: &Wall, id: DomainId) -> Option<Diagnostic> {
    let (kind, is_judged) = policy.domains[id.0];
    let meets = |side: &&usize| {
        let mut rules = part.rules.iter();
        rules.any(|rule| [(kind, **side), (**side, kind)].contains(&(rule.from, rule.to)))
    };
    let sides = wall.between.iter().filter(meets).count();
    if !is_judged || wall.between.contains(&kind) || sides < 2 {
        return None;
    }
    let disk = system.domain(id).uses.iter().find(|gate_use| {
        let mut disks = system.disks().iter();
        let stays = disks
            .any(|disk| disk.domain == gate_use.server && matches!(disk.content, DiskContent::File { .. }));
        stays && !crate::system::part(gate_use.option).1
    })?;
    let name = &system.domain(id).name;
    let message = format!(
        "`{name}` may meet {sides} sides of the wall `{}`, and what it writes to its disk outlives the machine's run",
        wall.name
    );
    let fault = Diagnostic::new(disk.at, message).label(wall.at, "the wall");
    Some(fault.help("let it only read the disk, or let it meet one side"))
}

/// Judges the policy of a system of which nothing else is wrong.
fn whole(draft: &Draft<'_>, judge: impl Fn(&System, &Policy) -> Vec<Diagnostic>) -> Vec<Diagnostic> {
    let has_walls = draft.policy().is_some();
    let system = if has_walls { System::resolve(draft) } else { None };
    let fits = |system: &System| system.domains().count() as u32 + FIRST_INDEX <= MAX_DOMAINS as u32 + 1;
    let Some(system) = system.filter(fits) else { return Vec::new() };
    system.policy().map_or_else(Vec::new, |policy| judge(&system, policy))
}
