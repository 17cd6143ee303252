//! Asks a machine: 32 bytes go there, evidence comes back.

use std::{
    fmt,
    fs::File,
    io::{self, Read, Write},
    net::{Shutdown, TcpStream},
    thread,
    time::{Duration, Instant},
};

use cloison_measure::evidence::NONCE_BYTES;

/// The longest evidence that is read: more than any log has.
const MAX_EVIDENCE_BYTES: u64 = 1 << 20;
/// How long a machine that answers may be silent.
const SILENCE: Duration = Duration::from_secs(30);
/// Between two tries to reach a machine.
const PAUSE: Duration = Duration::from_millis(200);

/// A machine that has been asked, and waits for what is made of its answer.
#[derive(Debug)]
pub struct Prover {
    stream: TcpStream,
}

/// Why no machine answers.
#[derive(Debug)]
pub struct NoAnswer(io::Error);

impl fmt::Display for NoAnswer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "no answer: {}", self.0)
    }
}

/// A nonce that nobody could know before.
///
/// # Errors
///
/// When the system gives no random bytes.
pub fn fresh_nonce() -> io::Result<[u8; NONCE_BYTES]> {
    let mut nonce = [0; NONCE_BYTES];
    File::open("/dev/urandom")?.read_exact(&mut nonce)?;
    Ok(nonce)
}

impl Prover {
    /// Asks the machine behind an address. One that does not answer yet, as it is being started, is asked again for this
    /// long, unless `is_over` says that it will never answer.
    ///
    /// # Errors
    ///
    /// [`NoAnswer`].
    pub fn ask(
        address: &str,
        nonce: &[u8; NONCE_BYTES],
        patience: Duration,
        is_over: impl Fn() -> bool,
    ) -> Result<(Self, Vec<u8>), NoAnswer> {
        let end = Instant::now() + patience;
        loop {
            match TcpStream::connect(address).and_then(|stream| Self::of(stream, nonce)) {
                Err(error) if is_over() || Instant::now() >= end => return Err(NoAnswer(error)),
                Err(_) => thread::sleep(PAUSE),
                Ok(answered) => return Ok(answered),
            }
        }
    }

    /// Asks the machine at the other end of a connection.
    ///
    /// # Errors
    ///
    /// When it sends nothing, or the connection ends early.
    pub fn of(mut stream: TcpStream, nonce: &[u8; NONCE_BYTES]) -> io::Result<(Self, Vec<u8>)> {
        stream.set_read_timeout(Some(SILENCE))?;
        stream.write_all(nonce)?;
        let mut answer = Vec::new();
        (&stream).take(MAX_EVIDENCE_BYTES).read_to_end(&mut answer)?;
        if answer.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok((Self { stream }, answer))
    }

    /// Tells the machine what is made of it.
    pub fn tell(mut self, verdict: &str) {
        // Whether it listens is its own affair.
        let told = self.stream.write_all(format!("{verdict}\n").as_bytes());
        let _ = told.and_then(|()| self.stream.shutdown(Shutdown::Write));
    }
}
