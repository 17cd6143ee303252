//! Runs that have to repeat each other.

use harness::{Verdict, boot};

/// With a clock that counts instructions, nothing is left that could differ: no time of the host, no seed.
#[test]
fn two_runs_of_one_scenario_print_the_same() {
    print_the_same("tasks");
}

/// Ends of domains at drawn points, too: what a seed has found can be looked at again.
#[test]
fn two_runs_with_the_same_seeds_print_the_same() {
    print_the_same("reap-once");
}

fn print_the_same(scenario: &str) {
    let [(first, one), (second, other)] = [boot(scenario), boot(scenario)];
    assert_eq!((first, second), (Verdict::Pass, Verdict::Pass));
    assert_eq!(one, other);
}
