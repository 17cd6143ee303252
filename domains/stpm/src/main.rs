//! The TPM service, *STPM*: owns the TPM and carries out one command at a time for each client.
//!
//! This file connects the service to the world: the device's registers, the clients' memory and events, and
//! time. The library decides.

#![no_std]
#![no_main]

use core::time::Duration;

use cloison_drivers::tpm::TPM_BYTES;
use cloison_rt::{
    sys::{
        Badge, Instant, Message, Received, info,
        memory::DeviceMemory,
        peer::{PEER_FAILED, gone_clients},
        reply_wait,
    },
    time,
};
use stpm::{Allowance, Callers, Chip, Service, SharedMail, TpmChip};

/// How long the TPM is left alone between two looks at it. A register is read in well under a millisecond, a
/// key is made in seconds: the wait grows with what the TPM has taken so far.
const SHORTEST_WAIT: Duration = Duration::from_micros(50);
const LONGEST_WAIT: Duration = Duration::from_millis(5);

cloison_rt::entry!(main);

fn main() -> Result<(), &'static str> {
    let device = info::get().find::<info::Area>("tpm").ok_or("this domain was given no TPM")?;
    let registers = DeviceMemory::of(device).ok_or("the TPM's registers are not mapped")?;
    if registers.bytes() < TPM_BYTES {
        return Err("the platform file gives the TPM fewer registers than its five localities have");
    }
    let chip = TpmChip::new(registers, cloison_rt::log::line);
    let page = info::get();
    let mail = SharedMail::new(page.clients());
    let allowances = page.clients().map(|client| Allowance::of_option(client.channel.option));
    serve(Service::new(chip, mail, allowances))
}

/// Serves clients for ever.
fn serve<C: Chip>(mut service: Service<C, SharedMail>) -> ! {
    let start = Instant::now();
    let mut reply = Message::default();
    let mut busy_since = None;
    let mut deadline = Instant::PAST;
    loop {
        reply = service.hear(reply, &mut Kernel, deadline);
        let busy = service.step(time::since(start));
        busy_since = if busy { busy_since.or(Some(Instant::now())) } else { None };
        deadline = busy_since.map_or(Instant::NEVER, |since| time::after(wait_after(time::since(since))));
    }
}

/// The clients by way of the kernel.
struct Kernel;

impl Callers for Kernel {
    fn reply_wait(&mut self, reply: Message, deadline: Instant) -> Received {
        reply_wait(reply, PEER_FAILED, deadline)
    }

    fn gone(&mut self) -> impl Iterator<Item = Badge> {
        gone_clients()
    }
}

/// How long to leave a TPM alone that has been busy for so long.
fn wait_after(busy: Duration) -> Duration {
    (busy / 8).clamp(SHORTEST_WAIT, LONGEST_WAIT)
}
