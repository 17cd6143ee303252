use super::*;
use crate::diagnostic::{Sources, Span};

/// Domains with these stated priorities, none of them a driver.
fn stated<const N: usize>(priorities: [Option<u64>; N]) -> Vec<Stated> {
    priorities.map(|priority| Stated { priority, is_driver: false }).to_vec()
}

/// Calls from the first to the second of each pair.
fn calls(pairs: &[(usize, usize)]) -> Vec<Call> {
    let source = Sources::default().add(String::new(), String::new());
    let at = Span { source, start: 0, end: 0 };
    pairs.iter().map(|(client, server)| Call { client: *client, server: *server, at }).collect()
}

#[test]
fn servers_are_above_their_clients() {
    let found = |pairs| priorities(&stated([None; 4]), &calls(pairs));
    assert_eq!(found(&[]), [1, 1, 1, 1]);
    assert_eq!(found(&[(0, 1), (1, 2), (2, 3)]), [1, 2, 3, 4]);
    assert_eq!(found(&[(3, 2), (2, 1), (1, 0)]), [4, 3, 2, 1]);
    assert_eq!(found(&[(0, 3), (1, 3), (2, 3), (1, 2)]), [1, 1, 2, 3]);
}

#[test]
fn what_is_stated_stays() {
    let pairs = calls(&[(0, 1), (1, 2)]);
    assert_eq!(priorities(&stated([Some(10), None, None]), &pairs), [10, 11, 12]);
    assert_eq!(priorities(&stated([None, Some(5), None]), &pairs), [1, 5, 6]);
    assert_eq!(priorities(&stated([Some(9), Some(5), None]), &pairs), [9, 5, 6]);
}

#[test]
fn a_driver_is_above_the_lowest() {
    let mut all = stated([None, None]);
    all[1].is_driver = true;
    assert_eq!(priorities(&all, &[]), [1, 2]);
}

#[test]
fn a_circle_comes_to_an_end() {
    assert_eq!(priorities(&stated([None, None]), &calls(&[(0, 1), (1, 0)])).len(), 2);
    assert_eq!(priorities(&stated([None]), &calls(&[(0, 0)])).len(), 1);
}

#[test]
fn budgets_keep_the_proportion() {
    let cases = [
        ((None, None, true), (0, 0)),
        ((None, None, false), (8_000, 10_000)),
        ((Some(500), None, false), (500, 10_000)),
        ((None, Some(15_000), true), (12_000, 15_000)),
        ((None, Some(0), false), (0, 0)),
        ((Some(1), Some(2), false), (1, 2)),
        ((None, Some(u64::MAX), false), (u64::MAX / 10 * 8 + 4, u64::MAX)),
    ];
    for ((budget_us, period_us, is_lowest), expected) in cases {
        let found = budget(budget_us, period_us, is_lowest);
        assert_eq!((found.budget_us, found.period_us), expected);
    }
}
