//! Lives on request: a domain that was built gets memory and is started; it is ended, and its memory is free again.

use core::mem::offset_of;

use builder_api::State;
use cloison_abi::{
    FaultKind,
    call::SLOT_SELF,
    info::InfoHeader,
    limits::{INFO_ADDRESS, PAGE_BYTES},
    plan::NONE,
};
use cloison_sys::Slot;

use crate::{
    BuildError, Kernel, Life, Piece, Site, Step,
    site::{Choice, Held, Shell, take},
};

/// The badge of the manager. Nobody else has a gate into the builder.
const MANAGER: u32 = 0;

impl<K: Kernel> Site<'_, K> {
    /// Gives a domain that has none its memory, loads its program and starts it, with what is chosen. If that fails, it is as
    /// it was.
    ///
    /// # Errors
    /// [`BuildError`].
    pub fn start_on_request(&mut self, domain: u32, choice: Choice) -> Result<(), BuildError> {
        self.choose(domain, choice);
        let started = self.give_memory(domain).and_then(|()| self.begin_life(domain, false));
        if started.is_err() {
            // What is refused here is refused again when it is killed.
            let _ = self.take_memory(domain);
        }
        started
    }

    /// Notes what is chosen for a life.
    pub(crate) fn choose(&mut self, domain: u32, choice: Choice) {
        let shell = self.shells.get_mut(domain as usize).and_then(Option::as_mut);
        shell.into_iter().for_each(|shell| shell.choice = choice);
    }

    /// Ends a domain, whatever it does, and takes its memory. What was saved of an earlier life stays.
    ///
    /// # Errors
    /// [`BuildError::Refused`].
    pub fn kill(&mut self, domain: u32) -> Result<(), BuildError> {
        let slot = self.shell(domain)?.slot;
        self.carry_out(Step::Stop { domain: slot })?;
        // What was lent to it is nobody's concern any more, nor what it did with its slots.
        self.carry_out(Step::Strip { domain: slot })?;
        self.take_memory(domain)?;
        // What of its memory is not the budget's stays with it, but not what is in there.
        let plan = self.plan;
        let own = plan.memory_of(domain).filter(|place| !plan.is_of_budget(*place));
        own.into_iter().try_for_each(|place| self.clear(place))?;
        let state = if self.saved_image(domain).is_some() { State::Saved } else { State::Defined };
        self.set_state(domain, state);
        Ok(())
    }

    /// Asks a domain to end. One that does not listen goes on.
    ///
    /// # Errors
    /// [`BuildError::Refused`].
    pub fn ask_to_end(&mut self, domain: u32) -> Result<(), BuildError> {
        match self.shell(domain)?.shutdown {
            Some(event) => self.carry_out(Step::Signal { event }),
            None => Ok(()),
        }
    }

    /// Holds a domain that lives, until it is let go or killed. Returns those on request that wait for it.
    ///
    /// # Errors
    /// [`BuildError::Refused`].
    pub fn pause(&mut self, domain: u32) -> Result<u32, BuildError> {
        let slot = self.shell(domain)?.slot;
        self.carry_out(Step::Pause { domain: slot })?;
        self.set_state(domain, State::Paused);
        let waiting = self.life(domain)?.waiting;
        // Of those that nobody manages the manager learns nothing.
        let is_told = |other: &u32| waiting & 1 << other != 0 && self.plan.is_on_request(*other);
        Ok((0..u32::BITS).filter(is_told).fold(0, |told, other| told | 1 << other))
    }

    /// Lets a domain that is held go on.
    ///
    /// # Errors
    /// [`BuildError::Refused`].
    pub fn resume(&mut self, domain: u32) -> Result<(), BuildError> {
        let slot = self.shell(domain)?.slot;
        self.carry_out(Step::Resume { domain: slot })?;
        self.set_state(domain, State::Running);
        Ok(())
    }

    /// What the kernel knows of a domain's life.
    ///
    /// # Errors
    /// [`BuildError::Refused`]; [`BuildError::Image`] if the builder has nothing to do with it.
    pub fn life(&mut self, domain: u32) -> Result<Life, BuildError> {
        let slot = self.shell(domain)?.slot;
        self.kernel.life_of(slot).map_err(|error| BuildError::Refused("looking at a domain", error))
    }

    /// A domain has ended or faulted: says which, and tells the manager.
    ///
    /// # Errors
    /// [`BuildError::Refused`].
    pub fn note_end(&mut self, domain: u32) -> Result<State, BuildError> {
        let slot = self.shell(domain)?.slot;
        let end = self.kernel.end_of(slot).map_err(|error| BuildError::Refused("reading a fault", error))?;
        let state = match end.kind {
            // It has begun its next life meanwhile.
            FaultKind::None => return Ok(State::Running),
            FaultKind::Exit => State::Ended,
            _ => State::Faulted,
        };
        self.set_state(domain, state);
        self.tell_manager();
        Ok(state)
    }

    /// A domain is in another state by itself: the manager is told, if there is one.
    pub(crate) fn tell_manager(&mut self) {
        if let Some(event) = self.news {
            // One that has ended needs no news.
            let _ = self.carry_out(Step::Signal { event });
        }
    }

    /// Where a domain is in its life, if the builder has to do with it.
    #[must_use]
    pub fn state(&self, domain: u32) -> Option<State> {
        self.shell(domain).ok().map(|shell| shell.state)
    }

    /// Which of its images a domain is started with if nobody chooses one then.
    #[must_use]
    pub fn image_of(&self, domain: u32) -> u8 {
        self.shell(domain).map_or(0, |shell| shell.image)
    }

    /// Which of its images a domain has begun with, or, if it has no memory, is started with if nobody chooses one then.
    #[must_use]
    pub fn image_in_use(&self, domain: u32) -> u8 {
        let in_use = |shell: &Shell| match shell.state {
            State::Defined | State::Saved => shell.image,
            _ => shell.choice.image,
        };
        self.shell(domain).map_or(0, in_use)
    }

    /// Chooses the one with which a domain is started.
    pub fn set_image(&mut self, domain: u32, image: u8) {
        if let Some(Some(shell)) = self.shells.get_mut(domain as usize) {
            shell.image = image;
        }
    }

    /// Notes where a domain is in its life.
    pub fn set_state(&mut self, domain: u32, state: State) {
        if let Some(Some(shell)) = self.shells.get_mut(domain as usize) {
            shell.state = state;
        }
    }

    /// Gives the manager its gate, and the builder the manager's event.
    pub(crate) fn admit_manager(&mut self, manager: Slot, to: Slot, event: u32) -> Result<(), BuildError> {
        let builder = Slot(SLOT_SELF);
        self.carry_out(Step::GiveGate {
            domain: manager,
            to,
            server: builder,
            badge: MANAGER,
            grants: (0, 0),
        })?;
        self.news = Some(self.take_event(manager, event)?);
        Ok(())
    }

    /// Fills a slot of the builder with an event of a domain.
    fn take_event(&mut self, target: Slot, event: u32) -> Result<Slot, BuildError> {
        let to = self.take_slot()?;
        self.carry_out(Step::GiveEvent { domain: Slot(SLOT_SELF), to, target, event })?;
        Ok(to)
    }

    /// Gives a domain its memory of the budget.
    pub(crate) fn give_memory(&mut self, domain: u32) -> Result<(), BuildError> {
        for place in self.plan.budget_of(domain) {
            let (region, pages) = (self.region(place)?, self.pages_for(domain, place)?);
            let piece = take(&mut self.budget, pages)?;
            let step = Step::Back { region, run: piece.run(), first: piece.first(), pages: piece.pages() };
            if let Err(error) = self.carry_out(step) {
                self.give_back(piece);
                return Err(error);
            }
            self.regions[place] = Some(Held { slot: region, piece: Some(piece) });
        }
        Ok(())
    }

    /// Pages that a region of a domain gets in its next life.
    fn pages_for(&self, domain: u32, place: usize) -> Result<u32, BuildError> {
        let said = self.shell(domain)?.choice.guest_pages;
        let is_said = said > 0 && self.plan.guests_memory(domain) == Some(place);
        Ok(if is_said { said } else { self.plan.regions[place].pages })
    }

    /// Tells a domain what was chosen for this life, if that is not what the plan has told it.
    pub(crate) fn tell_choice(&mut self, domain: u32) -> Result<(), BuildError> {
        let choice = self.shell(domain)?.choice;
        let page =
            self.plan.mappings.iter().find(|seen| seen.domain == domain && seen.address == INFO_ADDRESS);
        let Some(page) = page.filter(|_| choice != Choice::default()) else { return Ok(()) };
        let region = self.region(page.region as usize)?;
        let start = u64::from(page.first_page) * PAGE_BYTES;
        let fields = [
            (offset_of!(InfoHeader, guest_pages), choice.guest_pages),
            (offset_of!(InfoHeader, image), choice.image.into()),
        ];
        fields.into_iter().try_for_each(|(offset, value)| {
            let (offset, bytes) = (start + offset as u64, &value.to_le_bytes());
            self.carry_out(Step::Load { region, offset, bytes })
        })
    }

    /// Pages that a region of the budget has, or would have.
    pub(crate) fn pages_of(&self, place: usize) -> u64 {
        let piece = self.regions.get(place).and_then(Option::as_ref).and_then(|held| held.piece.as_ref());
        piece.map_or_else(|| self.plan.regions[place].pages.into(), Piece::pages)
    }

    /// Takes the memory of the budget that a domain has.
    pub(crate) fn take_memory(&mut self, domain: u32) -> Result<(), BuildError> {
        if !self.plan.is_on_request(domain) {
            return Ok(());
        }
        for place in self.plan.budget_of(domain) {
            let region = self.region(place)?;
            if self.regions[place].as_ref().is_some_and(|held| held.piece.is_some()) {
                self.carry_out(Step::Vacate { region })?;
                let piece = self.regions[place].as_mut().and_then(|held| held.piece.take());
                piece.into_iter().for_each(|piece| self.give_back(piece));
            }
        }
        Ok(())
    }

    /// What asks a domain to end.
    pub(crate) fn take_shutdown(&mut self, domain: u32) -> Result<(), BuildError> {
        let event = self.plan.domain(domain)?.shutdown;
        if event != NONE {
            let slot = self.take_event(self.shell(domain)?.slot, event)?;
            self.shells[domain as usize].iter_mut().for_each(|shell| shell.shutdown = Some(slot));
        }
        Ok(())
    }
}
