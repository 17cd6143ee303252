//! System calls: from registers to a function, from its result to registers.
//!
//! Each call has two functions. The first one looks the call's objects up in the caller's slots, where type and
//! rights are checked, and says with them what the call is about to do, and to whom. Between the two, and nowhere
//! else, [`cloison_rules::authorize`] is asked. The second one does it. None follows a pointer of the caller; each is
//! done in a bounded number of steps, or does a bounded part and lets the caller call again.

mod access;
mod build;
mod gates;
mod guests;
mod handle;
mod monitor;
mod regions;
mod system;

pub use gates::{gate_call_at_once, poll, reply_at_once, signal};
pub(crate) use regions::{map_step, settle_step, unmap_step, zero_step};

use cloison_abi::{CallError, CallNumber};
use cloison_rules::{
    DomainId, ThreadId,
    authorize::{Access, Operation, Verdict},
};

use crate::{arch::cpu::Cpu, state::Kernel};

/// A call: who makes it, with which registers.
#[derive(Clone, Copy)]
struct Arguments {
    /// The thread of the caller.
    thread: ThreadId,
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

type Result<T = Answer> = core::result::Result<T, CallError>;

/// What a call is about to do, and the objects that it needs for it.
type Found<T> = Result<(Operation, T)>;

/// Carries out the call that the running thread has made, if it is neither a signal nor an entry into a guest.
pub fn dispatch(kernel: &mut Kernel, id: ThreadId) {
    let number = kernel.context(id).number();
    const CALL: u8 = CallNumber::Call as u8;
    const REPLY_WAIT: u8 = CallNumber::ReplyWait as u8;
    const WAIT: u8 = CallNumber::Wait as u8;
    const SIGNAL_REPLY_WAIT: u8 = CallNumber::SignalReplyWait as u8;
    match number {
        CALL => gates::call(kernel, id),
        REPLY_WAIT => gates::reply_wait(kernel, id),
        WAIT => gates::wait(kernel, id),
        SIGNAL_REPLY_WAIT => gates::signal_reply_wait(kernel, id),
        number => carry_out(kernel, id, number),
    }
}

/// Lets a thread run its guest. Returns whether the guest has the CPU already; if it cannot run, the thread finds out why.
#[inline(always)]
pub fn enter_guest(kernel: &mut Kernel, cpu: &mut Cpu, id: ThreadId) -> bool {
    guests::enter(kernel, cpu, id).unwrap_or_else(|error| {
        kernel.context_mut(id).set_outcome(error as i32, 0);
        false
    })
}

/// Carries out one of the other calls, and puts its answer into the caller's registers.
#[inline(never)]
fn carry_out(kernel: &mut Kernel, id: ThreadId, number: u8) {
    let answer = match look_up(kernel, id, number) {
        Ok(answer) => answer,
        Err(error) => return kernel.refuse(id, error),
    };
    let context = kernel.context_mut(id);
    match answer {
        Answer::Done => context.set_outcome(0, 0),
        Answer::Words(words) => {
            context.set_outcome(0, 0);
            context.set_words(words);
        }
        Answer::Full(status, label, words) => {
            context.set_outcome(status, label);
            context.set_words(words);
        }
        Answer::Again => context.repeat_call(),
        Answer::Nothing => {}
    }
}

/// Looks up, asks, acts. The calls that come first in [`dispatch`] do the same by themselves.
fn look_up(kernel: &mut Kernel, thread: ThreadId, number: u8) -> Result {
    let context = kernel.context(thread);
    let id = context.home().ok_or(CallError::UnknownCall)?;
    let (slot, label, a) = (context.slot(), context.label(), context.arguments());
    let arguments = Arguments { thread, slot, label, a };
    let number = CallNumber::from_number(number).ok_or(CallError::UnknownCall)?;
    /// One arm for each call: what finds its objects, and what carries it out.
    macro_rules! table {
        ($($call:ident: $find:path => $act:path,)*) => {
            match number {
                $(CallNumber::$call => judged(kernel, id, number, arguments, $find, $act),)*
                CallNumber::Call
                | CallNumber::ReplyWait
                | CallNumber::Wait
                | CallNumber::Signal
                | CallNumber::GuestEnter
                | CallNumber::SignalReplyWait => Err(CallError::UnknownCall),
            }
        };
    }
    table! {
        DebugWrite: system::find_reader => system::debug_write,
        Exit: own => system::exit,
        Clock: own => system::clock,
        RegionMap: regions::find_mapped => regions::map,
        RegionUnmap: own => regions::unmap,
        RegionGrant: regions::find_granted => regions::grant,
        RegionRevoke: regions::find_lent => regions::revoke,
        RegionInfo: own => regions::info,
        InterruptAcknowledge: own => system::interrupt_acknowledge,
        SlotDrop: own => system::slot_drop,
        SlotLimit: own => system::slot_limit,
        Retire: own => system::retire,
        LogRead: system::find_log => system::log_read,
        CensusRead: system::find_census => system::census_read,
        Shutdown: system::find_shutdown => system::shutdown,
        Panic: own => system::panic,
        SlotInfo: own => system::slot_info,
        GoneRead: own => system::gone_read,
        Figures: system::find_census => system::figures,
        AskRead: monitor::find => monitor::ask_read,
        AccessSet: access::find => access::set,
        VerdictSet: monitor::find => monitor::verdict_set,
        VerdictRead: monitor::find => monitor::verdict_read,
        DomainCreate: build::find_quota => build::create,
        DomainConfigure: build::find_handler => build::configure,
        DomainMap: build::find_mapped => build::map,
        DomainGiveRegion: build::find_region => build::give_region,
        DomainGiveGate: build::find_ends => build::give_gate,
        DomainGiveEvent: build::find_ends => build::give_event,
        DomainGiveInterrupt: build::find_with_right => build::give_interrupt,
        DomainGivePorts: build::find_for_ports => build::give_ports,
        DomainGiveRight: build::find_with_right => build::give_right,
        DomainGiveDomain: build::find_pair => build::give_domain,
        DomainGiveGuest: guests::find_parts => guests::make,
        GuestSpace: guests::find => guests::space,
        GuestMap: guests::find => guests::map,
        GuestUnmap: guests::find => guests::unmap,
        DomainStart: handle::find_started => handle::start,
        DomainStop: handle::find => handle::stop,
        DomainDestroy: build::find_to_destroy => build::destroy,
        RegionCarve: regions::find_shaped => regions::carve,
        RegionDevice: regions::find_builder_right => regions::device,
        RegionDelete: regions::find_shaped => regions::delete,
        RegionBack: regions::find_vacant => regions::back,
        RegionVacate: regions::find_shaped => regions::vacate,
        FaultRead: handle::find => handle::fault_read,
        DomainReset: handle::find => handle::reset,
        DomainAttend: handle::find => handle::attend,
        DomainPause: handle::find_managed => handle::pause,
        DomainInfo: handle::find => handle::info,
        DomainCapture: handle::find_managed => handle::capture,
        DomainRestore: handle::find_restored => handle::restore,
    }
}

/// What a call about the caller alone is about to do.
fn own(_kernel: &Kernel, _id: DomainId, _arguments: &Arguments) -> Found<()> {
    Ok((Operation::Own, ()))
}

fn judged<T>(
    kernel: &mut Kernel,
    id: DomainId,
    number: CallNumber,
    arguments: Arguments,
    find: fn(&Kernel, DomainId, &Arguments) -> Found<T>,
    act: fn(&mut Kernel, DomainId, T, Arguments) -> Result,
) -> Result {
    let (operation, objects) = find(kernel, id, &arguments)?;
    ask(kernel, arguments.thread, number, operation)?;
    act(kernel, id, objects, arguments)
}

/// Asks whether a thread may do what it is about to do. If nobody has decided that, it waits for the monitor: then this
/// is an error too, of which the thread does not learn ([`Kernel::refuse`]). On its own: one text for all calls.
#[inline(never)]
fn ask(kernel: &mut Kernel, thread: ThreadId, number: CallNumber, operation: Operation) -> Result<()> {
    // One that is judged as what it is not is refused, so that each test of it turns red.
    if operation.class() != number.class() {
        return Err(CallError::Denied);
    }
    let access = match operation.subject() {
        Some(subject) => kernel.access(subject),
        None => kernel.reach(thread).1,
    };
    permit(access, operation).map_err(|_| kernel.ask_or_refuse(thread, operation))
}

/// Whether a domain may do what it is about to do, as far as that is decided.
#[inline(always)]
fn permit(subject: &Access, operation: Operation) -> Result<()> {
    if subject.authorize(operation) == Verdict::Allowed { Ok(()) } else { Err(CallError::Denied) }
}
