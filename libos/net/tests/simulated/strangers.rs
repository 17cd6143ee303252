//! Packets that no honest host sends, and what must not come of them: an answer to everybody, a connection with
//! nobody, a flood.

use std::{net::SocketAddrV4, time::Duration};

use cloison_net::{Config, Link, TcpConfig, TcpListener, TcpStream, Write};
use cloison_rt::task::{join, select};

use crate::{
    frames::{ACK, SYN, Segment, arp, put},
    world::{Faults, Port, World, host},
};

const PORT: u16 = 22;
const A_WHILE: Duration = Duration::from_millis(5);

/// Frames that have come to the peer since the last call.
fn heard(peer: &mut Port) -> Vec<Vec<u8>> {
    let mut frame = [0; 2000];
    std::iter::from_fn(|| peer.receive(&mut frame).map(|bytes| frame[..bytes].to_vec())).collect()
}

/// A request for a connection, with bytes of its frame changed. Returns what answers it.
fn ask(changes: &[(usize, &[u8])]) -> Vec<Vec<u8>> {
    let world = World::new(Faults::default(), 1);
    let victim = world.net(1, 1500, Config::default());
    let _listener = TcpListener::bind(&victim, PORT, 4).unwrap();
    let mut peer = world.link();
    put(&mut peer, &arp(1));
    world.run(&[&victim], victim.sleep(A_WHILE));
    heard(&mut peer);
    let mut frame = Segment { flags: SYN, options: vec![1; 20], ..Segment::default() }.frame();
    for (at, bytes) in changes {
        frame[*at..][..bytes.len()].copy_from_slice(bytes);
    }
    put(&mut peer, &frame);
    world.run(&[&victim], victim.sleep(A_WHILE));
    heard(&mut peer)
}

#[test]
fn a_request_from_nobody_or_in_a_broken_packet_has_no_answer() {
    assert_eq!(ask(&[]).len(), 1, "an honest one has");
    for (what, at, bytes) in [
        ("from all hosts of the network", 26, &[10, 0, 0, 255][..]),
        ("from all hosts", 26, &[255; 4]),
        ("from a group", 26, &[224, 0, 0, 1]),
        ("from the victim itself", 26, &[10, 0, 0, 1]),
        ("from the sender's own inside", 26, &[127, 0, 0, 1]),
        ("from no address", 26, &[0; 4]),
        ("from no port", 34, &[0, 0]),
        ("in a first fragment", 20, &[0x20, 0]),
        ("in a later fragment", 20, &[0, 8]),
        ("of another version of IP", 14, &[0x65]),
        ("with a header that is too short", 14, &[0x44]),
        ("with a length beyond the frame", 16, &[0, 200]),
        ("with a length within the headers", 16, &[0, 30]),
    ] {
        assert_eq!(ask(&[(at, bytes)]), Vec::<Vec<u8>>::new(), "{what}");
    }
}

/// One who takes segments of a byte gets longer ones: else each of his requests would be a flood. smoltcp sees to it.
#[test]
fn a_client_of_tiny_segments_is_served_in_longer_ones() {
    for segment_bytes in [1_u8, 47, 48] {
        let world = World::new(Faults::default(), 1);
        let victim = world.net(1, 1500, Config::default());
        let mut listener = TcpListener::bind(&victim, PORT, 1).unwrap();
        let mut peer = world.link();
        put(&mut peer, &arp(1));
        let options = vec![2, 4, 0, segment_bytes];
        put(&mut peer, &Segment { flags: SYN, number: 99, options, ..Segment::default() }.frame());
        world.run(&[&victim], victim.sleep(A_WHILE));
        let answer = heard(&mut peer).pop().expect("an answer");
        let acknowledged = u32::from_be_bytes([answer[38], answer[39], answer[40], answer[41]]) + 1;
        let segment = Segment { flags: ACK, number: 100, acknowledged, window: 4000, ..Segment::default() };
        put(&mut peer, &segment.frame());
        world.run(&[&victim], async {
            let stream = victim.within(A_WHILE, listener.accept()).await.expect("it is made").unwrap();
            (&stream).write_all(&[7; 280]).await.unwrap();
            victim.sleep(A_WHILE).await;
        });
        let sent: Vec<usize> =
            heard(&mut peer).iter().map(|frame| frame.len() - 54).filter(|bytes| *bytes > 0).collect();
        assert_eq!(sent, [48, 48, 48, 48, 48, 40], "{segment_bytes}");
    }
}

/// A server that says so, too: the connection is made all the same.
#[test]
fn a_server_of_no_segments_is_spoken_to_all_the_same() {
    let world = World::new(Faults::default(), 1);
    let victim = world.net(1, 1500, Config::default());
    let mut peer = world.link();
    put(&mut peer, &arp(1));
    let tcp = TcpConfig { timeout: Some(A_WHILE * 2), ..TcpConfig::default() };
    let answer = async {
        victim.sleep(A_WHILE).await;
        let request = heard(&mut peer).pop().expect("a request");
        let port = u16::from_be_bytes([request[34], request[35]]);
        let number = u32::from_be_bytes([request[38], request[39], request[40], request[41]]);
        let (flags, acknowledged, options) = (SYN | ACK, number.wrapping_add(1), vec![2, 4, 0, 0]);
        let ports = (80, port);
        put(
            &mut peer,
            &Segment { flags, ports, acknowledged, options, window: 4000, ..Segment::default() }.frame(),
        );
    };
    let connect = TcpStream::connect_with(&victim, SocketAddrV4::new(host(3), 80), tcp);
    let (connected, ()) = world.run(&[&victim], join(connect, answer));
    assert!(connected.is_ok(), "{:?}", connected.err());
}

/// A reply to a request that has not been sent yet is none: nothing is known of how long it took.
#[test]
fn a_reply_before_its_request_is_none() {
    let world = World::new(Faults::default(), 1);
    let victim = world.net(1, 1500, Config::default());
    let mut peer = world.link();
    put(&mut peer, &arp(1));
    let answer = async {
        victim.sleep(A_WHILE).await;
        let request = heard(&mut peer).pop().expect("a request");
        let mut reply = request.clone();
        let (victims, peers) = (request[6..12].to_vec(), request[..6].to_vec());
        reply[..6].copy_from_slice(&victims);
        reply[6..12].copy_from_slice(&peers);
        reply[26..30].copy_from_slice(&host(3).octets());
        reply[30..34].copy_from_slice(&host(1).octets());
        // An echo reply (0) with the number of the second request.
        (reply[34], reply[41]) = (0, 1);
        put(&mut peer, &reply);
        std::future::pending::<()>().await;
    };
    let mut replies = Vec::new();
    let ping = victim.ping(host(3), A_WHILE * 4, |reply| replies.push(reply));
    world.run(&[&victim], select(ping, answer));
    assert_eq!(replies, []);
}
