//! A network's backend: frames are copied between granted pages and a port of a switch.
//!
//! Between domains nobody computes checksums, so a frame leaves as the guest has made it. Linux checks what comes in:
//! there the header's checksum is filled in, and that of TCP or UDP is said to be right but not computed yet.

use cloison_checksum::{Checksum, complete_but_one};
use cloison_xen::ring::network::{
    CAME_OPEN, CAME_RIGHT, DONE, FAILED, ReceiveRequest, ReceiveResponse, SENT_EXTRA, SENT_MORE, SendRequest,
    SendResponse,
};
use heapless::Vec;
use zerocopy::{FromZeros, IntoBytes};

use super::{Backend, Device, State, Step, ring::BackRing};
use crate::byte_ring::Damaged;
use crate::grants;
use crate::machine::{Memory, Network};
use crate::saved::carried;
use crate::xenstore::{Refusal, Xenstore};

/// Bytes of a frame at most, its header included.
pub const FRAME_BYTES: usize = 1514;
/// Requests that a frame can have at most (`XEN_NETIF_NR_SLOTS_MIN`).
const PARTS: usize = 18;
/// Frames that are sent before others have their turn.
const BATCH: usize = 64;

/// A network's connection to the guest.
pub struct Interface {
    backend: Backend,
    rings: Option<Rings>,
}

#[derive(Default)]
struct Rings {
    sent: BackRing,
    came: BackRing,
    port: u32,
    /// There may be more to do than was done at once.
    is_behind: bool,
}

carried!(Interface { backend, rings });
carried!(Rings { sent, came, port, is_behind });

impl Interface {
    /// Offers the machine's port to a guest that does not run yet, if there is one.
    ///
    /// # Errors
    /// [`Refusal::Full`].
    pub fn new(store: &mut Xenstore, network: &impl Network) -> Result<Option<Self>, Refusal> {
        let Some([a, b, c, d, e, f]) = network.mac() else { return Ok(None) };
        let device = Device { kind: "vif", id: 0 };
        device.offer(store)?;
        store.write_at(format_args!("{}/handle", device.frontend()?), format_args!("0"))?;
        let mac = format_args!("{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}");
        store.write_at(format_args!("{}/mac", device.frontend()?), mac)?;
        device.tell(store, "handle", 0)?;
        device.tell(store, "mac", mac)?;
        // The only one of the features: frames are copied. None has to be longer than a page.
        device.tell(store, "feature-rx-copy", 1)?;
        Ok(Some(Self { backend: Backend::wait(device, store)?, rings: None }))
    }

    /// The guest's event channel, once it is connected.
    #[must_use]
    pub fn port(&self) -> Option<u32> {
        self.rings.as_ref().map(|rings| rings.port)
    }

    /// Whether there may be more to do than was done at once.
    #[must_use]
    pub fn is_behind(&self) -> bool {
        self.rings.as_ref().is_some_and(|rings| rings.is_behind)
    }

    /// Goes on where the guest's side has gone on; to be called when xenstore has changed.
    ///
    /// # Errors
    /// [`Refusal::Full`] if the guest has filled xenstore.
    pub fn look(&mut self, store: &mut Xenstore, memory: &impl Memory) -> Result<(), Refusal> {
        match self.backend.follow(store)? {
            Step::Stay => Ok(()),
            Step::Connect => self.connect(store, memory),
            Step::Stop => {
                self.rings = None;
                Ok(())
            }
        }
    }

    /// Sends what the guest wants to send, and brings what has come; returns the event channel by which it wants to be
    /// told. A ring that contradicts itself ends the connection.
    ///
    /// # Errors
    /// [`Refusal::Full`].
    pub fn serve<M: Memory + Network>(
        &mut self,
        store: &mut Xenstore,
        machine: &mut M,
    ) -> Result<Option<u32>, Refusal> {
        let Some(rings) = &mut self.rings else { return Ok(None) };
        match rings.run(machine) {
            Ok(is_wanted) => Ok(is_wanted.then_some(rings.port)),
            Err(Damaged) => {
                self.rings = None;
                self.backend.enter(store, State::Closing).map(|()| None)
            }
        }
    }

    fn connect(&mut self, store: &mut Xenstore, memory: &impl Memory) -> Result<(), Refusal> {
        let device = self.backend.device;
        let copies = device.heard_number(store, "request-rx-copy") == Some(1);
        let pages = ["tx-ring-ref", "rx-ring-ref"].map(|key| device.ring(store, memory, key));
        let port = device.heard_number(store, "event-channel");
        let ([Some(sent), Some(came)], Some(port), true) = (pages, port, copies) else {
            return self.backend.enter(store, State::Closing);
        };
        self.rings = Some(Rings {
            sent: BackRing::new(sent, size_of::<SendRequest>() as u32),
            came: BackRing::new(came, size_of::<ReceiveRequest>() as u32),
            port,
            is_behind: false,
        });
        self.backend.enter(store, State::Connected)
    }
}

impl Rings {
    fn run<M: Memory + Network>(&mut self, machine: &mut M) -> Result<bool, Damaged> {
        let mut left = BATCH;
        while left > 0 && machine.has_room() && self.send(machine)? {
            left -= 1;
        }
        let is_sending = left == 0;
        left = BATCH;
        while left > 0 && self.came.has_request(machine)? && self.receive(machine)? {
            left -= 1;
        }
        self.is_behind = is_sending || left == 0;
        let is_sent = self.sent.publish(machine)?;
        Ok(self.came.publish(machine)? | is_sent)
    }

    /// Sends the next frame; `false` if there is none.
    fn send<M: Memory + Network>(&mut self, machine: &mut M) -> Result<bool, Damaged> {
        let mut parts = Vec::<SendRequest, PARTS>::new();
        loop {
            let mut part = SendRequest::new_zeroed();
            if !self.sent.take(machine, part.as_mut_bytes())? {
                // The rest of a frame has to be there with its first part.
                return if parts.is_empty() { Ok(false) } else { Err(Damaged) };
            }
            parts.push(part).or(Err(Damaged))?;
            if part.flags & SENT_MORE == 0 {
                break;
            }
        }
        let mut buffer = [0; FRAME_BYTES];
        let frame = gather(machine, &parts, &mut buffer);
        if let Some(frame) = frame {
            machine.send(frame);
        }
        let status = if frame.is_some() { DONE } else { FAILED };
        for part in parts {
            self.sent.answer(machine, SendResponse { id: part.id, status }.as_bytes())?;
        }
        Ok(true)
    }

    /// Brings the next frame; `false` if there is none. A page must be waiting for it.
    fn receive<M: Memory + Network>(&mut self, machine: &mut M) -> Result<bool, Damaged> {
        let mut frame = [0; FRAME_BYTES];
        let Some(bytes) = machine.receive(&mut frame) else { return Ok(false) };
        let frame = &mut frame[..bytes.min(FRAME_BYTES)];
        let flags = match complete_but_one(frame) {
            Ok(Checksum::Open { .. }) => CAME_RIGHT | CAME_OPEN,
            Ok(_) => CAME_RIGHT,
            // Linux finds the same, and drops it.
            Err(_) => 0,
        };
        let mut request = ReceiveRequest::new_zeroed();
        if !self.came.take(machine, request.as_mut_bytes())? {
            return Ok(false);
        }
        let written = grants::write(machine, request.grant, 0, frame);
        let status = if written.is_ok() { frame.len() as i16 } else { FAILED };
        let response = ReceiveResponse { id: request.id, offset: 0, flags, status };
        self.came.answer(machine, response.as_bytes())?;
        Ok(true)
    }
}

/// The frame that its parts make; `None` if they make none.
fn gather<'a>(memory: &impl Memory, parts: &[SendRequest], frame: &'a mut [u8]) -> Option<&'a [u8]> {
    let (first, others) = parts.split_first()?;
    let of_others: usize = others.iter().map(|part| usize::from(part.bytes)).sum();
    let frame = frame.get_mut(..first.bytes.into())?;
    let of_first = frame.len().checked_sub(of_others)?;
    let mut at = 0;
    for (part, bytes) in
        parts.iter().zip([of_first].into_iter().chain(others.iter().map(|part| part.bytes.into())))
    {
        if part.flags & SENT_EXTRA != 0 {
            return None; // Nothing was offered that needs it.
        }
        let to = &mut frame[at..at + bytes];
        grants::read(memory, part.grant, part.offset.into(), to).ok()?;
        at += bytes;
    }
    Some(frame)
}
