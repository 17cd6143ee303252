//! Gates and events.

use cloison_abi::{CallError, call::RECEIVED_EVENTS};
use cloison_rules::{
    DomainId,
    authorize::{Operation, authorize},
    task::{Called, Next},
};

use super::{Answer, Arguments, Result};
use crate::kernel::Kernel;

/// Gate call. The message stays in the caller's registers until the server takes it.
#[inline]
pub(super) fn call(kernel: &mut Kernel, id: DomainId) {
    if let Err(error) = try_call(kernel, id) {
        kernel.domain_mut(id).context.set_outcome(error as i32, 0);
    }
}

#[inline]
fn try_call(kernel: &mut Kernel, id: DomainId) -> core::result::Result<(), CallError> {
    let domain = kernel.domain(id);
    let gate = domain.slots.gate(domain.context.slot())?;
    let (reference, badge, cached) = (gate.server, gate.badge, gate.decision);
    let server = kernel.tasks.resolve(reference)?;
    authorize(id, Operation::Call { server, cached })?;
    if kernel.tasks.call(id, server, badge)? == Called::Taken {
        kernel.move_message(id, server);
        kernel.domain_mut(server).context.r8 = badge.into();
    }
    Ok(())
}

/// Reply and wait for the next message.
#[inline]
pub(super) fn reply_wait(kernel: &mut Kernel, id: DomainId) {
    let context = &kernel.domain(id).context;
    let (mask, deadline) = (context.r8, context.r9);
    let (client, next) = kernel.tasks.reply_wait(id, mask, deadline);
    if let Some(client) = client {
        kernel.move_message(id, client);
    }
    match next {
        Next::Blocked => {}
        Next::Message(caller, badge) => {
            kernel.move_message(caller, id);
            kernel.domain_mut(id).context.r8 = badge.into();
        }
        Next::Events(events) => {
            let context = &mut kernel.domain_mut(id).context;
            context.set_outcome(RECEIVED_EVENTS, 0);
            context.rdi = events;
        }
        Next::TimedOut => kernel.domain_mut(id).context.set_outcome(CallError::TimedOut as i32, 0),
    }
}

/// Wait for an event.
#[inline]
pub(super) fn wait(kernel: &mut Kernel, id: DomainId, arguments: Arguments) -> Result {
    let [.., mask, deadline] = arguments.a;
    match kernel.tasks.wait(id, mask, deadline) {
        Next::Events(events) => Ok(Answer::Full(RECEIVED_EVENTS, 0, [events, 0, 0, 0])),
        Next::TimedOut | Next::Message(..) => Err(CallError::TimedOut),
        Next::Blocked => Ok(Answer::Nothing),
    }
}

/// Set an event bit of another domain.
#[inline]
pub(super) fn signal(kernel: &mut Kernel, id: DomainId, arguments: Arguments) -> Result {
    let (target, bit) = kernel.domain(id).slots.event(arguments.slot)?;
    let target = kernel.tasks.resolve(target)?;
    authorize(id, Operation::Signal(target))?;
    kernel.signal(target, 1 << bit);
    Ok(Answer::Done)
}
