//! Numbers that others are not to guess.

use std::net::SocketAddrV4;

use cloison_net::{Config, Link, TcpStream, UdpSocket};

use crate::world::{Faults, World, host};

/// Ports and first sequence numbers of connections, as somebody on the wire sees them.
#[test]
fn what_one_connection_shows_says_nothing_of_the_next() {
    let world = World::new(Faults::default(), 1);
    let (client, server) = (world.net(1, 1500, Config::default()), world.net(2, 1500, Config::default()));
    let mut wire = world.link();
    for _ in 0..20 {
        let refused = TcpStream::connect(&client, SocketAddrV4::new(host(2), 22));
        assert!(world.run(&[&client, &server], refused).is_err());
    }
    let mut seen = Vec::new();
    let mut frame = [0; 2000];
    while let Some(bytes) = wire.receive(&mut frame) {
        // A SYN of TCP.
        if bytes >= 54 && frame[12..14] == [8, 0] && frame[23] == 6 && frame[47] == 2 {
            let port = u32::from(u16::from_be_bytes([frame[34], frame[35]]));
            seen.push([port, u32::from_be_bytes([frame[38], frame[39], frame[40], frame[41]])]);
        }
    }
    assert_eq!(seen.len(), 20);
    for which in 0..2 {
        let mut steps: Vec<u32> =
            seen.windows(2).map(|two| two[1][which].wrapping_sub(two[0][which])).collect();
        steps.sort_unstable();
        steps.dedup();
        assert!(steps.len() >= 18, "{steps:?}");
    }
}

#[test]
fn a_port_of_its_own_choice_is_free() {
    let world = World::new(Faults::default(), 1);
    let net = world.net(
        1,
        1500,
        Config { udp: cloison_net::UdpConfig { bytes: 16, datagrams: 1 }, ..Config::default() },
    );
    let sockets: Vec<UdpSocket> = (0..2000).map(|_| UdpSocket::bind(&net, 0).unwrap()).collect();
    let mut ports: Vec<u16> = sockets.iter().map(UdpSocket::port).collect();
    ports.sort_unstable();
    ports.dedup();
    assert_eq!(ports.len(), 2000);
}
