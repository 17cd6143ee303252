//! A log that is written is read back, and says what the registers are; one that is not as it has to be is refused.

use cloison_measure::{
    Bank, Digests, Log, Registers, firmware,
    log::{kind, replay, write_event, write_start},
};
use proptest::prelude::*;

/// A log with these events: register, kind and data, whose digest is extended.
fn log(events: &[(u32, u32, Vec<u8>)]) -> Vec<u8> {
    let mut out = Vec::new();
    write_start(&mut out);
    for (pcr, kind, data) in events {
        write_event(&mut out, *pcr, *kind, &Digests::of(data), data);
    }
    out
}

/// What is wrong with a log, and with which event.
fn fault(bytes: &[u8]) -> (usize, &'static str) {
    let fault = match Log::read(bytes) {
        Ok(log) => log.events().find_map(Result::err).unwrap(),
        Err(fault) => fault,
    };
    (fault.event, fault.what)
}

/// A log of one event, changed.
fn changed(change: impl Fn(&mut Vec<u8>)) -> (usize, &'static str) {
    let mut bytes = log(&[(9, kind::LOADER, b"kernel".to_vec())]);
    change(&mut bytes);
    fault(&bytes)
}

/// Where the first event and the one behind it begin to say something, in a log of ours.
const HASHES: usize = 32 + 24;
const EVENT: usize = HASHES + 4 + 2 * 4 + 1;

#[test]
fn the_first_event_is_as_the_document_has_it() {
    let mut start = Vec::new();
    write_start(&mut start);
    let expected = [
        &[0, 0, 0, 0, 3, 0, 0, 0][..],
        &[0; 20],
        &[37, 0, 0, 0],
        b"Spec ID Event03\0",
        &[0, 0, 0, 0, 0, 2, 0, 2, 2, 0, 0, 0, 4, 0, 20, 0, 11, 0, 32, 0, 0],
    ];
    assert_eq!(start, expected.concat());
}

#[test]
fn what_is_wrong_with_the_first_event_is_said() {
    type Change = fn(&mut Vec<u8>);
    let changes: [(Change, &str); 9] = [
        (|log| log[4] = 4, "it does not say which hashes follow"),
        (|log| log[8] = 1, "it does not say which hashes follow"),
        (|log| log[32] = b's', "it does not say which hashes follow"),
        (|log| log[53] = 1, "it is of another version"),
        (|log| log[HASHES] = 0, "it has no hashes, or more than there are"),
        (|log| log[HASHES] = 9, "it has no hashes, or more than there are"),
        (|log| log[HASHES + 6] = 32, "it has a hash with digests of another length"),
        (|log| log[HASHES + 4..HASHES + 8].copy_from_slice(&[11, 0, 32, 0]), "it has one hash twice"),
        (|log| log[28] += 1, "it is longer than what it says"),
    ];
    for (change, what) in changes {
        assert_eq!(changed(change), (0, what));
    }
    assert_eq!(fault(&[]), (0, "it is cut short"));
}

#[test]
fn what_is_wrong_with_another_event_is_said() {
    type Change = fn(&mut Vec<u8>);
    let changes: [(Change, &str); 9] = [
        (|log| log[EVENT] = 24, "there is no such register"),
        (|log| log[EVENT + 3] = 1, "there is no such register"),
        (|log| log[EVENT + 8] = 0, "it does not have one digest for each hash"),
        (|log| log[EVENT + 8] = 17, "it does not have one digest for each hash"),
        (|log| log[EVENT + 12] = 5, "it has a digest of a hash that the log does not have"),
        (|log| log[EVENT + 34] = 4, "it has two digests of one hash"),
        (|log| log[EVENT] = 99, "there is no such register"),
        // The length of the text, behind both digests.
        (|log| log[EVENT + 12 + 2 + 20 + 2 + 32] += 1, "it is cut short"),
        (|log| log.truncate(log.len() - 1), "it is cut short"),
    ];
    for (change, what) in changes {
        assert_eq!(changed(change), (1, what));
    }
}

#[test]
fn an_event_that_extends_nothing_changes_one_register_at_most() {
    let locality = b"StartupLocality\0\x03".to_vec();
    let bytes = log(&[(0, kind::NO_ACTION, b"something".to_vec()), (0, kind::NO_ACTION, locality)]);
    let registers = replay(&Log::read(&bytes).unwrap(), Bank::Sha1).unwrap();
    assert_eq!(registers.value(0), [[0; 19].as_slice(), &[3]].concat());
    assert!((1..17).all(|pcr| registers.value(pcr) == [0; 20]));
}

#[test]
fn a_bank_that_a_log_does_not_have_is_said() {
    let mut bytes = log(&[]);
    bytes[HASHES + 4] = 0x27;
    let log = Log::read(&bytes).unwrap();
    assert_eq!(replay(&log, Bank::Sha1).unwrap_err().to_string(), "event 0: the log does not have this bank");
    assert!(replay(&log, Bank::Sha256).is_ok());
}

fn events() -> impl Strategy<Value = Vec<(u32, u32, Vec<u8>)>> {
    let event = (0..24_u32, 4..20_u32, prop::collection::vec(any::<u8>(), 0..40));
    prop::collection::vec(event, 0..12)
}

proptest! {
    #[test]
    fn replaying_a_log_comes_to_the_registers_that_were_extended(events in events()) {
        let bytes = log(&events);
        let log = Log::read(&bytes).unwrap();
        for bank in Bank::ALL {
            let mut registers = Registers::new(bank);
            for (pcr, _, data) in &events {
                prop_assert!(registers.extend(*pcr, Digests::of(data).get(bank)));
            }
            prop_assert_eq!(replay(&log, bank), Ok(registers));
        }
        let read: Vec<_> = log.events().map(|event| event.unwrap()).collect();
        prop_assert_eq!(read.len(), events.len());
        for (read, (pcr, kind, data)) in read.iter().zip(&events) {
            prop_assert_eq!((read.pcr, read.kind, read.data), (*pcr, *kind, &data[..]));
        }
    }

    #[test]
    fn a_log_cut_short_has_its_first_events_or_none(events in events(), cut in any::<prop::sample::Index>()) {
        let bytes = log(&events);
        let cut = cut.index(bytes.len());
        let Ok(short) = Log::read(&bytes[..cut]) else { return Ok(()) };
        let count = short.events().take_while(Result::is_ok).count();
        prop_assert!(count < events.len());
        prop_assert!(short.events().count() <= count + 1);
    }
}

/// What OVMF 2022.11 and the loader have logged of a boot, and what the TPM then showed.
#[test]
fn a_log_of_firmware_comes_to_what_the_tpm_showed() {
    let log = Log::read(include_bytes!("../../../tests/fuzz/corpus/event-log/ovmf")).unwrap();
    let shown = [
        (Bank::Sha1, 0, "576ea8e6427ceb7c2fc47e1c0cf8070fd63333a7"),
        (Bank::Sha1, 2, "b2a83b0ebf2f8374299a5b2bdfc31ea955ad7236"),
        (Bank::Sha1, 5, "d16d7e629fd8d08ca256f9ad3a3a1587c9e6cc1b"),
        (Bank::Sha1, 11, "0150da1697e27d546bdaf473b04ea061207ae66b"),
        (Bank::Sha256, 1, "69ecb952d09b08d7b676cb6408cf53c1f4548b44e3b4203210cd1c7f37b36c06"),
        (Bank::Sha256, 4, "232e7b3f050d2169bc679b70563f57a2576c6097bc4860e512ff4e9b2baea911"),
        (Bank::Sha256, 5, "a5ceb755d043f32431d63e39f5161464620a3437280494b5850dc1b47cc074e0"),
        (Bank::Sha256, 7, "65caf8dd1e0ea7a6347b635d2b379c93b9a1351edc2afc3ecda700e534eb3068"),
        (Bank::Sha256, 9, "4d724fadd8b26bef1e4af9c074ca4ddded265abf4ecf97a1ab0c6484c8cac6c2"),
        (Bank::Sha256, 12, "d223a24d4b02357f97f777ff1f58ac8bb82051063b9174eddf99923a24066679"),
        (Bank::Sha256, 13, &"0".repeat(64)),
    ];
    for (bank, pcr, value) in shown {
        let registers = replay(&log, bank).unwrap();
        let text: String = registers.value(pcr).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(text, value, "{bank:?} {pcr}");
    }
    // What is known of firmware ahead is there, in this order.
    let logged: Vec<_> = log.events().map(|event| event.unwrap()).collect();
    let loader = logged.iter().find(|event| event.kind == kind::UEFI_APPLICATION).unwrap();
    for bank in Bank::ALL {
        for pcr in [2, 3, 5, 6] {
            let known = firmware::before(Digests::of(&[])).chain(firmware::after());
            let known = known.filter(|event| event.pcr == pcr).map(|event| event.digests);
            let seen = logged.iter().filter(|event| event.pcr == pcr).map(|event| event.digest(bank));
            let known: Vec<_> = known.collect();
            assert!(seen.eq(known.iter().map(|digests| digests.get(bank))), "{bank:?} {pcr}");
        }
        assert_eq!(loader.digest(bank).len(), bank.bytes());
    }
}

/// What SeaBIOS 1.16.2 has logged of a boot from a disc in a drive, and what TPMs of both versions then showed.
#[test]
fn a_log_of_a_bios_comes_to_what_the_tpm_showed() {
    let log = Log::read(include_bytes!("../../../tests/fuzz/corpus/event-log/seabios")).unwrap();
    let shown = [
        (Bank::Sha1, 0, "3a3f780f11a4b49969fcaa80cd6e3957c33b2275"),
        (Bank::Sha1, 1, "81ad7c5d13bb8edea7670779d3b7982e22f0e8d5"),
        (Bank::Sha1, 2, "e57f61f823fcef274f3d1063f3f010b383e568ea"),
        (Bank::Sha1, 4, "1b33972449808a419734229c0669d4d9e8c4facf"),
        (Bank::Sha1, 5, "84015f7a83c64bf051acc31db605c08c9f8004c6"),
        (Bank::Sha256, 1, "c2c0bada2f1b7aa76640acce41cb5e6a67ab5eeec6ea743add50f485a7b566e6"),
        (Bank::Sha256, 2, "1af0310df024efe57440f26d56d1c52769dc9366c286924bc373593aac9ebd13"),
        (Bank::Sha256, 4, "02a72defb032f18bfeefd8bdd83305483fb95a0a65f833273620ae8a6ffe5cec"),
        (Bank::Sha256, 5, "7004e7812a041724cc336b8789d106806763b3a95dc1cc06becf89b8c1f4c94e"),
        (Bank::Sha256, 7, "e21b703ee69c77476bccb43ec0336a9a1b2914b378944f7b00a10214ca8fea93"),
    ];
    for (bank, pcr, value) in shown {
        let registers = replay(&log, bank).unwrap();
        let text: String = registers.value(pcr).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(text, value, "{bank:?} {pcr}");
    }
    // What is known ahead is there, in this order; of another disc two digests are others.
    let mut disc = vec![0; 20 * 2048];
    disc[17 * 2048..][..31].copy_from_slice(b"\0CD001\x01EL TORITO SPECIFICATION\0");
    disc[17 * 2048 + 0x47] = 18;
    disc[18 * 2048 + 40] = 19;
    let logged: Vec<_> =
        log.events().map(|event| event.unwrap()).filter(|event| ![1, 2].contains(&event.pcr)).collect();
    let known: Vec<_> = firmware::bios(&disc).unwrap().collect();
    assert_eq!(logged.len(), known.len());
    for (logged, known) in logged.iter().zip(&known) {
        assert_eq!((logged.pcr, logged.kind, logged.data), (known.pcr, known.kind, known.data));
        for bank in Bank::ALL {
            let is_equal = logged.digest(bank) == known.digests.get(bank);
            assert_eq!(is_equal, !["catalog", "first sector"].contains(&known.name), "{}", known.name);
        }
    }
}
