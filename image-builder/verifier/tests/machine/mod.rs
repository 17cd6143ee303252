//! A machine whose TPM is a program: each part of what it says can be made another.
#![allow(dead_code, reason = "each test uses a part of it")]

use cloison_measure::{
    Bank, Digests, Evidence, Log, Registers,
    evidence::REGISTERS,
    log::{kind, replay, write_event, write_start},
};
use cloison_verify::{Challenge, Reference, Verdict, examine, hex};
use p256::ecdsa::{Signature, SigningKey, signature::Signer};
use sha2::{Digest, Sha256};

pub const NONCE: [u8; 32] = *b"a nonce of two and thirty bytes.";
/// The public part of a key before its point, as swtpm has made it.
const TEMPLATE_BYTES: usize = 52;

/// How many points the curve has.
pub const ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa,
    0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

/// What is measured: register, kind, text.
pub type Event = (u32, u32, &'static str);
pub const EVENTS: [Event; 11] = [
    (0, kind::UEFI_APPLICATION, "firmware"),
    (7, kind::SEPARATOR, "keys"),
    (4, kind::UEFI_APPLICATION, "loader"),
    (8, kind::LOADER, "options sha256:00"),
    (9, kind::LOADER, "kernel sha256:01"),
    (11, kind::LOADER, "header sha256:02"),
    (11, kind::LOADER, "builder sha256:03"),
    (12, kind::LOADER, "policy sha256:77d0"),
    (12, kind::LOADER, "plan sha256:04"),
    (13, kind::LOADER, "domain one sha256:05"),
    (13, kind::LOADER, "domain two sha256:06"),
];

/// A machine, each part of whose evidence can be made another.
pub struct Machine {
    pub key: SigningKey,
    pub template: Vec<u8>,
    pub log: Vec<u8>,
    pub mark: u32,
    pub kind: u16,
    pub nonce: Vec<u8>,
    pub is_clock_safe: u8,
    /// The selection: how many, of which bank, which.
    pub selection: (u32, u16, u32),
    /// The registers that are stated, if they are not those of the log.
    pub registers: Option<Registers>,
    /// What each of them is stated to be.
    pub all_registers: Option<[u8; 32]>,
    pub behind_statement: Vec<u8>,
    pub signature_kind: [u16; 2],
    /// What is done to the halves of the signature.
    pub halves: fn([[u8; 32]; 2]) -> [[u8; 32]; 2],
    /// The key's point has another coordinate.
    pub is_off_curve: bool,
}

pub fn log_of(events: &[Event]) -> Vec<u8> {
    let mut log = Vec::new();
    write_start(&mut log);
    for (pcr, kind, text) in events {
        write_event(&mut log, *pcr, *kind, &Digests::of(text.as_bytes()), text.as_bytes());
    }
    log
}

pub fn registers(log: &[u8]) -> Registers {
    replay(&Log::read(log).unwrap(), Bank::Sha256).unwrap()
}

pub fn good() -> Machine {
    Machine {
        key: SigningKey::from_slice(&[7; 32]).unwrap(),
        template: template(),
        log: log_of(&EVENTS),
        mark: 0xff54_4347,
        kind: 0x8018,
        nonce: NONCE.to_vec(),
        is_clock_safe: 1,
        selection: (1, 0x0b, REGISTERS),
        registers: None,
        all_registers: None,
        behind_statement: Vec::new(),
        signature_kind: [0x18, 0x0b],
        halves: |halves| halves,
        is_off_curve: false,
    }
}

fn template() -> Vec<u8> {
    let recorded = include_str!("../../../../libos/tpm/recorded/quote.hex");
    // Behind header, handle, length of the parameters and length of the public part.
    let answer = recorded.lines().skip_while(|line| *line != "# create attestation key").nth(2).unwrap();
    let digits = &answer[2 + 2 * 20..][..2 * TEMPLATE_BYTES];
    (0..TEMPLATE_BYTES).map(|at| u8::from_str_radix(&digits[2 * at..][..2], 16).unwrap()).collect()
}

fn sized(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u16).to_be_bytes(), bytes].concat()
}

impl Machine {
    pub fn public(&self) -> Vec<u8> {
        let point = self.key.verifying_key().to_sec1_point(false);
        let mut y = point.as_bytes()[33..].to_vec();
        y[31] ^= u8::from(self.is_off_curve);
        [self.template.clone(), sized(&point.as_bytes()[1..33]), sized(&y)].concat()
    }

    fn statement(&self) -> Vec<u8> {
        let (count, bank, registers) = self.selection;
        let stated = self.registers.clone().unwrap_or_else(|| crate::registers(&self.log));
        let of = (0..24).filter(|pcr| registers >> pcr & 1 != 0);
        let digest = of.fold(Sha256::new(), |hash, pcr| {
            hash.chain_update(self.all_registers.as_ref().map_or(stated.value(pcr), |value| &value[..]))
        });
        let digest = digest.finalize();
        [
            self.mark.to_be_bytes().to_vec(),
            self.kind.to_be_bytes().to_vec(),
            sized(&[0; 34]),
            sized(&self.nonce),
            vec![0; 16],
            vec![self.is_clock_safe],
            vec![0; 8],
            count.to_be_bytes().to_vec(),
            bank.to_be_bytes().to_vec(),
            vec![3],
            registers.to_le_bytes()[..3].to_vec(),
            sized(&digest),
            self.behind_statement.clone(),
        ]
        .concat()
    }

    pub fn evidence(&self) -> Vec<u8> {
        let (key, statement) = (self.public(), self.statement());
        let signed: Signature = self.key.sign(&statement);
        let (r, s) = signed.split_bytes();
        let [r, s] = (self.halves)([r.into(), s.into()]);
        let kinds = self.signature_kind.map(u16::to_be_bytes).concat();
        let signature = [kinds, sized(&r), sized(&s)].concat();
        let evidence = Evidence { key: &key, statement: &statement, signature: &signature, log: &self.log };
        [&evidence.header()[..], &evidence.parts().concat()].concat()
    }

    pub fn judged(&self) -> Verdict {
        examine(&self.evidence(), &challenge(), &reference(&EVENTS))
    }
}

pub fn challenge() -> Challenge {
    Challenge { nonce: NONCE, key: None }
}

/// What the image builder would have foretold: all but firmware's own.
pub fn reference(events: &[Event]) -> Reference {
    Reference::read(&json(events)).unwrap()
}

pub fn json(events: &[Event]) -> String {
    let foretold: Vec<_> = events.iter().filter(|(pcr, ..)| ![0, 7].contains(pcr)).copied().collect();
    let registers = registers(&log_of(&foretold));
    let values = [4, 8, 9, 11, 12, 13].map(|pcr| format!("\"{pcr}\": \"{}\"", hex(registers.value(pcr))));
    let rows = foretold.iter().map(|(pcr, _, text)| {
        let (name, digest) =
            (text.split(" sha256").next().unwrap(), hex(Digests::of(text.as_bytes()).get(Bank::Sha256)));
        format!("{{\"pcr\": {pcr}, \"name\": \"{name}\", \"sha256\": \"{digest}\"}}")
    });
    let rows: Vec<String> = rows.collect();
    format!("{{\"banks\": {{\"sha256\": {{{}}}}}, \"events\": [{}]}}", values.join(", "), rows.join(", "))
}
