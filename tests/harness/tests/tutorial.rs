//! What `domains/README.md` has a newcomer type is what lies in this folder's neighbours, and is booted from
//! there.

use std::{fs, path::Path};

/// The files of the tutorial, from `tests/`. In the README the names begin with `my-`, because two packages
/// of one workspace cannot have the same name.
const FILES: &[&str] = &[
    "domains/greeter/Cargo.toml",
    "domains/greeter/domain.toml",
    "domains/greeter/src/main.rs",
    "domains/greeter/api/Cargo.toml",
    "domains/greeter/api/src/lib.rs",
    "domains/guest/Cargo.toml",
    "domains/guest/domain.toml",
    "domains/guest/src/main.rs",
    "manifests/accept/tutorial.toml",
];

#[test]
fn the_tutorial_shows_the_files_that_are_tested() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let readme = fs::read_to_string(tests.join("../domains/README.md")).unwrap();
    let shown = readme.replace("my-", "").replace("my_", "");
    FILES.iter().for_each(|file| assert_shows(&shown, "domains/README.md", &tests, file));
}

fn assert_shows(readme: &str, name: &str, folder: &Path, file: &str) {
    let text = fs::read_to_string(folder.join(file)).unwrap();
    let language = if file.ends_with(".rs") { "rust" } else { "toml" };
    let block = format!("\n```{language}\n{text}```\n");
    assert!(readme.contains(&block), "{name} does not show {file} as it is");
}

/// The files that `libos/sys/README.md` explains, from `tests/`.
const EXAMPLES: &[&str] = &[
    "domains/reader/domain.toml",
    "domains/reader/src/main.rs",
    "domains/writer/domain.toml",
    "domains/writer/src/main.rs",
    "manifests/accept/reading.toml",
    "domains/nurse/domain.toml",
    "domains/nurse/src/main.rs",
    "manifests/accept/nurse.toml",
];

#[test]
fn the_examples_are_the_files_that_are_tested() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let readme = fs::read_to_string(tests.join("../libos/sys/README.md")).unwrap();
    EXAMPLES.iter().for_each(|file| assert_shows(&readme, "libos/sys/README.md", &tests, file));
}

#[test]
fn the_template_is_explained_line_by_line() {
    let hello = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../domains/demos/hello");
    let readme = fs::read_to_string(hello.join("README.md")).unwrap();
    for file in ["Cargo.toml", "domain.toml", "src/main.rs"] {
        assert_shows(&readme, "domains/demos/hello/README.md", &hello, file);
    }
}

#[test]
fn every_sample_of_output_names_the_scenario_that_prints_it() {
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let nameless: Vec<String> = harness::samples(&project)
        .unwrap()
        .into_iter()
        .filter(|sample| {
            let file = |scenario: &String| harness::scenarios().join(format!("{scenario}.expect"));
            !sample.scenario.as_ref().is_some_and(|scenario| file(scenario).is_file())
        })
        .map(|sample| format!("{}: {}", sample.file, sample.lines[0]))
        .collect();
    assert!(
        nameless.is_empty(),
        "put `<!-- printed by SCENARIO -->` above the block, with a scenario of tests/boot:\n{}",
        nameless.join("\n")
    );
}
