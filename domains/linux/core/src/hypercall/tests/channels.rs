use cloison_xen::cpu::{RegisterInfo, SINGLESHOT_FUTURE, SingleShot, vcpu};
use cloison_xen::event::{self, AllocUnbound, BindIpi, BindVcpu, BindVirq};
use cloison_xen::grant::{self, QuerySize, SetupTable};
use cloison_xen::sched;
use cloison_xen::shared::{self, TimeInfo, VcpuInfo, WallClock};
use cloison_xen::{DOMAIN_SELF, Errno, call};

use crate::grants::TABLE_FRAMES;
use crate::guest::{Exit, Next, Shutdown};
use crate::machine::Memory;
use crate::testing::fixture::{HOLE, PAGES, READ_ONLY, SCRATCH};
use crate::testing::host::HERTZ;
use crate::testing::{Fixture, Host, address};
use crate::time::Clock;

/// An address of the shared page.
fn shared(fixture: &Fixture, offset: u64) -> u64 {
    fixture.host.shared_address() + offset
}

impl Fixture {
    fn bind_virq(&mut self, virq: u32) -> u32 {
        let at = self.argument(&BindVirq { virq, ..BindVirq::default() });
        assert_eq!(self.call(call::EVENT_CHANNEL_OP, &[event::BIND_VIRQ, at]), 0);
        self.read::<BindVirq>(at).port
    }

    fn port_call(&mut self, command: u64, port: u32) -> u64 {
        let at = self.argument(&port);
        self.call(call::EVENT_CHANNEL_OP, &[command, at])
    }

    fn set_timer(&mut self, timeout_ns: u64, flags: u32) -> u64 {
        let at = self.argument(&SingleShot { timeout_ns, flags, pad: 0 });
        self.call(call::VCPU_OP, &[vcpu::SET_SINGLESHOT_TIMER, 0, at])
    }

    fn sched(&mut self, command: u64, argument: u64) -> Next {
        let r = &mut self.registers;
        (r.rax, r.rdi, r.rsi) = (call::SCHED_OP, command, argument);
        self.exit(Exit::Call)
    }
}

#[test]
fn ports_are_given_out_from_3_on_and_run_out() {
    let mut fixture = Fixture::new();
    assert_eq!(fixture.bind_virq(0), 3);
    let at = fixture.argument(&BindIpi::default());
    assert_eq!(fixture.call(call::EVENT_CHANNEL_OP, &[event::BIND_IPI, at]), 0);
    assert_eq!(fixture.read::<BindIpi>(at).port, 4);
    let unbound = AllocUnbound { domain: DOMAIN_SELF, remote: 0, port: 0 };
    // Without a xenstore, Linux makes a port to itself.
    let to_itself = AllocUnbound { remote: DOMAIN_SELF, ..unbound };
    let at = fixture.argument(&to_itself);
    assert_eq!(fixture.call(call::EVENT_CHANNEL_OP, &[event::ALLOC_UNBOUND, at]), 0);
    assert_eq!(fixture.read::<AllocUnbound>(at).port, 5);
    for port in 6..64 {
        let at = fixture.argument(&unbound);
        assert_eq!(fixture.call(call::EVENT_CHANNEL_OP, &[event::ALLOC_UNBOUND, at]), 0);
        assert_eq!(fixture.read::<AllocUnbound>(at).port, port);
    }
    let at = fixture.argument(&unbound);
    fixture.refused(call::EVENT_CHANNEL_OP, &[event::ALLOC_UNBOUND, at], Errno::NoSpace);
    assert_eq!(fixture.port_call(event::CLOSE, 33), 0);
    let at = fixture.argument(&unbound);
    assert_eq!(fixture.call(call::EVENT_CHANNEL_OP, &[event::ALLOC_UNBOUND, at]), 0);
    assert_eq!(fixture.read::<AllocUnbound>(at).port, 33);
}

#[test]
fn bindings_that_cannot_be_are_refused() {
    let mut fixture = Fixture::new();
    fixture.bind_virq(0);
    for (virq, vcpu, why) in [
        (0, 0, Errno::Exists),
        (24, 0, Errno::Invalid),
        (u32::MAX, 0, Errno::Invalid),
        (1, 1, Errno::NotFound),
    ] {
        let at = fixture.argument(&BindVirq { virq, vcpu, port: 0 });
        fixture.refused(call::EVENT_CHANNEL_OP, &[event::BIND_VIRQ, at], why);
    }
    let at = fixture.argument(&BindIpi { vcpu: 1, port: 0 });
    fixture.refused(call::EVENT_CHANNEL_OP, &[event::BIND_IPI, at], Errno::NotFound);
    for (domain, remote, why) in [(DOMAIN_SELF, 1, Errno::NoDomain), (1, 0, Errno::NotPermitted)] {
        let at = fixture.argument(&AllocUnbound { domain, remote, port: 0 });
        fixture.refused(call::EVENT_CHANNEL_OP, &[event::ALLOC_UNBOUND, at], why);
    }
    for (port, vcpu, why) in [(3, 1, Errno::NotFound), (9, 0, Errno::Invalid), (64, 0, Errno::Invalid)] {
        let at = fixture.argument(&BindVcpu { port, vcpu });
        fixture.refused(call::EVENT_CHANNEL_OP, &[event::BIND_VCPU, at], why);
    }
    let at = fixture.argument(&BindVcpu { port: 3, vcpu: 0 });
    assert_eq!(fixture.call(call::EVENT_CHANNEL_OP, &[event::BIND_VCPU, at]), 0);
    for command in [0, 2, 5, 10, 11, 12, 13, 14, u64::MAX] {
        fixture.refused(call::EVENT_CHANNEL_OP, &[command, address(SCRATCH)], Errno::NotOffered);
    }
}

#[test]
fn ports_that_are_not_there_cannot_be_used() {
    let mut fixture = Fixture::new();
    for port in [0, 9, 64, u32::MAX] {
        for command in [event::SEND, event::CLOSE] {
            assert_eq!(fixture.port_call(command, port), Errno::Invalid.answer(), "{command} of port {port}");
        }
    }
    assert_eq!(fixture.port_call(event::UNMASK, 64), Errno::Invalid.answer());
    let port = fixture.bind_virq(1);
    assert_eq!(fixture.port_call(event::SEND, port), Errno::Invalid.answer());
}

#[test]
fn an_event_sets_three_bits_and_none_of_them_twice() {
    let mut fixture = Fixture::new();
    fixture.guest.channels.raise(&mut fixture.host, 7);
    assert_eq!(fixture.host.load(shared(&fixture, shared::PENDING)), Some(1 << 7));
    assert_eq!(fixture.info::<u64>(VcpuInfo::SELECTOR), 1);
    assert_eq!(fixture.info::<u8>(VcpuInfo::PENDING), 1);
    // The guest has looked at the upper levels, and is about to look at the lowest.
    let at = fixture.guest.channels.info(0);
    fixture.host.write(at, &[0]).unwrap();
    fixture.guest.channels.raise(&mut fixture.host, 7);
    assert_eq!(fixture.info::<u8>(VcpuInfo::PENDING), 0);
}

#[test]
fn a_masked_event_is_told_when_it_is_unmasked() {
    let mut fixture = Fixture::new();
    let mask = shared(&fixture, shared::MASK);
    fixture.host.store(mask, u64::MAX).unwrap();
    fixture.guest.channels.raise(&mut fixture.host, 7);
    assert_eq!(fixture.info::<u8>(VcpuInfo::PENDING), 0);
    assert_eq!(fixture.port_call(event::UNMASK, 8), 0);
    assert_eq!(fixture.info::<u8>(VcpuInfo::PENDING), 0);
    assert_eq!(fixture.port_call(event::UNMASK, 7), 0);
    assert_eq!((fixture.info::<u8>(VcpuInfo::PENDING), fixture.info::<u64>(VcpuInfo::SELECTOR)), (1, 1));
    assert_eq!(fixture.host.load(mask), Some(!(3 << 7)));
}

#[test]
fn a_closed_port_forgets_its_event() {
    let mut fixture = Fixture::new();
    let port = fixture.bind_virq(1);
    fixture.guest.channels.raise(&mut fixture.host, port);
    assert_eq!(fixture.port_call(event::CLOSE, port), 0);
    assert_eq!(fixture.host.load(shared(&fixture, shared::PENDING)), Some(0));
    assert_eq!(fixture.bind_virq(2), port);
}

#[test]
fn what_the_cpu_tells_itself_comes_back() {
    let mut fixture = Fixture::new();
    let at = fixture.argument(&BindIpi::default());
    fixture.call(call::EVENT_CHANNEL_OP, &[event::BIND_IPI, at]);
    assert_eq!(fixture.port_call(event::SEND, 3), 0);
    assert_eq!(fixture.host.load(shared(&fixture, shared::PENDING)), Some(1 << 3));
}

#[test]
fn the_cpus_information_moves_once_and_pretends_an_event() {
    let mut fixture = Fixture::new();
    let move_to = |fixture: &mut Fixture, frame, offset| {
        let at = fixture.argument(&RegisterInfo { frame, offset, pad: 0 });
        fixture.call(call::VCPU_OP, &[vcpu::REGISTER_INFO, 0, at])
    };
    for (frame, offset) in [(64, 0), (1 << 52, 0), (u64::MAX, 0), (40, 4096 - 56), (40, 4), (40, u32::MAX)] {
        assert_eq!(move_to(&mut fixture, frame, offset), Errno::Invalid.answer(), "{frame:#x} {offset:#x}");
    }
    let before: VcpuInfo = fixture.info(0);
    assert_eq!(move_to(&mut fixture, 40, 4096 - 64), 0);
    let after: VcpuInfo = fixture.host.get(41 * 0x1000 - 64).unwrap();
    assert_eq!(after, VcpuInfo { pending: 1, selector: u64::MAX, ..before });
    assert_eq!(after.mask, 1);
    assert_eq!(move_to(&mut fixture, 41, 0), Errno::Invalid.answer());
    fixture.guest.channels.set_masked(&mut fixture.host, false);
    assert_eq!(fixture.host.get::<VcpuInfo>(41 * 0x1000 - 64).unwrap().mask, 0);
}

#[test]
fn there_is_one_cpu() {
    let mut fixture = Fixture::new();
    assert_eq!(fixture.call(call::VCPU_OP, &[vcpu::IS_UP, 0, 0]), 1);
    for cpu in [1, 31, 32, 8191, u64::from(u32::MAX)] {
        fixture.refused(call::VCPU_OP, &[vcpu::IS_UP, cpu, 0], Errno::NotFound);
    }
    for accepted in [vcpu::REGISTER_RUNSTATE, vcpu::STOP_PERIODIC_TIMER] {
        assert_eq!(fixture.call(call::VCPU_OP, &[accepted, 0, address(SCRATCH)]), 0);
    }
    for command in [0, 1, 2, 4, 6, 11, 12, 14, u64::MAX] {
        fixture.refused(call::VCPU_OP, &[command, 0, address(SCRATCH)], Errno::NotOffered);
    }
}

#[test]
fn the_timer_rings_once_at_its_time() {
    let mut fixture = Fixture::new();
    let port = fixture.bind_virq(event::VIRQ_TIMER);
    assert_eq!(fixture.set_timer(1000, 0), 0);
    let deadline = 1000 * crate::testing::host::HERTZ / 1_000_000_000;
    assert_eq!(fixture.exit(Exit::Pause), Next::Go { deadline: Some(deadline) });
    fixture.host.ticks = deadline - 1;
    fixture.exit(Exit::Pause);
    assert_eq!(fixture.host.load(shared(&fixture, shared::PENDING)), Some(0));
    fixture.host.ticks = deadline;
    assert_eq!(fixture.exit(Exit::Pause), Next::Go { deadline: None });
    assert_eq!(fixture.host.load(shared(&fixture, shared::PENDING)), Some(1 << port));
    let pending = shared(&fixture, shared::PENDING);
    fixture.host.store(pending, 0).unwrap();
    fixture.exit(Exit::Pause);
    assert_eq!(fixture.host.load(pending), Some(0));
}

#[test]
fn a_time_that_has_passed_rings_at_once_or_is_refused() {
    let mut fixture = Fixture::new();
    let port = fixture.bind_virq(event::VIRQ_TIMER);
    fixture.host.ticks = 1 << 40;
    assert_eq!(fixture.set_timer(5, SINGLESHOT_FUTURE), Errno::TimePassed.answer());
    assert_eq!(fixture.set_timer(u64::MAX, SINGLESHOT_FUTURE), 0);
    assert_eq!(fixture.call(call::VCPU_OP, &[vcpu::STOP_SINGLESHOT_TIMER, 0, 0]), 0);
    assert_eq!(fixture.exit(Exit::Pause), Next::Go { deadline: None });
    fixture.registers.rip += 2;
    let at = fixture.argument(&SingleShot { timeout_ns: 5, flags: 0, pad: 0 });
    let r = &mut fixture.registers;
    (r.rax, r.rdi, r.rsi, r.rdx) = (call::VCPU_OP, vcpu::SET_SINGLESHOT_TIMER, 0, at);
    assert_eq!(fixture.exit(Exit::Call), Next::Go { deadline: None });
    assert_eq!(fixture.host.load(shared(&fixture, shared::PENDING)), Some(1 << port));
}

#[test]
fn a_blocked_guest_waits_for_an_event_or_its_timer() {
    let mut fixture = Fixture::new();
    fixture.bind_virq(event::VIRQ_TIMER);
    fixture.set_timer(1000, 0);
    assert_eq!(fixture.sched(sched::BLOCK, 0), Next::Wait { until: Some(2500) });
    assert_eq!(fixture.info::<u8>(VcpuInfo::MASK), 0, "to block is to take events");
    assert_eq!(fixture.exit(Exit::Pause), Next::Wait { until: Some(2500) });
    fixture.host.ticks = 2500;
    assert_eq!(fixture.exit(Exit::Pause), Next::Go { deadline: None });
    assert_eq!(fixture.registers.rax, 0);
    fixture.guest.channels.raise(&mut fixture.host, 2);
    assert_eq!(fixture.sched(sched::BLOCK, 0), Next::Go { deadline: None }, "there is an event");
    for command in [sched::YIELD, sched::POLL] {
        assert_eq!(fixture.sched(command, 0), Next::Go { deadline: None });
    }
}

#[test]
fn a_guest_ends_itself_for_a_reason() {
    let reasons = [Shutdown::PowerOff, Shutdown::Reboot, Shutdown::Suspend, Shutdown::Crash];
    for (number, reason) in (0_u32..).zip(reasons) {
        let mut fixture = Fixture::new();
        let at = fixture.argument(&number);
        assert_eq!(fixture.sched(sched::SHUTDOWN, at), Next::End(reason));
    }
    let mut fixture = Fixture::new();
    let at = fixture.argument(&4_u32);
    fixture.refused(call::SCHED_OP, &[sched::SHUTDOWN, at], Errno::Invalid);
    fixture.refused(call::SCHED_OP, &[sched::SHUTDOWN, address(HOLE)], Errno::BadAddress);
    fixture.refused(call::SCHED_OP, &[4, at], Errno::NotOffered);
}

#[test]
fn a_copy_of_the_clock_can_be_had() {
    let mut fixture = Fixture::new();
    let at = fixture.argument(&address(40));
    assert_eq!(fixture.call(call::VCPU_OP, &[vcpu::REGISTER_TIME, 0, at]), 0);
    assert_eq!(fixture.read::<TimeInfo>(address(40)), fixture.info(VcpuInfo::TIME));
    let at = fixture.argument(&address(READ_ONLY));
    fixture.refused(call::VCPU_OP, &[vcpu::REGISTER_TIME, 0, at], Errno::BadAddress);
}

#[test]
fn the_calendar_is_that_of_the_guests_beginning() {
    let fixture = Fixture::new();
    let wall: WallClock = fixture.host.get(shared(&fixture, shared::WALL_CLOCK)).unwrap();
    assert_eq!((wall.version, wall.seconds), (2, 0));
    let mut host = Host::new(PAGES as u32);
    (host.ticks, host.epoch) = (HERTZ * 5 / 2, 1_795_824_000_750_000_000);
    let at = host.shared_address();
    Clock::new().start(&mut host, at);
    let wall: WallClock = host.get(at + shared::WALL_CLOCK).unwrap();
    assert_eq!((wall.seconds, wall.nanoseconds), (1_795_824_003, 250_000_000));
    assert_eq!((wall.version, wall.seconds_high), (2, 0));
}

#[test]
fn the_table_of_grants_has_eight_frames() {
    let mut fixture = Fixture::new();
    let at = fixture.argument(&QuerySize { domain: DOMAIN_SELF, ..QuerySize::default() });
    assert_eq!(fixture.call(call::GRANT_TABLE_OP, &[grant::QUERY_SIZE, at, 1]), 0);
    let size: QuerySize = fixture.read(at);
    assert_eq!((size.frames, size.max_frames, size.status), (TABLE_FRAMES, TABLE_FRAMES, grant::OKAY));

    let list = address(SCRATCH + 1);
    let setup = SetupTable { domain: DOMAIN_SELF, frames: 8, list, status: 5, ..SetupTable::default() };
    let at = fixture.argument(&setup);
    assert_eq!(fixture.call(call::GRANT_TABLE_OP, &[grant::SETUP_TABLE, at, 1]), 0);
    assert_eq!(fixture.read::<SetupTable>(at).status, grant::OKAY);
    let first = fixture.host.shared_address() / 0x1000 + 1;
    assert_eq!(fixture.read::<[u64; 8]>(list), core::array::from_fn(|n| first + n as u64));
}

#[test]
fn tables_of_grants_that_cannot_be_are_refused() {
    let mut fixture = Fixture::new();
    let setup = |domain, frames, list| SetupTable { domain, frames, list, ..SetupTable::default() };
    let list = address(SCRATCH + 1);
    for (domain, frames, status) in [
        (DOMAIN_SELF, 9, grant::GENERAL_ERROR),
        (DOMAIN_SELF, u32::MAX, grant::GENERAL_ERROR),
        (0, 1, grant::BAD_DOMAIN),
    ] {
        let at = fixture.argument(&setup(domain, frames, list));
        assert_eq!(fixture.call(call::GRANT_TABLE_OP, &[grant::SETUP_TABLE, at, 1]), 0);
        assert_eq!(fixture.read::<SetupTable>(at).status, status);
    }
    let at = fixture.argument(&setup(DOMAIN_SELF, 1, address(READ_ONLY)));
    fixture.refused(call::GRANT_TABLE_OP, &[grant::SETUP_TABLE, at, 1], Errno::BadAddress);
    for command in [0, 1, 3, 4, 5, 7, 8, 9, 10, 11, 12, u64::MAX] {
        fixture.refused(call::GRANT_TABLE_OP, &[command, at, 1], Errno::NotOffered);
    }
    fixture.refused(
        call::GRANT_TABLE_OP,
        &[grant::QUERY_SIZE, address(HOLE) - 160, 1 << 31],
        Errno::BadAddress,
    );
}
