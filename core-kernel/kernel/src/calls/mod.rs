//! System calls: from registers to a function, from its result to registers.
//!
//! Every function here looks its objects up in the caller's slots, where type and rights are checked. One that
//! reaches beyond the caller asks [`cloison_rules::authorize`]; then it does what the call says. None follows a
//! pointer of the caller; each is done in a bounded number of steps, or does a bounded part and lets the caller
//! call again.

mod build;
mod gates;
mod regions;
mod system;

pub use gates::{gate_call_at_once, poll, reply_at_once};
pub(crate) use regions::{begin_scrub, map_step, unmap_step, zero_step};

use cloison_abi::{CallError, CallNumber};
use cloison_rules::DomainId;

use crate::kernel::Kernel;

/// The registers of a call.
#[derive(Clone, Copy)]
struct Arguments {
    /// Bits 8 to 15 of `rax`.
    slot: u64,
    /// Bits 32 to 63 of `rax`.
    label: u32,
    /// `rdi`, `rsi`, `rdx`, `r10`, `r8`, `r9`.
    a: [u64; 6],
}

/// What a call gives back.
enum Answer {
    /// It is done.
    Done,
    /// Results 0 to 3.
    Words([u64; 4]),
    /// An outcome, a label, and results 0 to 3.
    Full(i32, u32, [u64; 4]),
    /// A part is done; the caller makes the call again.
    Again,
    /// The caller waits, or has ended: its registers are not touched now.
    Nothing,
}

type Result = core::result::Result<Answer, CallError>;

/// Carries out the call that the running domain has made. Signals come first, and alone in this function,
/// because they are the third kind of call of which there are many.
pub fn dispatch(kernel: &mut Kernel, id: DomainId) {
    const SIGNAL: u8 = CallNumber::Signal as u8;
    let number = kernel.domain(id).context.rax as u8;
    if number == SIGNAL {
        gates::signal(kernel, id);
    } else {
        dispatch_other(kernel, id, number);
    }
}

/// On its own, or the compiler would make one table of this and of the question whether it is a signal.
#[inline(never)]
fn dispatch_other(kernel: &mut Kernel, id: DomainId, number: u8) {
    const CALL: u8 = CallNumber::Call as u8;
    const REPLY_WAIT: u8 = CallNumber::ReplyWait as u8;
    const WAIT: u8 = CallNumber::Wait as u8;
    match number {
        CALL => gates::call(kernel, id),
        REPLY_WAIT => gates::reply_wait(kernel, id),
        WAIT => gates::wait(kernel, id),
        number => carry_out(kernel, id, number),
    }
}

/// Carries out one of the other calls, and puts its answer into the caller's registers.
#[inline(never)]
fn carry_out(kernel: &mut Kernel, id: DomainId, number: u8) {
    let result = look_up(kernel, id, number);
    let context = &mut kernel.domain_mut(id).context;
    match result {
        Ok(Answer::Done) => context.set_outcome(0, 0),
        Ok(Answer::Words(words)) => {
            context.set_outcome(0, 0);
            context.set_words(words);
        }
        Ok(Answer::Full(status, label, words)) => {
            context.set_outcome(status, label);
            context.set_words(words);
        }
        Ok(Answer::Again) => context.repeat_call(),
        Ok(Answer::Nothing) => {}
        Err(error) => context.set_outcome(error as i32, 0),
    }
}

#[allow(non_upper_case_globals, reason = "the constants are named as the calls are")]
fn look_up(kernel: &mut Kernel, id: DomainId, number: u8) -> Result {
    /// The calls by their numbers, in the order of [`CallNumber`].
    macro_rules! table {
        ($($call:ident => $function:path,)*) => {{
            $(const $call: u8 = CallNumber::$call as u8;)*
            let context = &kernel.domain(id).context;
            let [a0, a1, a2, a3] = context.words();
            let (a4, a5) = (context.r8, context.r9);
            let a = [a0, a1, a2, a3, a4, a5];
            let arguments = Arguments { slot: context.slot(), label: context.label(), a };
            match number {
                $($call => $function(kernel, id, arguments),)*
                _ => Err(CallError::UnknownCall),
            }
        }};
    }
    table! {
        DebugWrite => system::debug_write,
        Exit => system::exit,
        Clock => system::clock,
        RegionMap => regions::map,
        RegionUnmap => regions::unmap,
        RegionGrant => regions::grant,
        RegionRevoke => regions::revoke,
        RegionInfo => regions::info,
        InterruptAcknowledge => system::interrupt_acknowledge,
        SlotDrop => system::slot_drop,
        SlotLimit => system::slot_limit,
        Retire => system::retire,
        LogRead => system::log_read,
        CensusRead => system::census_read,
        Shutdown => system::shutdown,
        Panic => system::panic,
        SlotInfo => system::slot_info,
        GoneRead => system::gone_read,
        Figures => system::figures,
        DomainCreate => build::create,
        DomainConfigure => build::configure,
        DomainMap => build::map,
        DomainGiveRegion => build::give_region,
        DomainGiveGate => build::give_gate,
        DomainGiveEvent => build::give_event,
        DomainGiveInterrupt => build::give_interrupt,
        DomainGivePorts => build::give_ports,
        DomainGiveRight => build::give_right,
        DomainGiveDomain => build::give_domain,
        DomainStart => build::start,
        DomainStop => build::stop,
        DomainDestroy => build::destroy,
        RegionCarve => regions::carve,
        RegionDevice => regions::device,
        RegionDelete => regions::delete,
        FaultRead => build::fault_read,
        DomainReset => build::reset,
        DomainAttend => build::attend,
    }
}
