//! Whatever bytes come in, the stack goes on.

use cloison_net::{Config, Link, TcpListener, UdpSocket};

use crate::world::{Faults, Random, World, host};

/// Frames from nobody: noise behind headers that lead deeper and deeper into the parsers.
#[test]
fn no_frame_harms_the_stack() {
    let world = World::new(Faults::default(), 1);
    let (victim, peer) = (world.net(1, 1500, Config::default()), world.net(2, 1500, Config::default()));
    let mut attacker = world.link();
    let _listener = TcpListener::bind(&victim, 22, 4).unwrap();
    let _socket = UdpSocket::bind(&victim, 7).unwrap();
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for _ in 0..2_000 {
        for _ in 0..50 {
            let frame = frame(&mut random);
            attacker.reserve(frame.len()).unwrap().copy_from_slice(&frame);
            attacker.publish(frame.len());
        }
        world.run(&[&victim], victim.sleep(core::time::Duration::from_micros(100)));
    }
    let second = core::time::Duration::from_secs(1);
    let alive = world.run(&[&victim, &peer], async {
        // The noise may have taught the victim a wrong MAC address for a while.
        let mut answers = 0;
        for _ in 0..90 {
            answers += peer.ping(host(1), second, |_| ()).await.unwrap();
        }
        answers
    });
    assert!(alive > 0);
}

fn frame(random: &mut Random) -> Vec<u8> {
    let length = random.below(120) as usize;
    let mut frame: Vec<u8> = (0..length).map(|_| random.next() as u8).collect();
    let mut put = |at: usize, bytes: &[u8]| {
        if let Some(place) = frame.get_mut(at..at + bytes.len()) {
            place.copy_from_slice(bytes);
        }
    };
    let depth = random.below(6);
    let (to, kind): ([u8; 6], _) =
        if random.below(4) == 0 { ([0xff; 6], 6) } else { ([2, 0, 10, 0, 0, 1], 0) };
    if depth > 0 {
        put(0, &to);
        put(6, &[2, 0, 10, 0, 0, 3]);
        put(12, if kind == 6 { &[8, 6] } else { &[8, 0] });
    }
    if depth > 1 && kind == 0 {
        put(14, &[0x45]);
        put(16, &(length.saturating_sub(14) as u16).to_be_bytes());
        put(20, &[0, 0]);
        put(26, &host(3).octets());
        put(30, &host(1).octets());
    }
    if depth > 2 && kind == 0 {
        let protocol = [1, 6, 17, 6][random.below(4) as usize];
        put(23, &[protocol]);
        put(36, &[[0, 22], [0, 7], [0, 68], [0, 22]][random.below(4) as usize]);
    }
    if depth > 3 && kind == 0 {
        put(46, &[[0x50, 2], [0x50, 0x10], [0x50, 4], [0x80, 2]][random.below(4) as usize]);
        put(38, &(length.saturating_sub(34) as u16).to_be_bytes());
    }
    frame
}
