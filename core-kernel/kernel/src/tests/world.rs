//! A small system: the builder, and three domains that share, lend and look after one another.

use std::{boxed::Box, format, string::String, vec::Vec};

use cloison_abi::{
    CallError, CallNumber, Fault, FaultKind, Rights,
    access::{Classes, Decision},
    call::{BUILDER_SLOT_MEMORY, BUILDER_SLOT_RIGHT, EVERYONE},
    capture::CAPTURE_LAST,
    guest::GuestExit,
    image::{BUILDER_SEGMENTS, BuilderSegment, IMAGE_MAGIC, ImageHeader},
    limits::PAGE_BYTES,
    plan::FaultPolicy,
};
use cloison_rules::{DomainId, DomainSet, RegionRef, ThreadId, capability::Capability, memory::Run};

use super::acts::{
    Act, BIG, CARVED, Call, DOMAINS, GATES, GUEST, LINE, MIDDLE, OTHERS, OWN, PLANNED_ADDRESS, QUOTAS,
    SHARED, SUPERVISED, call, configure, create, give_gate, give_region, map_into, start,
};
use crate::{
    arch::{
        cpu::Cpu,
        machine::{self, Came},
        memory::SystemImage,
    },
    builder, calls,
    end::Ending,
    guest::CameOut,
    life::Renewal,
    state::Kernel,
};

/// Pages of memory.
const MEMORY_PAGES: u64 = 800;
/// Pages of each domain's quota.
const QUOTA_PAGES: u64 = 8;
/// Calls after which one that is repeated should have come to an end.
const PATIENCE: usize = 300;

const READ_WRITE: Rights = Rights::READ.union(Rights::WRITE);

const HANDLE: u64 = Rights::HANDLE_FAULT.bits() as u64;

/// Memory that a domain may see by a loan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loan {
    pub lender: DomainId,
    pub borrower: DomainId,
    pub region: RegionRef,
    pub rights: Rights,
}

/// The kernel, and what the test knows of it from the calls that were made and what they came to: nothing of it is read
/// out of the kernel's own tables.
pub struct World {
    pub kernel: Box<Kernel>,
    cpu: Cpu,
    /// What each domain is in the middle of.
    pending: [Option<Act>; 5],
    /// What the builder has given, or mapped.
    pub plan: Vec<(DomainId, RegionRef, Rights)>,
    pub loans: Vec<Loan>,
    /// Regions that the builder is in the middle of ending, or of which it is taking the memory. Until that is done, who has borrowed one may see the rest.
    dying: Vec<RegionRef>,
    /// Capabilities that the builder has given, but for memory.
    pub given: Vec<(DomainId, Capability)>,
    /// What is attached to guests, and whether they may write it.
    pub attached: Vec<(RegionRef, bool)>,
    /// Who may not lend, and whether that was decided for all of its lives.
    pub denied: Vec<(DomainId, bool)>,
    /// Who may not have memory together with whom, as the monitor has decided.
    pub cut: Vec<(DomainId, DomainId)>,
    /// Whether the monitor answers each question at once, by yes.
    pub says_yes: bool,
    /// What the builder had at first, and how many regions there were.
    first: (Vec<(usize, Capability)>, usize),
    pub history: Vec<String>,
}

impl World {
    /// The system, running.
    pub fn new() -> Self {
        let mut world = Self::empty();
        world.build();
        world
    }

    fn empty() -> Self {
        let (free, space) = machine::start(MEMORY_PAGES);
        let mut kernel = Box::new(Kernel::NONE);
        kernel.ending = Ending::NEVER;
        kernel.threads.init(10_000);
        kernel.contexts.init(&space);
        kernel.machine.space = space;
        builder::build(&mut kernel, &header(), &SystemImage, free, [Run::NONE; 2])
            .expect("the builder is built");
        kernel.log.set_running();
        let slots = kernel.slots(DomainId::BUILDER).iter().map(|(slot, held)| (slot, *held)).collect();
        let first = (slots, kernel.regions.all().count());
        Self {
            kernel,
            cpu: Cpu::new(),
            pending: [None; 5],
            plan: Vec::new(),
            loans: Vec::new(),
            dying: Vec::new(),
            given: Vec::new(),
            attached: Vec::new(),
            denied: Vec::new(),
            cut: Vec::new(),
            says_yes: false,
            first,
            history: Vec::new(),
        }
    }

    fn build(&mut self) {
        let pages = [(BIG, 150), (MIDDLE, 70), (SHARED, 20)];
        let quotas = QUOTAS.map(|slot| (slot, QUOTA_PAGES));
        let mut first = 0;
        for (slot, pages) in quotas.into_iter().chain(pages) {
            self.done(call(CallNumber::RegionCarve, BUILDER_SLOT_MEMORY, &[slot.into(), first, pages]));
            first += pages;
        }
        for index in 0..3 {
            self.done(create(index));
        }
        let all = READ_WRITE | Rights::GRANT;
        for act in [
            give_region(0, OWN, BIG, all),
            give_region(1, OWN, MIDDLE, all),
            give_region(2, OWN, SHARED, all),
            give_region(0, OTHERS, SHARED, Rights::READ),
            give_gate(0, GATES[0], 1),
            give_gate(0, GATES[1], 2),
            give_gate(1, GATES[0], 2),
            give_gate(2, GATES[0], 0),
            call(CallNumber::DomainGiveDomain, DOMAINS[1], &[SUPERVISED.into(), DOMAINS[0].into(), HANDLE]),
            call(CallNumber::DomainGiveEvent, DOMAINS[0], &[10, DOMAINS[1].into(), 3]),
            call(
                CallNumber::DomainGiveInterrupt,
                DOMAINS[1],
                &[11, BUILDER_SLOT_RIGHT.into(), LINE.to_bits().into(), 4],
            ),
            call(CallNumber::DomainGivePorts, DOMAINS[2], &[BUILDER_SLOT_RIGHT.into(), 0x60, 4]),
            map_into(2, SHARED, PLANNED_ADDRESS, 20, READ_WRITE),
            map_into(0, SHARED, PLANNED_ADDRESS, 20, Rights::READ),
            map_into(0, BIG, PLANNED_ADDRESS + 0x10_0000, 70, READ_WRITE),
            configure(0, FaultPolicy::Handler, DOMAINS[1]),
            configure(1, FaultPolicy::Restart, 0),
            configure(2, FaultPolicy::Stop, 0),
        ] {
            self.done(act);
        }
        (0..3).for_each(|index| self.done(start(index)));
    }

    /// The three domains as they are now.
    pub fn domain(&self, index: usize) -> Option<DomainId> {
        self.named(DomainId::BUILDER, DOMAINS[index])
    }

    fn named(&self, by: DomainId, slot: u8) -> Option<DomainId> {
        let (domain, _) = self.kernel.slots(by).domain(slot.into(), Rights::empty()).ok()?;
        self.kernel.resolve(domain).ok()
    }

    pub fn region(&self, by: DomainId, slot: u64) -> Option<RegionRef> {
        self.kernel.slots(by).region(slot, Rights::empty()).ok().map(|(region, _)| region)
    }

    /// Whether a domain is in the middle of something that it has to repeat.
    pub fn is_busy(&self, actor: DomainId) -> bool {
        self.pending[actor.index()].is_some()
    }

    /// One turn of a domain: it goes on with what it is in the middle of, or begins this. Nothing if it does not live, or is
    /// held. Returns what a call came to.
    pub fn turn(&mut self, actor: DomainId, act: Act) -> Option<Came> {
        let is_alive = actor.index() < 5 && self.kernel.is_alive(actor);
        if !is_alive {
            self.pending[actor.index()] = None;
            return None;
        }
        let thread = self.kernel.thread(actor).expect("a domain that lives has a thread");
        if self.kernel.threads.get(thread).is_paused() {
            return None;
        }
        self.come_out(thread);
        // It runs, so its address space is loaded.
        self.kernel.hand_over(&mut self.cpu, thread);
        let begun = self.pending[actor.index()].take();
        let act = begun.unwrap_or(act);
        let came = match act {
            Act::Fault => self.fault(actor),
            Act::Call(call) => self.make(actor, call, begun.is_some()),
        };
        self.history.push(format!("{} {act:?}: {came:?}", actor.index()));
        if came == Came::Again {
            self.pending[actor.index()] = Some(act);
        }
        if !self.is_in_a_guest() {
            self.kernel.leave(&mut self.cpu);
        }
        Some(came)
    }

    /// A guest that has the CPU comes out: by a call if its domain acts next, else it is interrupted.
    fn come_out(&mut self, actor: ThreadId) {
        let runs = self.kernel.threads.current().filter(|_| self.kernel.save_guest(&mut self.cpu).is_some());
        if let Some(thread) = runs {
            self.kernel.context_mut(thread).go_into_guest();
        }
        if let Some(guest) = self.kernel.guest_in(actor) {
            self.kernel.context_mut(actor).come_out_of_guest();
            let out = CameOut { exit: GuestExit::Call, vector: 0, words: [0; 2] };
            self.kernel.end_guest(actor, guest, out);
        }
    }

    /// Whether a guest has the CPU.
    pub fn is_in_a_guest(&self) -> bool {
        self.cpu.guest().is_some()
    }

    fn fault(&mut self, actor: DomainId) -> Came {
        let fault = Fault { kind: FaultKind::Debug, code: 0, instruction: 0, address: 0 };
        self.kernel.fault(actor, fault);
        if self.kernel.is_alive(actor) {
            return Came::Again;
        }
        if self.kernel.domain(actor).renewal == Renewal::Ended {
            self.take_back(|loan| loan.lender == actor);
        }
        Came::To(0, [0; 4])
    }

    fn make(&mut self, actor: DomainId, call: Call, begun: bool) -> Came {
        let thread = self.kernel.thread(actor).expect("a domain that lives has a thread");
        let target = self.named(actor, call.slot);
        let region = self.region(actor, call.slot.into());
        let borrower = self.kernel.slots(actor).gate(call.a[0]).ok().map(|gate| gate.server.domain);
        let others = (self.region(actor, call.a[1]), self.region(actor, call.a[0]));
        match begun {
            false => machine::make_call(self.kernel.context_mut(thread), call.number, call.slot, call.a),
            true => machine::repeat(self.kernel.context_mut(thread)),
        }
        let held = self.kernel.slots(actor).region(call.slot.into(), Rights::empty()).map(|(_, held)| held);
        self.carry_out(thread, call.number);
        if self.says_yes && self.kernel.is_asking(thread) {
            DomainId::all().for_each(|id| {
                self.kernel.access_mut(id).judge(DomainSet::MAX, Classes::ASKED, Decision::Allow);
            });
            self.kernel.release_askers();
        }
        let came = machine::outcome(self.kernel.context(thread));
        if call.number == CallNumber::VerdictSet {
            self.note_verdict(call, came);
        }
        self.note_mapping(call, target, others.1, came);
        let takes_all = matches!(call.number, CallNumber::RegionDelete | CallNumber::RegionVacate);
        if let (true, Some(region), Came::Again) = (takes_all, region, came) {
            self.dying.push(region);
        }
        let Came::To(outcome, _) = came else { return came };
        if outcome < 0 && call.number != CallNumber::Exit {
            return came;
        }
        self.check_rights(call, held.unwrap_or(Rights::empty()));
        match (call.number, target, region, borrower) {
            (CallNumber::RegionGrant, _, Some(region), Some(borrower)) => {
                let rights = Rights::from_bits_truncate(call.a[1] as u32);
                assert!(!self.denied.iter().any(|(who, _)| *who == actor), "one lends that may not");
                self.loans.push(Loan { lender: actor, borrower, region, rights });
            }
            (CallNumber::RegionRevoke, _, Some(region), _) => {
                self.take_back(|loan| loan.lender == actor && loan.region == region);
            }
            (CallNumber::RegionDelete, _, Some(region), _) => {
                self.dying.clear();
                self.take_back(|loan| loan.region == region);
                self.plan.retain(|(_, planned, _)| *planned != region);
            }
            (CallNumber::RegionVacate, _, Some(region), _) => {
                self.dying.clear();
                self.take_back(|loan| loan.region == region);
            }
            (CallNumber::DomainGiveRegion, Some(target), ..) => {
                let region = others.0.expect("a region was given");
                self.plan.push((target, region, Rights::from_bits_truncate(call.a[2] as u32)));
            }
            (CallNumber::Exit, ..) => self.take_back(|loan| loan.lender == actor),
            (number, Some(target), ..) => self.note(number, actor, target, call),
            _ => {}
        }
        came
    }

    /// As the entry code has it done: the short way, if there is one and nothing stands in it.
    fn carry_out(&mut self, thread: ThreadId, number: CallNumber) {
        let kernel = &mut *self.kernel;
        let back = match number {
            CallNumber::Signal => return calls::signal(kernel, thread),
            CallNumber::Call => calls::gate_call_at_once(kernel, thread),
            CallNumber::ReplyWait => calls::reply_at_once(kernel, thread),
            CallNumber::Wait => calls::poll(kernel, thread),
            CallNumber::GuestEnter => {
                calls::enter_guest(kernel, &mut self.cpu, thread);
                return;
            }
            _ => None,
        };
        match back {
            Some(back) => machine::go_back(&mut kernel.contexts, back),
            None => calls::dispatch(kernel, thread),
        }
    }

    /// Nobody gets by a call what its own slot does not hold.
    fn check_rights(&self, call: Call, held: Rights) {
        let (asked, needed) = match call.number {
            CallNumber::RegionMap => (call.a[3], Rights::empty()),
            CallNumber::RegionGrant => (call.a[1], Rights::GRANT),
            CallNumber::RegionRevoke => (0, Rights::GRANT),
            _ => return,
        };
        let needed = needed | Rights::from_bits_truncate(asked as u32);
        assert!(held.contains(needed), "{} {call:?} with {held:?}", self.story());
    }

    /// Loans have come back.
    fn take_back(&mut self, of: impl Fn(&Loan) -> bool) {
        let dying = &self.dying;
        self.loans.retain(|loan| !of(loan) || dying.contains(&loan.region));
    }

    /// What is withdrawn is so when the call has come to an end; what is given back, when it begins.
    fn note_verdict(&mut self, call: Call, came: Came) {
        let [subject, object, classes, decision, ..] = call.a;
        let Some(subject) = DomainId::new(subject as usize) else { return };
        let objects = DomainId::all()
            .filter(|id| *id != subject && (object == EVERYONE || object == id.index() as u64));
        let shares = Classes::from_bits_truncate(classes as u32).contains(Classes::SHARE);
        for pair in objects.filter(|_| shares).map(|object| (subject, object)) {
            match came {
                Came::To(0, _) if decision == Decision::Deny as u64 => self.cut.push(pair),
                Came::Again | Came::To(0, _) if decision == Decision::Allow as u64 => {
                    self.cut.retain(|cut| *cut != pair);
                }
                _ => {}
            }
        }
    }

    /// What the builder has mapped is planned from the first step on. If the quota is used up on the way, a part stays.
    fn note_mapping(&mut self, call: Call, target: Option<DomainId>, region: Option<RegionRef>, came: Came) {
        let stays = match came {
            Came::Again => true,
            Came::To(outcome, _) => outcome >= 0 || outcome == CallError::QuotaExceeded as i32,
        };
        if let (CallNumber::DomainMap, true, Some(target), Some(region)) =
            (call.number, stays, target, region)
        {
            self.plan.push((target, region, Rights::from_bits_truncate(call.a[4] as u32)));
        }
    }

    /// What a call about a domain has come to.
    fn note(&mut self, number: CallNumber, actor: DomainId, target: DomainId, call: Call) {
        match number {
            CallNumber::DomainStop => self.take_back(|loan| loan.lender == target),
            CallNumber::DomainRestore if call.a[0] != CAPTURE_LAST => {}
            CallNumber::DomainReset
            | CallNumber::DomainStart
            | CallNumber::DomainRestore
            | CallNumber::DomainDestroy => {
                self.take_back(|loan| loan.lender == target);
                self.loans.retain(|loan| loan.borrower != target);
                let is_over = number == CallNumber::DomainDestroy;
                self.denied.retain(|(who, for_good)| *who != target || (*for_good && !is_over));
                if is_over {
                    self.plan.retain(|(domain, ..)| *domain != target);
                    self.cut.retain(|(subject, object)| ![*subject, *object].contains(&target));
                    self.given.retain(|(domain, _)| *domain != target);
                }
            }
            CallNumber::AccessSet => {
                let shares = Classes::from_bits_truncate(call.a[1] as u32).contains(Classes::SHARE);
                if shares && call.a[0] == EVERYONE {
                    let for_good = actor != target;
                    self.denied.retain(|(who, for_all)| *who != target || (!for_good && *for_all));
                    if call.a[2] == 0 {
                        self.denied.push((target, for_good));
                    }
                }
            }
            CallNumber::DomainGiveGate
            | CallNumber::DomainGiveEvent
            | CallNumber::DomainGiveInterrupt
            | CallNumber::DomainGiveDomain
            | CallNumber::DomainGiveRight
            | CallNumber::DomainGiveGuest => {
                let held = self.kernel.domain(target).planned.get(call.a[0]);
                self.given.push((target, *held.expect("a slot was filled")));
            }
            _ => {}
        }
    }

    /// The builder makes a call, as often as it takes; it is done.
    pub fn done(&mut self, act: Act) {
        let came = self.finish(DomainId::BUILDER, act);
        assert!(matches!(came, Some(Came::To(0.., _))), "{act:?}: {came:?}");
    }

    /// A domain does something, as often as it takes.
    pub fn finish(&mut self, actor: DomainId, act: Act) -> Option<Came> {
        for _ in 0..PATIENCE {
            let came = self.turn(actor, act);
            if came != Some(Came::Again) {
                return came;
            }
        }
        panic!("{act:?} does not come to an end")
    }

    /// The builder destroys all domains and ends all regions that it has made: everything is back.
    pub fn take_down(&mut self) {
        while self.is_busy(DomainId::BUILDER) {
            self.finish(DomainId::BUILDER, Act::Fault);
        }
        for slot in DOMAINS {
            if self.named(DomainId::BUILDER, slot).is_some() {
                self.done(call(CallNumber::DomainDestroy, slot, &[]));
                self.check();
            }
        }
        // Each can have been carved out of each: in as many rounds as there are regions, those without children go.
        let regions: Vec<u8> =
            CARVED.into_iter().chain([BIG, MIDDLE, SHARED]).chain(QUOTAS).chain(GUEST).collect();
        for _ in &regions {
            for slot in &regions {
                if self.region(DomainId::BUILDER, (*slot).into()).is_some() {
                    self.finish(DomainId::BUILDER, call(CallNumber::RegionDelete, *slot, &[]));
                    self.check();
                }
            }
        }
        let slots: Vec<_> =
            self.kernel.slots(DomainId::BUILDER).iter().map(|(slot, held)| (slot, *held)).collect();
        assert_eq!((slots, self.kernel.regions.all().count()), self.first, "slots and regions are back");
        self.check_nothing_left();
    }

    /// The pages of the region of which everything is made.
    pub fn pool(&self) -> cloison_rules::memory::Run {
        let region = self.region(DomainId::BUILDER, BUILDER_SLOT_MEMORY.into()).expect("it is there");
        self.kernel.regions.get(region).expect("it is there").run()
    }
}

/// A header of an image with a builder that has no program.
fn header() -> ImageHeader {
    ImageHeader {
        magic: IMAGE_MAGIC,
        abi_version: cloison_abi::ABI_VERSION,
        serial_port: 0,
        exit_port: 0,
        image_bytes: machine::IMAGE_PAGES * PAGE_BYTES,
        plan_offset: 0,
        plan_bytes: 0,
        plan_digest: [0; 32],
        builder_entry: 0x40_1000,
        builder_stack: 0x40_2000,
        builder_image_address: 0x1000_0000,
        builder_quota_pages: 16,
        builder_segment_count: 0,
        builder_program_segments: 0,
        reserved: 0,
        builder_checksum: 0,
        builder_segments: [BuilderSegment::default(); BUILDER_SEGMENTS],
    }
}
