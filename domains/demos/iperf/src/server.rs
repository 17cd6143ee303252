//! The server's side of a test.

use alloc::vec::Vec;
use core::time::Duration;

use embassy_futures::select::{Either, select};
use embedded_io_async::{Read, Write};

use crate::{
    Clock, Cookie, Datagrams, Direction, Error, Listener, Newcomers, Parameters, Report, Results, State,
    control::Control,
    datagrams::DatagramStreams,
    host::within,
    parameters::Refusal,
    transfer::{Moved, Transfer, directions},
};

/// How long the client may take to prepare a test, to say that the time is over, and to end it.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a test at most takes that ends after a number of bytes.
const LONGEST: Duration = Duration::from_secs(3600);

/// Waits for a client and makes the test that it asks for. Others that come meanwhile are told that the
/// server is busy.
///
/// # Errors
///
/// When a stranger comes, or the client asks for something that there is not, does not keep to the protocol,
/// or goes away. The server can serve the next one.
pub async fn serve<'a, L, C>(newcomers: &mut Newcomers<'a, L, C>) -> Result<Report, Error>
where
    L: Listener<Stream: 'a>,
    C: Clock,
{
    let clock = newcomers.clock();
    let (stream, cookie) = newcomers.next().await?;
    let (mut control, cookie) = (Control(stream), cookie?);
    let prepared = prepare(&mut control, cookie, newcomers);
    let (parameters, mut streams) =
        within(clock, PATIENCE, "the client did not prepare the test", prepared).await?;
    let transfer = Transfer {
        clock,
        block_bytes: parameters.len,
        omit: seconds(parameters.omit),
        bits_per_second: parameters.bandwidth,
    };
    let direction = parameters.direction_of_server();
    let ways = directions(direction, parameters.parallel);
    let running = streams.run(&transfer, &ways, control.expect(State::TestEnd));
    let running =
        within(clock, longest(&parameters), "the client did not say that the time is over", running);
    let moved = match select(running, deny_all(newcomers.dismiss())).await {
        Either::First(result) => result?,
        Either::Second(error) => return Err(error),
    };
    // A client that receives reads to the end of its streams first.
    drop(streams);
    let seen =
        within(clock, PATIENCE, "the client did not end the test", finish(&mut control, &moved)).await?;
    Ok(moved.report(direction, &seen, parameters.udp))
}

/// What data is moved on.
enum Streams<S, D> {
    Connections(Vec<S>),
    Datagrams(DatagramStreams<D>),
}

impl<S: Read + Write, D: Datagrams> Streams<S, D> {
    async fn run<C: Clock>(
        &mut self,
        transfer: &Transfer<'_, C>,
        directions: &[Direction],
        end: impl Future<Output = Result<(), Error>>,
    ) -> Result<Moved, Error> {
        match self {
            Self::Connections(streams) => transfer.run(streams, directions, end).await,
            Self::Datagrams(streams) => streams.run(transfer, end).await,
        }
    }
}

/// How long data may flow.
fn longest(parameters: &Parameters) -> Duration {
    match parameters.time {
        0 => LONGEST,
        time => seconds(parameters.omit) + seconds(time) + PATIENCE,
    }
}

fn seconds(number: u32) -> Duration {
    Duration::from_secs(number.into())
}

/// Agrees on the parameters and gets the streams.
async fn prepare<'a, L, C>(
    control: &mut Control<L::Stream>,
    cookie: Cookie,
    newcomers: &mut Newcomers<'a, L, C>,
) -> Result<(Parameters, Streams<L::Stream, L::Datagrams>), Error>
where
    L: Listener<Stream: 'a>,
    C: Clock,
{
    control.send_state(State::ParamExchange).await?;
    let parameters = control.receive_or_refuse(Parameters::read, Refusal::PARAMETERS).await?;
    if let Some(refusal) = parameters.refusal() {
        control.refuse(refusal.number).await?;
        return Err(refusal.into());
    }
    let directions = directions(parameters.direction_of_server(), parameters.parallel);
    let streams = if parameters.udp {
        // The client's first datagram comes as soon as it may.
        let socket = newcomers.listener().datagrams().await?;
        control.send_state(State::CreateStreams).await?;
        let host = L::host(&control.0);
        let gathered = DatagramStreams::gather(socket, host, &directions, parameters.has_wide_numbers);
        Streams::Datagrams(gathered.await?)
    } else {
        control.send_state(State::CreateStreams).await?;
        Streams::Connections(connections(cookie, directions.len(), newcomers).await?)
    };
    control.send_state(State::TestStart).await?;
    control.send_state(State::TestRunning).await?;
    Ok((parameters, streams))
}

/// Waits for the connections of a test.
async fn connections<'a, L, C>(
    cookie: Cookie,
    count: usize,
    newcomers: &mut Newcomers<'a, L, C>,
) -> Result<Vec<L::Stream>, Error>
where
    L: Listener<Stream: 'a>,
    C: Clock,
{
    let mut streams = Vec::new();
    while streams.len() < count {
        let (stream, shown) = newcomers.next().await?;
        if shown == Ok(cookie) {
            streams.push(stream);
        } else {
            // Whether the stranger hears it is not the test's business.
            let _ = Control(stream).send_state(State::AccessDenied).await;
        }
    }
    Ok(streams)
}

/// Tells everybody who comes that the server is busy. Ready only when the port fails.
async fn deny_all<L: Listener>(listener: &mut L) -> Error {
    loop {
        match listener.accept().await {
            Ok(stream) => drop(Control(stream).send_state(State::AccessDenied).await),
            Err(error) => return error,
        }
    }
}

/// Exchanges results. Returns how many bytes the client has seen of each stream.
async fn finish<S: Read + Write>(control: &mut Control<S>, moved: &Moved) -> Result<Vec<u64>, Error> {
    control.send_state(State::ExchangeResults).await?;
    let seen = control.receive_or_refuse(Results::read_bytes, Refusal::RESULTS).await?;
    control.send(&moved.results()).await?;
    control.send_state(State::DisplayResults).await?;
    control.expect(State::IperfDone).await?;
    Ok(seen)
}
