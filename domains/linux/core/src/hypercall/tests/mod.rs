//! Each hypercall as Linux makes it, and as no one should.

mod channels;
mod cpu;
mod lists;
mod system;

use cloison_xen::Errno;
use proptest::prelude::*;

use crate::guest::{Exit, Next};
use crate::testing::fixture::{PAGES, SCRATCH};
use crate::testing::{Fixture, address};

impl Fixture {
    /// Makes a hypercall that is refused.
    pub fn refused(&mut self, number: u64, arguments: &[u64], why: Errno) {
        assert_eq!(self.call(number, arguments), why.answer(), "call {number} {arguments:x?}");
    }
}

/// Numbers that nothing is behind, in the form of the interface that is offered.
#[test]
fn what_is_not_offered_is_refused() {
    let mut fixture = Fixture::new();
    for number in [4, 6, 7, 11, 15, 16, 19, 22, 27, 28, 31, 34, 35, 36, 38, 39, 40, 41, 42, 47, 48, 1 << 63] {
        fixture.refused(number, &[0; 6], Errno::NotOffered);
    }
}

proptest! {
    /// Arguments of all kinds: the guest always runs on, waits, or ends by its own will, and no step is long.
    #[test]
    fn any_arguments_are_answered(
        number in 0_u64..48,
        command in prop_oneof![0_u64..40, any::<u64>()],
        words in prop::collection::vec(prop_oneof![0_u64..8, Just(1 << 31), Just(u64::MAX), any::<u64>()], 64),
        arguments in prop::collection::vec(
            prop_oneof![
                0_u64..70,
                (0..PAGES * 0x1000).prop_map(|offset| address(0) + offset),
                Just(address(SCRATCH)),
                any::<u64>(),
            ],
            5,
        ),
    ) {
        let mut fixture = Fixture::new();
        fixture.list(&words);
        let r = &mut fixture.registers;
        r.rdi = command;
        [r.rsi, r.rdx, r.r10, r.r8, r.r9] = arguments.try_into().unwrap();
        r.rax = number;
        if number == cloison_xen::call::IRET {
            r.rsp = address(SCRATCH);
        }
        for _ in 0..8 {
            match fixture.exit(Exit::Call) {
                Next::Go { .. } => {}
                Next::Wait { .. } | Next::End(_) | Next::Dead(_) => break,
            }
        }
    }
}
