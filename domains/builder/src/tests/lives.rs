//! Domains that are started and ended on request.

use builder_api::{
    State,
    manage::{Refusal, Server},
};
use cloison_abi::Badge;

use super::{
    build,
    fake::{Fake, SPARED},
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

/// What was lent to it, and what it did with its slots, is forgotten before its memory is given to others. Of a domain that it
/// does not start on request the builder keeps no right to hold it.
#[test]
fn a_kill_forgets_the_life_before_it_takes_the_memory() {
    let bytes = Sketch::on_request(BUDGET).image();
    let (kernel, image) = (Fake::new(), opened(&bytes));
    let mut site = build(&kernel, &image).unwrap();
    site.give_up_rights(SPARED).unwrap();
    let rights = |site: &Site<'_, &Fake>, domain| kernel.rights_of(site.shell(domain).unwrap().slot).unwrap();
    assert_eq!(rights(&site, 0), "Rights(HANDLE_FAULT | MANAGE)");
    assert_eq!(rights(&site, 1), "Rights(HANDLE_FAULT)");
    site.start_on_request(0).unwrap();
    kernel.forget_steps();
    site.kill(0).unwrap();
    assert_eq!(kernel.steps()[..3], ["stopping a domain", "forgetting a life", "taking memory"]);
}

/// It has ended by itself, and the builder has not heard of it yet.
#[test]
fn who_has_ended_is_not_held() {
    let bytes = Sketch::on_request(BUDGET).image();
    let (kernel, image) = (Fake::new(), opened(&bytes));
    let mut site = build(&kernel, &image).unwrap();
    site.start_on_request(0).unwrap();
    let name = site.plan.domains[0].name;
    kernel.forget_steps();
    kernel.fail_with(0, cloison_abi::CallError::BadState);
    assert_eq!(Managed::new(&mut site).pause(Badge(0), name).unwrap_err(), Refusal::NotAlive);
    assert_eq!(site.state(0), Some(State::Running));
    kernel.fail_with(1, cloison_abi::CallError::Denied);
    assert_eq!(Managed::new(&mut site).pause(Badge(0), name).unwrap_err(), Refusal::Failed);
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
    assert_eq!(managed.resume(client, worker).unwrap_err(), Refusal::NotPaused);
    assert_eq!(managed.pause(client, worker).unwrap().waiting, 0b01, "of two that wait, one can be managed");
    assert_eq!(managed.info(client, worker).unwrap().state, State::Paused);
    assert_eq!(managed.pause(client, worker).unwrap_err(), Refusal::IsPaused);
    assert_eq!(managed.shutdown(client, worker).unwrap_err(), Refusal::IsPaused);
    assert_eq!(managed.start(client, worker).unwrap_err(), Refusal::IsStarted);
    managed.resume(client, worker).unwrap();
    let about = managed.info(client, worker).unwrap();
    assert_eq!((about.state, about.cpu_us, about.refusals), (State::Running, 1_234_567, 3));
    assert_eq!(managed.entry(client, 0).unwrap().cpu_ms, 1_234);
    managed.pause(client, worker).unwrap();
    managed.kill(client, worker).unwrap();
    assert_eq!(managed.entry(client, 0).unwrap().cpu_ms, 0, "it has no life");
    for refused in [managed.pause(client, worker).err(), managed.resume(client, worker).err()] {
        assert_eq!(refused, Some(Refusal::IsDefined));
    }
    for refused in [managed.pause(client, peer).err(), managed.resume(client, peer).err()] {
        assert_eq!(refused, Some(Refusal::NotManaged));
    }
    assert_eq!(managed.group(client, 0).unwrap_err(), Refusal::UnknownGroup);
    // Of one that has faulted and is started again after a while, what it did is told, too.
    site.set_state(1, State::Resting);
    let mut managed = Managed::new(&mut site);
    assert!(managed.fault(client, peer).is_ok() && managed.registers(client, peer, 4).is_ok());
    assert_eq!(managed.registers(client, worker, 4).unwrap_err(), Refusal::NotFaulted);
}
