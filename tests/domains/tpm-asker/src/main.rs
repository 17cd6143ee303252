//! Asks a TPM 2.0 for the same register again and again: each answer is as the first one, whatever other clients do.

#![no_std]
#![no_main]

use core::time::Duration;

use cloison_rt::{log, sys::Instant, time::sleep};
use cloison_tpm::{
    Command, MAX_MESSAGE_BYTES,
    tpm20::{Bank, PcrRead},
};
use cloison_tpm_gate::{Tpm, TpmError};

cloison_rt::entry!(main);

const QUESTION: PcrRead = PcrRead { bank: Bank::Sha256, register: 0 };
/// How long between two questions.
const PAUSE: Duration = Duration::from_millis(20);
/// After so many answers it says so.
const ROUND: u32 = 25;

type Digest = [u8; 32];

fn main() -> Result<(), &'static str> {
    let mut first = None;
    let mut tpm = None;
    for count in 1.. {
        let digest = match ask(&mut tpm) {
            Ok(digest) => digest.ok_or("the TPM does not say what is in its register")?,
            Err(error) if error.is_restart() => {
                log!("the TPM service is restarted");
                tpm = None;
                sleep(PAUSE);
                continue;
            }
            Err(error) => {
                log!("{error}");
                return Err("the TPM service does not answer");
            }
        };
        if *first.get_or_insert(digest) != digest {
            return Err("the register has changed");
        }
        if count % ROUND == 0 {
            log!("{ROUND} more questions, each answered alike");
        }
        sleep(PAUSE);
    }
    Ok(())
}

/// The register's value; `None` if the TPM answers something else.
fn ask(tpm: &mut Option<Tpm>) -> Result<Option<Digest>, TpmError> {
    let tpm = match tpm {
        Some(tpm) => tpm,
        none => none.insert(Tpm::open("tpm")?),
    };
    let (mut command, mut response) = ([0; 64], [0; MAX_MESSAGE_BYTES]);
    let Ok(command) = QUESTION.write(&mut command) else { return Ok(None) };
    let response = tpm.transmit(command, &mut response, Instant::NEVER)?;
    Ok(QUESTION.parse(response).ok().and_then(|digest| digest.try_into().ok()))
}
