//! Gives evidence of what runs on this machine: a quote of the TPM's registers, and the log that leads to them.
//!
//! It is the one domain for which the TPM signs what its registers are: the manifest gives it the locality that the key
//! asks for. It decides nothing: whether the evidence is good is for others to say.

#![no_std]
#![no_main]

use attester::{Room, Transmit, make};
use attester_api::attest::{self, Quoted, Refusal};
use cloison_measure::Evidence;
use cloison_rt::log;
use cloison_sys::{Badge, Instant, info, memory::SharedMemory, settings};
use cloison_tpm_gate::{Tpm, TpmError};

cloison_rt::entry!(main);

fn main() {
    let events = settings::boot_log();
    match events {
        Some(events) => log!("the log of this boot has {} bytes", events.len()),
        None => log!("this boot was not measured: there will be no quote"),
    }
    attest::serve(&mut Attester { events })
}

struct Attester {
    events: Option<&'static [u8]>,
}

impl attest::Server for Attester {
    fn quote(&mut self, client: Badge, nonce: [u8; 32]) -> Result<Quoted, Refusal> {
        let log = self.events.ok_or(Refusal::Unmeasured)?;
        let memory = shared_with(client).ok_or(Refusal::TooLong)?;
        let mut room = Room::EMPTY;
        // Opened for each quote: a service that was restarted meanwhile is found again.
        let made = Tpm::open("tpm").map_err(attester::Trouble::Transmit);
        let made = made.and_then(|tpm| make(&mut Client(tpm), &nonce, &mut room));
        let made = made.map_err(|trouble| {
            log!("no quote: {trouble}");
            Refusal::NoQuote
        })?;
        let quoted = made.quoted;
        let (statement, signature) = (quoted.statement, quoted.signature);
        hand_on(memory, &Evidence { key: made.key, statement, signature, log }).ok_or(Refusal::TooLong)
    }
}

/// The memory that a client reads evidence from.
fn shared_with(client: Badge) -> Option<SharedMemory> {
    info::get().clients().find(|entry| entry.channel.badge == client).and_then(SharedMemory::of)
}

/// Writes evidence where the client reads it. `None`: there is too little room.
fn hand_on(memory: SharedMemory, evidence: &Evidence<'_>) -> Option<Quoted> {
    let header = evidence.header();
    let mut end = 0;
    for part in core::iter::once(&header[..]).chain(evidence.parts()) {
        memory.write(end, part).then_some(())?;
        end += part.len();
    }
    Some(Quoted { bytes: u32::try_from(end).ok()? })
}

/// The TPM behind the gate `tpm`.
struct Client(Tpm);

impl Transmit for Client {
    type Error = TpmError;

    /// The service ends each command within the TPM's own time limits, so there is no need for a deadline.
    fn transmit<'b>(&mut self, command: &[u8], response: &'b mut [u8]) -> Result<&'b [u8], TpmError> {
        self.0.transmit(command, response, Instant::NEVER)
    }
}
