//! A link as smoltcp wants it: tokens that stand for one packet to read and one to write. smoltcp sees IP
//! packets alone; Ethernet's headers, and whom a packet goes to next, are the business of this side.

use alloc::{boxed::Box, vec::Vec};
use core::net::Ipv4Addr;

use smoltcp::{
    phy::{ChecksumCapabilities, Device, DeviceCapabilities, Medium, RxToken, TxToken},
    time::Instant,
};

use crate::{
    Error, Link, dhcp,
    ethernet::{self, ARP_FRAME_BYTES, Arp, Content, HEADER_BYTES},
    flows::{Flows, Verdict},
    host::{Fate, Host},
    memory::zeroed,
    segment::Segment,
};

/// Counts of what has passed a domain's port, as the domain sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Frames that came in.
    pub frames_in: u64,
    /// Their bytes, Ethernet headers included.
    pub bytes_in: u64,
    /// Frames that went out.
    pub frames_out: u64,
    /// Their bytes, Ethernet headers included.
    pub bytes_out: u64,
    /// Answers that were not sent because the port had no room for them.
    pub dropped_out: u64,
    /// Segments that no honest peer sends, and that no connection has seen.
    pub refused_in: u64,
}

/// The device that smoltcp sees.
pub(crate) struct LinkDevice {
    pub(crate) wire: Wire,
    /// Whether a frame had no room since this was last looked at.
    pub(crate) is_blocked: bool,
    /// A frame is copied here before anything looks at it: in the shared memory it could change between two
    /// looks.
    received: Vec<u8>,
    /// Length of the frame there that nobody has consumed yet.
    pending: Option<usize>,
    /// Where an answer goes that has no room in the port.
    discarded: Vec<u8>,
}

/// The way out: a port, this side at it, and the connections through it.
pub(crate) struct Wire {
    pub(crate) link: Box<dyn Link>,
    pub(crate) counters: Counters,
    pub(crate) flows: Flows,
    pub(crate) host: Host,
    /// A DHCP server may have something to say.
    pub(crate) asks_for_address: bool,
    frame_bytes: usize,
}

/// How to treat a frame that has come in.
pub(crate) enum Arrival {
    /// Nothing more: it was for others, or ARP's.
    Done,
    /// It may be a DHCP server's.
    Dhcp,
    /// It is a packet.
    Packet(Verdict),
}

impl LinkDevice {
    pub(crate) fn new(link: Box<dyn Link>, mac: [u8; 6], mtu: usize) -> Result<Self, Error> {
        let frame_bytes = HEADER_BYTES + mtu;
        let host = Host::new(mac, link.now());
        let wire = Wire {
            link,
            counters: Counters::default(),
            flows: Flows::default(),
            host,
            asks_for_address: false,
            frame_bytes,
        };
        let (received, discarded) = (zeroed(frame_bytes)?, zeroed(frame_bytes)?);
        Ok(Self { wire, is_blocked: false, received, pending: None, discarded })
    }

    /// Takes in the next frame; a packet, for [`Device::receive`] to hand on. `None`: there is none.
    pub(crate) fn fetch(&mut self) -> Option<Arrival> {
        let bytes = self.wire.link.receive(&mut self.received)?;
        self.wire.counters.frames_in += 1;
        self.wire.counters.bytes_in += bytes as u64;
        self.pending = Some(bytes);
        let frame = &mut self.received[..bytes];
        let Some(ends) = ethernet::ends(frame).filter(|[to, _]| self.wire.host.is_meant(*to)) else {
            return Some(Arrival::Done);
        };
        Some(match ethernet::content(frame) {
            None => Arrival::Done,
            Some(Content::Arp(arp)) => {
                self.wire.take_arp(&arp);
                Arrival::Done
            }
            Some(Content::Ipv4) => {
                let Some(bytes) = ethernet::packet_bytes(frame) else { return Some(Arrival::Done) };
                self.pending = Some(HEADER_BYTES + bytes);
                let packet = &mut frame[HEADER_BYTES..][..bytes];
                if self.wire.asks_for_address && dhcp::is_for_client(packet) {
                    return Some(Arrival::Dhcp);
                }
                if !self.wire.host.hear(packet, ends) {
                    return Some(Arrival::Done);
                }
                Arrival::Packet(self.wire.flows.take_in(packet, self.wire.host.now))
            }
        })
    }

    /// The packet that was taken in.
    pub(crate) fn packet(&self) -> &[u8] {
        let bytes = self.pending.unwrap_or(HEADER_BYTES);
        self.received.get(HEADER_BYTES..bytes).unwrap_or_default()
    }

    /// The segment in it, if there is one.
    pub(crate) fn segment(&mut self) -> Option<Segment<'_>> {
        let bytes = self.pending?;
        Segment::of(self.received.get_mut(HEADER_BYTES..bytes)?)
    }

    /// Looks at it once more, now that more is known of its connection. True: smoltcp may see it.
    pub(crate) fn take_in_again(&mut self) -> bool {
        let Some(bytes) = self.pending else { return false };
        let verdict = self.wire.flows.take_in(&mut self.received[HEADER_BYTES..bytes], self.wire.host.now);
        verdict == Verdict::Harmless
    }

    /// Most data of a segment that fits into a frame.
    pub(crate) fn segment_bytes(&self) -> usize {
        self.wire.frame_bytes - HEADER_BYTES - 40
    }

    /// Length of the largest frame, for which there is to be room before anything is sent.
    pub(crate) fn frame_bytes(&self) -> usize {
        self.wire.frame_bytes
    }
}

impl Wire {
    /// Sends a packet.
    pub(crate) fn send(&mut self, packet: &[u8]) {
        let bytes = HEADER_BYTES + packet.len();
        let Some(frame) = self.link.reserve(bytes) else {
            self.counters.dropped_out += 1;
            return;
        };
        frame[HEADER_BYTES..].copy_from_slice(packet);
        let fate = self.host.address(frame);
        self.settle(fate, bytes);
    }

    /// Asks once more for those who have not answered, and gives up those who never do.
    pub(crate) fn ask_again(&mut self) {
        while let Some(address) = self.host.neighbours.overdue(self.host.now) {
            self.ask(address);
        }
    }

    /// Does with the frame last reserved what was found right.
    fn settle(&mut self, fate: Fate, bytes: usize) {
        match fate {
            Fate::Leaves => self.publish(bytes),
            Fate::Waits(Some(address)) => self.ask(address),
            Fate::Waits(None) | Fate::Ends => {}
        }
    }

    fn publish(&mut self, bytes: usize) {
        self.link.publish(bytes);
        self.counters.frames_out += 1;
        self.counters.bytes_out += bytes as u64;
    }

    fn ask(&mut self, address: Ipv4Addr) {
        if let Some(question) = self.host.question(address) {
            self.send_arp(&question);
        }
    }

    fn send_arp(&mut self, arp: &Arp) {
        if let Some(frame) = self.link.reserve(ARP_FRAME_BYTES) {
            arp.write(frame);
            self.publish(ARP_FRAME_BYTES);
        }
    }

    fn take_arp(&mut self, arp: &Arp) {
        if self.host.is_asked(arp) {
            self.send_arp(&self.host.answer(arp));
        }
        if !self.host.believes(arp) {
            return;
        }
        for packet in self.host.neighbours.learn(arp.from.0, arp.from.1, self.host.now) {
            self.send(&packet);
        }
    }
}

impl Device for LinkDevice {
    type RxToken<'a> = Received<'a>;
    type TxToken<'a> = Transmit<'a>;

    fn receive(&mut self, _: Instant) -> Option<(Received<'_>, Transmit<'_>)> {
        let bytes = self.pending.take()?;
        let packet = self.received.get(HEADER_BYTES..bytes)?;
        Some((Received(packet), Transmit { wire: &mut self.wire, discarded: &mut self.discarded }))
    }

    fn transmit(&mut self, _: Instant) -> Option<Transmit<'_>> {
        if self.wire.link.reserve(self.wire.frame_bytes).is_none() {
            self.is_blocked = true;
            return None;
        }
        Some(Transmit { wire: &mut self.wire, discarded: &mut self.discarded })
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = self.wire.frame_bytes - HEADER_BYTES;
        // Between domains nothing can garble a frame, so nobody computes checksums; who takes a frame out of
        // the machine completes them, and verifies those of what comes in.
        capabilities.checksum = ChecksumCapabilities::ignored();
        capabilities
    }
}

/// A packet that came in.
pub(crate) struct Received<'a>(&'a [u8]);

impl RxToken for Received<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, read: F) -> R {
        read(self.0)
    }
}

/// The right to send one packet.
pub(crate) struct Transmit<'a> {
    wire: &'a mut Wire,
    discarded: &'a mut [u8],
}

impl TxToken for Transmit<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, bytes: usize, write: F) -> R {
        let Wire { link, flows, counters, host, .. } = self.wire;
        let Some(frame) = link.reserve(HEADER_BYTES + bytes) else {
            counters.dropped_out += 1;
            let packet = &mut self.discarded[..bytes];
            let result = write(packet);
            // smoltcp takes it as sent, and goes on from there.
            flows.put_out(packet, host.now);
            return result;
        };
        let packet = &mut frame[HEADER_BYTES..];
        let result = write(packet);
        flows.put_out(packet, host.now);
        let fate = host.address(frame);
        self.wire.settle(fate, HEADER_BYTES + bytes);
        result
    }
}
