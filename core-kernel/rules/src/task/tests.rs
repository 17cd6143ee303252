//! Scenarios, and a random walk that checks what must hold in every state.

use std::{format, vec::Vec};

use cloison_abi::call::POLL;
use proptest::prelude::*;

use super::*;

fn system(priorities: &[u8]) -> (Tasks, Vec<DomainId>) {
    let mut tasks = Tasks::EMPTY;
    tasks.init(100);
    let ids = priorities
        .iter()
        .map(|priority| {
            let domain = tasks.create().unwrap();
            tasks.configure(domain.id, *priority, Budget::NONE);
            tasks.start(domain.id).unwrap();
            domain.id
        })
        .collect();
    tasks.pick();
    (tasks, ids)
}

/// Lets a task run until it waits for messages.
fn receive(tasks: &mut Tasks, id: DomainId) {
    assert_eq!(tasks.pick(), Some(id));
    assert_eq!(tasks.reply_wait(id, 0, NO_DEADLINE), (None, Next::Blocked));
}

#[test]
fn a_call_switches_to_the_server_and_back() {
    let (mut tasks, ids) = system(&[5, 3]);
    let [server, client] = ids[..] else { unreachable!() };
    receive(&mut tasks, server);
    assert_eq!(tasks.pick(), Some(client));
    assert_eq!(tasks.call(client, server, 7), Ok(Called::Taken));
    assert_eq!(tasks.current(), Some(server));
    assert!(!tasks.payer_changed() || tasks.get(server).account == Some(client), "the client pays");
    assert_eq!(tasks.reply_wait(server, 0, NO_DEADLINE), (Some(client), Next::Blocked));
    assert_eq!(tasks.current(), Some(client));
}

#[test]
fn callers_wait_in_order_of_priority_then_of_arrival() {
    let (mut tasks, ids) = system(&[9, 2, 4, 2]);
    let [server, low, high, late] = ids[..] else { unreachable!() };
    assert_eq!(tasks.pick(), Some(server));
    assert_eq!(tasks.wait(server, 1, NO_DEADLINE), Next::Blocked);
    for caller in [high, low, late] {
        assert_eq!(tasks.pick(), Some(caller));
        assert_eq!(tasks.call(caller, server, caller.index() as u32), Ok(Called::Queued));
    }
    assert_eq!(tasks.pick(), None);
    assert_eq!(tasks.signal(server, 1), Some(1));
    assert_eq!(tasks.pick(), Some(server));
    let mut served = Vec::new();
    while let (_, Next::Message(caller, badge)) = tasks.reply_wait(server, 0, NO_DEADLINE) {
        assert_eq!(badge, caller.index() as u32);
        served.push(caller);
    }
    assert_eq!(served, [high, low, late]);
}

#[test]
fn a_client_lends_its_priority() {
    let (mut tasks, ids) = system(&[1, 8, 5]);
    let [server, client, other] = ids[..] else { unreachable!() };
    assert_eq!(tasks.pick(), Some(client));
    assert_eq!(tasks.wait(client, 1, NO_DEADLINE), Next::Blocked);
    assert_eq!(tasks.pick(), Some(other));
    assert_eq!(tasks.wait(other, 1, NO_DEADLINE), Next::Blocked);
    receive(&mut tasks, server);
    assert_eq!(tasks.signal(client, 1), Some(1));
    assert_eq!(tasks.pick(), Some(client));
    assert_eq!(tasks.call(client, server, 0), Ok(Called::Taken));
    assert_eq!(tasks.signal(other, 1), Some(1));
    assert_eq!(tasks.current(), Some(server), "it runs at the client's priority, above the other's");
}

#[test]
fn who_waits_for_a_stopped_server_gets_an_error() {
    let (mut tasks, ids) = system(&[9, 3, 2]);
    let [server, served, queued] = ids[..] else { unreachable!() };
    receive(&mut tasks, server);
    assert_eq!(tasks.pick(), Some(served));
    assert_eq!(tasks.call(served, server, 0), Ok(Called::Taken));
    assert_eq!(tasks.wait(server, 1, NO_DEADLINE), Next::Blocked);
    assert_eq!(tasks.pick(), Some(queued));
    assert_eq!(tasks.call(queued, server, 0), Ok(Called::Queued));
    assert_eq!(tasks.halt(server, State::Faulted), 1 << served.index(), "the queue waits for the restart");
    assert_eq!(tasks.halt(server, State::Stopped), 1 << queued.index());
    assert_eq!(tasks.pick(), Some(served));
    assert_eq!(tasks.call(served, server, 0), Err(CallError::PeerFailed));
    assert_eq!(tasks.call(served, served, 0), Err(CallError::SelfCall));
}

#[test]
fn a_reply_to_a_client_that_is_gone_goes_nowhere() {
    let (mut tasks, ids) = system(&[9, 3]);
    let [server, client] = ids[..] else { unreachable!() };
    receive(&mut tasks, server);
    tasks.pick();
    assert_eq!(tasks.call(client, server, 0), Ok(Called::Taken));
    tasks.halt(client, State::Stopped);
    assert_eq!(tasks.reply_wait(server, 0, NO_DEADLINE), (None, Next::Blocked));
}

#[test]
fn tasks_of_one_priority_take_turns() {
    let (mut tasks, ids) = system(&[4, 4]);
    assert_eq!(tasks.settle(|| 0), 100);
    assert_eq!(tasks.current(), Some(ids[0]));
    tasks.timer(100);
    assert_eq!(tasks.settle(|| 100), 200);
    assert_eq!(tasks.current(), Some(ids[1]));
    tasks.timer(200);
    tasks.settle(|| 200);
    assert_eq!(tasks.current(), Some(ids[0]));
}

#[test]
fn one_task_alone_needs_no_timer() {
    let (mut tasks, _) = system(&[4]);
    tasks.charge(0);
    assert_eq!(tasks.next_interrupt(), NO_DEADLINE);
}

#[test]
fn a_wait_ends_at_its_deadline() {
    let (mut tasks, ids) = system(&[4]);
    assert_eq!(tasks.wait(ids[0], 1, 500), Next::Blocked);
    assert_eq!(tasks.pick(), None);
    assert_eq!(tasks.next_interrupt(), 500);
    assert_eq!(tasks.timer(499), 0);
    assert_eq!(tasks.timer(500), 1 << ids[0].index());
    assert_eq!(tasks.pick(), Some(ids[0]));
    assert_eq!(tasks.next_interrupt(), NO_DEADLINE);
}

#[test]
fn a_spinner_with_a_budget_does_not_starve_the_rest() {
    let (mut tasks, ids) = system(&[9, 2]);
    let [spinner, rest] = ids[..] else { unreachable!() };
    tasks.configure(spinner, 9, Budget::new(30, 100));
    tasks.charge(0);
    let mut ran = [0_u64; 2];
    let mut now = 0;
    while now < 10_000 {
        let current = tasks.pick().unwrap();
        if tasks.payer_changed() {
            tasks.charge(now);
        }
        let next = tasks.next_interrupt().min(now + 50).max(now + 1);
        ran[usize::from(current == rest)] += next - now;
        now = next;
        tasks.timer(now);
    }
    assert!((2_900..=3_200).contains(&ran[0]), "the spinner ran for {} of 10000", ran[0]);
}

#[test]
fn a_spent_budget_does_not_keep_the_timer_busy() {
    let (mut tasks, ids) = system(&[9]);
    tasks.configure(ids[0], 9, Budget::new(30, 100));
    tasks.settle(|| 0);
    tasks.timer(30);
    assert_eq!(tasks.settle(|| 30), 100, "nothing is due before the next period");
    tasks.timer(100);
    assert_eq!(tasks.settle(|| 100), 130, "the budget of the next period");
    assert_eq!(tasks.get(ids[0]).priority, 9);
}

#[test]
fn an_interrupted_turn_goes_on_where_it_was() {
    let (mut tasks, ids) = system(&[9, 4, 4]);
    let [waker, first, second] = ids[..] else { unreachable!() };
    let mut ran = [0_u64; 3];
    let mut now = 0;
    while now < 30_000 {
        let next = tasks.settle(|| now);
        let current = tasks.current().unwrap();
        if current == waker {
            now += 1;
            tasks.wait(waker, 1, now + 30);
            continue;
        }
        let next = next.max(now + 1);
        ran[usize::from(current == second)] += next - now;
        now = next;
        tasks.timer(now);
    }
    assert!(ran[0].abs_diff(ran[1]) <= 200, "{first:?} ran for {}, {second:?} for {}", ran[0], ran[1]);
}

#[test]
fn a_client_without_time_lends_none() {
    let (mut tasks, ids) = system(&[9, 3]);
    let [server, client] = ids[..] else { unreachable!() };
    tasks.configure(client, 3, Budget::new(10, 1000));
    receive(&mut tasks, server);
    tasks.settle(|| 0);
    tasks.timer(10);
    tasks.settle(|| 10);
    assert_eq!(tasks.current(), Some(client), "it goes on in the background");
    assert!(!tasks.call_at_once(client, server));
    assert_eq!(tasks.call(client, server, 0), Ok(Called::Taken));
    assert_eq!(tasks.get(server).account, Some(server));
}

#[test]
fn lent_time_that_runs_out_leaves_the_server_with_its_own() {
    let (mut tasks, ids) = system(&[9, 3]);
    let [server, client] = ids[..] else { unreachable!() };
    tasks.configure(client, 3, Budget::new(10, 1000));
    receive(&mut tasks, server);
    tasks.pick();
    tasks.charge(0);
    assert_eq!(tasks.call(client, server, 0), Ok(Called::Taken));
    assert!(!tasks.payer_changed());
    assert_eq!(tasks.next_interrupt(), 10);
    tasks.timer(10);
    assert_eq!(tasks.pick(), Some(server));
    assert!(tasks.payer_changed(), "the server pays for itself now");
}

#[derive(Clone, Debug)]
enum Step {
    Call(usize),
    Reply { mask: u64, poll: bool },
    Wait { mask: u64, after: u64 },
    Signal { to: usize, bits: u64 },
    Time(u64),
    Halt { who: usize, faulted: bool },
    Start(usize),
    Rebuild(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let who = 0..6_usize;
    prop::collection::vec(
        prop_oneof![
            6 => who.clone().prop_map(Step::Call),
            6 => (0..4_u64, any::<bool>()).prop_map(|(mask, poll)| Step::Reply { mask, poll }),
            3 => (0..4_u64, 0..300_u64).prop_map(|(mask, after)| Step::Wait { mask, after }),
            3 => (who.clone(), 1..4_u64).prop_map(|(to, bits)| Step::Signal { to, bits }),
            4 => (1..200_u64).prop_map(Step::Time),
            1 => (who.clone(), any::<bool>()).prop_map(|(who, faulted)| Step::Halt { who, faulted }),
            2 => who.clone().prop_map(Step::Start),
            1 => who.prop_map(Step::Rebuild),
        ],
        0..300,
    )
}

/// What must hold whatever the domains do.
fn check(tasks: &Tasks) {
    let running = DomainId::all().filter(|id| tasks.get(*id).state == State::Running).count();
    assert_eq!(running, usize::from(tasks.current.is_some()), "exactly the current task runs");
    let mut queues = tasks.ready.clone();
    let queued: Vec<DomainId> = core::iter::from_fn(|| queues.pop()).collect();
    for id in DomainId::all() {
        let task = tasks.get(id);
        let places = queued.iter().filter(|other| **other == id).count();
        assert_eq!(
            places,
            usize::from(task.state == State::Ready),
            "{id:?} is in the ready queue as its state says"
        );
        if let Some(client) = task.serving {
            assert_eq!(tasks.get(client).state, State::Served(id), "{client:?} waits for {id:?}");
        }
        match task.state {
            State::Served(server) => assert_eq!(tasks.get(server).serving, Some(id)),
            State::Calling(server) => {
                let mut at = tasks.get(server).callers;
                while at.is_some_and(|other| other != id) {
                    at = at.and_then(|other| tasks.get(other).next_caller);
                }
                assert_eq!(at, Some(id), "{id:?} is in the queue of {server:?}");
            }
            State::Waiting | State::Receiving => {
                assert!(tasks.next_deadline <= task.deadline, "no deadline is missed");
            }
            _ => {}
        }
    }
    if let (Some(current), Some(highest)) = (tasks.current, tasks.ready.highest()) {
        assert!(tasks.get(current).priority >= highest, "nobody of higher priority waits");
    }
}

proptest! {
    #[test]
    fn every_state_is_sound(steps in steps()) {
        let (mut tasks, ids) = system(&[1, 2, 3, 3, 5, 6]);
        for id in &ids[2..5] {
            tasks.configure(*id, tasks.get(*id).base_priority, Budget::new(40, 150));
        }
        let mut now = 0;
        for step in steps {
            let current = tasks.pick();
            if tasks.payer_changed() {
                tasks.charge(now);
            }
            match (step, current) {
                (Step::Call(to), Some(current)) => {
                    let _ = tasks.call(current, ids[to], 0);
                }
                (Step::Reply { mask, poll }, Some(current)) => {
                    let deadline = if poll { POLL } else { NO_DEADLINE };
                    let mut short = tasks.clone();
                    let long = tasks.reply_wait(current, mask, deadline);
                    if let Some(client) = short.reply_at_once(current, mask, deadline) {
                        prop_assert_eq!(long, (Some(client), Next::Blocked), "the short way is the long one");
                        prop_assert_eq!(format!("{short:?}"), format!("{tasks:?}"));
                    }
                }
                (Step::Wait { mask, after }, Some(current)) => {
                    tasks.wait(current, mask, now + after);
                }
                (Step::Signal { to, bits }, _) => {
                    tasks.signal(ids[to], bits);
                }
                (Step::Time(passed), _) => {
                    now += passed;
                    tasks.timer(now);
                }
                (Step::Halt { who, faulted }, _) if tasks.get(ids[who]).state != State::Stopped => {
                    tasks.halt(ids[who], if faulted { State::Faulted } else { State::Stopped });
                }
                (Step::Start(who), _) => {
                    let _ = tasks.start(ids[who]);
                }
                (Step::Rebuild(who), _) => {
                    tasks.halt(ids[who], State::Stopped);
                    let priority = tasks.get(ids[who]).base_priority;
                    tasks.destroy(ids[who]);
                    let created = tasks.create().unwrap();
                    prop_assert_eq!(created.id, ids[who]);
                    tasks.configure(created.id, priority, Budget::NONE);
                }
                _ => {}
            }
            tasks.pick();
            check(&tasks);
        }
    }
}
