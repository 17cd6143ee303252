//! The acts, each named for what has to stay true.

use alloc::{format, string::String, vec, vec::Vec};
use core::time::Duration;

use cloison_ipc::{
    Failure,
    frames::{Control, SKIP},
};
use cloison_rt::{
    sys::{Instant, info},
    time,
};
use ore_api::{Cause, counters};

use crate::{
    port::{Port, arp, frame, udp},
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
pub(crate) const BROADCAST: [u8; 6] = [0xff; 6];
/// What the manifest lets it send.
const BYTES_PER_SECOND: u32 = 10_000_000 / 8;
const BURST: usize = 17 * 1024;

type Outcome = Result<(), String>;
/// What is done, by whom.
type Act = fn(&mut Attacker) -> Outcome;

/// All acts, in the order in which they are done.
pub(crate) const ACTS: &[(&str, Act)] = &[
    ("another domain's address cannot be used", |it| {
        let sources = [it.peer, it.other];
        it.all_dropped(Cause::Spoofed, &sources.map(|source| frame(it.peer, source, PAIR_TYPE, 60)))
    }),
    ("another domain's IP address cannot be used", |it| {
        let forged = [
            // Who has bob's address is eve, says eve; or alice, who did not ask for it.
            arp(it.other, it.own, it.own, it.peer_address),
            arp(it.peer, it.own, it.peer, it.own_address),
            udp(it.other, it.own, it.peer_address, 7),
        ];
        it.all_dropped(Cause::Forged, &forged)
    }),
    ("nobody here is a DHCP server", |it| {
        it.all_dropped(Cause::DhcpServer, &[udp(it.peer, it.own, it.own_address, 67)])
    }),
    ("its own IP address can be used", |it| {
        let own = [arp(it.peer, it.own, it.own, it.own_address), udp(it.peer, it.own, it.own_address, 7)];
        it.nothing_dropped(&own, 1)
    }),
    ("who has a port may not read the counters for it", |it| {
        match counters::Client::new(it.port.gate).ports() {
            Err(Failure::Malformed) => Ok(()),
            Err(other) => Err(format!("{other}")),
            Ok(count) => Err(format!("the switch has {} ports, says the gate of a port", count.ports)),
        }
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
            it.port.send(&[frame(BROADCAST, it.own, OTHER_TYPE, 60)])?;
            it.all_dropped(Cause::NoReceiver, &[frame(it.elsewhere, it.own, PAIR_TYPE, 60)])
        })
    }),
    ("the access list holds, for one and for all", |it| {
        it.nothing_reaches(FORBIDDEN, |it| {
            it.port.send(&[frame(BROADCAST, it.own, OTHER_TYPE, 60)])?;
            it.all_dropped(Cause::Denied, &[frame(it.forbidden, it.own, PAIR_TYPE, 60)])
        })
    }),
    ("what is for switches stays here", |it| {
        it.all_dropped(Cause::Reserved, &[frame([1, 0x80, 0xc2, 0, 0, 0], it.own, 0x88cc, 60)])
    }),
    ("frames without a header are dropped", |it| {
        it.all_dropped(Cause::Runt, &[0, 1, 12, 13].map(|bytes| frame(it.peer, it.own, PAIR_TYPE, bytes)))
    }),
    ("frames longer than a receiver takes are dropped for it", |it| {
        let before = it.switch.dropped(PAIR[1], Cause::TooLong)?;
        it.port.send(&[
            frame(it.peer, it.own, OTHER_TYPE, 16 * 1024 + 15),
            frame(it.peer, it.own, OTHER_TYPE, 30_000),
        ])?;
        it.same("frames too long", it.switch.dropped(PAIR[1], Cause::TooLong)?, before + 2)
    }),
    ("a flood waits for its rate, and loses nothing", Attacker::flood),
    ("positions that cannot be cut the port off", Attacker::lie_about_positions),
    ("lengths that cannot be cut the port off", Attacker::lie_about_lengths),
    ("skips that lead nowhere cut the port off", Attacker::skip_to_nowhere),
    ("what was a lie before a signal is where it begins again after", |it| {
        it.port.position = it.port.position.wrapping_add(it.port.capacity + 1);
        it.port.say(Control::Produced, it.port.position);
        it.is_let_in()?;
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
    own_address: [u8; 4],
    /// The one of bob.
    peer_address: [u8; 4],
}

impl Attacker {
    pub(crate) fn new(entry: &'static info::Use) -> Result<Self, String> {
        let (switch, name) = (Switch::find()?, info::get().domain());
        let mac = |name| switch.port(name).map(|report| report.facts.mac);
        let (own, [other, peer]) = (mac(name)?, [mac(PAIR[0])?, mac(PAIR[1])?]);
        let (forbidden, elsewhere) = (mac(FORBIDDEN)?, mac(ELSEWHERE)?);
        let address = |name| switch.port(name).map(|report| report.facts.address);
        let (own_address, peer_address) = (address(name)?, address(PAIR[1])?);
        let port = Port::new(entry)?;
        Ok(Self { port, switch, name, own, other, peer, forbidden, elsewhere, own_address, peer_address })
    }

    /// Tells the pair that all is over.
    pub(crate) fn say_done(&mut self) -> Outcome {
        let own = self.own;
        self.port.send(&[self.other, self.peer].map(|to| frame(to, own, DONE_TYPE, 60)))
    }

    /// Sends frames, each of which has to be dropped here for this cause.
    fn all_dropped(&mut self, cause: Cause, frames: &[Vec<u8>]) -> Outcome {
        let before = self.switch.dropped(self.name, cause)?;
        self.port.send(frames)?;
        self.same(cause.name(), self.switch.dropped(self.name, cause)?, before + frames.len() as u64)
    }

    /// Sends frames several times, all of which have to be taken in and sent on.
    fn nothing_dropped(&mut self, frames: &[Vec<u8>], times: usize) -> Outcome {
        let (taken, refused) = self.taken_and_refused()?;
        for _ in 0..times {
            self.port.send(frames)?;
        }
        let (taken_after, refused_after) = self.taken_and_refused()?;
        self.same("frames taken in", taken_after, taken + (times * frames.len()) as u64)?;
        self.same("frames dropped", refused_after, refused)
    }

    /// Frames that came in at this port, and those of them that were dropped.
    fn taken_and_refused(&self) -> Result<(u64, u64), String> {
        let counters = self.switch.port(self.name)?.counters;
        // The other causes are for frames that were to come out here.
        let outgoing = [Cause::TooLong, Cause::NoRoom, Cause::CutOff];
        let causes = Cause::ALL.iter().filter(|cause| !outgoing.contains(cause));
        Ok((counters.frames_in, causes.map(|cause| counters.dropped(*cause)).sum()))
    }

    /// Acts, and nothing may come out at that port meanwhile.
    fn nothing_reaches(&mut self, name: &str, act: impl Fn(&mut Self) -> Outcome) -> Outcome {
        let before = self.switch.port(name)?.counters.frames_out;
        act(self)?;
        self.same("frames there", self.switch.port(name)?.counters.frames_out, before)
    }

    /// Sends more to everybody than its rate allows, and measures how long that takes.
    fn flood(&mut self) -> Outcome {
        const BYTES: usize = 700;
        const FRAMES: usize = 1000;
        const TIMES: usize = 10;
        let start = Instant::now();
        self.nothing_dropped(&vec![frame(BROADCAST, self.own, OTHER_TYPE, BYTES); FRAMES / TIMES], TIMES)?;
        let took = time::since(start);
        let least = Duration::from_secs((FRAMES * BYTES - BURST) as u64) / BYTES_PER_SECOND;
        if took < least {
            return Err(format!("{FRAMES} frames took {took:?}, at its rate they take {least:?}"));
        }
        Ok(())
    }

    fn lie_about_positions(&mut self) -> Outcome {
        for ahead in [self.port.capacity + 1, 1 << 31, u32::MAX] {
            self.lie(|port| port.say(Control::Produced, port.position.wrapping_add(ahead)))?;
        }
        // The switch looks at what was read when it next sends something here, which the pair makes it do.
        self.port.say(Control::Consumed, self.port.hear(Control::Produced).wrapping_add(1));
        self.is_cut_off()?;
        self.mend()
    }

    fn lie_about_lengths(&mut self) -> Outcome {
        let ring = u64::from(self.port.capacity) * 8;
        for length in [17, ring, ring - 7, u64::from(SKIP - 1), u64::from(SKIP - 8)] {
            self.lie(|port| {
                port.put(0, length, &[]);
                port.say(Control::Produced, port.position.wrapping_add(3));
            })?;
        }
        Ok(())
    }

    fn skip_to_nowhere(&mut self) -> Outcome {
        // With nothing behind it.
        self.lie(|port| {
            port.put(0, SKIP.into(), &[]);
            port.say(Control::Produced, port.position.wrapping_add(port.rest()));
        })?;
        // To another skip, which stands at the start of the ring.
        self.lie(|port| {
            port.put(0, SKIP.into(), &[]);
            port.put(port.rest(), SKIP.into(), &[]);
            port.say(Control::Produced, port.position.wrapping_add(port.capacity));
        })
    }

    /// Says what has to cut the port off, sees that it does, and makes sense again. A switch that looks between
    /// what is said and the signal takes that signal for the end of it: then there is nothing to see, and it is
    /// said again.
    fn lie(&mut self, lie: impl Fn(&mut Port)) -> Outcome {
        const TIMES: usize = 10;
        let mut seen = Ok(());
        for _ in 0..TIMES {
            lie(&mut self.port);
            self.port.ring();
            seen = self.is_cut_off();
            self.mend()?;
            if seen.is_ok() {
                break;
            }
        }
        seen
    }

    /// It has read nothing all the time. The pair sends to everybody until its ring is full, and longer.
    fn read_nothing(&mut self) -> Outcome {
        self.wait_for("a full ring", |it| Ok(it.switch.dropped(it.name, Cause::NoRoom)? > 100))
    }

    /// Makes sense again, which has to let it in.
    fn mend(&mut self) -> Outcome {
        self.port.mend();
        self.is_let_in()?;
        self.works()
    }

    /// An honest frame still gets through.
    fn works(&mut self) -> Outcome {
        let before = self.switch.port(self.name)?.counters.frames_in;
        self.port.send(&[frame(self.peer, self.own, OTHER_TYPE, 60)])?;
        self.same("frames taken in", self.switch.port(self.name)?.counters.frames_in, before + 1)
    }

    /// It is, sooner or later: a port over its rate is not looked at at once.
    fn is_cut_off(&self) -> Outcome {
        self.wait_for("being cut off", |it| it.switch.port(it.name).map(|port| port.facts.cut_off))
    }

    /// It is, when it signals. It does so until then: who was let in while a lie still stood is cut off once more
    /// when that goes.
    fn is_let_in(&self) -> Outcome {
        self.wait_for("being let in", |it| {
            it.port.ring();
            it.switch.port(it.name).map(|port| !port.facts.cut_off)
        })
    }

    fn wait_for(&self, what: &str, is_so: impl Fn(&Self) -> Result<bool, String>) -> Outcome {
        for _ in 0..1000 {
            if is_so(self)? {
                return Ok(());
            }
            time::sleep(Duration::from_millis(1));
        }
        Err(format!("1 s passed without {what}"))
    }

    fn same(&self, what: &str, seen: u64, expected: u64) -> Outcome {
        if seen == expected { Ok(()) } else { Err(format!("{seen} {what}, not {expected}")) }
    }
}
