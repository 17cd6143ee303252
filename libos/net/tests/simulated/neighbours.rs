//! Hosts that are there and hosts that are not: none keeps a stack from the others.

use std::{net::SocketAddrV4, time::Duration};

use cloison_net::{Config, Link, Net, TcpConfig, TcpListener, TcpStream, UdpSocket};
use cloison_rt::task::{join, select};

use crate::{
    frames::{SYN, Segment, arp, put},
    world::{Faults, Port, World, host},
};

const SECOND: Duration = Duration::from_secs(1);
/// After which a stack has forgotten its neighbours.
const QUIET: Duration = Duration::from_secs(65);

fn nets(world: &World) -> [Net; 3] {
    [1, 2, 3].map(|number| world.net(number, 1500, Config::default()))
}

fn at(number: u8, port: u16) -> SocketAddrV4 {
    SocketAddrV4::new(host(number), port)
}

/// Hosts that somebody has asked for since the last call, by ARP.
fn asked_for(wire: &mut Port) -> Vec<u8> {
    let mut frame = [0; 2000];
    let mut asked = Vec::new();
    while let Some(bytes) = wire.receive(&mut frame) {
        if bytes >= 42 && frame[12..14] == [8, 6] && frame[20..22] == [0, 1] {
            asked.push(frame[41]);
        }
    }
    asked
}

#[test]
fn one_who_is_silent_keeps_nobody_from_the_others() {
    let world = World::new(Faults::default(), 1);
    let [a, b, c] = &nets(&world);
    world.run(&[a, b, c], async {
        for _ in 0..3 {
            a.sleep(QUIET).await;
            assert_eq!(a.ping(host(3), SECOND, |_| ()).await, Ok(1));
            assert_eq!(a.ping(host(9), SECOND, |_| ()).await, Ok(0));
            assert_eq!(a.ping(host(2), SECOND, |_| ()).await, Ok(1));
        }
    });
}

#[test]
fn connections_to_the_dead_do_not_cost_those_to_the_living() {
    let world = World::new(Faults::default(), 1);
    let [a, b, c] = &nets(&world);
    let mut listener = TcpListener::bind(b, 22, 4).unwrap();
    world.run(&[a, b, c], async {
        let dead = async {
            for number in (77..=255).cycle() {
                let tcp = TcpConfig { timeout: Some(SECOND / 3), ..TcpConfig::default() };
                assert!(TcpStream::connect_with(a, at(number, 22), tcp).await.is_err());
            }
        };
        let living = async {
            for _ in 0..4 {
                a.sleep(QUIET).await;
                let connect = join(TcpStream::connect(a, at(2, 22)), listener.accept());
                a.within(SECOND, connect).await.expect("it takes less than a second").0.unwrap();
            }
        };
        select(living, dead).await;
    });
}

/// From addresses that nobody has, faster and faster.
#[test]
fn requests_from_nobody_cut_nobody_off() {
    for pause in [Duration::from_millis(400), Duration::from_millis(10), Duration::from_micros(500)] {
        let world = World::new(Faults::default(), 1);
        let [victim, client, _] = &nets(&world);
        let mut listener = TcpListener::bind(victim, 22, 4).unwrap();
        let mut peer = world.link();
        let flood = async {
            for number in (0..180).cycle() {
                let ports = (1000 + u16::from(number), 22);
                let from = 70 + number;
                put(&mut peer, &Segment { from, ports, flags: SYN, ..Segment::default() }.frame());
                victim.sleep(pause).await;
            }
        };
        let honest = async {
            for _ in 0..3 {
                victim.sleep(QUIET / 3).await;
                assert_eq!(victim.ping(host(2), SECOND, |_| ()).await, Ok(1), "{pause:?}");
                let connect = join(TcpStream::connect(client, at(1, 22)), listener.accept());
                client.within(SECOND, connect).await.expect("it takes less than a second").0.unwrap();
            }
        };
        world.run(&[victim, client], select(honest, flood));
    }
}

#[test]
fn datagrams_to_nobody_are_given_up_and_the_next_ones_go_out() {
    let world = World::new(Faults::default(), 1);
    let [a, b, _] = &nets(&world);
    let (asks, hears) = (UdpSocket::bind(a, 0).unwrap(), UdpSocket::bind(b, 7).unwrap());
    world.run(&[a, b], async {
        for number in 0..100 {
            let send = asks.send_to(b"to nobody", at(9, 7));
            a.within(SECOND, send).await.expect("it does not wait").unwrap();
            asks.send_to(&[number], at(2, 7)).await.unwrap();
            let mut bytes = [0; 32];
            let heard = b.within(SECOND, hears.receive_from(&mut bytes)).await;
            assert_eq!(heard.expect("it goes out").unwrap(), (1, at(1, asks.port())));
            assert_eq!(bytes[0], number);
        }
    });
}

#[test]
fn each_is_asked_once_a_second_and_not_for_long() {
    let world = World::new(Faults::default(), 1);
    let [a, ..] = &nets(&world);
    let mut wire = world.link();
    let socket = UdpSocket::bind(a, 0).unwrap();
    let mut counts = Vec::new();
    world.run(&[a], async {
        for tenth in 0..300 {
            if tenth < 10 {
                socket.send_to(b"x", at(8, 7)).await.unwrap();
            }
            if tenth < 100 {
                socket.send_to(b"x", at(9, 7)).await.unwrap();
            }
            a.sleep(SECOND / 10).await;
            counts.extend(asked_for(&mut wire).into_iter().map(|number| (number, tenth / 10)));
        }
    });
    let asked = |number: u8| counts.iter().filter(|one| one.0 == number).count();
    assert!((1..=5).contains(&asked(8)), "{counts:?}");
    assert!((8..=14).contains(&asked(9)), "{counts:?}");
    let mut in_a_second = counts.clone();
    in_a_second.dedup();
    assert_eq!(in_a_second.len(), counts.len(), "{counts:?}");
    assert!(counts.iter().all(|one| one.1 <= 13), "{counts:?}");
}

/// What is sent before a neighbour is known arrives when it is, in its order.
#[test]
fn what_waits_for_an_answer_is_sent_after_it() {
    let world = World::new(Faults::default(), 1);
    let [a, b, _] = &nets(&world);
    let (sends, hears) = (UdpSocket::bind(a, 0).unwrap(), UdpSocket::bind(b, 7).unwrap());
    world.run(&[a, b], async {
        for number in 0..8 {
            sends.send_to(&[number; 900], at(2, 7)).await.unwrap();
        }
        for number in 0..8 {
            let mut bytes = [0; 900];
            let heard = b.within(SECOND, hears.receive_from(&mut bytes)).await;
            assert_eq!((heard.unwrap().unwrap().0, bytes[0]), (900, number));
        }
    });
}

/// Somebody who has no address yet, and looks whether he may have this one.
#[test]
fn who_asks_whether_an_address_is_free_hears_that_it_is_not() {
    let world = World::new(Faults::default(), 1);
    let [victim, ..] = &nets(&world);
    let mut peer = world.link();
    let mut probe = arp(1);
    probe[28..32].fill(0);
    put(&mut peer, &probe);
    world.run(&[victim], victim.sleep(SECOND));
    let mut frame = [0; 2000];
    assert_eq!(peer.receive(&mut frame), Some(42));
    assert_eq!((&frame[20..22], &frame[28..32]), (&[0, 2][..], &host(1).octets()[..]));
    assert_eq!(peer.receive(&mut frame), None);
}
