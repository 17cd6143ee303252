//! Connections that come all at once: each is served in its turn, or refused.

use std::{cell::RefCell, net::SocketAddrV4, time::Duration};

use cloison_net::{Config, Error, Net, Read, Seats, TcpListener, TcpStream, Write};
use cloison_rt::task::{join_all, select};

use crate::world::{Faults, World, host};

const PORT: u16 = 22;
const SECOND: Duration = Duration::from_secs(1);
const MILLISECOND: Duration = Duration::from_millis(1);

/// Asks for a connection, and on it for an answer.
async fn ask(net: &Net, speaks_first: bool) -> Result<Vec<u8>, Error> {
    let mut stream = TcpStream::connect(net, SocketAddrV4::new(host(1), PORT)).await?;
    if speaks_first {
        stream.write_all(b"name").await?;
        stream.close_write();
    }
    let mut answer = Vec::new();
    let mut bytes = [0; 16];
    while let count @ 1.. = stream.read(&mut bytes).await? {
        answer.extend(&bytes[..count]);
    }
    Ok(answer)
}

/// Answers one client after the other, each after a while.
async fn serve(net: &Net, listener: &RefCell<TcpListener>, hears_first: bool) {
    loop {
        let accepted = std::future::poll_fn(|context| listener.borrow_mut().poll_accept(context)).await;
        let mut stream = accepted.unwrap();
        let answer = async {
            if hears_first {
                let mut asked: Vec<u8> = Vec::new();
                let mut bytes = [0; 16];
                while let count @ 1.. = stream.read(&mut bytes).await? {
                    asked.extend(&bytes[..count]);
                }
                assert_eq!(asked, b"name");
            }
            net.sleep(MILLISECOND).await;
            stream.write_all(b"answer").await?;
            stream.close().await
        };
        let _ = net.within(20 * SECOND, answer).await;
    }
}

/// How many of the clients are answered and how many refused, and after how many milliseconds at most.
fn burst(clients: usize, backlog: usize, speaks_first: bool, faults: Faults) -> (usize, usize, u128) {
    let world = World::new(faults, 0x9e37_79b9);
    let (server, client) = (world.net(1, 1500, Config::default()), world.net(2, 1500, Config::default()));
    let listener = RefCell::new(TcpListener::bind(&server, PORT, backlog).unwrap());
    let outcomes = RefCell::new(Vec::new());
    let longest = RefCell::new(0);
    world.run(&[&server, &client], async {
        let asking = join_all((0..clients).map(|_| async {
            let start = client.now();
            let outcome = ask(&client, speaks_first).await;
            outcomes.borrow_mut().push(outcome);
            let took = u128::from(client.now() - start) / MILLISECOND.as_micros();
            let most = took.max(*longest.borrow());
            *longest.borrow_mut() = most;
        }));
        let serving = join_all((0..4).map(|_| serve(&server, &listener, speaks_first)));
        select(asking, serving).await;
    });
    let outcomes = outcomes.take();
    let answered = outcomes.iter().filter(|outcome| outcome.as_deref() == Ok(b"answer")).count();
    let is_refusal = |outcome: &&Result<_, _>| matches!(outcome, Err(Error::Refused | Error::Reset));
    let refused = outcomes.iter().filter(is_refusal).count();
    assert_eq!(answered + refused, clients, "{outcomes:?}");
    (answered, refused, longest.take())
}

#[test]
fn each_of_many_at_once_is_served_in_its_turn() {
    for clients in [1, 4, 5, 20, 50, 64] {
        for speaks_first in [true, false] {
            let (answered, refused, longest) = burst(clients, 64, speaks_first, Faults::default());
            assert_eq!((answered, refused), (clients, 0));
            assert!(longest < 1000, "{clients}: {longest} ms");
        }
    }
}

#[test]
fn who_finds_no_place_is_refused_at_once_and_the_others_are_served() {
    for speaks_first in [true, false] {
        let (answered, refused, longest) = burst(60, 8, speaks_first, Faults::default());
        assert!(answered >= 8 && refused >= 1, "{answered} and {refused}");
        assert!(longest < 100, "{longest} ms");
    }
}

#[test]
fn a_burst_gets_through_a_bad_wire() {
    let faults = Faults { lost: 50, doubled: 50, delayed: 200 };
    for speaks_first in [true, false] {
        assert_eq!(burst(50, 64, speaks_first, faults).0, 50);
    }
}

/// Those who wait may stay for a while without a socket; then they are told that nobody accepts them.
#[test]
fn who_is_not_accepted_is_refused_in_the_end() {
    let world = World::new(Faults::default(), 1);
    let (server, client) = (world.net(1, 1500, Config::default()), world.net(2, 1500, Config::default()));
    let listener = TcpListener::bind(&server, PORT, 8).unwrap();
    world.run(&[&server, &client], async {
        let mut streams = Vec::new();
        for _ in 0..8 {
            streams.push(TcpStream::connect(&client, SocketAddrV4::new(host(1), PORT)).await.unwrap());
        }
        client.sleep(MILLISECOND).await;
        assert_eq!(listener.waiting(), 8);
        client.sleep(11 * SECOND).await;
        assert_eq!(listener.waiting(), 4);
        assert_eq!(streams[7].write(b"x").await, Err(Error::Reset));
        assert_eq!(streams[0].write(b"x").await, Ok(1));
    });
}

/// A client that takes its time: it says a byte now and then, or none at all.
async fn dawdle(net: &Net, pause: Duration) {
    let Ok(mut stream) = TcpStream::connect(net, SocketAddrV4::new(host(1), PORT)).await else { return };
    while stream.write_all(b"n").await.is_ok() {
        net.sleep(pause).await;
    }
}

/// Places are as those of `http-hello`.
#[test]
fn forty_slow_clients_do_not_keep_a_fast_one_waiting_for_a_second() {
    for pause in [Duration::from_millis(20), Duration::from_millis(90), 100 * SECOND] {
        let world = World::new(Faults::default(), 1);
        let (server, client) = (world.net(1, 1500, Config::default()), world.net(2, 1500, Config::default()));
        let listener = TcpListener::bind(&server, PORT, 64).unwrap();
        let seats = Seats::new(&server, listener, 12, 150 * MILLISECOND);
        world.run(&[&server, &client], async {
            let serve = seats.serve(async |stream, seat| {
                let answer = async {
                    let mut bytes = [0; 16];
                    while (&stream).read(&mut bytes).await? > 0 {}
                    (&stream).write_all(b"answer").await
                };
                select(answer, seat.wanted()).await;
            });
            let slow = join_all((0..40).map(|_| dawdle(&client, pause)));
            let fast = async {
                for _ in 0..5 {
                    client.sleep(10 * MILLISECOND).await;
                    let answer = client.within(SECOND, ask(&client, true)).await;
                    assert_eq!(answer.expect("within a second"), Ok(b"answer".to_vec()));
                }
            };
            let slow = async {
                slow.await;
                std::future::pending::<()>().await
            };
            select(fast, select(serve, slow)).await;
        });
    }
}

/// Asks one question after the other, and comes again when it is sent away.
async fn insist(net: &Net, pause: Duration) {
    loop {
        let questions = async {
            let stream = TcpStream::connect(net, SocketAddrV4::new(host(1), PORT)).await?;
            while let Ok(1) = (&stream).write(b"q").await
                && (&stream).read(&mut [0; 16]).await? > 0
            {
                net.sleep(pause).await;
            }
            Ok::<(), Error>(())
        };
        let _ = questions.await;
        net.sleep(pause).await;
    }
}

/// Nor do those who are never idle.
#[test]
fn busy_clients_do_not_keep_another_one_waiting_for_a_second() {
    for pause in [MILLISECOND, 100 * MILLISECOND] {
        let world = World::new(Faults::default(), 1);
        let (server, client) = (world.net(1, 1500, Config::default()), world.net(2, 1500, Config::default()));
        let listener = TcpListener::bind(&server, PORT, 64).unwrap();
        let seats = Seats::new(&server, listener, 4, 150 * MILLISECOND);
        world.run(&[&server, &client], async {
            let serve = seats.serve(async |stream, seat| {
                let answer = async {
                    while let Ok(1) = (&stream).read(&mut [0; 1]).await {
                        let is_last = seat.leaves();
                        if (&stream).write_all(b"answer").await.is_err() || is_last {
                            return;
                        }
                        seat.waits();
                    }
                };
                select(server.within(15 * SECOND, answer), seat.wanted()).await;
            });
            let busy = join_all((0..8).map(|_| insist(&client, pause)));
            let other = async {
                for _ in 0..5 {
                    client.sleep(10 * MILLISECOND).await;
                    let answer = client.within(SECOND, ask(&client, true)).await;
                    assert!(answer.expect("within a second").unwrap().starts_with(b"answer"));
                }
            };
            let busy = async {
                busy.await;
                std::future::pending::<()>().await
            };
            select(other, select(serve, busy)).await;
        });
    }
}

#[test]
fn nobody_gives_way_while_a_place_is_free() {
    let world = World::new(Faults::default(), 1);
    let (server, client) = (world.net(1, 1500, Config::default()), world.net(2, 1500, Config::default()));
    let listener = TcpListener::bind(&server, PORT, 64).unwrap();
    let seats = Seats::new(&server, listener, 2, 150 * MILLISECOND);
    let gone = std::cell::Cell::new(0);
    world.run(&[&server, &client], async {
        let serve = seats.serve(async |stream, seat| {
            let hear = async { while (&stream).read(&mut [0; 16]).await.is_ok_and(|count| count > 0) {} };
            if let cloison_rt::task::Either::Second(()) = select(hear, seat.wanted()).await {
                gone.set(gone.get() + 1);
            }
        });
        let come = async {
            let connect = || TcpStream::connect(&client, SocketAddrV4::new(host(1), PORT));
            let _first = connect().await.unwrap();
            client.sleep(SECOND).await;
            let _second = connect().await.unwrap();
            client.sleep(SECOND).await;
            assert_eq!(gone.get(), 0);
            let _third = connect().await.unwrap();
            client.sleep(SECOND).await;
            assert_eq!(gone.get(), 1);
        };
        select(come, serve).await;
    });
}
