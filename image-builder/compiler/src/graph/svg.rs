//! The system as a drawing: domains as boxes, callers above those whom they call, the kernel below all of
//! them.

use svg::Document;
use svg::node::element::path::Data;
use svg::node::element::{Definitions, Group, Marker, Path, Rectangle, Style, Text, Title};

use super::layers::Layers;
use super::text::{Font, wrapped};
use super::{Edge, devices, disk, edges, forwards, guest, on_fault, programs, restartable};
use crate::system::{Domain, DomainId, System};
use crate::visible::visible_line;

const MARGIN: f64 = 36.0;
const HEADING: f64 = 56.0;
const BOX_WIDTH: f64 = 252.0;
/// Between the frame of a box and what is in it.
const PADDING: f64 = 14.0;
/// Height of a domain's name and priority.
const BOX_HEAD: f64 = 32.0;
/// Lines of a component's summary.
const SUMMARY_LINES: usize = 3;
/// Lines of one other thing that is said of a domain.
const FACT_LINES: usize = 2;
const CHIP_HEIGHT: f64 = 18.0;
/// Letters of one line of a label.
const LABEL_LETTERS: usize = 24;
const KERNEL_LINE: f64 = 18.0;
/// From the rows to the kernel, and from there to the legend.
const KERNEL_GAP: f64 = 30.0;
const LEGEND_HEIGHT: f64 = 34.0;
/// The drawing is at least as wide as this, for the legend.
const LEAST_WIDTH: f64 = 740.0;

const STYLE: &str = "
text { font-family: 'DejaVu Sans Mono', Menlo, Consolas, 'Liberation Mono', monospace; fill: #1c2733; }
.title, .name, .gate { font-weight: 600; }
.small { fill: #52606d; }
.gate { fill: #1f5fa8; }
.light { fill: #ffffff; }
.fault { fill: #a33a2c; }
.outside { fill: #2e7d4f; }
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
    let edges = edges(system);
    let boxes: Vec<_> = system.domains().map(|(id, domain)| DomainBox::new(system, id, domain)).collect();
    let labels: Vec<_> = edges.iter().map(|edge| label(system, edge)).collect();
    let box_sizes: Vec<_> = boxes.iter().map(|domain| (BOX_WIDTH, domain.height())).collect();
    let label_sizes: Vec<_> = labels.iter().map(|lines| label_size(lines)).collect();
    let layers = Layers::new(system, &edges, &box_sizes, &label_sizes);
    Picture { system, edges: &edges, boxes, labels, layers }.draw().to_string() + "\n"
}

/// The text in a domain's box.
struct DomainBox<'a> {
    domain: &'a Domain,
    is_last: bool,
    /// Small lines, each with its class.
    lines: Vec<(String, &'static str)>,
    /// Its devices, each with its class, in rows.
    chips: Vec<Vec<(&'a str, &'a str)>>,
}

impl<'a> DomainBox<'a> {
    fn new(system: &'a System, id: DomainId, domain: &'a Domain) -> Self {
        let letters = Font::Small.letters(BOX_WIDTH - 2.0 * PADDING);
        let summary = system.component(domain.component).summary.value.clone();
        let summary = (summary, "", SUMMARY_LINES);
        let fault = on_fault(system, domain).map(|line| (line, "fault", FACT_LINES));
        let forwards = forwards(system, id)
            .map(|(host, port)| (format!("port of the host: {host} to {port}"), "outside", FACT_LINES));
        let programs = programs(system, domain).map(|line| (line, "", FACT_LINES));
        let guest = guest(system, domain).map(|line| (line, "", FACT_LINES));
        let disk = disk(system, id).map(|line| (line, "", FACT_LINES));
        let facts =
            std::iter::once(summary).chain(programs).chain(guest).chain(disk).chain(fault).chain(forwards);
        let lines = facts.flat_map(|(words, class, lines)| {
            wrapped(&words, letters, lines).into_iter().map(move |line| (line, class))
        });
        let mut chips: Vec<Vec<(&str, &str)>> = Vec::new();
        let mut room = 0.0;
        for device in devices(system, domain) {
            if chip_width(device.0) > room {
                chips.push(Vec::new());
                room = BOX_WIDTH - 2.0 * PADDING;
            }
            room -= chip_width(device.0) + CHIP_GAP;
            chips.last_mut().into_iter().for_each(|row| row.push(device));
        }
        let lines = lines.collect();
        Self { domain, is_last: system.ends_with == Some(id), lines, chips }
    }

    fn height(&self) -> f64 {
        let lines = Font::Small.line() * self.lines.len() as f64;
        let chips = (CHIP_HEIGHT + CHIP_GAP) * self.chips.len() as f64;
        BOX_HEAD + lines + chips + PADDING
    }

    fn draw(&self, (x, y): (f64, f64), height: f64) -> Group {
        let mut class = if self.chips.is_empty() { "domain" } else { "driver" }.to_owned();
        if self.is_last {
            class += " last";
        }
        let priority = format!("priority {}", self.domain.priority);
        let frame = rectangle((x, y), (BOX_WIDTH, height)).set("rx", 12).set("class", class);
        let mut group = Group::new()
            .add(frame)
            .add(text(&self.domain.name, Font::Name, "", (x + PADDING, y + 22.0)))
            .add(text_to(&priority, Font::Small, "", (x + BOX_WIDTH - PADDING, y + 21.0)));
        let mut line_y = y + BOX_HEAD;
        for (line, class) in &self.lines {
            line_y += Font::Small.line();
            group = group.add(text(line, Font::Small, class, (x + PADDING, line_y - 4.0)));
        }
        for row in &self.chips {
            let mut chip_x = x + PADDING;
            line_y += CHIP_GAP;
            for (device, class) in row {
                group = group.add(chip(device, class, (chip_x, line_y)));
                chip_x += chip_width(device) + CHIP_GAP;
            }
            line_y += CHIP_HEIGHT;
        }
        group
    }
}

/// Between two devices.
const CHIP_GAP: f64 = 6.0;

fn chip_width(device: &str) -> f64 {
    12.0 + Font::Small.width(device)
}

fn chip(device: &str, class: &str, (x, y): (f64, f64)) -> Group {
    let frame = rectangle((x, y), (chip_width(device), CHIP_HEIGHT)).set("rx", 5).set("class", "device");
    let name = text(device, Font::Small, "light", (x + 6.0, y + 12.8));
    let title = Title::new(visible_line(&format!("{device}, a {class}")));
    Group::new().add(title).add(frame).add(name)
}

/// The lines beside an edge. Nothing if it is for the log alone: that has a line of its own kind.
fn label(system: &System, edge: &Edge<'_>) -> Vec<String> {
    if edge.is_log(system) {
        return Vec::new();
    }
    edge.label(system).iter().flat_map(|line| wrapped(line, LABEL_LETTERS, 4)).collect()
}

fn label_size(lines: &[String]) -> (f64, f64) {
    if lines.is_empty() {
        return (0.0, 0.0);
    }
    let width = lines.iter().map(|line| Font::Gate.width(line)).fold(0.0, f64::max);
    (width + 8.0, Font::Gate.line() * lines.len() as f64 + 2.0)
}

struct Picture<'a> {
    system: &'a System,
    edges: &'a [Edge<'a>],
    boxes: Vec<DomainBox<'a>>,
    labels: Vec<Vec<String>>,
    layers: Layers,
}

impl Picture<'_> {
    fn draw(&self) -> Document {
        let width = self.layers.width.max(LEAST_WIDTH) + 2.0 * MARGIN;
        let kernel_top = HEADING + self.layers.height + KERNEL_GAP;
        let kernel = self.kernel_lines(width);
        let legend_top = kernel_top + KERNEL_LINE * kernel.len() as f64 + 2.0 * PADDING + KERNEL_GAP;
        let height = legend_top + LEGEND_HEIGHT;
        let mut document = Document::new()
            .set("viewBox", (0, 0, width, height))
            .set("width", width)
            .set("height", height)
            .set("role", "img")
            .add(Title::new(format!("System {}", self.system.name())))
            .add(Style::new(style()))
            .add(Definitions::new().add(arrow("call-end", "#1f5fa8")).add(arrow("log-end", "#9aa5b1")))
            .add(rectangle((0.0, 0.0), (width, height)).set("fill", "#ffffff"))
            .add(text(self.system.name(), Font::Title, "", (MARGIN, 36.0)))
            .add(self.subtitle(width));
        for (index, edge) in self.edges.iter().enumerate() {
            document = document.add(self.line(index, edge));
        }
        // Boxes cover lines, labels cover both.
        for (index, domain) in self.boxes.iter().enumerate() {
            let (middle, y) = self.top(index);
            let corner = (middle - BOX_WIDTH / 2.0, y);
            document = document.add(domain.draw(corner, self.layers.nodes[index].height));
        }
        for (index, lines) in self.labels.iter().enumerate() {
            document = document.add(self.label(index, lines));
        }
        document.add(draw_kernel(&kernel, width, kernel_top)).add(legend(legend_top))
    }

    fn subtitle(&self, width: f64) -> Text {
        let platform = self.system.platform();
        let words = format!("{} · {} MiB", platform.name, platform.memory_mib);
        text_to(&words, Font::Small, "", (width - MARGIN, 34.0))
    }

    /// Middle of the top of a node.
    fn top(&self, node: usize) -> (f64, f64) {
        let spare = (LEAST_WIDTH - self.layers.width).max(0.0) / 2.0;
        let node = &self.layers.nodes[node];
        (MARGIN + spare + node.x, HEADING + node.y)
    }

    fn bottom(&self, node: usize) -> f64 {
        self.top(node).1 + self.layers.nodes[node].height
    }

    /// The points of a line: where it leaves the client, its label and bends, where it reaches the server. Lines
    /// that leave or reach the same box do so side by side.
    fn points(&self, index: usize) -> Vec<(f64, f64)> {
        let line = &self.layers.lines[index];
        let (first, last) = (line[0], line[line.len() - 1]);
        let mut points = vec![(self.side_by_side(first, index, true), self.bottom(first))];
        for node in &line[1..line.len() - 1] {
            let (x, y) = self.top(*node);
            points.extend([(x, y), (x, self.bottom(*node))]);
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
        let step = (BOX_WIDTH - 60.0) / here.len() as f64;
        self.top(node).0 + (place as f64 + 0.5 - here.len() as f64 / 2.0) * step.min(44.0)
    }

    fn line(&self, index: usize, edge: &Edge<'_>) -> Path {
        let points = self.points(index);
        let mut data = Data::new().move_to(points[0]);
        for pair in points.windows(2) {
            let ((from_x, from_y), (to_x, to_y)) = (pair[0], pair[1]);
            let half = (to_y - from_y) / 2.0;
            data = data.cubic_curve_to((from_x, from_y + half, to_x, to_y - half, to_x, to_y));
        }
        let (class, end) = if edge.is_log(self.system) { ("log", "log-end") } else { ("call", "call-end") };
        Path::new().set("d", data).set("class", class).set("marker-end", format!("url(#{end})"))
    }

    /// An edge's label, near the client.
    fn label(&self, index: usize, lines: &[String]) -> Group {
        let node = self.layers.lines[index][1];
        let (x, y) = self.top(node);
        let (width, height) = label_size(lines);
        let mut group = Group::new();
        if !lines.is_empty() {
            let blank = rectangle((x - width / 2.0, y), (width, height)).set("fill", "#ffffff");
            group = group.add(blank);
        }
        for (place, line) in lines.iter().enumerate() {
            let y = y + Font::Gate.line() * (place as f64 + 1.0) - 2.0;
            group = group.add(text(line, Font::Gate, "", (x, y)).set("text-anchor", "middle"));
        }
        group
    }

    /// The builder's work, and the rights that it keeps.
    fn kernel_lines(&self, width: f64) -> Vec<String> {
        let mut words = "builder: builds all of this at boot, then gives up its rights".to_owned();
        let names = restartable(self.system);
        if !names.is_empty() {
            words += ", but for those to the memory of ";
            words += &names.join(", ");
            words += ": it starts them again after a fault";
        }
        let room = width - 2.0 * MARGIN - 3.0 * PADDING - Font::Name.width(KERNEL);
        wrapped(&words, Font::Small.letters(room), 8)
    }
}

/// The kernel, below all domains.
const KERNEL: &str = "core-kernel";

fn draw_kernel(lines: &[String], width: f64, y: f64) -> Group {
    let height = KERNEL_LINE * lines.len() as f64 + 2.0 * PADDING;
    let bar = rectangle((MARGIN, y), (width - 2.0 * MARGIN, height)).set("rx", 8).set("class", "kernel");
    let name = text(KERNEL, Font::Name, "light", (MARGIN + PADDING, y + PADDING + 14.0));
    let mut group = Group::new().add(bar).add(name);
    for (place, line) in lines.iter().enumerate() {
        let at = (width - MARGIN - PADDING, y + PADDING + KERNEL_LINE * (place as f64 + 1.0) - 5.0);
        group = group.add(text_to(line, Font::Small, "light", at));
    }
    group
}

fn legend(y: f64) -> Group {
    let line = |x: f64, class: &str| {
        let data = Data::new().move_to((x, y - 4.0)).line_to((x + 26.0, y - 4.0));
        Path::new().set("d", data).set("class", class).set("marker-end", format!("url(#{class}-end)"))
    };
    let square =
        |x: f64, class: &str| rectangle((x, y - 11.0), (26.0, 14.0)).set("rx", 4).set("class", class);
    let entries =
        [("call", "may call, shared memory"), ("log", "may write to the log"), ("driver", "owns devices")];
    let mut x = MARGIN;
    let mut group = Group::new();
    for (class, words) in entries.into_iter().chain([("domain last", "ends the run")]) {
        group = if ["call", "log"].contains(&class) {
            group.add(line(x, class))
        } else {
            group.add(square(x, class))
        };
        group = group.add(text(words, Font::Small, "", (x + 34.0, y)));
        x += 34.0 + Font::Small.width(words) + 20.0;
    }
    group
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

/// The style, with the sizes by which boxes were measured.
fn style() -> String {
    let sizes = Font::ALL.map(|font| format!(".{} {{ font-size: {}px; }}\n", font.class(), font.size()));
    sizes.concat() + STYLE
}

fn rectangle((x, y): (f64, f64), (width, height): (f64, f64)) -> Rectangle {
    Rectangle::new().set("x", x).set("y", y).set("width", width).set("height", height)
}

/// Words that begin at a place.
fn text(words: &str, font: Font, class: &str, (x, y): (f64, f64)) -> Text {
    let class = format!("{} {class}", font.class());
    Text::new(visible_line(words)).set("class", class.trim_end()).set("x", x).set("y", y)
}

/// Words that end at a place.
fn text_to(words: &str, font: Font, class: &str, at: (f64, f64)) -> Text {
    text(words, font, class, at).set("text-anchor", "end")
}
