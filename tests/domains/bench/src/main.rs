//! Counts what calls and signals cost.
//!
//! With `-icount shift=0` the time-stamp counter advances by one for each instruction, so differences of it
//! are numbers of instructions. Each figure is the one that came most often, unless its name says otherwise; what
//! reading the counter costs is taken off.

#![no_std]
#![no_main]

extern crate alloc;

use alloc::collections::BTreeMap;
use core::{
    cell::RefCell,
    sync::atomic::{AtomicU64, Ordering},
};

use cloison_abi::{
    CallError,
    guest::{GuestHalf, GuestMapEntry, GuestRegisters},
    info::{GUEST_FRAME, GUEST_RAM},
};
use cloison_rt::{
    log,
    sys::{self, Instant, Message, Slot, guest::Guest, info, memory::SharedMemory},
};

cloison_rt::entry!(main);

/// How often each thing is done before counting, so that both sides have settled.
const WARM_UP: usize = 200;
/// How often it is counted.
const SAMPLES: usize = 4000;

fn main() -> Result<(), &'static str> {
    let peer = Peer::find().ok_or("the plan gives this domain no peer")?;
    let overhead = count(|| Some(()))?.most_frequent();
    let often = |counts: Counts| counts.most_frequent().saturating_sub(overhead);
    let words = |words| Message { label: 1, words };
    let calls = count(|| peer.call(words([1, 2, 3, 4])).ok())?;
    report("gate-call-4-median", calls.at_most_in(50).saturating_sub(overhead));
    report("gate-call-4-p99", calls.at_most_in(99).saturating_sub(overhead));
    report("gate-call-4", often(calls));
    report("gate-call-0", often(count(|| peer.call(Message::default()).ok())?));
    bench_marks::path();
    report("cheapest-call", often(count(|| Some(sys::wait(1, Instant::PAST)))?));
    bench_marks::path();
    report("signal-to-waiter", peer.signals(overhead)?);
    bench_marks::path();
    report("guest-bounce", often(Bouncer::find().ok_or("the plan gives this domain no guest")?.bounces()?));
    log!("paths: cheapest-call signal-to-waiter guest-bounce");
    let clock = sys::clock();
    let boot = clock.first_domain.saturating_sub(clock.kernel_entry).saturating_sub(clock.calibration);
    report("kernel-to-first-domain", boot);
    Ok(())
}

fn report(name: &str, figure: u64) {
    log!("{name} {figure}");
}

/// The other side.
struct Peer {
    gate: Slot,
    event: Slot,
    arrival: &'static AtomicU64,
}

impl Peer {
    fn find() -> Option<Self> {
        let entry = info::get().find::<info::Use>("peer")?;
        let arrival = SharedMemory::of(entry)?.atomic_u64(0)?;
        Some(Self { gate: info::slot(entry)?, event: info::signal_slot(entry)?, arrival })
    }

    #[inline(always)]
    fn call(&self, message: Message) -> Result<Message, CallError> {
        sys::call(self.gate, message)
    }

    /// From before the signal until the peer, whose priority is higher, has read the counter.
    fn signals(&self, overhead: u64) -> Result<u64, &'static str> {
        let mut counts = Counts::default();
        for _ in 0..WARM_UP + SAMPLES {
            bench_marks::begin();
            let before = Instant::now().0;
            sys::signal(self.event).map_err(|_| "a signal was refused")?;
            bench_marks::end();
            counts.add(self.arrival.load(Ordering::Relaxed).saturating_sub(before));
        }
        Ok(counts.most_frequent().saturating_sub(overhead))
    }
}

/// A guest that comes out at once, again and again.
struct Bouncer(RefCell<Guest>);

impl Bouncer {
    /// Where it sees its program: a call, and a jump back to it.
    const CODE: u64 = 0x10_0000;
    const PROGRAM: [u8; 4] = [0x0f, 0x05, 0xeb, 0xfc];

    fn find() -> Option<Self> {
        let page = info::get();
        let memory = |name| SharedMemory::of_guest(page.find(name)?);
        let slot = page.guest()?;
        let mut guest = Guest::new(slot, memory(GUEST_FRAME)?);
        memory(GUEST_RAM)?.write(0, &Self::PROGRAM).then_some(())?;
        guest.create_space(0).ok()?;
        let code = GuestMapEntry(GuestMapEntry::new(0, 0).0 | GuestMapEntry::EXECUTE);
        guest.map(0, Self::CODE, &[code]).ok()?;
        guest.set_registers(&GuestRegisters { rip: Self::CODE, ..GuestRegisters::default() });
        Some(Self(RefCell::new(guest)))
    }

    /// From before the guest is entered until it has come out. Its own two instructions are in it.
    fn bounces(&self) -> Result<Counts, &'static str> {
        count(|| self.0.borrow_mut().enter(0, GuestHalf::Both, 0, Instant::NEVER).ok())
    }
}

/// Counts what `action` and reading the counter cost.
#[inline(always)]
fn count<T>(action: impl Fn() -> Option<T>) -> Result<Counts, &'static str> {
    let mut counts = Counts::default();
    for _ in 0..WARM_UP + SAMPLES {
        bench_marks::begin();
        let before = Instant::now().0;
        let done = action();
        let after = Instant::now().0;
        bench_marks::end();
        done.ok_or("a call was refused")?;
        counts.add(after - before);
    }
    Ok(counts)
}

/// How often each count came.
#[derive(Default)]
struct Counts {
    seen: BTreeMap<u64, usize>,
    skipped: usize,
}

impl Counts {
    fn add(&mut self, count: u64) {
        if self.skipped < WARM_UP {
            self.skipped += 1;
        } else {
            *self.seen.entry(count).or_default() += 1;
        }
    }

    fn most_frequent(&self) -> u64 {
        self.seen.iter().max_by_key(|(_, times)| **times).map_or(0, |(count, _)| *count)
    }

    /// The least count that `percent` of a hundred do not exceed.
    fn at_most_in(&self, percent: usize) -> u64 {
        let enough = (self.seen.values().sum::<usize>() * percent).div_ceil(100);
        let mut so_far = 0;
        let reaches = |times: &usize| {
            so_far += times;
            so_far >= enough
        };
        let mut reached = self.seen.values().map(reaches);
        reached
            .position(|reached| reached)
            .and_then(|at| self.seen.keys().nth(at))
            .copied()
            .unwrap_or_default()
    }
}
