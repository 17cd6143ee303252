//! The nodes.

use heapless::Vec;

use super::{Refusal, path};
use crate::saved::{Carried, Carrier, CutShort, carried};

/// Nodes at most.
pub const NODES: usize = 256;
/// Bytes of a name at most.
pub const NAME_BYTES: usize = 48;
/// Bytes of a value at most.
pub const VALUE_BYTES: usize = 128;

/// A node, by its place in the table. The root is in no table: it has no name and no value, and is always there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Id(u16);

const ROOT: Id = Id(NODES as u16);

#[derive(Default)]
struct Node {
    parent: Id,
    name: Vec<u8, NAME_BYTES>,
    value: Vec<u8, VALUE_BYTES>,
}

/// All nodes.
pub struct Tree {
    nodes: [Option<Node>; NODES],
}

carried!(Node { parent, name, value });
carried!(Tree { nodes });

impl Carried for Id {
    fn carry(&mut self, carrier: &mut impl Carrier) -> Result<(), CutShort> {
        self.0.carry(carrier)
    }
}

impl Tree {
    pub const fn new() -> Self {
        Self { nodes: [const { None }; NODES] }
    }

    /// Removes all nodes.
    pub fn clear(&mut self) {
        self.nodes.fill_with(|| None);
    }

    /// The node at a path from the root on.
    pub fn find(&self, path: &[u8]) -> Option<Id> {
        path::names(path).try_fold(ROOT, |node, name| self.child(node, name))
    }

    /// The node at a path, made with all that it is below if it is not there. Where not all of it can be made, nothing
    /// is.
    pub fn make(&mut self, path: &[u8]) -> Result<Id, Refusal> {
        let mut node = ROOT;
        let mut first_made = None;
        for name in path::names(path) {
            node = match self.child(node, name) {
                Some(child) => child,
                None => match self.add(node, name) {
                    Ok(made) => {
                        first_made.get_or_insert(made);
                        made
                    }
                    Err(refusal) => {
                        first_made.into_iter().for_each(|made| self.remove(made));
                        return Err(refusal);
                    }
                },
            };
        }
        Ok(node)
    }

    pub fn value(&self, node: Id) -> Option<&[u8]> {
        if node == ROOT { Some(&[]) } else { self.node(node).map(|node| node.value.as_slice()) }
    }

    pub fn set(&mut self, node: Id, value: &[u8]) -> Result<(), Refusal> {
        let value = Vec::from_slice(value).or(Err(Refusal::TooLong))?;
        let node =
            self.nodes.get_mut(usize::from(node.0)).and_then(Option::as_mut).ok_or(Refusal::Invalid)?;
        node.value = value;
        Ok(())
    }

    /// Removes a node and all below it; of the root, what is below it.
    pub fn remove(&mut self, node: Id) {
        for index in 0..NODES as u16 {
            if self.node(Id(index)).is_some_and(|child| child.parent == node) {
                self.remove(Id(index));
            }
        }
        if node != ROOT {
            self.nodes[usize::from(node.0)] = None;
        }
    }

    /// The names below a node.
    pub fn names(&self, node: Id) -> impl Iterator<Item = &[u8]> {
        self.nodes
            .iter()
            .flatten()
            .filter(move |child| child.parent == node)
            .map(|child| child.name.as_slice())
    }

    fn add(&mut self, parent: Id, name: &[u8]) -> Result<Id, Refusal> {
        let name = Vec::from_slice(name).or(Err(Refusal::TooLong))?;
        let free = self.nodes.iter().position(Option::is_none).ok_or(Refusal::Full)?;
        self.nodes[free] = Some(Node { parent, name, value: Vec::new() });
        Ok(Id(free as u16))
    }

    fn child(&self, parent: Id, name: &[u8]) -> Option<Id> {
        let is_child = |node: &Node| node.parent == parent && node.name == name;
        let index = self.nodes.iter().position(|node| node.as_ref().is_some_and(is_child))?;
        Some(Id(index as u16))
    }

    fn node(&self, node: Id) -> Option<&Node> {
        self.nodes.get(usize::from(node.0))?.as_ref()
    }
}
