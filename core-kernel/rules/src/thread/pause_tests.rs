//! Threads that are held and let go.

use super::{tests::system, *};

/// All go on until they wait for events, and the first for messages.
fn at_rest(priorities: &[u8]) -> (Threads, std::vec::Vec<ThreadId>) {
    let (mut threads, ids) = system(priorities);
    while let Some(current) = threads.pick() {
        if current == ids[0] {
            threads.reply_wait(current, 1, NO_DEADLINE);
        } else {
            threads.wait(current, 1, NO_DEADLINE);
        }
    }
    (threads, ids)
}

fn wake(threads: &mut Threads, id: ThreadId) {
    threads.signal(id, 1);
    threads.pick();
}

#[test]
fn who_is_held_does_not_run_and_is_held_once() {
    let (mut threads, ids) = system(&[5, 3]);
    let [high, low] = ids[..] else { unreachable!() };
    assert_eq!(threads.pause(high), Ok(()));
    assert_eq!((threads.pick(), threads.get(high).is_paused()), (Some(low), true));
    assert_eq!(threads.pause(high), Err(CallError::BadState));
    assert_eq!(threads.resume(low), Err(CallError::BadState));
    assert_eq!(threads.resume(high), Ok(Next::Blocked));
    assert_eq!((threads.pick(), threads.get(high).is_paused()), (Some(high), false));
    assert_eq!(threads.resume(high), Err(CallError::BadState));
}

#[test]
fn nobody_is_held_that_does_not_live() {
    let (mut threads, ids) = system(&[5, 3]);
    for state in [State::Stopped, State::Faulted(Some(ids[0]))] {
        threads.halt(ids[1], state);
        assert_eq!(threads.pause(ids[1]), Err(CallError::BadState), "{state:?}");
    }
}

#[test]
fn a_held_server_holds_up_its_clients() {
    let (mut threads, ids) = at_rest(&[9, 3, 2]);
    let [server, client, other] = ids[..] else { unreachable!() };
    threads.pause(server).unwrap();
    wake(&mut threads, client);
    assert_eq!(threads.call(client, server, 7), Ok(Called::Queued));
    wake(&mut threads, other);
    assert_eq!(threads.pick(), Some(other), "those who do not wait for it go on");
    assert_eq!(threads.call(other, server, 8), Ok(Called::Queued));
    assert_eq!(threads.pick(), None);
    assert_eq!(threads.resume(server), Ok(Next::Message(client, 7)));
    assert_eq!((threads.pick(), threads.dispatch.claim), (Some(server), Some(client)), "the client pays");
    assert_eq!(threads.reply_wait(server, 1, NO_DEADLINE).1, Next::Message(other, 8));
}

#[test]
fn a_server_is_held_in_the_middle_of_a_service() {
    let (mut threads, ids) = at_rest(&[9, 3]);
    let [server, client] = ids[..] else { unreachable!() };
    wake(&mut threads, client);
    threads.call(client, server, 7).unwrap();
    threads.pause(server).unwrap();
    assert_eq!(threads.pick(), None, "the client waits with it");
    threads.resume(server).unwrap();
    assert_eq!(threads.pick(), Some(server));
    assert_eq!(threads.reply_wait(server, 1, NO_DEADLINE), (Some(client), Next::Blocked));
}

#[test]
fn events_wait_for_who_is_held() {
    for waits_for_messages in [true, false] {
        let (mut threads, ids) = at_rest(&[5, 3]);
        let id = ids[usize::from(!waits_for_messages)];
        threads.pause(id).unwrap();
        assert_eq!(threads.signal(id, 0b11), None, "it does not go on");
        assert_eq!(threads.pick(), None);
        assert_eq!(threads.resume(id), Ok(Next::Events(1)));
        assert_eq!((threads.pick(), threads.get(id).pending()), (Some(id), 0b10));
    }
}

#[test]
fn a_deadline_that_passes_meanwhile_is_due_afterwards() {
    let (mut threads, ids) = system(&[5]);
    threads.wait(ids[0], 1, 500);
    threads.pause(ids[0]).unwrap();
    assert_eq!(threads.settle(|| 0), 500, "an alarm is there already");
    assert_eq!(threads.timer(500), 0, "nobody goes on");
    assert_eq!(threads.settle(|| 500), NO_DEADLINE);
    assert_eq!(threads.resume(ids[0]), Ok(Next::Blocked));
    assert_eq!(threads.settle(|| 700), 500, "at once");
    assert_eq!((threads.timer(700), threads.pick()), (ids[0].bit(), Some(ids[0])));
}

#[test]
fn a_deadline_that_has_not_passed_is_kept() {
    let (mut threads, ids) = system(&[5]);
    threads.wait(ids[0], 1, 500);
    threads.pause(ids[0]).unwrap();
    threads.resume(ids[0]).unwrap();
    assert_eq!(threads.settle(|| 10), 500);
}

/// Whichever way the server replies: the short one is closed to it.
#[test]
fn who_waits_for_an_answer_is_held_when_it_comes() {
    let (mut threads, ids) = at_rest(&[9, 3]);
    let [server, client] = ids[..] else { unreachable!() };
    wake(&mut threads, client);
    threads.call(client, server, 7).unwrap();
    threads.settle(|| 0);
    assert!(threads.clone().reply_at_once(server, 1, NO_DEADLINE).is_some(), "it is open otherwise");
    threads.pause(client).unwrap();
    threads.settle(|| 0);
    assert_eq!(threads.current(), Some(server), "the server goes on with what the client has lent");
    assert_eq!(threads.reply_at_once(server, 1, NO_DEADLINE), None);
    // A server that waits for an event meanwhile still knows it.
    threads.wait(server, 2, NO_DEADLINE);
    threads.signal(server, 2);
    threads.settle(|| 0);
    assert_eq!(threads.reply_at_once(server, 1, NO_DEADLINE), None);
    assert_eq!(threads.reply_wait(server, 1, NO_DEADLINE), (Some(client), Next::Blocked));
    assert_eq!(threads.pick(), None);
    assert_eq!(threads.resume(client), Ok(Next::Blocked));
    assert_eq!(threads.pick(), Some(client));
    threads.call(client, server, 7).unwrap();
    threads.settle(|| 0);
    assert!(threads.reply_at_once(server, 1, NO_DEADLINE).is_some(), "nothing is left of it");
}

#[test]
fn a_client_that_is_let_go_before_the_answer_is_not_held_by_it() {
    let (mut threads, ids) = at_rest(&[9, 3]);
    let [server, client] = ids[..] else { unreachable!() };
    wake(&mut threads, client);
    threads.call(client, server, 7).unwrap();
    threads.pause(client).unwrap();
    threads.resume(client).unwrap();
    threads.settle(|| 0);
    assert_eq!(threads.reply_at_once(server, 1, NO_DEADLINE), Some(client));
}

#[test]
fn a_held_caller_is_served_in_its_turn() {
    let (mut threads, ids) = system(&[9, 3]);
    let [server, client] = ids[..] else { unreachable!() };
    threads.wait(server, 1, NO_DEADLINE);
    threads.pick();
    assert_eq!(threads.call(client, server, 7), Ok(Called::Queued));
    threads.pause(client).unwrap();
    threads.signal(server, 1);
    assert_eq!(threads.pick(), Some(server));
    assert_eq!(threads.reply_wait(server, 0, NO_DEADLINE).1, Next::Message(client, 7));
    threads.settle(|| 0);
    assert_eq!(threads.reply_at_once(server, 0, NO_DEADLINE), None);
    assert_eq!(threads.reply_wait(server, 0, NO_DEADLINE), (Some(client), Next::Blocked));
    assert_eq!(threads.get(client).state, State::Paused(Held::Running));
}

#[test]
fn who_asks_the_monitor_is_held_when_the_answer_comes() {
    let (mut threads, ids) = system(&[9, 3]);
    threads.ask(ids[0], 500);
    threads.pause(ids[0]).unwrap();
    assert_eq!(threads.pause(ids[0]), Err(CallError::BadState));
    threads.settle(|| 0);
    assert_eq!(threads.timer(500), ids[0].bit(), "it does not ask for ever");
    threads.answered(ids[0]);
    assert_eq!(threads.pick(), Some(ids[1]));
    threads.resume(ids[0]).unwrap();
    assert_eq!(threads.pick(), Some(ids[0]));
}

#[test]
fn who_loses_its_server_is_held_still() {
    let (mut threads, ids) = at_rest(&[9, 3, 2]);
    let [server, served, queued] = ids[..] else { unreachable!() };
    for client in [served, queued] {
        wake(&mut threads, client);
        threads.call(client, server, 0).unwrap();
        threads.pause(client).unwrap();
    }
    let mut withdrawn = threads.clone();
    withdrawn.withdraw_call(served);
    withdrawn.withdraw_call(queued);
    let failed = threads.halt(server, State::Stopped);
    assert_eq!(failed, served.bit() | queued.bit());
    assert_eq!((threads.pick(), withdrawn.pick()), (None, Some(server)));
    for client in [served, queued] {
        assert_eq!(threads.resume(client), Ok(Next::Blocked));
        assert_eq!(threads.pick(), Some(served), "{client:?}");
    }
}

#[test]
fn the_next_life_is_not_held() {
    let (mut threads, ids) = system(&[5]);
    threads.pause(ids[0]).unwrap();
    threads.halt(ids[0], State::Stopped);
    assert!(!threads.get(ids[0]).is_paused());
    threads.start(ids[0]).unwrap();
    assert_eq!(threads.pick(), Some(ids[0]));
}

#[test]
fn a_held_handler_keeps_those_waiting_whom_it_supervises() {
    let (mut threads, ids) = at_rest(&[9, 5, 3]);
    let [handler, supervised, late] = ids[..] else { unreachable!() };
    wake(&mut threads, handler);
    threads.halt(supervised, State::Faulted(Some(handler)));
    threads.pause(handler).unwrap();
    assert_eq!(threads.pick(), None);
    // One that faults meanwhile has nobody to wait for: it is decided about on the handler's own account.
    threads.halt(late, State::Faulted(Some(handler)));
    assert_eq!(threads.get(late).state, State::Faulted(None));
    threads.resume(handler).unwrap();
    assert_eq!(threads.pick(), Some(handler));
    threads.reply_wait(handler, 1, NO_DEADLINE);
    assert_eq!(threads.get(supervised).state, State::Faulted(None));
}

#[test]
fn a_lent_account_pays_on_for_a_held_client() {
    let (mut threads, ids) = at_rest(&[9, 3]);
    let [server, client] = ids[..] else { unreachable!() };
    wake(&mut threads, client);
    threads.call(client, server, 0).unwrap();
    threads.settle(|| 0);
    threads.pause(client).unwrap();
    threads.settle(|| 10);
    assert_eq!((threads.paid(client, 30), threads.paid(server, 30)), (30, 0));
}

#[test]
fn who_is_held_in_its_guest_comes_out_of_it_for_what_came_meanwhile() {
    let (mut threads, ids) = system(&[5, 3]);
    let id = ids[0];
    threads.enter_guest(id, 0b10, 50);
    threads.pause(id).unwrap();
    assert_eq!(threads.pick(), Some(ids[1]));
    threads.signal(id, 0b10);
    threads.timer(60);
    assert_eq!(threads.resume(id), Ok(Next::Blocked));
    assert_eq!(threads.pick(), Some(id));
    assert_eq!(threads.guest_is_due(id, 0b10, || 60), Some(Next::Events(0b10)));
    assert_eq!(threads.guest_is_due(id, 0b10, || 60), Some(Next::TimedOut));
}

#[test]
fn a_turn_goes_on_where_it_was_held() {
    let (mut threads, ids) = system(&[5, 5, 9]);
    let [first, second, high] = ids[..] else { unreachable!() };
    threads.wait(high, 1, NO_DEADLINE);
    assert_eq!((threads.settle(|| 0), threads.current()), (100, Some(first)));
    threads.signal(high, 1);
    threads.settle(|| 60);
    threads.pause(first).unwrap();
    threads.resume(first).unwrap();
    threads.wait(high, 1, NO_DEADLINE);
    threads.settle(|| 60);
    let left = [first, second].map(|id| threads.turn_left(id));
    assert!(left == [40, 100], "{left:?}");
}
