//! Moves bytes over TCP and checks each of them, whatever happens to those between.
//!
//! Each MiB has a connection of its own. The sender closes its side, the receiver answers with how many bytes
//! were as they should be. A connection that breaks is counted, and its MiB is sent again.

#![no_std]
#![no_main]

use core::{
    net::{Ipv4Addr, SocketAddrV4},
    time::Duration,
};

use cloison_net::{Config, Error, Net, Read, TcpConfig, TcpListener, TcpStream, Write};
use cloison_rt::{log, sys::settings, task};

cloison_rt::entry!(main);

/// Where a receiver listens.
const PORT: u16 = 1024;
/// Bytes that one connection carries.
const CHUNK: u64 = 1 << 20;
/// How long the other side may be silent before the connection counts as broken.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Connections in a row that may break.
const TRIES: u32 = 50;
/// Time before the next try.
const PAUSE: Duration = Duration::from_millis(100);

/// What the manifest has this domain do.
enum Role {
    Serve { crash_after: u64 },
    Send { to: Ipv4Addr, chunks: u64 },
}

fn main() -> Result<(), Error> {
    let Some(role) = role(settings::arguments()) else {
        log!("error: `{}` is none of the roles that domain.toml names", settings::arguments());
        return Ok(());
    };
    let net = Net::attach("net", Config { tcp: tcp(), ..Config::default() })?;
    let work = async {
        match role {
            Role::Serve { crash_after } => serve(&net, crash_after).await,
            Role::Send { to, chunks } => send(&net, SocketAddrV4::new(to, PORT), chunks).await,
        }
    };
    match task::block_on(task::select(net.run(), work)) {
        task::Either::First(never) => match never {},
        task::Either::Second(outcome) => outcome,
    }
}

fn tcp() -> TcpConfig {
    TcpConfig { timeout: Some(TIMEOUT), ..TcpConfig::BULK }
}

fn role(arguments: &str) -> Option<Role> {
    let mut words = arguments.split_ascii_whitespace();
    let role = match words.next()? {
        "serve" => Role::Serve { crash_after: words.next().map_or(Some(u64::MAX), mebibytes)? },
        "send" => Role::Send { to: words.next()?.parse().ok()?, chunks: words.next()?.parse().ok()? },
        _ => return None,
    };
    words.next().is_none().then_some(role)
}

fn mebibytes(word: &str) -> Option<u64> {
    word.parse::<u64>().ok()?.checked_mul(1 << 20)
}

/// The byte at a place of a chunk. No two neighbours are alike, and a part that is lost, moved or repeated
/// shows.
fn pattern(at: u64) -> u8 {
    (at.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8
}

async fn serve(net: &Net, crash_after: u64) -> Result<(), Error> {
    let mut listener = TcpListener::bind(net, PORT, 2)?;
    let mut all = 0;
    loop {
        let stream = listener.accept().await?;
        // A connection that breaks is the sender's to mend.
        let _ = receive(stream, &mut all, crash_after).await;
    }
}

async fn receive(mut stream: TcpStream, all: &mut u64, crash_after: u64) -> Result<(), Error> {
    let mut good = 0;
    let mut at = 0;
    let check = |data: &mut [u8], at: &mut u64, good: &mut u64| {
        for byte in data.iter() {
            *good += u64::from(*byte == pattern(*at));
            *at += 1;
        }
        (data.len(), data.len() as u64)
    };
    while let Some(count) = stream.read_with(|data| check(data, &mut at, &mut good)).await? {
        *all += count;
        if *all >= crash_after {
            panic!("as asked, after {all} bytes");
        }
    }
    stream.write_all(&good.to_le_bytes()).await?;
    stream.close().await
}

async fn send(net: &Net, to: SocketAddrV4, chunks: u64) -> Result<(), Error> {
    let mut broken = 0;
    for _ in 0..chunks {
        broken += send_chunk_again_and_again(net, to).await?;
    }
    match broken {
        0 => log!("{chunks} MiB arrived intact, over connections that held"),
        _ => log!("{chunks} MiB arrived intact, though {broken} connections broke"),
    }
    Ok(())
}

/// Returns how many connections broke before one held.
async fn send_chunk_again_and_again(net: &Net, to: SocketAddrV4) -> Result<u32, Error> {
    for broken in 0.. {
        match send_chunk(net, to).await {
            Ok(CHUNK) => return Ok(broken),
            Ok(good) => {
                log!("error: {good} of {CHUNK} bytes arrived as they were sent");
                return Err(Error::Closed);
            }
            Err(error) if broken == TRIES => return Err(error),
            Err(_) => net.sleep(PAUSE).await,
        }
    }
    Err(Error::TimedOut)
}

/// Returns how many bytes arrived as they were sent.
async fn send_chunk(net: &Net, to: SocketAddrV4) -> Result<u64, Error> {
    let mut stream = TcpStream::connect(net, to).await?;
    let mut at = 0;
    while at < CHUNK {
        let fill = |room: &mut [u8]| {
            let count = room.len().min((CHUNK - at) as usize);
            (at..).zip(&mut room[..count]).for_each(|(at, byte)| *byte = pattern(at));
            (count, count as u64)
        };
        at += stream.write_with(fill).await?;
    }
    stream.close_write();
    let mut answer = [0; 8];
    let mut length = 0;
    while length < answer.len() {
        match stream.read(&mut answer[length..]).await? {
            0 => return Err(Error::Closed),
            count => length += count,
        }
    }
    Ok(u64::from_le_bytes(answer))
}
