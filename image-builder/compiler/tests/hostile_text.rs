//! Text of a manifest, a component or a file's name reaches a terminal, a report or a drawing spelled out: it
//! shows as what it is, and moves nothing.

mod support;

use std::fs;
use std::path::Path;

use image_compiler::{System, Workspace};
use support::{fixtures, project};

/// Characters that a terminal obeys, that change the order of text, or that end a line.
const HOSTILE: [char; 12] = [
    '\u{0}', '\u{7}', '\u{8}', '\r', '\u{1b}', '\u{7f}', '\u{85}', '\u{9b}', '\u{200f}', '\u{2028}',
    '\u{202e}', '\u{2066}',
];

fn assert_harmless(shown: &str) {
    let wrong: Vec<char> = shown.chars().filter(|letter| HOSTILE.contains(letter)).collect();
    assert!(wrong.is_empty(), "{wrong:?} in {shown:?}");
}

/// The text as TOML writes it, between quotes.
fn escaped(letter: char) -> String {
    format!("\\U{:08x}", u32::from(letter))
}

#[test]
fn faults_show_no_character_that_a_terminal_obeys() {
    let folder = tempfile::tempdir().unwrap();
    let texts = fs::read_dir(project().join("tests/manifests/reject")).unwrap();
    let mut shown = 0;
    for path in texts.map(|entry| entry.unwrap().path()) {
        let Ok(text) = fs::read_to_string(&path) else { continue };
        for letter in HOSTILE {
            // In every text in quotes, where it is allowed, and raw in a comment.
            let bad = text.replace(" = \"", &format!(" = \"{}x", escaped(letter)));
            let bad = bad.replace("[domain.h", &format!("[domain.\"{}\"]\n[domain.h", escaped(letter)));
            let raw = if letter == '\r' { String::new() } else { format!("# {letter}\n") };
            let path = folder.path().join(format!("a{}b.toml", if letter == '\0' { 'x' } else { letter }));
            fs::write(&path, raw + &bad).unwrap();
            if let Err(report) = image_compiler::load(&fixtures(), &path) {
                assert_harmless(&report.to_string());
                let coloured = report.coloured().replace("\u{1b}[", "");
                assert_harmless(&coloured);
                shown += 1;
            }
        }
    }
    assert!(shown > 500, "{shown}");
}

#[test]
fn labels_and_help_keep_to_their_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.toml");
    let text = "[system]\nname = \"x\"\nplatform = \"machine\"\n[domain.\"a\\nerror: all is well\"]\ncomponent = \"peer\"\n\
                uses.next = \"a\\nerror: all is well\"\n";
    fs::write(&path, text).unwrap();
    let shown = image_compiler::load(&fixtures(), &path).unwrap_err().to_string();
    assert!(shown.contains("`a\\nerror: all is well`"), "{shown}");
    assert!(!shown.lines().any(|line| line.starts_with("error: all is well")), "{shown}");
}

/// Where an editor would go: in characters of the file, whatever else is shown for them.
#[test]
fn a_place_is_that_in_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.toml");
    fs::write(&path, "[system]\n\tname =\t3\r\n").unwrap();
    let shown = image_compiler::load(&fixtures(), &path).unwrap_err().to_string();
    assert!(shown.contains("x.toml:2:9\n"), "{shown}");
}

/// A system whose component, arguments and device class hold what is hostile.
fn hostile_system(folder: &Path) -> System {
    let all: String = HOSTILE.iter().map(|letter| escaped(*letter)).collect();
    let write = |path: &str, text: &str| {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write("domains/builder/domain.toml", "summary = \"builds\"\n");
    let component = format!(
        "summary = \"a{all}b </text><script>\\\" --> ]]>\"\narguments = \"x\"\n[needs.devices]\nd = \"{all}\\\"x\"\n"
    );
    write("domains/evil/domain.toml", &component);
    let device = format!("[device.dev]\nclass = \"{all}\\\"x\"\nports = {{ first = 1, count = 1 }}\n");
    write("manifests/platforms/machine.toml", &format!("[machine]\nmemory_mib = 64\n{device}"));
    let manifest = format!(
        "[system]\nname = \"x\"\nplatform = \"machine\"\n[domain.evil]\ncomponent = \"evil\"\ndevices = [\"dev\"]\narguments = \"{all}\"\n"
    );
    write("x.toml", &manifest);
    let workspace = Workspace { root: folder.to_owned() };
    image_compiler::load(&workspace, &folder.join("x.toml")).map_err(|report| report.to_string()).unwrap()
}

#[test]
fn report_and_drawings_hold_none_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let system = hostile_system(folder.path());
    assert_harmless(&image_compiler::report(&system, None));
    let svg = image_compiler::graph_svg(&system);
    assert_harmless(&svg);
    assert!(!svg.contains("<script>"), "{svg}");
    let dot = image_compiler::graph_dot(&system);
    assert_harmless(&dot);
    // Each text of the language ends where it should: quotes inside are escaped.
    for line in dot.lines() {
        let quotes = line.replace("\\\\", "").replace("\\\"", "").matches('"').count();
        assert!(quotes.is_multiple_of(2), "{line}");
    }
}
