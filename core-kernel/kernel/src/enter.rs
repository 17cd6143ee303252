//! The ways in: what the entry code calls, and what an interrupt means.

use cloison_abi::{call::NO_DEADLINE, guest::GuestExit};
use cloison_rules::{ThreadId, fault::describe, interrupts::Load, refs::InterruptId};

#[cfg(feature = "self-attack")]
use crate::arch::attack;
use crate::{
    arch::{
        apic::{FIRST_VECTOR, TIMER_VECTOR},
        context::Return,
        cpu::{self, Cpu},
        entry,
        lock::{self, Locked},
        paging, time,
    },
    calls,
    guest::CameOut,
    state::Kernel,
};

/// The vector of a page fault.
const PAGE_FAULT: u64 = 14;

/// In its error code: the access was that of a program in ring 3.
const PAGE_FAULT_OF_USER: u64 = 1 << 2;

/// Called by the boot, once all is ready: what the boot alone needs goes, and the builder runs. On its own, as it should
/// not be part of what goes.
#[inline(never)]
pub(crate) fn begin(mut kernel: Locked, cpu: &mut Cpu) -> ! {
    paging::withdraw_init(&kernel.machine.space);
    #[cfg(feature = "self-attack")]
    attack::run(&mut kernel, cpu);
    kernel.log.set_running();
    kernel.machine.started = time::now();
    leave(kernel, cpu)
}

/// Called by the entry code: the running thread has made a gate call. Like those below, the function does not
/// return: what the compiler would restore for a caller, nobody needs.
pub(crate) extern "C" fn on_gate_call(cpu: &mut Cpu) -> ! {
    #[cfg(feature = "self-attack")]
    attack::check_flags();
    at_once(cpu, calls::gate_call_at_once)
}

/// Called by the entry code: the running thread replies and waits for the next message.
pub(crate) extern "C" fn on_reply_wait(cpu: &mut Cpu) -> ! {
    #[cfg(feature = "self-attack")]
    attack::check_flags();
    at_once(cpu, calls::reply_at_once)
}

/// Called by the entry code: the running thread signals.
pub(crate) extern "C" fn on_signal(cpu: &mut Cpu) -> ! {
    #[cfg(feature = "self-attack")]
    attack::check_flags();
    let mut kernel = lock::take();
    if let Some(id) = kernel.threads.current() {
        calls::signal(&mut kernel, id);
    }
    leave(kernel, cpu)
}

/// Called by the entry code: the running thread waits for events.
pub(crate) extern "C" fn on_wait(cpu: &mut Cpu) -> ! {
    #[cfg(feature = "self-attack")]
    attack::check_flags();
    let mut kernel = lock::take();
    match kernel.threads.current().and_then(|id| calls::poll(&mut kernel, id)) {
        // All that is its own is loaded.
        Some(back) => entry::go_back_from_call(kernel, cpu.head(), back),
        None => carry_out(kernel, cpu),
    }
}

/// Called by the entry code: the running thread enters its guest.
pub(crate) extern "C" fn on_guest_enter(cpu: &mut Cpu) -> ! {
    #[cfg(feature = "self-attack")]
    attack::check_flags();
    let mut kernel = lock::take();
    if let Some(id) = kernel.threads.current()
        && calls::enter_guest(&mut kernel, cpu, id)
    {
        entry::go(kernel, cpu.head());
    }
    leave(kernel, cpu)
}

/// Called by the entry code: the running thread has made another system call.
pub(crate) extern "C" fn on_call(cpu: &mut Cpu) -> ! {
    #[cfg(feature = "self-attack")]
    attack::check_flags();
    carry_out(lock::take(), cpu)
}

/// Tries the short way of a call: if nothing stands in its way it passes the CPU on, and there is nothing to
/// decide. There are many of these calls, so every instruction counts.
#[inline(always)]
fn at_once(cpu: &mut Cpu, short: impl FnOnce(&mut Kernel, ThreadId) -> Option<Return>) -> ! {
    let mut kernel = lock::take();
    match kernel.threads.current().and_then(|id| short(&mut kernel, id)) {
        Some(back) if kernel.pass_on(cpu, back.to) => entry::go_back_from_call(kernel, cpu.head(), back),
        Some(Return { to, words, rax, r8 }) => with_ports(kernel, cpu, to, rax, words, r8),
        None => carry_out(kernel, cpu),
    }
}

/// Opens a domain's ports, and goes on with it. On its own, and with arguments in the registers in which the entry code
/// wants them, so that the short ways do not pay for it.
#[cold]
#[inline(never)]
fn with_ports(mut kernel: Locked, cpu: &mut Cpu, to: ThreadId, rax: u64, words: ThreadId, r8: u64) -> ! {
    kernel.hand_over(cpu, to);
    entry::go_back_from_call(kernel, cpu.head(), Return { to, words, rax, r8 })
}

/// The calls that take longer. On their own, so that the short ones do not pay for the registers that these
/// need.
#[inline(never)]
fn carry_out(mut kernel: Locked, cpu: &mut Cpu) -> ! {
    if let Some(id) = kernel.threads.current() {
        calls::dispatch(&mut kernel, id);
    }
    leave(kernel, cpu)
}

/// Called by the entry code: the guest of the running thread has made a system call.
pub(crate) extern "C" fn on_guest_call(cpu: &mut Cpu) -> ! {
    #[cfg(feature = "self-attack")]
    attack::check_flags();
    let mut kernel = lock::take();
    if let (Some(guest), Some(id)) = (kernel.save_guest(cpu), kernel.threads.current()) {
        kernel.end_guest(id, guest, CameOut { exit: GuestExit::Call, vector: 0, words: [0; 2] });
        if kernel.threads.is_settled() && kernel.pass_on(cpu, id) {
            entry::go(kernel, cpu.head());
        }
    }
    leave(kernel, cpu)
}

/// Called by the entry code: an exception or an interrupt came while a domain or a guest ran.
pub(crate) extern "C" fn on_trap(cpu: &mut Cpu, vector: u64, code: u64) -> ! {
    #[cfg(feature = "self-attack")]
    attack::check_flags();
    let mut kernel = lock::take();
    if vector == PAGE_FAULT
        && code & PAGE_FAULT_OF_USER == 0
        && let Some(guest) = cpu.guest()
        && kernel.carry_out_return(guest)
    {
        entry::go(kernel, cpu.head());
    }
    let guest = kernel.save_guest(cpu);
    if vector >= FIRST_VECTOR.into() {
        if let (Some(_), Some(id)) = (guest, kernel.threads.current()) {
            kernel.context_mut(id).go_into_guest();
        }
        interrupt(&mut kernel, cpu, vector);
    } else if let (Some(guest), Some(id)) = (guest, kernel.threads.current()) {
        let address = if vector == PAGE_FAULT { cpu::fault_address() } else { 0 };
        let out = CameOut { exit: GuestExit::Trap, vector: vector as u32, words: [code, address] };
        kernel.end_guest(id, guest, out);
    } else if let Some(id) = kernel.threads.current() {
        let context = kernel.context(id);
        let fault = describe(vector, code, context.instruction(), cpu::fault_address());
        if let Some(domain) = context.home() {
            kernel.fault(domain, fault);
        }
    }
    leave(kernel, cpu)
}

/// Called by the entry code: an interrupt came while nobody ran.
pub(crate) extern "C" fn on_idle_interrupt(cpu: &mut Cpu, vector: u64) -> ! {
    let mut kernel = lock::take();
    interrupt(&mut kernel, cpu, vector);
    leave(kernel, cpu)
}

/// The way out where a few instructions more do not count.
#[inline(never)]
pub(crate) fn leave(mut kernel: Locked, cpu: &mut Cpu) -> ! {
    if kernel.leave(cpu) { entry::go(kernel, cpu.head()) } else { entry::wait(kernel) }
}

fn interrupt(kernel: &mut Kernel, cpu: &mut Cpu, vector: u64) {
    if vector == TIMER_VECTOR.into() {
        kernel.machine.local_apic.end_of_interrupt();
        cpu.armed = NO_DEADLINE;
        let now = time::now();
        if now >= kernel.ending.deadline {
            kernel.finish();
        }
        if now >= kernel.log.due {
            kernel.bring_out();
        }
        let timed_out = kernel.threads.timer(now);
        kernel.threads.expect(kernel.ending.deadline.min(kernel.log.due));
        kernel.time_out(timed_out);
    } else if vector < TIMER_VECTOR.into() {
        device_interrupt(kernel, vector - u64::from(FIRST_VECTOR));
    } else {
        // A device has made up a vector. Or the interrupt was withdrawn on its way; then nothing is in service that
        // this could end, for no interrupt comes while the kernel runs.
        kernel.machine.local_apic.end_of_interrupt();
    }
}

/// A line that is masked for a while is masked before the interrupt is ended, or it would come again at once. A
/// vector that is no interrupt's has been made up by a device.
fn device_interrupt(kernel: &mut Kernel, index: u64) {
    let (now, window) = (time::now(), kernel.machine.flood_window);
    let id = InterruptId::new(index as usize);
    let Some(interrupt) = id.and_then(|id| kernel.interrupts.get_mut(id)) else {
        return kernel.machine.local_apic.end_of_interrupt();
    };
    let event = interrupt.event;
    let (load, line) = (interrupt.arrived(now, window), interrupt.line());
    if let Some(line) = line.filter(|_| load != Load::Fine) {
        kernel.machine.io_apic.mask(line);
    }
    kernel.machine.local_apic.end_of_interrupt();
    if let (Some(line), Load::FirstTooMuch) = (line, load) {
        let (line, name) = (line.number(), kernel.domain(event.target.domain).name);
        kernel
            .say(format_args!("line {line} interrupts too often; it is masked until {name} acknowledges it"));
    }
    kernel.notify(event);
}

/// Called by the entry code: the kernel itself, or the machine, has failed.
pub(crate) extern "C" fn on_kernel_fault(_cpu: *const Cpu, vector: u64, code: u64, instruction: u64) -> ! {
    panic!(
        "exception {vector} (error code {code:#x}) in the kernel, at {instruction:#x}, address {:#x}",
        cpu::fault_address()
    )
}
