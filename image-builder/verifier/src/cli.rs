//! The program `cloison-verify`.

use std::{
    fmt, fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use clap::{Args, Parser, Subcommand};
use cloison_measure::{
    Evidence,
    endorsement::{ASK_KEYS, ASK_SECRET},
    evidence::NONCE_BYTES,
};
use p256::SecretKey;

use crate::{
    certificate::Authorities,
    enrol::{Asked, Known},
    examine::{Challenge, examine},
    hex::{hex, unhex},
    key::KeyName,
    net::{Prover, fresh_nonce},
    reference::Reference,
    verdict::Verdict,
};

/// Exit status of a machine that is refused, and of a command that cannot be carried out.
const REFUSED: u8 = 1;
const UNUSABLE: u8 = 2;

/// Tells whether a machine runs what was built
#[derive(Debug, Parser)]
#[command(name = "cloison-verify", version, arg_required_else_help = true)]
#[command(after_help = "\
Examples:
  cargo image pcrs manifests/pet-demo.toml --format json > pet-demo.json
  cloison-verify ask 127.0.0.1:4433 --expect pet-demo.json

Exit status:
  0  the machine is accepted
  1  it is refused; the last line says why
  2  the command cannot be carried out")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Ask a machine for evidence, and judge it
    Ask {
        /// Where it answers, such as 127.0.0.1:4433
        #[arg(value_parser = address)]
        address: String,
        #[command(flatten)]
        expected: Expected,
        /// Keep the evidence in this file
        #[arg(long, value_name = "FILE")]
        save: Option<PathBuf>,
        /// How long to try to reach it
        #[arg(long, value_name = "SECONDS", default_value_t = 20)]
        patience: u32,
    },
    /// Wait for machines as a bank does: ask and judge each one that connects
    Serve {
        /// Where to listen, such as 127.0.0.1:7000
        #[arg(value_parser = address)]
        address: String,
        #[command(flatten)]
        expected: Expected,
        /// End after this number of answers; the exit status is then that of the last
        #[arg(long)]
        count: Option<u32>,
    },
    /// Find out whose TPM a machine's key is in: print both its names, for `ask --key`
    Enrol {
        /// Where it answers, such as 127.0.0.1:4433
        #[arg(value_parser = address)]
        address: String,
        /// The name of the endorsement key that its TPM has to have: without it, any counts
        #[arg(long, value_name = "NAME")]
        endorsement: Option<KeyName>,
        /// Certificates (PEM or DER) of those one of whom has to vouch for it
        #[arg(long, value_name = "FILE")]
        ca: Option<PathBuf>,
        /// How long to try to reach it
        #[arg(long, value_name = "SECONDS", default_value_t = 20)]
        patience: u32,
    },
    /// Judge evidence that is in a file
    Check {
        /// The evidence
        evidence: PathBuf,
        /// The nonce that was sent for it, as 64 digits
        #[arg(long, value_parser = nonce)]
        nonce: Nonce,
        #[command(flatten)]
        expected: Expected,
    },
    /// Write the parts of evidence into a folder, for other tools: key.pub, quote.msg, quote.sig, eventlog
    Unpack {
        /// The evidence
        evidence: PathBuf,
        /// The folder
        folder: PathBuf,
    },
}

/// What a machine has to be.
#[derive(Debug, Args)]
struct Expected {
    /// What `cargo image pcrs --format json` has printed of the system
    #[arg(long, value_name = "FILE")]
    expect: PathBuf,
    /// The name of the key that has to sign: without it, any key of the right form counts
    #[arg(long, value_name = "NAME")]
    key: Option<KeyName>,
}

#[derive(Debug, Clone, Copy)]
struct Nonce([u8; NONCE_BYTES]);

fn nonce(text: &str) -> Result<Nonce, String> {
    unhex(text).map(Nonce).ok_or_else(|| format!("not {} digits", 2 * NONCE_BYTES))
}

/// An address with a port: without one nobody is there, however long one tries.
fn address(text: &str) -> Result<String, String> {
    let port =
        text.rsplit_once(':').and_then(|(host, port)| port.parse::<u16>().ok().filter(|_| !host.is_empty()));
    port.map(|_| text.to_owned()).ok_or_else(|| "give HOST:PORT, such as 127.0.0.1:4433".to_owned())
}

/// Why a command cannot be carried out.
struct Unusable(String);

impl Unusable {
    fn of(what: &str, path: &Path, error: &dyn fmt::Display) -> Self {
        Self(format!("{what} {}: {error}", path.display()))
    }
}

type Outcome = Result<bool, Unusable>;

/// Carries out the command line of this process.
#[must_use]
pub fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Ask { address, expected, save, patience } => {
            ask(&address, &expected, save.as_deref(), patience)
        }
        Command::Serve { address, expected, count } => serve(&address, &expected, count),
        Command::Enrol { address, endorsement, ca, patience } => {
            enrol(&address, endorsement, ca.as_deref(), patience)
        }
        Command::Check { evidence, nonce, expected } => check(&evidence, nonce, &expected),
        Command::Unpack { evidence, folder } => unpack(&evidence, &folder),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => REFUSED.into(),
        Err(Unusable(why)) => {
            eprintln!("error: {why}");
            UNUSABLE.into()
        }
    }
}

impl Expected {
    fn read(&self) -> Result<Reference, Unusable> {
        let text = fs::read_to_string(&self.expect)
            .map_err(|error| Unusable::of("cannot read", &self.expect, &error))?;
        Reference::read(&text).map_err(|why| Unusable::of("cannot use", &self.expect, &why))
    }

    /// A question that nobody has asked before.
    fn challenge(&self) -> Result<Challenge, Unusable> {
        let nonce =
            fresh_nonce().map_err(|error| Unusable(format!("there are no random numbers: {error}")))?;
        Ok(Challenge { nonce, key: self.key })
    }
}

fn ask(address: &str, expected: &Expected, save: Option<&Path>, patience: u32) -> Outcome {
    let (reference, challenge) = (expected.read()?, expected.challenge()?);
    let patience = Duration::from_secs(patience.into());
    let answered = Prover::ask(address, &challenge.nonce, patience, || false);
    let Ok((prover, evidence)) = answered.map_err(|why| println!("refused: {why}")) else { return Ok(false) };
    if let Some(file) = save {
        fs::write(file, &evidence).map_err(|error| Unusable::of("cannot write", file, &error))?;
        println!("nonce {}", hex(&challenge.nonce));
    }
    let verdict = examine(&evidence, &challenge, &reference);
    print(&verdict);
    prover.tell(&verdict.to_string());
    Ok(verdict.is_accepted())
}

fn serve(address: &str, expected: &Expected, count: Option<u32>) -> Outcome {
    let reference = expected.read()?;
    let refused = |error| Unusable(format!("cannot listen at {address}: {error}"));
    let listener = TcpListener::bind(address).map_err(refused)?;
    println!("waiting at {}", listener.local_addr().map_err(refused)?);
    let (mut served, mut is_accepted) = (0, false);
    while count.is_none_or(|count| served < count) {
        let (stream, _) = listener.accept().map_err(refused)?;
        let challenge = expected.challenge()?;
        served += 1;
        match Prover::of(stream, &challenge.nonce) {
            Ok((prover, evidence)) => {
                let verdict = examine(&evidence, &challenge, &reference);
                print(&verdict);
                prover.tell(&verdict.to_string());
                is_accepted = verdict.is_accepted();
            }
            Err(error) => {
                println!("refused: no answer: {error}");
                is_accepted = false;
            }
        }
    }
    Ok(is_accepted)
}

fn enrol(address: &str, endorsement: Option<KeyName>, ca: Option<&Path>, patience: u32) -> Outcome {
    let authorities =
        ca.map(|file| Authorities::read(&read(file)?).map_err(|why| Unusable::of("cannot use", file, &why)));
    let authorities = authorities.transpose()?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let known = Known { endorsement, authorities: authorities.as_ref(), now };
    let outcome = enrolled(address, &known, Duration::from_secs(patience.into()))?;
    match &outcome {
        Ok(asked) => {
            println!("key {}\nendorsement {}", asked.key, asked.endorsement);
            match &asked.voucher {
                Some(name) => println!("{name} vouches for the endorsement key"),
                None if endorsement.is_some() => println!("the endorsement key is the one expected"),
                None => println!(
                    "nobody vouches for the endorsement key: --ca or --endorsement would tell whose it is"
                ),
            }
            println!("both are in one TPM");
        }
        Err(why) => println!("refused: {why}"),
    }
    Ok(outcome.is_ok())
}

/// Asks a machine for its keys, then for a secret. `Err`: it is refused, and why.
fn enrolled(address: &str, known: &Known<'_>, patience: Duration) -> Result<Result<Asked, String>, Unusable> {
    let random = || fresh_nonce().map_err(|error| Unusable(format!("there are no random numbers: {error}")));
    let secret = random()?;
    let once = loop {
        // There are a few numbers that are no keys.
        if let Ok(once) = SecretKey::from_slice(&random()?) {
            break once;
        }
    };
    let ask = |question: &[u8]| Prover::ask(address, question, patience, || false);
    let asked = ask(&ASK_KEYS).map_err(|why| why.to_string()).and_then(|(prover, keys)| {
        prover.tell("asks for a secret");
        Asked::of(&keys, known, secret, &once).map_err(|why| why.to_string())
    });
    Ok(asked.and_then(|asked| {
        let credential = asked.credential();
        let question = [&ASK_SECRET[..], &(credential.len() as u16).to_be_bytes(), &credential].concat();
        let (prover, answer) = ask(&question).map_err(|why| why.to_string())?;
        let checked = asked.check(&answer);
        prover.tell(if checked.is_ok() { "knows the TPM" } else { "does not know the TPM" });
        checked.map(|()| asked).map_err(|why| why.to_string())
    }))
}

fn check(file: &Path, Nonce(nonce): Nonce, expected: &Expected) -> Outcome {
    let verdict = examine(&read(file)?, &Challenge { nonce, key: expected.key }, &expected.read()?);
    print(&verdict);
    Ok(verdict.is_accepted())
}

fn unpack(file: &Path, folder: &Path) -> Outcome {
    let bytes = read(file)?;
    let evidence = Evidence::read(&bytes)
        .ok_or_else(|| Unusable::of("no evidence is in", file, &"its form is another"))?;
    // Tools expect the length of a public part before it.
    let key = [&(evidence.key.len() as u16).to_be_bytes()[..], evidence.key].concat();
    for (name, part) in [
        ("key.pub", &key[..]),
        ("quote.msg", evidence.statement),
        ("quote.sig", evidence.signature),
        ("eventlog", evidence.log),
    ] {
        let path = folder.join(name);
        fs::write(&path, part).map_err(|error| Unusable::of("cannot write", &path, &error))?;
    }
    Ok(true)
}

fn read(file: &Path) -> Result<Vec<u8>, Unusable> {
    fs::read(file).map_err(|error| Unusable::of("cannot read", file, &error))
}

/// Prints what is told of each register, the key, and the verdict.
fn print(verdict: &Verdict) {
    verdict.rows.iter().for_each(|row| println!("{row}"));
    if let Some(key) = verdict.key {
        println!("key {key}");
    }
    println!("{verdict}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_host_and_a_port() {
        for good in ["127.0.0.1:4433", "localhost:0", "[::1]:65535"] {
            assert_eq!(address(good).as_deref(), Ok(good));
        }
        for bad in ["nonsense", "127.0.0.1", "4433", ":4433", "localhost:70000", "localhost:"] {
            let arguments = ["cloison-verify", "ask", bad, "--expect", "x.json"];
            let refused = Cli::try_parse_from(arguments).unwrap_err().to_string();
            assert!(refused.contains("give HOST:PORT, such as 127.0.0.1:4433"), "{bad}: {refused}");
        }
    }
}
