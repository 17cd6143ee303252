//! Scenarios.

use std::vec::Vec;

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
    assert_eq!(tasks.claim, Some(client), "the client pays");
    assert_eq!(tasks.reply_wait(server, 0, NO_DEADLINE), (Some(client), Next::Blocked));
    assert_eq!(tasks.pick(), Some(client));
}

/// Both in one step of the kernel, so that nobody looks at the claim in between.
#[test]
fn a_claim_goes_with_a_domain_that_is_halted_and_destroyed_at_once() {
    let (mut tasks, ids) = system(&[9, 2, 1]);
    let [destroyer, destroyed, low] = ids[..] else { unreachable!() };
    tasks.halt(destroyed, State::Stopped);
    tasks.destroy(destroyed);
    assert_eq!(tasks.wait(destroyer, 1, NO_DEADLINE), Next::Blocked);
    assert_eq!(tasks.pick(), Some(low));
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
    assert_eq!(
        tasks.halt(server, State::Faulted(None)),
        1 << served.index(),
        "the queue waits for the restart"
    );
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
    assert_eq!(tasks.settle(|| 0), NO_DEADLINE);
}

#[test]
fn a_wait_ends_at_its_deadline() {
    let (mut tasks, ids) = system(&[4]);
    assert_eq!(tasks.wait(ids[0], 1, 500), Next::Blocked);
    assert_eq!(tasks.settle(|| 0), 500);
    assert_eq!(tasks.current(), None);
    assert_eq!(tasks.timer(499), 0);
    assert_eq!(tasks.timer(500), ids[0].bit());
    assert_eq!(tasks.settle(|| 500), NO_DEADLINE);
    assert_eq!(tasks.current(), Some(ids[0]));
}

/// Lets time pass until `end`, at most `step` at once. Returns how long each domain's task had the CPU.
fn run(tasks: &mut Tasks, begin: u64, end: u64, step: u64) -> [u64; TABLE_ENTRIES] {
    let mut ran = [0; TABLE_ENTRIES];
    let mut now = begin;
    while now < end {
        let next = tasks.settle(|| now).min(now + step).max(now);
        if let Some(current) = tasks.current() {
            ran[current.index()] += next - now;
        }
        now = next;
        tasks.timer(now);
    }
    ran
}

#[test]
fn a_spinner_with_a_budget_does_not_starve_the_rest() {
    let (mut tasks, ids) = system(&[9, 2]);
    tasks.configure(ids[0], 9, Budget::new(30, 100));
    let ran = run(&mut tasks, 0, 10_000, 50);
    assert_eq!(ran[ids[0].index()], 3_000);
}

#[test]
fn a_spent_budget_does_not_keep_the_timer_busy() {
    let (mut tasks, ids) = system(&[9]);
    tasks.configure(ids[0], 9, Budget::new(30, 100));
    assert_eq!(tasks.settle(|| 0), 30);
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
fn who_becomes_ready_during_a_call_has_its_turn_after_it() {
    let (mut tasks, ids) = system(&[10, 5, 5]);
    let [server, caller, peer] = ids[..] else { unreachable!() };
    receive(&mut tasks, server);
    tasks.settle(|| 0);
    tasks.timer(100);
    tasks.settle(|| 100);
    assert_eq!(tasks.current(), Some(peer));
    assert_eq!(tasks.wait(peer, 1, NO_DEADLINE), Next::Blocked);
    tasks.settle(|| 110);
    assert!(tasks.call_at_once(caller, server));
    assert_eq!(tasks.signal(peer, 1), Some(1));
    assert!(!tasks.is_settled());
    let alarm = tasks.settle(|| 120);
    assert_eq!(tasks.current(), Some(server), "the turn is still the caller's");
    assert_eq!(alarm, 210, "the end of that turn");
    assert_eq!(tasks.reply_at_once(server, 0, NO_DEADLINE), Some(caller));
    assert!(tasks.is_settled(), "the alarm is set");
}

#[test]
fn a_caller_shares_the_cpu_with_its_peers() {
    let (mut tasks, ids) = system(&[10, 5, 5]);
    let [server, caller, peer] = ids[..] else { unreachable!() };
    receive(&mut tasks, server);
    let mut had = 0;
    for now in 0..10_000 {
        if !tasks.is_settled() {
            tasks.settle(|| now);
        }
        match tasks.current() {
            Some(current) if current == caller => assert!(tasks.call_at_once(caller, server)),
            Some(current) if current == server => {
                assert_eq!(tasks.reply_at_once(server, 0, NO_DEADLINE), Some(caller));
            }
            other => {
                assert_eq!(other, Some(peer));
                had += 1;
            }
        }
        tasks.timer(now + 1);
    }
    assert!((4_900..=5_100).contains(&had), "the peer had {had} of 10000");
}

#[test]
fn an_endless_account_pays_for_nothing_above_its_priority() {
    let (mut tasks, ids) = system(&[2, 1, 1]);
    let [server, client, peer] = ids[..] else { unreachable!() };
    tasks.configure(server, 2, Budget::new(8, 10));
    receive(&mut tasks, server);
    tasks.settle(|| 0);
    assert!(tasks.call_at_once(client, server));
    let ran = run(&mut tasks, 0, 10_000, 50);
    assert_eq!(ran[peer.index()], 5_000, "half of the CPU, beside the server that computes for the client");
}

#[test]
fn a_nested_call_goes_on_in_the_background_when_the_account_is_empty() {
    let (mut tasks, ids) = system(&[12, 11, 10, 5]);
    let [inner, outer, client, other] = ids[..] else { unreachable!() };
    tasks.configure(inner, 12, Budget::new(80, 100));
    tasks.configure(outer, 11, Budget::new(10, 1000));
    tasks.configure(client, 10, Budget::new(10, 1000));
    receive(&mut tasks, inner);
    receive(&mut tasks, outer);
    tasks.settle(|| 0);
    assert!(tasks.call_at_once(client, outer));
    assert!(tasks.call_at_once(outer, inner));
    tasks.timer(10);
    tasks.settle(|| 10);
    assert_eq!(tasks.current(), Some(other));
    let ran = run(&mut tasks, 10, 2_000, 50);
    assert_eq!(ran[inner.index()], 10, "what the client has in the next period");
}

#[test]
fn what_a_client_lends_ends_with_it() {
    for end in [State::Stopped, State::Faulted(None)] {
        let (mut tasks, ids) = system(&[3, 9, 5]);
        let [server, client, other] = ids[..] else { unreachable!() };
        for id in [client, other] {
            tasks.pick();
            tasks.wait(id, 1, NO_DEADLINE);
        }
        receive(&mut tasks, server);
        tasks.signal(client, 1);
        tasks.signal(other, 1);
        tasks.pick();
        tasks.call(client, server, 0).unwrap();
        assert_eq!(tasks.pick(), Some(server));
        tasks.halt(client, end);
        assert_eq!(tasks.pick(), Some(other), "the server has its own priority again");
    }
}

#[test]
fn a_waiting_caller_lifts_the_server_and_those_whom_it_calls() {
    let (mut tasks, ids) = system(&[4, 3, 1, 2, 9]);
    let [inner, outer, low, middle, high] = ids[..] else { unreachable!() };
    for id in [high, middle] {
        tasks.pick();
        tasks.wait(id, 1, NO_DEADLINE);
    }
    for id in [inner, outer] {
        tasks.pick();
        tasks.reply_wait(id, 0, NO_DEADLINE);
    }
    assert_eq!(tasks.pick(), Some(low));
    tasks.call(low, outer, 0).unwrap();
    tasks.call(outer, inner, 0).unwrap();
    tasks.signal(middle, 1);
    assert_eq!(tasks.pick(), Some(middle));
    tasks.signal(high, 1);
    assert_eq!(tasks.pick(), Some(high));
    assert_eq!(tasks.call(high, outer, 0), Ok(Called::Queued));
    assert_eq!((tasks.pick(), tasks.claim), (Some(inner), Some(high)));
}

#[test]
fn a_servers_own_work_lifts_it_above_its_client() {
    let (mut tasks, ids) = system(&[9, 1, 5]);
    let [server, client, other] = ids[..] else { unreachable!() };
    assert_eq!(tasks.reply_wait(server, 1, 500), (None, Next::Blocked));
    tasks.pick();
    tasks.wait(other, 1, NO_DEADLINE);
    assert_eq!(tasks.pick(), Some(client));
    tasks.call(client, server, 0).unwrap();
    tasks.signal(other, 1);
    assert_eq!(tasks.pick(), Some(other), "what the server does is the client's");
    let mut by_event = tasks.clone();
    by_event.signal(server, 2);
    assert_eq!(by_event.pick(), Some(other), "it does not wait for this event");
    by_event.signal(server, 1);
    assert_eq!((by_event.pick(), by_event.claim), (Some(server), Some(server)));
    tasks.settle(|| 0);
    tasks.timer(500);
    assert_eq!((tasks.pick(), tasks.claim), (Some(server), Some(server)), "its deadline has passed");
}

#[test]
fn who_faults_lends_its_handler_its_claim_until_that_waits() {
    let (mut tasks, ids) = system(&[1, 4, 8, 6]);
    let [handler, low, high, other] = ids[..] else { unreachable!() };
    for id in [high, other, low, handler] {
        tasks.pick();
        tasks.wait(id, 1, NO_DEADLINE);
    }
    tasks.signal(handler, 1);
    tasks.halt(low, State::Faulted(Some(handler)));
    assert_eq!((tasks.pick(), tasks.claim), (Some(handler), Some(low)));
    tasks.signal(other, 1);
    assert_eq!(tasks.pick(), Some(other), "it handles the fault at the priority of whom it is for");
    tasks.halt(high, State::Faulted(Some(handler)));
    assert_eq!((tasks.pick(), tasks.claim), (Some(handler), Some(high)), "a higher one lifts it");
    tasks.start(high).unwrap();
    tasks.wait(high, 1, NO_DEADLINE);
    tasks.wait(handler, 1, NO_DEADLINE);
    tasks.signal(handler, 1);
    tasks.pick();
    tasks.wait(other, 1, NO_DEADLINE);
    let by = (tasks.pick(), tasks.claim);
    assert_eq!(
        by,
        (Some(handler), Some(handler)),
        "the one below has not been decided about, and lends no more"
    );
}

#[test]
fn a_high_caller_is_not_kept_in_an_inner_queue_by_lower_ones() {
    let (mut tasks, ids) = system(&[9, 8, 1, 5, 7]);
    let [inner, outer, low, middle, high] = ids[..] else { unreachable!() };
    assert_eq!(tasks.wait(inner, 1, NO_DEADLINE), Next::Blocked);
    for id in [outer, high, middle, low] {
        assert_eq!(tasks.pick(), Some(id));
        if id == outer {
            tasks.reply_wait(outer, 0, NO_DEADLINE);
        } else {
            tasks.wait(id, 1, NO_DEADLINE);
        }
    }
    tasks.signal(low, 1);
    tasks.pick();
    tasks.call(low, outer, 0).unwrap();
    assert_eq!(tasks.call(outer, inner, 0), Ok(Called::Queued));
    tasks.signal(middle, 1);
    tasks.pick();
    assert_eq!(tasks.call(middle, inner, 0), Ok(Called::Queued));
    tasks.signal(high, 1);
    tasks.pick();
    assert_eq!(tasks.call(high, outer, 0), Ok(Called::Queued));
    tasks.signal(inner, 1);
    assert_eq!(tasks.pick(), Some(inner));
    let (_, next) = tasks.reply_wait(inner, 0, NO_DEADLINE);
    assert_eq!(next, Next::Message(outer, 0), "the highest waits behind it");
}

#[test]
fn calls_in_a_circle_stop_those_in_it_and_nobody_else() {
    let (mut tasks, ids) = system(&[9, 8, 1]);
    let [first, second, other] = ids[..] else { unreachable!() };
    receive(&mut tasks, first);
    tasks.pick();
    tasks.call(second, first, 0).unwrap();
    assert_eq!(tasks.call(first, second, 0), Ok(Called::Queued));
    assert_eq!(tasks.pick(), Some(other));
}

#[test]
fn only_one_without_a_limit_can_retire() {
    let (mut tasks, ids) = system(&[31, 5]);
    tasks.configure(ids[1], 5, Budget::new(1, 100));
    tasks.settle(|| 0);
    assert_eq!(tasks.retire(ids[1], Budget::new(50, 100)), Err(CallError::BadState));
    assert_eq!(tasks.retire(ids[0], Budget::new(50, 100)), Ok(()));
    assert_eq!(tasks.pick(), Some(ids[1]), "it has the lowest priority now");
    let ran = run(&mut tasks, 5_000, 10_000, 50);
    assert_eq!(ran[ids[0].index()], 5_000 - ran[ids[1].index()], "and its budget, whatever it had before");
    tasks.wait(ids[1], 1, NO_DEADLINE);
    assert_eq!(tasks.settle(|| 10_000), 10_050);
}

#[test]
fn a_start_goes_on_with_the_turn_that_was_lent() {
    let (mut tasks, ids) = system(&[1, 5, 5]);
    let [handler, peer, patient] = ids[..] else { unreachable!() };
    for id in [peer, patient, handler] {
        assert_eq!(tasks.pick(), Some(id));
        tasks.wait(id, 1, NO_DEADLINE);
    }
    tasks.settle(|| 0);
    tasks.signal(handler, 1);
    tasks.halt(patient, State::Faulted(Some(handler)));
    tasks.signal(peer, 1);
    assert_eq!((tasks.settle(|| 0), tasks.claim), (100, Some(patient)));
    tasks.timer(60);
    tasks.start(patient).unwrap();
    assert_eq!(tasks.settle(|| 60), 100);
}

#[test]
fn time_in_the_background_costs_nothing() {
    let (mut tasks, ids) = system(&[9]);
    tasks.configure(ids[0], 9, Budget::new(30, 100));
    run(&mut tasks, 0, 100, 100);
    assert_eq!(tasks.settle(|| 100), 130, "70 of 100 were free");
}
