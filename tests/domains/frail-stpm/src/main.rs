//! The TPM service, with two crashes built in: one while its client waits for the answer to a call, one while
//! the client waits for the event that says that its command is done.
//!
//! Service, chip and mail are those of `domains/stpm`. How often it has crashed is in the last byte of the
//! memory shared with the first client: a restart fills the service's own memory again, but not that.

#![no_std]
#![no_main]

use core::time::Duration;

use cloison_rt::{
    log,
    sys::{
        Instant, Message, Received, info,
        memory::{DeviceMemory, SharedMemory},
        reply_wait,
    },
    time::{after, since},
};
use cloison_tpm_gate::tpm::{self, Request};
use stpm::{Allowance, Service, SharedMail, TpmChip};

cloison_rt::entry!(main);

/// How long the TPM is left alone between two looks at it.
const PAUSE: Duration = Duration::from_millis(1);
/// Commands that are carried out before the second crash.
const COMMANDS_BEFORE_CRASH: usize = 5;

fn main() -> Result<(), &'static str> {
    let page = info::get();
    let device = page.find::<info::Area>("tpm").ok_or("this domain was given no TPM")?;
    let registers = DeviceMemory::of(device).ok_or("the TPM's registers are not mapped")?;
    let crashes = Crashes::new().ok_or("there is no client")?;
    let chip = TpmChip::new(registers, cloison_rt::log::line);
    let allowances = page.clients().map(|client| Allowance::of_option(client.channel.option));
    let mut service = Service::new(chip, SharedMail::new(page.clients()), allowances);
    let start = Instant::now();
    let mut reply = Message::default();
    let mut commands = 0;
    loop {
        let busy = service.step(since(start));
        if busy && commands > COMMANDS_BEFORE_CRASH && crashes.count() == 1 {
            crashes.crash("while the client waits for its command");
        }
        let deadline = if busy { after(PAUSE) } else { Instant::NEVER };
        if let Received::Message { badge, message } = reply_wait(reply, 0, deadline) {
            if crashes.count() == 0 {
                crashes.crash("while the client waits for the answer to its call");
            }
            commands += usize::from(matches!(Request::decode(message), Ok(Request::Submit { .. })));
            reply = tpm::answer(&mut service, badge, message);
        }
    }
}

/// How often the service has crashed.
struct Crashes(SharedMemory);

impl Crashes {
    fn new() -> Option<Self> {
        info::get().clients().next().and_then(SharedMemory::of).map(Self)
    }

    fn count(&self) -> u8 {
        let mut count = [0];
        let inside = self.0.read(self.0.len() - 1, &mut count);
        if inside { count[0] } else { u8::MAX }
    }

    /// Reads an address that is nobody's.
    #[allow(unsafe_code, reason = "it crashes on purpose")]
    fn crash(&self, when: &str) -> ! {
        log!("crashing {when}");
        let noted = self.0.write(self.0.len() - 1, &[self.count() + 1]);
        assert!(noted, "the client's memory has a last byte");
        // SAFETY: nothing is mapped at this address, so the read faults.
        unsafe { core::ptr::without_provenance::<u8>(8).read_volatile() };
        unreachable!("address 8 was read")
    }
}
