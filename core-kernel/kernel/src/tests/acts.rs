//! What the builder and the domains of the tests do, and where they find what they need for it.

use cloison_abi::{CallNumber, InterruptSource, Rights, call::BUILDER_SLOT_RIGHT, plan::FaultPolicy};

/// The builder's slots for the three domains, and for the quotas of which they are made.
pub const DOMAINS: [u8; 3] = [20, 21, 22];
pub const QUOTAS: [u8; 3] = [10, 11, 12];
/// The builder's slots for memory: 150 pages that the first domain owns, 70 of the second, 20 that the first sees and the
/// third owns.
pub const BIG: u8 = 13;
pub const MIDDLE: u8 = 14;
pub const SHARED: u8 = 15;
/// Slots of the builder for what is carved out later.
pub const CARVED: [u8; 2] = [40, 41];
/// In each domain: its own memory, its gates, memory of another one, a domain whose life it looks after.
pub const OWN: u8 = 5;
pub const GATES: [u8; 2] = [6, 7];
pub const OTHERS: u8 = 8;
pub const SUPERVISED: u8 = 9;
/// The badge of the first domain's gates; the others' follow.
pub const BADGE: u64 = 7;
/// Where loans arrive.
pub const LOANS: u8 = 30;
/// Slots of the builder for what a guest is made of: its tables, its frame page, memory that it may write, and memory that
/// it only reads.
pub const GUEST: [u8; 4] = [42, 43, 44, 45];
/// Where the builder maps, and addresses at which domains map.
pub const PLANNED_ADDRESS: u64 = 0x60_0000;
pub const ADDRESSES: [u64; 3] = [0x200_0000, 0x280_0000, 0x4000_0000];

/// The line of the second domain.
pub const LINE: InterruptSource = InterruptSource::Line { number: 5, is_level: true, is_active_low: false };

/// A call, as its registers say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    pub number: CallNumber,
    pub slot: u8,
    pub a: [u64; 6],
}

/// What a domain does in one turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    Call(Call),
    /// It does what is forbidden.
    Fault,
}

pub fn call(number: CallNumber, slot: u8, a: &[u64]) -> Act {
    let mut all = [0; 6];
    all[..a.len()].copy_from_slice(a);
    Act::Call(Call { number, slot, a: all })
}

pub fn create(index: usize) -> Act {
    let right = BUILDER_SLOT_RIGHT;
    call(CallNumber::DomainCreate, right, &[DOMAINS[index].into(), QUOTAS[index].into(), 0x6e, 0])
}

pub fn give_region(index: usize, slot: u8, of: u8, rights: Rights) -> Act {
    call(CallNumber::DomainGiveRegion, DOMAINS[index], &[slot.into(), of.into(), rights.bits().into()])
}

pub fn give_gate(index: usize, slot: u8, into: usize) -> Act {
    // Each client has two places of its own.
    let grants = (u64::from(LOANS) + 2 * index as u64) | (2 << 8);
    call(
        CallNumber::DomainGiveGate,
        DOMAINS[index],
        &[slot.into(), DOMAINS[into].into(), BADGE + index as u64, grants],
    )
}

pub fn map_into(index: usize, of: u8, address: u64, pages: u64, rights: Rights) -> Act {
    let a = [of.into(), address, 0, pages, rights.bits().into()];
    call(CallNumber::DomainMap, DOMAINS[index], &a)
}

pub fn configure(index: usize, policy: FaultPolicy, handler: u8) -> Act {
    call(CallNumber::DomainConfigure, DOMAINS[index], &[3, 0, 0, policy as u64, handler.into(), 4])
}

pub fn pause(index: usize) -> Act {
    call(CallNumber::DomainPause, DOMAINS[index], &[1])
}

pub fn resume(index: usize) -> Act {
    call(CallNumber::DomainPause, DOMAINS[index], &[0])
}

pub fn start(index: usize) -> Act {
    call(CallNumber::DomainStart, DOMAINS[index], &[0x40_1000, 0x40_2000, 0])
}
