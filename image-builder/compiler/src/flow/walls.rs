//! What walls keep apart, whichever of some policies is in force.

use super::{Flows, Node, NodeId};
use crate::system::{Part, System};

/// Sides of walls, as bits by the numbers of their types.
pub type Sides = u16;

/// What all of these policies keep apart.
#[derive(Debug, Default)]
pub(super) struct Walls {
    /// For each type, those from which it is kept apart; empty if there are no walls.
    rivals: Vec<Sides>,
    /// For each node, its type, if that is a side of a wall.
    sides: Vec<Sides>,
    /// Names of the walls that keep something apart.
    names: Vec<String>,
}

impl Walls {
    pub(super) fn of(system: &System, flows: &Flows, parts: &[Part]) -> Self {
        let Some(policy) = system.policy() else { return Self::default() };
        let rivals = |part: &Part, kind: usize| -> Sides {
            let walls = part.walls.iter().filter(|wall| wall.between.contains(&kind));
            walls
                .flat_map(|wall| &wall.between)
                .filter(|side| **side != kind)
                .fold(0, |all, side| all | bit(*side))
        };
        let types = 0..policy.types.len();
        // Another policy can be loaded, and what has been learned under one counts under the next.
        let everywhere = |kind| parts.iter().fold(Sides::MAX, |all, part| all & rivals(part, kind));
        let rivals: Vec<Sides> = types.map(everywhere).collect();
        let stands = |kind: &usize| rivals[*kind] != 0;
        let side = |node| match node {
            Node::Domain(id) | Node::Guest(id) => Some(policy.domains[id.0].0).filter(stands).map_or(0, bit),
            Node::Builder | Node::Device(_) | Node::Outside(_) => 0,
        };
        let sides = flows.nodes().map(|(_, node)| side(node)).collect();
        let walls = parts.first().map_or(&[][..], |part| &part.walls);
        let names = walls.iter().filter(|wall| wall.between.iter().any(stands));
        let names = names.map(|wall| wall.name.clone()).collect();
        Self { rivals, sides, names }
    }
}

impl Flows {
    /// The type of a node, if that is a side of a wall; else nothing.
    #[must_use]
    pub fn side(&self, node: NodeId) -> Sides {
        self.walls.sides.get(node.0).copied().unwrap_or(0)
    }

    /// Whether the monitor knows what a node learns: it knows of domains, and what a guest learns its domain does.
    #[must_use]
    pub fn is_watched(&self, node: NodeId) -> bool {
        matches!(self.node_at(node), Node::Domain(_) | Node::Guest(_))
    }

    /// Whether a wall is between some of these sides.
    #[must_use]
    pub fn is_walled(&self, sides: Sides) -> bool {
        let mut rivals = self.walls.rivals.iter().enumerate();
        rivals.any(|(kind, rivals)| sides & bit(kind) != 0 && sides & rivals != 0)
    }

    /// Names of the walls that stand under each policy.
    #[must_use]
    pub fn walls(&self) -> &[String] {
        &self.walls.names
    }
}

fn bit(kind: usize) -> Sides {
    1_u16.checked_shl(kind as u32).unwrap_or(0)
}
