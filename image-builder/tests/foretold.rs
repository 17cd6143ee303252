//! `cargo image pcrs` and `policy`: each form of what is foretold says the same.

mod support;

use std::collections::BTreeMap;

use cloison_measure::{Bank, Log, log::replay};
use serde_json::Value;
use support::*;

fn printed(arguments: &[&str]) -> Vec<u8> {
    let output = tool(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", said(&output));
    output.stdout
}

fn foretold(format: &str) -> Vec<u8> {
    printed(&["pcrs", HELLO, "--format", format])
}

/// Registers of SHA-256 with their values, as the table has them.
fn table() -> BTreeMap<u32, String> {
    let text = String::from_utf8(foretold("table")).unwrap();
    let rows = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let rows =
        rows.filter(|row| row.get(1) == Some(&"sha256") && row.get(2).is_some_and(|value| value.len() == 64));
    rows.map(|row| (row[0].parse().unwrap(), row[2].to_owned())).collect()
}

#[test]
fn each_form_has_the_values_of_the_table() {
    let table = table();
    assert!([4, 8, 9, 11, 12, 13].iter().all(|pcr| table.contains_key(pcr)), "{table:?}");
    let json: Value = serde_json::from_slice(&foretold("json")).unwrap();
    let keylime: Value = serde_json::from_slice(&foretold("keylime")).unwrap();
    let log = foretold("eventlog");
    let registers = replay(&Log::read(&log).unwrap(), Bank::Sha256).unwrap();
    for (pcr, value) in &table {
        let key = pcr.to_string();
        assert_eq!(json["banks"]["sha256"][&key], Value::from(value.as_str()), "{pcr}");
        let listed = keylime[&key].as_array().unwrap();
        assert!(listed.iter().any(|listed| listed == value), "{pcr}: {listed:?}");
        let digits: String = registers.value(*pcr).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(&digits, value, "{pcr}");
    }
}

/// A BIOS measures neither kernel nor image: that is the answer, and what it measures is shown to who asks for it.
#[test]
fn of_a_boot_that_nobody_measures_nothing_is_foretold() {
    let output = tool(&["pcrs", HELLO, "--boot", "bios"]).output().unwrap();
    assert_says(&output, 1, "kernel and image are measured by nobody");
    assert!(output.stdout.is_empty());
    let shown = String::from_utf8(printed(&["pcrs", HELLO, "--boot", "bios", "--unmeasured"])).unwrap();
    assert!(shown.lines().any(|line| line.starts_with("  4  sha256")), "{shown}");
    assert!(!shown.contains("kernel") && !shown.contains("domain hello"), "{shown}");
}

/// The digest beside the policy is the one of the text, which the image's row has.
#[test]
fn the_policy_is_printed_with_the_digest_that_is_measured() {
    let output = tool(&["policy", HELLO]).output().unwrap();
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    assert!(text.starts_with("cloison policy 1\n") && text.contains("\nconsole holds log-right\n"), "{text}");
    let said = said(&output);
    let digest = said.trim().strip_prefix("policy: SHA-256 ").unwrap();
    let json: Value = serde_json::from_slice(&foretold("json")).unwrap();
    let row = json["events"].as_array().unwrap().iter().find(|event| event["name"] == "policy").unwrap();
    assert_eq!(
        cloison_measure::event::sha256(text.as_bytes()).map(|byte| format!("{byte:02x}")).concat(),
        digest
    );
    // A register is extended with the line, in which the digest stands.
    let line = cloison_measure::event::sha256(format!("policy sha256:{digest}").as_bytes());
    assert_eq!(row["sha256"], Value::from(line.map(|byte| format!("{byte:02x}")).concat()));
}
