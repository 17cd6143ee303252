//! A guest with page tables and nothing else: the test writes its memory and makes its exits.

use std::boxed::Box;

use cloison_abi::guest::GuestRegisters;
use cloison_abi::limits::PAGE_BYTES;
use cloison_xen::DOMAIN_SELF;
use cloison_xen::call;
use cloison_xen::memory::{MmuExt, mmuext};
use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::Host;
use crate::boot::Start;
use crate::guest::{Exit, Guest, Next};
use crate::machine::Memory;

/// Where the guest's kernel sees its memory.
pub const LINEAR: u64 = 0xffff_8880_0000_0000;
/// Pages of memory.
pub const PAGES: u64 = 64;
/// The root of page tables; the tables below it follow.
pub const ROOT: u64 = 1;
/// The root of user programs.
pub const USER_ROOT: u64 = 5;
/// The page with the console's ring.
pub const CONSOLE: u64 = 6;
/// The first of the pages for stacks.
pub const STACK: u64 = 10;
/// A page that is mapped to be read only.
pub const READ_ONLY: u64 = 20;
/// A page that is not mapped.
pub const HOLE: u64 = 21;
/// The first of the pages for arguments.
pub const SCRATCH: u64 = 30;
/// Where the kernel's code is taken to be.
pub const CODE: u64 = 50;

/// Where the kernel sees a frame.
pub const fn address(frame: u64) -> u64 {
    LINEAR + frame * PAGE_BYTES
}

/// The guest.
pub struct Fixture {
    pub host: Host,
    pub guest: Box<Guest>,
    pub registers: GuestRegisters,
}

impl Fixture {
    /// In its kernel, with all events masked.
    pub fn new() -> Self {
        let mut host = Host::new(PAGES as u32);
        for (level, slot) in [LINEAR >> 39 & 511, LINEAR >> 30 & 511, LINEAR >> 21 & 511].iter().enumerate() {
            let table = ROOT + level as u64;
            host.store(table * PAGE_BYTES + slot * 8, ((table + 1) * PAGE_BYTES) | 7).unwrap();
        }
        for frame in (0..PAGES).filter(|frame| *frame != HOLE) {
            let write = if frame == READ_ONLY { 0 } else { 2 };
            host.store((ROOT + 3) * PAGE_BYTES + frame * 8, (frame * PAGE_BYTES) | 0x65 | write).unwrap();
        }
        let shared = host.shared_address();
        host.write(shared + 1, &[1]).unwrap();
        let mut guest = Box::new(Guest::new());
        let registers = guest.start(&mut host, &Self::begins()).unwrap();
        Self { host, guest, registers }
    }

    /// What it begins with.
    pub fn begins() -> Start {
        let registers = GuestRegisters {
            rip: address(CODE),
            rsp: address(STACK),
            rflags: 0x202,
            ..GuestRegisters::default()
        };
        Start { registers, root: ROOT as u32, console: CONSOLE as u32, store: 7 }
    }

    /// Names a root for user programs, and enters one.
    pub fn enter_user(&mut self) {
        let op = MmuExt { cmd: mmuext::NEW_USER_BASEPTR, arg1: USER_ROOT, ..MmuExt::default() };
        let at = self.argument(&op);
        assert_eq!(self.call(call::MMUEXT_OP, &[at, 1, 0, DOMAIN_SELF.into()]), 0);
        self.guest.paging.enter_user(&mut self.host).unwrap();
        self.guest.let_switch(&mut self.host, &mut self.registers);
    }

    /// Its kernel goes on.
    pub fn enter_kernel(&mut self) {
        self.guest.paging.enter_kernel(&mut self.host);
        self.guest.let_switch(&mut self.host, &mut self.registers);
    }

    /// Comes out for a reason; what is next.
    pub fn exit(&mut self, exit: Exit) -> Next {
        self.guest.step(&mut self.host, exit, &mut self.registers)
    }

    /// Comes out with a trap.
    pub fn trap(&mut self, vector: u8, code: u64, address: u64) -> Next {
        self.exit(Exit::Trap { vector, code, address })
    }

    /// Makes a hypercall, as often as it takes; its answer.
    pub fn call(&mut self, number: u64, arguments: &[u64]) -> u64 {
        self.count_steps(number, arguments).0
    }

    /// Makes a hypercall; its answer, and how many steps it took.
    pub fn count_steps(&mut self, number: u64, arguments: &[u64]) -> (u64, usize) {
        let mut words = [0; 6];
        words[..arguments.len()].copy_from_slice(arguments);
        let r = &mut self.registers;
        [r.rdi, r.rsi, r.rdx, r.r10, r.r8, r.r9] = words;
        r.rax = number;
        let after = r.rip + 2;
        for step in 1.. {
            self.registers.rip += 2;
            assert_eq!(self.exit(Exit::Call), Next::Go { deadline: self.guest.clock.deadline() });
            if self.registers.rip == after {
                return (self.registers.rax, step);
            }
            assert_eq!(self.registers.rip, after - 2, "a step goes back to its call");
            assert_eq!(self.registers.rax, number, "a step keeps its number");
        }
        unreachable!()
    }

    /// Writes an argument to the scratch page; its address.
    pub fn argument<T: IntoBytes + Immutable>(&mut self, value: &T) -> u64 {
        self.host.put(SCRATCH * PAGE_BYTES, value).unwrap();
        address(SCRATCH)
    }

    /// Writes a list to the scratch pages; its address.
    pub fn list<T: IntoBytes + Immutable>(&mut self, values: &[T]) -> u64 {
        self.host.write(SCRATCH * PAGE_BYTES, values.as_bytes()).unwrap();
        address(SCRATCH)
    }

    /// Reads at an address of the kernel.
    pub fn read<T: FromBytes + IntoBytes>(&self, at: u64) -> T {
        self.host.get(at - LINEAR).unwrap()
    }

    /// Writes code where the guest goes on.
    pub fn code(&mut self, bytes: &[u8]) {
        self.registers.rip = address(CODE);
        self.host.write(CODE * PAGE_BYTES, bytes).unwrap();
    }

    /// A part of the virtual CPU's information.
    pub fn info<T: FromBytes + IntoBytes>(&self, offset: u64) -> T {
        self.host.get(self.guest.channels.info(offset)).unwrap()
    }
}
