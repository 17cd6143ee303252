//! All that can be wrong with what a machine says.

mod machine;

use cloison_measure::{
    Digests,
    evidence::REGISTERS,
    log::{kind, write_event},
};
use cloison_verify::{Challenge, KeyName, Reference, State, Verdict, examine};
use machine::*;
use proptest::{prelude::*, sample::Index};

#[test]
fn a_good_machine_is_accepted() {
    let verdict = good().judged();
    assert_eq!(verdict.to_string(), "accepted: 6 registers are as foretold, policy 77d0");
    let state = |pcr: u32| verdict.rows.iter().find(|row| row.pcr == pcr).unwrap().state;
    assert_eq!(state(13), State::Foretold);
    assert_eq!(state(0), State::Logged);
    assert_eq!(state(14), State::Empty);
    let known = Challenge { key: Some(KeyName::of(&good().public())), ..challenge() };
    assert!(examine(&good().evidence(), &known, &reference(&EVENTS)).is_accepted());
}

/// Each of these is one thing in a good machine's evidence, made another.
#[test]
fn what_is_forged_is_refused_with_its_reason() {
    type Change = fn(&mut Machine);
    let forgeries: [(Change, &str); 28] = [
        (|machine| machine.nonce = vec![1; 32], "nonce: the quote answers another question"),
        (|machine| machine.nonce.truncate(31), "nonce: the quote answers another question"),
        (|machine| machine.mark = 0xff54_4348, "statement: the response's mark of what a TPM states"),
        (|machine| machine.kind = 0x8017, "statement: the response's kind of what a TPM states"),
        (
            |machine| machine.behind_statement = vec![0],
            "statement: the response's number of bytes behind the end",
        ),
        (|machine| machine.is_clock_safe = 0, "clock: the TPM does not vouch for its clock"),
        (|machine| machine.is_clock_safe = 2, "statement: the response's whether the clock is safe"),
        (|machine| machine.selection.0 = 2, "statement: the response's number of selections"),
        (|machine| machine.selection.1 = 0x04, "statement: the response's bank"),
        (|machine| machine.selection.2 = REGISTERS & !(1 << 9), "registers: 0x79ff are quoted"),
        (|machine| machine.selection.2 = 0, "registers: 0x0 are quoted"),
        (|machine| machine.registers = Some(registers(&log_of(&EVENTS[..10]))), "log: it does not lead to"),
        (|machine| machine.all_registers = Some([0; 32]), "log: it does not lead to"),
        (|machine| machine.all_registers = Some([0xff; 32]), "log: it does not lead to"),
        (|machine| machine.log.truncate(machine.log.len() - 1), "log: event 11: it is cut short"),
        (|machine| machine.log = log_of(&EVENTS)[..40].to_vec(), "log: event 0: "),
        (|machine| machine.log.clear(), "log: event 0: it is cut short"),
        (|machine| machine.template[7] ^= 1, "key: it is not an attester's"),
        (|machine| machine.template[20] ^= 1, "key: it is not an attester's"),
        (|machine| machine.signature_kind[0] = 0x14, "signature: the response's kind of signature"),
        (|machine| machine.signature_kind[1] = 0x04, "signature: the response's hash of the signature"),
        (|machine| machine.halves = |[_, s]| [[0; 32], s], "signature: the key has not signed"),
        (|machine| machine.halves = |[r, _]| [r, [0xff; 32]], "signature: the key has not signed"),
        (|machine| machine.halves = |[r, _]| [r, [0; 32]], "signature: the key has not signed"),
        (|machine| machine.halves = |[_, s]| [[0xff; 32], s], "signature: the key has not signed"),
        // The order of the curve, which is no number that a half can be.
        (|machine| machine.halves = |[_, s]| [ORDER, s], "signature: the key has not signed"),
        (|machine| machine.is_off_curve = true, "signature: the key has not signed"),
        (|machine| machine.halves = |[r, s]| [s, r], "signature: the key has not signed"),
    ];
    for (place, (change, why)) in forgeries.into_iter().enumerate() {
        let mut machine = good();
        machine.registers = Some(registers(&machine.log));
        change(&mut machine);
        let text = machine.judged().to_string();
        assert!(text.starts_with(&format!("refused: {why}")), "forgery {place}: {text}");
    }
}

/// A machine that tells the truth of what it has measured, which is something else than what was built.
#[test]
fn another_system_is_refused_with_its_rows() {
    let with = |place: usize, event: Event| {
        let mut events = EVENTS.to_vec();
        events[place] = event;
        events
    };
    let without = |pcr: u32| EVENTS.into_iter().filter(|event| event.0 != pcr).collect::<Vec<_>>();
    let more = [&EVENTS[..], &[(13, kind::LOADER, "domain spy sha256:07")]].concat();
    let later = [&EVENTS[..], &[(14, kind::LOADER, "start of spy sha256:08")]].concat();
    let both = {
        let mut events = with(5, (11, kind::LOADER, "header sha256:ff"));
        events[7] = (12, kind::LOADER, "policy sha256:ff");
        events[8] = (12, kind::LOADER, "plan sha256:ff");
        events
    };
    for (events, why) in [
        (with(9, (13, kind::LOADER, "domain one sha256:ff")), "PCR 13, row domain one"),
        (with(10, (13, kind::LOADER, "domain two sha256:ff")), "PCR 13, row domain two"),
        (with(4, (9, kind::LOADER, "kernel sha256:ff")), "PCR 9, row kernel"),
        (both, "PCR 11, row header; PCR 12, rows policy, plan"),
        // Behind firmware's end, somebody has measured more into what is firmware's and the loader's.
        (
            [&EVENTS[..], &[(4, kind::UEFI_APPLICATION, "late")]].concat(),
            "PCR 4, row an event of kind 0x80000003",
        ),
        (Vec::new(), "PCR 4 was never extended; PCR 8 was never"),
        (more, "PCR 13, row domain spy (not foretold)"),
        (later, "PCR 14, row start of spy (not foretold)"),
        (EVENTS[..10].to_vec(), "PCR 13, row domain two (missing)"),
        (without(9), "PCR 9 was never extended"),
        (EVENTS[..3].to_vec(), "PCR 8 was never extended; PCR 9 was never extended; PCR 11 was"),
    ] {
        let text = Machine { log: log_of(&events), ..good() }.judged().to_string();
        assert!(text.starts_with(&format!("refused: {why}")), "{why}: {text}");
    }
}

/// A log of what has come about since the boot of a machine on which `one` and `two` run one program, `three` another.
fn since_the_boot(lines: &[&str]) -> Verdict {
    let text = |text: &str| -> &'static str { full(text).leak() };
    let mut events = EVENTS.to_vec();
    events[9].2 = text("domain one, two sha256:d1");
    events[10].2 = text("domain three, two with other sha256:d3");
    let reference = reference(&events);
    events.extend(lines.iter().map(|line| (14, kind::LOADER, text(line))));
    examine(&Machine { log: log_of(&events), ..good() }.evidence(), &challenge(), &reference)
}

/// The line with all digits of its digest.
fn full(line: &str) -> String {
    let (line, digit) = line.split_at(line.len() - 2);
    line.to_owned() + &digit.repeat(32)
}

#[test]
fn what_is_started_is_named() {
    let verdict = since_the_boot(&[
        "boss: start two sha256:d1",
        "boss: again two sha256:d1",
        "boss: again two sha256:d1",
        "boss: failed three sha256:d3",
        "boss: start one with vmlinux sha256:d1",
        "boss: start two with other sha256:d3",
        "ipcmon: log 7 sha256:ab",
    ]);
    assert!(verdict.is_accepted(), "{verdict}");
    let row = verdict.rows.iter().find(|row| row.pcr == 14).unwrap();
    let head = "ab".repeat(32);
    let told = "PCR 14 since the boot: boss: start two, boss: again two (2 times), boss: failed three, \
                boss: start one with vmlinux, \
                boss: start two with other, ipcmon: log 7 ";
    assert_eq!((row.state, row.to_string()), (State::Later, format!("{told}{head}")));
}

/// A line of another form, of a program that was not foretold or is another domain's, or one that was not measured.
#[test]
fn what_cannot_have_been_started_is_refused() {
    for (line, why) in [
        ("boss: start spy sha256:d1", "boss: start spy (another program)"),
        ("boss: start two sha256:d2", "boss: start two (another program)"),
        ("boss: start two sha256:d3", "boss: start two (another program)"),
        ("boss: again one sha256:d3", "boss: again one (another program)"),
        ("boss: start one with three sha256:d3", "boss: start one with three (another program)"),
        ("boss: start two with other sha256:d1", "boss: start two with other (another program)"),
        ("boss: start spy with one sha256:d1", "boss: start spy with one (another program)"),
        ("boss: start three as one sha256:d1", "boss: start three as one (not foretold)"),
        ("boss: stop two sha256:d1", "boss: stop two (not foretold)"),
        ("start two sha256:d1", "start two (not foretold)"),
        (": start two sha256:d1", ": start two (not foretold)"),
        ("two bosses: start two sha256:d1", "two bosses: start two (not foretold)"),
        ("domain two sha256:d1", "domain two (not foretold)"),
    ] {
        let text = since_the_boot(&["boss: start two sha256:d1", line]).to_string();
        assert_eq!(text, format!("refused: PCR 14, row {why}"));
    }
}

/// A log that leaves a start out, has one more, or has them in another order, leads elsewhere.
#[test]
fn a_start_cannot_be_left_out_of_the_log() {
    let (first, second) = ((14, kind::LOADER, "b: start two"), (14, kind::LOADER, "b: start one"));
    let with = |more: &[Event]| [&EVENTS[..], more].concat();
    let truth = Some(registers(&log_of(&with(&[first, second]))));
    for told in [&[][..], &[first], &[second], &[second, first], &[first, second, first]] {
        let machine = Machine { registers: truth.clone(), log: log_of(&with(told)), ..good() };
        let text = machine.judged().to_string();
        assert_eq!(text, "refused: log: it does not lead to the registers that were quoted", "{told:?}");
    }
    // Text of an event that is not what was measured.
    let mut log = log_of(&EVENTS);
    let (nice, bad) = (full("boss: start two sha256:d1"), full("boss: start spy sha256:d1"));
    write_event(&mut log, 14, kind::LOADER, &Digests::of(bad.as_bytes()), nice.as_bytes());
    let text = Machine { log, ..good() }.judged().to_string();
    assert_eq!(text, "refused: PCR 14, row an event of kind 0xd (not foretold)");
}

/// An event is called by its text only if that is what was measured.
#[test]
fn a_false_name_is_not_repeated() {
    let mut log = log_of(&EVENTS);
    let lie = "domain nice sha256:00";
    write_event(&mut log, 13, kind::LOADER, &Digests::of(b"something else"), lie.as_bytes());
    let text = Machine { log, ..good() }.judged().to_string();
    assert_eq!(text, "refused: PCR 13, row an event of kind 0xd (not foretold)");
}

/// Somebody who carries the evidence can add to the log what is in no register.
#[test]
fn a_policy_that_is_in_no_register_is_not_repeated() {
    let told = [&EVENTS[..7], &[(12, kind::NO_ACTION, "policy sha256:aa")], &EVENTS[7..]].concat();
    let verdict = Machine { log: log_of(&told), ..good() }.judged();
    assert_eq!(verdict.to_string(), "accepted: 6 registers are as foretold, policy 77d0");
}

#[test]
fn another_key_is_refused_if_the_key_is_known() {
    let known = Challenge { key: Some(KeyName::of(b"another")), ..challenge() };
    let text = examine(&good().evidence(), &known, &reference(&EVENTS)).to_string();
    assert!(text.starts_with("refused: key: its name is 000b"), "{text}");
}

#[test]
fn a_machine_without_evidence_says_why() {
    let said = |bytes: &[u8]| examine(bytes, &challenge(), &reference(&EVENTS)).to_string();
    assert_eq!(
        said(b"none: this boot was not measured\n"),
        "refused: the machine says: this boot was not measured"
    );
    assert_eq!(said(b"none: \x1b[2J\n"), "refused: the machine says: [2J");
    assert_eq!(said(b"none: "), "refused: what the machine sends is no evidence");
    assert_eq!(said(b""), "refused: what the machine sends is no evidence");
}

/// A reference that says nothing of a part would let anything pass there.
#[test]
fn a_reference_with_gaps_is_none() {
    let whole = json(&EVENTS);
    for pcr in ["4", "9", "11", "12", "13"] {
        let (before, rest) = whole.split_once(&format!("\"{pcr}\": ")).unwrap();
        let other = format!("{before}\"3\": {rest}");
        let why = Reference::read(&other).unwrap_err().to_string();
        assert_eq!(why, format!("the reference says nothing of PCR {pcr}, so anything would pass"));
    }
    let unquoted = whole.replace("\"8\": ", "\"16\": ");
    assert_eq!(
        Reference::read(&unquoted).unwrap_err().to_string(),
        "the reference names PCR 16, which is not quoted"
    );
    let value = whole.split_once("\"9\": \"").unwrap().1.split_once('"').unwrap().0;
    for digit in ["0", "f"] {
        let why = Reference::read(&whole.replace(value, &digit.repeat(64))).unwrap_err().to_string();
        let expected = "the reference has PCR 9 as a reset leaves it, so what nobody has measured would pass";
        assert_eq!(why, expected);
    }
    for text in [
        "",
        "{}",
        "[]",
        "{\"banks\": {\"sha256\": {\"4\": 7}}, \"events\": []}",
        "{\"banks\": {\"sha256\": {}}}",
    ] {
        let why = Reference::read(text).unwrap_err().to_string();
        assert!(why.starts_with("the reference is not what `cargo image pcrs"), "{text}: {why}");
    }
}

proptest! {
    /// A changed byte in what is signed is refused; one in the log changes no register that is shown.
    #[test]
    fn no_changed_byte_is_accepted(place in any::<Index>(), change in 1..=255_u8) {
        let mut bytes = good().evidence();
        let place = place.index(bytes.len());
        bytes[place] ^= change;
        let verdict = examine(&bytes, &challenge(), &reference(&EVENTS));
        let log = bytes.len() - good().log.len();
        if place < log {
            prop_assert!(!verdict.is_accepted(), "byte {}", place);
        } else if verdict.is_accepted() {
            prop_assert_eq!(verdict.rows, good().judged().rows);
        }
    }

    #[test]
    fn any_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(!examine(&bytes, &challenge(), &reference(&EVENTS)).is_accepted());
        let text = String::from_utf8_lossy(&bytes);
        prop_assert!(Reference::read(&text).is_err());
    }
}
