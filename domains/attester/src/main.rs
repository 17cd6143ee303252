//! Gives evidence of what runs on this machine: a quote of the TPM's registers, and the log that leads to them.
//!
//! It is the one domain for which the TPM signs what its registers are: the manifest gives it the locality that the key
//! asks for. It decides nothing: whether the evidence is good is for others to say.

#![no_std]
#![no_main]

use attester::{NotRecorded, Records, Room, Transmit, Trouble, has_quotes, keys, make, tell};
use attester_api::{
    attest::{self, KeysGiven, Quoted, SecretTold},
    record::{self, Recorded},
};
use cloison_measure::{
    Evidence, endorsement::MAX_CREDENTIAL_BYTES, evidence::NONCE_BYTES, later::MAX_LINE_BYTES,
};
use cloison_rt::log;
use cloison_sys::{
    Badge, Instant,
    info::{self, Client},
    memory::SharedMemory,
    settings,
};
use cloison_tpm_gate::{Tpm, TpmError};
use ipcmon_api::control::{self, Headed, Logged};

cloison_rt::entry!(main);

/// The gate by which a manager has measured what it starts.
const RECORD: &str = "record";
/// This domain's gate into the monitor.
const MONITOR: &str = "monitor";

fn main() {
    let events = settings::boot_log();
    match events {
        Some(events) if !has_quotes(events) => {
            log!("this boot was measured into a TPM 1.2, for which there are no quotes here");
        }
        Some(events) => log!("the log of this boot has {} bytes", events.len()),
        None => log!("this boot was not measured: there will be no quote"),
    }
    let records = events.and_then(|events| match Records::after(events) {
        Ok(records) => Some(records),
        Err(error) => {
            log!("the log of this boot cannot be read: {error}");
            None
        }
    });
    let mut attester = Attester { measured: events.zip(records) };
    cloison_ipc::gate::serve(|badge, message| match client(badge) {
        Some(entry) if entry.name.as_str() == RECORD => record::answer(&mut attester, badge, message),
        _ => attest::answer(&mut attester, badge, message),
    })
}

struct Attester {
    /// The loader's log, and what was measured since; `None` if nothing was measured.
    measured: Option<(&'static [u8], Records)>,
}

impl attest::Server for Attester {
    fn quote(&mut self, badge: Badge, nonce: [u8; NONCE_BYTES]) -> Result<Quoted, attest::Refusal> {
        let (log, records) = self.measured.as_mut().ok_or(attest::Refusal::Unmeasured)?;
        if !has_quotes(log) {
            return Err(attest::Refusal::OldTpm);
        }
        let memory = client(badge).and_then(SharedMemory::of).ok_or(attest::Refusal::TooLong)?;
        let mut room = Room::EMPTY;
        let no_quote = |trouble| {
            log!("no quote: {trouble}");
            attest::Refusal::NoQuote
        };
        let mut tpm = open().map_err(no_quote)?;
        note_monitor(records, &mut tpm)?;
        if records.is_behind() {
            return Err(attest::Refusal::Behind);
        }
        let made = make(&mut tpm, &nonce, &mut room).map_err(no_quote)?;
        let quoted = made.quoted;
        let (statement, signature) = (quoted.statement, quoted.signature);
        let evidence = Evidence { key: made.key, statement, signature, log };
        let header = evidence.header_before(records.bytes().len());
        let parts = [&header[..]].into_iter().chain(evidence.parts()).chain([records.bytes()]);
        let bytes = hand_on(memory, parts).ok_or(attest::Refusal::TooLong)?;
        Ok(Quoted { bytes })
    }

    fn keys(&mut self, badge: Badge) -> Result<KeysGiven, attest::Refusal> {
        let memory = client(badge).and_then(SharedMemory::of).ok_or(attest::Refusal::TooLong)?;
        let mut room = Room::EMPTY;
        let keys = open().and_then(|mut tpm| keys(&mut tpm, &mut room)).map_err(not_told)?;
        let header = keys.header();
        let bytes = hand_on(memory, [&header[..]].into_iter().chain(keys.parts()));
        bytes.map(|bytes| KeysGiven { bytes }).ok_or(attest::Refusal::TooLong)
    }

    fn tell(&mut self, badge: Badge, bytes: u32) -> Result<SecretTold, attest::Refusal> {
        let memory = client(badge).and_then(SharedMemory::of).ok_or(attest::Refusal::TooLong)?;
        let (mut credential, mut room) = ([0; MAX_CREDENTIAL_BYTES], Room::EMPTY);
        let credential = credential.get_mut(..bytes as usize).ok_or(attest::Refusal::TooLong)?;
        if !memory.read(0, credential) {
            return Err(attest::Refusal::TooLong);
        }
        let secret = open().and_then(|mut tpm| tell(&mut tpm, credential, &mut room));
        secret.map(|secret| SecretTold { secret }).map_err(not_told)
    }
}

impl record::Server for Attester {
    fn record(&mut self, badge: Badge, bytes: u32) -> Result<Recorded, record::Refusal> {
        let (_, records) = self.measured.as_mut().ok_or(record::Refusal::Unmeasured)?;
        let entry = client(badge).ok_or(record::Refusal::NotALine)?;
        let mut line = [0; MAX_LINE_BYTES];
        let line = line.get_mut(..bytes as usize).ok_or(record::Refusal::NotALine)?;
        let is_read = SharedMemory::of(entry).is_some_and(|memory| memory.read(0, line));
        let taken = match open() {
            _ if !is_read => Err(NotRecorded::NotALine),
            Ok(mut tpm) => records.take(&mut tpm, entry.channel.peer.as_str(), line),
            Err(trouble) => Err(NotRecorded::Trouble(trouble)),
        };
        taken.map(|()| Recorded {}).map_err(|error| match error {
            NotRecorded::NotALine => record::Refusal::NotALine,
            NotRecorded::Full => record::Refusal::Full,
            NotRecorded::Trouble(trouble) => {
                log!("register not extended: {trouble}");
                record::Refusal::NotExtended
            }
        })
    }
}

/// Measures how far the monitor's log has come, if there is a monitor.
fn note_monitor(records: &mut Records, tpm: &mut OpenTpm) -> Result<(), attest::Refusal> {
    let Some(entry) = info::get().find::<info::Use>(MONITOR) else { return Ok(()) };
    let monitor = control::Client::find(MONITOR).map_err(|_| attest::Refusal::NoMonitor)?;
    let come = come_to(&monitor).map_err(|error| {
        log!("no quote: the monitor: {error}");
        attest::Refusal::NoMonitor
    })?;
    records.note_log(tpm, entry.channel.peer.as_str(), come).map_err(|error| match error {
        NotRecorded::Full => attest::Refusal::Full,
        NotRecorded::NotALine => attest::Refusal::NoMonitor,
        NotRecorded::Trouble(trouble) => {
            log!("no quote: {trouble}");
            attest::Refusal::NoQuote
        }
    })
}

/// How many entries the monitor's log has, and its head, which belong together.
fn come_to<T: cloison_ipc::Transport>(
    monitor: &control::Client<T>,
) -> Result<(u64, [u8; 32]), ipcmon_api::ControlError> {
    loop {
        let Logged { entries, .. } = monitor.log()?;
        let Headed { head } = monitor.head(false)?;
        if monitor.log()?.entries == entries {
            return Ok((entries, head));
        }
    }
}

/// What the plan says of a client.
fn client(badge: Badge) -> Option<&'static Client> {
    info::get().clients().find(|entry| entry.channel.badge == badge)
}

fn not_told(trouble: Trouble<TpmError>) -> attest::Refusal {
    log!("whose TPM this is cannot be shown: {trouble}");
    attest::Refusal::NotTold
}

/// Writes parts, one after the other, where the client reads them. Returns their length. `None`: there is too little room.
fn hand_on<'p>(memory: SharedMemory, parts: impl Iterator<Item = &'p [u8]>) -> Option<u32> {
    let mut end = 0;
    for part in parts {
        memory.write(end, part).then_some(())?;
        end += part.len();
    }
    u32::try_from(end).ok()
}

/// The TPM behind the gate `tpm`. It is opened each time: a service that was restarted meanwhile is found again.
fn open() -> Result<OpenTpm, Trouble<TpmError>> {
    Tpm::open("tpm").map(OpenTpm).map_err(Trouble::Transmit)
}

/// See [`open`].
struct OpenTpm(Tpm);

impl Transmit for OpenTpm {
    type Error = TpmError;

    /// The service ends each command within the TPM's own time limits, so there is no need for a deadline.
    fn transmit<'b>(&mut self, command: &[u8], response: &'b mut [u8]) -> Result<&'b [u8], TpmError> {
        self.0.transmit(command, response, Instant::NEVER)
    }
}
