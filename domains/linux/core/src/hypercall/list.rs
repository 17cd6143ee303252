//! Lists of requests on page tables, and lists of hypercalls.

use cloison_abi::guest::GuestRegisters;
use cloison_xen::call::{self, GOES_ON, MULTICALL_ARGS, MULTICALL_RESULT, MulticallEntry};
use cloison_xen::memory::{MmuExt, MmuUpdate};
use cloison_xen::{DOMAIN_SELF, Errno};
use zerocopy::{FromBytes, IntoBytes};

use super::{Answer, Arguments, Progress, Share};
use crate::guest::Guest;
use crate::machine::Machine;
use crate::memory::Paging;

impl Guest {
    /// `mmu_update(list, count, done, domain)`.
    pub(super) fn mmu_update(
        &mut self,
        machine: &mut impl Machine,
        a: &mut Arguments,
        share: &mut Share,
    ) -> Answer {
        let before = a[1] & (GOES_ON - 1);
        let answer = self.requests(machine, a, share, |paging, machine, request: MmuUpdate| {
            paging.mmu_update(machine, request.ptr, request.val)
        });
        self.log.updated(before.saturating_sub(a[1] & (GOES_ON - 1)));
        answer
    }

    /// `mmuext_op(list, count, done, domain)`.
    pub(super) fn mmuext_op(
        &mut self,
        machine: &mut impl Machine,
        a: &mut Arguments,
        share: &mut Share,
    ) -> Answer {
        self.requests(machine, a, share, |paging, machine, request: MmuExt| {
            paging.mmuext(machine, request.cmd, request.arg1, request.arg2)
        })
    }

    /// Does requests one after the other up to the first that is refused; `done`, if it is not 0, says where the number
    /// of those done goes. The highest bit of the count means that it has been counted there before.
    fn requests<T: FromBytes + IntoBytes, M: Machine>(
        &mut self,
        machine: &mut M,
        a: &mut Arguments,
        share: &mut Share,
        each: impl Fn(&mut Paging, &mut M, T) -> Result<(), Errno>,
    ) -> Answer {
        let [mut at, count, done_at, domain, ..] = *a;
        if domain as u32 != u32::from(DOMAIN_SELF) {
            return Err(Errno::NoDomain);
        }
        let mut left = count & (GOES_ON - 1);
        let mut done: u32 = match count & GOES_ON {
            0 => 0,
            _ if done_at == 0 => 0,
            _ => self.get(machine, done_at)?,
        };
        let answer = loop {
            if left == 0 {
                break Ok(Progress::Done(0));
            }
            if !share.take() {
                break Ok(Progress::Step);
            }
            let request = self.get(machine, at);
            if let Err(error) = request.and_then(|request| each(&mut self.paging, machine, request)) {
                break Err(error);
            }
            at = at.wrapping_add(size_of::<T>() as u64);
            left -= 1;
            done = done.wrapping_add(1);
        };
        (a[0], a[1]) = (at, left | GOES_ON);
        if done_at != 0 {
            self.put(machine, done_at, &done)?;
        }
        answer
    }

    /// `multicall(list, count)`. A call whose step is over leaves in its entry what is left of it.
    pub(super) fn multicall(
        &mut self,
        machine: &mut impl Machine,
        a: &mut Arguments,
        share: &mut Share,
        registers: &mut GuestRegisters,
    ) -> Answer {
        a[1] &= u64::from(u32::MAX);
        while a[1] != 0 {
            if !share.take() {
                return Ok(Progress::Step);
            }
            let mut entry: MulticallEntry = self.get(machine, a[0])?;
            self.log.called(entry.op);
            let answer = match entry.op {
                // None of these comes back to the next call.
                call::MULTICALL | call::IRET | call::SCHED_OP => Err(Errno::Invalid),
                _ => self.call(machine, entry.op, &mut entry.args, share, registers),
            };
            if answer == Ok(Progress::Step) {
                self.put(machine, a[0].wrapping_add(MULTICALL_ARGS), &entry.args)?;
                return Ok(Progress::Step);
            }
            let result = match answer {
                Ok(Progress::Done(result)) => result,
                Ok(Progress::Step) => 0,
                Err(error) => error.answer(),
            };
            self.put(machine, a[0].wrapping_add(MULTICALL_RESULT), &result)?;
            a[0] = a[0].wrapping_add(size_of::<MulticallEntry>() as u64);
            a[1] -= 1;
        }
        Ok(Progress::Done(0))
    }
}
