//! Records exchanges with swtpm, an emulated TPM, as the hex text that the tests read.
//!
//! ```sh
//! cargo run -p cloison-tpm --example record -- 1.2 > libos/tpm/recorded/tpm12.hex
//! cargo run -p cloison-tpm --example record -- 2.0 > libos/tpm/recorded/tpm20.hex
//! cargo run -p cloison-tpm --example record -- quote > libos/tpm/recorded/quote.hex
//! cargo run -p cloison-tpm --example record -- event > libos/tpm/recorded/event.hex
//! cargo run -p cloison-tpm --example record -- certificate > libos/tpm/recorded/certificate.hex
//! cargo run -p cloison-tpm --example record -- quote12 > libos/tpm/recorded/quote12.hex
//! ```
//!
//! Each run starts an swtpm of its own with an empty state, so that keys and registers differ between runs
//! but nothing else does. A TPM 1.2 that quotes has an owner, whom `swtpm_setup` makes. With a certificate comes that of the one
//! who has issued it: `recorded/issuer.pem`.

use std::{
    error::Error,
    fmt::Write as _,
    io::{Read, Write},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, Command as Process, ExitCode},
    thread::sleep,
    time::Duration,
};

use cloison_tpm::{Command, MAX_MESSAGE_BYTES, family::Family, tpm12, tpm20};

/// The handle that a TPM gives to the first session of a policy.
const FIRST_POLICY_SESSION: u32 = 0x0300_0000;

/// The password of a TPM 1.2's storage root key.
const ROOT_PASSWORD: &str = "storage";

/// `TPM_RC_RETRY`.
const RETRY: [u8; 4] = [0, 0, 9, 0x22];

type Outcome<T> = Result<T, Box<dyn Error>>;
type Exchanges = fn(&mut Recorder) -> Outcome<()>;

fn main() -> ExitCode {
    let recorded = match std::env::args().nth(1).as_deref() {
        Some("1.2") => record(Family::Tpm12, nothing, record_12),
        Some("2.0") => record(Family::Tpm20, nothing, record_20),
        Some("quote") => record(Family::Tpm20, nothing, record_quote),
        Some("quote12") => record(Family::Tpm12, make_owner, record_quote_12),
        Some("certificate") => record(Family::Tpm20, make_certificate, record_certificate),
        Some("event") => record(Family::Tpm20, nothing, record_event),
        _ => Err("say what to record: 1.2, 2.0, quote, event, certificate or quote12".into()),
    };
    match recorded {
        Ok(text) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("record: {error}");
            ExitCode::FAILURE
        }
    }
}

fn record(family: Family, prepare: fn(&Path) -> Outcome<()>, exchanges: Exchanges) -> Outcome<String> {
    let folder = std::env::temp_dir().join(format!("record-tpm-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let started = prepare(&folder).and_then(|()| Emulator::start(family, &folder));
    let outcome = started.and_then(|emulator| {
        let (stream, control) = (connect(&emulator.socket)?, connect(&emulator.control)?);
        let mut recorder = Recorder { stream, control, text: String::new() };
        exchanges(&mut recorder)?;
        Ok(recorder.text)
    });
    std::fs::remove_dir_all(&folder)?;
    outcome
}

/// The TPM is as it is when it is new.
fn nothing(_: &Path) -> Outcome<()> {
    Ok(())
}

/// Somebody owns the TPM, and its storage root key has a password.
fn make_owner(folder: &Path) -> Outcome<()> {
    let mut setup = Process::new("swtpm_setup");
    setup.args(["--overwrite", "--take-ownership", "--ownerpass", "owner", "--srkpass", ROOT_PASSWORD]);
    let done = setup.arg("--tpmstate").arg(folder).stdout(std::process::Stdio::null()).status()?;
    if done.success() { Ok(()) } else { Err("swtpm_setup fails".into()) }
}

/// The TPM's keys have certificates, by an authority that is made for them.
fn make_certificate(folder: &Path) -> Outcome<()> {
    let configuration = |name: &str, from: &str, to: &Path| -> Outcome<PathBuf> {
        let (file, system) = (folder.join(name), Path::new("/etc").join(name));
        let text = std::fs::read_to_string(system)?.replace(from, &to.display().to_string());
        std::fs::write(&file, text)?;
        Ok(file)
    };
    let authority = folder.join("authority");
    std::fs::create_dir(&authority)?;
    let issuer = configuration("swtpm-localca.conf", "/var/lib/swtpm-localca", &authority)?;
    let setup = configuration("swtpm_setup.conf", "/etc/swtpm-localca.conf", &issuer)?;
    let mut command = Process::new("swtpm_setup");
    command.args(["--tpm2", "--overwrite", "--create-ek-cert", "--tpmstate"]).arg(folder);
    let done = command.arg("--config").arg(setup).stdout(std::process::Stdio::null()).status()?;
    if !done.success() {
        return Err("swtpm_setup fails".into());
    }
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("recorded/issuer.pem");
    std::fs::copy(authority.join("issuercert.pem"), kept)?;
    Ok(())
}

fn record_12(to: &mut Recorder) -> Outcome<()> {
    let nonce = *b"twenty-byte nonce 12";
    to.record("probe", &Family::PROBE)?;
    to.record("version before startup", &tpm12::GetVersion)?;
    to.record("startup", &tpm12::Startup)?;
    to.record("self test", &tpm12::ContinueSelfTest)?;
    to.record("version", &tpm12::GetVersion)?;
    to.record("manufacturer", &tpm12::GetManufacturer)?;
    to.record("register count", &tpm12::GetPcrCount)?;
    to.record("timeouts", &tpm12::GetTimeouts)?;
    to.record("durations", &tpm12::GetDurations)?;
    to.record("longest command", &tpm12::GetMaxCommandBytes)?;
    to.record("key handles", &tpm12::GetKeyHandles)?;
    to.record("no endorsement key", &tpm12::ReadPubek { nonce })?;
    to.record("create endorsement key", &tpm12::CreateEndorsementKeyPair { nonce })?;
    to.record("endorsement key", &tpm12::ReadPubek { nonce })?;
    to.record("register 0", &tpm12::PcrRead { register: 0 })?;
    to.record("register 23", &tpm12::PcrRead { register: 23 })?;
    to.record("register 24", &tpm12::PcrRead { register: 24 })?;
    to.record("extend", &tpm12::Extend { register: 10, digest: nonce })?;
    to.record("extended register", &tpm12::PcrRead { register: 10 })?;
    to.record("random", &tpm12::GetRandom { count: 16 }).map(drop)
}

fn record_20(to: &mut Recorder) -> Outcome<()> {
    let properties = tpm20::GetProperties { first: tpm20::property::FAMILY_INDICATOR, count: 48 };
    to.record("probe", &Family::PROBE)?;
    to.record("startup", &tpm20::Startup)?;
    to.record("self test", &tpm20::SelfTest)?;
    to.record("1.2 command", &tpm12::GetVersion)?;
    to.record("probe after startup", &Family::PROBE)?;
    to.record("properties", &properties)?;
    to.record("banks", &tpm20::GetBanks)?;
    to.record("transient handles", &tpm20::GetHandles { first: tpm20::FIRST_TRANSIENT })?;
    to.record("persistent handles", &tpm20::GetHandles { first: tpm20::FIRST_PERSISTENT })?;
    for bank in tpm20::Bank::ALL {
        to.record(&format!("{} register 0", bank.name()), &tpm20::PcrRead { bank, register: 0 })?;
        to.record(&format!("{} register 17", bank.name()), &tpm20::PcrRead { bank, register: 17 })?;
        to.record(&format!("{} register 24", bank.name()), &tpm20::PcrRead { bank, register: 24 })?;
    }
    to.record("random", &tpm20::GetRandom { count: 16 })?;
    to.record("no such key", &tpm20::ReadPublic { handle: tpm20::ENDORSEMENT_KEY_HANDLE })?;
    to.record("create endorsement key", &tpm20::CreateEndorsementKey)?;
    let handle = tpm20::FIRST_TRANSIENT;
    to.record("transient handles with key", &tpm20::GetHandles { first: handle })?;
    to.record("endorsement key", &tpm20::ReadPublic { handle })?;
    to.record("flush", &tpm20::FlushContext { handle })?;
    to.record("flush again", &tpm20::FlushContext { handle }).map(drop)
}

/// A key for attestation, and its quote: at the locality that its policy asks for, and at another.
fn record_quote(to: &mut Recorder) -> Outcome<()> {
    let (handle, session) = (tpm20::FIRST_TRANSIENT, FIRST_POLICY_SESSION);
    to.record("startup", &tpm20::Startup)?;
    to.record("create attestation key", &tpm20::CreateAttestationKey)?;
    to.record("create attestation key again", &tpm20::CreateAttestationKey)?;
    to.record("policy session", &tpm20::StartPolicySession)?;
    to.record("policy", &tpm20::PolicyLocality { session })?;
    let nonce = b"a nonce of two and thirty bytes.";
    let quote = tpm20::Quote { key: handle, session, nonce, registers: 0x7bff };
    to.record("quote at another locality", &quote)?;
    to.set_locality(tpm20::ATTESTATION_LOCALITY)?;
    to.record("quote", &quote)?;
    to.record("quote without the session", &quote)?;
    to.record("create endorsement key", &tpm20::CreateCurveEndorsementKey)?;
    to.record("policy session again", &tpm20::StartPolicySession)?;
    to.record("policy of the endorsement key", &tpm20::PolicySecret { session })?;
    // For no key that this TPM has.
    let credential = [&[0, 68, 0, 32][..], &[7; 66], &[0, 68, 0, 32], &[7; 32], &[0, 32], &[7; 32]].concat();
    let (key, endorsement) = (handle, handle + 2);
    let activate = tpm20::ActivateCredential { key, endorsement, session, credential: &credential };
    to.record("credential for another TPM", &activate).map(drop)
}

/// A register that is extended with a text.
fn record_event(to: &mut Recorder) -> Outcome<()> {
    to.record("startup", &tpm20::Startup)?;
    to.record("event", &tpm20::PcrEvent { register: 14, text: b"some text" })?;
    let bank = tpm20::Bank::Sha256;
    to.record("sha256 register 14", &tpm20::PcrRead { bank, register: 14 })?;
    to.record("event of no register", &tpm20::PcrEvent { register: 24, text: b"some text" }).map(drop)
}

/// A key below the storage root key, and its quote of registers: with its secret, and with another one.
fn record_quote_12(to: &mut Recorder) -> Outcome<()> {
    let (parent, root) = (tpm12::STORAGE_ROOT_KEY, tpm12::secret_of(ROOT_PASSWORD.as_bytes()));
    let (odd, secret) = (*b"odd nonce: 20 bytes.", *b"the secret of a key.");
    to.record("startup", &tpm12::Startup)?;
    to.record("self test", &tpm12::ContinueSelfTest)?;
    let begun = to.ask("session for the root", &tpm12::StartKeySession { key: parent, odd })?;
    let session = tpm12::Session::new(&begun, &root, odd);
    let create = tpm12::CreateSigningKey { parent, secret: &secret, session: &session };
    let response = to.record("create signing key", &create)?;
    let key = create.parse(&response)?;
    let begun = to.ask("session for loading", &tpm12::StartSession)?;
    let session = tpm12::Session::new(&begun, &root, odd);
    let key = to.ask("load key", &tpm12::LoadKey { parent, key, session: &session })?;
    let nonce = b"twenty-byte nonce 12";
    for (name, secret) in [("quote", secret), ("quote by a guess", odd)] {
        let begun = to.ask(&format!("session for the {name}"), &tpm12::StartSession)?;
        let session = tpm12::Session::new(&begun, &secret, odd);
        to.record(name, &tpm12::Quote { key, nonce, registers: 0x7bff, session: &session })?;
    }
    to.record("unload key", &tpm12::UnloadKey { key })?;
    to.record("unload key again", &tpm12::UnloadKey { key })?;
    Ok(())
}

/// The certificate of the endorsement key of RSA.
fn record_certificate(to: &mut Recorder) -> Outcome<()> {
    let index = tpm20::RSA_CERTIFICATE;
    to.record("startup", &tpm20::Startup)?;
    let bytes = to.ask("length of the certificate", &tpm20::KeptBytes { index })?;
    for offset in (0..bytes).step_by(tpm20::MAX_READ_BYTES.into()) {
        let bytes = tpm20::MAX_READ_BYTES.min(bytes - offset);
        to.record(&format!("certificate from {offset}"), &tpm20::ReadKept { index, offset, bytes })?;
    }
    to.record("no certificate", &tpm20::KeptBytes { index: tpm20::CURVE_CERTIFICATE })?;
    to.record("create endorsement key", &tpm20::CreateEndorsementKey).map(drop)
}

struct Recorder {
    stream: UnixStream,
    control: UnixStream,
    text: String,
}

impl Recorder {
    /// Sends a command and notes it, with the answer, under a name. Returns what the answer says, which holds nothing of it.
    fn ask<R>(&mut self, name: &str, command: &impl for<'a> Command<Response<'a> = R>) -> Outcome<R> {
        Ok(command.parse(&self.record(name, command)?)?)
    }

    /// Sends a command and notes it, with the answer, under a name. Returns the answer.
    fn record(&mut self, name: &str, command: &impl Command) -> Outcome<Vec<u8>> {
        let mut buffer = [0; MAX_MESSAGE_BYTES];
        let command = command.write(&mut buffer)?;
        let mut response = [0; MAX_MESSAGE_BYTES];
        let count = loop {
            self.stream.write_all(command)?;
            let count = self.stream.read(&mut response)?;
            // It tests what it has not used before, and wants to be asked again.
            if response[6..10] != RETRY {
                break count;
            }
        };
        writeln!(self.text, "# {name}\n> {}\n< {}", hex(command), hex(&response[..count]))?;
        Ok(response[..count].to_vec())
    }

    /// Has swtpm take commands from here on as if they came at a locality.
    fn set_locality(&mut self, locality: u8) -> Outcome<()> {
        const SET_LOCALITY: [u8; 4] = [0, 0, 0, 5];
        self.control.write_all(&[&SET_LOCALITY[..], &[locality]].concat())?;
        let mut result = [0; 4];
        self.control.read_exact(&mut result)?;
        if result == [0; 4] { Ok(()) } else { Err("swtpm refuses the locality".into()) }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// A running swtpm; it ends with its value.
struct Emulator {
    process: Child,
    socket: PathBuf,
    control: PathBuf,
}

impl Emulator {
    fn start(family: Family, folder: &Path) -> Outcome<Self> {
        let (socket, control) = (folder.join("socket"), folder.join("control"));
        let mut process = Process::new("swtpm");
        process.args(["socket", "--flags", "not-need-init", "--server"]);
        process.arg(format!("type=unixio,path={}", socket.display()));
        process.arg("--ctrl").arg(format!("type=unixio,path={}", control.display()));
        process.arg("--tpmstate").arg(format!("dir={}", folder.display()));
        if family == Family::Tpm20 {
            process.arg("--tpm2");
        }
        Ok(Self { process: process.spawn()?, socket, control })
    }
}

/// Connects to one of swtpm's sockets.
fn connect(socket: &Path) -> Outcome<UnixStream> {
    for _ in 0..100 {
        if let Ok(stream) = UnixStream::connect(socket) {
            return Ok(stream);
        }
        sleep(Duration::from_millis(20));
    }
    Err("swtpm does not answer on its socket".into())
}

impl Drop for Emulator {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
