//! Holds a key that nobody else can read, and signs texts with it.

#![no_std]
#![no_main]

extern crate alloc;

use alloc::boxed::Box;
use core::{fmt, time::Duration};

use cloison_net::{Config, Error, Net, Seat, Seats, TcpConfig, TcpListener, TcpStream};
use cloison_rt::{log, sys::random, task};
use embedded_io_async::Write;
use netshell::Lines;
use signer::{Hex, Key, PORT, SEED_BYTES};

cloison_rt::entry!(main);

const TCP: TcpConfig = TcpConfig { receive_bytes: 1024, send_bytes: 1024, ..TcpConfig::DEFAULT };
/// Clients that it serves at a time.
const CLIENTS: usize = 4;
/// How many may stand in line.
const BACKLOG: usize = 16;
/// How long a client may stay.
const SESSION: Duration = Duration::from_secs(30);
/// How long it may be silent while others stand in line.
const HESITATION: Duration = Duration::from_secs(1);

/// Why nothing is signed.
enum Unfit {
    /// This CPU gives no numbers that nobody can guess.
    NoRandomness,
    /// There is no network.
    Net(Error),
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRandomness => {
                f.write_str("this CPU has no RDRAND, so a key could be guessed: none is made")
            }
            Self::Net(error) => error.fmt(f),
        }
    }
}

fn main() -> Result<(), Unfit> {
    let key = make_key().ok_or(Unfit::NoRandomness)?;
    log!("public key {}", Hex(&key.public()));
    let net = Net::attach("net", Config::default()).map_err(Unfit::Net)?;
    let listener = TcpListener::bind_with(&net, PORT, BACKLOG, TCP).map_err(Unfit::Net)?;
    let seats = Seats::new(&net, listener, CLIENTS, HESITATION);
    let signatures = seats.serve(async |stream, seat| serve(&net, &stream, seat, &key).await);
    task::block_on(task::select(net.run(), signatures));
    Ok(())
}

/// A key for this life of the domain.
fn make_key() -> Option<Box<Key>> {
    let mut seed = [0; SEED_BYTES];
    for part in seed.chunks_exact_mut(size_of::<u64>()) {
        part.copy_from_slice(&random::random()?.to_le_bytes());
    }
    Some(Box::new(Key::new(&seed)))
}

async fn serve(net: &Net, stream: &TcpStream, seat: &Seat<'_>, key: &Key) {
    let session = net.within(SESSION, answer(stream, seat, key));
    // A client that resets its connection, stays too long or is silent while others wait has had its turn.
    let _ = task::select(session, seat.wanted()).await;
}

async fn answer(stream: &TcpStream, seat: &Seat<'_>, key: &Key) -> Result<(), Error> {
    let mut output = stream;
    let mut lines = Lines::new(stream);
    while let Some(line) = lines.next().await? {
        let answer = key.answer(&line);
        let leaves = seat.leaves();
        output.write_all(answer.as_bytes()).await?;
        if leaves {
            break;
        }
    }
    stream.close_write();
    output.flush().await
}
