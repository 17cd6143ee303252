//! Judges the quote of a TPM 1.2 that a domain has shown on the console.
//!
//! ```text
//! quote-12 CONSOLE NONCE REFERENCE
//! ```
//!
//! CONSOLE is what was printed: lines with `key`, `registers` and `signature`, each with digits. NONCE are the 20 letters that were
//! typed. REFERENCE is what `cargo image pcrs --format json` prints of the system.

use std::{env, error::Error, fs, process::ExitCode};

use cloison_verify::{OldQuote, unhex};

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let judged = match &arguments[..] {
        [console, nonce, reference] => judge(console, nonce, reference),
        _ => Err("quote-12 CONSOLE NONCE REFERENCE".into()),
    };
    match judged {
        Ok(count) => println!("accepted: {count} registers are as foretold"),
        Err(error) => println!("refused: {error}"),
    }
    ExitCode::SUCCESS
}

/// How many registers are as foretold.
fn judge(console: &str, nonce: &str, reference: &str) -> Result<usize, Box<dyn Error>> {
    let console = fs::read_to_string(console)?;
    let reference: serde_json::Value = serde_json::from_str(&fs::read_to_string(reference)?)?;
    let registers = reference["banks"]["sha1"].as_object().ok_or("no registers of SHA-1 are foretold")?;
    let register =
        |(pcr, value): (&String, &serde_json::Value)| Some((pcr.parse().ok()?, unhex(value.as_str()?)?));
    let expected: Vec<(u32, [u8; 20])> =
        registers.iter().map(register).collect::<Option<_>>().ok_or("a register is none")?;
    let [key, composite, signature] = ["key", "registers", "signature"].map(|name| shown(&console, name));
    let nonce = nonce.as_bytes().try_into().map_err(|_| "a nonce has 20 letters")?;
    let quote = OldQuote { key: &key, composite: &composite, signature: &signature };
    quote.check(nonce, &expected).map_err(|why| why.to_string())?;
    Ok(expected.len())
}

/// The bytes of all lines with this name.
fn shown(console: &str, name: &str) -> Vec<u8> {
    let lines = console.lines().filter_map(|line| line.split_once("quoter | ")?.1.strip_prefix(name));
    let digits: String = lines.map(str::trim).collect();
    let pairs = (0..digits.len() / 2).map(|at| digits.get(2 * at..2 * at + 2));
    pairs.filter_map(|pair| u8::from_str_radix(pair?, 16).ok()).collect()
}
