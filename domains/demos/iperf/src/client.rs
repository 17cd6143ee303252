//! The client's side of a test.

use alloc::vec::Vec;
use core::time::Duration;

use crate::{
    ClientOptions, Clock, Connector, Cookie, Direction, Error, Parameters, Report, Results, State,
    control::{Control, write},
    host::within,
    transfer::{Transfer, directions},
};

/// How long the server may take to prepare a test, and to end it.
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes that are written or read at once.
const BLOCK_BYTES: usize = 32 << 10;
/// The version of iperf3 whose protocol this is.
const VERSION: &str = "3.12";

/// Asks a server for a test and makes it. `random` makes the cookie.
///
/// # Errors
///
/// When the server cannot be reached, is busy, does not keep to the protocol, or goes away.
pub async fn call<N: Connector, C: Clock>(
    network: &mut N,
    clock: &C,
    options: &ClientOptions,
    random: u64,
) -> Result<Report, Error> {
    let cookie = Cookie::new(random);
    let prepared = prepare(network, options, cookie);
    let (mut control, mut streams) =
        within(clock, PATIENCE, "the server did not prepare the test", prepared).await?;
    let direction = if options.reverse { Direction::Received } else { Direction::Sent };
    let transfer = Transfer { clock, block_bytes: BLOCK_BYTES, omit: Duration::ZERO, bits_per_second: 0 };
    let enough = async {
        clock.sleep(options.time).await;
        Ok(())
    };
    let moved = transfer.run(&mut streams, &directions(direction, options.streams), enough).await?;
    let finished = finish(&mut control, moved.results());
    let seen = within(clock, PATIENCE, "the server did not end the test", finished).await?;
    Ok(moved.report(direction, &seen, false))
}

/// Agrees on the parameters and makes the streams.
async fn prepare<N: Connector>(
    network: &mut N,
    options: &ClientOptions,
    cookie: Cookie,
) -> Result<(Control<N::Stream>, Vec<N::Stream>), Error> {
    let mut control = Control(connect(network, cookie).await?);
    control.expect(State::ParamExchange).await?;
    control.send(&parameters(options)).await?;
    control.expect(State::CreateStreams).await?;
    let mut streams = Vec::new();
    while streams.len() < options.streams {
        streams.push(connect(network, cookie).await?);
    }
    control.expect(State::TestStart).await?;
    control.expect(State::TestRunning).await?;
    Ok((control, streams))
}

async fn connect<N: Connector>(network: &mut N, cookie: Cookie) -> Result<N::Stream, Error> {
    let mut stream = network.connect().await?;
    write(&mut stream, cookie.bytes()).await?;
    Ok(stream)
}

/// Exchanges results. Returns how many bytes the server has seen of each stream.
async fn finish<S: embedded_io_async::Read + embedded_io_async::Write>(
    control: &mut Control<S>,
    results: Results,
) -> Result<Vec<u64>, Error> {
    control.send_state(State::TestEnd).await?;
    control.expect(State::ExchangeResults).await?;
    control.send(&results).await?;
    let seen = control.receive(Results::read_bytes).await?;
    control.expect(State::DisplayResults).await?;
    control.send_state(State::IperfDone).await?;
    Ok(seen)
}

fn parameters(options: &ClientOptions) -> Parameters {
    Parameters {
        tcp: true,
        time: u32::try_from(options.time.as_secs()).unwrap_or(u32::MAX),
        parallel: options.streams,
        len: BLOCK_BYTES,
        reverse: options.reverse,
        client_version: VERSION,
        ..Parameters::default()
    }
}
