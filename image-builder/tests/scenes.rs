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

#[test]
fn a_machine_as_built_is_accepted_and_an_old_answer_is_not() {
    play(
        "replay",
        &[
            "accepted: 10 registers are as foretold, policy ",
            "refused: nonce",
            "refused: key: its name is 000b",
        ],
    );
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

#[test]
fn a_boot_that_nobody_measures_is_refused() {
    play("unmeasured", &["refused: the machine says: this boot was not measured"]);
}
