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

/// The budgets of domains that state these, each of weight 1, all above a lowest one.
fn found<const N: usize>(stated: [(Option<u64>, Option<u64>); N]) -> Vec<(u64, u64)> {
    let above =
        stated.map(|(budget_us, period_us)| StatedBudget { budget_us, period_us, weight: 1, priority: 2 });
    let lowest = StatedBudget { budget_us: None, period_us: None, weight: 1, priority: 1 };
    let found = budgets(&[&above[..], &[lowest]].concat());
    assert_eq!(found[N], Budget { budget_us: 0, period_us: 0 }, "the lowest has no limit");
    found[..N].iter().map(|budget| (budget.budget_us, budget.period_us)).collect()
}

#[test]
fn those_that_state_no_budget_share_what_is_left() {
    assert_eq!(found([(None, None)]), [(8_000, 10_000)]);
    assert_eq!(found([(None, None); 4]), [(2_000, 10_000); 4]);
    assert_eq!(found([(Some(500), None), (None, None)]), [(500, 10_000), (7_500, 10_000)]);
    assert_eq!(found([(Some(10), Some(20)), (None, None)]), [(10, 20), (3_000, 10_000)]);
    assert_eq!(found([(None, Some(15_000)), (None, Some(0))]), [(12_000, 15_000), (0, 0)]);
    assert_eq!(found([(Some(9_000), None), (None, None)]), [(9_000, 10_000), (100, 10_000)]);
    assert_eq!(found([(Some(u64::MAX), Some(1)), (None, None)])[1], (100, 10_000));
    assert_eq!(found([(None, Some(u64::MAX))]), [(u64::MAX / 10 * 8 + 4, u64::MAX)]);
}

#[test]
fn a_component_that_needs_more_gets_more() {
    let stated = [(6, 3), (1, 2), (u64::MAX, 2), (0, 1)];
    let stated =
        stated.map(|(weight, priority)| StatedBudget { budget_us: None, period_us: None, weight, priority });
    let found = |count: usize| -> Vec<u64> {
        budgets(&[&stated[..count], &stated[3..]].concat()).iter().map(|budget| budget.budget_us).collect()
    };
    assert_eq!(found(2), [6_857, 1_142, 0]);
    assert_eq!(found(3), [100, 100, 8_000, 0]);
}

/// However many domains there are, the defaults leave each of them something.
#[test]
fn the_defaults_are_a_guarantee_for_each() {
    for count in 1..30 {
        let stated = StatedBudget { budget_us: None, period_us: None, weight: 1, priority: 0 };
        let all: Vec<_> = (0..=count).map(|at| StatedBudget { priority: 1 + at % 7, ..stated }).collect();
        let given = all.iter().map(|one| one.priority).zip(budgets(&all));
        // The builder comes last. It is promised nothing.
        for sure in guarantees(&titles(given, true)).into_iter().take(all.len()) {
            assert!(sure.share > 0 && sure.wait_us.is_some_and(|wait| wait < 400_000), "{count}: {sure:?}");
        }
    }
}
