//! What the sockets promise.

use std::{net::SocketAddrV4, time::Duration};

use cloison_net::{Config, Error, Net, Read, TcpConfig, TcpListener, TcpStream, UdpSocket, Write};

use crate::world::{Faults, World, both, host};

const SECOND: Duration = Duration::from_secs(1);

fn pair() -> (World, Net, Net) {
    let world = World::new(Faults::default(), 1);
    let nets = [1, 2].map(|number| world.net(number, 1500, Config::default()));
    let [a, b] = nets;
    (world, a, b)
}

fn at(number: u8, port: u16) -> SocketAddrV4 {
    SocketAddrV4::new(host(number), port)
}

#[test]
fn as_many_connections_wait_as_the_backlog_says() {
    let (world, client, server) = pair();
    let mut listener = TcpListener::bind(&server, 22, 3).unwrap();
    world.run(&[&client, &server], async {
        let mut streams = Vec::new();
        for _ in 0..3 {
            streams.push(TcpStream::connect(&client, at(2, 22)).await.unwrap());
        }
        assert_eq!(TcpStream::connect(&client, at(2, 22)).await.err(), Some(Error::Refused));
        let accepted = listener.accept().await.unwrap();
        streams.push(TcpStream::connect(&client, at(2, 22)).await.unwrap());
        assert_eq!(accepted.remote().map(|end| *end.ip()), Some(host(1)));
        for _ in 0..3 {
            listener.accept().await.unwrap();
        }
    });
}

#[test]
fn an_end_of_data_is_seen_and_the_other_direction_stays_open() {
    let (world, client, server) = pair();
    let mut listener = TcpListener::bind(&server, 22, 1).unwrap();
    world.run(&[&client, &server], async {
        let ask = async {
            let mut stream = TcpStream::connect(&client, at(2, 22)).await.unwrap();
            stream.write_all(b"help").await.unwrap();
            stream.close_write();
            let mut answer = Vec::new();
            let mut bytes = [0; 16];
            while let count @ 1.. = stream.read(&mut bytes).await.unwrap() {
                answer.extend_from_slice(&bytes[..count]);
            }
            assert_eq!(stream.write(b"x").await, Err(Error::Closed));
            answer
        };
        let reply = async {
            let mut stream = listener.accept().await.unwrap();
            let mut question = [0; 16];
            let mut length = 0;
            while let count @ 1.. = stream.read(&mut question[length..]).await.unwrap() {
                length += count;
            }
            stream.write_all(&question[..length]).await.unwrap();
            stream.close().await.unwrap();
        };
        assert_eq!(both(ask, reply).await, b"help");
    });
}

#[test]
fn a_reset_is_an_error_to_both_reader_and_writer() {
    let (world, client, server) = pair();
    let mut listener = TcpListener::bind(&server, 22, 1).unwrap();
    world.run(&[&client, &server], async {
        let mut stream = TcpStream::connect(&client, at(2, 22)).await.unwrap();
        listener.accept().await.unwrap().abort();
        assert_eq!(stream.read(&mut [0; 4]).await, Err(Error::Reset));
        assert_eq!(stream.write(b"x").await, Err(Error::Reset));
    });
}

#[test]
fn a_connection_to_nobody_times_out() {
    let (world, client, _) = pair();
    let tcp = TcpConfig { timeout: Some(SECOND * 3), ..TcpConfig::default() };
    let connect = TcpStream::connect_with(&client, at(77, 22), tcp);
    assert_eq!(world.run(&[&client], connect).err(), Some(Error::TimedOut));
}

#[test]
fn a_port_can_be_taken_once() {
    let (world, client, _) = pair();
    let _listener = TcpListener::bind(&client, 22, 1).unwrap();
    assert_eq!(TcpListener::bind(&client, 22, 1).err(), Some(Error::PortTaken));
    let _socket = UdpSocket::bind(&client, 53).unwrap();
    assert_eq!(UdpSocket::bind(&client, 53).err(), Some(Error::PortTaken));
    assert_eq!(world.now(), 0);
}

#[test]
fn what_a_dropped_listener_and_its_connections_took_is_free_again() {
    let (world, client, server) = pair();
    world.run(&[&client, &server], async {
        for _ in 0..100 {
            let mut listener = TcpListener::bind(&server, 22, 2).unwrap();
            let mut stream = TcpStream::connect(&client, at(2, 22)).await.unwrap();
            stream.write_all(b"x").await.unwrap();
            let mut accepted = listener.accept().await.unwrap();
            assert_eq!(accepted.read(&mut [0; 4]).await, Ok(1));
        }
    });
}

/// Sockets that others cause take no more than the room that is set.
#[test]
fn all_sockets_together_take_what_they_may_and_no_more() {
    let world = World::new(Faults::default(), 1);
    let client = world.net(1, 1500, Config::default());
    let tcp = TcpConfig { receive_bytes: 10_000, send_bytes: 10_000, ..TcpConfig::default() };
    let socket_bytes = Some(125_000);
    let server = world.net(2, 1500, Config { tcp, socket_bytes, ..Config::default() });
    let large = TcpConfig { receive_bytes: 30_000, ..tcp };
    assert_eq!(TcpListener::bind_with(&server, 23, 6, large).err(), Some(Error::OutOfHeap));
    let mut listener = TcpListener::bind(&server, 22, 3).unwrap();
    world.run(&[&client, &server], async {
        for _ in 0..20 {
            let mut accepted = Vec::new();
            let mut asked = Vec::new();
            // Who stood in line before has ended; then nobody is there, and sockets listen again.
            while let Ok(Ok(_)) = server.within(SECOND / 100, listener.accept()).await {}
            while let Ok(stream) = TcpStream::connect(&client, at(2, 22)).await {
                asked.push(stream);
                match listener.accept().await {
                    Ok(stream) => accepted.push(stream),
                    Err(error) => {
                        assert_eq!(error, Error::OutOfHeap);
                        break;
                    }
                }
            }
            assert_eq!(accepted.len(), 5);
            assert_eq!(UdpSocket::bind(&server, 0).err(), Some(Error::OutOfHeap));
            // What they leave behind gives way to the next ones.
            drop((accepted, asked));
        }
    });
}

#[test]
fn datagrams_go_there_and_back() {
    let (world, client, server) = pair();
    let (asks, answers) = (UdpSocket::bind(&client, 0).unwrap(), UdpSocket::bind(&server, 7).unwrap());
    world.run(&[&client, &server], async {
        let mut bytes = [0; 32];
        let ask = async {
            asks.send_to(b"echo", at(2, 7)).await.unwrap();
            asks.receive_from(&mut bytes).await.unwrap()
        };
        let reply = async {
            let mut bytes = [0; 32];
            let (length, from) = answers.receive_from(&mut bytes).await.unwrap();
            assert_eq!(from, at(1, asks.port()));
            answers.send_to(&bytes[..length], from).await.unwrap();
        };
        assert_eq!(both(ask, reply).await, (4, at(2, 7)));
        assert_eq!(asks.send_to(&[0; 1473], at(2, 7)).await, Err(Error::TooLong));
        assert_eq!(asks.send_to(b"", SocketAddrV4::new(host(2), 0)).await, Err(Error::BadDestination));
    });
}

#[test]
fn one_host_answers_a_ping_and_all_do_if_all_are_asked() {
    let world = World::new(Faults::default(), 1);
    let nets = [1, 2, 3].map(|number| world.net(number, 1500, Config::default()));
    let [a, b, c] = &nets;
    world.run(&[a, b, c], async {
        let mut who = Vec::new();
        assert_eq!(a.ping(host(2), SECOND, |reply| who.push(reply.from)).await, Ok(1));
        assert_eq!(a.ping(host(9), SECOND, |reply| who.push(reply.from)).await, Ok(0));
        assert_eq!(who, [host(2)]);
        let all = a.addresses().unwrap().broadcast;
        who.clear();
        assert_eq!(a.ping(all, SECOND, |reply| who.push(reply.from)).await, Ok(2));
        who.sort();
        assert_eq!(who, [host(2), host(3)]);
    });
}

#[test]
fn an_address_in_dots_needs_no_name_server_and_a_name_does() {
    let (world, client, _) = pair();
    world.run(&[&client], async {
        assert_eq!(client.resolve("10.0.0.7").await, Ok(host(7)));
        assert_eq!(client.resolve("a..b").await, Err(Error::BadName));
        assert_eq!(client.resolve("nobody.example").await, Err(Error::UnknownName));
    });
}
