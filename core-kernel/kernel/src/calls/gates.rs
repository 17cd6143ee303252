//! Gates and events.

use cloison_abi::{
    CallError,
    call::{NO_DEADLINE, POLL, RECEIVED_EVENTS},
};
use cloison_rules::{
    DomainId, EventRef, Peer, ThreadId,
    authorize::{Operation, Verdict},
    thread::{Called, Next},
};

use crate::{
    arch::{context::Return, time},
    state::Kernel,
};

/// Gate call, if the server waits for one. Returns how the server goes on if it was so; else nothing has been done,
/// and an error, if there is one, is left for [`call`] to find.
#[inline(always)]
pub fn gate_call_at_once(kernel: &mut Kernel, id: ThreadId) -> Option<Return> {
    let (server, badge, verdict, _) = target(kernel, id).ok()?;
    if verdict != Verdict::Allowed || !kernel.threads.call_at_once(id, server) {
        return None;
    }
    let rax = kernel.context(id).message_outcome();
    Some(Return { to: server, words: id, rax, r8: badge.into() })
}

/// Reply, if nothing but the client waits for it. Returns how the client goes on if it was so.
#[inline(always)]
pub fn reply_at_once(kernel: &mut Kernel, id: ThreadId) -> Option<Return> {
    let context = kernel.context(id);
    let (mask, deadline) = context.wait_arguments();
    let client = kernel.threads.reply_at_once(id, mask, deadline)?;
    let rax = kernel.context(id).message_outcome();
    Some(Return { to: client, words: id, rax, r8: kernel.context(client).badge() })
}

/// Look for events, if the caller does not want to wait for any. Returns how the caller goes on if it was so.
#[inline(always)]
pub fn poll(kernel: &mut Kernel, id: ThreadId) -> Option<Return> {
    let (mask, deadline) = kernel.context(id).wait_arguments();
    if deadline != POLL {
        return None;
    }
    let events = kernel.threads.poll(id, mask)?;
    let outcome = if events == 0 {
        CallError::TimedOut as i32
    } else {
        kernel.context_mut(id).set_first(events);
        RECEIVED_EVENTS
    };
    Some(Return { to: id, words: id, rax: (outcome as u32).into(), r8: mask })
}

/// The server and the badge of the gate that the caller names, and whether it may call.
#[inline(always)]
fn target(kernel: &Kernel, id: ThreadId) -> Result<(ThreadId, u32, Verdict, Operation), CallError> {
    let (slots, access) = kernel.reach(id);
    let gate = slots.gate(kernel.context(id).slot())?;
    let server = kernel.threads.resolve(gate.server.thread)?;
    let operation = Operation::Call { server: gate.server.domain };
    Ok((server, gate.badge, access.authorize(operation), operation))
}

/// Gate call. The message stays in the caller's registers until the server takes it.
#[inline(never)]
pub(super) fn call(kernel: &mut Kernel, id: ThreadId) {
    let called = target(kernel, id).and_then(|(server, badge, verdict, operation)| {
        if verdict != Verdict::Allowed {
            return Err(kernel.ask_or_refuse(id, operation));
        }
        let called = kernel.threads.call(id, server, badge)?;
        Ok((called, server, badge))
    });
    match called {
        Ok((Called::Taken, server, badge)) => {
            kernel.move_message(id, server);
            kernel.context_mut(server).set_badge(badge);
        }
        Ok((Called::Queued, ..)) => {}
        Err(error) => kernel.refuse(id, error),
    }
}

/// Reply and wait for the next message.
#[inline(never)]
pub(super) fn reply_wait(kernel: &mut Kernel, id: ThreadId) {
    let context = kernel.context(id);
    let (mask, deadline) = context.wait_arguments();
    let deadline = not_too_soon(kernel, deadline);
    let (client, next) = kernel.threads.reply_wait(id, mask, deadline);
    if let Some(client) = client {
        kernel.move_message(id, client);
    }
    take_next(kernel, id, next);
}

/// What a thread that waits for messages finds in its registers, if it has not to wait.
pub(super) fn take_next(kernel: &mut Kernel, id: ThreadId, next: Next) {
    if let Next::Message(caller, badge) = next {
        kernel.move_message(caller, id);
        kernel.context_mut(id).set_badge(badge);
    } else {
        answer_wait(kernel, id, next);
    }
}

/// Wait for an event.
#[inline(never)]
pub(super) fn wait(kernel: &mut Kernel, id: ThreadId) {
    let context = kernel.context(id);
    let (mask, deadline) = context.wait_arguments();
    let deadline = not_too_soon(kernel, deadline);
    let next = kernel.threads.wait(id, mask, deadline);
    answer_wait(kernel, id, next);
}

/// A deadline, put off as [`cloison_abi::limits::MIN_WAIT_US`] says. (A reply at once needs none of this: it
/// is for deadlines that are no nearer than the one for which the alarm is set.)
pub(super) fn not_too_soon(kernel: &Kernel, deadline: u64) -> u64 {
    if deadline == POLL || deadline == NO_DEADLINE {
        return deadline;
    }
    deadline.max(time::now().saturating_add(kernel.machine.shortest_wait))
}

/// What a thread that waits for events finds in its registers, if it has not to wait.
#[inline]
fn answer_wait(kernel: &mut Kernel, id: ThreadId, next: Next) {
    let context = kernel.context_mut(id);
    match next {
        Next::Events(events) => {
            context.set_outcome(RECEIVED_EVENTS, 0);
            context.set_first(events);
        }
        Next::TimedOut => context.set_outcome(CallError::TimedOut as i32, 0),
        Next::Blocked | Next::Message(..) => {}
    }
}

/// Set an event bit of another thread.
#[inline(always)]
pub fn signal(kernel: &mut Kernel, id: ThreadId) {
    let signalled = with_event(kernel, id, |kernel, target, bit| kernel.signal_at_once(target, bit));
    match signalled {
        Ok(()) => kernel.context_mut(id).set_outcome(0, 0),
        Err(error) => kernel.refuse(id, error),
    }
}

/// Set an event bit of another thread, reply, and wait for the next message. First comes the wait: then the thread that
/// gets the event takes the CPU over, where it might have taken it away.
#[inline(never)]
pub(super) fn signal_reply_wait(kernel: &mut Kernel, id: ThreadId) {
    let signalled = with_event(kernel, id, |kernel, target, bit| {
        reply_wait(kernel, id);
        kernel.signal(target, bit);
    });
    if let Err(error) = signalled {
        kernel.refuse(id, error);
    }
}

/// Does something with the thread of the event that the caller names, and with its bit as a mask. (To return them would
/// cost a signal two instructions.)
#[inline(always)]
fn with_event(
    kernel: &mut Kernel,
    id: ThreadId,
    act: impl FnOnce(&mut Kernel, ThreadId, u64),
) -> Result<(), CallError> {
    let (slots, access) = kernel.reach(id);
    let EventRef { target: Peer { thread, domain }, bit } = slots.event(kernel.context(id).slot())?;
    let target = kernel.threads.resolve(thread)?;
    if access.authorize(Operation::Signal { target: domain }) != Verdict::Allowed {
        return Err(ask_to_signal(kernel, id, domain));
    }
    act(kernel, target, 1 << bit);
    Ok(())
}

/// On its own, so that a signal that is allowed has no question in memory.
#[cold]
#[inline(never)]
fn ask_to_signal(kernel: &mut Kernel, id: ThreadId, target: DomainId) -> CallError {
    kernel.ask_or_refuse(id, Operation::Signal { target })
}
