//! The kernel's state: its objects in fixed tables, and what every call and interrupt uses of them.

use cloison_abi::{
    CallError, Fault, Name, Rights,
    call::{RECEIVED_EVENTS, SLOT_SELF},
    limits::MAX_INTERRUPTS,
    plan::FaultPolicy,
};
use cloison_rules::{
    DomainId, DomainRef, RegionRef, TABLE_ENTRIES,
    authorize::Access,
    capability::{Capability, SlotTable},
    interrupts::LineLoad,
    mapping::MappingTable,
    region::RegionTable,
    task::{DomainSet, Tasks},
    text::Line,
};

use crate::{
    arch::{
        context::Context,
        cpu::{self, Cpu, PortRanges, Turn},
        paging::AddressSpace,
        time,
    },
    end::Ending,
    life::Renewal,
    log::Log,
    machine::Machine,
};

/// What the kernel keeps of one domain, beside its task.
pub struct Domain {
    /// What its builder put into its slots: with these it begins each life.
    pub planned: SlotTable,
    /// How far it is on its way to its next life.
    pub renewal: Renewal,
    /// How many of its lives have ended.
    pub lives_ended: u32,
    /// Clients that have ended a life since this domain last asked.
    pub gone: DomainSet,
    /// What it sees.
    pub mappings: MappingTable,
    /// Its page tables.
    pub space: AddressSpace,
    /// The region of which they are made.
    pub quota: Option<RegionRef>,
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
    /// Who is told, and by which event bit.
    pub handler: Option<(DomainRef, u8)>,
    /// Whether its end is the end of the system.
    pub ends_system: bool,
}

impl Domain {
    /// No domain, all zeros.
    const NONE: Self = Self {
        planned: SlotTable::EMPTY,
        renewal: Renewal::Fresh,
        lives_ended: 0,
        gone: 0,
        mappings: MappingTable::EMPTY,
        space: AddressSpace::NONE,
        quota: None,
        ports: PortRanges::new(),
        name: Name::EMPTY,
        line: Line::EMPTY,
        fault: Fault::NONE,
        on_fault: FaultPolicy::Stop,
        handler: None,
        ends_system: false,
    };
}

/// Where the interrupts of a line, or those of a message, go.
#[derive(Clone, Copy)]
pub struct LineTarget {
    /// The domain.
    pub target: DomainRef,
    /// Its event bit.
    pub bit: u8,
    /// Level triggered, active low: as in the plan.
    pub flags: u32,
    /// How often it has come.
    pub load: LineLoad,
}

/// Everything that the kernel knows. All zeros before boot, so that it takes no room in the kernel's file.
pub struct Kernel {
    /// Who runs and who waits.
    pub tasks: Tasks,
    /// Who may use which memory.
    pub regions: RegionTable,
    /// The kernel's log.
    pub log: Log,
    /// The machine.
    pub machine: Machine,
    /// How the system is about to end, if it is.
    pub ending: Ending,
    /// Where interrupts go.
    pub lines: [Option<LineTarget>; MAX_INTERRUPTS],
    /// Domains whose address space or ports the CPU may not take as loaded any more, from when it settles
    /// next.
    stale: DomainSet,
    /// Registers. These and the next two are what a gate call looks at. They are tables of their own, each with
    /// entries whose size is a power of two, which makes finding one of them two instructions cheaper.
    contexts: [Context; TABLE_ENTRIES],
    /// What each domain may name.
    pub(crate) slots: [SlotTable; TABLE_ENTRIES],
    /// What each domain may do, to whom.
    access: [Access; TABLE_ENTRIES],
    /// The domains; [`Kernel::domain`] is the way to one of them.
    pub(crate) domains: [Domain; TABLE_ENTRIES],
}

impl Kernel {
    /// Nothing.
    pub const NONE: Self = Self {
        tasks: Tasks::EMPTY,
        regions: RegionTable::EMPTY,
        log: Log::EMPTY,
        machine: Machine::NONE,
        ending: Ending::NONE,
        lines: [None; MAX_INTERRUPTS],
        stale: 0,
        contexts: [const { Context::EMPTY }; TABLE_ENTRIES],
        slots: [const { SlotTable::EMPTY }; TABLE_ENTRIES],
        access: [const { Access::NONE }; TABLE_ENTRIES],
        domains: [const { Domain::NONE }; TABLE_ENTRIES],
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

    /// A domain's registers.
    #[inline(always)]
    pub fn context(&self, id: DomainId) -> &Context {
        &self.contexts[id.index()]
    }

    /// A domain's registers, to change them.
    #[inline(always)]
    pub fn context_mut(&mut self, id: DomainId) -> &mut Context {
        &mut self.contexts[id.index()]
    }

    /// What a domain may name.
    #[inline(always)]
    pub fn slots(&self, id: DomainId) -> &SlotTable {
        &self.slots[id.index()]
    }

    /// What a domain may name, to change it.
    #[inline(always)]
    pub fn slots_mut(&mut self, id: DomainId) -> &mut SlotTable {
        &mut self.slots[id.index()]
    }

    /// What a domain may do.
    #[inline(always)]
    pub fn access(&self, id: DomainId) -> &Access {
        &self.access[id.index()]
    }

    /// What a domain may do, to change it.
    #[inline(always)]
    pub fn access_mut(&mut self, id: DomainId) -> &mut Access {
        &mut self.access[id.index()]
    }

    /// A new domain, with nothing but its name, its page tables and itself.
    ///
    /// # Errors
    /// [`CallError::TableFull`].
    pub fn add_domain(&mut self, name: Name, space: AddressSpace) -> Result<DomainRef, CallError> {
        let created = self.tasks.create()?;
        DomainId::all().for_each(|other| self.access_mut(other).admit(created.id));
        let index = created.id.index();
        self.domains[index] = Domain { name, ..Domain::NONE };
        (self.access[index], self.contexts[index]) = (Access::ALL, Context::EMPTY);
        self.set_space(created.id, space);
        self.slots[index] = SlotTable::EMPTY;
        self.slots[index].fill(SLOT_SELF.into(), Capability::Domain(created, Rights::empty()))?;
        self.domains[index].planned.clone_from(&self.slots[index]);
        Ok(created)
    }

    /// Moves the words of a message from one domain to another, with the label.
    #[inline(always)]
    pub fn move_message(&mut self, from: DomainId, to: DomainId) {
        let source = &self.contexts[from.index()];
        let (label, words) = (source.label(), source.words());
        let target = &mut self.contexts[to.index()];
        target.set_outcome(0, label);
        target.set_words(words);
    }

    /// Sets event bits of a domain; if it waits for one, it gets them.
    #[inline]
    pub fn signal(&mut self, target: DomainId, bits: u64) {
        if let Some(events) = self.tasks.signal(target, bits) {
            let context = self.context_mut(target);
            context.set_outcome(RECEIVED_EVENTS, 0);
            context.rdi = events;
        }
    }

    /// Sets an event bit of a domain that may have ended since.
    pub fn notify(&mut self, (target, bit): (DomainRef, u8)) {
        if let Ok(id) = self.tasks.resolve(target) {
            self.signal(id, 1 << bit);
        }
    }

    /// Lets the calls or waits of domains end with an error.
    pub fn fail(&mut self, domains: DomainSet, error: CallError) {
        for id in DomainId::all().filter(|id| domains & 1 << id.index() != 0) {
            self.context_mut(id).set_outcome(error as i32, 0);
        }
    }

    /// The address space or the ports of a domain have changed in a way that the CPU has to notice.
    pub fn mark_stale(&mut self, id: DomainId) {
        self.stale |= 1 << id.index();
        self.tasks.unsettle();
    }

    /// Leaves the kernel: decides who runs, and lets the CPU switch to it. NULL if nobody can run.
    pub fn leave(&mut self, cpu: &mut Cpu) -> *const Context {
        if !self.tasks.is_settled() {
            self.settle(cpu);
        }
        let Some(id) = self.tasks.current() else { return core::ptr::null() };
        if cpu.is_loaded(id) {
            return self.hand_over(cpu, id);
        }
        cpu::clear_segment_selectors();
        self.hand_over(cpu, id)
    }

    /// Lets a domain have the CPU.
    pub fn hand_over(&mut self, cpu: &mut Cpu, id: DomainId) -> *const Context {
        let (context, ports) = (&mut self.contexts[id.index()], &self.domains[id.index()].ports);
        cpu.switch(Turn { id, context, ports });
        cpu.context
    }

    /// The same, for a domain that continues the message, or the call, of the one that runs: nothing is to be decided.
    /// What the segment selectors say may pass between the two; it is as good as a part of the message. Returns false
    /// and does nothing if the domain's ports have to be opened first.
    #[inline(always)]
    pub fn pass_on(&mut self, cpu: &mut Cpu, id: DomainId) -> bool {
        cpu.switch_without_ports(id, &mut self.contexts[id.index()])
    }

    /// Gives a domain page tables, or takes them from it.
    pub fn set_space(&mut self, id: DomainId, space: AddressSpace) {
        self.context_mut(id).root = space.root();
        self.domain_mut(id).space = space;
    }

    /// Decides who runs, and sets the alarm.
    #[inline(never)]
    fn settle(&mut self, cpu: &mut Cpu) {
        let deadline = self.tasks.settle(time::now).min(self.ending.deadline).min(self.log.due);
        // One that is set already and comes sooner costs an interrupt when it comes; to set it anew would cost more,
        // each time that somebody else runs.
        if deadline < cpu.armed {
            cpu.armed = deadline;
            self.machine.timer.arm(deadline);
        }
        if self.stale != 0 {
            self.forget_stale(cpu);
        }
    }

    #[cold]
    fn forget_stale(&mut self, cpu: &mut Cpu) {
        for id in DomainId::all().filter(|id| self.stale & 1 << id.index() != 0) {
            cpu.forget(id);
        }
        self.stale = 0;
    }
}
