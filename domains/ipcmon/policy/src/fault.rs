//! What can be wrong with a policy.

use core::fmt;

use cloison_abi::{
    Name,
    access::Classes,
    policy::{MAX_RULES, MAX_WALLS, PolicyRule, PolicyWall},
};

use crate::{Domains, History};

/// What is wrong with a policy. Numbers are places in its tables, from 0 on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It ends before its tables do.
    Cut,
    /// There are more domains than there can be.
    Domains(u32),
    /// This domain has a type that there is not.
    Domain(usize),
    /// There are more rules than there can be.
    Rules(usize),
    /// A rule names a type that there is not.
    RuleType(usize),
    /// A rule allows nothing, or something about which nobody is asked.
    RuleClass(usize),
    /// There are more walls than there can be.
    Walls(usize),
    /// A wall names a type that there is not.
    WallType(usize),
    /// A wall is between fewer than two types.
    WallOfOne(usize),
    /// A wall has no name, or that of one before it.
    WallName(usize),
    /// A wall does not stand: by what nobody is asked about, the domain with this index learns of two of its types.
    WallOpen(usize, u8),
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Cut => out.write_str("it ends before its tables do"),
            Self::Domains(count) => write!(out, "it is about {count} domains, which no system has"),
            Self::Domain(place) => write!(out, "domain {place} has a type that there is not"),
            Self::Rules(count) => write!(out, "it has {count} rules, and {MAX_RULES} are possible"),
            Self::RuleType(place) => write!(out, "rule {place} names a type that there is not"),
            Self::RuleClass(place) => write!(out, "rule {place} allows nothing that is asked about"),
            Self::Walls(count) => write!(out, "it has {count} walls, and {MAX_WALLS} are possible"),
            Self::WallType(place) => write!(out, "wall {place} names a type that there is not"),
            Self::WallOfOne(place) => write!(out, "wall {place} is between fewer than two types"),
            Self::WallName(place) => write!(out, "wall {place} has no name of its own"),
            Self::WallOpen(place, domain) => {
                write!(out, "wall {place} does not stand: domain {domain} learns of two sides unasked")
            }
        }
    }
}

impl core::error::Error for Fault {}

/// Everything that is wrong with the rules and walls of a policy.
pub(crate) fn faults<'a>(
    domains: Domains<'a>,
    rules: &'a [PolicyRule],
    walls: &'a [PolicyWall],
) -> impl Iterator<Item = Fault> + use<'a> {
    let sizes = [
        (rules.len() > MAX_RULES).then_some(Fault::Rules(rules.len())),
        (walls.len() > MAX_WALLS).then_some(Fault::Walls(walls.len())),
    ];
    let rules = rules.iter().enumerate().filter_map(move |(place, rule)| of_rule(domains, place, rule));
    let walls = (0..walls.len().min(MAX_WALLS)).filter_map(move |place| of_wall(domains, walls, place));
    sizes.into_iter().flatten().chain(rules).chain(walls)
}

fn of_rule(domains: Domains<'_>, place: usize, rule: &PolicyRule) -> Option<Fault> {
    let may = Classes::from_bits(rule.may);
    if !domains.has_kind(rule.from) || !domains.has_kind(rule.to) {
        Some(Fault::RuleType(place))
    } else if may.is_none_or(|may| may.is_empty() || !Classes::ASKED.contains(may)) {
        Some(Fault::RuleClass(place))
    } else {
        None
    }
}

fn of_wall(domains: Domains<'_>, walls: &[PolicyWall], place: usize) -> Option<Fault> {
    let wall = &walls[place];
    let is_named = wall.name != Name::EMPTY && walls[..place].iter().all(|other| other.name != wall.name);
    if (0..u32::BITS).any(|kind| wall.between >> kind & 1 != 0 && !domains.has_kind(kind)) {
        Some(Fault::WallType(place))
    } else if wall.between.count_ones() < 2 {
        Some(Fault::WallOfOne(place))
    } else if !is_named {
        Some(Fault::WallName(place))
    } else {
        let unasked = History::new(domains);
        let learner = domains.all().map(|(index, _)| index).find(|index| unasked.breaks(*index, wall));
        learner.map(|index| Fault::WallOpen(place, index))
    }
}
