//! Peers that ask for connections and do not make them.

use std::{net::SocketAddrV4, time::Duration};

use cloison_net::{Config, Link, Net, TcpListener, TcpStream};
use cloison_rt::task::{join, select};

use crate::{
    frames::{SYN, Segment, arp, put},
    world::{Faults, Port, World, host},
};

const PORT: u16 = 22;
const SECOND: Duration = Duration::from_secs(1);

fn ask(peer: &mut Port, port: u16) {
    put(peer, &Segment { ports: (port, PORT), flags: SYN, ..Segment::default() }.frame());
}

/// Asks for another connection every 50 µs: the client's answer takes 40 µs.
async fn flood(mut peer: Port, net: &Net) {
    put(&mut peer, &arp(1));
    for port in (1..=u16::MAX).cycle() {
        ask(&mut peer, port);
        net.sleep(Duration::from_micros(50)).await;
    }
}

#[test]
fn an_honest_client_gets_in_through_a_flood() {
    let world = World::new(Faults::default(), 1);
    let (server, client) = (world.net(1, 1500, Config::default()), world.net(2, 1500, Config::default()));
    let mut listener = TcpListener::bind(&server, PORT, 4).unwrap();
    let peer = world.link();
    world.run(&[&server, &client], async {
        let honest = async {
            server.sleep(SECOND).await;
            for _ in 0..100 {
                let connect = TcpStream::connect(&client, SocketAddrV4::new(host(1), PORT));
                let both = client.within(SECOND, join(connect, listener.accept())).await;
                let (connected, accepted) = both.expect("the client gets in within a second");
                assert_eq!(accepted.unwrap().remote().map(|end| *end.ip()), Some(host(2)));
                connected.unwrap().abort();
            }
        };
        select(honest, flood(peer, &server)).await;
    });
}

#[test]
fn a_connection_that_is_not_made_is_given_up_soon() {
    let world = World::new(Faults::default(), 1);
    let server = world.net(1, 1500, Config::default());
    let _listener = TcpListener::bind(&server, PORT, 1).unwrap();
    let mut peer = world.link();
    put(&mut peer, &arp(1));
    ask(&mut peer, 4096);
    let mut answers = Vec::new();
    for second in 0..60 {
        world.run(&[&server], server.sleep(SECOND));
        let mut frame = [0; 2000];
        while let Some(bytes) = peer.receive(&mut frame) {
            if bytes >= 54 && frame[23] == 6 {
                answers.push(second);
            }
        }
    }
    assert!(!answers.is_empty() && answers.iter().all(|second| *second <= 3), "{answers:?}");
}
