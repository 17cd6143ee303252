//! `cloison-verify serve`: a bank at which machines report.

mod machine;

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{Shutdown, TcpStream},
    process::{Child, Command, Stdio},
};

use machine::*;

/// A bank that ends after this number of machines.
struct Bank {
    child: Child,
    said: BufReader<std::process::ChildStdout>,
    address: String,
}

impl Bank {
    fn open(reference: &std::path::Path, count: &str) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cloison-verify"));
        command.args(["serve", "127.0.0.1:0", "--count", count, "--expect"]).arg(reference);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        said.read_line(&mut line).unwrap();
        let address = line.trim_end().strip_prefix("waiting at ").unwrap().to_owned();
        Self { child, said, address }
    }

    /// What it tells a machine that answers its nonce so.
    fn tells(&self, answer: impl Fn(&[u8]) -> Vec<u8>) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let mut nonce = [0; 32];
        stream.read_exact(&mut nonce).unwrap();
        stream.write_all(&answer(&nonce)).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut told = String::new();
        stream.read_to_string(&mut told).unwrap();
        told
    }

    /// Its exit status, and what else it has printed.
    fn end(mut self) -> (Option<i32>, String) {
        let mut said = String::new();
        self.said.read_to_string(&mut said).unwrap();
        (self.child.wait().unwrap().code(), said)
    }
}

fn truth(nonce: &[u8]) -> Vec<u8> {
    Machine { nonce: nonce.to_vec(), ..good() }.evidence()
}

const ACCEPTED: &str = "accepted: 6 registers are as foretold, policy 77d0\n";

#[test]
fn each_machine_that_reports_is_asked_and_judged() {
    let folder = tempfile::tempdir().unwrap();
    let reference = folder.path().join("reference.json");
    fs::write(&reference, json(&EVENTS)).unwrap();
    let bank = Bank::open(&reference, "4");
    assert_eq!(bank.tells(truth), ACCEPTED);
    // One that repeats what it has said to somebody else, one that is silent: the next is served.
    assert_eq!(bank.tells(|_| good().evidence()), "refused: nonce: the quote answers another question\n");
    assert_eq!(bank.tells(|_| Vec::new()), "");
    assert_eq!(bank.tells(truth), ACCEPTED);
    let (status, said) = bank.end();
    assert_eq!(status, Some(0), "that of the last: {said}");
    let verdicts: Vec<_> = said.lines().filter(|line| line.contains("ed: ")).collect();
    assert!(
        matches!(verdicts[..], [first, "refused: nonce: the quote answers another question", third, last]
        if first == ACCEPTED.trim_end() && last == first && third.starts_with("refused: no answer: ")),
        "{said}"
    );

    let bank = Bank::open(&reference, "1");
    assert!(
        bank.tells(|_| b"none: this boot was not measured\n".to_vec())
            .starts_with("refused: the machine says")
    );
    assert_eq!(bank.end().0, Some(1));
}
