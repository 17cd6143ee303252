//! The system as a drawing: domains as boxes, callers above those whom they call, the kernel below all of
//! them.

use svg::Document;
use svg::node::element::path::Data;
use svg::node::element::{Definitions, Group, Marker, Path, Rectangle, Style, Text, Title};

use super::layers::Layers;
use super::{Link, devices, links};
use crate::System;
use crate::system::{Domain, DomainId};

const MARGIN: f64 = 36.0;
const HEADING: f64 = 56.0;
const BOX: (f64, f64) = (220.0, 104.0);
const ROW: f64 = BOX.1 + 76.0;
const KERNEL_HEIGHT: f64 = 46.0;
const LEGEND_HEIGHT: f64 = 62.0;
/// The drawing is at least as wide as this, for the legend.
const LEAST_WIDTH: f64 = 640.0;
/// Width of a letter of a gate's name, on average.
const GATE_CHARACTER: f64 = 7.2;
/// Characters of a line of the small text in a box.
const LINE_CHARACTERS: usize = 31;

const STYLE: &str = "
text { font-family: Inter, 'Segoe UI', 'Helvetica Neue', Arial, 'DejaVu Sans', sans-serif; fill: #1c2733; }
.title { font-size: 20px; font-weight: 600; }
.name { font-size: 16px; font-weight: 600; }
.small { font-size: 11px; fill: #52606d; }
.gate { font-size: 12px; font-weight: 600; fill: #1f5fa8; }
.light { fill: #ffffff; }
.domain { fill: #eef4fb; stroke: #2f6db3; stroke-width: 1.5; }
.driver { fill: #fff7e8; stroke: #c98a1b; stroke-width: 1.5; }
.last { stroke-width: 3; }
.device { fill: #c98a1b; }
.kernel { fill: #22303f; }
.call { fill: none; stroke: #1f5fa8; stroke-width: 1.8; }
.log { fill: none; stroke: #9aa5b1; stroke-width: 1.3; stroke-dasharray: 5 4; }
";

/// The system as a drawing.
#[must_use]
pub fn graph_svg(system: &System) -> String {
    let links = links(system);
    let picture = Picture { system, layers: Layers::new(system, &links, BOX.0), links: &links };
    picture.draw().to_string() + "\n"
}

struct Picture<'a> {
    system: &'a System,
    links: &'a [Link<'a>],
    layers: Layers,
}

impl Picture<'_> {
    fn draw(&self) -> Document {
        let width = self.layers.width.max(LEAST_WIDTH) + 2.0 * MARGIN;
        let kernel_top = HEADING + self.layers.rows.len() as f64 * ROW - 30.0;
        let height = kernel_top + KERNEL_HEIGHT + LEGEND_HEIGHT;
        let background = Rectangle::new().set("width", width).set("height", height).set("fill", "#ffffff");
        let mut document = Document::new()
            .set("viewBox", (0, 0, width, height))
            .set("width", width)
            .set("height", height)
            .set("role", "img")
            .add(Title::new(format!("System {}", self.system.name())))
            .add(Style::new(STYLE))
            .add(Definitions::new().add(arrow("call-end", "#1f5fa8")).add(arrow("log-end", "#9aa5b1")))
            .add(background)
            .add(text(self.system.name(), "title", MARGIN, 36.0))
            .add(self.subtitle(width));
        for (index, link) in self.links.iter().enumerate() {
            document = document.add(self.line(index, link));
        }
        // Boxes cover lines, labels cover both.
        for (id, domain) in self.system.domains() {
            document = document.add(self.domain(id, domain));
        }
        for (index, link) in self.links.iter().enumerate() {
            document = document.add(self.label(index, link));
        }
        document.add(self.kernel(width, kernel_top)).add(legend(kernel_top + KERNEL_HEIGHT + 28.0))
    }

    fn subtitle(&self, width: f64) -> Text {
        let platform = self.system.platform();
        let words = format!("{} · {} MiB", platform.name, platform.memory_mib);
        text(words, "small", width - MARGIN, 34.0).set("text-anchor", "end")
    }

    /// Middle of the upper edge of a node.
    fn top(&self, node: usize) -> (f64, f64) {
        let spare = (LEAST_WIDTH - self.layers.width).max(0.0) / 2.0;
        let node = &self.layers.nodes[node];
        (MARGIN + spare + node.x, HEADING + node.row as f64 * ROW)
    }

    fn domain(&self, id: DomainId, domain: &Domain) -> Group {
        let (middle, y) = self.top(id.0);
        let x = middle - BOX.0 / 2.0;
        let mut class = if domain.devices.is_empty() { "domain" } else { "driver" }.to_owned();
        if self.system.ends_with == Some(id) {
            class += " last";
        }
        let component = self.system.component(domain.component);
        let frame = Rectangle::new().set("x", x).set("y", y).set("width", BOX.0).set("height", BOX.1);
        let mut group = Group::new()
            .add(Title::new(component.summary.value.clone()))
            .add(frame.set("rx", 12).set("class", class))
            .add(text(&domain.name, "name", x + 14.0, y + 26.0))
            .add(
                text(format!("priority {}", domain.priority), "small", x + BOX.0 - 14.0, y + 25.0)
                    .set("text-anchor", "end"),
            );
        let lines = if domain.devices.is_empty() { 3 } else { 2 };
        for (row, line) in wrapped(&component.summary.value, lines).into_iter().enumerate() {
            group = group.add(text(line, "small", x + 14.0, y + 46.0 + 14.0 * row as f64));
        }
        self.chips(group, domain, x + 14.0, y + BOX.1 - 28.0)
    }

    /// The devices that a domain owns, in the lower part of its box.
    fn chips(&self, mut group: Group, domain: &Domain, mut x: f64, y: f64) -> Group {
        for (device, class) in devices(self.system, domain) {
            let width = 16.0 + 6.6 * device.chars().count() as f64;
            let chip = Rectangle::new().set("x", x).set("y", y).set("width", width).set("height", 18);
            let name = text(device, "small light", x + width / 2.0, y + 12.8).set("text-anchor", "middle");
            let chip = chip.set("rx", 5).set("class", "device");
            group =
                group.add(Group::new().add(Title::new(format!("{device}, a {class}"))).add(chip).add(name));
            x += width + 6.0;
        }
        group
    }

    /// The points of a line: where it leaves the client, its bends, where it reaches the server. Lines that
    /// leave or reach the same box do so side by side.
    fn points(&self, index: usize) -> Vec<(f64, f64)> {
        let line = &self.layers.lines[index];
        let (first, last) = (line[0], line[line.len() - 1]);
        let mut points = vec![(self.side_by_side(first, index, true), self.top(first).1 + BOX.1)];
        for bend in &line[1..line.len() - 1] {
            let (x, y) = self.top(*bend);
            points.extend([(x, y - 8.0), (x, y + BOX.1 + 8.0)]);
        }
        points.push((self.side_by_side(last, index, false), self.top(last).1 - 2.0));
        points
    }

    fn side_by_side(&self, node: usize, index: usize, leaves: bool) -> f64 {
        let end = |line: &Vec<usize>| if leaves { line[0] } else { line[line.len() - 1] };
        let next = |line: &Vec<usize>| if leaves { line[1] } else { line[line.len() - 2] };
        let lines = &self.layers.lines;
        let mut here: Vec<usize> = (0..lines.len()).filter(|other| end(&lines[*other]) == node).collect();
        here.sort_by(|a, b| self.top(next(&lines[*a])).0.total_cmp(&self.top(next(&lines[*b])).0));
        let place = here.iter().position(|other| *other == index).unwrap_or_default();
        let step = (BOX.0 - 60.0) / here.len() as f64;
        self.top(node).0 + (place as f64 + 0.5 - here.len() as f64 / 2.0) * step.min(44.0)
    }

    fn line(&self, index: usize, link: &Link<'_>) -> Path {
        let points = self.points(index);
        let mut data = Data::new().move_to(points[0]);
        for pair in points.windows(2) {
            let ((from_x, from_y), (to_x, to_y)) = (pair[0], pair[1]);
            let half = (to_y - from_y) / 2.0;
            data = data.cubic_curve_to((from_x, from_y + half, to_x, to_y - half, to_x, to_y));
        }
        let (class, end) = if link.is_log(self.system) { ("log", "log-end") } else { ("call", "call-end") };
        Path::new().set("d", data).set("class", class).set("marker-end", format!("url(#{end})"))
    }

    /// The names of the gates, near the client, where lines are furthest apart.
    fn label(&self, index: usize, link: &Link<'_>) -> Group {
        if link.is_log(self.system) {
            return Group::new();
        }
        let points = self.points(index);
        let ((from_x, from_y), (to_x, to_y)) = (points[0], points[1]);
        let x = from_x + (to_x - from_x) * 0.3;
        let y = from_y + (to_y - from_y) * 0.42 + 4.0;
        let words = link.label(self.system);
        let width = GATE_CHARACTER * words.chars().count() as f64 + 6.0;
        let blank = Rectangle::new().set("x", x - width / 2.0).set("y", y - 12.0).set("width", width);
        let words = text(words, "gate", x, y).set("text-anchor", "middle");
        Group::new().add(blank.set("height", 16).set("fill", "#ffffff")).add(words)
    }

    fn kernel(&self, width: f64, y: f64) -> Group {
        let bar = Rectangle::new()
            .set("x", MARGIN)
            .set("y", y)
            .set("width", width - 2.0 * MARGIN)
            .set("height", KERNEL_HEIGHT)
            .set("rx", 8)
            .set("class", "kernel");
        let words = "builder: builds all of this at boot, then gives up its rights";
        Group::new()
            .add(bar)
            .add(text("core-kernel", "name light", MARGIN + 18.0, y + 29.0))
            .add(text(words, "small light", width - MARGIN - 18.0, y + 28.0).set("text-anchor", "end"))
    }
}

fn legend(y: f64) -> Group {
    let sample = |x: f64, class: &str| {
        let data = Data::new().move_to((x, y - 4.0)).line_to((x + 30.0, y - 4.0));
        Path::new().set("d", data).set("class", class).set("marker-end", format!("url(#{class}-end)"))
    };
    let square = |x: f64, class: &str| {
        let square = Rectangle::new().set("x", x).set("y", y - 11.0).set("width", 22).set("height", 14);
        square.set("rx", 4).set("class", class)
    };
    let word = |words: &str, x: f64| text(words, "small", x, y);
    Group::new()
        .add(sample(MARGIN, "call"))
        .add(word("may call, shared memory", MARGIN + 40.0))
        .add(sample(MARGIN + 200.0, "log"))
        .add(word("may write to the log", MARGIN + 242.0))
        .add(square(MARGIN + 378.0, "driver"))
        .add(word("owns devices", MARGIN + 408.0))
        .add(square(MARGIN + 506.0, "domain last"))
        .add(word("ends the run", MARGIN + 536.0))
}

fn arrow(id: &str, colour: &str) -> Marker {
    let head = Path::new().set("d", "M0,0 L8,4 L0,8 Z").set("fill", colour);
    Marker::new()
        .set("id", id)
        .set("viewBox", (0, 0, 8, 8))
        .set("refX", 7)
        .set("refY", 4)
        .set("markerWidth", 8)
        .set("markerHeight", 8)
        .set("markerUnits", "userSpaceOnUse")
        .set("orient", "auto")
        .add(head)
}

fn text(words: impl Into<String>, class: &str, x: f64, y: f64) -> Text {
    Text::new(words).set("class", class).set("x", x).set("y", y)
}

/// A text in at most so many lines; the last ends with an ellipsis if there is more.
fn wrapped(words: &str, lines: usize) -> Vec<String> {
    let mut wrapped = vec![String::new()];
    for word in words.split_whitespace() {
        let last = wrapped.len() - 1;
        let line = &mut wrapped[last];
        if line.is_empty() {
            line.push_str(word);
        } else if line.chars().count() + 1 + word.chars().count() <= LINE_CHARACTERS {
            line.push(' ');
            line.push_str(word);
        } else if last + 1 < lines {
            wrapped.push(word.to_owned());
        } else {
            line.push('…');
            break;
        }
    }
    wrapped
}
