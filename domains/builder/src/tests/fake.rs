//! A kernel that only keeps count: of slots, of regions and their pages, of domains.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    format,
    string::{String, ToString},
    vec::Vec,
};

use cloison_abi::{
    CallError, Fault, Rights,
    call::{
        BUILDER_SLOT_CENSUS, BUILDER_SLOT_CONFIGURATION_SPACE, BUILDER_SLOT_FREE, BUILDER_SLOT_LOG,
        BUILDER_SLOT_MEMORY, BUILDER_SLOT_RIGHT, BUILDER_SLOT_SHUTDOWN, SLOT_SELF,
    },
    capture::CAPTURE_LAST,
};
use cloison_sys::Slot;

use crate::{Kernel, Life, Step};

/// Pages of PCI's configuration space: that of one bus.
const SPACE_PAGES: u64 = 256;
/// Pages of its one run of free memory.
pub const RUN_PAGES: u64 = 1000;
/// The right that the builder gives up later than the others.
pub const SPARED: Slot = Slot(BUILDER_SLOT_CENSUS);

/// The kernel.
pub struct Fake(RefCell<State>);

struct State {
    slots: BTreeMap<u8, Object>,
    rights: BTreeMap<u8, Rights>,
    /// The regions of memory that there are, with their first page and their pages.
    regions: Vec<(u64, u64)>,
    /// The first pages of regions that a guest of the domain in a slot has.
    guests: Vec<(u8, Object)>,
    steps: Vec<&'static str>,
    fails_at: usize,
    error: CallError,
    /// What the regions in slots hold, as far as that is not zero.
    bytes: BTreeMap<(u8, u64), u8>,
    /// What is told of a domain that is held: how it waits, or why not.
    held: Result<u64, CallError>,
    /// What was restored, in this order.
    restored: Vec<(u64, [u64; 4])>,
    /// Where domains have begun, in this order.
    entries: Vec<u64>,
    waiting: u32,
    /// Pages that were taken out of PCI's configuration space.
    of_space: Vec<(u64, u64)>,
    /// The top of the stack with which each domain has stopped.
    stack: u64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Object {
    Right,
    Run,
    /// A region that begins at this page of the run.
    Memory(u64),
    Registers,
    /// A part of memory that is counted already: of the budget.
    Part,
    /// The boot loader's log.
    Log,
    /// PCI's configuration space.
    Space,
    /// A domain whose page tables begin at this page.
    Domain(u64),
}

impl Fake {
    /// The kernel when the builder starts.
    pub fn new() -> Self {
        let rights = [SLOT_SELF, BUILDER_SLOT_RIGHT, BUILDER_SLOT_CENSUS, BUILDER_SLOT_SHUTDOWN];
        let mut slots: BTreeMap<_, _> = rights.map(|slot| (slot, Object::Right)).into();
        slots.insert(BUILDER_SLOT_MEMORY, Object::Run);
        slots.insert(BUILDER_SLOT_CONFIGURATION_SPACE, Object::Space);
        let (rights, regions, guests, steps) = (BTreeMap::new(), Vec::new(), Vec::new(), Vec::new());
        Self(RefCell::new(State {
            slots,
            rights,
            regions,
            guests,
            steps,
            fails_at: usize::MAX,
            error: CallError::Denied,
            bytes: BTreeMap::new(),
            held: Ok(0),
            restored: Vec::new(),
            entries: Vec::new(),
            waiting: 0b11,
            of_space: Vec::new(),
            stack: 1,
        }))
    }

    /// The kernel of a boot whose loader has handed on a log.
    pub fn with_log() -> Self {
        let fake = Self::new();
        fake.0.borrow_mut().slots.insert(BUILDER_SLOT_LOG, Object::Log);
        fake
    }

    /// The kernel of a machine whose firmware does not say where PCI's configuration space is.
    pub fn without_space() -> Self {
        let fake = Self::new();
        fake.0.borrow_mut().slots.remove(&BUILDER_SLOT_CONFIGURATION_SPACE);
        fake
    }

    /// Which pages of that space the builder has taken: the first, and how many.
    pub fn taken_of_space(&self) -> Vec<(u64, u64)> {
        self.0.borrow().of_space.clone()
    }

    /// Pages of the run that are a region's.
    pub fn pages_in_use(&self) -> u64 {
        self.0.borrow().regions.iter().map(|(_, pages)| pages).sum()
    }

    /// Slots that hold something.
    pub fn slots_in_use(&self) -> usize {
        self.0.borrow().slots.len()
    }

    /// Those among them that the builder could use as it likes.
    pub fn free_slots_in_use(&self) -> usize {
        self.0.borrow().slots.range(BUILDER_SLOT_FREE..).count()
    }

    /// The rights to which a slot has been limited; nothing if it is empty.
    pub fn rights_of(&self, slot: Slot) -> Option<String> {
        let state = self.0.borrow();
        state.slots.get(&slot.0)?;
        Some(state.rights.get(&slot.0).map_or("all".to_string(), |rights| format!("{rights:?}")))
    }

    /// The names of the steps that it has carried out.
    pub fn steps(&self) -> Vec<&'static str> {
        self.0.borrow().steps.clone()
    }

    /// Counts steps from here on.
    pub fn forget_steps(&self) {
        self.0.borrow_mut().steps.clear();
    }

    /// Refuses the step with this number, once.
    pub fn fail_at(&self, number: usize) {
        self.fail_with(number, CallError::Denied);
    }

    /// The same, with this error.
    pub fn fail_with(&self, number: usize, error: CallError) {
        let mut state = self.0.borrow_mut();
        (state.fails_at, state.error) = (number, error);
    }
}

impl Fake {
    /// Who waits for each domain, as bits.
    pub fn set_waiting(&self, waiting: u32) {
        self.0.borrow_mut().waiting = waiting;
    }

    /// With which top of its stack each domain has stopped.
    pub fn set_stack(&self, top: u64) {
        self.0.borrow_mut().stack = top;
    }

    /// How each domain waits that is held, or why it is not told with what it goes on.
    pub fn set_held(&self, held: Result<u64, CallError>) {
        self.0.borrow_mut().held = held;
    }

    /// Where domains have begun, in this order.
    pub fn entries(&self) -> Vec<u64> {
        self.0.borrow().entries.clone()
    }

    /// What was restored since this was asked.
    pub fn restored(&self) -> Vec<(u64, [u64; 4])> {
        core::mem::take(&mut self.0.borrow_mut().restored)
    }

    /// Writes a byte as nobody but the builder should.
    pub fn poke(&self, region: Slot, offset: u64, byte: u8) {
        self.0.borrow_mut().bytes.insert((region.0, offset), byte);
    }

    /// A byte of a region.
    pub fn peek(&self, region: Slot, offset: u64) -> u8 {
        self.0.borrow().bytes.get(&(region.0, offset)).copied().unwrap_or(0)
    }
}

impl Kernel for &Fake {
    fn carry_out(&mut self, step: &Step<'_>) -> Result<(), CallError> {
        let mut state = self.0.borrow_mut();
        state.steps.push(step.name());
        if state.steps.len() - 1 == state.fails_at {
            return Err(state.error);
        }
        state.carry_out(step)
    }

    fn end_of(&mut self, domain: Slot) -> Result<Fault, CallError> {
        self.0.borrow().domain(domain).map(|()| Fault::NONE)
    }

    fn registers_of(&mut self, domain: Slot, part: u8) -> Result<[u64; 4], CallError> {
        let state = self.0.borrow();
        let first = if part == 1 { state.stack } else { part.into() };
        state.domain(domain).map(|()| [first, part.into(), part.into(), part.into()])
    }

    /// The registers say which part they are.
    fn capture(&mut self, domain: Slot, part: u64) -> Result<[u64; 4], CallError> {
        let state = self.0.borrow();
        state.domain(domain)?;
        let how = state.held?;
        Ok(if part == CAPTURE_LAST { [0x40_1002, 0x202, how, 1 << 3] } else { [part; 4] })
    }

    fn read(&mut self, region: Slot, offset: u64, bytes: &mut [u8]) -> Result<(), CallError> {
        self.0.borrow().get(region)?;
        for (at, byte) in (offset..).zip(bytes) {
            *byte = self.peek(region, at);
        }
        Ok(())
    }

    fn life_of(&mut self, domain: Slot) -> Result<Life, CallError> {
        let waiting = self.0.borrow().waiting;
        let life = Life { lives_ended: 0, cpu_us: 1_234_567, refusals: 3, waiting };
        self.0.borrow().domain(domain).map(|()| life)
    }
}

impl State {
    fn carry_out(&mut self, step: &Step<'_>) -> Result<(), CallError> {
        match *step {
            Step::Carve { run, receiver, first, pages } => self.carve(run, receiver, first, pages),
            Step::Registers { receiver, .. } => self.fill(receiver, Object::Registers),
            Step::Create { receiver, tables, .. } => match self.get(tables)? {
                Object::Memory(first) => self.fill(receiver, Object::Domain(first)),
                _ => Err(CallError::WrongType),
            },
            Step::Destroy { domain } => {
                self.domain(domain)?;
                self.guests.retain(|(holder, _)| *holder != domain.0);
                self.empty(domain)
            }
            Step::Delete { region } => self.delete(region),
            Step::Drop { slot } => self.empty(slot),
            Step::Limit { slot, kept } => {
                self.get(slot)?;
                self.rights.insert(slot.0, kept);
                Ok(())
            }
            Step::Back { region, .. } | Step::Vacate { region } | Step::Clear { region } => {
                self.get(region)?;
                self.bytes.retain(|(slot, _), _| *slot != region.0);
                Ok(())
            }
            Step::Load { region, offset, bytes } => {
                self.get(region)?;
                self.bytes.extend((offset..).zip(bytes).map(|(at, byte)| ((region.0, at), *byte)));
                Ok(())
            }
            Step::Restore { domain, part, words } => {
                self.restored.push((part, words));
                self.domain(domain)
            }
            Step::Signal { event } => self.get(event).map(drop),
            Step::Map { domain, region, .. } | Step::GiveRegion { domain, region, .. } => {
                self.get(region).and_then(|_| self.domain(domain))
            }
            Step::GiveGate { domain, server: other, .. }
            | Step::GiveEvent { domain, target: other, .. }
            | Step::GiveDomain { domain, subject: other, .. } => {
                self.domain(other).and_then(|()| self.domain(domain))
            }
            Step::GiveGuest { domain, parts, .. } => {
                self.domain(domain)?;
                let attached = parts.attached.into_iter().flatten().map(|(region, _)| region);
                let regions = attached.chain([parts.tables, parts.frame]);
                for region in regions {
                    let memory = self.get(region)?;
                    self.guests.push((domain.0, memory));
                }
                Ok(())
            }
            Step::GivePorts { domain, .. }
            | Step::GiveInterrupt { domain, .. }
            | Step::GiveRight { domain, .. }
            | Step::Configure { domain, .. }
            | Step::Judge { domain, .. }
            | Step::Stop { domain }
            | Step::Pause { domain }
            | Step::Resume { domain }
            | Step::Reset { domain }
            | Step::Strip { domain } => self.domain(domain),
            Step::Start { domain, entry, .. } => {
                self.entries.push(entry);
                self.domain(domain)
            }
        }
    }

    fn carve(&mut self, run: Slot, receiver: Slot, first: u64, pages: u64) -> Result<(), CallError> {
        match self.get(run)? {
            Object::Log => return self.fill(receiver, Object::Registers),
            Object::Memory(_) => return self.fill(receiver, Object::Part),
            Object::Space if first + pages > SPACE_PAGES => return Err(CallError::BadArgument),
            Object::Space => {
                self.of_space.push((first, pages));
                return self.fill(receiver, Object::Registers);
            }
            _ => {}
        }
        if self.get(run)? != Object::Run || pages == 0 || first + pages > RUN_PAGES {
            return Err(CallError::BadArgument);
        }
        if self.regions.iter().any(|(start, length)| first < start + length && *start < first + pages) {
            return Err(CallError::Overlap);
        }
        self.fill(receiver, Object::Memory(first))?;
        self.regions.push((first, pages));
        Ok(())
    }

    /// A region that holds the page tables of a domain, or belongs to a guest, stays.
    fn delete(&mut self, region: Slot) -> Result<(), CallError> {
        match self.get(region)? {
            Object::Memory(first) => {
                let is_tables = self.slots.values().any(|object| *object == Object::Domain(first));
                let is_guests = self.guests.iter().any(|(_, object)| *object == Object::Memory(first));
                if is_tables || is_guests {
                    return Err(CallError::BadState);
                }
                self.regions.retain(|(start, _)| *start != first);
            }
            Object::Registers | Object::Part => {}
            _ => return Err(CallError::WrongType),
        }
        self.empty(region)
    }

    fn domain(&self, slot: Slot) -> Result<(), CallError> {
        match self.get(slot)? {
            Object::Domain(_) => Ok(()),
            _ => Err(CallError::WrongType),
        }
    }

    fn get(&self, slot: Slot) -> Result<Object, CallError> {
        self.slots.get(&slot.0).copied().ok_or(CallError::BadSlot)
    }

    fn fill(&mut self, slot: Slot, object: Object) -> Result<(), CallError> {
        if self.slots.contains_key(&slot.0) {
            return Err(CallError::SlotTaken);
        }
        self.slots.insert(slot.0, object);
        Ok(())
    }

    fn empty(&mut self, slot: Slot) -> Result<(), CallError> {
        self.bytes.retain(|(held, _), _| *held != slot.0);
        self.rights.remove(&slot.0);
        self.slots.remove(&slot.0).map(drop).ok_or(CallError::BadSlot)
    }
}
