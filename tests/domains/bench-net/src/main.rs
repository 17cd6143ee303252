//! Counts what a UDP round trip and a byte over TCP cost between two domains.
//!
//! With `-icount shift=0` the time-stamp counter advances by one for each instruction of anybody:
//! one domain, the kernel, the switch or the other domain. A figure is all of it, from user to user.

#![no_std]
#![no_main]

extern crate alloc;

use alloc::vec::Vec;
use core::net::{Ipv4Addr, SocketAddrV4};

use cloison_net::{Config, Error, Net, Read, TcpConfig, TcpListener, TcpStream, UdpSocket, Write};
use cloison_rt::{
    log,
    sys::{Instant, settings},
    task,
};

cloison_rt::entry!(main);

/// Where datagrams are sent back.
const ECHO_PORT: u16 = 7;
/// Where bytes are taken and dropped.
const DISCARD_PORT: u16 = 9;
/// Bytes of a datagram.
const DATAGRAM_BYTES: usize = 64;
/// Round trips before those that count, so that both sides have settled.
const WARM_UP: usize = 100;
/// Round trips that count.
const SAMPLES: usize = 1000;
/// Bytes that are written or read at once.
const BLOCK_BYTES: usize = 32 << 10;
/// Blocks before those that count.
const WARM_UP_BLOCKS: usize = 32;
/// Blocks that count.
const BLOCKS: usize = 256;
/// How many MiB that is.
const MEBIBYTES: usize = (BLOCKS * BLOCK_BYTES) >> 20;

fn main() -> Result<(), Error> {
    let net = Net::attach("net", Config::default())?;
    match task::block_on(task::select(net.run(), play(&net))) {
        task::Either::First(never) => match never {},
        task::Either::Second(result) => result,
    }
}

/// Plays the part that the arguments name.
async fn play(net: &Net) -> Result<(), Error> {
    let mut words = settings::arguments().split_ascii_whitespace();
    let other = words.next().and_then(|word| word.parse::<Ipv4Addr>().ok());
    match (other, words.next()) {
        (Some(other), Some("udp")) => round_trips(net, SocketAddrV4::new(other, ECHO_PORT)).await,
        (Some(other), Some("tcp")) => bytes(net, SocketAddrV4::new(other, DISCARD_PORT)).await,
        (Some(other), _) => measure(net, other).await,
        (None, _) => {
            let (echoed, discarded) = task::join(echo(net), discard(net)).await;
            echoed.and(discarded)
        }
    }
}

async fn measure(net: &Net, other: Ipv4Addr) -> Result<(), Error> {
    bench_marks::path();
    log!("udp-round-trip {}", round_trip(net, SocketAddrV4::new(other, ECHO_PORT)).await?);
    bench_marks::path();
    log!("tcp-byte {}", byte(net, SocketAddrV4::new(other, DISCARD_PORT)).await?);
    log!("paths: udp-round-trip tcp-byte/{MEBIBYTES}");
    Ok(())
}

/// Round trips for ever.
async fn round_trips(net: &Net, to: SocketAddrV4) -> Result<(), Error> {
    round_trip(net, to).await?;
    log!("ready to be profiled");
    loop {
        round_trip(net, to).await?;
    }
}

/// Bytes for ever.
async fn bytes(net: &Net, to: SocketAddrV4) -> Result<(), Error> {
    let mut stream = TcpStream::connect_with(net, to, TcpConfig::BULK).await?;
    let block = alloc::vec![0; BLOCK_BYTES];
    send(&mut stream, &block, WARM_UP_BLOCKS).await?;
    log!("ready to be profiled");
    loop {
        stream.write_all(&block).await?;
    }
}

/// The median of many round trips.
async fn round_trip(net: &Net, to: SocketAddrV4) -> Result<u64, Error> {
    let socket = UdpSocket::bind(net, 0)?;
    let mut datagram = [0; DATAGRAM_BYTES];
    let mut samples = Vec::with_capacity(SAMPLES);
    for sample in 0..WARM_UP + SAMPLES {
        bench_marks::begin();
        let start = Instant::now().0;
        socket.send_to(&datagram, to).await?;
        socket.receive_from(&mut datagram).await?;
        let ticks = Instant::now().0 - start;
        bench_marks::end();
        if sample >= WARM_UP {
            samples.push(ticks);
        }
    }
    samples.sort_unstable();
    Ok(samples[SAMPLES / 2])
}

/// What a byte costs in a long stream, from the write until the other side has acknowledged the last one.
async fn byte(net: &Net, to: SocketAddrV4) -> Result<f64, Error> {
    let mut stream = TcpStream::connect_with(net, to, TcpConfig::BULK).await?;
    let block = alloc::vec![0; BLOCK_BYTES];
    send(&mut stream, &block, WARM_UP_BLOCKS).await?;
    bench_marks::begin();
    let start = Instant::now().0;
    send(&mut stream, &block, BLOCKS).await?;
    let cost = Instant::now().0 - start;
    bench_marks::end();
    Ok(cost as f64 / (BLOCKS * BLOCK_BYTES) as f64)
}

async fn send(stream: &mut TcpStream, block: &[u8], count: usize) -> Result<(), Error> {
    for _ in 0..count {
        stream.write_all(block).await?;
    }
    stream.flush().await
}

async fn echo(net: &Net) -> Result<(), Error> {
    let socket = UdpSocket::bind(net, ECHO_PORT)?;
    let mut datagram = [0; DATAGRAM_BYTES];
    loop {
        let (bytes, from) = socket.receive_from(&mut datagram).await?;
        socket.send_to(&datagram[..bytes], from).await?;
    }
}

async fn discard(net: &Net) -> Result<(), Error> {
    let mut listener = TcpListener::bind_with(net, DISCARD_PORT, 1, TcpConfig::BULK)?;
    let mut block = alloc::vec![0; BLOCK_BYTES];
    loop {
        let mut stream = listener.accept().await?;
        while stream.read(&mut block).await? != 0 {}
    }
}
