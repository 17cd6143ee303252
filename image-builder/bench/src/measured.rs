//! What a measured boot and an attestation cost: the loader's size, its instructions for each byte that it measures, and the
//! time from a bank's challenge to its verdict, by the wall clock, with the part of it that the TPM itself takes.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use cloison_verify::{Challenge, Prover, Reference, examine, fresh_nonce};
use iced_x86::{Decoder, DecoderOptions, Instruction, Mnemonic, OpKind};
use image_builder::build;
use image_compiler::{Boot, Prediction};
use image_machine::{
    Failure,
    disc::Firmware,
    run::{Devices, HostPorts, OpenForward, Relay, Session, Tpm, TpmState, TpmVersion},
    scratch::Scratch,
};
use object::{Object, ObjectSection, SectionKind};

use super::{Bench, Figures, TIMES, median, network::wait_for_line, rows};

/// What the domain says that answers banks.
const READY: &str = "a bank can ask on port";
/// How long UEFI firmware may take until then, under emulation; see `Patience`.
const PATIENCE: Duration = Duration::from_secs(240);
/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(60);
/// Bytes that SHA-256 takes at a time.
const BLOCK: f64 = 64.0;

impl Bench<'_> {
    /// All of it.
    ///
    /// # Errors
    ///
    /// When the system cannot be built or does not start, or when it is not accepted.
    pub(super) fn measure_attestation(&self) -> Result<Figures, Failure> {
        let (context, built) = (self.context, self.build(rows::ATTESTED)?);
        let loader = build::loader(context)?;
        let none = || Failure::Failed("the loader hashes by no instructions of the CPU's".into());
        let by_block = instructions_of_block(&loader).ok_or_else(none)?;
        let prediction = Prediction::new(Boot::Efi(&loader), &built.kernel, &built.image);
        let reference = prediction.and_then(|prediction| Reference::read(&prediction.json()).ok());
        let reference =
            reference.ok_or_else(|| Failure::Failed("what was built cannot be measured".into()))?;
        let step = context.progress.step("taking the time of an attestation");
        let forwards = OpenForward::open_all(&built.system, HostPorts::Free)?;
        let port = forwards.first().map_or(0, |forward| forward.host_port);
        let mut machine = built.machine();
        machine.firmware = Firmware::Efi;
        machine.disc = built.disc_for(Firmware::Efi, context)?;
        machine.devices =
            Devices { system: &built.system, forwards: &forwards, disks: &[], capture: None }.arguments();
        let cache = context.target.join("tpm");
        let mut tpm = Tpm::start(TpmVersion::V20, TpmState::Fresh, &cache, &context.interrupts)?;
        let folder = Scratch::new(&cache)?;
        let relay = Relay::start(&folder.short(""), &tpm.socket(), Box::new(|_, response| response))?;
        tpm.relay_by(relay.control.clone());
        let mut session = Session::start(&machine, Some(tpm))?;
        wait_for_line(context, &mut session, READY, PATIENCE)?;
        let both =
            (0..TIMES).map(|_| times_of_one(port, &reference, &relay)).collect::<Result<Vec<_>, _>>()?;
        let (times, of_tpm): (Vec<f64>, Vec<f64>) = both.into_iter().unzip();
        step.done(&format!("{times:.4?} s, the TPM's {of_tpm:.4?} s"));
        let attestation = median(&times).map(|time| ("attestation", time));
        let attestation =
            attestation.into_iter().chain(median(&of_tpm).map(|time| ("attestation tpm", time)));
        let sizes = [("loader", loader.len() as f64), ("measuring", by_block as f64 / BLOCK)];
        Ok(sizes.into_iter().chain(attestation).map(|(name, figure)| (name.to_owned(), figure)).collect())
    }
}

/// From the challenge to the verdict, and what of that the TPM has taken, in seconds.
fn times_of_one(port: u16, reference: &Reference, relay: &Relay) -> Result<(f64, f64), Failure> {
    let nonce = fresh_nonce().map_err(|error| Failure::machine("there are no random numbers", &error))?;
    let (start, busy) = (Instant::now(), relay.busy());
    let asked = Prover::ask(&format!("127.0.0.1:{port}"), &nonce, ANSWER, || false);
    let (prover, evidence) = asked.map_err(|why| Failure::Failed(why.to_string()))?;
    let verdict = examine(&evidence, &Challenge { nonce, key: None }, reference);
    let times = (start.elapsed().as_secs_f64(), (relay.busy() - busy).as_secs_f64());
    prover.tell(&verdict.to_string());
    if verdict.is_accepted() { Ok(times) } else { Err(Failure::Failed(verdict.to_string())) }
}

/// How many instructions the loader needs for a block that it hashes by the CPU's own instructions.
fn instructions_of_block(loader: &[u8]) -> Option<u64> {
    let file = object::File::parse(loader).ok()?;
    let text = file.sections().find(|section| section.kind() == SectionKind::Text)?;
    of_block(text.data().ok()?, text.address())
}

/// The same of code: it is a loop of rounds within a loop of blocks, of which the inner one's counter says how often it goes
/// round.
fn of_block(code: &[u8], start: u64) -> Option<u64> {
    let code = Decoder::with_ip(64, code, start, DecoderOptions::NONE);
    let code: BTreeMap<u64, Instruction> = code.into_iter().map(|one| (one.ip(), one)).collect();
    let (rounds, _) = code.iter().find(|(_, one)| one.mnemonic() == Mnemonic::Sha256rnds2)?;
    let mut loops = code.values().filter(|one| {
        let is_back = one.mnemonic() == Mnemonic::Jne;
        is_back && one.ip() > *rounds && one.near_branch_target() <= *rounds
    });
    let (inner, outer) = (loops.next()?, loops.next()?);
    let length = |end: &Instruction| code.range(end.near_branch_target()..=end.ip()).count() as u64;
    let (_, counter) = code.range(..inner.near_branch_target()).next_back()?;
    let is_counter = counter.mnemonic() == Mnemonic::Mov && counter.op1_kind() == OpKind::Immediate32;
    let times = is_counter.then(|| u64::from(counter.immediate32()))?;
    Some(length(outer) - length(inner) + times * length(inner))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_instructions_of_a_block_are_those_of_both_loops() {
        // A loop of seven instructions; in it a counter of 16 and a loop of three, the first of which makes rounds.
        let outer = [0x90, 0xb8, 0x10, 0, 0, 0];
        let inner = [0x0f, 0x38, 0xcb, 0xca, 0xff, 0xc8, 0x75, 0xf8];
        let end = [0x48, 0xff, 0xca, 0x75, 0xed];
        let code = [&outer[..], &inner, &end].concat();
        assert_eq!(of_block(&code, 0x1000), Some(7 - 3 + 16 * 3));
        assert_eq!(of_block(&code[..code.len() - 2], 0x1000), None, "without the loop of blocks");
        assert_eq!(of_block(&[0x90; 9], 0), None);
    }
}
