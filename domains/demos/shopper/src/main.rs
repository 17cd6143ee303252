//! Shows to a bank what it runs on: hands the bank's nonce to the attester, and the evidence to the bank.
//!
//! The bank sends 32 bytes. Evidence comes back, or a line that says why there is none; then the bank says in a line what it
//! makes of it. In place of a nonce the bank can ask whose TPM this is: `cloison_measure::endorsement`.

#![no_std]
#![no_main]

extern crate alloc;

use alloc::format;
use core::{convert::Infallible, future::pending, time::Duration};

use attester_api::{GateLink, Link, attest};
use cloison_measure::endorsement::{ASK_KEYS, ASK_SECRET, MAX_CREDENTIAL_BYTES};
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
    let (mut output, mut question) = (stream, [0; 32]);
    if !read(stream, &mut question).await? {
        return Ok(());
    }
    let Some(link) = GateLink::find("attest") else {
        return output.write_all(b"none: nobody attests here\n").await;
    };
    let gate = attest::Client::new(link);
    let answered = match question {
        ASK_KEYS => gate.keys().map(|given| given.bytes),
        ASK_SECRET => {
            let Some(credential) = credential(stream, &link).await? else { return Ok(()) };
            gate.tell(credential).map(|told| {
                link.write(0, &told.secret);
                told.secret.len() as u32
            })
        }
        nonce => gate.quote(nonce).map(|quoted| quoted.bytes),
    };
    match answered {
        Ok(bytes) => send(stream, &link, bytes as usize).await?,
        Err(why) => output.write_all(format!("none: {why}\n").as_bytes()).await?,
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

/// Puts the credential that the bank sends where the attester reads it. Returns its length; `None`: it is too long, or the bank
/// goes before it is all there.
async fn credential(stream: &TcpStream, link: &GateLink) -> Result<Option<u32>, Error> {
    let (mut length, mut credential) = ([0; 2], [0; MAX_CREDENTIAL_BYTES]);
    if !read(stream, &mut length).await? {
        return Ok(None);
    }
    let length = u16::from_be_bytes(length);
    let Some(credential) = credential.get_mut(..length.into()) else { return Ok(None) };
    let is_there = read(stream, credential).await? && link.write(0, credential);
    Ok(is_there.then_some(length.into()))
}

/// Fills a run of bytes with what the bank sends. False: it goes before that is all there.
async fn read(stream: &TcpStream, bytes: &mut [u8]) -> Result<bool, Error> {
    let (mut input, mut length) = (stream, 0);
    while length < bytes.len() {
        match input.read(&mut bytes[length..]).await? {
            0 => return Ok(false),
            count => length += count,
        }
    }
    Ok(true)
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
