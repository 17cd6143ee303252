//! What the manager is told of its clients.

use cloison_abi::info::SETTINGS_MANAGEMENT;
use cloison_abi::management::{self, Operation};

use super::*;

#[test]
fn the_manager_alone_is_told_who_may_have_what_done() {
    let path = support::fixtures().root.join("manifests/management.toml");
    let read = Read::of(&image_compiler::load(&support::fixtures(), &path).unwrap());
    let settings = |name| read.settings(read.domain(name), SETTINGS_MANAGEMENT);
    assert!(["console", "worker", "operator", "second"].iter().all(|name| settings(name).is_empty()));
    let bytes = settings("boss");
    let (permits, groups) = management::read(&bytes).unwrap();
    let [list, start, kill] = [Operation::List, Operation::Start, Operation::Kill].map(Operation::bit);
    let found: Vec<_> = permits.iter().map(|permit| (permit.operations, permit.domains)).collect();
    // By places: console 0, boss 1, worker 2, operator 3, second 4, later 5.
    assert_eq!(found, [(list | start, 1 << 2 | 1 << 5), (kill | list, 1 << 5)]);
    let badge_of = |client: &str| {
        let gates = read.gates.iter().filter(|gate| gate.domain == read.domain(client));
        gates.filter(|gate| gate.server == read.domain("boss")).map(|gate| gate.badge).next().unwrap()
    };
    let badges: Vec<_> = permits.iter().map(|permit| permit.badge).collect();
    assert_eq!(badges, [badge_of("operator"), badge_of("second")]);
    assert_ne!(badges[0], badges[1]);
    let [group] = groups else { panic!("{groups:?}") };
    assert_eq!((group.name.as_str(), group.members()), ("both", &[5, 2][..]));
}
