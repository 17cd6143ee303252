//! Asks a machine: a nonce goes there, evidence comes back.

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
        question: &[u8],
        patience: Duration,
        is_over: impl Fn() -> bool,
    ) -> Result<(Self, Vec<u8>), NoAnswer> {
        let end = Instant::now() + patience;
        loop {
            match TcpStream::connect(address).and_then(|stream| Self::of(stream, question)) {
                Err(error) if is_over() || Instant::now() >= end => return Err(NoAnswer(error)),
                Err(_) => thread::sleep(PAUSE),
                Ok(answered) => return Ok(answered),
            }
        }
    }

    /// Asks the machine at the other end of a connection: with a nonce, or with a question that stands in its place.
    ///
    /// # Errors
    ///
    /// When it sends nothing, or the connection ends early.
    pub fn of(mut stream: TcpStream, question: &[u8]) -> io::Result<(Self, Vec<u8>)> {
        stream.set_write_timeout(Some(SILENCE))?;
        stream.write_all(question)?;
        let answer = read_all(&stream, SILENCE)?;
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

/// Reads what comes until the other side is through, all of it within this time: one that says a little now and then keeps
/// nobody else waiting.
fn read_all(mut stream: &TcpStream, patience: Duration) -> io::Result<Vec<u8>> {
    let end = Instant::now() + patience;
    let (mut answer, mut part) = (Vec::new(), [0; 4096]);
    while (answer.len() as u64) < MAX_EVIDENCE_BYTES {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left))?;
        match stream.read(&mut part)? {
            0 => break,
            read => answer.extend_from_slice(&part[..read]),
        }
    }
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    /// A machine whose TPM, or whose way here, has gone in the middle of it.
    #[test]
    fn one_that_says_nothing_gives_no_answer() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let silent = thread::spawn(move || drop(listener.accept()));
        let why = Prover::ask(&address, &[7; NONCE_BYTES], Duration::ZERO, || false).unwrap_err();
        assert!(why.to_string().starts_with("no answer: "), "{why}");
        silent.join().unwrap();
    }

    #[test]
    fn one_that_drips_is_not_waited_for() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut dripping = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (stream, _) = listener.accept().unwrap();
        // It goes on for as long as somebody listens.
        let drips = thread::spawn(move || {
            while dripping.write_all(b".").is_ok() {
                thread::sleep(PAUSE / 10)
            }
        });
        let error = read_all(&stream, PAUSE).unwrap_err();
        assert!(matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock), "{error}");
        drop(stream);
        drips.join().unwrap();
    }
}
