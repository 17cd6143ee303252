//! Name servers of all makes, and what they say of a name.

use std::{net::Ipv4Addr, time::Duration};

use cloison_net::{Config, Error, UdpSocket};

use crate::world::{Faults, World, both, host};

const NAME: &str = "www.host.example";
/// Types of records.
const A: u16 = 1;
const CNAME: u16 = 5;
const TXT: u16 = 16;

/// A name as it is sent.
fn name(dotted: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for label in dotted.split('.').filter(|label| !label.is_empty()) {
        bytes.push(label.len() as u8);
        bytes.extend(label.bytes());
    }
    bytes.push(0);
    bytes
}

fn record(owner: &[u8], kind: u16, data: &[u8]) -> Vec<u8> {
    let mut record = owner.to_vec();
    record.extend(kind.to_be_bytes());
    record.extend([0, 1, 0, 0, 0, 60]);
    record.extend((data.len() as u16).to_be_bytes());
    record.extend(data);
    record
}

fn address(owner: &str, number: u8) -> Vec<u8> {
    record(&name(owner), A, &host(number).octets())
}

fn alias(owner: &str, of: &str) -> Vec<u8> {
    record(&name(owner), CNAME, &name(of))
}

/// The query as an answer (RFC 1035, section 4.1) with these records.
fn answer(query: &[u8], records: &[Vec<u8>]) -> Vec<u8> {
    let mut answer = query.to_vec();
    answer[2..4].copy_from_slice(&[0x81, 0x80]);
    answer[6..8].copy_from_slice(&(records.len() as u16).to_be_bytes());
    answer.extend(records.concat());
    answer
}

/// What a stack makes of a server's answers to one query. They come one after the other.
fn resolve(answers: impl Fn(&[u8]) -> Vec<Vec<u8>>) -> Result<Ipv4Addr, Error> {
    let world = World::new(Faults::default(), 1);
    let (client, server) = (world.net(1, 1500, Config::default()), world.net(53, 1500, Config::default()));
    let socket = UdpSocket::bind(&server, 53).unwrap();
    world.run(&[&client, &server], async {
        let serve = async {
            let mut query = [0; 512];
            let (length, from) = socket.receive_from(&mut query).await.unwrap();
            for answer in answers(&query[..length]) {
                socket.send_to(&answer, from).await.unwrap();
            }
        };
        both(client.resolve(NAME), serve).await
    })
}

fn resolve_records(records: &[Vec<u8>]) -> Result<Ipv4Addr, Error> {
    resolve(|query| vec![answer(query, records)])
}

#[test]
fn a_name_is_looked_up() {
    assert_eq!(resolve_records(&[record(&[0xc0, 12], A, &host(99).octets())]), Ok(host(99)));
}

/// The order of records says nothing (RFC 1034, section 3.6), nor does the case of letters (RFC 4343).
#[test]
fn the_whole_answer_counts_in_whatever_order_and_case() {
    let chain = [alias(NAME, "a.example"), alias("a.example", "b.example"), address("b.example", 42)];
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let records = order.map(|place: usize| chain[place].clone());
        assert_eq!(resolve_records(&records), Ok(host(42)), "{order:?}");
    }
    let shouted = [address("A.ExAmPlE", 7), alias("WWW.host.EXAMPLE", "a.example")];
    assert_eq!(resolve_records(&shouted), Ok(host(7)));
}

#[test]
fn records_of_other_names_kinds_and_lengths_are_passed_over() {
    let records = [
        address("other.example", 1),
        record(&name(NAME), TXT, b"\x05hello"),
        record(&name(NAME), A, &[1, 2, 3]),
        record(&name(NAME), 28, &[9; 16]),
        address(NAME, 77),
    ];
    assert_eq!(resolve_records(&records), Ok(host(77)));
}

#[test]
fn a_circle_of_aliases_is_no_address() {
    let circle = [alias(NAME, "a.example"), alias("a.example", NAME), alias(NAME, NAME)];
    assert_eq!(resolve_records(&circle), Err(Error::UnknownName));
}

#[test]
fn what_is_no_answer_to_the_query_is_passed_over() {
    let right = |query: &[u8]| answer(query, &[address(NAME, 42)]);
    let changed = |query: &[u8], at: usize, bits: u8| {
        let mut wrong = answer(query, &[address(NAME, 66)]);
        wrong[at] ^= bits;
        wrong
    };
    // Another identifier, a question, another operation, two questions, another name, another type.
    for (at, bits) in [(0, 1), (2, 0x80), (2, 0x10), (5, 3), (13, 1), (query_end() - 3, 3)] {
        assert_eq!(resolve(|query| vec![changed(query, at, bits), right(query)]), Ok(host(42)), "{at}");
    }
    let cut_short = |query: &[u8]| right(query)[..right(query).len() - 1].to_vec();
    assert_eq!(resolve(|query| vec![cut_short(query), right(query)]), Ok(host(42)));
}

fn query_end() -> usize {
    12 + name(NAME).len() + 4
}

#[test]
fn a_server_that_knows_no_address_is_believed() {
    let says = |code: u8| {
        move |query: &[u8]| {
            let mut answer = answer(query, &[]);
            answer[3] |= code;
            vec![answer]
        }
    };
    for code in [0, 2, 3, 5] {
        assert_eq!(resolve(says(code)), Err(Error::UnknownName), "code {code}");
    }
}

#[test]
fn a_query_that_is_lost_is_asked_again() {
    let world = World::new(Faults::default(), 1);
    let (client, server) = (world.net(1, 1500, Config::default()), world.net(53, 1500, Config::default()));
    let socket = UdpSocket::bind(&server, 53).unwrap();
    let found = world.run(&[&client, &server], async {
        let serve = async {
            let mut query = [0; 512];
            for round in 0..2 {
                let (length, from) = socket.receive_from(&mut query).await.unwrap();
                if round == 1 {
                    socket.send_to(&answer(&query[..length], &[address(NAME, 5)]), from).await.unwrap();
                }
            }
        };
        both(client.within(Duration::from_secs(5), client.resolve(NAME)), serve).await
    });
    assert_eq!(found, Ok(Ok(host(5))));
}
