//! Shows to a bank what it runs on: hands the bank's nonce to the attester, and the evidence to the bank.
//!
//! The bank sends 32 bytes. Evidence comes back, or a line that says why there is none; then the bank says in a line what it
//! makes of it.

#![no_std]
#![no_main]

extern crate alloc;

use alloc::format;
use core::{convert::Infallible, future::pending, time::Duration};

use attester_api::{GateLink, Link, attest};
use cloison_net::{Config, Error, Net, TcpConfig, TcpListener, TcpStream};
use cloison_rt::{log, task};
use embedded_io_async::{Read, Write};
use netshell::{Line, Lines, Terminal};

cloison_rt::entry!(main);

/// The port on which banks ask.
const PORT: u16 = 4433;
const TCP: TcpConfig = TcpConfig { receive_bytes: 1024, send_bytes: 8192, ..TcpConfig::DEFAULT };
/// Banks that may stand in line.
const BACKLOG: usize = 2;
/// How long one may take.
const SESSION: Duration = Duration::from_secs(30);
/// Bytes that are copied at a time.
const CHUNK: usize = 4096;

fn main() -> Result<(), Error> {
    let net = Net::attach("net", Config::default())?;
    let served = task::select(serve(&net), customer());
    match task::block_on(task::select(net.run(), served)) {
        task::Either::First(never) => match never {},
        task::Either::Second(task::Either::First(served)) => served,
        task::Either::Second(task::Either::Second(never)) => match never {},
    }
}

/// Takes what a customer types. Nobody else sees it, and the shopper shows no more of it than how long it is.
async fn customer() -> Infallible {
    if let Some(keyboard) = Terminal::find() {
        let mut lines = Lines::new(keyboard);
        while let Ok(Some(line)) = lines.next().await {
            if let Line::Text(text) = line {
                log!("the customer has typed {} letters", text.len());
            }
        }
    }
    pending().await
}

async fn serve(net: &Net) -> Result<(), Error> {
    let mut listener = TcpListener::bind_with(net, PORT, BACKLOG, TCP)?;
    log!("a bank can ask on port {PORT}");
    loop {
        let stream = listener.accept().await?;
        // A bank that goes away, or takes too long, has had its turn.
        let _ = net.within(SESSION, answer(&stream)).await;
    }
}

/// Serves one bank.
async fn answer(stream: &TcpStream) -> Result<(), Error> {
    let mut output = stream;
    let Some(nonce) = nonce(stream).await? else { return Ok(()) };
    let link = GateLink::find("attest");
    let evidence = link.map(|link| attest::Client::new(link).quote(nonce));
    match (link, evidence) {
        (Some(link), Some(Ok(evidence))) => send(stream, &link, evidence.bytes as usize).await?,
        (_, Some(Err(why))) => output.write_all(format!("none: {why}\n").as_bytes()).await?,
        _ => output.write_all(b"none: nobody attests here\n").await?,
    }
    stream.close_write();
    output.flush().await?;
    let mut lines = Lines::new(stream);
    match lines.next().await? {
        Some(Line::Text(text)) => log!("the bank says: {text}"),
        _ => log!("the bank says nothing"),
    }
    Ok(())
}

/// What the bank sends. `None`: it goes before that is all there.
async fn nonce(stream: &TcpStream) -> Result<Option<[u8; 32]>, Error> {
    let (mut input, mut nonce, mut length) = (stream, [0; 32], 0);
    while length < nonce.len() {
        match input.read(&mut nonce[length..]).await? {
            0 => return Ok(None),
            count => length += count,
        }
    }
    Ok(Some(nonce))
}

/// Sends evidence from the memory that is shared with the attester.
async fn send(stream: &TcpStream, link: &GateLink, bytes: usize) -> Result<(), Error> {
    let (mut output, mut chunk) = (stream, [0; CHUNK]);
    for start in (0..bytes).step_by(CHUNK) {
        let part = &mut chunk[..CHUNK.min(bytes - start)];
        if !link.read(start, part) {
            break;
        }
        output.write_all(part).await?;
    }
    Ok(())
}
