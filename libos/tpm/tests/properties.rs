//! What holds for all bytes and all values: no parser panics, every command passes the check.

use cloison_tpm::{
    Command, Error, Family,
    header::{self, CommandFault},
    tpm12, tpm20,
};
use proptest::{collection::vec, prelude::*};

/// A response: any bytes, or any bytes after a header that says success.
fn responses() -> impl Strategy<Value = Vec<u8>> {
    let tags = prop_oneof![Just(0x00c4_u16), Just(0x8001), Just(0x8002)];
    let sound = (tags, vec(small_bytes(), 0..300)).prop_map(|(tag, body)| {
        let length = u32::try_from(body.len() + header::HEADER_BYTES).expect("a short body");
        [&tag.to_be_bytes()[..], &length.to_be_bytes(), &[0; 4], &body].concat()
    });
    prop_oneof![vec(any::<u8>(), 0..64), sound]
}

/// Bytes that make small numbers more often than chance would, so that lengths and counts get plausible.
fn small_bytes() -> impl Strategy<Value = u8> {
    prop_oneof![4 => Just(0), 2 => 0..8_u8, 1 => any::<u8>()]
}

fn check<C: Command>(command: &C) -> Result<(), TestCaseError> {
    let mut buffer = [0; 512];
    let bytes = command.write(&mut buffer)?;
    let header =
        header::check_command(bytes, 4096).map_err(|fault| TestCaseError::fail(fault.to_string()))?;
    prop_assert_eq!(header.length, bytes.len());
    for given in [0, 9, bytes.len() - 1] {
        let mut short = vec![0; given];
        prop_assert_eq!(command.write(&mut short), Err(Error::BufferTooSmall { given }));
    }
    Ok(())
}

/// A session of a TPM 1.2.
fn session_12() -> tpm12::Session {
    let begun = [&[0, 0xc4, 0, 0, 0, 34][..], &[0; 28]].concat();
    let begun = tpm12::StartSession.parse(&begun).expect("a session");
    tpm12::Session::new(&begun, &[7; 20], [9; 20])
}

proptest! {
    #[test]
    fn no_parser_panics(bytes in responses()) {
        let nonce = [0; 20];
        let _ = Family::from_probe(&bytes);
        let _ = tpm12::Startup.parse(&bytes);
        let _ = tpm12::GetVersion.parse(&bytes);
        let _ = tpm12::GetPcrCount.parse(&bytes);
        let _ = tpm12::GetManufacturer.parse(&bytes);
        let _ = tpm12::GetTimeouts.parse(&bytes);
        let _ = tpm12::GetDurations.parse(&bytes);
        let _ = tpm12::GetKeyHandles.parse(&bytes).map(|handles| handles.iter().count());
        let _ = tpm12::PcrRead { register: 0 }.parse(&bytes);
        let _ = tpm12::GetRandom { count: 4 }.parse(&bytes);
        let _ = tpm12::ReadPubek { nonce }.parse(&bytes);
        let session = session_12();
        let _ = tpm12::StartSession.parse(&bytes);
        let _ = tpm12::StartKeySession { key: 0, odd: nonce }.parse(&bytes);
        let _ = tpm12::CreateSigningKey { parent: 0, secret: &nonce, session: &session }.parse(&bytes);
        let _ = tpm12::LoadKey { parent: 0, key: &[], session: &session }.parse(&bytes);
        let _ = tpm12::Quote { key: 0, nonce: &nonce, registers: 0, session: &session }.parse(&bytes);
        let _ = tpm12::SigningKey::read(&bytes);
        let _ = tpm12::Composite::read(&bytes).map(|registers| registers.iter().count());
        let _ = tpm20::GetProperties { first: 0, count: 1 }.parse(&bytes).map(|found| found.iter().count());
        let _ = tpm20::GetHandles { first: 0 }.parse(&bytes).map(|handles| handles.iter().count());
        let _ = tpm20::GetBanks.parse(&bytes).map(|banks| banks.iter().flat_map(|bank| bank.registers()).count());
        for bank in tpm20::Bank::ALL {
            let _ = tpm20::PcrRead { bank, register: 0 }.parse(&bytes);
        }
        let _ = tpm20::KeptBytes { index: 0 }.parse(&bytes);
        let _ = tpm20::ReadKept { index: 0, offset: 0, bytes: 4 }.parse(&bytes);
        let _ = tpm20::EndorsementKey::read(&bytes);
        let _ = tpm20::GetRandom { count: 4 }.parse(&bytes);
        let _ = tpm20::CreateEndorsementKey.parse(&bytes);
        let _ = tpm20::ReadPublic { handle: 0 }.parse(&bytes);
        let _ = tpm20::StartPolicySession.parse(&bytes);
        let quote = tpm20::Quote { key: 0, session: 0, nonce: &[0; 32], registers: 0 };
        let _ = quote.parse(&bytes).map(|quoted| tpm20::Statement::read(quoted.statement));
        let _ = tpm20::Statement::read(&bytes);
        let _ = tpm20::Signature::read(&bytes);
        let _ = tpm20::AttestationKey::read(&bytes);
    }

    #[test]
    fn every_command_passes_the_check(number in any::<u32>(), nonce in any::<[u8; 20]>()) {
        let [first, second, ..] = number.to_be_bytes();
        check(&tpm12::Startup)?;
        check(&tpm12::ContinueSelfTest)?;
        check(&tpm12::GetVersion)?;
        check(&tpm12::GetPcrCount)?;
        check(&tpm12::PcrRead { register: number })?;
        check(&tpm12::Extend { register: number, digest: nonce })?;
        check(&tpm12::GetRandom { count: number })?;
        check(&tpm12::ReadPubek { nonce })?;
        check(&tpm12::CreateEndorsementKeyPair { nonce })?;
        let session = session_12();
        check(&tpm12::StartSession)?;
        check(&tpm12::StartKeySession { key: number, odd: nonce })?;
        check(&tpm12::CreateSigningKey { parent: number, secret: &nonce, session: &session })?;
        check(&tpm12::LoadKey { parent: number, key: &[first; 300], session: &session })?;
        check(&tpm12::Quote { key: number, nonce: &nonce, registers: number, session: &session })?;
        check(&tpm12::UnloadKey { key: number })?;
        check(&tpm20::GetProperties { first: number, count: number })?;
        check(&tpm20::PcrRead { bank: tpm20::Bank::Sha256, register: first })?;
        check(&tpm20::GetRandom { count: u16::from_be_bytes([first, second]) })?;
        check(&tpm20::FlushContext { handle: number })?;
        check(&tpm20::KeptBytes { index: number })?;
        check(&tpm20::ReadKept { index: number, offset: 1, bytes: 2 })?;
        check(&tpm20::CreateEndorsementKey)?;
        check(&tpm20::CreateAttestationKey)?;
        check(&tpm20::StartPolicySession)?;
        check(&tpm20::PolicyLocality { session: number })?;
        check(&tpm20::Quote { key: number, session: number, nonce: &[first; 32], registers: number })?;
    }

    #[test]
    fn check_accepts_only_what_states_its_length(bytes in vec(any::<u8>(), 0..64)) {
        if let Ok(header) = header::check_command(&bytes, 4096) {
            prop_assert_eq!(&bytes[2..6], &u32::try_from(header.length).unwrap_or(0).to_be_bytes()[..]);
        }
    }
}

#[test]
fn check_names_each_fault() {
    let faults: [(&[u8], CommandFault); 8] = [
        (&[], CommandFault::TooShort { given: 0, needed: 10 }),
        (&[0, 0xc1, 0, 0, 0, 9, 0, 0, 0], CommandFault::TooShort { given: 9, needed: 10 }),
        (&[0, 0xc1, 0, 0, 0, 11, 0, 0, 0, 1], CommandFault::WrongLength { stated: 11, given: 10 }),
        (&[0, 0xc4, 0, 0, 0, 10, 0, 0, 0, 1], CommandFault::WrongTag { tag: 0x00c4 }),
        (&[0, 0xc2, 0, 0, 0, 10, 0, 0, 0, 1], CommandFault::TooShort { given: 10, needed: 55 }),
        (&[0x80, 2, 0, 0, 0, 10, 0, 0, 1, 0x31], CommandFault::TooShort { given: 10, needed: 23 }),
        (&[0, 0xc1, 0, 0, 0, 10, 0, 0, 0, 0], CommandFault::WrongOrdinal { ordinal: 0 }),
        (&[0, 0xc1, 0, 0, 0, 10, 1, 0, 0, 1], CommandFault::WrongOrdinal { ordinal: 0x0100_0001 }),
    ];
    for (bytes, fault) in faults {
        assert_eq!(header::check_command(bytes, 64), Err(fault));
    }
    assert_eq!(header::check_command(&[0; 65], 64), Err(CommandFault::TooLong { given: 65, limit: 64 }));
}
