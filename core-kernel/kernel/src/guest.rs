//! Guests: how a thread of a shim goes into its guest and comes out again, and what becomes of a guest when its shim ends.

use cloison_abi::{
    CallError,
    guest::{GUEST_REGIONS, GuestExit, GuestHalf, GuestMapEntry},
};
use cloison_rules::{
    DomainId, GuestId, GuestRef, RegionRef, ThreadId,
    guest::{Attached, SpaceId},
    thread::Next,
};

use crate::{
    arch::{cpu::Cpu, guest::GuestSpaces, guest_context::GuestContext, time},
    calls::zero_step,
    life::Renewal,
    state::Kernel,
};

/// A guest.
pub struct Guest {
    /// How many guests have had this index before.
    generation: u32,
    /// The domain that it is part of; none if there is no such guest.
    owner: Option<DomainId>,
    /// The region of which its page tables are made.
    pool: Option<RegionRef>,
    /// What it sees.
    pub(crate) spaces: GuestSpaces,
    pub(crate) context: GuestContext,
    /// Events for which it comes out.
    mask: u64,
}

impl Guest {
    /// No guest, all zeros.
    pub const NONE: Self = Self {
        generation: 0,
        owner: None,
        pool: None,
        spaces: GuestSpaces::NONE,
        context: GuestContext::EMPTY,
        mask: 0,
    };
}

/// What a thread finds in its registers when its guest has come out.
pub struct CameOut {
    /// Why.
    pub exit: GuestExit,
    /// The vector of an exception.
    pub vector: u32,
    /// Results 0 and 1.
    pub words: [u64; 2],
}

impl Kernel {
    /// The guest behind a reference.
    ///
    /// # Errors
    /// [`CallError::BadSlot`] if it has ended.
    pub fn resolve_guest(&self, guest: GuestRef) -> Result<GuestId, CallError> {
        let same = self.guests[guest.id.index()].generation == guest.generation;
        if same { Ok(guest.id) } else { Err(CallError::BadSlot) }
    }

    /// A guest's objects, to change them.
    pub fn guest_mut(&mut self, id: GuestId) -> &mut Guest {
        &mut self.guests[id.index()]
    }

    /// A new guest of a domain.
    ///
    /// # Errors
    /// [`CallError::TableFull`]; [`CallError::BadState`] for regions that are no memory, not zeroed, or in another use.
    pub fn add_guest(
        &mut self,
        owner: DomainId,
        pool: RegionRef,
        frame: RegionRef,
        attached: [Option<Attached>; GUEST_REGIONS],
    ) -> Result<GuestRef, CallError> {
        let free = GuestId::all().find(|id| self.guests[id.index()].owner.is_none());
        let id = free.ok_or(CallError::TableFull)?;
        let mut spaces = self.regions.attach(frame, attached, owner.bit())?;
        match self.regions.take_tables(pool) {
            Ok(frames) => spaces.begin(frames),
            Err(error) => {
                self.regions.detach(&mut spaces);
                return Err(error);
            }
        }
        let guest = self.guest_mut(id);
        (guest.owner, guest.pool, guest.spaces) = (Some(owner), Some(pool), spaces);
        guest.context.begin();
        let generation = guest.generation;
        self.domain_mut(owner).guest = Some(id);
        Ok(GuestRef { id, generation })
    }

    /// A thread is to run its guest, from the registers in the frame page on. It has the CPU at once if nothing is to be
    /// decided: returns whether it is so.
    ///
    /// # Errors
    /// [`CallError::BadState`] if there is no such space; [`CallError::BadArgument`] if nothing can run with the registers.
    #[inline(always)]
    pub fn begin_guest(
        &mut self,
        cpu: &mut Cpu,
        thread: ThreadId,
        id: GuestId,
        (space, half, switches): (SpaceId, GuestHalf, bool),
        (mask, deadline): (u64, u64),
    ) -> Result<bool, CallError> {
        let guest = &mut self.guests[id.index()];
        let root = guest.spaces.root(space, half).ok_or(CallError::BadState)?;
        guest.context.load(&guest.spaces, space, half)?;
        guest.context.open(&guest.spaces, switches)?;
        guest.mask = mask;
        if self.threads.enter_guest(thread, mask, deadline) && guest.context.has_no_selectors() {
            cpu.enter_guest(id, &mut guest.context, root);
            return Ok(true);
        }
        self.context_mut(thread).go_into_guest();
        Ok(false)
    }

    /// From now on the kernel can switch the halves of a guest: see [`cloison_abi::guest::GuestSwitch`].
    ///
    /// # Errors
    /// [`CallError::BadArgument`], [`CallError::MissingRight`].
    pub fn lead_guest(
        &mut self,
        id: GuestId,
        entry: GuestMapEntry,
        addresses: [u64; 3],
        numbers: u64,
    ) -> Result<(), CallError> {
        let Guest { spaces, context, .. } = &mut self.guests[id.index()];
        let page = self.regions.shown_to_guest(spaces, entry)?.ok_or(CallError::BadArgument)?;
        context.lead(page, addresses, numbers)
    }

    /// Lets the guest of a thread have the CPU that is to go on. Returns false if the guest has come out instead: its
    /// thread goes on with its own program.
    pub fn go_on_in_guest(&mut self, cpu: &mut Cpu, thread: ThreadId, id: GuestId) -> bool {
        self.context_mut(thread).come_out_of_guest();
        let guest = &mut self.guests[id.index()];
        let due = self.threads.guest_is_due(thread, guest.mask, time::now);
        let (space, half) = guest.context.place();
        if due.is_none()
            && let Some(root) = guest.spaces.root(space, half)
        {
            cpu.load_selectors(&guest.context);
            cpu.enter_guest(id, &mut guest.context, root);
            return true;
        }
        let (exit, events) = match due {
            Some(Next::Events(events)) => (GuestExit::Events, events),
            _ => (GuestExit::Deadline, 0),
        };
        self.end_guest(thread, id, CameOut { exit, vector: 0, words: [events, 0] });
        false
    }

    /// The guest that has the CPU has faulted as ring 0 does, though it runs in ring 3: QEMU reads what `iretq` takes from the
    /// stack with the rights of ring 0 (`helper_iret_protected`), to which SMAP closes a guest's memory. If it was that, does
    /// what the instruction would have done, and returns true: the CPU is the guest's as it was.
    #[cold]
    pub fn carry_out_return(&mut self, id: GuestId) -> bool {
        let Guest { spaces, context, .. } = self.guest_mut(id);
        context.carry_out_return(spaces)
    }

    /// If the CPU has come from a guest into the kernel, saves what it holds of that. Returns the guest.
    #[inline(always)]
    pub fn save_guest(&mut self, cpu: &mut Cpu) -> Option<GuestId> {
        let id = cpu.guest()?;
        cpu.leave_guest(&mut self.guests[id.index()].context);
        Some(id)
    }

    /// The guest of a thread has come out.
    #[inline(always)]
    pub fn end_guest(&mut self, thread: ThreadId, id: GuestId, out: CameOut) {
        let guest = &self.guests[id.index()];
        guest.context.store(&guest.spaces);
        self.threads.leave_guest(thread);
        let context = self.context_mut(thread);
        context.set_outcome(out.exit as i32, out.vector);
        context.set_words([out.words[0], out.words[1], 0, 0]);
    }

    /// The guest that a thread runs.
    pub fn guest_in(&self, thread: ThreadId) -> Option<GuestId> {
        let context = self.context(thread);
        let home = context.home().filter(|_| context.is_in_guest())?;
        self.domain(home).guest
    }

    /// Ends the spaces of a domain's guest, if it has one; their page tables are to be zeroed.
    pub fn end_guest_spaces(&mut self, owner: DomainId) {
        let Some(id) = self.domain(owner).guest else { return };
        let guest = &mut self.guests[id.index()];
        if let (Some(frames), Some(pool)) = (guest.spaces.end(), guest.pool) {
            // They are the pages of this region, which it cannot lose before.
            let _ = self.regions.end_tables(pool, &frames);
        }
    }

    /// Ends the spaces of all guests that could show a region. Their domains do not live, and begin their next lives from
    /// nothing.
    ///
    /// # Errors
    /// [`CallError::BadState`] if one of them lives, or the region is of a guest's frame page.
    pub fn end_guests_of(&mut self, region: RegionRef) -> Result<(), CallError> {
        for id in GuestId::all() {
            let guest = &self.guests[id.index()];
            let Some(owner) = guest.owner.filter(|_| guest.spaces.needs(region)) else { continue };
            if self.is_alive(owner) || !guest.spaces.sees(region) {
                return Err(CallError::BadState);
            }
            self.end_guest_spaces(owner);
            let domain = self.domain_mut(owner);
            if matches!(domain.renewal, Renewal::Fresh | Renewal::Mapping) {
                domain.renewal = Renewal::Used;
            }
        }
        Ok(())
    }

    /// Makes the guest of a domain, if it has one, what it was at first: one step of it. Its spaces have ended. Returns
    /// whether it is so.
    ///
    /// # Errors
    /// None that is to be expected: the region of its page tables is its own.
    pub fn renew_guest_step(&mut self, owner: DomainId) -> Result<bool, CallError> {
        let Some(id) = self.domain(owner).guest else { return Ok(true) };
        let Some(pool) = self.guests[id.index()].pool.filter(|_| !self.guests[id.index()].spaces.are_there())
        else {
            return Ok(true);
        };
        if !zero_step(self, pool)? {
            return Ok(false);
        }
        let frames = self.regions.take_tables(pool)?;
        let guest = self.guest_mut(id);
        guest.spaces.begin(frames);
        guest.context.begin();
        Ok(true)
    }

    /// The guest of a domain that has ended for good loses its memory.
    pub fn detach_guest(&mut self, owner: DomainId) {
        self.end_guest_spaces(owner);
        if let Some(id) = self.domain(owner).guest {
            self.regions.detach(&mut self.guests[id.index()].spaces);
        }
    }

    /// Destroys the guest of a domain that has ended for good, if it has one: one step of it. Returns whether it is gone.
    ///
    /// # Errors
    /// As [`Kernel::renew_guest_step`].
    pub fn remove_guest_step(&mut self, owner: DomainId) -> Result<bool, CallError> {
        let Some(id) = self.domain(owner).guest else { return Ok(true) };
        if let Some(pool) = self.guests[id.index()].pool {
            if !zero_step(self, pool)? {
                return Ok(false);
            }
            self.regions.release_tables(pool)?;
        }
        let guest = self.guest_mut(id);
        (guest.owner, guest.pool) = (None, None);
        guest.generation = guest.generation.wrapping_add(1);
        self.domain_mut(owner).guest = None;
        Ok(true)
    }
}
