//! A wire that several stacks hang on, its faults, its clock, and an executor that advances the clock when
//! nobody has anything to do.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    future::Future,
    net::Ipv4Addr,
    pin::{Pin, pin},
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use cloison_abi::port::{PortFlags, PortSettings};
use cloison_net::{Config, Link, Net};

/// How long a frame travels, in microseconds.
const LATENCY: u64 = 20;
/// Frames that can wait at one port.
const CAPACITY: usize = 256;
/// Frames at one moment: more are a stack that sends without end.
const MAX_AT_ONCE: u64 = 10_000;

/// What goes wrong on the wire, in parts of a thousand.
#[derive(Clone, Copy, Default)]
pub struct Faults {
    pub lost: u64,
    pub doubled: u64,
    pub delayed: u64,
}

#[derive(Default)]
pub struct Wire {
    now: u64,
    deadline: Option<u64>,
    sent: u64,
    pub frames: u64,
    /// Of them, those at this moment.
    at_once: u64,
    pub faults: Faults,
    random: Random,
    /// What travels to each port, by arrival and order.
    inboxes: Vec<BTreeMap<(u64, u64), Vec<u8>>>,
}

#[derive(Clone, Default)]
pub struct World(pub Rc<RefCell<Wire>>);

impl World {
    pub fn new(faults: Faults, seed: u64) -> Self {
        let wire = Wire { faults, random: Random(seed), ..Wire::default() };
        Self(Rc::new(RefCell::new(wire)))
    }

    /// A stack with the address 10.0.0.`host`; host 0 asks for one by DHCP.
    pub fn net(&self, host: u8, mtu: u32, config: Config) -> Net {
        let settings = PortSettings {
            mac: [2, 0, 10, 0, 0, host],
            address: if host == 0 { [0; 4] } else { [10, 0, 0, host] },
            flags: if host == 0 { PortFlags::DHCP.bits() } else { 0 },
            prefix_bits: 24,
            name_server: [10, 0, 0, 53],
            mtu,
            ..PortSettings::default()
        };
        Net::new(Box::new(self.link()), &settings, config).unwrap()
    }

    pub fn link(&self) -> Port {
        let inboxes = &mut self.0.borrow_mut().inboxes;
        inboxes.push(BTreeMap::new());
        let number = inboxes.len() - 1;
        Port { wire: self.0.clone(), number, room: Vec::new(), random: Random(1 + number as u64) }
    }

    /// Runs `nets` and `main` until `main` ends.
    pub fn run<T>(&self, nets: &[&Net], main: impl Future<Output = T>) -> T {
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(woken.clone());
        let mut context = Context::from_waker(&waker);
        let mut turns: Vec<Pin<Box<_>>> = nets.iter().map(|net| Box::pin(net.run())).collect();
        let mut main = pin!(main);
        loop {
            woken.0.store(false, Ordering::Relaxed);
            self.0.borrow_mut().deadline = None;
            for turn in &mut turns {
                assert!(turn.as_mut().poll(&mut context).is_pending());
            }
            if let Poll::Ready(output) = main.as_mut().poll(&mut context) {
                return output;
            }
            if !woken.0.load(Ordering::Relaxed) {
                self.0.borrow_mut().advance();
            }
        }
    }

    pub fn now(&self) -> u64 {
        self.0.borrow().now
    }
}

impl Wire {
    /// Lets time pass until a frame arrives or somebody's deadline comes.
    fn advance(&mut self) {
        let arrivals = self.inboxes.iter().filter_map(|inbox| inbox.keys().next().map(|(at, _)| *at));
        // What has arrived at a stack that does not run waits for ever.
        let ahead = arrivals.filter(|at| *at > self.now);
        self.at_once = 0;
        self.now = ahead.chain(self.deadline).min().expect("all wait, and nothing will ever come");
    }

    fn send(&mut self, from: usize, frame: &[u8]) {
        self.frames += 1;
        self.at_once += 1;
        assert!(self.at_once <= MAX_AT_ONCE, "a stack sends without end");
        let others = (0..self.inboxes.len()).filter(|port| *port != from);
        for to in others.collect::<Vec<_>>() {
            if self.random.chance(self.faults.lost) {
                continue;
            }
            let copies = 1 + usize::from(self.random.chance(self.faults.doubled));
            for _ in 0..copies {
                let extra =
                    if self.random.chance(self.faults.delayed) { self.random.below(2_000) } else { 0 };
                self.sent += 1;
                let key = (self.now + LATENCY + extra, self.sent);
                if self.inboxes[to].len() < CAPACITY {
                    self.inboxes[to].insert(key, frame.to_vec());
                }
            }
        }
    }
}

pub struct Port {
    wire: Rc<RefCell<Wire>>,
    number: usize,
    room: Vec<u8>,
    random: Random,
}

impl Port {
    fn has_frame(&self) -> bool {
        let wire = self.wire.borrow();
        wire.inboxes[self.number].keys().next().is_some_and(|(at, _)| *at <= wire.now)
    }
}

impl Link for Port {
    fn receive(&mut self, buffer: &mut [u8]) -> Option<usize> {
        if !self.has_frame() {
            return None;
        }
        let (_, frame) = self.wire.borrow_mut().inboxes[self.number].pop_first()?;
        buffer[..frame.len()].copy_from_slice(&frame);
        Some(frame.len())
    }

    fn reserve(&mut self, bytes: usize) -> Option<&mut [u8]> {
        self.room.resize(bytes, 0);
        Some(&mut self.room)
    }

    fn publish(&mut self, bytes: usize) {
        self.wire.borrow_mut().send(self.number, &self.room[..bytes]);
    }

    fn flush(&mut self) {}

    fn prepare_wait(&mut self, _: Option<usize>) -> bool {
        !self.has_frame()
    }

    fn take_wake(&mut self) -> bool {
        self.has_frame()
    }

    fn wait(&mut self) {}

    fn wait_until(&mut self, time: u64) {
        let mut wire = self.wire.borrow_mut();
        wire.deadline = Some(wire.deadline.map_or(time, |deadline| deadline.min(time)));
    }

    fn now(&self) -> u64 {
        self.wire.borrow().now
    }

    fn random(&mut self) -> u64 {
        self.random.next()
    }
}

#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Xorshift: numbers that look random and are the same in every run.
#[derive(Default)]
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn chance(&mut self, in_a_thousand: u64) -> bool {
        in_a_thousand > 0 && self.below(1000) < in_a_thousand
    }
}

/// Runs two futures until both have ended.
pub async fn both<A>(first: impl Future<Output = A>, second: impl Future<Output = ()>) -> A {
    cloison_rt::task::join(first, second).await.0
}

pub fn host(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 0, number)
}
