//! The acts, each named for what has to stay true.

use alloc::{format, string::String, vec, vec::Vec};
use core::time::Duration;

use cloison_abi::info::InfoEntry;
use cloison_ipc::frames::{Control, SKIP};
use cloison_rt::{sys::info, time};
use ore_api::Cause;

use crate::{
    port::{Port, frame},
    switch::Switch,
};

/// Names of the other domains in the manifest: the two that talk while this one attacks, one to which it may
/// not send, and one on another LAN.
const PAIR: [&str; 2] = ["alice", "bob"];
const FORBIDDEN: &str = "frank";
const ELSEWHERE: &str = "carol";
/// Type of the frames by which the pair talks, so that a false one that arrives does harm.
const PAIR_TYPE: u16 = 0x88b5;
/// Type of the frame that ends the pair's talk.
const DONE_TYPE: u16 = 0x88b6;
/// Type of frames that may arrive, and mean nothing to anybody.
const OTHER_TYPE: u16 = 0x0101;
const BROADCAST: [u8; 6] = [0xff; 6];

type Outcome = Result<(), String>;
/// What is done, by whom.
type Act = fn(&mut Attacker) -> Outcome;

/// All acts, in the order in which they are done.
pub(crate) const ACTS: &[(&str, Act)] = &[
    ("another domain's address cannot be used", |it| {
        let sources = [it.peer, it.other];
        it.all_dropped(Cause::Spoofed, &sources.map(|source| frame(it.peer, source, PAIR_TYPE, 60)))
    }),
    ("a group has no frames of its own", |it| {
        it.all_dropped(Cause::Spoofed, &[frame(it.peer, [3, 0, 0, 0, 0, 1], PAIR_TYPE, 60)])
    }),
    ("a VLAN tag leads to no other LAN", |it| {
        let tagged = [0x8100, 0x88a8, 0x9100].map(|tag| frame(it.elsewhere, it.own, tag, 60));
        it.all_dropped(Cause::Tagged, &tagged)?;
        it.nothing_reaches(ELSEWHERE, |_| Ok(()))
    }),
    ("another LAN is out of reach", |it| {
        it.nothing_reaches(ELSEWHERE, |it| {
            it.port.send(&[frame(BROADCAST, it.own, OTHER_TYPE, 60)]);
            it.all_dropped(Cause::NoReceiver, &[frame(it.elsewhere, it.own, PAIR_TYPE, 60)])
        })
    }),
    ("the access list holds, for one and for all", |it| {
        it.nothing_reaches(FORBIDDEN, |it| {
            it.port.send(&[frame(BROADCAST, it.own, OTHER_TYPE, 60)]);
            it.all_dropped(Cause::Denied, &[frame(it.forbidden, it.own, PAIR_TYPE, 60)])
        })
    }),
    ("what is for switches stays here", |it| {
        it.all_dropped(Cause::Reserved, &[frame([1, 0x80, 0xc2, 0, 0, 0], it.own, 0x88cc, 60)])
    }),
    ("frames without a header are dropped", |it| {
        it.all_dropped(Cause::Runt, &[0, 1, 13, 14, 15].map(|bytes| frame(it.peer, it.own, PAIR_TYPE, bytes)))
    }),
    ("frames longer than a receiver takes are dropped for it", |it| {
        let before = it.switch.dropped(PAIR[1], Cause::TooLong)?;
        it.port.send(&[
            frame(it.peer, it.own, OTHER_TYPE, 16 * 1024 + 15),
            frame(it.peer, it.own, OTHER_TYPE, 30_000),
        ]);
        it.same("frames too long", it.switch.dropped(PAIR[1], Cause::TooLong)?, before + 2)
    }),
    ("a flood ends at the rate limit", Attacker::flood),
    ("positions that cannot be cut the port off", Attacker::lie_about_positions),
    ("lengths that cannot be cut the port off", Attacker::lie_about_lengths),
    ("skips that lead nowhere cut the port off", Attacker::skip_to_nowhere),
    ("what was a lie before a signal is where it begins anew after", |it| {
        it.port.position = it.port.position.wrapping_add(it.port.capacity + 1);
        it.port.say(Control::Produced, it.port.position);
        it.port.ring();
        it.is_cut_off(true)?;
        it.port.ring();
        it.is_cut_off(false)?;
        it.works()
    }),
    ("a flood of signals is harmless", |it| {
        for _ in 0..20_000 {
            it.port.signal();
        }
        it.works()
    }),
    ("who reads nothing loses only its own frames", Attacker::read_nothing),
];

pub(crate) struct Attacker {
    port: Port,
    switch: Switch,
    name: &'static str,
    own: [u8; 6],
    /// Addresses of the pair, of the domain it may not send to, and of the one elsewhere.
    other: [u8; 6],
    peer: [u8; 6],
    forbidden: [u8; 6],
    elsewhere: [u8; 6],
}

impl Attacker {
    pub(crate) fn new(entry: &'static InfoEntry) -> Result<Self, String> {
        let (switch, name) = (Switch::find()?, info::get().domain());
        let mac = |name| switch.port(name).map(|report| report.facts.mac);
        let (own, [other, peer]) = (mac(name)?, [mac(PAIR[0])?, mac(PAIR[1])?]);
        let (forbidden, elsewhere) = (mac(FORBIDDEN)?, mac(ELSEWHERE)?);
        Ok(Self { port: Port::new(entry)?, switch, name, own, other, peer, forbidden, elsewhere })
    }

    /// Tells the pair that all is over.
    pub(crate) fn say_done(&mut self) {
        let own = self.own;
        self.port.send(&[self.other, self.peer].map(|to| frame(to, own, DONE_TYPE, 60)));
    }

    /// Sends frames, each of which has to be dropped here for this cause.
    fn all_dropped(&mut self, cause: Cause, frames: &[Vec<u8>]) -> Outcome {
        let before = self.switch.dropped(self.name, cause)?;
        self.port.send(frames);
        self.same(cause.name(), self.switch.dropped(self.name, cause)?, before + frames.len() as u64)
    }

    /// Acts, and nothing may come out at that port meanwhile.
    fn nothing_reaches(&mut self, name: &str, act: impl Fn(&mut Self) -> Outcome) -> Outcome {
        let before = self.switch.port(name)?.counters.frames_out;
        act(self)?;
        self.same("frames there", self.switch.port(name)?.counters.frames_out, before)
    }

    /// Sends more to everybody than its rate allows, 128 frames at a time.
    fn flood(&mut self) -> Outcome {
        let before = self.switch.dropped(self.name, Cause::RateLimit)?;
        let frames = vec![frame(BROADCAST, self.own, OTHER_TYPE, 700); 128];
        for _ in 0..50 {
            self.port.send(&frames);
        }
        let dropped = self.switch.dropped(self.name, Cause::RateLimit)? - before;
        if dropped > 5000 { Ok(()) } else { Err(format!("only {dropped} of 6400 frames were over the rate")) }
    }

    fn lie_about_positions(&mut self) -> Outcome {
        let (position, capacity) = (self.port.position, self.port.capacity);
        for ahead in [capacity + 1, 1 << 31, u32::MAX] {
            self.port.say(Control::Produced, position.wrapping_add(ahead));
            self.port.ring();
            self.is_cut_off(true)?;
            self.mend()?;
        }
        // The switch looks at what was read when it next sends something here, which the pair makes it do.
        self.port.say(Control::Consumed, self.port.hear(Control::Produced).wrapping_add(1));
        self.wait_for("being cut off", |it| Ok(it.switch.port(it.name)?.facts.cut_off))?;
        self.mend()
    }

    fn lie_about_lengths(&mut self) -> Outcome {
        let ring = u64::from(self.port.capacity) * 8;
        for length in [17, ring, ring - 7, u64::from(SKIP - 1), u64::from(SKIP - 8)] {
            self.port.put(0, length, &[]);
            self.port.say(Control::Produced, self.port.position.wrapping_add(3));
            self.port.ring();
            self.is_cut_off(true)?;
            self.mend()?;
        }
        Ok(())
    }

    fn skip_to_nowhere(&mut self) -> Outcome {
        // With nothing behind it.
        let rest = self.port.rest();
        self.port.put(0, SKIP.into(), &[]);
        self.port.say(Control::Produced, self.port.position.wrapping_add(rest));
        self.port.ring();
        self.is_cut_off(true)?;
        self.mend()?;
        // To another skip, which stands at the start of the ring.
        let rest = self.port.rest();
        self.port.put(0, SKIP.into(), &[]);
        self.port.put(rest, SKIP.into(), &[]);
        self.port.say(Control::Produced, self.port.position.wrapping_add(self.port.capacity));
        self.port.ring();
        self.is_cut_off(true)?;
        self.mend()
    }

    /// It has read nothing all the time. The pair sends to everybody until its ring is full, and longer.
    fn read_nothing(&mut self) -> Outcome {
        self.wait_for("a full ring", |it| Ok(it.switch.dropped(it.name, Cause::NoRoom)? > 100))
    }

    /// Makes sense again, which has to let it in.
    fn mend(&mut self) -> Outcome {
        self.port.mend();
        self.is_cut_off(false)?;
        self.works()
    }

    /// An honest frame still gets through.
    fn works(&mut self) -> Outcome {
        let before = self.switch.port(self.name)?.counters.frames_in;
        self.port.send(&[frame(self.peer, self.own, OTHER_TYPE, 60)]);
        self.same("frames taken in", self.switch.port(self.name)?.counters.frames_in, before + 1)
    }

    fn is_cut_off(&self, expected: bool) -> Outcome {
        let cut_off = self.switch.port(self.name)?.facts.cut_off;
        if cut_off == expected { Ok(()) } else { Err(format!("the port is cut off: {cut_off}")) }
    }

    fn wait_for(&self, what: &str, is_so: impl Fn(&Self) -> Result<bool, String>) -> Outcome {
        for _ in 0..10_000 {
            if is_so(self)? {
                return Ok(());
            }
            time::sleep(Duration::from_millis(1));
        }
        Err(format!("10 s passed without {what}"))
    }

    fn same(&self, what: &str, seen: u64, expected: u64) -> Outcome {
        if seen == expected { Ok(()) } else { Err(format!("{seen} {what}, not {expected}")) }
    }
}
