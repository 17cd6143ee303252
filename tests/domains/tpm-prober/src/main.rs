//! Sends commands to the TPM that its manifest allows or forbids, and says what has come of each.

#![no_std]
#![no_main]

use cloison_rt::log;
use cloison_sys::Instant;
use cloison_tpm::{
    Command, MAX_MESSAGE_BYTES,
    tpm20::{
        Bank, CreateAttestationKey, FIRST_TRANSIENT, FlushContext, GetRandom, PcrRead, PolicyLocality, Quote,
        StartPolicySession,
    },
};
use cloison_tpm_gate::{Failure, Tpm, TpmError, tpm::Refusal};

cloison_rt::entry!(main);

/// The handle of the first session of a policy.
const SESSION: u32 = 0x0300_0000;
/// A session with an empty password: its length, handle, no nonce, no attributes, no proof.
const NO_PASSWORD: [u8; 13] = [0, 0, 0, 9, 0x40, 0, 0, 9, 0, 0, 0, 0, 0];
/// One digest, of SHA-256.
const ONE_DIGEST: [u8; 6] = [0, 0, 0, 1, 0, 0x0b];
/// `TPM_RH_LOCKOUT`.
const LOCKOUT: u32 = 0x4000_000a;

fn main() -> Result<(), TpmError> {
    let mut tpm = Tpm::open("tpm")?;
    for (what, code, handle, rest) in [
        ("extending 13", 0x182, 13, &[ONE_DIGEST.as_slice(), &[7; 32]][..]),
        ("extending 14", 0x182, 14, &[&ONE_DIGEST, &[7; 32]]),
        ("an event in 14", 0x13c, 14, &[&[0, 4], b"text"]),
        ("extending 16", 0x182, 16, &[&ONE_DIGEST, &[7; 32]]),
        ("resetting 13", 0x13d, 13, &[]),
        ("resetting 16", 0x13d, 16, &[]),
        ("clearing the TPM", 0x126, LOCKOUT, &[]),
    ] {
        say(&mut tpm, what, &WithPassword { code, handle, rest });
    }
    say(&mut tpm, "reading", &PcrRead { bank: Bank::Sha256, register: 0 });
    say(&mut tpm, "random bytes", &GetRandom { count: 4 });
    // As the attester does it, but not at its locality.
    let key = FIRST_TRANSIENT;
    say(&mut tpm, "making the attester's key", &CreateAttestationKey);
    say(&mut tpm, "beginning a session", &StartPolicySession);
    say(&mut tpm, "fulfilling a policy", &PolicyLocality { session: SESSION });
    say(&mut tpm, "quoting", &Quote { key, session: SESSION, nonce: &[0; 32], registers: 1 });
    say(&mut tpm, "ending the session", &FlushContext { handle: SESSION });
    say(&mut tpm, "unloading the key", &FlushContext { handle: key });
    log!("that is all");
    Ok(())
}

fn say<C: Command>(tpm: &mut Tpm, what: &str, command: &C) {
    let (mut buffer, mut response) = ([0; 256], [0; MAX_MESSAGE_BYTES]);
    let Ok(bytes) = command.write(&mut buffer) else { return log!("{what}: cannot be written") };
    match tpm.transmit(bytes, &mut response, Instant::NEVER) {
        Err(TpmError::Service(Failure::Refused(Refusal::Forbidden))) => log!("{what}: forbidden"),
        Err(error) => log!("{what}: {error}"),
        Ok(response) => match command.parse(response) {
            Ok(_) => log!("{what}: done"),
            Err(error) => log!("{what}: {error}"),
        },
    }
}

/// A command on one thing, with an empty password.
struct WithPassword<'a> {
    code: u32,
    handle: u32,
    rest: &'a [&'a [u8]],
}

impl Command for WithPassword<'_> {
    type Response<'a> = ();

    fn write<'b>(&self, buffer: &'b mut [u8]) -> Result<&'b [u8], cloison_tpm::Error> {
        let parts = [&self.code.to_be_bytes()[..], &self.handle.to_be_bytes(), &NO_PASSWORD];
        let mut end = 6;
        for part in parts.into_iter().chain(self.rest.iter().copied()) {
            buffer[end..end + part.len()].copy_from_slice(part);
            end += part.len();
        }
        buffer[..2].copy_from_slice(&[0x80, 2]);
        buffer[2..6].copy_from_slice(&(end as u32).to_be_bytes());
        Ok(&buffer[..end])
    }

    fn parse(&self, response: &[u8]) -> Result<(), cloison_tpm::Error> {
        // The answer has a session, which no other command's parser here expects.
        match response.get(6..10) {
            Some([0, 0, 0, 0]) => Ok(()),
            code => {
                let code = code.and_then(|code| code.try_into().ok()).map_or(0, u32::from_be_bytes);
                Err(cloison_tpm::Error::Refused(cloison_tpm::ReturnCode(code)))
            }
        }
    }
}
