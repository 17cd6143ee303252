//! Domains that are saved, and go on from there.

use super::*;

#[test]
fn a_domain_goes_on_from_where_it_was_saved_once() {
    let world = world(State::Paused, State::Defined);
    done(&world, "--save stpm", &["stpm: saved, 316 KiB; bmic --restore lets it go on"]);
    assert!(type_at(&world, "--list").1[2].starts_with("  3  stpm              saved    "));
    done(&world, "--restore stpm", &["stpm: goes on from where it was saved"]);
    let twice = "bmic: stpm is running: it is not saved; nothing was done";
    assert_eq!(type_at(&world, "--restore stpm").1, [twice]);
}

/// Of one that can never be saved the reason has a name.
#[test]
fn what_keeps_a_domain_from_being_saved_is_named() {
    let device = "it has a device, which cannot be saved";
    let loans = "it can lend memory or be lent some, and loans cannot be saved";
    let shared = "it has memory together with others, which cannot be saved";
    let cases = [
        (Refusal::HasDevice, Some(["tpm-tis", ""]), format!("{device}: tpm-tis")),
        (Refusal::HasLoans, Some(["scratch", ""]), format!("{loans}: scratch")),
        (Refusal::HasLoans, Some(["", "alice"]), format!("{loans}: alice can lend it some")),
        (Refusal::HasShared, Some(["terminal", "console"]), format!("{shared}: terminal, with console")),
        (Refusal::HasShared, Some(["", ""]), shared.into()),
        (Refusal::HasDevice, None, device.into()),
        (Refusal::HasGuest, Some(["x", "y"]), Refusal::HasGuest.to_string()),
    ];
    for (refusal, hindrance, reason) in cases {
        let world = world(State::Paused, State::Defined);
        (world.0.borrow_mut().refusal, world.0.borrow_mut().hindrance) = (Some(refusal), hindrance);
        let said = format!("bmic: stpm is paused: {reason}; nothing was done");
        assert_eq!(type_at(&world, "--save stpm"), (Status::Failed, vec![said]));
    }
}
