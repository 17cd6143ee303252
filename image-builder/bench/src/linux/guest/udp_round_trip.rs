//! Takes the time of a UDP round trip on Linux, from user to user: one process sends 64 bytes, another one
//! sends them back. Prints the median.
//!
//! Under a clock that counts instructions, a nanosecond is an instruction.

use std::{env, io, net::UdpSocket, time::Instant};

/// Bytes in a message.
const BYTES: usize = 64;
/// Round trips before those that count.
const WARM_UP: usize = 200;
/// Round trips that count.
const SAMPLES: usize = 2000;

fn main() -> io::Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["serve", address] => serve(address),
        ["call", address] => call(address),
        _ => Err(io::Error::other("usage: udp-round-trip serve|call ADDRESS:PORT")),
    }
}

fn serve(address: &str) -> io::Result<()> {
    let socket = UdpSocket::bind(address)?;
    let mut message = [0; BYTES];
    loop {
        let (bytes, sender) = socket.recv_from(&mut message)?;
        socket.send_to(&message[..bytes], sender)?;
    }
}

fn call(address: &str) -> io::Result<()> {
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    socket.connect(address)?;
    let mut message = [0; BYTES];
    let mut times = Vec::with_capacity(WARM_UP + SAMPLES);
    for _ in 0..WARM_UP + SAMPLES {
        let start = Instant::now();
        socket.send(&message)?;
        socket.recv(&mut message)?;
        times.push(start.elapsed().as_nanos());
    }
    let samples = &mut times[WARM_UP..];
    samples.sort_unstable();
    println!("linux | udp-round-trip {}", samples[SAMPLES / 2]);
    Ok(())
}
