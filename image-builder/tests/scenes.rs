//! The scenes of the PET demo, each by the one command that a user types: what the bank makes of each machine.

mod support;

use support::*;

/// Plays a scene. Each of these has to be among what the bank says.
fn play(scene: &str, said_by_the_bank: &[&str]) {
    // A port of the host that is free: the scenes are played at the same time.
    let port = ["--forward", "0:shopper:4433", "--timeout", HANGS];
    let mut command = tool(&["run", "manifests/pet-demo.toml", "--scene", scene]);
    let output = command.args(port).output().unwrap();
    let shown = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{shown}{}", said(&output));
    for line in said_by_the_bank {
        let has = shown
            .lines()
            .any(|shown| shown.strip_prefix("bank | ").is_some_and(|text| text.starts_with(line)));
        assert!(has, "`{line}` is not in: {shown}");
    }
}

const ACCEPTED: &str = "accepted: 10 registers are as foretold, policy ";

#[test]
fn a_machine_as_built_is_accepted() {
    play("good", &["PCR 13 as foretold: domain console, ", ACCEPTED]);
}

#[test]
fn a_keylogger_beside_it_is_no_reason_to_refuse() {
    play("spy", &[ACCEPTED]);
}

#[test]
fn an_old_answer_is_refused() {
    play("replay", &[ACCEPTED, "refused: nonce", "refused: key: its name is 000b"]);
}

#[test]
fn a_changed_program_is_named() {
    play(
        "program",
        &[
            "PCR  9 as foretold: kernel",
            "refused: PCR 11, row header; PCR 12, row plan; PCR 13, row domain shopper",
        ],
    );
}

#[test]
fn a_wider_policy_is_named() {
    // The builder's part holds the manifest's digest.
    let refused = "refused: PCR 11, rows header, builder; PCR 12, rows policy, plan";
    play("policy", &["PCR 13 as foretold: ", refused]);
}

const UNMEASURED: &str = "refused: the machine says: this boot was not measured";

#[test]
fn a_boot_that_nobody_measures_is_refused() {
    play("unmeasured", &[UNMEASURED]);
}

/// In normal mode the verdict is all that is shown; what the machine has said is in the log.
#[test]
fn a_customer_sees_the_verdict_alone() {
    let log = tempfile::NamedTempFile::new().unwrap();
    let mut command = tool(&["run", "manifests/pet-demo.toml", "--scene", "unmeasured", "--mode", "normal"]);
    let options = ["--forward", "0:shopper:4433", "--timeout", HANGS, "--log", log.path().to_str().unwrap()];
    let output = command.args(options).output().unwrap();
    let shown = String::from_utf8_lossy(&output.stdout);
    assert_eq!((output.status.code(), &*shown), (Some(0), &*format!("bank | {UNMEASURED}\n")));
    let logged = std::fs::read_to_string(log.path()).unwrap();
    assert!(logged.contains("attester | this boot was not measured"), "{logged}");
    let output = tool(&["run", "manifests/pet-demo.toml", "--mode", "normal"]).output().unwrap();
    assert_says(&output, 2, "--mode normal shows a bank's verdict alone, and no bank asks");
}

/// A system that ends before anybody in it has answered is not accepted, and that is said.
#[test]
fn a_system_that_ends_without_an_answer_has_failed() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = folder.path().join("silent.toml");
    std::fs::write(&manifest, SILENT).unwrap();
    let output = tool(&["run", manifest.to_str().unwrap(), "--attest", "--timeout", HANGS]).output().unwrap();
    assert_says(&output, 1, "the machine has not answered");
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(shown.contains("hello | hello from a unikernel domain") && !shown.contains("bank | "), "{shown}");
}

/// Nobody listens on the port at which the bank asks, and the system ends by itself.
const SILENT: &str = r#"
[system]
name = "silent"
platform = "qemu-q35"
ends_with = "hello"

[domain.console]
component = "console"
devices = ["uart0"]
rights = ["log-right"]

[domain.hello]
component = "hello"
log = "console"

[switch.ore]
network = "192.168.0.0/24"
gateway = "192.168.0.2"
uplink = "nic"

[domain.ore]
component = "ore"
log = "console"

[domain.nic]
component = "nic"
devices = ["nic0"]
log = "console"

[domain.shell]
component = "netshell"
log = "console"

[switch.ore.port.shell]
address = "192.168.0.11"

[forward.attest]
to = "shell"
port = 4433
"#;
