//! Domains that are started and ended on request.

use builder_api::{
    State,
    manage::{Refusal, Server},
};
use cloison_abi::{Badge, limits::INFO_ADDRESS, plan::ImageEntry};

use super::{
    build,
    fake::{Fake, SPARED},
    sketch::{RESTARTED, Sketch, opened},
};
use crate::{BuildError, Choice, Managed, Site};

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
        let started = site.start_on_request(0, Choice::default());
        kernel.fail_at(usize::MAX);
        if started.is_ok() {
            assert!(fails_at > 2, "memory, a new life, the program, the start");
            return;
        }
        assert!(is_at_rest(&site), "at step {fails_at}");
        site.start_on_request(0, Choice::default()).unwrap();
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
    site.start_on_request(0, Choice::default()).unwrap();
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
    site.start_on_request(0, Choice::default()).unwrap();
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

/// A guest has as much memory as is asked for: what its kernel needs at least, and at most what the plan has for it.
#[test]
fn a_guest_gets_as_much_as_it_was_started_with() {
    let mut plan = Sketch::guest_on_request(BUDGET + 2 + 600, 600, 256);
    let names = ["server", "guest", "third"].map(|name| cloison_abi::Name::new(name).unwrap());
    plan.domains.iter_mut().zip(names).for_each(|(domain, name)| domain.name = name);
    let ([server, guest, _], client) = (names, Badge(0));
    let bytes = plan.image();
    let (kernel, image) = (Fake::new(), opened(&bytes));
    let mut site = build(&kernel, &image).unwrap();
    let mut managed = Managed::new(&mut site);
    let offered = managed.image(client, guest, 0).unwrap();
    assert_eq!((offered.image.as_str(), offered.least_mib, offered.most_mib), ("vmlinux", 1, 2));
    assert_eq!(managed.image(client, guest, 1).unwrap_err(), Refusal::UnknownImage);
    assert_eq!(managed.image(client, server, 0).unwrap_err(), Refusal::UnknownImage);
    for (domain, image, mib, refusal) in [
        (guest, 0, 0, Refusal::TooLittle),
        (guest, 0, 3, Refusal::TooMuch),
        (guest, 0, u32::MAX, Refusal::TooMuch),
        (guest, 1, 1, Refusal::UnknownImage),
        (server, 0, 1, Refusal::NoGuest),
    ] {
        assert_eq!(managed.start_guest(client, domain, image, mib).unwrap_err(), refusal, "{mib} MiB");
    }
    assert_eq!(managed.info(client, guest).unwrap().kib, 4 * (2 + 600), "what it would have");
    for (mib, pages) in [(1, 256), (2, 512)] {
        assert_eq!(managed.start_guest(client, guest, 0, mib).unwrap().kib, 4 * (2 + pages));
        assert_eq!(managed.info(client, guest).unwrap().kib, 4 * (2 + pages));
        assert_eq!(managed.budget(client).unwrap().free_kib, 4 * (BUDGET + 600 - pages));
        assert_eq!(managed.start_guest(client, guest, 0, mib).unwrap_err(), Refusal::IsStarted);
        managed.kill(client, guest).unwrap();
    }
    assert_eq!(managed.start(client, guest).unwrap().kib, 4 * (2 + 600), "what the plan has for it");
}

/// The domain is told how much that is in each of its lives, behind its program, and not if it is what the plan says.
#[test]
fn a_domain_is_told_how_much_its_guest_has() {
    let mut plan = Sketch::guest_on_request(BUDGET + 2 + 600, 600, 256);
    plan.mappings.iter_mut().find(|seen| seen.domain == RESTARTED).unwrap().address = INFO_ADDRESS;
    let bytes = plan.image();
    let (kernel, image) = (Fake::new(), opened(&bytes));
    let mut site = build(&kernel, &image).unwrap();
    let mut loads = |begin: &mut dyn FnMut(&mut Site<'_, &Fake>)| {
        kernel.forget_steps();
        begin(&mut site);
        kernel.steps().iter().filter(|step| **step == "loading").count()
    };
    let plain = loads(&mut |site| site.start_on_request(RESTARTED, Choice::default()).unwrap());
    let again = loads(&mut |site| site.restart(RESTARTED).unwrap());
    assert_eq!(plain, again);
    let told = loads(&mut |site| {
        site.kill(RESTARTED).unwrap();
        site.start_on_request(RESTARTED, Choice { guest_pages: 256, image: 0 }).unwrap();
    });
    let again = loads(&mut |site| site.restart(RESTARTED).unwrap());
    assert_eq!((told, again), (plain + 2, plain + 2));
}

/// With which image it begins, the manager says for good, or for one life.
#[test]
fn an_image_is_chosen_among_those_of_the_plan() {
    let mut plan = Sketch::guest_on_request(BUDGET + 2 + 600, 600, 256);
    let [server, guest, old, new] =
        ["server", "guest", "vmlinux-old", "vmlinux-new"].map(|name| cloison_abi::Name::new(name).unwrap());
    (plan.domains[0].name, plan.domains[1].name) = (server, guest);
    let first = plan.images[0];
    plan.images.extend([(0, new), (RESTARTED, old)].map(|(domain, name)| ImageEntry {
        name,
        domain,
        ..first
    }));
    let bytes = plan.image();
    let (kernel, image) = (Fake::new(), opened(&bytes));
    let mut site = build(&kernel, &image).unwrap();
    let client = Badge(0);
    let chosen = |site: &Site<'_, &Fake>| site.shell(RESTARTED).unwrap().choice.image;
    let mut managed = Managed::new(&mut site);
    assert_eq!(managed.program(client, guest).unwrap().image, first.name);
    assert_eq!(managed.set_image(client, guest, new).unwrap_err(), Refusal::UnknownImage, "another one's");
    assert_eq!(managed.set_image(client, guest, guest).unwrap_err(), Refusal::UnknownImage);
    managed.set_image(client, guest, old).unwrap();
    assert_eq!(managed.program(client, guest).unwrap().image, old);
    managed.start(client, guest).unwrap();
    managed.set_image(client, guest, first.name).unwrap();
    assert_eq!(managed.program(client, guest).unwrap().image, old, "in use, whatever comes next");
    assert_eq!(chosen(&site), 1, "this life's");
    site.restart(RESTARTED).unwrap();
    assert_eq!(chosen(&site), 1, "a restart is no other choice");
    let mut managed = Managed::new(&mut site);
    assert_eq!(managed.program(client, guest).unwrap().image, old);
    managed.kill(client, guest).unwrap();
    assert_eq!(managed.program(client, guest).unwrap().image, first.name, "what was chosen for good");
    managed.start_guest(client, guest, 1, 1).unwrap();
    assert_eq!(managed.program(client, guest).unwrap().image, old, "what was asked for, for one life");
    assert_eq!(chosen(&site), 1);
}

/// It is loaded, started and told of with the program that was chosen, and so is each life after a fault.
#[test]
fn another_program_is_chosen_among_those_of_the_plan() {
    let mut plan = Sketch::two_programs(BUDGET);
    let [worker, first, second] =
        ["worker", "first", "second"].map(|name| cloison_abi::Name::new(name).unwrap());
    plan.domains[0].name = worker;
    let digests = [plan.domains[0].digest, plan.programs[0].digest];
    let bytes = plan.image();
    let (kernel, image) = (Fake::new(), opened(&bytes));
    let mut site = build(&kernel, &image).unwrap();
    let client = Badge(0);
    // What is loaded, where it begins, and what is told of it.
    let lives = |site: &mut Site<'_, &Fake>, place: usize, name| {
        let loaded = [3, 4].map(|offset| kernel.peek(site.region(0).unwrap(), offset));
        assert_eq!(loaded, if place == 0 { *b"is" } else { [b'i', 0] }, "{place}");
        assert_eq!(kernel.entries().last(), Some(&[0x40_1000, 0x40_1004][place]));
        let runs = Managed::new(site).program(client, worker).unwrap();
        assert_eq!((runs.image, &runs.digest[..]), (name, &digests[place][..8]));
    };
    Managed::new(&mut site).start(client, worker).unwrap();
    lives(&mut site, 0, first);
    let mut managed = Managed::new(&mut site);
    managed.set_image(client, worker, second).unwrap();
    assert_eq!(managed.set_image(client, worker, worker).unwrap_err(), Refusal::UnknownImage);
    lives(&mut site, 0, first);
    let mut managed = Managed::new(&mut site);
    managed.kill(client, worker).unwrap();
    assert_eq!(managed.program(client, worker).unwrap().image, second, "the next one");
    let started = managed.start(client, worker).unwrap();
    assert_eq!(started.digest, digests[1][..8]);
    lives(&mut site, 1, second);
    Managed::new(&mut site).set_image(client, worker, first).unwrap();
    site.restart(0).unwrap();
    lives(&mut site, 1, second);
}

/// Each is checked before anything starts, and again before it runs.
#[test]
fn another_program_that_was_changed_is_not_started() {
    let mut plan = Sketch::two_programs(BUDGET);
    plan.programs[0].digest = [7; 32];
    let bytes = plan.image();
    let (kernel, image) = (Fake::new(), opened(&bytes));
    assert!(matches!(image.check(), Err(BuildError::Program { planned, .. }) if planned == [7; 32]));
    let mut site = build(&kernel, &image).unwrap();
    let second = Choice { guest_pages: 0, image: 1 };
    assert!(matches!(site.start_on_request(0, second), Err(BuildError::Program { .. })));
    assert!(is_at_rest(&site));
    site.start_on_request(0, Choice::default()).unwrap();
    let mut nobodys = Sketch::two_programs(BUDGET);
    nobodys.programs[0].image = 9;
    let error = opened(&nobodys.image()).check();
    assert_eq!(error, Err(BuildError::Image("a program is of no image")));
}
