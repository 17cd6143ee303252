//! Sessions: what clients type, and what they read.

use core::{
    cell::Cell,
    convert::Infallible,
    fmt,
    future::Future,
    net::Ipv4Addr,
    pin::pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use cloison_net::{EchoReply, Error};
use embedded_io_async::{ErrorType, Read};
use netshell::{Domain, End, Goes, LINE_BYTES, serve, serve_lines};

struct Alice;

impl Domain for Alice {
    fn name(&self) -> &str {
        "alice"
    }

    fn system(&self) -> &str {
        "net-demo"
    }

    fn manifest(&self) -> [u8; 32] {
        [0xa5; 32]
    }

    fn uptime(&self) -> Duration {
        Duration::from_millis(61_007)
    }

    fn arguments(&self) -> &str {
        "192.168.0.12"
    }

    fn write_counters(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        writeln!(out, "in 7 frames")
    }

    async fn ping(&self, to: Ipv4Addr, mut each: impl FnMut(EchoReply)) -> Result<usize, Error> {
        match to.octets()[3] {
            0 => return Err(Error::BadDestination),
            1 => return Ok(0),
            _ => each(EchoReply { from: to, after: Duration::from_micros(1_250) }),
        }
        Ok(1)
    }
}

/// A client that sends this in pieces of a given length, then ends.
struct Client<'a>(&'a [u8], usize);

impl ErrorType for Client<'_> {
    type Error = Infallible;
}

impl Read for Client<'_> {
    async fn read(&mut self, to: &mut [u8]) -> Result<usize, Infallible> {
        let count = self.0.len().min(self.1).min(to.len());
        to[..count].copy_from_slice(&self.0[..count]);
        self.0 = &self.0[count..];
        Ok(count)
    }
}

fn answers_to(input: &[u8], piece: usize) -> String {
    let mut answers = Vec::new();
    {
        let mut session = pin!(serve(Client(input, piece), &mut answers, &Alice));
        let end = session.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(matches!(end, Poll::Ready(Ok(_))), "nothing here waits");
    }
    String::from_utf8(answers).unwrap()
}

#[test]
fn each_command_is_answered() {
    for (command, answer) in [
        ("name", "alice of net-demo\n"),
        ("uptime", "61.007 s\n"),
        ("cmdline", "192.168.0.12\n"),
        ("cat /proc/cmdline", "192.168.0.12\n"),
        ("counters", "in 7 frames\n"),
        ("ping 192.168.0.12", "192.168.0.12 answers, 1.2 ms\n"),
        ("ping 192.168.0.1", "nobody answers\n"),
        ("ping 192.168.0.0", "the destination has no address or no port\n"),
        ("manifest", &["a5".repeat(32).as_str(), "\n"].concat()),
        ("", ""),
        ("quit", ""),
    ] {
        for piece in [1, 5, 1000] {
            assert_eq!(answers_to(command.as_bytes(), piece), answer, "{command}, which nothing ends");
            assert_eq!(answers_to(format!("{command}\r\n").as_bytes(), piece), answer, "{command}, CR LF");
        }
    }
    assert!(answers_to(b"version", 9).starts_with("Cloison "));
    assert_eq!(answers_to(b"help\n", 9).lines().count(), 9);
}

#[test]
fn a_session_goes_on_until_the_client_quits() {
    assert_eq!(answers_to(b"name\nuptime\nquit\nname\n", 3), "alice of net-demo\n61.007 s\n");
}

#[test]
fn a_client_that_is_never_silent_leaves_after_an_answer_if_others_wait() {
    let (mut answers, answered) = (Vec::new(), Cell::new(0));
    {
        // The others come while the second line is being answered.
        let each = |is_answered: bool| {
            answered.set(answered.get() + usize::from(is_answered));
            if answered.get() == 2 { Goes::Away } else { Goes::On }
        };
        let client = Client(b"name\nuptime\nname\nname\n", 100);
        let mut session = pin!(serve_lines(client, &mut answers, &Alice, each));
        let end = session.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert_eq!(end, Poll::Ready(Ok(End::Place)));
    }
    let expected = "alice of net-demo\n61.007 s\nothers are waiting, and you have had your turn\n";
    assert_eq!(String::from_utf8(answers).unwrap(), expected);
}

#[test]
fn nonsense_is_refused_in_a_sentence() {
    let long = "x".repeat(LINE_BYTES + 1);
    for (line, part) in [
        (b"rm -rf /".as_slice(), "no command `rm`"),
        (b"name now", "too many words"),
        (b"ping you", "`you` is no IPv4 address"),
        (b"\x1b[2J", "not text"),
        ("né".as_bytes(), "not text"),
        (long.as_bytes(), "more than 200 bytes"),
    ] {
        let answer = answers_to(&[line, b"\nname\n"].concat(), 50);
        assert!(answer.contains(part) && answer.ends_with("\nalice of net-demo\n"), "{answer}");
        assert_eq!(answer.lines().count(), 2, "{answer}");
    }
}
