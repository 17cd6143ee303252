//! A guest with handlers for all that can happen to it, in its kernel and in a program.

mod asked;
mod device;
mod emulate;
mod frames;
mod native;
mod save;
mod shown;
mod watch;

use cloison_xen::call;
use cloison_xen::cpu::{CallbackRegister, ReturnFrame, TRAP_MASKS, TrapInfo, callback};
use proptest::prelude::*;

use super::{Death, Exit, Next};
use crate::machine::Memory;
use crate::testing::fixture::{CODE, STACK};
use crate::testing::{Fixture, address};

const HANDLER: u64 = 0xffff_ffff_8100_0000;
const GO: Next = Next::Go { deadline: None };

/// Top of the stack for what comes from user programs.
const KERNEL_STACK: u64 = address(STACK + 4);

impl Fixture {
    /// Names a handler of its own for each trap, and for the callbacks; the one of trap 3 is open to programs.
    pub(super) fn handlers(&mut self) {
        for first in [0_u16, 128] {
            let mut list: std::vec::Vec<_> = (first..first + 128)
                .map(|vector| TrapInfo {
                    vector: vector as u8,
                    flags: if vector == 0x80 { 3 } else { 0 },
                    cs: 0xe033,
                    address: HANDLER + u64::from(vector) * 16,
                    ..TrapInfo::default()
                })
                .collect();
            list[14].flags |= TRAP_MASKS;
            list.push(TrapInfo::default());
            let at = self.list(&list);
            assert_eq!(self.call(call::SET_TRAP_TABLE, &[at]), 0);
        }
        for kind in [callback::EVENT, callback::FAILSAFE, callback::SYSCALL] {
            self.callback(kind, callback::MASKS);
        }
        assert_eq!(self.call(call::STACK_SWITCH, &[0xe02b, KERNEL_STACK]), 0);
    }

    pub(crate) fn callback(&mut self, kind: u16, flags: u16) {
        let address = HANDLER + 0x2000 + u64::from(kind) * 16;
        let at = self.argument(&CallbackRegister { kind, flags, pad: 0, address });
        assert_eq!(self.call(call::CALLBACK_OP, &[callback::REGISTER, at]), 0);
    }

    /// A user program with handlers, whose registers can be told apart.
    pub(crate) fn program() -> Self {
        let mut fixture = Self::new();
        fixture.handlers();
        fixture.guest.channels.set_masked(&mut fixture.host, false);
        fixture.enter_user();
        let r = &mut fixture.registers;
        (r.rip, r.rsp, r.rflags) = (0x40_1000, 0x7fff_1238, 0x246);
        (r.rcx, r.r11, r.gs_base) = (0xcc, 0x11, 0x7000);
        fixture.registers.other_gs_base = 0xffff_8880_0000_9000;
        fixture
    }

    /// A kernel with handlers, whose registers can be told apart.
    pub(super) fn kernel() -> Self {
        let mut fixture = Self::new();
        fixture.handlers();
        fixture.guest.channels.set_masked(&mut fixture.host, false);
        let r = &mut fixture.registers;
        (r.rip, r.rsp, r.rflags) = (address(CODE) + 0x123, address(STACK + 2) + 0xb8, 0x246);
        (r.rcx, r.r11, r.gs_base) = (0xcc, 0x11, 0xffff_8880_0000_9000);
        fixture
    }

    pub(super) fn words<const N: usize>(&self, at: u64) -> [u64; N] {
        self.read(at)
    }

    pub(super) fn is_masked(&self) -> bool {
        self.guest.channels.is_masked(&self.host)
    }

    /// Puts a frame on the kernel's stack and returns to what it says.
    pub(crate) fn iret(&mut self, frame: ReturnFrame) -> Next {
        let at = address(STACK + 1);
        self.host.put((STACK + 1) * 0x1000, &frame).unwrap();
        (self.registers.rsp, self.registers.rax) = (at, call::IRET);
        self.exit(Exit::Call)
    }
}

proptest! {
    /// Whatever a guest comes out with, and whatever its registers are: it runs on, waits, or ends for a reason, and the
    /// kernel can enter it.
    #[test]
    fn any_exit_leaves_registers_that_can_be_entered(
        registers in any::<[u64; 22]>(),
        near in any::<bool>(),
        vector in 0_u8..32,
        code in any::<u64>(),
        at in any::<u64>(),
        in_user in any::<bool>(),
        bytes in any::<[u8; 15]>(),
    ) {
        let mut fixture = if in_user { Fixture::program() } else { Fixture::kernel() };
        fixture.registers = zerocopy::transmute!(registers);
        let canonical = |base: u64| (base << 16).cast_signed() >> 16;
        fixture.registers.fs_base = canonical(registers[18]).cast_unsigned();
        fixture.registers.gs_base = canonical(registers[19]).cast_unsigned();
        fixture.registers.other_gs_base = canonical(registers[20]).cast_unsigned();
        if near {
            fixture.code(&bytes);
            fixture.registers.rsp = address(STACK + 2) + registers[4] % 0x1000;
            fixture.registers.rax %= 64;
        }
        for exit in [Exit::Trap { vector, code, address: at }, Exit::Call, Exit::Pause] {
            let next = fixture.exit(exit);
            if let Next::Go { .. } = next {
                let r = fixture.registers;
                prop_assert!([r.rip, r.fs_base, r.gs_base, r.other_gs_base].into_iter().all(crate::memory::is_canonical));
            } else {
                break;
            }
        }
    }
}
