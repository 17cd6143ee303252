//! All bytes arrive, whatever the wire does to the frames.

use std::net::SocketAddrV4;

use cloison_net::{Config, Net, Read, TcpConfig, TcpListener, TcpStream};

use crate::world::{Faults, World, host};

const PORT: u16 = 9;
const STREAMS: usize = 4;
const FRAMES: u64 = 1_000_000;

#[test]
fn all_bytes_arrive_intact_through_loss_duplication_and_reordering() {
    let world = World::new(Faults { lost: 10, doubled: 10, delayed: 50 }, 0x1234_5678_9abc_def1);
    let tcp = TcpConfig { timeout: None, avoids_congestion: false, ..TcpConfig::default() };
    let config = Config { tcp, ..Config::default() };
    let (sender, receiver) = (world.net(1, 576, config), world.net(2, 576, config));
    let mut listener = TcpListener::bind(&receiver, PORT, STREAMS).unwrap();
    let main = async {
        for stream in 0..STREAMS as u64 {
            let send = send(&world, &sender, stream);
            let receive = receive(&mut listener, stream);
            let (sent, received) = cloison_rt::task::join(send, receive).await;
            assert_eq!(sent, received, "stream {stream}");
        }
    };
    world.run(&[&sender, &receiver], main);
    assert!(world.0.borrow().frames >= FRAMES);
}

/// Sends for this stream's share of the frames. Returns how many bytes that were.
async fn send(world: &World, net: &Net, stream: u64) -> u64 {
    let end = FRAMES * (stream + 1) / STREAMS as u64;
    let connection = TcpStream::connect(net, SocketAddrV4::new(host(2), PORT)).await.unwrap();
    let mut sent = 0;
    while world.0.borrow().frames < end {
        let count = connection.write_with(|room| {
            room.iter_mut().zip(sent..).for_each(|(byte, at)| *byte = pattern(stream, at));
            (room.len(), room.len())
        });
        sent += count.await.unwrap() as u64;
    }
    connection.close().await.unwrap();
    sent
}

async fn receive(listener: &mut TcpListener, stream: u64) -> u64 {
    let mut connection = listener.accept().await.unwrap();
    let mut received = 0;
    let mut bytes = [0; 4096];
    loop {
        let count = connection.read(&mut bytes).await.unwrap();
        let intact = bytes[..count].iter().zip(received..).all(|(byte, at)| *byte == pattern(stream, at));
        assert!(intact, "stream {stream}, after byte {received}");
        received += count as u64;
        if count == 0 {
            return received;
        }
    }
}

fn pattern(stream: u64, at: u64) -> u8 {
    (at ^ (at >> 8) ^ (at >> 16) ^ stream) as u8
}
