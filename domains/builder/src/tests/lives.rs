//! Domains that are started and ended on request.

use builder_api::{
    State,
    manage::{Refusal, Server},
};
use cloison_abi::Badge;

use super::{
    build,
    fake::Fake,
    sketch::{Sketch, opened},
};
use crate::{Managed, Site};

/// Pages of the budget, all of which the domain takes.
const BUDGET: u32 = 2;

fn is_at_rest(site: &Site<'_, &Fake>) -> bool {
    site.budget.pages() == u64::from(BUDGET) && site.state(0) == Some(State::Defined)
}

/// Whichever step of a start fails: the memory comes back, and it can be started after all.
#[test]
fn a_failed_start_takes_nothing() {
    let bytes = Sketch::on_request(BUDGET).image();
    let (kernel, image) = (Fake::new(), opened(&bytes));
    let mut site = build(&kernel, &image).unwrap();
    assert!(is_at_rest(&site));
    for fails_at in 0.. {
        kernel.forget_steps();
        kernel.fail_at(fails_at);
        let started = site.start_on_request(0);
        kernel.fail_at(usize::MAX);
        if started.is_ok() {
            assert!(fails_at > 2, "memory, a new life, the program, the start");
            return;
        }
        assert!(is_at_rest(&site), "at step {fails_at}");
        site.start_on_request(0).unwrap();
        assert_eq!((site.budget.pages(), site.state(0)), (0, Some(State::Running)));
        site.kill(0).unwrap();
        assert!(is_at_rest(&site), "after step {fails_at}");
    }
}

#[test]
fn each_request_fits_where_a_domain_is_in_its_life() {
    let mut plan = Sketch::on_request(BUDGET);
    let names = ["worker", "peer", "third"].map(|name| cloison_abi::Name::new(name).unwrap());
    plan.domains.iter_mut().zip(names).for_each(|(domain, name)| domain.name = name);
    let (worker, peer) = (names[0], names[1]);
    let bytes = plan.image();
    let (kernel, image) = (Fake::new(), opened(&bytes));
    let mut site = build(&kernel, &image).unwrap();
    let (mut managed, client) = (Managed::new(&mut site), Badge(0));
    assert_eq!(managed.kill(client, worker).unwrap_err(), Refusal::IsDefined);
    assert_eq!(managed.start(client, peer).unwrap_err(), Refusal::NotManaged);
    assert_eq!(managed.start(client, worker).unwrap().kib, 4 * BUDGET, "what it has of the budget");
    assert_eq!(managed.budget(client).unwrap().free_kib, 0);
    assert_eq!(managed.start(client, worker).unwrap_err(), Refusal::IsStarted);
    assert_eq!(managed.fault(client, worker).unwrap_err(), Refusal::NotFaulted);
    assert_eq!(managed.registers(client, worker, 0).unwrap_err(), Refusal::NotFaulted);
    managed.kill(client, worker).unwrap();
    assert_eq!(managed.group(client, 0).unwrap_err(), Refusal::UnknownGroup);
    // Of one that has faulted and is started again after a while, what it did is told, too.
    site.set_state(1, State::Resting);
    let mut managed = Managed::new(&mut site);
    assert!(managed.fault(client, peer).is_ok() && managed.registers(client, peer, 4).is_ok());
    assert_eq!(managed.registers(client, worker, 4).unwrap_err(), Refusal::NotFaulted);
}
