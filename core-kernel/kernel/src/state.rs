//! The kernel's state: its objects in fixed tables, and what every call and interrupt uses of them.

use cloison_abi::{
    CallError, Fault, Name, Rights,
    call::{RECEIVED_EVENTS, SLOT_SELF},
    guest::MAX_GUESTS,
    plan::FaultPolicy,
};
use cloison_rules::{
    DomainId, DomainRef, DomainSet, EventRef, GuestId, Peer, RegionRef, TABLE_ENTRIES, ThreadId, ThreadRef,
    ThreadSet,
    authorize::{Access, Operation},
    capability::{Capability, SlotTable},
    interrupts::InterruptTable,
    mapping::MappingTable,
    text::Line,
    thread::{State, Threads},
};

use crate::{
    arch::{
        context::{Context, Contexts},
        cpu::{self, Cpu, PortRanges, Turn},
        frames::ZeroedFrames,
        regions::Regions,
        space::AddressSpace,
        time,
    },
    end::Ending,
    guest::Guest,
    life::Renewal,
    log::Log,
    machine::Machine,
    monitor::Monitor,
};

/// What the kernel keeps of one domain, beside its thread.
pub struct Domain {
    /// Its thread; none if there is no such domain.
    pub thread: Option<ThreadRef>,
    /// How many domains have had this index before.
    pub generation: u32,
    /// What its builder put into its slots: with these it begins each life.
    pub planned: SlotTable,
    /// How far it is on its way to its next life.
    pub renewal: Renewal,
    /// How many of its lives have ended.
    pub lives_ended: u32,
    /// What its account had paid when this life began.
    pub paid_before: u64,
    /// Clients that have ended a life since this domain last asked.
    pub gone: DomainSet,
    /// What it sees.
    pub mappings: MappingTable,
    /// Its page tables.
    pub space: AddressSpace,
    /// The region of which they are made.
    pub quota: Option<RegionRef>,
    /// Its guest.
    pub guest: Option<GuestId>,
    /// Ports that it may use.
    pub ports: PortRanges,
    /// Its name.
    pub name: Name,
    /// The line that it is writing to the debug output.
    pub line: Line,
    /// What it did wrong.
    pub fault: Fault,
    /// What happens then.
    pub on_fault: FaultPolicy,
    /// Who is told.
    pub handler: Option<EventRef>,
    /// Whether that one is told of each of its ends, and can start it again.
    pub comes_back: bool,
    /// Whether its end is the end of the system.
    pub ends_system: bool,
    /// What it is about to do, while it waits for the monitor.
    pub question: Operation,
}

impl Domain {
    /// No domain, all zeros.
    const NONE: Self = Self {
        thread: None,
        generation: 0,
        planned: SlotTable::EMPTY,
        renewal: Renewal::Fresh,
        lives_ended: 0,
        paid_before: 0,
        gone: 0,
        mappings: MappingTable::EMPTY,
        space: AddressSpace::NONE,
        quota: None,
        guest: None,
        ports: PortRanges::new(),
        name: Name::EMPTY,
        line: Line::EMPTY,
        fault: Fault::NONE,
        on_fault: FaultPolicy::Stop,
        handler: None,
        comes_back: false,
        ends_system: false,
        question: Operation::Own,
    };
}

/// How far a domain reaches: what its slots name, and what it may do to whom. Both are looked at in one gate call, so they
/// lie together.
pub(crate) struct Reach {
    pub(crate) slots: SlotTable,
    access: Access,
}

impl Reach {
    /// Nothing, all zeros.
    const NONE: Self = Self { slots: SlotTable::EMPTY, access: Access::NONE };
}

/// Everything that the kernel knows. All zeros before boot, so that it takes no room in the kernel's file.
pub struct Kernel {
    /// Who runs and who waits.
    pub threads: Threads,
    /// Who may use which memory.
    pub regions: Regions,
    /// The kernel's log.
    pub log: Log,
    /// The machine.
    pub machine: Machine,
    /// How the system is about to end, if it is.
    pub ending: Ending,
    /// Who decides what no plan has decided.
    pub monitor: Monitor,
    /// Where interrupts go.
    pub interrupts: InterruptTable,
    /// How often address spaces or ports have changed. A CPU that has not seen the last change takes nothing as loaded
    /// any more, from when it settles next. (With several, what was taken is free when all have seen it.)
    epoch: u64,
    /// Registers, by thread. This table and the next are what a gate call looks at, apart from what it does not.
    pub(crate) contexts: Contexts,
    /// What each domain may name, and do.
    pub(crate) reach: [Reach; TABLE_ENTRIES],
    /// The domains; [`Kernel::domain`] is the way to one of them.
    pub(crate) domains: [Domain; TABLE_ENTRIES],
    /// The guests.
    pub(crate) guests: [Guest; MAX_GUESTS],
}

impl Kernel {
    /// Nothing.
    pub const NONE: Self = Self {
        threads: Threads::EMPTY,
        regions: Regions::EMPTY,
        log: Log::EMPTY,
        machine: Machine::NONE,
        ending: Ending::NONE,
        monitor: Monitor::NONE,
        interrupts: InterruptTable::EMPTY,
        epoch: 0,
        contexts: Contexts::EMPTY,
        reach: [const { Reach::NONE }; TABLE_ENTRIES],
        domains: [const { Domain::NONE }; TABLE_ENTRIES],
        guests: [const { Guest::NONE }; MAX_GUESTS],
    };

    /// A domain's objects.
    #[inline]
    pub fn domain(&self, id: DomainId) -> &Domain {
        &self.domains[id.index()]
    }

    /// A domain's objects, to change them.
    #[inline]
    pub fn domain_mut(&mut self, id: DomainId) -> &mut Domain {
        &mut self.domains[id.index()]
    }

    /// A thread's registers.
    #[inline(always)]
    pub fn context(&self, id: ThreadId) -> &Context {
        &self.contexts[id]
    }

    /// A thread's registers, to change them.
    #[inline(always)]
    pub fn context_mut(&mut self, id: ThreadId) -> &mut Context {
        &mut self.contexts[id]
    }

    /// What a thread's domain may name, and what it may do. Without a branch: what is nobody's is empty.
    #[inline(always)]
    pub fn reach(&self, id: ThreadId) -> (&SlotTable, &Access) {
        let Reach { slots, access } = &self.reach[self.context(id).home().map_or(0, DomainId::index)];
        (slots, access)
    }

    /// The domain behind a reference.
    ///
    /// # Errors
    /// [`CallError::PeerFailed`] if it has been destroyed.
    pub fn resolve(&self, domain: DomainRef) -> Result<DomainId, CallError> {
        // A free entry has a generation that no reference has yet.
        let same = self.domain(domain.id).generation == domain.generation;
        if same { Ok(domain.id) } else { Err(CallError::PeerFailed) }
    }

    /// The domain of a thread that is called or signalled.
    ///
    /// # Errors
    /// [`CallError::PeerFailed`] if it has been destroyed.
    pub fn domain_of(&self, peer: Peer) -> Result<DomainId, CallError> {
        self.threads.resolve(peer.thread).map(|_| peer.domain)
    }

    /// The domain as it is now: a reference that outlives it without leading to its successor.
    pub fn reference(&self, id: DomainId) -> DomainRef {
        DomainRef { id, generation: self.domain(id).generation }
    }

    /// A domain as one that is called or signalled: its thread.
    ///
    /// # Errors
    /// [`CallError::PeerFailed`] if there is no such domain.
    pub fn peer(&self, id: DomainId) -> Result<Peer, CallError> {
        let thread = self.domain(id).thread.ok_or(CallError::PeerFailed)?;
        Ok(Peer { thread, domain: id })
    }

    /// A domain's thread.
    ///
    /// # Errors
    /// [`CallError::PeerFailed`] if there is no such domain.
    // On its own, as the next one: each takes eighty bytes where it is used.
    #[inline(never)]
    pub fn thread(&self, id: DomainId) -> Result<ThreadId, CallError> {
        self.peer(id).map(|peer| peer.thread.id)
    }

    /// What a domain's thread does.
    #[inline(never)]
    pub fn state(&self, id: DomainId) -> State {
        self.thread(id).map_or(State::Free, |thread| self.threads.get(thread).state)
    }

    /// What a domain may name.
    #[inline(always)]
    pub fn slots(&self, id: DomainId) -> &SlotTable {
        &self.reach[id.index()].slots
    }

    /// What a domain may name, to change it.
    #[inline(always)]
    pub fn slots_mut(&mut self, id: DomainId) -> &mut SlotTable {
        &mut self.reach[id.index()].slots
    }

    /// What a domain may do.
    #[inline(always)]
    pub fn access(&self, id: DomainId) -> &Access {
        &self.reach[id.index()].access
    }

    /// What a domain may do, to change it.
    #[inline(always)]
    pub fn access_mut(&mut self, id: DomainId) -> &mut Access {
        &mut self.reach[id.index()].access
    }

    /// A new domain, with nothing but its name, its thread and itself.
    ///
    /// # Errors
    /// [`CallError::TableFull`].
    pub fn add_domain(&mut self, name: Name) -> Result<DomainRef, CallError> {
        let free = DomainId::all().find(|id| self.domain(*id).thread.is_none());
        let created = self.reference(free.ok_or(CallError::TableFull)?);
        let thread = self.threads.create()?;
        DomainId::all().for_each(|other| self.access_mut(other).admit(created.id));
        self.monitor.begin_epoch();
        let index = created.id.index();
        self.domains[index] =
            Domain { name, thread: Some(thread), generation: created.generation, ..Domain::NONE };
        self.context_mut(thread.id).begin(created.id);
        let Reach { slots, access } = &mut self.reach[index];
        (*slots, *access) = (SlotTable::EMPTY, Access::ALL);
        slots.fill(SLOT_SELF.into(), Capability::Domain(created, Rights::empty()))?;
        self.domains[index].planned.clone_from(slots);
        Ok(created)
    }

    /// A domain is gone, with its thread: references to it are worth nothing. It has to be stopped.
    pub fn remove_domain(&mut self, id: DomainId) {
        let domain = self.domain_mut(id);
        domain.generation = domain.generation.wrapping_add(1);
        self.regions.forget(id.bit());
        let domain = self.domain_mut(id);
        if let Some(thread) = domain.thread.take() {
            self.threads.destroy(thread.id);
        }
    }

    /// Moves the words of a message from one thread to another, with the label.
    #[inline(always)]
    pub fn move_message(&mut self, from: ThreadId, to: ThreadId) {
        let source = &self.contexts[from];
        let (label, words) = (source.label(), source.words());
        let target = &mut self.contexts[to];
        target.set_outcome(0, label);
        target.set_words(words);
    }

    /// Sets event bits of a thread; if it waits for one, it gets them.
    #[inline(never)]
    pub fn signal(&mut self, target: ThreadId, bits: u64) {
        self.signal_at_once(target, bits);
    }

    /// The same, in the place of the call: for the call that does nothing else.
    #[inline(always)]
    pub fn signal_at_once(&mut self, target: ThreadId, bits: u64) {
        if let Some(events) = self.threads.signal(target, bits) {
            let context = self.context_mut(target);
            context.set_outcome(RECEIVED_EVENTS, 0);
            context.set_first(events);
        }
    }

    /// Sets an event bit of a thread that may have ended since.
    #[inline(never)]
    pub fn notify(&mut self, EventRef { target, bit }: EventRef) {
        if let Ok(id) = self.threads.resolve(target.thread) {
            self.signal(id, 1 << bit);
        }
    }

    /// Lets the calls or waits of threads end with an error.
    pub fn fail(&mut self, threads: ThreadSet, error: CallError) {
        for id in ThreadId::all().filter(|id| threads & id.bit() != 0) {
            self.context_mut(id).set_outcome(error as i32, 0);
        }
    }

    /// Threads have waited long enough.
    pub fn time_out(&mut self, threads: ThreadSet) {
        for id in ThreadId::all().filter(|id| threads & id.bit() != 0) {
            if self.is_asking(id) {
                self.deny_for_want_of_an_answer(id);
            } else {
                self.context_mut(id).set_outcome(CallError::TimedOut as i32, 0);
            }
        }
    }

    /// The address space or the ports of a domain have changed in a way that the CPU has to notice.
    pub fn mark_stale(&mut self) {
        self.epoch += 1;
        self.threads.unsettle();
    }

    /// Leaves the kernel: decides who runs, and lets the CPU switch to it. Returns whether somebody can run.
    pub fn leave(&mut self, cpu: &mut Cpu) -> bool {
        let Some(id) = self.decide(cpu) else { return false };
        self.pass_on(cpu, id) || self.take_the_long_way(cpu, id)
    }

    /// Decides who runs.
    #[inline(always)]
    fn decide(&mut self, cpu: &mut Cpu) -> Option<ThreadId> {
        if !self.threads.is_settled() {
            self.settle(cpu);
        }
        let id = self.threads.current()?;
        if !cpu.has_loaded(self.context(id)) {
            cpu::clear_segment_selectors();
        }
        Some(id)
    }

    /// Lets a thread have the CPU whose domain has ports, or that runs its guest. If the guest comes out instead of going
    /// on, all is decided again. Returns whether somebody can run.
    #[cold]
    #[inline(never)]
    fn take_the_long_way(&mut self, cpu: &mut Cpu, mut id: ThreadId) -> bool {
        while let Some(guest) = self.guest_in(id) {
            if self.go_on_in_guest(cpu, id, guest) {
                return true;
            }
            let Some(next) = self.decide(cpu) else { return false };
            id = next;
        }
        self.hand_over(cpu, id);
        true
    }

    /// Lets a thread have the CPU.
    #[cold]
    #[inline(never)]
    pub fn hand_over(&mut self, cpu: &mut Cpu, id: ThreadId) {
        let context = &mut self.contexts[id];
        // Each thread that runs has a home.
        let domain = context.home().unwrap_or(DomainId::BUILDER);
        cpu.switch(Turn { context, domain, ports: &self.domains[domain.index()].ports });
    }

    /// The same, for a thread that continues the message, or the call, of the one that runs: nothing is to be decided.
    /// What the segment selectors say may pass between the two; it is as good as a part of the message. Returns false
    /// and does nothing if the domain's ports have to be opened first.
    #[inline(always)]
    pub fn pass_on(&mut self, cpu: &mut Cpu, id: ThreadId) -> bool {
        cpu.switch_without_ports(&mut self.contexts[id])
    }

    /// Gives a domain page tables.
    pub fn give_space(&mut self, id: DomainId, frames: ZeroedFrames) {
        let space = AddressSpace::new(frames, &self.machine.space);
        if let Ok(thread) = self.thread(id) {
            self.context_mut(thread).bind(&space);
        }
        self.domain_mut(id).space = space;
        self.mark_stale();
    }

    /// Takes its page tables from a domain, to be zeroed, if it has any.
    ///
    /// # Errors
    /// [`CallError::BadState`] if its quota is not what they are made of.
    pub fn take_space(&mut self, id: DomainId) -> Result<(), CallError> {
        if let Ok(thread) = self.thread(id) {
            self.contexts[thread].unbind(&self.machine.space);
        }
        self.mark_stale();
        let domain = &mut self.domains[id.index()];
        match (domain.space.end(), domain.quota) {
            (Some(frames), Some(quota)) => self.regions.end_tables(quota, &frames),
            _ => Ok(()),
        }
    }

    /// On its own, as the slow ways of other calls are.
    #[inline(never)]
    fn settle_slowly(&mut self) -> u64 {
        self.threads.settle(time::now)
    }

    /// Decides who runs, and sets the alarm.
    #[inline(never)]
    fn settle(&mut self, cpu: &mut Cpu) {
        let at_once = self.threads.settle_at_once(time::now);
        let deadline = at_once.unwrap_or_else(|| self.settle_slowly());
        // One that is set already and comes sooner costs an interrupt when it comes; to set it again would cost more,
        // each time that somebody else runs.
        if deadline < cpu.armed {
            cpu.armed = deadline;
            self.machine.timer.arm(deadline);
        }
        if cpu.epoch != self.epoch {
            cpu.forget();
            cpu.epoch = self.epoch;
        }
    }
}
