//! The policy of a system says what it allows, and nothing of how its manifest says so.

mod support;

use std::fs;
use std::path::Path;

use image_compiler::Workspace;
use image_compiler::policy::{policy, policy_digest};
use proptest::prelude::*;
use support::project;

/// The policy of a manifest in a file of some name.
fn of(text: &str, name: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, text).unwrap();
    let system = image_compiler::load(&Workspace { root: project() }, &path);
    policy(&system.unwrap_or_else(|report| panic!("{report}")))
}

fn manifest(name: &str) -> String {
    fs::read_to_string(project().join("manifests").join(name)).unwrap()
}

/// The tables of a manifest, each with its lines.
fn tables(text: &str) -> Vec<String> {
    let mut tables: Vec<String> = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        match tables.last_mut().filter(|_| !line.starts_with('[')) {
            Some(table) => table.push_str(&format!("{line}\n")),
            None => tables.push(format!("{line}\n")),
        }
    }
    tables
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 30, ..ProptestConfig::default() })]

    #[test]
    fn order_and_names_of_files_do_not_show(
        name in prop::sample::select(vec!["net-demo.toml", "vlan-demo.toml", "tpm-demo.toml"]),
        seed in prop::collection::vec(any::<u32>(), 40),
    ) {
        let text = manifest(name);
        let mut tables = tables(&text);
        prop_assert!(tables.len() > 3 && tables.len() <= seed.len());
        let mut order = seed.iter();
        tables.sort_by_cached_key(|_| order.next().copied());
        prop_assert_eq!(of(&tables.concat(), "other.toml"), of(&text, name));
    }
}

/// Each line of a manifest that opens a way shows when it goes or is another.
#[test]
fn what_is_allowed_shows() {
    let changes = [
        ("net-demo.toml", "uses.counters = \"ore\"\nuses.terminal", "uses.terminal"),
        ("net-demo.toml", "uses.terminal = \"console\"\n", ""),
        ("net-demo.toml", "on_fault = \"restart\"\narguments", "arguments"),
        (
            "net-demo.toml",
            "address = \"192.168.0.12\"",
            "address = \"192.168.0.12\"\nsends_to = [\"alice\", \"nic\"]",
        ),
        ("net-demo.toml", "to = \"carol\"\nport = 80", "to = \"carol\"\nport = 81"),
        ("net-demo.toml", "to = \"carol\"\nport = 80", "to = \"bob\"\nport = 80"),
        ("vlan-demo.toml", "vlan = 20", "vlan = 30"),
        ("tpm-demo.toml", "uses.tpm = \"stpm\"", "uses.tpm = { from = \"stpm\", locality = 1 }"),
        (
            "ipcmon-demo.toml",
            "{ from = [\"test\", \"monitor\"], to = \"service\", may = \"call\" }",
            "{ from = [\"test\", \"monitor\"], to = \"service\", may = [\"call\", \"signal\"] }",
        ),
        ("tpm-demo.toml", "on_fault = \"restart\"\n", ""),
        (
            "tpm-demo.toml",
            "[domain.tpmdemo]",
            "[domain.other]\ncomponent = \"hello\"\nlog = \"console\"\n[domain.tpmdemo]",
        ),
    ];
    for (name, from, to) in changes {
        // Assertions are not what is at stake here.
        let text = manifest(name).split("[[assert]]").next().unwrap().to_owned();
        assert!(text.contains(from), "{name}: {from}");
        assert_ne!(of(&text.replace(from, to), name), of(&text, name), "{name}: {from} became {to}");
    }
}

#[test]
fn what_has_nothing_to_do_with_it_does_not_show() {
    let text = manifest("tpm-demo.toml");
    let other = text
        .replace("name = \"tpm-demo\"", "name = \"x\"")
        .replace("[domain.stpm]", "[domain.stpm]\nheap_kib = 256");
    assert_eq!(of(&other, "x.toml"), of(&text, "tpm-demo.toml"));
}

#[test]
fn the_digest_is_that_of_the_text() {
    let path = project().join("manifests/hello.toml");
    let system = image_compiler::load(&Workspace { root: project() }, Path::new(&path)).unwrap();
    assert_eq!(policy_digest(&system), image_compiler::digest::digest(policy(&system).as_bytes()));
    let text = policy(&system);
    assert!(
        text.starts_with("cloison policy 1\n") && text.contains("\nhello tells console by call: gate log\n"),
        "{text}"
    );
    assert!(
        text.contains("\nconsole holds log-right\n") && text.contains("\nconsole owns uart0, uart-16550, "),
        "{text}"
    );
}
