//! The server's side of a test.

use alloc::vec::Vec;
use core::time::Duration;

use embassy_futures::select::{Either, select};
use embedded_io_async::{Read, Write};

use crate::{
    Clock, Cookie, Error, Listener, Parameters, Report, State,
    control::{Control, read_cookie},
    host::within,
    transfer::{Moved, Transfer},
};

/// How long the client may take to prepare a test, and to end it.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a new connection may take to say whether it belongs to the test.
const PATIENCE_FOR_COOKIE: Duration = Duration::from_secs(2);

/// Waits for a client and makes the test that it asks for. Others that come meanwhile are told that the
/// server is busy.
///
/// # Errors
///
/// When the client asks for something that there is not, does not keep to the protocol, or goes away. The
/// server can serve the next one.
pub async fn serve<L: Listener, C: Clock>(listener: &mut L, clock: &C) -> Result<Report, Error> {
    let mut control = Control(listener.accept().await?);
    let prepared = prepare(&mut control, listener, clock);
    let (parameters, mut streams) =
        within(clock, PATIENCE, "the client did not prepare the test", prepared).await?;
    let transfer = Transfer {
        clock,
        direction: parameters.direction_of_server(),
        block_bytes: parameters.len,
        omit: Duration::from_secs(parameters.omit.into()),
    };
    let running = transfer.run(&mut streams, control.expect(State::TestEnd));
    let moved = match select(running, deny_all(listener)).await {
        Either::First(result) => result?,
        Either::Second(error) => return Err(error),
    };
    // A client that receives reads to the end of its streams first.
    drop(streams);
    let seen =
        within(clock, PATIENCE, "the client did not end the test", finish(&mut control, &moved)).await?;
    Ok(moved.report(transfer.direction, seen))
}

/// Agrees on the parameters and gets the streams.
async fn prepare<L: Listener>(
    control: &mut Control<L::Stream>,
    listener: &mut L,
    clock: &impl Clock,
) -> Result<(Parameters, Vec<L::Stream>), Error> {
    let cookie = read_cookie(&mut control.0).await?;
    control.send_state(State::ParamExchange).await?;
    let parameters: Parameters = control.receive().await?;
    if let Some(refusal) = parameters.refusal() {
        control.refuse(refusal.number).await?;
        return Err(refusal.into());
    }
    control.send_state(State::CreateStreams).await?;
    let mut streams = Vec::new();
    while streams.len() < parameters.parallel {
        let mut stream = listener.accept().await?;
        if belongs(&mut stream, cookie, clock).await {
            streams.push(stream);
        } else {
            // Whether the stranger hears it is not the test's business.
            let _ = Control(stream).send_state(State::AccessDenied).await;
        }
    }
    control.send_state(State::TestStart).await?;
    control.send_state(State::TestRunning).await?;
    Ok((parameters, streams))
}

/// Whether a new connection belongs to the test.
async fn belongs(stream: &mut (impl Read + Write), cookie: Cookie, clock: &impl Clock) -> bool {
    let shown = within(clock, PATIENCE_FOR_COOKIE, "no cookie came", read_cookie(stream)).await;
    shown == Ok(cookie)
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

/// Exchanges results. → how many bytes the client has seen.
async fn finish<S: Read + Write>(control: &mut Control<S>, moved: &Moved) -> Result<u64, Error> {
    control.send_state(State::ExchangeResults).await?;
    let seen: crate::Results = control.receive().await?;
    control.send(&moved.results()).await?;
    control.send_state(State::DisplayResults).await?;
    control.expect(State::IperfDone).await?;
    Ok(seen.bytes())
}
