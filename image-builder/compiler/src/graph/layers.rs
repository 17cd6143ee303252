//! Lays the domains out in rows: callers above those whom they call, with few lines that cross.
//!
//! The usual three steps for layered drawings: a row for each domain, an order within each row, a place for
//! each. Between two rows of domains is one of labels. A line that passes a row gets a bend there, and each
//! label and bend is placed like a domain, so that nothing covers anything else.

use super::Edge;
use crate::system::System;

/// Times that the order of the rows is improved, and that the places are. More change nothing that one would
/// see.
const ROUNDS: usize = 12;
/// Room between two boxes, and around a line that passes between them.
const GAP: f64 = 24.0;
/// Room between two rows, for lines to turn in.
const ROW_GAP: f64 = 26.0;

/// A drawing of rows.
pub(super) struct Layers {
    /// Boxes, labels and bends; the first ones are the domains, in their order.
    pub(super) nodes: Vec<Node>,
    /// For each edge, the nodes that its line passes, from client to server. The second one is its label.
    pub(super) lines: Vec<Vec<usize>>,
    /// For each row, its nodes from left to right.
    rows: Vec<Vec<usize>>,
    /// How wide the drawing is.
    pub(super) width: f64,
    /// How high it is.
    pub(super) height: f64,
}

/// A box, a label, or the bend of a line.
pub(super) struct Node {
    /// The row, from the top.
    row: usize,
    /// The middle.
    pub(super) x: f64,
    /// The top.
    pub(super) y: f64,
    pub(super) width: f64,
    pub(super) height: f64,
}

impl Node {
    fn new(row: usize, (width, height): (f64, f64)) -> Self {
        Self { row, x: 0.0, y: 0.0, width, height }
    }
}

impl Layers {
    /// Lays out boxes and labels of these widths and heights: one for each domain, one for each edge.
    pub(super) fn new(
        system: &System,
        edges: &[Edge<'_>],
        boxes: &[(f64, f64)],
        labels: &[(f64, f64)],
    ) -> Self {
        let rows_of = depths(system, edges);
        let nodes = rows_of.iter().zip(boxes).map(|(row, size)| Node::new(2 * row, *size)).collect();
        let count = rows_of.iter().max().map_or(0, |deepest| 2 * deepest + 1);
        let rows = vec![Vec::new(); count];
        let mut layers = Self { nodes, lines: Vec::new(), rows, width: 0.0, height: 0.0 };
        layers.lines = edges.iter().zip(labels).map(|(edge, label)| layers.line(edge, *label)).collect();
        for (index, node) in layers.nodes.iter().enumerate() {
            layers.rows[node.row].push(index);
        }
        let neighbours = layers.neighbours();
        layers.order(&neighbours);
        layers.place(&neighbours);
        layers.stack();
        layers
    }

    /// The nodes of one line; adds its label and its bends.
    fn line(&mut self, edge: &Edge<'_>, label: (f64, f64)) -> Vec<usize> {
        let (from, to) = (self.nodes[edge.client.0].row, self.nodes[edge.server.0].row);
        let mut line = vec![edge.client.0];
        for row in from + 1..to {
            line.push(self.nodes.len());
            self.nodes.push(Node::new(row, if row == from + 1 { label } else { (0.0, 0.0) }));
        }
        line.push(edge.server.0);
        line
    }

    /// Puts the rows below each other.
    fn stack(&mut self) {
        for row in &self.rows {
            let height = row.iter().map(|node| self.nodes[*node].height).fold(0.0, f64::max);
            for node in row {
                self.nodes[*node].y = self.height;
                // A bend goes all the way through.
                let is_bend = self.nodes[*node].width == 0.0;
                self.nodes[*node].height = if is_bend { height } else { self.nodes[*node].height };
            }
            self.height += height + ROW_GAP;
        }
        self.height = (self.height - ROW_GAP).max(0.0);
    }

    /// For each node, the nodes that lines connect it with in other rows.
    fn neighbours(&self) -> Vec<Vec<usize>> {
        let mut neighbours = vec![Vec::new(); self.nodes.len()];
        for pair in self.lines.iter().flat_map(|line| line.windows(2)) {
            neighbours[pair[0]].push(pair[1]);
            neighbours[pair[1]].push(pair[0]);
        }
        neighbours
    }

    /// Sorts each row by where its neighbours are, going down and up in turns.
    fn order(&mut self, neighbours: &[Vec<usize>]) {
        for round in 0..ROUNDS {
            let mut rows: Vec<usize> = (0..self.rows.len()).collect();
            if round % 2 == 1 {
                rows.reverse();
            }
            for row in rows {
                let ranks = self.ranks();
                let middle = |node: usize| {
                    mean(neighbours[node].iter().map(|other| ranks[*other])).unwrap_or(ranks[node])
                };
                self.rows[row].sort_by(|a, b| middle(*a).total_cmp(&middle(*b)));
            }
        }
    }

    /// How far to the right each node is in its row, from 0 to 1.
    fn ranks(&self) -> Vec<f64> {
        let mut ranks = vec![0.5; self.nodes.len()];
        for row in &self.rows {
            for (place, node) in row.iter().enumerate() {
                ranks[*node] = (place as f64 + 0.5) / row.len() as f64;
            }
        }
        ranks
    }

    /// Gives each node a place near its neighbours, without changing the order or overlapping.
    fn place(&mut self, neighbours: &[Vec<usize>]) {
        for row in self.rows.clone() {
            self.settle(&row, |_, _| 0.0);
        }
        for _ in 0..ROUNDS {
            for row in self.rows.clone() {
                self.settle(&row, |layers, node| {
                    let others = neighbours[node].iter().map(|other| layers.nodes[*other].x);
                    mean(others).unwrap_or(layers.nodes[node].x)
                });
            }
        }
        let left = self.nodes.iter().map(|node| node.x - node.width / 2.0).fold(f64::INFINITY, f64::min);
        let right = self.nodes.iter().map(|node| node.x + node.width / 2.0).fold(f64::NEG_INFINITY, f64::max);
        self.nodes.iter_mut().for_each(|node| node.x -= left);
        self.width = right - left;
    }

    /// Moves the nodes of a row to where they want to be, as far as there is room: halfway between pushing
    /// everyone in the way to the right and to the left.
    fn settle(&mut self, row: &[usize], wanted: impl Fn(&Self, usize) -> f64) {
        let wishes: Vec<f64> = row.iter().map(|node| wanted(self, *node)).collect();
        let room = |a: usize, b: usize| (self.nodes[row[a]].width + self.nodes[row[b]].width) / 2.0 + GAP;
        let mut to_right = wishes.clone();
        for place in 1..row.len() {
            to_right[place] = to_right[place].max(to_right[place - 1] + room(place - 1, place));
        }
        let mut to_left = wishes;
        for place in (1..row.len()).rev() {
            to_left[place - 1] = to_left[place - 1].min(to_left[place] - room(place - 1, place));
        }
        for (place, node) in row.iter().enumerate() {
            self.nodes[*node].x = (to_right[place] + to_left[place]) / 2.0;
        }
    }
}

/// The row of each domain: one below its lowest client. The checks have ruled circles out.
fn depths(system: &System, edges: &[Edge<'_>]) -> Vec<usize> {
    let mut depths = vec![0; system.domains.len()];
    for _ in 0..depths.len() {
        for edge in edges {
            depths[edge.server.0] = depths[edge.server.0].max(depths[edge.client.0] + 1);
        }
    }
    depths
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
    (count > 0.0).then_some(sum / count)
}
