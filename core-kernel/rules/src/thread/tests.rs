//! Scenarios.

use std::vec::Vec;

use super::*;

pub fn system(priorities: &[u8]) -> (Threads, Vec<ThreadId>) {
    let mut threads = Threads::EMPTY;
    threads.init(100);
    let ids = priorities
        .iter()
        .map(|priority| {
            let thread = threads.create().unwrap();
            threads.configure(thread.id, *priority, Budget::NONE);
            threads.start(thread.id).unwrap();
            thread.id
        })
        .collect();
    threads.pick();
    (threads, ids)
}

/// Lets a thread run until it waits for messages.
fn receive(threads: &mut Threads, id: ThreadId) {
    assert_eq!(threads.pick(), Some(id));
    assert_eq!(threads.reply_wait(id, 0, NO_DEADLINE), (None, Next::Blocked));
}

#[test]
fn a_call_switches_to_the_server_and_back() {
    let (mut threads, ids) = system(&[5, 3]);
    let [server, client] = ids[..] else { unreachable!() };
    receive(&mut threads, server);
    assert_eq!(threads.pick(), Some(client));
    assert_eq!(threads.call(client, server, 7), Ok(Called::Taken));
    assert_eq!(threads.current(), Some(server));
    assert_eq!(threads.dispatch.claim, Some(client), "the client pays");
    assert_eq!(threads.reply_wait(server, 0, NO_DEADLINE), (Some(client), Next::Blocked));
    assert_eq!(threads.pick(), Some(client));
}

/// Both in one step of the kernel, so that nobody looks at the claim in between.
#[test]
fn a_claim_goes_with_a_domain_that_is_halted_and_destroyed_at_once() {
    let (mut threads, ids) = system(&[9, 2, 1]);
    let [destroyer, destroyed, low] = ids[..] else { unreachable!() };
    threads.halt(destroyed, State::Stopped);
    threads.destroy(destroyed);
    assert_eq!(threads.wait(destroyer, 1, NO_DEADLINE), Next::Blocked);
    assert_eq!(threads.pick(), Some(low));
}

#[test]
fn callers_wait_in_order_of_priority_then_of_arrival() {
    let (mut threads, ids) = system(&[9, 2, 4, 2]);
    let [server, low, high, late] = ids[..] else { unreachable!() };
    assert_eq!(threads.pick(), Some(server));
    assert_eq!(threads.wait(server, 1, NO_DEADLINE), Next::Blocked);
    for caller in [high, low, late] {
        assert_eq!(threads.pick(), Some(caller));
        assert_eq!(threads.call(caller, server, caller.index() as u32), Ok(Called::Queued));
    }
    assert_eq!(threads.pick(), None);
    assert_eq!(threads.signal(server, 1), Some(1));
    assert_eq!(threads.pick(), Some(server));
    let mut served = Vec::new();
    while let (_, Next::Message(caller, badge)) = threads.reply_wait(server, 0, NO_DEADLINE) {
        assert_eq!(badge, caller.index() as u32);
        served.push(caller);
    }
    assert_eq!(served, [high, low, late]);
}

#[test]
fn a_client_lends_its_priority() {
    let (mut threads, ids) = system(&[1, 8, 5]);
    let [server, client, other] = ids[..] else { unreachable!() };
    assert_eq!(threads.pick(), Some(client));
    assert_eq!(threads.wait(client, 1, NO_DEADLINE), Next::Blocked);
    assert_eq!(threads.pick(), Some(other));
    assert_eq!(threads.wait(other, 1, NO_DEADLINE), Next::Blocked);
    receive(&mut threads, server);
    assert_eq!(threads.signal(client, 1), Some(1));
    assert_eq!(threads.pick(), Some(client));
    assert_eq!(threads.call(client, server, 0), Ok(Called::Taken));
    assert_eq!(threads.signal(other, 1), Some(1));
    assert_eq!(threads.current(), Some(server), "it runs at the client's priority, above the other's");
}

#[test]
fn who_waits_for_a_stopped_server_gets_an_error() {
    let (mut threads, ids) = system(&[9, 3, 2]);
    let [server, served, queued] = ids[..] else { unreachable!() };
    receive(&mut threads, server);
    assert_eq!(threads.pick(), Some(served));
    assert_eq!(threads.call(served, server, 0), Ok(Called::Taken));
    assert_eq!(threads.wait(server, 1, NO_DEADLINE), Next::Blocked);
    assert_eq!(threads.pick(), Some(queued));
    assert_eq!(threads.call(queued, server, 0), Ok(Called::Queued));
    assert_eq!(
        threads.halt(server, State::Faulted(None)),
        1 << served.index(),
        "the queue waits for the restart"
    );
    assert_eq!(threads.halt(server, State::Stopped), 1 << queued.index());
    assert_eq!(threads.pick(), Some(served));
    assert_eq!(threads.call(served, server, 0), Err(CallError::PeerFailed));
    assert_eq!(threads.call(served, served, 0), Err(CallError::SelfCall));
}

#[test]
fn a_reply_to_a_client_that_is_gone_goes_nowhere() {
    let (mut threads, ids) = system(&[9, 3]);
    let [server, client] = ids[..] else { unreachable!() };
    receive(&mut threads, server);
    threads.pick();
    assert_eq!(threads.call(client, server, 0), Ok(Called::Taken));
    threads.halt(client, State::Stopped);
    assert_eq!(threads.reply_wait(server, 0, NO_DEADLINE), (None, Next::Blocked));
}

#[test]
fn tasks_of_one_priority_take_turns() {
    let (mut threads, ids) = system(&[4, 4]);
    assert_eq!(threads.settle(|| 0), 100);
    assert_eq!(threads.current(), Some(ids[0]));
    threads.timer(100);
    assert_eq!(threads.settle(|| 100), 200);
    assert_eq!(threads.current(), Some(ids[1]));
    threads.timer(200);
    threads.settle(|| 200);
    assert_eq!(threads.current(), Some(ids[0]));
}

#[test]
fn one_task_alone_needs_no_timer() {
    let (mut threads, _) = system(&[4]);
    assert_eq!(threads.settle(|| 0), NO_DEADLINE);
}

#[test]
fn a_wait_ends_at_its_deadline() {
    let (mut threads, ids) = system(&[4]);
    assert_eq!(threads.wait(ids[0], 1, 500), Next::Blocked);
    assert_eq!(threads.settle(|| 0), 500);
    assert_eq!(threads.current(), None);
    assert_eq!(threads.timer(499), 0);
    assert_eq!(threads.timer(500), ids[0].bit());
    assert_eq!(threads.settle(|| 500), NO_DEADLINE);
    assert_eq!(threads.current(), Some(ids[0]));
}

/// Lets time pass until `end`, at most `step` at once. Returns how long each thread's thread had the CPU.
fn run(threads: &mut Threads, begin: u64, end: u64, step: u64) -> [u64; TABLE_ENTRIES] {
    let mut ran = [0; TABLE_ENTRIES];
    let mut now = begin;
    while now < end {
        let next = threads.settle(|| now).min(now + step).max(now);
        if let Some(current) = threads.current() {
            ran[current.index()] += next - now;
        }
        now = next;
        threads.timer(now);
    }
    ran
}

#[test]
fn a_spinner_with_a_budget_does_not_starve_the_rest() {
    let (mut threads, ids) = system(&[9, 2]);
    threads.configure(ids[0], 9, Budget::new(30, 100));
    let ran = run(&mut threads, 0, 10_000, 50);
    assert_eq!(ran[ids[0].index()], 3_000);
}

#[test]
fn a_spent_budget_does_not_keep_the_timer_busy() {
    let (mut threads, ids) = system(&[9]);
    threads.configure(ids[0], 9, Budget::new(30, 100));
    assert_eq!(threads.settle(|| 0), 30);
    threads.timer(30);
    assert_eq!(threads.settle(|| 30), 100, "nothing is due before the next period");
    threads.timer(100);
    assert_eq!(threads.settle(|| 100), 130, "the budget of the next period");
    assert_eq!(threads.get(ids[0]).priority, 9);
}

#[test]
fn an_interrupted_turn_goes_on_where_it_was() {
    let (mut threads, ids) = system(&[9, 4, 4]);
    let [waker, first, second] = ids[..] else { unreachable!() };
    let mut ran = [0_u64; 3];
    let mut now = 0;
    while now < 30_000 {
        let next = threads.settle(|| now);
        let current = threads.current().unwrap();
        if current == waker {
            now += 1;
            threads.wait(waker, 1, now + 30);
            continue;
        }
        let next = next.max(now + 1);
        ran[usize::from(current == second)] += next - now;
        now = next;
        threads.timer(now);
    }
    assert!(ran[0].abs_diff(ran[1]) <= 200, "{first:?} ran for {}, {second:?} for {}", ran[0], ran[1]);
}

#[test]
fn who_becomes_ready_during_a_call_has_its_turn_after_it() {
    let (mut threads, ids) = system(&[10, 5, 5]);
    let [server, caller, peer] = ids[..] else { unreachable!() };
    receive(&mut threads, server);
    threads.settle(|| 0);
    threads.timer(100);
    threads.settle(|| 100);
    assert_eq!(threads.current(), Some(peer));
    assert_eq!(threads.wait(peer, 1, NO_DEADLINE), Next::Blocked);
    threads.settle(|| 110);
    assert!(threads.call_at_once(caller, server));
    assert_eq!(threads.signal(peer, 1), Some(1));
    assert!(!threads.is_settled());
    let alarm = threads.settle(|| 120);
    assert_eq!(threads.current(), Some(server), "the turn is still the caller's");
    assert_eq!(alarm, 210, "the end of that turn");
    assert_eq!(threads.reply_at_once(server, 0, NO_DEADLINE), Some(caller));
    assert!(threads.is_settled(), "the alarm is set");
}

#[test]
fn a_caller_shares_the_cpu_with_its_peers() {
    let (mut threads, ids) = system(&[10, 5, 5]);
    let [server, caller, peer] = ids[..] else { unreachable!() };
    receive(&mut threads, server);
    let mut had = 0;
    for now in 0..10_000 {
        if !threads.is_settled() {
            threads.settle(|| now);
        }
        match threads.current() {
            Some(current) if current == caller => assert!(threads.call_at_once(caller, server)),
            Some(current) if current == server => {
                assert_eq!(threads.reply_at_once(server, 0, NO_DEADLINE), Some(caller));
            }
            other => {
                assert_eq!(other, Some(peer));
                had += 1;
            }
        }
        threads.timer(now + 1);
    }
    assert!((4_900..=5_100).contains(&had), "the peer had {had} of 10000");
}

#[test]
fn an_endless_account_pays_for_nothing_above_its_priority() {
    let (mut threads, ids) = system(&[2, 1, 1]);
    let [server, client, peer] = ids[..] else { unreachable!() };
    threads.configure(server, 2, Budget::new(8, 10));
    receive(&mut threads, server);
    threads.settle(|| 0);
    assert!(threads.call_at_once(client, server));
    let ran = run(&mut threads, 0, 10_000, 50);
    assert_eq!(ran[peer.index()], 5_000, "half of the CPU, beside the server that computes for the client");
}

#[test]
fn a_nested_call_goes_on_in_the_background_when_the_account_is_empty() {
    let (mut threads, ids) = system(&[12, 11, 10, 5]);
    let [inner, outer, client, other] = ids[..] else { unreachable!() };
    threads.configure(inner, 12, Budget::new(80, 100));
    threads.configure(outer, 11, Budget::new(10, 1000));
    threads.configure(client, 10, Budget::new(10, 1000));
    receive(&mut threads, inner);
    receive(&mut threads, outer);
    threads.settle(|| 0);
    assert!(threads.call_at_once(client, outer));
    assert!(threads.call_at_once(outer, inner));
    threads.timer(10);
    threads.settle(|| 10);
    assert_eq!(threads.current(), Some(other));
    let ran = run(&mut threads, 10, 2_000, 50);
    assert_eq!(ran[inner.index()], 10, "what the client has in the next period");
}

#[test]
fn what_a_client_lends_ends_with_it() {
    for end in [State::Stopped, State::Faulted(None)] {
        let (mut threads, ids) = system(&[3, 9, 5]);
        let [server, client, other] = ids[..] else { unreachable!() };
        for id in [client, other] {
            threads.pick();
            threads.wait(id, 1, NO_DEADLINE);
        }
        receive(&mut threads, server);
        threads.signal(client, 1);
        threads.signal(other, 1);
        threads.pick();
        threads.call(client, server, 0).unwrap();
        assert_eq!(threads.pick(), Some(server));
        threads.halt(client, end);
        assert_eq!(threads.pick(), Some(other), "the server has its own priority again");
    }
}

#[test]
fn a_waiting_caller_lifts_the_server_and_those_whom_it_calls() {
    let (mut threads, ids) = system(&[4, 3, 1, 2, 9]);
    let [inner, outer, low, middle, high] = ids[..] else { unreachable!() };
    for id in [high, middle] {
        threads.pick();
        threads.wait(id, 1, NO_DEADLINE);
    }
    for id in [inner, outer] {
        threads.pick();
        threads.reply_wait(id, 0, NO_DEADLINE);
    }
    assert_eq!(threads.pick(), Some(low));
    threads.call(low, outer, 0).unwrap();
    threads.call(outer, inner, 0).unwrap();
    threads.signal(middle, 1);
    assert_eq!(threads.pick(), Some(middle));
    threads.signal(high, 1);
    assert_eq!(threads.pick(), Some(high));
    assert_eq!(threads.call(high, outer, 0), Ok(Called::Queued));
    assert_eq!((threads.pick(), threads.dispatch.claim), (Some(inner), Some(high)));
}

#[test]
fn a_servers_own_work_lifts_it_above_its_client() {
    let (mut threads, ids) = system(&[9, 1, 5]);
    let [server, client, other] = ids[..] else { unreachable!() };
    assert_eq!(threads.reply_wait(server, 1, 500), (None, Next::Blocked));
    threads.pick();
    threads.wait(other, 1, NO_DEADLINE);
    assert_eq!(threads.pick(), Some(client));
    threads.call(client, server, 0).unwrap();
    threads.signal(other, 1);
    assert_eq!(threads.pick(), Some(other), "what the server does is the client's");
    let mut by_event = threads.clone();
    by_event.signal(server, 2);
    assert_eq!(by_event.pick(), Some(other), "it does not wait for this event");
    by_event.signal(server, 1);
    assert_eq!((by_event.pick(), by_event.dispatch.claim), (Some(server), Some(server)));
    threads.settle(|| 0);
    threads.timer(500);
    assert_eq!(
        (threads.pick(), threads.dispatch.claim),
        (Some(server), Some(server)),
        "its deadline has passed"
    );
}

#[test]
fn who_faults_lends_its_handler_its_claim_until_that_waits() {
    let (mut threads, ids) = system(&[1, 4, 8, 6]);
    let [handler, low, high, other] = ids[..] else { unreachable!() };
    for id in [high, other, low, handler] {
        threads.pick();
        threads.wait(id, 1, NO_DEADLINE);
    }
    threads.signal(handler, 1);
    threads.halt(low, State::Faulted(Some(handler)));
    assert_eq!((threads.pick(), threads.dispatch.claim), (Some(handler), Some(low)));
    threads.signal(other, 1);
    assert_eq!(threads.pick(), Some(other), "it handles the fault at the priority of whom it is for");
    threads.halt(high, State::Faulted(Some(handler)));
    assert_eq!(
        (threads.pick(), threads.dispatch.claim),
        (Some(handler), Some(high)),
        "a higher one lifts it"
    );
    threads.start(high).unwrap();
    threads.wait(high, 1, NO_DEADLINE);
    threads.wait(handler, 1, NO_DEADLINE);
    threads.signal(handler, 1);
    threads.pick();
    threads.wait(other, 1, NO_DEADLINE);
    let by = (threads.pick(), threads.dispatch.claim);
    assert_eq!(
        by,
        (Some(handler), Some(handler)),
        "the one below has not been decided about, and lends no more"
    );
}

#[test]
fn a_high_caller_is_not_kept_in_an_inner_queue_by_lower_ones() {
    let (mut threads, ids) = system(&[9, 8, 1, 5, 7]);
    let [inner, outer, low, middle, high] = ids[..] else { unreachable!() };
    assert_eq!(threads.wait(inner, 1, NO_DEADLINE), Next::Blocked);
    for id in [outer, high, middle, low] {
        assert_eq!(threads.pick(), Some(id));
        if id == outer {
            threads.reply_wait(outer, 0, NO_DEADLINE);
        } else {
            threads.wait(id, 1, NO_DEADLINE);
        }
    }
    threads.signal(low, 1);
    threads.pick();
    threads.call(low, outer, 0).unwrap();
    assert_eq!(threads.call(outer, inner, 0), Ok(Called::Queued));
    threads.signal(middle, 1);
    threads.pick();
    assert_eq!(threads.call(middle, inner, 0), Ok(Called::Queued));
    threads.signal(high, 1);
    threads.pick();
    assert_eq!(threads.call(high, outer, 0), Ok(Called::Queued));
    threads.signal(inner, 1);
    assert_eq!(threads.pick(), Some(inner));
    let (_, next) = threads.reply_wait(inner, 0, NO_DEADLINE);
    assert_eq!(next, Next::Message(outer, 0), "the highest waits behind it");
}

#[test]
fn calls_in_a_circle_stop_those_in_it_and_nobody_else() {
    let (mut threads, ids) = system(&[9, 8, 1]);
    let [first, second, other] = ids[..] else { unreachable!() };
    receive(&mut threads, first);
    threads.pick();
    threads.call(second, first, 0).unwrap();
    assert_eq!(threads.call(first, second, 0), Ok(Called::Queued));
    assert_eq!(threads.pick(), Some(other));
}

#[test]
fn only_one_without_a_limit_can_retire() {
    let (mut threads, ids) = system(&[31, 5]);
    threads.configure(ids[1], 5, Budget::new(1, 100));
    threads.settle(|| 0);
    assert_eq!(threads.retire(ids[1], Budget::new(50, 100)), Err(CallError::BadState));
    assert_eq!(threads.retire(ids[0], Budget::new(50, 100)), Ok(()));
    assert_eq!(threads.pick(), Some(ids[1]), "it has the lowest priority now");
    let ran = run(&mut threads, 5_000, 10_000, 50);
    assert_eq!(ran[ids[0].index()], 5_000 - ran[ids[1].index()], "and its budget, whatever it had before");
    threads.wait(ids[1], 1, NO_DEADLINE);
    assert_eq!(threads.settle(|| 10_000), 10_050);
}

#[test]
fn a_start_goes_on_with_the_turn_that_was_lent() {
    let (mut threads, ids) = system(&[1, 5, 5]);
    let [handler, peer, supervised] = ids[..] else { unreachable!() };
    for id in [peer, supervised, handler] {
        assert_eq!(threads.pick(), Some(id));
        threads.wait(id, 1, NO_DEADLINE);
    }
    threads.settle(|| 0);
    threads.signal(handler, 1);
    threads.halt(supervised, State::Faulted(Some(handler)));
    threads.signal(peer, 1);
    assert_eq!((threads.settle(|| 0), threads.dispatch.claim), (100, Some(supervised)));
    threads.timer(60);
    threads.start(supervised).unwrap();
    assert_eq!(threads.settle(|| 60), 100);
}

#[test]
fn time_in_the_background_costs_nothing() {
    let (mut threads, ids) = system(&[9]);
    threads.configure(ids[0], 9, Budget::new(30, 100));
    run(&mut threads, 0, 100, 100);
    assert_eq!(threads.settle(|| 100), 130, "70 of 100 were free");
}
