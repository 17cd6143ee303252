//! Requests as clients send them, and what comes back.

extern crate std;

use core::{
    convert::Infallible,
    future::Future,
    pin::pin,
    task::{Context, Poll, Waker},
};
use std::{string::String, vec, vec::Vec};

use cloison_abi::{Name, port::PortFlags};
use embedded_io_async::{ErrorType, Read, Write};
use ore_api::{Cause, Counters, CountersError, Report, counters::PortFacts};

use crate::{HEAD_BYTES, Request, Site, serve};

struct TwoPorts;

impl Site for TwoPorts {
    fn domain(&self) -> &str {
        "carol"
    }

    fn system(&self) -> &str {
        "net-demo"
    }

    fn reports(&self) -> Result<Vec<Report>, CountersError> {
        let mut nic = report("nic", PortFlags::UPLINK);
        nic.counters.dropped[Cause::Runt as usize] = 3;
        Ok(vec![report("alice", PortFlags::empty()), nic])
    }
}

fn report(name: &str, flags: PortFlags) -> Report {
    let facts = PortFacts {
        name: Name::new(name).unwrap(),
        mac: [2, 0, 192, 168, 0, 11],
        address: [192, 168, 0, 11],
        vlan: 1,
        flags: flags.bits() as u8,
        cut_off: false,
    };
    Report { facts, counters: Counters { frames_in: 7, ..Counters::default() } }
}

/// A client that sends all at once, in pieces of so many bytes.
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

#[derive(Default)]
struct Answers(Vec<u8>);

impl ErrorType for Answers {
    type Error = Infallible;
}

impl Write for Answers {
    async fn write(&mut self, from: &[u8]) -> Result<usize, Infallible> {
        self.0.extend_from_slice(from);
        Ok(from.len())
    }

    async fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

fn answers_to(requests: &str, piece: usize) -> String {
    let mut answers = Answers::default();
    {
        let mut serving = pin!(serve(Client(requests.as_bytes(), piece), &mut answers, &TwoPorts));
        let served = serving.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(served == Poll::Ready(Ok(())), "nothing here waits");
    }
    String::from_utf8(answers.0).unwrap()
}

#[test]
fn each_request_has_its_status() {
    for (request, status) in [
        ("GET / HTTP/1.1\r\n\r\n", "200"),
        ("GET /?x=1 HTTP/1.0\r\n\r\n", "200"),
        ("HEAD /counters.json HTTP/1.1\r\n\r\n", "200"),
        ("GET /favicon.ico HTTP/1.1\r\n\r\n", "404"),
        ("POST / HTTP/1.1\r\n\r\n", "405"),
        ("GET / HTTP/1.1\r\nContent-Length: 5\r\n\r\n", "400"),
        ("hello?\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\nno colon\r\n\r\n", "400"),
    ] {
        for piece in [1, 7, HEAD_BYTES] {
            let answer = answers_to(request, piece);
            assert_eq!(answer.get(9..12), Some(status), "{request:?} in pieces of {piece}: {answer}");
        }
    }
    assert!(answers_to("DELETE / HTTP/1.1\r\n\r\n", 9).contains("Allow: GET, HEAD\r\n"));
}

#[test]
fn a_head_is_bounded() {
    let long = std::format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "y".repeat(HEAD_BYTES));
    assert!(answers_to(&long, 1000).starts_with("HTTP/1.1 431"));
    assert_eq!(Request::parse(b"GET / HT"), None);
}

#[test]
fn several_requests_share_a_connection_until_one_closes_it() {
    let get = "GET /counters.json HTTP/1.1\r\n\r\n";
    let last = "GET /counters.json HTTP/1.1\r\nConnection: close\r\n\r\n";
    let answers = answers_to(&[get, get, last, get].concat(), 17);
    assert_eq!(answers.matches("200 OK").count(), 3);
    assert_eq!(answers.matches("Connection: keep-alive").count(), 2);
}

#[test]
fn a_head_has_no_body_and_says_how_long_it_would_be() {
    let body = |answer: &str| answer.split_once("\r\n\r\n").map(|(_, body)| String::from(body)).unwrap();
    let (head, get) = (answers_to("HEAD / HTTP/1.1\r\n\r\n", 99), answers_to("GET / HTTP/1.1\r\n\r\n", 99));
    assert_eq!(body(&head), "");
    assert!(head.contains(&std::format!("Content-Length: {}\r\n", body(&get).len())));
}

#[test]
fn pages_show_the_ports() {
    let page = answers_to("GET / HTTP/1.1\r\n\r\n", 99);
    for text in ["carol", "net-demo", "alice", "192.168.0.11", "to the world outside", "02:00:c0:a8:00:0b"] {
        assert!(page.contains(text), "{text}");
    }
    let json = answers_to("GET /counters.json HTTP/1.1\r\n\r\n", 99);
    assert!(json.contains(r#""frames_in":7"#) && json.contains(r#""causes":{"too short":3}"#), "{json}");
}
