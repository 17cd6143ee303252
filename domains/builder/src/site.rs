//! Where the builder builds: one domain after the other.
//!
//! Every domain exists before the first is built, as a shell with nothing but page tables, so that each can be
//! given gates and events of each other one in whatever order they are built.

use alloc::vec::Vec;

use cloison_abi::{
    Rights,
    call::{BUILDER_SLOT_FREE, SLOT_SELF},
    image::Digest,
    limits::{MAX_SLOTS, PLAN_EVENTS},
    plan::{DomainEntry, FaultPolicy, NONE},
};
use cloison_sys::{Slot, build::Configuration};

use builder_api::State;

use crate::{BuildError, FreeMemory, Image, Kernel, Numbers, Piece, Plan, Program, Step};

/// Where domains are built.
pub struct Site<'a, K> {
    pub(crate) kernel: K,
    pub(crate) image: &'a Image<'a>,
    pub(crate) plan: Plan<'a>,
    memory: FreeMemory,
    pub(crate) slots: Numbers,
    events: Numbers,
    /// The domains, in the order of the plan; `None` for one that does not exist.
    pub(crate) shells: Vec<Option<Shell>>,
    /// The regions that the builder holds, in the order of the plan.
    pub(crate) regions: Vec<Option<Held>>,
    /// What is free of the budget.
    pub(crate) budget: FreeMemory,
    /// The event that tells the manager of ends.
    pub(crate) news: Option<Slot>,
}

/// A domain that exists.
pub(crate) struct Shell {
    pub(crate) slot: Slot,
    /// Its page tables; `None` from when it is built.
    tables: Option<Held>,
    /// The builder's event bit that tells of its faults, if the builder handles them.
    event: Option<u8>,
    /// The event that asks it to end, if it is started on request.
    pub(crate) shutdown: Option<Slot>,
    /// Where it is in its life.
    pub(crate) state: State,
    /// With what it lives, or lived last.
    pub(crate) choice: Choice,
    /// With which of its images it is started from now on, if nobody chooses one then.
    pub(crate) image: u8,
    /// What is kept of a life from which it can go on.
    pub(crate) saved: Option<Saved>,
}

/// What the manager has chosen for a life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// Pages of its guest; 0: what the plan has for it.
    pub guest_pages: u32,
    /// Which of its images.
    pub image: u8,
}

/// What is kept of a domain that goes on later from where it is saved.
pub(crate) struct Saved {
    /// With what its thread goes on, part by part.
    pub(crate) registers: Vec<[u64; 4]>,
    /// The copy of its memory, region by region.
    pub(crate) store: Held,
    /// Which of its images it has lived with.
    pub(crate) image: u8,
    /// Of all of that, and of the plan.
    pub(crate) digest: Digest,
}

/// A region that the builder holds.
pub(crate) struct Held {
    pub(crate) slot: Slot,
    /// The memory that it is made of, if it is memory and not vacant.
    pub(crate) piece: Option<Piece>,
}

impl<'a, K: Kernel> Site<'a, K> {
    /// Makes a shell of each domain of an image.
    ///
    /// # Errors
    /// [`BuildError`]. If there is too little memory, it says how much is missing before any is given out.
    pub fn open(kernel: K, image: &'a Image<'a>, memory: FreeMemory) -> Result<Self, BuildError> {
        let plan = *image.plan();
        let (needed, left) = (plan.memory_pages(), memory.pages());
        if needed > left {
            return Err(BuildError::Memory { needed, left });
        }
        let mut site = Self {
            kernel,
            image,
            plan,
            memory,
            slots: Numbers::new(BUILDER_SLOT_FREE, MAX_SLOTS as u8),
            events: Numbers::new(0, PLAN_EVENTS as u8),
            shells: Vec::new(),
            regions: plan.regions.iter().map(|_| None).collect(),
            budget: FreeMemory::new([]),
            news: None,
        };
        if plan.header.budget_pages > 0 {
            let budget = site.carve(plan.header.budget_pages)?;
            site.budget = FreeMemory::new([(budget.slot, plan.header.budget_pages.into())]);
        }
        for entry in plan.domains {
            let shell = site.create(entry)?;
            site.shells.push(Some(shell));
        }
        Ok(site)
    }

    /// Builds a domain, which does not run before it is started. If that fails, what it has taken comes back, and
    /// gates of others lead no more into it.
    ///
    /// # Errors
    /// [`BuildError`].
    pub fn build(&mut self, domain: u32) -> Result<(), BuildError> {
        let entry = self.plan.domain(domain)?;
        if self.shell(domain).is_err() {
            self.shells[domain as usize] = Some(self.create(entry)?);
        }
        let mut made = Vec::new();
        let built = self.make_regions(domain, &mut made).and_then(|()| {
            if !self.plan.is_on_request(domain) {
                self.load(domain)?;
            }
            self.map(domain)?;
            self.give_devices(domain)?;
            self.fill_slots(domain)?;
            self.configure(domain)?;
            self.take_shutdown(domain)?;
            self.take_memory(domain)
        });
        match built {
            Ok(()) => self.let_go(domain),
            Err(_) => self.undo(domain, made),
        }
        built
    }

    /// Gives up all rights but those to start domains, and to start some of them again; and the right in `spared`.
    /// To build with memory stays among them, so that a domain cannot take its own away from the builder.
    ///
    /// # Errors
    /// [`BuildError::Refused`].
    pub fn give_up_rights(&mut self, spared: Slot) -> Result<(), BuildError> {
        for slot in SLOT_SELF + 1..MAX_SLOTS as u8 {
            if slot != spared.0 && !self.slots.is_taken(slot) {
                // One that is empty already is as good as dropped.
                let _ = self.carry_out(Step::Drop { slot: Slot(slot) });
            }
        }
        let memory = Rights::READ | Rights::WRITE | Rights::BUILD;
        let looked_after = |domain| match self.plan.is_on_request(domain) {
            true => Rights::HANDLE_FAULT | Rights::MANAGE,
            false => Rights::HANDLE_FAULT,
        };
        let shells = (0..).zip(&self.shells);
        let domains = shells.filter_map(|(domain, shell)| Some((shell.as_ref()?.slot, looked_after(domain))));
        let regions = self.regions.iter().flatten().map(|held| (held.slot, memory));
        let budget = self.budget.runs().map(|run| (run, memory));
        let kept: Vec<_> = domains.chain(regions).chain(budget).collect();
        kept.into_iter().try_for_each(|(slot, kept)| self.carry_out(Step::Limit { slot, kept }))
    }

    /// Starts a domain. If the builder does not start it again, it has no more to do with it.
    ///
    /// # Errors
    /// [`BuildError`].
    pub fn start(&mut self, domain: u32) -> Result<(), BuildError> {
        let (slot, stack) = (self.shell(domain)?.slot, self.plan.first_thread(domain)?.stack);
        self.carry_out(Step::Start { domain: slot, entry: self.program(domain)?.entry, stack })?;
        if self.plan.is_kept(domain) {
            self.set_state(domain, State::Running);
        } else {
            self.shells[domain as usize] = None;
            self.release(slot);
        }
        Ok(())
    }

    /// Starts a domain that has lived, with its memory as it was at first. Those to whom it has lent memory lose it
    /// before it is filled.
    ///
    /// # Errors
    /// [`BuildError`].
    pub fn restart(&mut self, domain: u32) -> Result<(), BuildError> {
        self.begin_life(domain, true)?;
        self.tell_manager();
        Ok(())
    }

    /// The same, for one whose memory may hold nothing.
    pub(crate) fn begin_life(&mut self, domain: u32, is_used: bool) -> Result<(), BuildError> {
        let slot = self.shell(domain)?.slot;
        self.carry_out(Step::Reset { domain: slot })?;
        self.image.check_program(&self.program(domain)?)?;
        if is_used {
            self.plan.memory_of(domain).try_for_each(|region| self.clear(region))?;
        }
        self.load(domain)?;
        self.tell_choice(domain)?;
        self.start(domain)
    }

    /// The program with which a domain lives.
    pub(crate) fn program(&self, domain: u32) -> Result<Program, BuildError> {
        self.plan.program(domain, self.shell(domain)?.choice.image)
    }

    /// Fills a region with zeros.
    pub(crate) fn clear(&mut self, place: usize) -> Result<(), BuildError> {
        let region = self.region(place)?;
        self.carry_out(Step::Clear { region })
    }

    /// The slot of a domain, and the builder's event bit that tells of its faults; `None` if the builder does not
    /// handle them.
    #[must_use]
    pub fn handled(&self, domain: u32) -> Option<(Slot, u8)> {
        let shell = self.shell(domain).ok()?;
        Some((shell.slot, shell.event?))
    }

    fn create(&mut self, entry: &DomainEntry) -> Result<Shell, BuildError> {
        let tables = self.carve(entry.quota_pages)?;
        let slot = self.take_slot()?;
        let step = Step::Create { receiver: slot, tables: tables.slot, name: entry.name };
        if let Err(error) = self.carry_out(step) {
            self.slots.give_back(slot.0);
            self.delete(tables);
            return Err(error);
        }
        let (tables, event, shutdown) = (Some(tables), None, None);
        Ok(Shell {
            slot,
            tables,
            event,
            shutdown,
            state: State::Defined,
            choice: Choice::default(),
            image: 0,
            saved: None,
        })
    }

    pub(crate) fn carve(&mut self, pages: u32) -> Result<Held, BuildError> {
        let piece = take(&mut self.memory, pages)?;
        self.carve_piece(piece)
    }

    pub(crate) fn carve_budget(&mut self, pages: u32) -> Result<Held, BuildError> {
        let piece = take(&mut self.budget, pages)?;
        self.carve_piece(piece)
    }

    fn carve_piece(&mut self, piece: Piece) -> Result<Held, BuildError> {
        let slot = match self.take_slot() {
            Ok(slot) => slot,
            Err(error) => {
                self.give_back(piece);
                return Err(error);
            }
        };
        let step =
            Step::Carve { run: piece.run(), receiver: slot, first: piece.first(), pages: piece.pages() };
        if let Err(error) = self.carry_out(step) {
            self.slots.give_back(slot.0);
            self.give_back(piece);
            return Err(error);
        }
        Ok(Held { slot, piece: Some(piece) })
    }

    /// A piece is free again, in the memory of which it is.
    pub(crate) fn give_back(&mut self, piece: Piece) {
        let memory = if self.budget.runs().any(|run| run == piece.run()) {
            &mut self.budget
        } else {
            &mut self.memory
        };
        memory.give_back(piece);
    }

    /// Loads the regions that belong to a domain, with the program with which it lives. What no load covers is zero already.
    pub(crate) fn load(&mut self, domain: u32) -> Result<(), BuildError> {
        let image = self.plan.image_at(domain, self.shell(domain)?.choice.image);
        for load in self.plan.loads.iter().filter(|load| load.image == NONE || load.image == image) {
            let place = load.region as usize;
            if self.plan.regions.get(place).is_some_and(|region| region.owner == domain) {
                let bytes = self.image.range(load.image_offset, load.bytes)?;
                let region = self.filled(place)?;
                self.carry_out(Step::Load { region, offset: load.region_offset, bytes })?;
            }
        }
        Ok(())
    }

    fn map(&mut self, domain: u32) -> Result<(), BuildError> {
        let slot = self.shell(domain)?.slot;
        for entry in self.plan.mappings.iter().filter(|entry| entry.domain == domain) {
            let step = Step::Map {
                domain: slot,
                region: self.region(entry.region as usize)?,
                address: entry.address,
                first: entry.first_page.into(),
                pages: entry.pages.into(),
                rights: Rights::from_bits_truncate(entry.rights),
            };
            self.carry_out(step)?;
        }
        Ok(())
    }

    fn configure(&mut self, domain: u32) -> Result<(), BuildError> {
        let (thread, on_fault) = (self.plan.first_thread(domain)?, self.plan.on_fault(domain)?);
        let comes_back = self.plan.is_on_request(domain);
        let handler = match on_fault {
            FaultPolicy::Stop | FaultPolicy::Halt if !comes_back => None,
            FaultPolicy::Handler => {
                let handler = self.plan.handler_of(domain)?;
                Some((self.shell(handler.domain)?.slot, handler.event))
            }
            _ => {
                let event = self.events.take().ok_or(BuildError::NoneLeft("event bit"))?;
                self.shells[domain as usize].iter_mut().for_each(|shell| shell.event = Some(event));
                // The builder's own slot stands for the builder.
                Some((Slot(SLOT_SELF), event.into()))
            }
        };
        let how = Configuration {
            priority: thread.priority,
            budget_us: thread.budget_us,
            period_us: thread.period_us,
            on_fault,
            handler,
            comes_back,
            ends_system: self.plan.header.ends_with == domain,
        };
        let slot = self.shell(domain)?.slot;
        self.carry_out(Step::Configure { domain: slot, how })?;
        match self.plan.asked(domain)? {
            classes if classes.is_empty() => Ok(()),
            classes => self.carry_out(Step::Judge { domain: slot, classes }),
        }
    }

    /// Lets go of what a domain that is built has needed, and nobody needs any more: its page tables, registers of
    /// devices, memory that both its users see. Its own memory is needed to start it again.
    fn let_go(&mut self, domain: u32) {
        let tables = self.shells[domain as usize].as_mut().and_then(|shell| shell.tables.take());
        tables.into_iter().for_each(|held| self.release(held.slot));
        for place in 0..self.regions.len() {
            let is_kept = self.plan.is_kept(domain) && self.plan.memory_of(domain).any(|own| own == place);
            if !self.plan.needs(domain, place) || is_kept || self.is_awaited(place) {
                continue;
            }
            if let Some(held) = self.regions[place].take() {
                self.release(held.slot);
            }
        }
    }

    /// Whether a domain that is not built yet needs a region.
    fn is_awaited(&self, region: usize) -> bool {
        let unbuilt = |shell: &Option<Shell>| shell.as_ref().is_none_or(|shell| shell.tables.is_some());
        let mut domains = (0..).zip(&self.shells);
        domains.any(|(domain, shell)| unbuilt(shell) && self.plan.needs(domain, region))
    }

    /// Takes back what a domain has got that could not be built, `made` among it, and the domain itself.
    fn undo(&mut self, domain: u32, made: Vec<usize>) {
        let Some(shell) = self.shells[domain as usize].take() else { return };
        if self.carry_out(Step::Destroy { domain: shell.slot }).is_ok() {
            self.slots.give_back(shell.slot.0);
        }
        shell.event.into_iter().for_each(|event| self.events.give_back(event));
        shell.shutdown.into_iter().for_each(|event| self.release(event));
        let regions: Vec<_> = made.into_iter().filter_map(|place| self.regions[place].take()).collect();
        shell.tables.into_iter().chain(regions).for_each(|held| self.delete(held));
    }

    /// Ends a region. Its memory comes back, unless the kernel says that it is in use.
    pub(crate) fn delete(&mut self, held: Held) {
        if self.carry_out(Step::Delete { region: held.slot }).is_ok() {
            self.slots.give_back(held.slot.0);
            held.piece.into_iter().for_each(|piece| self.give_back(piece));
        }
    }

    /// Empties a slot, which can then hold something else.
    fn release(&mut self, slot: Slot) {
        if self.carry_out(Step::Drop { slot }).is_ok() {
            self.slots.give_back(slot.0);
        }
    }

    pub(crate) fn take_slot(&mut self) -> Result<Slot, BuildError> {
        self.slots.take().map(Slot).ok_or(BuildError::NoneLeft("slot"))
    }

    pub(crate) fn shell(&self, domain: u32) -> Result<&Shell, BuildError> {
        let shell = self.shells.get(domain as usize).and_then(Option::as_ref);
        shell.ok_or(BuildError::Image("the plan names a domain that is not there"))
    }

    pub(crate) fn region(&self, place: usize) -> Result<Slot, BuildError> {
        let held = self.regions.get(place).and_then(Option::as_ref);
        held.map(|held| held.slot).ok_or(BuildError::Image("the plan names a region that is not there"))
    }

    pub(crate) fn carry_out(&mut self, step: Step<'_>) -> Result<(), BuildError> {
        self.kernel.carry_out(&step).map_err(|error| BuildError::Refused(step.name(), error))
    }
}

/// Takes pages of free memory.
pub(crate) fn take(memory: &mut FreeMemory, pages: u32) -> Result<Piece, BuildError> {
    let (needed, left, largest) = (pages.into(), memory.pages(), memory.largest());
    memory.take(needed).ok_or(match needed <= left {
        true => BuildError::Piece { needed, largest },
        false => BuildError::Memory { needed, left },
    })
}
