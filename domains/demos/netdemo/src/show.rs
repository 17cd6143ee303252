//! What the demo shows: who is there, what a peer's shell says, how fast data gets to it.

use alloc::{string::String, vec::Vec};
use core::{
    net::{Ipv4Addr, SocketAddrV4},
    time::Duration,
};

use cloison_net::{Error, Net, Read, TcpStream, Write};
use cloison_rt::log;

use crate::discard;

extern crate alloc;

/// How often everybody is asked, and for how long they may answer: not all are there when this domain starts.
const ROUNDS: usize = 2;
const ROUND: Duration = Duration::from_millis(600);
/// How often a peer is tried that does not accept connections yet.
const TRIES: usize = 20;
/// How much is sent.
const BYTES: u64 = 64 << 20;

/// Shows all of it.
pub async fn all(net: &Net, peer: Ipv4Addr) -> Result<(), Error> {
    let addresses = net.configured().await;
    log!("address {}, prefix of {} bits, MTU {}", addresses.address, addresses.prefix_bits, net.mtu());
    who_is_there(net, addresses.broadcast).await?;
    ask_shell(net, peer).await?;
    measure(net, peer).await
}

async fn who_is_there(net: &Net, everybody: Ipv4Addr) -> Result<(), Error> {
    log!("ping {everybody}");
    let mut known = Vec::new();
    for _ in 0..ROUNDS {
        net.ping(everybody, ROUND, |reply| {
            if !known.contains(&reply.from) {
                known.push(reply.from);
                let micros = reply.after.as_micros();
                log!("{} answers, {}.{} ms", reply.from, micros / 1000, micros % 1000 / 100);
            }
        })
        .await?;
    }
    if known.is_empty() {
        log!("nobody answers");
    }
    Ok(())
}

async fn ask_shell(net: &Net, peer: Ipv4Addr) -> Result<(), Error> {
    log!("the shell of {peer} says: {}", ask(net, peer, b"help\n").await?);
    log!("its /proc/cmdline: {}", ask(net, peer, b"cat /proc/cmdline\n").await?);
    Ok(())
}

/// The first line that a peer's shell answers.
async fn ask(net: &Net, peer: Ipv4Addr, command: &[u8]) -> Result<String, Error> {
    let mut stream = connect(net, SocketAddrV4::new(peer, netshell::PORT)).await?;
    stream.write_all(command).await?;
    stream.close_write();
    let mut answer = [0; 1024];
    let mut length = 0;
    while let count @ 1.. = stream.read(&mut answer[length..]).await? {
        length += count;
    }
    let answer = String::from_utf8_lossy(&answer[..length]);
    Ok(answer.lines().next().filter(|line| !line.is_empty()).unwrap_or("nothing").into())
}

async fn measure(net: &Net, peer: Ipv4Addr) -> Result<(), Error> {
    let took = discard::send(net, SocketAddrV4::new(peer, discard::PORT), BYTES).await?;
    let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX).max(1);
    let (seconds, tenths) = (micros / 1_000_000, micros % 1_000_000 / 100_000);
    // Bits in a microsecond are megabits in a second.
    log!("{} MiB to {peer} in {seconds}.{tenths} s, {} Mbit/s", BYTES >> 20, BYTES * 8 / micros);
    Ok(())
}

/// Connects to a peer that may still be starting.
async fn connect(net: &Net, to: SocketAddrV4) -> Result<TcpStream, Error> {
    for _ in 1..TRIES {
        match TcpStream::connect(net, to).await {
            Err(Error::Refused) => net.sleep(ROUND).await,
            outcome => return outcome,
        }
    }
    TcpStream::connect(net, to).await
}
