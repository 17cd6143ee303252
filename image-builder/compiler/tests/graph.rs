//! The drawing of every manifest can be read: no words cover other words, or cross the frame of a box.

mod support;

use std::fs;
use std::path::PathBuf;

use image_compiler::{System, Workspace};
use support::{fixtures, is_menu, project};

/// Width of a letter over the size of its font: DejaVu Sans Mono has 0.602, others of one width less.
const LETTER_WIDTH: f64 = 0.602;

#[derive(Debug, Clone, Copy)]
struct Area {
    left: f64,
    top: f64,
    right: f64,
    bottom: f64,
}

impl Area {
    fn touches(&self, other: &Self) -> bool {
        self.left < other.right
            && other.left < self.right
            && self.top < other.bottom
            && other.top < self.bottom
    }

    fn is_inside(&self, other: &Self) -> bool {
        self.left >= other.left
            && self.right <= other.right
            && self.top >= other.top
            && self.bottom <= other.bottom
    }
}

/// The value of an element's attribute.
fn attribute<'t>(element: &'t str, name: &str) -> Option<&'t str> {
    let (_, rest) = element.split_once(&format!(" {name}=\""))?;
    rest.split('"').next()
}

fn number(element: &str, name: &str) -> f64 {
    attribute(element, name).and_then(|text| text.parse().ok()).unwrap_or_default()
}

/// Elements of a kind: their attributes, and what follows.
fn elements<'t>(svg: &'t str, kind: &str) -> impl Iterator<Item = (&'t str, &'t str)> {
    let tag = format!("<{kind}");
    let all = svg.split(&tag).skip(1).filter(|rest| rest.starts_with(' '));
    all.filter_map(|rest| rest.split_once('>')).collect::<Vec<_>>().into_iter()
}

/// The size that the drawing's style gives to a class.
fn font_size(svg: &str, classes: &str) -> f64 {
    let sizes = classes.split(' ').filter_map(|class| {
        let (_, rest) = svg.split_once(&format!(".{class} {{ font-size: "))?;
        rest.split("px").next()?.parse().ok()
    });
    sizes.max_by(f64::total_cmp).expect("a text without a size")
}

/// Each text of the drawing, and the room that it takes.
fn texts(svg: &str) -> Vec<(String, Area)> {
    let area = |(element, rest): (&str, &str)| {
        let words = rest.split("</text>").next().unwrap().trim().to_owned();
        let words =
            words.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&").replace("&quot;", "\"");
        let size = font_size(svg, attribute(element, "class").unwrap());
        let width = words.chars().count() as f64 * size * LETTER_WIDTH;
        let x = number(element, "x");
        let left = match attribute(element, "text-anchor") {
            Some("end") => x - width,
            Some("middle") => x - width / 2.0,
            _ => x,
        };
        let y = number(element, "y");
        (words, Area { left, top: y - 0.76 * size, right: left + width, bottom: y + 0.24 * size })
    };
    elements(svg, "text").map(area).collect()
}

fn rectangles(svg: &str, is_meant: impl Fn(&str) -> bool) -> Vec<Area> {
    let all = elements(svg, "rect")
        .filter(|(element, _)| is_meant(attribute(element, "class").unwrap_or_default()));
    all.map(|(element, _)| {
        let (left, top) = (number(element, "x"), number(element, "y"));
        Area { left, top, right: left + number(element, "width"), bottom: top + number(element, "height") }
    })
    .collect()
}

/// What makes a drawing hard to read.
fn flaws(svg: &str) -> Vec<String> {
    let texts = texts(svg);
    let (_, rest) = svg.split_once("<svg").unwrap();
    let canvas = Area { left: 0.0, top: 0.0, right: number(rest, "width"), bottom: number(rest, "height") };
    let boxes = rectangles(svg, |class| !class.is_empty());
    let frames = rectangles(svg, |class| class.starts_with("domain") || class.starts_with("driver"));
    let mut flaws = Vec::new();
    for (place, (words, area)) in texts.iter().enumerate() {
        if !area.is_inside(&canvas) {
            flaws.push(format!("`{words}` is cut off"));
        }
        for (other, _) in texts[..place].iter().filter(|(_, other)| other.touches(area)) {
            flaws.push(format!("`{words}` covers `{other}`"));
        }
        if boxes.iter().any(|frame| frame.touches(area) && !area.is_inside(frame)) {
            flaws.push(format!("`{words}` crosses a frame"));
        }
    }
    for (place, frame) in frames.iter().enumerate() {
        if frames[..place].iter().any(|other| other.touches(frame)) {
            flaws.push(format!("two boxes overlap at {frame:?}"));
        }
    }
    flaws
}

/// Every good manifest there is, with the folder of its workspace.
fn systems() -> Vec<(PathBuf, System)> {
    let project = Workspace { root: project() };
    let folders = [
        (&project, project.root.join("manifests")),
        (&project, project.root.join("tests/manifests/accept")),
        (&fixtures(), fixtures().root.join("manifests")),
    ];
    let mut systems = Vec::new();
    for (workspace, folder) in folders {
        let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let mut paths: Vec<_> = paths
            .filter(|path| path.extension().is_some_and(|end| end == "toml") && !is_menu(path))
            .collect();
        paths.sort();
        systems.extend(paths.into_iter().map(|path| {
            let system = image_compiler::load(workspace, &path).map_err(|report| report.to_string()).unwrap();
            (path, system)
        }));
    }
    systems
}

#[test]
fn no_words_cover_others() {
    let systems = systems();
    assert!(systems.len() > 30);
    for (path, system) in systems {
        let svg = image_compiler::graph_svg(&system);
        let texts = texts(&svg);
        for (_, domain) in system.domains() {
            assert!(
                texts.iter().any(|(words, _)| *words == domain.name),
                "{}: {}",
                path.display(),
                domain.name
            );
        }
        let flaws = flaws(&svg);
        assert!(flaws.is_empty(), "{}: {flaws:#?}", path.display());
    }
}

/// Shapes that no manifest here has: as many domains as there can be, with names of every length and gates at random,
/// up and down, and to themselves in circles.
#[test]
fn a_system_of_any_shape_can_be_read() {
    const COUNT: usize = 20;
    let folder = tempfile::tempdir().unwrap();
    for seed in 0..24_u64 {
        let path = folder.path().join("drawn.toml");
        fs::write(&path, drawn(seed, COUNT)).unwrap();
        let system = image_compiler::load(&fixtures(), &path).map_err(|report| report.to_string()).unwrap();
        let flaws = flaws(&image_compiler::graph_svg(&system));
        assert!(flaws.is_empty(), "seed {seed}: {flaws:#?}\n{}", drawn(seed, COUNT));
    }
}

/// A manifest in which each domain may call one that comes after it, and some hang on a switch with forwards.
fn drawn(seed: u64, count: usize) -> String {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) + 1;
    let mut random = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    };
    let name = |number: usize| format!("d{number}{}", "w".repeat(number * 7 % 14));
    let mut text = String::from("[system]\nname = \"drawn\"\nplatform = \"machine\"\n");
    for number in 0..count {
        text += &format!("[domain.{}]\ncomponent = \"peer\"\n", name(number));
        if number + 1 < count && random(4) > 0 {
            let next = number + 1 + random(if seed.is_multiple_of(2) { 1 } else { count - number - 1 });
            text += &format!("uses.next = \"{}\"\n", name(next));
        }
        let last = if seed.is_multiple_of(3) { number } else { random(count) };
        text += &match random(4) {
            0 => "on_fault = \"restart\"\n".to_owned(),
            1 if last > number => format!("on_fault = \"handler\"\nfault_handler = \"{}\"\n", name(last)),
            _ => String::new(),
        };
    }
    let network = "[domain.ore]\ncomponent = \"ore\"\n[domain.c]\ncomponent = \"card\"\ndevices = [\"nic0\"]\n\
                   [switch.ore]\nnetwork = \"10.0.0.0/24\"\nuplink = \"c\"\n";
    text += network;
    for number in 0..1 + random(7) {
        let host = format!("a-host-{}", "h".repeat(1 + number));
        text += &format!(
            "[domain.{host}]\ncomponent = \"host\"\n[switch.ore.port.{host}]\naddress = \"10.0.0.{}\"\n",
            10 + number
        );
        for port in 0..random(3) {
            text += &format!("[forward.f{number}-{port}]\nto = \"{host}\"\nport = {}\n", 40_000 + port);
        }
    }
    text
}

#[test]
fn the_test_sees_what_overlaps() {
    let drawing = |y: u32, x: u32| {
        format!(
            "<svg width=\"300\" height=\"100\">.small {{ font-size: 10px; }}\
             <rect class=\"domain\" x=\"0\" y=\"0\" width=\"100\" height=\"50\"/>\
             <text class=\"small\" x=\"10\" y=\"20\">first</text><text class=\"small\" x=\"{x}\" y=\"{y}\">other</text></svg>"
        )
    };
    assert!(flaws(&drawing(40, 10)).is_empty());
    assert_eq!(flaws(&drawing(25, 30)), ["`other` covers `first`"]);
    assert_eq!(flaws(&drawing(40, 90)), ["`other` crosses a frame"]);
    assert_eq!(flaws(&drawing(80, 290)), ["`other` is cut off"]);
}

/// What a system is made of beside domains and gates.
#[test]
fn shows_all_that_a_manifest_gives() {
    let system = support::everything();
    let (svg, dot) = (image_compiler::graph_svg(&system), image_compiler::graph_dot(&system));
    let expected = [
        ("faults: keeper decides", "\"client\" -> \"keeper\" [label=\"faults\""),
        ("a fault halts everything", "a fault halts everything"),
        ("after a fault: started again", "\"the builder\" -> \"stpm\""),
        ("its rights, but for those to the memory of stpm", "label=\"restarts\""),
        ("port of the host: 2211 to 22", "\"the host\" -> \"alice\" [label=\"2211 to 22\""),
        ("192.168.0.11", "192.168.0.11"),
        ("VLAN 1", "VLAN 1"),
        ("address by DHCP", "address by DHCP"),
        ("mirror of all", "mirror of all"),
        ("uplink", "uplink"),
        ("locality 2", "locality 2"),
        ("66 pages", "66 pages"),
    ];
    for (in_svg, in_dot) in expected {
        // Long sentences are wrapped.
        let words = texts(&svg).into_iter().map(|(words, _)| words).collect::<Vec<_>>().join(" ");
        assert!(words.contains(in_svg), "`{in_svg}` is not in: {words}");
        assert!(dot.contains(in_dot), "`{in_dot}` is not in: {dot}");
    }
}
