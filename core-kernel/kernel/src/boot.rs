//! Boot: from what the boot loader has left to the builder's first instruction.

use cloison_abi::{
    call::SystemEnd,
    limits::{MAX_DOMAINS, MIN_WAIT_US, PAGE_BYTES, QUANTUM_US},
};
use cloison_rules::{
    cpu::unfit_apic,
    image::{self, BadImage},
    interrupts,
    memory::Run,
};

use crate::{
    arch::{
        acpi, apic,
        boot::{Boot, Information},
        cpu::{self, Fit},
        frames::FreeMemory,
        lock,
        memory::{BootFacts, SystemImage},
        paging,
        serial::{Serial, set_ports},
        time::Timer,
    },
    builder,
    end::Ending,
    enter,
    state::Kernel,
};

/// Where the kernel begins.
#[inline(never)]
pub(crate) fn kernel_main(Boot { information, cpu, entered }: Boot) -> ! {
    let mut kernel = lock::take();
    kernel.log.set_serial(Serial::FIRST);
    kernel.machine.entered = entered;
    kernel.ending = Ending::NEVER;
    if let Err(Unfit) = boot(&mut kernel, information, cpu.guard()) {
        kernel.end_system(SystemEnd::Halt);
    }
    enter::begin(kernel, cpu)
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
    let found = acpi::read(&facts).map_err(|what| unfit(kernel, format_args!("{what}")))?;
    let areas = [facts.log(), found.configuration_space];
    let (memory, mut free) = facts.into_memory(&image);
    start_machine(kernel, &memory, &image, &found, &mut free, guard)?;
    introduce(kernel, &found, &memory, &image, &free);
    let header = image.header();
    let page_checksum = |before, page| image.page_checksum(before, page);
    image::check(&header, image.bytes())
        .and_then(|()| image::check_builder(&header, page_checksum))
        .map_err(|why| unfit(kernel, format_args!("{why}")))?;
    builder::build(kernel, &header, &image, free, areas).map_err(|why| {
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
        set_ports(serial, exit);
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
    found: &acpi::Found,
    free: &mut FreeMemory,
    guard: u64,
) -> Result<(), Unfit> {
    let space = paging::build_kernel_space(free, memory, image, found, guard);
    kernel.machine.space = space
        .ok_or_else(|| unfit(kernel, format_args!("the machine has too little memory for the kernel")))?;
    kernel.contexts.init(&kernel.machine.space);
    (kernel.machine.local_apic, kernel.machine.io_apic) = apic::start(found, &kernel.machine.space);
    kernel.machine.timer = Timer::calibrate(kernel.machine.local_apic, found).ok_or_else(|| {
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
    found: &acpi::Found,
    memory: &[Run],
    image: &SystemImage,
    free: &FreeMemory,
) {
    let megahertz = kernel.machine.timer.hertz / 1_000_000;
    kernel.say(format_args!("1 of {} CPUs in use, clock {megahertz} MHz", found.cpus));
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
