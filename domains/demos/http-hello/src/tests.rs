//! Requests as clients send them, and what comes back.

extern crate std;

use core::{
    cell::Cell,
    convert::Infallible,
    future::Future,
    pin::pin,
    task::{Context, Poll, Waker},
};
use std::{string::String, vec, vec::Vec};

use bmi_api::{
    ManageError, State,
    manage::{Listed, Refusal},
};
use cloison_abi::{Name, port::PortFlags};
use cloison_ipc::Failure;
use embedded_io_async::{ErrorType, Read};
use ipcmon_api::{
    ControlError,
    control::{self, Counted},
};
use ore_api::{Cause, Counters, CountersError, Report, counters::PortFacts};

use crate::{HEAD_BYTES, Place, Request, Site, serve};

/// Two ports, two domains and a monitor, as far as they can be asked for.
#[derive(Clone, Copy)]
struct Shown {
    ports: bool,
    domains: Option<bool>,
    decisions: Option<bool>,
}

const ALL: Shown = Shown { ports: true, domains: Some(true), decisions: Some(true) };

impl Site for Shown {
    fn domain(&self) -> &str {
        "carol"
    }

    fn system(&self) -> &str {
        "net-demo"
    }

    fn reports(&self) -> Option<Result<Vec<Report>, CountersError>> {
        let mut nic = report("nic", PortFlags::UPLINK);
        nic.counters.dropped[Cause::Runt as usize] = 3;
        self.ports.then(|| Ok(vec![report("alice", PortFlags::empty()), nic]))
    }

    fn domains(&self) -> Option<Result<Vec<Listed>, ManageError>> {
        let listed = |name, is_managed, kib| {
            let (name, state) = (Name::new(name).unwrap(), State::Running);
            Listed { name, state, is_managed, lives: 2, kib, cpu_ms: 17 }
        };
        let all = vec![listed("console", false, 0), listed("stpm", true, 316)];
        let refused = Err(Failure::Refused(Refusal::NotAllowed));
        self.domains.map(|are_told| if are_told { Ok(all) } else { refused })
    }

    fn decisions(&self) -> Option<Result<Counted, ControlError>> {
        let counted = Counted { questions: 61, allowed: 52, denied: 9, kept: 43, refused: 34, epoch: 2 };
        let refused = Err(Failure::Refused(control::Refusal::NotManager));
        self.decisions.map(|are_told| if are_told { Ok(counted) } else { refused })
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

/// A client that sends all at once, in pieces of a given length.
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

/// A place in which this many answers can be had.
struct Wanted(Cell<usize>);

impl Place for Wanted {
    fn begins(&self) -> bool {
        self.0.set(self.0.get().saturating_sub(1));
        self.0.get() == 0
    }

    fn ends(&self) {}
}

fn answers_to(requests: &str, piece: usize) -> String {
    answers_at(&Wanted(Cell::new(usize::MAX)), requests, piece)
}

fn answers_at(place: &Wanted, requests: &str, piece: usize) -> String {
    answers_of(&ALL, place, requests, piece)
}

/// The body of what a site answers to a request for this path.
fn get(site: &Shown, path: &str) -> String {
    let request = std::format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
    answers_of(site, &Wanted(Cell::new(usize::MAX)), &request, 99)
}

fn answers_of(site: &Shown, place: &Wanted, requests: &str, piece: usize) -> String {
    let mut answers = Vec::new();
    {
        let mut serving = pin!(serve(Client(requests.as_bytes(), piece), &mut answers, site, place));
        let served = serving.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(served == Poll::Ready(Ok(())), "nothing here waits");
    }
    String::from_utf8(answers).unwrap()
}

/// Requests as RFC 9112 has them, and as it has them not; the answer's status, and whether the connection stays.
const REQUESTS: &[(&str, u16, bool)] = &[
    // Forms of the target.
    ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", 200, true),
    ("GET /?x=1 HTTP/1.1\r\nHost: a\r\n\r\n", 200, true),
    ("GET /index.html HTTP/1.1\r\nHost: a\r\n\r\n", 200, true),
    ("GET http://a:8080/counters.json HTTP/1.1\r\nHost: a:8080\r\n\r\n", 200, true),
    ("GET HTTP://a HTTP/1.1\r\nHost: a\r\n\r\n", 200, true),
    ("GET http://a?x=1 HTTP/1.1\r\nHost: a\r\n\r\n", 200, true),
    ("GET http:///x HTTP/1.1\r\nHost: a\r\n\r\n", 400, true),
    ("GET http://a@b/ HTTP/1.1\r\nHost: b\r\n\r\n", 400, true),
    ("GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400, true),
    ("GET a:80 HTTP/1.1\r\nHost: a\r\n\r\n", 400, true),
    ("GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400, true),
    ("GET /favicon.ico HTTP/1.1\r\nHost: a\r\n\r\n", 404, true),
    ("GET //counters.json HTTP/1.1\r\nHost: a\r\n\r\n", 404, true),
    // Methods.
    ("HEAD /counters.json HTTP/1.1\r\nHost: a\r\n\r\n", 200, true),
    ("HEAD /favicon.ico HTTP/1.1\r\nHost: a\r\n\r\n", 404, true),
    ("POST / HTTP/1.1\r\nHost: a\r\n\r\n", 405, true),
    ("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 405, true),
    ("CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", 405, true),
    ("get / HTTP/1.1\r\nHost: a\r\n\r\n", 501, true),
    ("FLY / HTTP/1.1\r\nHost: a\r\n\r\n", 501, true),
    // Versions.
    ("GET / HTTP/1.0\r\n\r\n", 200, false),
    ("GET /favicon.ico HTTP/1.0\r\n\r\n", 404, false),
    ("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", 200, false),
    ("GET / HTTP/1.2\r\nHost: a\r\n\r\n", 200, true),
    ("HEAD /favicon.ico HTTP/1.9\r\nHost: a\r\nConnection: close\r\n\r\n", 404, false),
    ("GET / HTTP/1.2\r\n\r\n", 400, false),
    ("GET / foo HTTP/1.1\r\nHost: a\r\n\r\n", 400, false),
    ("GET / foo HTTP/1.2\r\nHost: a\r\n\r\n", 400, false),
    ("GET / HTTP/1.10\r\nHost: a\r\n\r\n", 400, false),
    ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505, false),
    ("GET / HTTP/0.9\r\nHost: a\r\n\r\n", 505, false),
    ("GET / http/1.1\r\nHost: a\r\n\r\n", 400, false),
    ("GET /\r\n\r\n", 400, false),
    ("hello?\r\n\r\n", 400, false),
    // Hosts.
    ("GET / HTTP/1.1\r\n\r\n", 400, false),
    ("GET /favicon.ico HTTP/1.1\r\n\r\n", 400, false),
    ("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400, false),
    ("GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", 400, false),
    ("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400, false),
    ("GET / HTTP/1.0\r\nHost: a/b\r\n\r\n", 400, false),
    ("GET / HTTP/1.1\r\nHost:\r\n\r\n", 200, true),
    ("GET / HTTP/1.1\r\nhost: [::1]:80\r\n\r\n", 200, true),
    // Lists, and the case of letters.
    ("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 200, false),
    ("GET /favicon.ico HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 404, false),
    ("POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 405, false),
    ("GET / HTTP/1.1\r\nHost: a\r\nConnection: foo, CLOSE ,bar\r\n\r\n", 200, false),
    ("GET / HTTP/1.1\r\nHost: a\r\nConnection: foo\r\nconnection: close\r\n\r\n", 200, false),
    ("GET / HTTP/1.1\r\nHost: a\r\nConnection: closed\r\n\r\n", 200, true),
    ("GET / HTTP/1.1\r\nHost: a\r\nConnection: , ,\r\n\r\n", 200, true),
    // Bodies.
    ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", 200, true),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", 405, true),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", 405, true),
    ("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n", 405, false),
    ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n", 413, false),
    ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n", 400, false),
    ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", 400, false),
    ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\nhello", 400, false),
    ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n", 400, false),
    ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5\r\n\r\nhello", 400, false),
    ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello", 400, false),
    ("GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 501, false),
    (
        "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        400,
        false,
    ),
    // Lines.
    ("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 200, true),
    ("GET / HTTP/1.1\nHost: a\n\n", 200, true),
    ("GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n z\r\n\r\n", 400, false),
    ("GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400, false),
    ("GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n", 400, false),
    ("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400, false),
];

#[test]
fn each_request_has_its_answer() {
    let next = "GET /counters.json HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    for (request, status, stays) in REQUESTS {
        for piece in [1, 7, HEAD_BYTES] {
            let answers = answers_to(&[*request, next].concat(), piece);
            let context = std::format!("{request:?} in pieces of {piece}: {answers}");
            assert_eq!(answers.get(9..12), Some(&*std::format!("{status}")), "{context}");
            assert_eq!(answers.matches("HTTP/1.1 ").count(), if *stays { 2 } else { 1 }, "{context}");
            assert_eq!(answers.matches("Connection: keep-alive").count(), usize::from(*stays), "{context}");
        }
    }
    let refused = answers_to("DELETE / HTTP/1.1\r\nHost: a\r\n\r\n", 9);
    assert!(refused.contains("Allow: GET, HEAD\r\n"));
}

#[test]
fn a_head_is_bounded() {
    let long = "y".repeat(HEAD_BYTES);
    let header = std::format!("GET / HTTP/1.1\r\nx: {long}\r\n\r\n");
    let target = std::format!("GET /{long} HTTP/1.1\r\nHost: a\r\n\r\n");
    let many = std::format!("GET / HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(49));
    for (request, status) in [(header, "431"), (target, "414"), (many, "431")] {
        assert_eq!(answers_to(&request, 1000).get(9..12), Some(status), "{request}");
    }
    assert_eq!(Request::parse(b"GET / HT"), None);
}

#[test]
fn several_requests_share_a_connection_until_one_closes_it() {
    let get = "GET /counters.json HTTP/1.1\r\nHost: a\r\n\r\n";
    let last = "GET /counters.json HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let answers = answers_to(&[get, get, last, get].concat(), 17);
    assert_eq!(answers.matches("200 OK").count(), 3);
    assert_eq!(answers.matches("Connection: keep-alive").count(), 2);
}

#[test]
fn a_head_has_no_body_and_says_how_long_it_would_be() {
    let body = |answer: &str| answer.split_once("\r\n\r\n").map(|(_, body)| String::from(body)).unwrap();
    let (head, get) = (
        answers_to("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", 99),
        answers_to("GET / HTTP/1.1\r\nHost: a\r\n\r\n", 99),
    );
    assert_eq!(body(&head), "");
    assert_eq!(body(&answers_to("HEAD /nothing HTTP/1.1\r\nHost: a\r\n\r\n", 99)), "");
    assert!(head.contains(&std::format!("Content-Length: {}\r\n", body(&get).len())));
}

/// Whatever the answer is (RFC 9110, section 9.3.2).
#[test]
fn no_answer_to_a_head_has_a_body() {
    let as_head = |request: &str| {
        let (_, rest) = request.trim_ascii_start().split_once(' ')?;
        Some(["HEAD ", rest.strip_suffix("hello").unwrap_or(rest)].concat())
    };
    let heads = REQUESTS.iter().filter_map(|(request, ..)| as_head(request));
    let long = "y".repeat(HEAD_BYTES);
    let others = [
        std::format!("HEAD /{long} HTTP/1.1\r\nHost: a\r\n\r\n"),
        std::format!("\r\nHEAD / HTTP/1.1\r\nx: {long}\r\n\r\n"),
        std::format!("HEAD / HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(49)),
    ];
    for request in heads.chain(others) {
        for answer in answers_to(&request, 99).split_inclusive("\r\n\r\n") {
            assert!(answer.starts_with("HTTP/1.1 ") && answer.ends_with("\r\n\r\n"), "{request:?}: {answer}");
        }
    }
}

#[test]
fn a_connection_whose_place_is_wanted_ends_with_its_answer() {
    let get = "GET /counters.json HTTP/1.1\r\nHost: a\r\n\r\n";
    let answers = answers_at(&Wanted(Cell::new(2)), &get.repeat(4), 17);
    assert_eq!(answers.matches("200 OK").count(), 2);
    assert_eq!(answers.matches("Connection: keep-alive").count(), 1);
    assert_eq!(answers.matches("Connection: close").count(), 1);
}

#[test]
fn pages_show_the_ports() {
    let page = answers_to("GET / HTTP/1.1\r\nHost: a\r\n\r\n", 99);
    for text in ["carol", "net-demo", "alice", "192.168.0.11", "to the world outside", "02:00:c0:a8:00:0b"] {
        assert!(page.contains(text), "{text}");
    }
    let json = answers_to("GET /counters.json HTTP/1.1\r\nHost: a\r\n\r\n", 99);
    assert!(json.contains(r#""frames_in":7"#) && json.contains(r#""causes":{"too short":3}"#), "{json}");
}

#[test]
fn pages_show_the_domains() {
    let page = get(&ALL, "/");
    for text in [
        "<td>console<td data-key=\"state\">at boot<",
        "<td>stpm<td data-key=\"state\">running<",
        ">316<",
        ">17<",
        ">61<",
        ">34<",
    ] {
        assert!(page.contains(text), "{text} in {page}");
    }
    let json = get(&ALL, "/status.json");
    let told = r#"{"domains":[
        {"name":"console","state":"at boot","managed":false,"kib":null,"cpu_ms":null,"lives":null},
        {"name":"stpm","state":"running","managed":true,"kib":316,"cpu_ms":17,"lives":2}],
        "decisions":{"questions":61,"allowed":52,"denied":9,"kept":43,"refused":34,"epoch":2}}"#;
    let told: String = told.split("\n        ").collect();
    assert!(json.contains("application/json") && json.contains(&told), "{json}");
}

/// What a domain cannot ask for is not there; what it is refused, it says.
#[test]
fn a_site_shows_what_it_is_told() {
    let without_ports = Shown { ports: false, ..ALL };
    let without_domains = Shown { domains: None, decisions: None, ..ALL };
    let with_decisions_alone = Shown { ports: false, domains: None, ..ALL };
    let without_answer = Shown { decisions: Some(false), ..ALL };
    for (site, path, status) in [
        (without_ports, "/", "200"),
        (without_ports, "/status.json", "200"),
        (without_ports, "/counters.json", "404"),
        (without_domains, "/", "200"),
        (without_domains, "/status.json", "404"),
        (without_domains, "/counters.json", "200"),
        (Shown { domains: Some(false), ..ALL }, "/", "503"),
        (Shown { domains: Some(false), ..ALL }, "/status.json", "503"),
        (Shown { domains: Some(false), ..ALL }, "/counters.json", "200"),
        (with_decisions_alone, "/", "200"),
        (with_decisions_alone, "/status.json", "200"),
        (with_decisions_alone, "/counters.json", "404"),
        (without_answer, "/", "503"),
        (without_answer, "/status.json", "503"),
        (without_answer, "/counters.json", "200"),
    ] {
        assert_eq!(get(&site, path).get(9..12), Some(status), "{path}");
    }
    assert!(!get(&without_ports, "/").contains("VLAN") && get(&without_ports, "/").contains("stpm"));
    assert!(!get(&without_domains, "/").contains("stpm") && get(&without_domains, "/").contains("VLAN"));
    assert!(get(&with_decisions_alone, "/").contains(">61<"));
    assert!(get(&with_decisions_alone, "/status.json").contains(r#"{"decisions":{"#));
    let refused = get(&Shown { domains: Some(false), ..ALL }, "/status.json");
    assert!(
        refused.contains("the manager does not answer: the manifest does not let this domain ask for it")
    );
    let refused = get(&without_answer, "/status.json");
    let why = "the monitor does not answer: this domain was not given the option for this";
    assert!(refused.contains(why), "{refused}");
}
