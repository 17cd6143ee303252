//! The TPM service, with two crashes built in: one while its client waits for the answer to a call, one while
//! the client waits for the event that says that its command is done. With the arguments `on demand` it crashes instead
//! while it carries out a command that a client can send for that.
//!
//! Service, chip and mail are those of `domains/stpm`. How often it has crashed is in the last byte of the
//! memory shared with the first client: a restart fills the service's own memory again, but not that.

#![no_std]
#![no_main]

use core::time::Duration;

use cloison_rt::{
    log,
    sys::{
        Badge, Instant, Message, Received, info,
        memory::{DeviceMemory, SharedMemory},
        reply_wait, settings,
    },
    time::{after, since},
};
use cloison_tpm_gate::{
    COMMAND_OFFSET,
    tpm::{self, Request},
};
use stpm::{Allowance, Service, SharedMail, TpmChip};

cloison_rt::entry!(main);

/// How long the TPM is left alone between two looks at it.
const PAUSE: Duration = Duration::from_millis(1);
/// Commands that are carried out before the second crash.
const COMMANDS_BEFORE_CRASH: usize = 5;
/// The command for which it crashes on demand: `TPM2_GetRandom`, for 0xdead bytes.
const DEADLY: [u8; 12] = [0x80, 0x01, 0, 0, 0, 12, 0, 0, 0x01, 0x7b, 0xde, 0xad];

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
    let on_demand = settings::arguments() == "on demand";
    let mut commands = 0;
    loop {
        let busy = service.step(since(start));
        let deadline = if busy { after(PAUSE) } else { Instant::NEVER };
        if let Received::Message { badge, message } = reply_wait(reply, 0, deadline) {
            if !on_demand && crashes.count() == 0 {
                crashes.crash("while the client waits for the answer to its call");
            }
            let is_command = matches!(Request::decode(message), Ok(Request::Submit { .. }));
            commands += usize::from(is_command);
            let is_last = commands > COMMANDS_BEFORE_CRASH && crashes.count() == 1;
            reply = tpm::answer(&mut service, badge, message);
            if is_command && if on_demand { is_deadly(badge) } else { is_last } {
                // The client hears that its command was taken, and no more of it.
                let _ = reply_wait(reply, 0, Instant::PAST);
                crashes.crash("while the client waits for its command");
            }
        }
    }
}

/// Whether a client has put the command for that into its memory.
fn is_deadly(badge: Badge) -> bool {
    let mut command = [0; DEADLY.len()];
    let memory = info::get().clients().nth(badge.index()).and_then(SharedMemory::of);
    memory.is_some_and(|memory| memory.read(COMMAND_OFFSET, &mut command)) && command == DEADLY
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
