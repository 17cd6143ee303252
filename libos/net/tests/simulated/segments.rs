//! TCP segments that no honest peer sends: whatever they say, the stack goes on.
//!
//! The peer here knows what a stack has said last, and makes segments that are next to what is right: next to
//! it, at the ends of the window, and half the number space away.

use std::{cell::RefCell, collections::BTreeMap, net::SocketAddrV4, time::Duration};

use cloison_net::{Config, Link, Net, Read, TcpListener, TcpStream, Write};
use cloison_rt::task::{join, select};

use crate::{
    frames::{ACK, FIN, PSH, RST, SYN, Segment, arp, put},
    world::{Faults, Port, Random, World, host},
};

const PORT: u16 = 22;
/// How many peers there are, one after the other, and how often each sends something.
const PEERS: u64 = 120;
const STEPS: usize = 3_000;
const HALF: u32 = 1 << 31;

/// Two connections that are given up before anything answers the second one. What smoltcp last announced is
/// still that of the first one, and the last number is as far from it as can be.
#[test]
fn four_segments_of_a_stranger_do_no_harm() {
    let world = World::new(Faults::default(), 1);
    let victim = world.net(1, 1500, Config::default());
    let mut peer = world.link();
    let _listener = TcpListener::bind(&victim, PORT, 1).unwrap();
    let a_while = Duration::from_millis(1);
    put(&mut peer, &arp(1));
    put(&mut peer, &Segment { flags: SYN, number: 1000, ..Segment::default() }.frame());
    world.run(&[&victim], victim.sleep(a_while));
    put(&mut peer, &Segment { flags: RST, number: 1001, ..Segment::default() }.frame());
    world.run(&[&victim], victim.sleep(a_while));
    put(&mut peer, &Segment { flags: SYN, number: 0x10_0000, ..Segment::default() }.frame());
    put(&mut peer, &Segment { flags: RST, number: 0x10_0001 + HALF, ..Segment::default() }.frame());
    world.run(&[&victim], victim.sleep(a_while));
    let segment = Segment { flags: SYN, number: 1000, ports: (4097, PORT), ..Segment::default() };
    put(&mut peer, &segment.frame());
    let before = victim.counters().frames_out;
    world.run(&[&victim], victim.sleep(a_while));
    assert_eq!(victim.counters().frames_out, before + 1, "it answers");
}

/// A client that has no room, and acknowledges all the same, the server's end included. smoltcp would ask it
/// for room without a pause.
#[test]
fn a_client_without_room_is_not_asked_for_it_without_end() {
    let world = World::new(Faults::default(), 1);
    let victim = world.net(1, 1500, Config::default());
    let mut listener = TcpListener::bind(&victim, PORT, 1).unwrap();
    let mut peer = Peer { link: world.link(), random: Random(1), seen: BTreeMap::new() };
    put(&mut peer.link, &arp(1));
    put(&mut peer.link, &Segment { flags: SYN, number: 1000, ..Segment::default() }.frame());
    let serve = async {
        let mut stream = listener.accept().await.unwrap();
        stream.write_all(b"x").await.unwrap();
        drop(stream);
        std::future::pending::<()>().await
    };
    let acknowledge = async {
        for _ in 0..100 {
            victim.sleep(Duration::from_millis(100)).await;
            peer.listen();
            let Seen { number, acknowledged, .. } = peer.seen[&(4096, PORT)];
            let segment = Segment { flags: ACK, number, acknowledged, ..Segment::default() };
            put(&mut peer.link, &segment.frame());
        }
    };
    world.run(&[&victim], select(acknowledge, serve));
}

/// As many more as the environment says in `SEGMENT_PEERS`.
#[test]
fn no_segment_harms_the_stack() {
    let peers = std::env::var("SEGMENT_PEERS").map_or(PEERS, |peers| peers.parse().unwrap());
    for seed in 1..=peers {
        let harm = std::panic::catch_unwind(|| meet(seed));
        assert!(harm.is_ok(), "by peer {seed}");
    }
}

/// Has a stack with two servers and a client meet one peer.
fn meet(seed: u64) {
    let world = World::new(Faults::default(), 1);
    let victim = world.net(1, 1500, Config::default());
    let listener = RefCell::new(TcpListener::bind(&victim, PORT, 4).unwrap());
    let random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let peer = Peer { link: world.link(), random, seen: BTreeMap::new() };
    let work = join(
        join(serve(&victim, &listener, Random(82)), serve(&victim, &listener, Random(159))),
        call(&victim),
    );
    world.run(&[&victim], select(peer.attack(&victim), work));
}

async fn serve(net: &Net, listener: &RefCell<TcpListener>, mut random: Random) {
    loop {
        let accepted = std::future::poll_fn(|context| listener.borrow_mut().poll_accept(context)).await;
        let mut stream = accepted.unwrap();
        let work = async {
            let mut bytes = [0; 700];
            for _ in 0..random.below(30) {
                let count @ 1.. = stream.read(&mut bytes).await? else { break };
                stream.write_all(&bytes[..count]).await?;
                if random.below(4) == 0 {
                    stream.write_all(&[7; 5000]).await?;
                }
            }
            if random.below(2) == 0 {
                stream.close_write();
                stream.read(&mut bytes).await?;
            }
            Ok::<(), cloison_net::Error>(())
        };
        let _ = net.within(Duration::from_millis(500), work).await;
    }
}

async fn call(net: &Net) {
    loop {
        let call = async {
            let mut stream = TcpStream::connect(net, SocketAddrV4::new(host(3), 80)).await?;
            stream.write_all(&[1; 3000]).await?;
            stream.read(&mut [0; 300]).await
        };
        let _ = net.within(Duration::from_millis(100), call).await;
        net.sleep(Duration::from_micros(300)).await;
    }
}

struct Peer {
    link: Port,
    random: Random,
    /// What the victim has said last on each connection, by the peer's port and the victim's.
    seen: BTreeMap<(u16, u16), Seen>,
}

/// What would be right to send next.
#[derive(Clone, Copy, Default)]
struct Seen {
    number: u32,
    acknowledged: u32,
    window: u16,
}

impl Peer {
    async fn attack(mut self, net: &Net) {
        for step in 0..STEPS {
            if step % 200 == 0 {
                put(&mut self.link, &arp(1));
            }
            self.listen();
            for _ in 0..=self.random.below(4) {
                self.send();
            }
            let pause = self.pick([60, 60, 60, 60, 60, 15_000, 15_000, 15_000, 200_000, 2_000_000]);
            net.sleep(Duration::from_micros(pause)).await;
        }
    }

    /// Takes down what the victim has said.
    fn listen(&mut self) {
        let mut buffer = [0; 2000];
        while let Some(bytes) = self.link.receive(&mut buffer) {
            let frame = &buffer[..bytes];
            if bytes >= 42 && frame[12..14] == [8, 6] {
                put(&mut self.link, &arp(2));
            } else if bytes >= 54 && frame[12..14] == [8, 0] && frame[23] == 6 {
                self.take_down(frame);
            }
        }
    }

    fn take_down(&mut self, frame: &[u8]) {
        let half = |at: usize| u16::from_be_bytes([frame[at], frame[at + 1]]);
        let word = |at: usize| u32::from(half(at)) << 16 | u32::from(half(at + 2));
        let flags = frame[47];
        let header = 20 + u32::from(frame[46] >> 4) * 4;
        let length = u32::from(half(16)) - header + u32::from((flags & SYN) >> 1) + u32::from(flags & FIN);
        let seen = self.seen.entry((half(36), half(34))).or_default();
        seen.acknowledged = word(38).wrapping_add(length);
        seen.window = half(48);
        if flags & ACK != 0 {
            seen.number = word(42);
        } else if flags & SYN != 0 {
            seen.number = self.random.next() as u32;
        }
    }

    fn send(&mut self) {
        let ports = self.ports();
        let first = self.pick([0, 0xffff_fff0, HALF - 16, HALF]);
        let seen = *self.seen.entry(ports).or_insert(Seen { number: first, ..Seen::default() });
        let flags = self.flags();
        let segment = Segment {
            from: 0,
            ports,
            number: seen.number.wrapping_add(self.offset(seen.window)),
            acknowledged: seen.acknowledged.wrapping_add(self.offset(seen.window)),
            flags,
            window: self.pick([0, 0x0101, 0x6464, 0xffff, 0xffff]),
            length: (self.random.below(60) == 0).then(|| self.random.next() as u8),
            options: self.options(seen.acknowledged),
            data: self.pick([1, 1400, 700, 0, 0, 0]),
        };
        put(&mut self.link, &segment.frame());
        if flags == SYN
            && let Some(seen) = self.seen.get_mut(&ports)
        {
            seen.number = segment.number.wrapping_add(1);
        }
        while self.seen.len() > 24 {
            let ports = self.known();
            self.seen.remove(&ports);
        }
    }

    fn ports(&mut self) -> (u16, u16) {
        if self.seen.is_empty() || self.random.below(10) == 0 {
            (1000 + self.random.below(20) as u16, PORT)
        } else {
            self.known()
        }
    }

    fn known(&mut self) -> (u16, u16) {
        let place = self.random.below(self.seen.len() as u64) as usize;
        self.seen.keys().nth(place).copied().unwrap()
    }

    fn flags(&mut self) -> u8 {
        let any = self.random.next() as u8;
        let data = self.pick([ACK, ACK, ACK, ACK | PSH, ACK | PSH | FIN]);
        self.pick([SYN, SYN | ACK, FIN | ACK, RST | ACK, RST, any, data, data, data, data, data, data])
    }

    /// How far from what is right.
    fn offset(&mut self, window: u16) -> u32 {
        let window = u32::from(window);
        let near = self.random.below(3000) as u32;
        let wrong = self.pick([
            1,
            u32::MAX,
            window,
            window.wrapping_neg(),
            HALF - 1,
            HALF,
            HALF + 1,
            near,
            near.wrapping_neg(),
        ]);
        if self.random.below(14) < 9 { wrong } else { 0 }
    }

    fn options(&mut self, acknowledged: u32) -> Vec<u8> {
        let any = (self.random.next() as u32).to_be_bytes();
        let piece = [acknowledged.wrapping_add(any[0].into()), acknowledged.wrapping_add(HALF)];
        let [from, to] = piece.map(u32::to_be_bytes);
        match self.random.below(21) {
            0 => vec![2, 4, 0, any[0] % 3],
            1 => vec![3, 3, any[0], 1],
            2 => vec![4, 2, 1, 1],
            3 => [&[1, 1, 5, 10][..], &from, &to].concat(),
            4 => [&[1, 1, 8, 10][..], &any, &any].concat(),
            5 => vec![0, any[0], any[1], 0],
            6 => any.to_vec(),
            _ => Vec::new(),
        }
    }

    fn pick<T: Copy, const N: usize>(&mut self, all: [T; N]) -> T {
        all[self.random.below(N as u64) as usize]
    }
}
