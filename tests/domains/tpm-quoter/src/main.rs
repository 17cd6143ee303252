//! Has a TPM 1.2 quote its registers with a nonce that is typed, by a key that it makes for that, and shows the quote and the key.
//! First it says which commands of that kind its manifest allows.

#![no_std]
#![no_main]

use core::fmt;

use cloison_ipc::ring::{Consumer, Doorbell, SharedRing};
use cloison_rt::{
    log,
    sys::{Instant, info},
};
use cloison_tpm::{
    Command, Error, MAX_MESSAGE_BYTES,
    tpm12::{
        CreateSigningKey, GetRandom, LoadKey, Quote, STORAGE_ROOT_KEY, Secret, Session, StartKeySession,
        StartSession, Started, UnloadKey, secret_of,
    },
};
use cloison_tpm_gate::{Failure, Tpm, TpmError, tpm::Refusal};
use embedded_io::Read;

cloison_rt::entry!(main);

/// The password of the storage root key, which the TPM's owner has told.
const ROOT_PASSWORD: &[u8] = b"storage";
/// The registers of a measured boot: 0 to 9, 11 to 14.
const REGISTERS: u32 = 0x7bff;
/// Bytes that are shown in a line.
const LINE_BYTES: usize = 32;
/// A command with one proof, of nothing: header, handle, the proof.
const EMPTY_BYTES: usize = 10 + 4 + 45;

/// Why there is no quote.
enum Trouble {
    Service(TpmError),
    Tpm(Error),
    NothingTyped,
}

impl fmt::Display for Trouble {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service(error) => error.fmt(out),
            Self::Tpm(error) => error.fmt(out),
            Self::NothingTyped => out.write_str("nobody can type here"),
        }
    }
}

fn main() -> Result<(), Trouble> {
    let mut tpm = Tpm::open("tpm").map_err(Trouble::Service)?;
    for (name, ordinal) in [
        ("TPM_OIAP", 0x0a),
        ("TPM_OSAP", 0x0b),
        ("TPM_Quote", 0x16),
        ("TPM_CreateWrapKey", 0x1f),
        ("TPM_LoadKey2", 0x41),
        ("TPM_TakeOwnership", 0x0d),
        ("TPM_MakeIdentity", 0x79),
        ("TPM_OwnerClear", 0x5b),
    ] {
        let is_forbidden = is_forbidden(&mut tpm, ordinal);
        log!("{name}: {}", if is_forbidden { "forbidden" } else { "reaches the TPM" });
    }
    if info::get().find::<info::Use>("terminal").is_none() {
        return Ok(());
    }
    log!("which nonce?");
    let nonce = typed().ok_or(Trouble::NothingTyped)?;
    quote(&mut tpm, &nonce)?;
    log!("that is the quote");
    Ok(())
}

/// Whether a command with this number does not reach the TPM. It would do nothing there, as its proof is none.
fn is_forbidden(tpm: &mut Tpm, ordinal: u32) -> bool {
    let mut command = [0; EMPTY_BYTES];
    command[..2].copy_from_slice(&[0, 0xc2]);
    command[5] = EMPTY_BYTES as u8;
    command[6..10].copy_from_slice(&ordinal.to_be_bytes());
    let mut response = [0; MAX_MESSAGE_BYTES];
    let sent = tpm.transmit(&command, &mut response, Instant::NEVER);
    matches!(sent, Err(TpmError::Service(Failure::Refused(Refusal::Forbidden))))
}

/// The first 20 letters of what is typed.
fn typed() -> Option<Secret> {
    let entry = info::get().find::<info::Use>("terminal")?;
    let mut keyboard = Consumer::new(SharedRing::of(entry)?, Doorbell::of(entry));
    let mut letters = [0; 20];
    keyboard.read_exact(&mut letters).ok().map(|()| letters)
}

/// Makes a key, has it quote, and shows all that a verifier needs.
fn quote(tpm: &mut Tpm, nonce: &Secret) -> Result<(), Trouble> {
    let (secret, root) = (random(tpm)?, secret_of(ROOT_PASSWORD));
    let (mut made, mut response) = ([0; MAX_MESSAGE_BYTES], [0; MAX_MESSAGE_BYTES]);
    let begin = StartKeySession { key: STORAGE_ROOT_KEY, odd: random(tpm)? };
    let session = session(tpm, &begin, &root)?;
    let create = CreateSigningKey { parent: STORAGE_ROOT_KEY, secret: &secret, session: &session };
    let key = run(tpm, &create, &mut made)?;
    show("key", key);
    let session = self::session(tpm, &StartSession, &root)?;
    let load = LoadKey { parent: STORAGE_ROOT_KEY, key, session: &session };
    let handle = run(tpm, &load, &mut response)?;
    let session = self::session(tpm, &StartSession, &secret)?;
    let quote = Quote { key: handle, nonce, registers: REGISTERS, session: &session };
    let quoted = run(tpm, &quote, &mut response)?;
    show("registers", quoted.composite);
    show("signature", quoted.signature);
    run(tpm, &UnloadKey { key: handle }, &mut response)
}

/// Begins a session with this secret.
fn session(
    tpm: &mut Tpm,
    begin: &impl for<'a> Command<Response<'a> = Started>,
    secret: &Secret,
) -> Result<Session, Trouble> {
    let begun = run(tpm, begin, &mut [0; MAX_MESSAGE_BYTES])?;
    Ok(Session::new(&begun, secret, random(tpm)?))
}

/// A number that is used for nothing else.
fn random(tpm: &mut Tpm) -> Result<Secret, Trouble> {
    let mut response = [0; MAX_MESSAGE_BYTES];
    let count = size_of::<Secret>() as u32;
    let bytes = run(tpm, &GetRandom { count }, &mut response)?;
    let fewer = Error::Unexpected { field: "number of random bytes", value: bytes.len() as u32 };
    bytes.try_into().map_err(|_| Trouble::Tpm(fewer))
}

fn run<'b, C: Command>(
    tpm: &mut Tpm,
    command: &C,
    response: &'b mut [u8],
) -> Result<C::Response<'b>, Trouble> {
    let mut buffer = [0; 1024];
    let bytes = command.write(&mut buffer).map_err(Trouble::Tpm)?;
    let response = tpm.transmit(bytes, response, Instant::NEVER).map_err(Trouble::Service)?;
    command.parse(response).map_err(Trouble::Tpm)
}

/// Shows bytes as digits, in lines of one length.
fn show(name: &str, bytes: &[u8]) {
    for line in bytes.chunks(LINE_BYTES) {
        log!("{name} {}", Digits(line));
    }
}

struct Digits<'a>(&'a [u8]);

impl fmt::Display for Digits<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(out, "{byte:02x}"))
    }
}
