//! Server and client over the host's sockets: with each other, with the real iperf3, and with strangers.

mod host;

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    process::{Child, Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use host::{Address, DataClock, Port, StoppedClock, WallClock, block_on};
use image_machine::{interrupts::Interrupts, progress::Progress, tools};
use iperf::{ClientOptions, Clock, Cookie, Direction, Error, Newcomers, Report, call, serve};

fn options(server: SocketAddr) -> ClientOptions {
    let SocketAddr::V4(server) = server else { panic!("not IPv4") };
    ClientOptions { server, time: Duration::from_secs(1), reverse: false, streams: 1 }
}

/// Runs the server for one client, in a thread of its own.
fn served(port: Port, clock: impl Clock + Send + 'static) -> thread::JoinHandle<Result<Report, Error>> {
    thread::spawn(move || block_on(serve(&mut Newcomers::new(port, &clock))))
}

fn called(options: ClientOptions) -> Result<Report, Error> {
    block_on(call(&mut Address(options.server.into()), &DataClock, &options, 42))
}

/// The real iperf3, with these arguments. It is installed if it is not there, as all programs are.
fn iperf3(arguments: &[&str]) -> Command {
    tools::require(&[tools::IPERF3], &Progress::silent(), &Interrupts::none().unwrap()).unwrap();
    let mut command = Command::new(tools::IPERF3.name);
    command.args(arguments).stdin(Stdio::null());
    command
}

/// All that a program has said.
fn said(output: &Output) -> String {
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}

/// A real server that ends after one test. Returns its port.
fn real_server() -> (Child, SocketAddr) {
    let (port, address) = Port::open();
    drop(port);
    let number = address.port().to_string();
    let mut command = iperf3(&["-s", "-1", "-4", "--forceflush", "-p", &number]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    // A connection to look whether it is ready would be its one test.
    let says = BufReader::new(child.stdout.as_mut().unwrap()).lines();
    assert!(says.map_while(Result::ok).any(|line| line.contains("listening on")));
    (child, address)
}

/// A client by hand, whose test runs from now on. `between` is done before its second connection.
fn running<T>(address: SocketAddr, between: impl FnOnce() -> T) -> ([TcpStream; 2], T) {
    let parameters = br#"{"tcp":true,"time":1,"parallel":1}"#;
    let mut client = TcpStream::connect(address).unwrap();
    client.write_all(Cookie::new(7).bytes()).unwrap();
    client.read_exact(&mut [0]).unwrap();
    client.write_all(&(parameters.len() as u32).to_be_bytes()).unwrap();
    client.write_all(parameters).unwrap();
    client.read_exact(&mut [0]).unwrap();
    let done = between();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(Cookie::new(7).bytes()).unwrap();
    client.read_exact(&mut [0; 2]).unwrap();
    ([client, stream], done)
}

fn check(report: &Report, direction: Direction, streams: usize) {
    assert_eq!((report.direction, report.streams), (direction, streams));
    assert!(report.bytes > 1 << 20 && report.bits_per_second() > 1e6, "{report}");
    assert!((0.8..3.0).contains(&report.time.as_secs_f64()), "{report}");
}

#[test]
fn server_and_client_agree() {
    for (reverse, direction) in [(false, Direction::Sent), (true, Direction::Received)] {
        let (port, address) = Port::open();
        let server = served(port, DataClock);
        let client = called(ClientOptions { reverse, streams: 2, ..options(address) }).unwrap();
        check(&client, direction, 2);
        let server = server.join().unwrap().unwrap();
        assert_ne!(server.direction, client.direction);
        assert_eq!(server.streams, 2);
        // The sender states what the receiver has seen.
        assert_eq!(server.bytes, client.bytes);
    }
}

#[test]
fn the_real_client_measures_this_server() {
    for (arguments, direction, streams) in [
        (&["-n", "64M"][..], Direction::Received, 1),
        (&["-n", "64M", "-R"], Direction::Sent, 1),
        (&["-n", "64M", "-P", "2"], Direction::Received, 2),
        (&["-t", "2", "-O", "1", "-R", "-P", "2"], Direction::Sent, 2),
        (&["-n", "64M", "--bidir"], Direction::Both, 1),
        (&["-n", "64M", "--bidir", "-P", "2"], Direction::Both, 2),
        (&["-n", "2M", "-R", "-b", "40M"], Direction::Sent, 1),
        (&["-n", "2M", "-u", "-b", "40M", "-l", "1400"], Direction::Received, 1),
        (&["-n", "2M", "-u", "-b", "40M", "-l", "1400", "-R"], Direction::Sent, 1),
        (&["-n", "2M", "-u", "-b", "40M", "-l", "1400", "--bidir", "-P", "2"], Direction::Both, 2),
        (
            &["-t", "2", "-O", "1", "-u", "-b", "40M", "-l", "1400", "--udp-counters-64bit"],
            Direction::Received,
            1,
        ),
    ] {
        let (port, address) = Port::open();
        let server = served(port, WallClock(Instant::now()));
        let number = address.port().to_string();
        let common = ["-c", "127.0.0.1", "-p", &number];
        let output = iperf3(&[&common, arguments].concat()).output().unwrap();
        let text = said(&output);
        assert!(output.status.success(), "{arguments:?}: {text}");
        assert!(text.contains("receiver") && text.contains("iperf Done"), "{arguments:?}: {text}");
        let report = server.join().unwrap().unwrap();
        assert_eq!((report.direction, report.streams), (direction, streams), "{arguments:?}");
        assert!(report.bytes > 0 && report.back != Some(0), "{arguments:?}: {report}");
    }
}

#[test]
fn the_real_client_understands_a_refusal() {
    let (port, address) = Port::open();
    let server = served(port, StoppedClock);
    let number = address.port().to_string();
    let output = iperf3(&["-c", "127.0.0.1", "-p", &number, "-n", "1M", "-P", "9"]).output().unwrap();
    assert!(!output.status.success());
    let text = said(&output);
    assert!(text.contains("number of parallel streams"), "{text}");
    assert!(matches!(server.join().unwrap(), Err(Error::Unsupported(_))));
}

#[test]
fn this_client_measures_the_real_server() {
    for (reverse, streams) in [(false, 1), (true, 1), (false, 2)] {
        let (mut server, address) = real_server();
        let report = called(ClientOptions { reverse, streams, ..options(address) });
        let direction = if reverse { Direction::Received } else { Direction::Sent };
        check(&report.unwrap(), direction, streams);
        assert!(server.wait().unwrap().success());
    }
}

#[test]
fn a_second_client_hears_that_the_server_is_busy() {
    let (port, address) = Port::open();
    let server = served(port, StoppedClock);
    let (first, ()) = running(address, || ());
    assert_eq!(called(options(address)), Err(Error::Busy));
    drop(first);
    assert_eq!(server.join().unwrap(), Err(Error::Ended));
}

#[test]
fn strangers_are_refused_and_do_no_harm() {
    let cookie = *Cookie::new(1).bytes();
    let with_object =
        |length: u32, text: &str| [&cookie[..], &length.to_be_bytes(), text.as_bytes()].concat();
    let messages: [Vec<u8>; 6] = [
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: x\r\n\r\n".to_vec(),
        b"hello".to_vec(),
        vec![0xff; 4096],
        with_object(u32::MAX, "{"),
        with_object(9, "{\"tcp\":tr"),
        with_object(4, "null"),
    ];
    let (port, address) = Port::open();
    let mut newcomers = Newcomers::new(port, &DataClock);
    for message in messages {
        let stranger = thread::spawn(move || {
            let mut stream = TcpStream::connect(address).unwrap();
            // It may be refused before it has said all.
            let _ = stream.write_all(&message);
            let _ = stream.shutdown(std::net::Shutdown::Write);
            let _ = stream.read_to_end(&mut Vec::new());
        });
        let error = block_on(serve(&mut newcomers)).unwrap_err();
        let is_expected = matches!(error, Error::Garbage(_) | Error::Ended | Error::Network(_));
        assert!(is_expected, "{error:?}");
        stranger.join().unwrap();
    }
    let client = thread::spawn(move || called(options(address)));
    assert!(block_on(serve(&mut newcomers)).is_ok());
    check(&client.join().unwrap().unwrap(), Direction::Sent, 1);
}

/// Whatever a client sends as JSON: it gets a state, or an error with its number, and never silence.
#[test]
fn each_object_has_an_answer() {
    for (text, expected) in [
        (r#"{"tcp":true,"time":1.0,"num":1e+15,"parallel":1,"parallel":1}"#, &[10][..]),
        (r#"{"tcp":true,"parallel":-1}"#, &[0xfe, 0, 0, 0, 114, 0, 0, 0, 0]),
        (r#"{"tcp":true,"parallel":1e400}"#, &[0xfe, 0, 0, 0, 114, 0, 0, 0, 0]),
        (r#"{"tcp":tr"#, &[0xfe, 0, 0, 0, 114, 0, 0, 0, 0]),
        ("\u{7f}", &[0xfe, 0, 0, 0, 114, 0, 0, 0, 0]),
        ("", &[0xfe, 0, 0, 0, 114, 0, 0, 0, 0]),
        (&"[".repeat(9_999), &[0xfe, 0, 0, 0, 114, 0, 0, 0, 0]),
        (r#"{"tcp":true,"parallel":9}"#, &[0xfe, 0, 0, 0, 6, 0, 0, 0, 0]),
        (r#"{"sctp":true}"#, &[0xfe, 0, 0, 0, 13, 0, 0, 0, 0]),
    ] {
        let (port, address) = Port::open();
        let server = served(port, WallClock(Instant::now()));
        let mut client = TcpStream::connect(address).unwrap();
        client.write_all(b"host-1.lan.1417189200.123456.0a1b2c3\0").unwrap();
        let mut state = [0];
        client.read_exact(&mut state).unwrap();
        assert_eq!(state, [9]);
        client.write_all(&(text.len() as u32).to_be_bytes()).unwrap();
        client.write_all(text.as_bytes()).unwrap();
        let mut answer = vec![0; expected.len()];
        client.read_exact(&mut answer).unwrap();
        assert_eq!(answer, expected, "{text:.40}");
        drop(client);
        assert!(server.join().unwrap().is_err());
    }
}

/// More of them than are heard at a time, all at once: each has its turn.
#[test]
fn nobody_who_shows_a_cookie_is_overlooked() {
    let (port, address) = Port::open();
    let clients: Vec<TcpStream> = (0..9)
        .map(|number| {
            let mut client = TcpStream::connect(address).unwrap();
            client.write_all(Cookie::new(number).bytes()).unwrap();
            client
        })
        .collect();
    let server = thread::spawn(move || {
        let mut newcomers = Newcomers::new(port, &StoppedClock);
        (0..9).map(|_| block_on(serve(&mut newcomers))).collect::<Vec<_>>()
    });
    for mut client in clients {
        let mut state = [0];
        client.read_exact(&mut state).expect("the server says something");
        assert_eq!(state, [9]);
    }
    assert!(server.join().unwrap().iter().all(|outcome| *outcome == Err(Error::Ended)));
}

/// More of them than are heard at a time, before the client comes and between its connections. The server's clock
/// stands still: it would wait for ever for whom it waits.
#[test]
fn silent_strangers_delay_nobody() {
    let (port, address) = Port::open();
    let strangers =
        |count| -> Vec<TcpStream> { (0..count).map(|_| TcpStream::connect(address).unwrap()).collect() };
    let before = strangers(6);
    let server = thread::spawn(|| block_on(serve(&mut Newcomers::new(port, &StoppedClock))));
    let (client, between) = running(address, || strangers(6));
    drop((before, between, client));
    assert_eq!(server.join().unwrap(), Err(Error::Ended));
}
