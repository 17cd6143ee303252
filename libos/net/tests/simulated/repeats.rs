//! What is lost is sent once more, and soon where both ends are in one network.

use std::{net::SocketAddrV4, time::Duration};

use cloison_net::{Config, Error, Read, TcpListener, TcpStream, Write};
use cloison_rt::task::join;

use crate::world::{Faults, World, host};

const SECOND: Duration = Duration::from_secs(1);
const NOTHING: Faults = Faults { lost: 0, doubled: 0, delayed: 0 };

/// An exchange in which everything is lost for a while at one point. Returns how long it took.
fn exchange(lost_at: usize) -> u64 {
    let world = World::new(NOTHING, 1);
    let (client, server) = (world.net(1, 1500, Config::default()), world.net(2, 1500, Config::default()));
    let mut listener = TcpListener::bind(&server, 22, 1).unwrap();
    let fails = |step: usize| {
        let lost = if step == lost_at { 1000 } else { 0 };
        world.0.borrow_mut().faults = Faults { lost, ..NOTHING };
    };
    world.run(&[&client, &server], async {
        assert_eq!(client.ping(host(2), SECOND, |_| ()).await, Ok(1));
        let start = world.now();
        let heal = async {
            client.sleep(SECOND / 1000).await;
            fails(usize::MAX);
        };
        fails(0);
        let ask = async {
            let mut stream = TcpStream::connect(&client, SocketAddrV4::new(host(2), 22)).await?;
            fails(1);
            stream.write_all(b"question").await?;
            if lost_at == 1 {
                client.sleep(SECOND / 1000).await;
                fails(usize::MAX);
            }
            let mut answer = [0; 16];
            let count = stream.read(&mut answer).await?;
            assert_eq!(&answer[..count], b"answer");
            fails(2);
            stream.close_write();
            if lost_at == 2 {
                client.sleep(SECOND / 1000).await;
                fails(usize::MAX);
            }
            assert_eq!(stream.read(&mut answer).await?, 0);
            Ok::<(), Error>(())
        };
        let reply = async {
            let mut stream = listener.accept().await?;
            let mut question = [0; 16];
            let count = stream.read(&mut question).await?;
            assert_eq!(&question[..count], b"question");
            stream.write_all(b"answer").await?;
            assert_eq!(stream.read(&mut question).await?, 0);
            stream.close().await
        };
        let ((asked, replied), ()) = join(join(ask, reply), heal).await;
        assert_eq!((asked, replied), (Ok(()), Ok(())));
        world.now() - start
    })
}

#[test]
fn a_loss_costs_a_fraction_of_a_second_at_each_point_of_a_connection() {
    let without = exchange(usize::MAX);
    assert!(without < 60_000, "{without} µs");
    for lost_at in 0..3 {
        let took = exchange(lost_at);
        assert!((20_000..400_000).contains(&took), "{took} µs where step {lost_at} is lost");
    }
}

/// Nothing arrives any more: what is sent once more comes less and less often, until the connection has had its
/// time.
#[test]
fn who_has_gone_is_told_less_and_less() {
    let world = World::new(NOTHING, 1);
    let (client, server) = (world.net(1, 1500, Config::default()), world.net(2, 1500, Config::default()));
    let mut listener = TcpListener::bind(&server, 22, 1).unwrap();
    world.run(&[&client, &server], async {
        let connect = TcpStream::connect(&client, SocketAddrV4::new(host(2), 22));
        let (stream, _accepted) = join(connect, listener.accept()).await;
        let mut stream = stream.unwrap();
        world.0.borrow_mut().faults.lost = 1000;
        let (start, before) = (world.now(), world.0.borrow().frames);
        stream.write_all(b"x").await.unwrap();
        assert_eq!(stream.read(&mut [0; 4]).await, Err(Error::Reset), "the connection has timed out");
        assert!((55_000_000..70_000_000).contains(&(world.now() - start)), "{}", world.now());
        let frames = world.0.borrow().frames - before;
        assert!((8..40).contains(&frames), "{frames}");
    });
}
