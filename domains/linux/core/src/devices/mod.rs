//! Backends of the guest's devices. Each side writes its state and what the other has to know into xenstore; then
//! requests go through a ring in a page that the guest has granted.

mod all;
pub mod block;
pub mod network;
pub mod ring;
pub mod terminal;

#[cfg(test)]
mod tests;

use core::fmt::{self, Display, Write};

use heapless::String;

pub(crate) use all::Devices;

use crate::grants::{self, Access};
use crate::machine::Memory;
use crate::saved::{Carried, Carrier, CutShort, carried};
use crate::xenstore::{BACKEND, BACKENDS, GUEST, HOME, PATH_BYTES, Refusal, Xenstore};

/// How far a side has come (`io/xenbus.h`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It is beginning.
    Initialising = 1,
    /// It waits for the other.
    InitWait = 2,
    /// What it has to say is written.
    Initialised = 3,
    /// It runs.
    Connected = 4,
    /// It is ending.
    Closing = 5,
    /// It has ended.
    Closed = 6,
}

impl State {
    fn read(value: &[u8]) -> Option<Self> {
        Some(match value {
            b"1" => Self::Initialising,
            b"2" => Self::InitWait,
            b"3" => Self::Initialised,
            b"4" => Self::Connected,
            b"5" => Self::Closing,
            b"6" => Self::Closed,
            _ => return None,
        })
    }
}

/// A device's two folders in xenstore.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Device {
    /// As xenstore has it: `vbd`, `vif`, `console`.
    kind: &'static str,
    /// Its number.
    id: u32,
}

/// The backend's side of a device.
struct Backend {
    device: Device,
    state: State,
}

carried!(Backend { state } leaves { device });

impl Carried for State {
    fn carry(&mut self, carrier: &mut impl Carrier) -> Result<(), CutShort> {
        let mut number = b'0' + *self as u8;
        number.carry(carrier)?;
        *self = Self::read(&[number]).ok_or(CutShort)?;
        Ok(())
    }
}

/// What a backend has to do because the guest's side has gone on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Nothing.
    Stay,
    /// Read what the guest has set up, and begin.
    Connect,
    /// Forget it.
    Stop,
}

impl Backend {
    /// Waits for the guest's side; all that it has to know is written.
    fn wait(device: Device, store: &mut Xenstore) -> Result<Self, Refusal> {
        device.enter(store, State::InitWait)?;
        Ok(Self { device, state: State::InitWait })
    }

    /// Goes on where the guest's side has gone on.
    fn follow(&mut self, store: &mut Xenstore) -> Result<Step, Refusal> {
        match (self.state, self.device.frontend_state(store)) {
            (State::InitWait, State::Initialised | State::Connected) => return Ok(Step::Connect),
            (State::Closing | State::Closed, State::Initialising) => self.enter(store, State::InitWait)?,
            (State::InitWait | State::Connected, State::Closing) => self.enter(store, State::Closing)?,
            (state, State::Closed) if state != State::Closed => self.enter(store, State::Closed)?,
            _ => return Ok(Step::Stay),
        }
        Ok(Step::Stop)
    }

    fn enter(&mut self, store: &mut Xenstore, state: State) -> Result<(), Refusal> {
        self.state = state;
        self.device.enter(store, state)
    }
}

impl Device {
    /// Writes what each device has, but for the backend's state, which comes last.
    fn offer(&self, store: &mut Xenstore) -> Result<(), Refusal> {
        let [frontend, backend] = [self.frontend()?, self.backend()?];
        store.write_at(format_args!("{frontend}/backend"), format_args!("{backend}"))?;
        store.write_at(format_args!("{frontend}/backend-id"), format_args!("{BACKEND}"))?;
        store.write_at(format_args!("{frontend}/state"), format_args!("{}", State::Initialising as u8))?;
        store.write_at(format_args!("{backend}/frontend"), format_args!("{frontend}"))?;
        store.write_at(format_args!("{backend}/frontend-id"), format_args!("{GUEST}"))?;
        store.write_at(format_args!("{backend}/online"), format_args!("1"))
    }

    /// Writes a value for the guest's side.
    fn tell(&self, store: &mut Xenstore, key: &str, value: impl Display) -> Result<(), Refusal> {
        store.write_at(format_args!("{}/{key}", self.backend()?), format_args!("{value}"))
    }

    /// Writes the backend's state.
    fn enter(&self, store: &mut Xenstore, state: State) -> Result<(), Refusal> {
        self.tell(store, "state", state as u8)
    }

    /// What the guest's side has written.
    fn heard<'a>(&self, store: &'a Xenstore, key: &str) -> Option<&'a [u8]> {
        let mut path = self.frontend().ok()?;
        write!(path, "/{key}").ok()?;
        store.read(&path)
    }

    fn heard_number(&self, store: &Xenstore, key: &str) -> Option<u32> {
        core::str::from_utf8(self.heard(store, key)?).ok()?.parse().ok()
    }

    /// The state of the guest's side; closed if it has taken its folder away.
    fn frontend_state(&self, store: &Xenstore) -> State {
        self.heard(store, "state").and_then(State::read).unwrap_or(State::Closed)
    }

    /// The page of a ring that the guest has granted under a key.
    fn ring(&self, store: &Xenstore, memory: &impl Memory, key: &str) -> Option<u64> {
        grants::page(memory, self.heard_number(store, key)?, Access::Write).ok()
    }

    fn frontend(&self) -> Result<Path, Refusal> {
        path(format_args!("{HOME}/device/{}/{}", self.kind, self.id))
    }

    fn backend(&self) -> Result<Path, Refusal> {
        path(format_args!("{BACKENDS}/{}/{GUEST}/{}", self.kind, self.id))
    }
}

type Path = String<PATH_BYTES>;

fn path(text: fmt::Arguments<'_>) -> Result<Path, Refusal> {
    let mut path = Path::new();
    path.write_fmt(text).or(Err(Refusal::TooLong))?;
    Ok(path)
}
