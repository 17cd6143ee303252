//! Guests that are started with a kernel and memory.

use super::*;

#[test]
fn a_guest_is_started_with_a_kernel_and_memory() {
    let all = world(State::Defined, State::Defined);
    all.0.borrow_mut().most_mib = 128;
    done(
        &all,
        "--start-linux vmlinux-old 30",
        &[
            "(bmilib) get_data(vmlinux-old$)",
            "stpm: running, 30 MiB for its guest, 31036 KiB, program 0101010101010101...",
        ],
    );
    done(
        &all,
        "--start-linux vmlinux 128",
        &[
            "(bmilib) get_data(vmlinux$)",
            "tpmdemo: running, 128 MiB for its guest, 131388 KiB, program 0000000000000000...",
        ],
    );
    let message = "bmic: every guest with `vmlinux` was started before: stpm, tpmdemo";
    assert_eq!(type_at(&all, "--start-linux vmlinux 128"), (Status::Failed, lines(&[message])));
}

/// Which guests a client may start, only the answers say.
#[test]
fn a_guest_that_may_be_started_is_found_behind_one_that_may_not() {
    let all = world(State::Defined, State::Defined);
    all.0.borrow_mut().most_mib = 128;
    all.0.borrow_mut().kept_from = Some(named("stpm"));
    let runs = "tpmdemo: running, 64 MiB for its guest, 65852 KiB, program 0000000000000000...";
    done(&all, "--start-linux vmlinux 64", &["(bmilib) get_data(vmlinux$)", runs]);
    let refused = "bmic: stpm is defined: the manifest does not let this domain ask for it; nothing was done";
    for line in ["--start-linux vmlinux 64", "--start-linux vmlinux-old 64"] {
        let (status, shown) = type_at(&all, line);
        assert_eq!((status, shown.last().unwrap().as_str()), (Status::Failed, refused), "{line}");
    }
}

#[test]
fn a_guest_is_not_started_with_what_it_cannot_have() {
    let all = world(State::Running, State::Defined);
    let message = "bmic: no guest can be started with `vmlinux`; the manifest says which guests there are";
    assert_eq!(type_at(&all, "--start-linux vmlinux 64"), (Status::Usage, lines(&[message])));
    all.0.borrow_mut().most_mib = 128;
    let cases = [
        (
            "vmlinux 15",
            Status::Failed,
            "tpmdemo with `vmlinux` can have 43 to 128 MiB, and not 15; nothing was done",
        ),
        (
            "vmlinux 129",
            Status::Failed,
            "tpmdemo with `vmlinux` can have 43 to 128 MiB, and not 129; nothing was done",
        ),
        ("vmlinxu 64", Status::Usage, "no guest can be started with `vmlinxu`; did you mean `vmlinux`?"),
        ("vmlinux-old 64", Status::Failed, "every guest with `vmlinux-old` was started before: stpm"),
    ];
    for (operands, status, message) in cases {
        let found = type_at(&all, &format!("--start-linux {operands}"));
        assert_eq!(found, (status, lines(&[&format!("bmic: {message}")])), "{operands}");
    }
    all.0.borrow_mut().most_mib = 43;
    all.0.borrow_mut().refusal = Some(Refusal::NoMemory);
    let (status, shown) = type_at(&all, "--start-linux vmlinux 43");
    assert_eq!(status, Status::Failed);
    assert_eq!(
        shown[1],
        "bmic: tpmdemo needs 44032 KiB: too little memory of the budget is free; nothing was done"
    );
}
