//! What the manager may ask of the builder, and what it is answered.

use builder_api::{
    DIGEST_BYTES, REGISTERS, State,
    manage::{
        About, Asked, Belongs, Contents, Crash, Grouped, Guested, Held, Hindered, ImageSet, Killed, Listed,
        Measured, Memory, Offered, Owned, Refusal, Restored, Resumed, Returns, Runs, Saved, Server, Started,
    },
};
use cloison_abi::{CallError, Name, limits::PAGE_BYTES};
use cloison_sys::{Badge, Slot};

use crate::{BuildError, Choice, Kernel, Life, Site, hindrance::Hindrance};

/// Pages in a MiB.
const PAGES_IN_MIB: u32 = (1 << 20) / PAGE_BYTES as u32;

/// The builder, as the manager sees it. There is one manager, so its badge says nothing more.
pub struct Managed<'s, 'a, K> {
    site: &'s mut Site<'a, K>,
    /// Why the last request failed that should not have, for a person.
    pub trouble: Option<BuildError>,
}

impl<'s, 'a, K: Kernel> Managed<'s, 'a, K> {
    /// The builder that builds there.
    pub fn new(site: &'s mut Site<'a, K>) -> Self {
        Self { site, trouble: None }
    }

    fn named(&self, name: Name) -> Result<u32, Refusal> {
        self.site.plan.named(name).ok_or(Refusal::Unknown)
    }

    /// A domain that the manifest lets be managed, and where it is in its life.
    fn managed(&self, name: Name) -> Result<(u32, State), Refusal> {
        let domain = self.named(name)?;
        if !self.site.plan.is_on_request(domain) {
            return Err(Refusal::NotManaged);
        }
        Ok((domain, self.state(domain)))
    }

    /// The builder hears no more of a domain that it does not start again.
    fn state(&self, domain: u32) -> State {
        self.site.state(domain).unwrap_or(State::Running)
    }

    /// A domain that lives, and whether it is held.
    fn living(&self, name: Name) -> Result<(u32, bool), Refusal> {
        match self.managed(name)? {
            (domain, State::Running) => Ok((domain, false)),
            (domain, State::Paused) => Ok((domain, true)),
            (_, State::Defined | State::Saved) => Err(Refusal::IsDefined),
            (_, State::Ended | State::Faulted | State::Resting) => Err(Refusal::NotAlive),
        }
    }

    /// A domain that lives and is not held.
    fn running(&self, name: Name) -> Result<u32, Refusal> {
        let (domain, is_held) = self.living(name)?;
        if is_held { Err(Refusal::IsPaused) } else { Ok(domain) }
    }

    /// A domain that has faulted and stands as it did then.
    fn faulted(&self, name: Name) -> Result<Slot, Refusal> {
        let domain = self.named(name)?;
        match self.state(domain) {
            State::Faulted | State::Resting => self.slot(domain),
            _ => Err(Refusal::NotFaulted),
        }
    }

    fn slot(&self, domain: u32) -> Result<Slot, Refusal> {
        self.site.shell(domain).map(|shell| shell.slot).map_err(|_| Refusal::NotManaged)
    }

    /// What has failed, as an answer.
    fn failed(&mut self, error: BuildError) -> Refusal {
        match error {
            BuildError::Memory { .. } => return Refusal::NoMemory,
            BuildError::Piece { .. } => return Refusal::NoPiece,
            BuildError::Changed => return Refusal::Changed,
            _ => {}
        }
        self.trouble = Some(error);
        if matches!(error, BuildError::Program { .. }) { Refusal::Damaged } else { Refusal::Failed }
    }

    fn kib(&self, domain: u32) -> u32 {
        kib(self.site.plan.budget_of(domain).map(|place| self.site.pages_of(place)).sum())
    }

    /// A domain that is to be started.
    fn startable(&self, name: Name) -> Result<u32, Refusal> {
        match self.managed(name)? {
            (domain, State::Defined | State::Saved) => Ok(domain),
            _ => Err(Refusal::IsStarted),
        }
    }

    /// Starts it.
    fn begin(&mut self, domain: u32, choice: Choice) -> Result<Started, Refusal> {
        self.site.start_on_request(domain, choice).map_err(|error| self.failed(error))?;
        Ok(Started { kib: self.kib(domain), digest: self.digest(domain) })
    }

    /// The memory that a domain's guest can have at most, if it has one that is started on request.
    fn most_guest_pages(&self, domain: u32) -> Option<u32> {
        let plan = &self.site.plan;
        plan.guests_memory(domain).map(|place| plan.regions[place].pages)
    }

    /// Of one with which the builder has nothing to do, nothing is known. One that has no memory has not lived yet.
    fn life(&mut self, domain: u32) -> Life {
        let life = self.site.life(domain).unwrap_or_default();
        let has_none = matches!(self.state(domain), State::Defined | State::Saved);
        if has_none { Life { cpu_us: 0, ..life } } else { life }
    }

    /// Whether all that a domain is can be kept: its own memory, and what the plan gives it anyway.
    fn savable(&self, domain: u32) -> Result<(), Refusal> {
        let plan = &self.site.plan;
        if self.site.saved_image(domain).is_some() {
            return Err(Refusal::IsSaved);
        }
        if plan.guests.iter().any(|guest| guest.domain == domain) {
            return Err(Refusal::HasGuest);
        }
        plan.hindrance(domain).map_or(Ok(()), |hindrance| Err(hindrance.refusal))
    }

    /// Saves a domain that is held.
    fn save_held(&mut self, domain: u32) -> Result<Saved, Refusal> {
        let slot = self.slot(domain)?;
        let life = self.site.kernel.life_of(slot).map_err(|_| Refusal::Failed)?;
        if life.waiting != 0 {
            return Err(Refusal::HasClients);
        }
        match self.site.save(domain) {
            Ok(pages) => Ok(Saved { kib: kib(pages) }),
            Err(BuildError::Refused(_, CallError::BadState)) => Err(Refusal::IsCalling),
            Err(error) => Err(self.failed(error)),
        }
    }

    fn digest(&self, domain: u32) -> [u8; DIGEST_BYTES] {
        let mut start = [0; DIGEST_BYTES];
        if let Ok(program) = self.site.plan.program(domain, self.site.image_in_use(domain)) {
            start.copy_from_slice(&program.digest[..DIGEST_BYTES]);
        }
        start
    }
}

impl<K: Kernel> Server for Managed<'_, '_, K> {
    fn entry(&mut self, _client: Badge, place: u8) -> Result<Listed, Refusal> {
        let domain = place.into();
        let name = self.site.plan.domain(domain).map_err(|_| Refusal::Unknown)?.name;
        let (state, is_managed) = (self.state(domain), self.site.plan.is_on_request(domain));
        let (life, kib) = (self.life(domain), self.kib(domain));
        let cpu_ms = u32::try_from(life.cpu_us / 1000).unwrap_or(u32::MAX);
        Ok(Listed { name, state, is_managed, lives: life.lives_ended, kib, cpu_ms })
    }

    fn info(&mut self, _client: Badge, domain: Name) -> Result<About, Refusal> {
        let domain = self.named(domain)?;
        let (state, is_managed) = (self.state(domain), self.site.plan.is_on_request(domain));
        let end = self.slot(domain).ok().filter(|_| state == State::Ended);
        let end = end.and_then(|slot| self.site.kernel.end_of(slot).ok());
        let code = end.map_or(0, |end| end.address);
        let (Life { lives_ended, cpu_us, refusals, .. }, kib) = (self.life(domain), self.kib(domain));
        Ok(About { state, is_managed, lives: lives_ended, kib, code, cpu_us, refusals })
    }

    fn program(&mut self, _client: Badge, domain: Name) -> Result<Runs, Refusal> {
        let domain = self.named(domain)?;
        let own = self.site.plan.domain(domain).map_err(|_| Refusal::Unknown)?.name;
        let chosen = self.site.plan.images_of(domain).nth(self.site.image_in_use(domain).into());
        Ok(Runs { image: chosen.map_or(own, |entry| entry.name), digest: self.digest(domain) })
    }

    fn measure(&mut self, _client: Badge, domain: Name) -> Result<Measured, Refusal> {
        let domain = self.named(domain)?;
        let program = self.site.plan.program(domain, self.site.image_in_use(domain));
        let digest = program.and_then(|program| self.site.image.measure_program(&program));
        let digest = digest.map_err(|error| self.failed(error))?;
        Ok(Measured { digest })
    }

    fn fault(&mut self, _client: Badge, domain: Name) -> Result<Crash, Refusal> {
        let slot = self.faulted(domain)?;
        let fault = self.site.kernel.end_of(slot).map_err(|_| Refusal::Failed)?;
        let (kind, code) = (fault.kind as u32, fault.code);
        Ok(Crash { kind, code, instruction: fault.instruction, address: fault.address })
    }

    fn registers(&mut self, _client: Badge, domain: Name, first: u8) -> Result<Contents, Refusal> {
        let slot = self.faulted(domain)?;
        let [a, b, c, d] =
            self.site.kernel.registers_of(slot, first / REGISTERS).map_err(|_| Refusal::NoRegister)?;
        Ok(Contents { a, b, c, d })
    }

    fn callers(&mut self, _client: Badge, domain: Name, first: u8) -> Result<Returns, Refusal> {
        self.faulted(domain)?;
        let domain = self.named(domain)?;
        let all = self.site.callers(domain).map_err(|error| self.failed(error))?;
        let [a, b, c, d] =
            *all.as_chunks().0.get(usize::from(first / REGISTERS)).ok_or(Refusal::NoRegister)?;
        Ok(Returns { a, b, c, d })
    }

    fn parts(&mut self, _client: Badge, place: u8) -> Result<Owned, Refusal> {
        let plan = self.site.plan;
        let entry = plan.domain(place.into()).map_err(|_| Refusal::Unknown)?;
        let own = plan.memory_of(place.into()).map(|region| self.site.pages_of(region));
        let pages = own.sum::<u64>() + u64::from(entry.quota_pages);
        let pages = u32::try_from(pages).unwrap_or(u32::MAX);
        let (threads, interrupts, ports) = plan.counts_of(place.into());
        Ok(Owned { threads, pages, interrupts, ports })
    }

    fn start(&mut self, _client: Badge, domain: Name) -> Result<Started, Refusal> {
        let domain = self.startable(domain)?;
        self.begin(domain, Choice { guest_pages: 0, image: self.site.image_of(domain) })
    }

    fn image(&mut self, _client: Badge, domain: Name, place: u8) -> Result<Offered, Refusal> {
        let domain = self.named(domain)?;
        let entry = self.site.plan.images_of(domain).nth(place.into()).ok_or(Refusal::UnknownImage)?;
        let most_mib = self.most_guest_pages(domain).map_or(0, |pages| pages / PAGES_IN_MIB);
        Ok(Offered { image: entry.name, least_mib: entry.least_pages.div_ceil(PAGES_IN_MIB), most_mib })
    }

    fn start_guest(&mut self, _client: Badge, domain: Name, image: u8, mib: u32) -> Result<Guested, Refusal> {
        let domain = self.startable(domain)?;
        let most = self.most_guest_pages(domain).ok_or(Refusal::NoGuest)?;
        let entry = self.site.plan.images_of(domain).nth(image.into()).ok_or(Refusal::UnknownImage)?;
        match mib.checked_mul(PAGES_IN_MIB) {
            Some(pages) if pages < entry.least_pages => Err(Refusal::TooLittle),
            Some(pages) if pages <= most => {
                let Started { kib, digest } = self.begin(domain, Choice { guest_pages: pages, image })?;
                Ok(Guested { kib, digest })
            }
            _ => Err(Refusal::TooMuch),
        }
    }

    fn shutdown(&mut self, _client: Badge, domain: Name) -> Result<Asked, Refusal> {
        let domain = self.running(domain)?;
        self.site.ask_to_end(domain).map_err(|error| self.failed(error))?;
        Ok(Asked {})
    }

    fn kill(&mut self, _client: Badge, domain: Name) -> Result<Killed, Refusal> {
        let (domain, state) = self.managed(domain)?;
        match state {
            State::Defined => return Err(Refusal::IsDefined),
            State::Saved => {
                self.site.forget_saved(domain);
                return Ok(Killed {});
            }
            _ => {}
        }
        self.site.kill(domain).map_err(|error| self.failed(error))?;
        Ok(Killed {})
    }

    fn pause(&mut self, _client: Badge, domain: Name) -> Result<Held, Refusal> {
        let domain = self.running(domain)?;
        match self.site.pause(domain) {
            Ok(waiting) => Ok(Held { waiting }),
            // It has ended meanwhile, and the builder is about to hear of it.
            Err(BuildError::Refused(_, CallError::BadState)) => Err(Refusal::NotAlive),
            Err(error) => Err(self.failed(error)),
        }
    }

    fn resume(&mut self, _client: Badge, domain: Name) -> Result<Resumed, Refusal> {
        let (domain, is_held) = self.living(domain)?;
        if !is_held {
            return Err(Refusal::NotPaused);
        }
        self.site.resume(domain).map_err(|error| self.failed(error))?;
        Ok(Resumed {})
    }

    /// One that runs is held before; if it cannot be saved, it goes on.
    fn save(&mut self, client: Badge, name: Name) -> Result<Saved, Refusal> {
        let (domain, is_held) = self.living(name)?;
        self.savable(domain)?;
        if !is_held {
            self.pause(client, name)?;
        }
        let saved = self.save_held(domain);
        if saved.is_err() && !is_held {
            self.resume(client, name)?;
        }
        saved
    }

    fn restore(&mut self, _client: Badge, domain: Name) -> Result<Restored, Refusal> {
        let domain = match self.managed(domain)? {
            (domain, State::Saved) => domain,
            (_, State::Defined) => return Err(Refusal::NotSaved),
            _ => return Err(Refusal::IsStarted),
        };
        if self.site.saved_image(domain) != Some(self.site.image_of(domain)) {
            return Err(Refusal::OtherProgram);
        }
        self.site.restore(domain).map_err(|error| self.failed(error))?;
        Ok(Restored { kib: self.kib(domain), digest: self.digest(domain) })
    }

    fn set_image(&mut self, _client: Badge, domain: Name, image: Name) -> Result<ImageSet, Refusal> {
        let (domain, _) = self.managed(domain)?;
        let own = self.site.plan.domain(domain).map_err(|_| Refusal::Unknown)?.name;
        let mut places = (0..).zip(self.site.plan.images_of(domain));
        match places.find(|(_, entry)| entry.name == image) {
            Some((place, _)) => self.site.set_image(domain, place),
            None if image == own && self.site.plan.images_of(domain).next().is_none() => {}
            None => return Err(Refusal::UnknownImage),
        }
        Ok(ImageSet {})
    }

    fn budget(&mut self, _client: Badge) -> Result<Memory, Refusal> {
        let (free, largest) = (self.site.budget.pages(), self.site.budget.largest());
        let total = self.site.plan.header.budget_pages.into();
        Ok(Memory { total_kib: kib(total), free_kib: kib(free), largest_kib: kib(largest) })
    }

    fn hindrance(&mut self, _client: Badge, domain: Name) -> Result<Hindered, Refusal> {
        let (domain, _) = self.managed(domain)?;
        let names = |Hindrance { what, whose, .. }: Hindrance| Hindered { what, whose };
        let nothing = Hindered { what: Name::EMPTY, whose: Name::EMPTY };
        Ok(self.site.plan.hindrance(domain).map_or(nothing, names))
    }

    /// Groups are the manager's.
    fn group(&mut self, _client: Badge, _place: u8) -> Result<Grouped, Refusal> {
        Err(Refusal::UnknownGroup)
    }

    fn member(&mut self, _client: Badge, _group: Name, _place: u8) -> Result<Belongs, Refusal> {
        Err(Refusal::UnknownGroup)
    }
}

fn kib(pages: u64) -> u32 {
    u32::try_from(pages * PAGE_BYTES / 1024).unwrap_or(u32::MAX)
}
