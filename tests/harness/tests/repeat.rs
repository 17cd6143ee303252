//! Runs that have to repeat each other.

use harness::{Verdict, boot};

/// With a clock that counts instructions, nothing is left that could differ: no time of the host, no seed.
#[test]
fn two_runs_of_one_scenario_print_the_same() {
    let [(first, one), (second, other)] = [boot("tasks"), boot("tasks")];
    assert_eq!((first, second), (Verdict::Pass, Verdict::Pass));
    assert_eq!(one, other);
}
