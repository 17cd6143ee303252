//! A client's session: read a line, answer it, until the client has no more.

use alloc::string::String;
use core::{cell::Cell, fmt, fmt::Write as _, net::Ipv4Addr, time::Duration};

use cloison_net::{Config, Net, Seat, Seats, TcpConfig, TcpListener, TcpStream};
use cloison_rt::task;
use embedded_io_async::{Read, Write};

use crate::{
    Domain, PORT,
    command::{Command, ENTRIES},
    lines::{LINE_BYTES, Line, Lines},
};

/// How long a client may stay.
const SESSION: Duration = Duration::from_secs(300);
/// How long it may take for a line, and to take the answer.
const IDLE: Duration = Duration::from_secs(30);
/// The same while others stand in line.
const HESITATION: Duration = Duration::from_secs(5);
/// How long one that is never silent stays while others stand in line.
const TURN: Duration = Duration::from_secs(5);
/// How many may stand in line.
const BACKLOG: usize = 64;

/// Answers on port [`PORT`], to as many clients at a time as `clients` says.
///
/// # Errors
/// When the port cannot be listened on.
pub async fn listen<D: Domain>(net: &Net, domain: &D, clients: usize) -> Result<(), cloison_net::Error> {
    let tcp = TcpConfig { receive_bytes: 2048, send_bytes: 4096, ..Config::default().tcp };
    let listener = TcpListener::bind_with(net, PORT, BACKLOG, tcp)?;
    let seats = Seats::new(net, listener, clients, HESITATION);
    seats.serve(async |stream, seat| serve_client(net, &stream, seat, domain).await).await;
    Ok(())
}

async fn serve_client<D: Domain>(net: &Net, stream: &TcpStream, seat: &Seat<'_>, domain: &D) {
    // A client that resets its connection, or stays too long, has had its session.
    let (begin, last_line) = (net.now(), Cell::new(net.now()));
    let session = async {
        let each = |is_answered: bool| {
            last_line.set(net.now());
            if !is_answered {
                seat.works();
                return Goes::On;
            }
            if net.now().saturating_sub(begin) < TURN.as_micros() as u64 {
                seat.waits();
                return Goes::On;
            }
            if seat.leaves() { Goes::Away } else { Goes::On }
        };
        serve_lines(stream, stream, domain, each).await?;
        stream.close_write();
        let mut output = stream;
        output.flush().await
    };
    let session = net.within(SESSION, task::select(session, idle(net, &last_line)));
    if let task::Either::Second(()) = task::select(session, seat.wanted()).await {
        let mut output = stream;
        let farewell = output.write_all(b"others are waiting, and you have been silent\n");
        let _ = net.within(HESITATION, farewell).await;
    }
}

/// Ready when the last line is too long ago.
async fn idle(net: &Net, last_line: &Cell<u64>) {
    let limit = IDLE.as_micros() as u64;
    loop {
        let ago = net.now().saturating_sub(last_line.get());
        if ago >= limit {
            return;
        }
        net.sleep(Duration::from_micros(limit - ago)).await;
    }
}

/// How a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The client said `quit`.
    Quit,
    /// The client's input ended.
    Input,
    /// Others wanted the client's place.
    Place,
}

/// Whether a session goes on after a line, or after its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goes {
    /// It goes on.
    On,
    /// The answer is the last one, because others stand in line.
    Away,
}

/// Speaks with one client: reads commands from `input`, answers to `output`, until the client says `quit` or
/// nothing more.
///
/// # Errors
/// The stream's.
pub async fn serve<R, W, D>(input: R, output: W, domain: &D) -> Result<End, W::Error>
where
    R: Read<Error = W::Error>,
    W: Write,
    D: Domain,
{
    serve_lines(input, output, domain, |_| Goes::On).await
}

/// The same; asks `each` about every line, when it comes (false) and when it has its answer (true).
///
/// # Errors
/// The stream's.
pub async fn serve_lines<R, W, D>(
    input: R,
    mut output: W,
    domain: &D,
    each: impl Fn(bool) -> Goes,
) -> Result<End, W::Error>
where
    R: Read<Error = W::Error>,
    W: Write,
    D: Domain,
{
    let mut lines = Lines::new(input);
    while let Some(line) = lines.next().await? {
        each(false);
        let answer = match understand(&line) {
            Ok(None) => String::new(),
            Ok(Some(Command::Quit)) => return Ok(End::Quit),
            Ok(Some(command)) => answer(&command, domain).await,
            Err(complaint) => complaint,
        };
        // Now it is the client who has to do something: to take the answer, and to say the next line.
        let goes = each(true);
        output.write_all(answer.as_bytes()).await?;
        if goes == Goes::Away {
            output.write_all(b"others are waiting, and you have had your turn\n").await?;
            return Ok(End::Place);
        }
    }
    Ok(End::Input)
}

fn understand(line: &Line<'_>) -> Result<Option<Command>, String> {
    match line {
        Line::Text(text) => Command::parse(text).map_err(|complaint| text_of(format_args!("{complaint}\n"))),
        Line::TooLong => Err(text_of(format_args!("this line has more than {LINE_BYTES} bytes\n"))),
        Line::NotText => Err("this line is not text: only visible ASCII and blanks are\n".into()),
    }
}

async fn answer<D: Domain>(command: &Command, domain: &D) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = match command {
        Command::Ping(to) => {
            ping(*to, domain, &mut text).await;
            Ok(())
        }
        command => write_answer(command, domain, &mut text),
    };
    text
}

fn write_answer<D: Domain>(command: &Command, domain: &D, out: &mut String) -> fmt::Result {
    match command {
        Command::Help => ENTRIES.iter().try_for_each(|entry| writeln!(out, "{entry}")),
        Command::Version => {
            writeln!(out, "Cloison {}, ABI version {}", env!("CARGO_PKG_VERSION"), cloison_abi::ABI_VERSION)
        }
        Command::Name => writeln!(out, "{} of {}", domain.name(), domain.system()),
        Command::Manifest => {
            domain.manifest().iter().try_for_each(|byte| write!(out, "{byte:02x}"))?;
            writeln!(out)
        }
        Command::Uptime => {
            let uptime = domain.uptime();
            writeln!(out, "{}.{:03} s", uptime.as_secs(), uptime.subsec_millis())
        }
        Command::Counters => domain.write_counters(out),
        Command::Cmdline => writeln!(out, "{}", domain.arguments()),
        Command::Ping(_) | Command::Quit => Ok(()),
    }
}

async fn ping<D: Domain>(to: Ipv4Addr, domain: &D, out: &mut String) {
    let pinged = domain.ping(to, |reply| {
        let micros = reply.after.as_micros();
        let _ = writeln!(out, "{} answers, {}.{} ms", reply.from, micros / 1000, micros % 1000 / 100);
    });
    let _ = match pinged.await {
        Ok(0) => writeln!(out, "nobody answers"),
        Ok(_) => Ok(()),
        Err(error) => writeln!(out, "{error}"),
    };
}

fn text_of(arguments: fmt::Arguments<'_>) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = text.write_fmt(arguments);
    text
}
