//! The place of the reference monitor: a call that reaches beyond its caller asks here.
//!
//! The operations are an enum, so a match that forgets one does not compile. Calls by which a domain only waits,
//! ends, gives something up or looks at its own slots do not ask. Today the policy is static: the plan said who
//! holds which slot, and holding the slot with the right type and rights is the permission, so every answer is
//! "allowed". The answer for a gate is kept in the gate's slot.

use cloison_abi::CallError;

use crate::DomainId;

/// What a domain wants to do, and to what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Call through a gate into a server.
    Call {
        /// The server.
        server: DomainId,
        /// The cached answer.
        cached: Decision,
    },
    /// Set an event bit of a domain.
    Signal(DomainId),
    /// Map a region into a domain.
    Map(DomainId),
    /// Give a region to a server.
    Grant(DomainId),
    /// Take a region back from everyone.
    Revoke,
    /// Let an interrupt arrive again.
    Acknowledge,
    /// Read the kernel's log.
    ReadLog,
    /// Read who holds what.
    ReadCensus,
    /// End the system.
    Shutdown,
    /// Write to the kernel's debug output.
    DebugWrite,
    /// Build, change, start or destroy a domain.
    Build,
    /// Create or end a region.
    ShapeMemory,
    /// Hand out a device: its registers, ports or interrupt line.
    GiveDevice,
    /// Learn what a domain did wrong, and decide what happens then.
    HandleFault(DomainId),
}

/// The answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It may.
    Allowed,
    /// It may not.
    Denied,
}

/// Decides whether `subject` may carry out `operation`. The caller has looked the object up in the subject's
/// slots, with type and rights.
///
/// # Errors
/// [`CallError::Denied`].
#[inline(always)]
pub fn authorize(subject: DomainId, operation: Operation) -> Result<(), CallError> {
    let decision = match operation {
        Operation::Call { cached, .. } => cached,
        Operation::Signal(_)
        | Operation::Map(_)
        | Operation::Grant(_)
        | Operation::Revoke
        | Operation::Acknowledge
        | Operation::ReadLog
        | Operation::ReadCensus
        | Operation::Shutdown
        | Operation::DebugWrite
        | Operation::Build
        | Operation::ShapeMemory
        | Operation::GiveDevice
        | Operation::HandleFault(_) => static_policy(subject),
    };
    match decision {
        Decision::Allowed => Ok(()),
        Decision::Denied => Err(CallError::Denied),
    }
}

/// The plan is the policy: what was put into a slot is allowed.
#[inline(always)]
fn static_policy(_subject: DomainId) -> Decision {
    Decision::Allowed
}
