//! Cloison's separation kernel.
//!
//! The kernel keeps domains apart and lets them communicate as the plan says. It has no policy: it builds one
//! domain, the builder, and that one builds all others. Its drivers are those for the interrupt controllers, the
//! timers and a serial line for its own log; its parsers are those for ACPI tables and the boot loader's
//! information. What it decides is in `cloison-rules`; what needs `unsafe` is in [`arch`]; what domains ask of it
//! is in [`calls`].

#![no_std]
#![no_main]

mod arch;
mod builder;
mod calls;
mod end;
mod fault;
mod kernel;
mod life;
mod log;
mod machine;

// The five memory functions come in by name; nothing calls them by path.
use cloison_mem as _;

use arch::{
    acpi,
    apic::{self, FIRST_VECTOR, TIMER_VECTOR},
    boot::{Boot, Information},
    cpu::{self, Cpu, Fit},
    entry::{self, Return},
    frames::FreeMemory,
    lock::{self, Locked},
    memory::{BootFacts, SystemImage},
    paging,
    serial::Serial,
    time::{self, Timer},
};
use cloison_abi::{
    CallError,
    call::{NO_DEADLINE, SystemEnd},
    limits::{MAX_DOMAINS, MIN_WAIT_US, PAGE_BYTES, QUANTUM_US},
};
use cloison_rules::{
    ThreadId,
    cpu::unfit_apic,
    fault::describe,
    image::{self, BadImage},
    interrupts::{self, Load},
    memory::Run,
    refs::InterruptId,
};
use kernel::Kernel;

/// Where the kernel begins.
#[inline(never)]
pub(crate) fn kernel_main(Boot { information, cpu, entered }: Boot) -> ! {
    let mut kernel = lock::take();
    kernel.log.set_serial(Serial::FIRST);
    kernel.machine.entered = entered;
    kernel.ending = end::Ending::NEVER;
    if let Err(Unfit) = boot(&mut kernel, information, cpu.guard()) {
        kernel.end_system(SystemEnd::Halt);
    }
    #[cfg(feature = "self-attack")]
    arch::attack::run(&mut kernel, cpu);
    kernel.log.set_running();
    kernel.machine.started = time::now();
    leave(kernel, cpu)
}

/// The machine or the image cannot be used; why has been said.
struct Unfit;

/// Boots, in order; each step says in one line what stops it.
fn boot(kernel: &mut Kernel, information: Information, guard: u64) -> Result<(), Unfit> {
    let facts = BootFacts::read(information);
    // The image first: it says how to end, should the CPU be unfit.
    let image = find_image(kernel, &facts)?;
    // Before anything that a CPU could take amiss: a machine that stands still then has said this much.
    let version = env!("CARGO_PKG_VERSION");
    let abi = cloison_abi::ABI_VERSION;
    kernel.say(format_args!("Cloison {version}, ABI version {abi}, room for {MAX_DOMAINS} domains"));
    let fit = check_cpu(kernel)?;
    cpu::enable_features(fit).map_err(|register| {
        unfit(kernel, format_args!("this CPU does not keep what the kernel writes to {register}"))
    })?;
    let machine = acpi::read(&facts).map_err(|what| unfit(kernel, format_args!("{what}")))?;
    let (memory, mut free) = facts.into_memory(&image);
    start_machine(kernel, &memory, &image, &machine, &mut free, guard)?;
    introduce(kernel, &machine, &memory, &image, &free);
    let header = image.header();
    let page_checksum = |before, page| image.page_checksum(before, page);
    image::check(&header, image.bytes())
        .and_then(|()| image::check_builder(&header, page_checksum))
        .map_err(|why| unfit(kernel, format_args!("{why}")))?;
    builder::build(kernel, &header, &image, free).map_err(|why| {
        unfit(kernel, format_args!("the builder cannot be built: {why}; the machine has too little memory"))
    })
}

/// Says why the system cannot start.
#[cold]
fn unfit(kernel: &mut Kernel, why: core::fmt::Arguments<'_>) -> Unfit {
    kernel.say(format_args!("{why}; nothing is started"));
    Unfit
}

fn check_cpu(kernel: &mut Kernel) -> Result<Fit, Unfit> {
    let fit = Fit::check()
        .map_err(|feature| unfit(kernel, format_args!("this CPU lacks {feature}, which the kernel needs")))?;
    unfit_apic(cpu::apic_base(fit)).map_or(Ok(fit), |why| Err(unfit(kernel, format_args!("{why}"))))
}

/// Finds the system image and takes from its header what the kernel needs to speak and to end.
fn find_image(kernel: &mut Kernel, facts: &BootFacts) -> Result<SystemImage, Unfit> {
    let Some(image) = facts.image() else {
        return Err(unfit(kernel, format_args!("{}", BadImage::Missing)));
    };
    let image = image
        .map_err(|why| unfit(kernel, format_args!("the system image lies where it cannot be used: {why}")))?;
    if let Some((serial, exit)) = image.ports() {
        kernel.log.set_serial(serial);
        kernel.machine.exit = exit;
        arch::serial::set_ports(serial, exit);
    }
    // The length that the boot loader gives counts, to the byte: an image cut short should not pass as whole.
    if image.bytes() != image.pages().pages() * PAGE_BYTES {
        let stated = image.header().image_bytes;
        return Err(unfit(kernel, format_args!("{}", BadImage::Length(image.bytes(), stated))));
    }
    Ok(image)
}

/// Builds the kernel's address space, starts interrupt controllers and clocks.
fn start_machine(
    kernel: &mut Kernel,
    memory: &[Run],
    image: &SystemImage,
    machine: &acpi::Machine,
    free: &mut FreeMemory,
    guard: u64,
) -> Result<(), Unfit> {
    let space = paging::build_kernel_space(free, memory, image, machine, guard);
    kernel.machine.space = space
        .ok_or_else(|| unfit(kernel, format_args!("the machine has too little memory for the kernel")))?;
    kernel.contexts.init(&kernel.machine.space);
    (kernel.machine.local_apic, kernel.machine.io_apic) = apic::start(machine, &kernel.machine.space);
    kernel.machine.timer = Timer::calibrate(kernel.machine.local_apic, machine).ok_or_else(|| {
        unfit(kernel, format_args!("the clock cannot be measured: no three samples of it agree"))
    })?;
    kernel.machine.shortest_wait = kernel.machine.timer.ticks(MIN_WAIT_US);
    kernel.machine.flood_window = kernel.machine.timer.ticks(interrupts::WINDOW_US);
    let quantum = kernel.machine.timer.ticks(QUANTUM_US);
    kernel.threads.init(quantum);
    Ok(())
}

/// Says what there is: CPU, memory, image.
fn introduce(
    kernel: &mut Kernel,
    machine: &acpi::Machine,
    memory: &[Run],
    image: &SystemImage,
    free: &FreeMemory,
) {
    let megahertz = kernel.machine.timer.hertz / 1_000_000;
    kernel.say(format_args!("1 of {} CPUs in use, clock {megahertz} MHz", machine.cpus));
    let mut protections = heapless::String::<64>::new();
    for name in cpu::control_registers().protections() {
        let comma = if protections.is_empty() { "" } else { ", " };
        // There is room for all that there are.
        let _ = core::fmt::Write::write_fmt(&mut protections, format_args!("{comma}{name}"));
    }
    kernel.say(format_args!("protections on: {protections}"));
    if cpu::has_meltdown_flaw() {
        kernel.say(format_args!(
            "warning: this CPU has the Meltdown flaw; a hostile domain can read all memory through the kernel's"
        ));
    }
    let kib =
        [memory.iter().map(|run| run.pages()).sum(), free.pages(), image.pages().pages()].map(|n: u64| n * 4);
    kernel.say(format_args!("memory {} KiB, free {} KiB, system image {} KiB", kib[0], kib[1], kib[2]));
}

/// Called by the entry code: the running thread has made a gate call. Like those below, the function does not
/// return: what the compiler would restore for a caller, nobody needs.
pub(crate) extern "C" fn on_gate_call(cpu: &mut Cpu) -> ! {
    #[cfg(feature = "self-attack")]
    arch::attack::check_flags();
    at_once(cpu, calls::gate_call_at_once)
}

/// Called by the entry code: the running thread replies and waits for the next message.
pub(crate) extern "C" fn on_reply_wait(cpu: &mut Cpu) -> ! {
    #[cfg(feature = "self-attack")]
    arch::attack::check_flags();
    at_once(cpu, calls::reply_at_once)
}

/// Called by the entry code: the running thread signals.
pub(crate) extern "C" fn on_signal(cpu: &mut Cpu) -> ! {
    #[cfg(feature = "self-attack")]
    arch::attack::check_flags();
    let mut kernel = lock::take();
    if let Some(id) = kernel.threads.current() {
        calls::signal(&mut kernel, id);
    }
    leave(kernel, cpu)
}

/// Called by the entry code: the running thread has made another system call.
pub(crate) extern "C" fn on_call(cpu: &mut Cpu) -> ! {
    #[cfg(feature = "self-attack")]
    arch::attack::check_flags();
    let mut kernel = lock::take();
    match kernel.threads.current().and_then(|id| calls::poll(&mut kernel, id)) {
        // All that is its own is loaded.
        Some(back) => entry::go_back_from_call(kernel, cpu.head(), back),
        None => carry_out(kernel, cpu),
    }
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

/// Called by the entry code: an exception or an interrupt came while a domain ran.
pub(crate) extern "C" fn on_trap(cpu: &mut Cpu, vector: u64, code: u64) -> ! {
    #[cfg(feature = "self-attack")]
    arch::attack::check_flags();
    let mut kernel = lock::take();
    if vector >= FIRST_VECTOR.into() {
        interrupt(&mut kernel, cpu, vector);
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
fn leave(mut kernel: Locked, cpu: &mut Cpu) -> ! {
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
        kernel.fail(timed_out, CallError::TimedOut);
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
    let (target, bit) = (interrupt.target, interrupt.bit);
    let (load, line) = (interrupt.arrived(now, window), interrupt.line());
    if let Some(line) = line.filter(|_| load != Load::Fine) {
        kernel.machine.io_apic.mask(line);
    }
    kernel.machine.local_apic.end_of_interrupt();
    if let (Some(line), Load::FirstTooMuch) = (line, load) {
        let (line, name) = (line.number(), kernel.domain(target.domain).name);
        kernel
            .say(format_args!("line {line} interrupts too often; it is masked until {name} acknowledges it"));
    }
    kernel.notify((target, bit));
}

/// Called by the entry code: the kernel itself, or the machine, has failed.
pub(crate) extern "C" fn on_kernel_fault(_cpu: *const Cpu, vector: u64, code: u64, instruction: u64) -> ! {
    panic!(
        "exception {vector} (error code {code:#x}) in the kernel, at {instruction:#x}, address {:#x}",
        cpu::fault_address()
    )
}

/// A panic of the kernel: there is no state to trust any more, so the words go straight to the serial line.
#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    let (mut serial, exit) = arch::serial::ports();
    // A serial line never fails.
    let _ = core::fmt::Write::write_fmt(&mut serial, format_args!("\nkernel | panic: {info}\n"));
    exit.write(SystemEnd::Panic as u8);
    cpu::stop()
}
