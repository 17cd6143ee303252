//! A machine under a debugger's control: it runs, is stopped, and takes one instruction after the other.
//!
//! This is the part of GDB's remote protocol that this takes, with QEMU on the other side.

use std::{
    io::{self, BufReader, BufWriter, Read, Write},
    net::TcpStream,
    time::Duration,
};

use image_machine::{Failure, patience::comes_within};

/// How long QEMU may take to listen; see [`Patience`](image_machine::patience::Patience).
const PATIENCE: Duration = Duration::from_secs(10);
/// How long it may take to answer, on the busiest host: after that, it hangs.
const LONGEST_ANSWER: Duration = Duration::from_secs(300);
/// Number of the register RIP.
const RIP: u32 = 16;
/// QEMU answers `p` (read one register) only to a client that has fetched the list of registers.
const SEE_REGISTERS: &str = "qXfer:features:read:target.xml:0,fff";
/// Interrupts and timers are held back at each step: by the clock of the steps they would come all the time.
const STEP_UNDISTURBED: &str = "Qqemu.sstep=0x7";

/// A connection to QEMU.
#[derive(Debug)]
pub(super) struct Debugger {
    from: BufReader<TcpStream>,
    to: BufWriter<TcpStream>,
}

impl Debugger {
    /// Connects to a machine that waits for a debugger on this port, and lets it run.
    pub(super) fn start(port: u16) -> Result<Self, Failure> {
        let stream = connect(port).map_err(|error| failed(&error))?;
        let from = stream.try_clone().map_err(|error| failed(&error))?;
        let mut debugger = Self { from: BufReader::new(from), to: BufWriter::new(stream) };
        debugger.ask("?")?;
        debugger.ask(SEE_REGISTERS)?;
        debugger.ask(STEP_UNDISTURBED)?;
        debugger.send("c").map_err(|error| failed(&error))?;
        Ok(debugger)
    }

    /// Stops the machine.
    pub(super) fn stop(&mut self) -> Result<(), Failure> {
        const BREAK: u8 = 3;
        self.to.write_all(&[BREAK]).and_then(|()| self.to.flush()).map_err(|error| failed(&error))?;
        self.receive().map(drop).map_err(|error| failed(&error))
    }

    /// Takes one instruction. Returns the address of the next one.
    pub(super) fn step(&mut self) -> Result<u64, Failure> {
        self.ask("s")?;
        let answer = self.ask(&format!("p{RIP:x}"))?;
        let bytes = bytes(&answer).and_then(|bytes| bytes.try_into().ok()).map(u64::from_le_bytes);
        bytes.ok_or_else(|| failed(&io::Error::other("no address came for RIP")))
    }

    /// What memory holds at an address, as the machine sees it now. `None`: nothing is mapped there.
    pub(super) fn memory(&mut self, address: u64, count: usize) -> Result<Option<Vec<u8>>, Failure> {
        self.ask(&format!("m{address:x},{count:x}")).map(|answer| bytes(&answer))
    }

    fn ask(&mut self, question: &str) -> Result<String, Failure> {
        self.send(question).and_then(|()| self.receive()).map_err(|error| failed(&error))
    }

    fn send(&mut self, text: &str) -> io::Result<()> {
        write!(self.to, "${text}#{:02x}", checksum(text))?;
        self.to.flush()
    }

    /// Waits for a packet and confirms it.
    fn receive(&mut self) -> io::Result<String> {
        let mut text = Vec::new();
        while self.byte()? != b'$' {}
        loop {
            match self.byte()? {
                b'#' => break,
                byte => text.push(byte),
            }
        }
        // TCP has its own checksums.
        self.byte()?;
        self.byte()?;
        self.to.write_all(b"+")?;
        String::from_utf8(text).map_err(io::Error::other)
    }

    fn byte(&mut self) -> io::Result<u8> {
        let mut byte = [0];
        self.from.read_exact(&mut byte)?;
        Ok(byte[0])
    }
}

fn connect(port: u16) -> io::Result<TcpStream> {
    let connect = || TcpStream::connect(("127.0.0.1", port));
    let mut tried = connect();
    // If it never listens, the last try says why.
    let _ = comes_within(PATIENCE, || {
        if tried.is_err() {
            tried = connect();
        }
        tried.is_ok()
    });
    let stream = tried?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(LONGEST_ANSWER))?;
    Ok(stream)
}

fn failed(error: &io::Error) -> Failure {
    Failure::machine("cannot control the machine", error)
}

fn checksum(text: &str) -> u8 {
    text.bytes().fold(0, u8::wrapping_add)
}

/// Bytes as two digits each; `None` if that is an error's answer instead.
fn bytes(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_bytes_and_knows_errors() {
        assert_eq!(bytes("00ff10"), Some(vec![0, 255, 16]));
        assert_eq!(bytes("E14"), None);
        assert_eq!(bytes("zz"), None);
    }

    #[test]
    fn a_packet_has_the_sum_of_its_bytes() {
        assert_eq!(checksum("g"), 0x67);
        assert_eq!(checksum("m40,2"), b'm'.wrapping_add(b'4' + b'0').wrapping_add(b',' + b'2'));
    }
}
