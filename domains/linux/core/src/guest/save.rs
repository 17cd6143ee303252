//! A guest that is saved, and goes on from there.
//!
//! Its memory, the domain copies; what this has beside it is written down here. Shadows are not: they fill again. The
//! vector registers are in the kernel, for which they are nobody's business: the guest itself writes them into a page and
//! reads them from there, by two instructions behind the stub.

use cloison_abi::guest::{GuestHalf, GuestRegisters};
use cloison_abi::limits::PAGE_BYTES;

use super::{Guest, Log};
use crate::machine::{Machine, Page, Shown, Space};
use crate::saved::{Carried, Carrier, CutShort, carried};
use crate::stub::{self, ADDRESS, CODE, VECTOR_BYTES, VECTOR_CODE, VECTORS, WORDS};

carried!(Guest {
    paging, cpu, channels, clock, console, devices, tis, step, passed
} leaves { log, has_stub, switches, returns_long });

/// Which way vector registers go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vectors {
    /// Into the page.
    Out,
    /// From there.
    In,
}

/// The page cannot take the vector registers, or there are none, or the guest cannot be shown it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoVectors;

impl Guest {
    /// Writes down what the guest is, when it is about to go on with these registers.
    ///
    /// # Errors
    /// [`CutShort`] if there is no room.
    pub fn save(&mut self, registers: &GuestRegisters, carrier: &mut impl Carrier) -> Result<(), CutShort> {
        let mut registers = *registers;
        registers.carry(carrier)?;
        Carried::carry(self, carrier)
    }

    /// Goes on from what was written down some ticks of the counter ago; returns the registers. The guest's memory has to be
    /// there, and no space.
    ///
    /// # Errors
    /// [`CutShort`] if that is no guest's state, or if there is no room for a first space.
    pub fn resume(
        &mut self,
        machine: &mut impl Machine,
        ticks: u64,
        carrier: &mut impl Carrier,
    ) -> Result<GuestRegisters, CutShort> {
        let mut registers = GuestRegisters::default();
        registers.carry(carrier)?;
        self.devices.prepare(machine);
        Carried::carry(self, carrier)?;
        self.log = Log::new();
        self.switches = false;
        self.paging.resume(machine).or(Err(CutShort))?;
        self.watch(machine);
        self.begin_stub(machine);
        self.devices.resume(machine);
        self.tis.resume(machine);
        self.stood_still(machine, ticks);
        Ok(registers)
    }

    /// Prepares the guest's moving of its vector registers: the registers with which it is to be entered, in its current
    /// space and with both halves. It comes out by a call at once.
    ///
    /// # Errors
    /// [`NoVectors`].
    pub fn move_vectors(
        &self,
        machine: &mut impl Machine,
        which: Vectors,
    ) -> Result<GuestRegisters, NoVectors> {
        let [_, bytes, ..] = machine.cpuid(0xd, 0);
        let words = machine.shared_address() + u64::from(WORDS) * PAGE_BYTES;
        if bytes as usize > VECTOR_BYTES {
            return Err(NoVectors);
        }
        if which == Vectors::Out {
            // XSAVE leaves a part of the header as it is, which has to be zero.
            machine.write(words + VECTORS, &[0; VECTOR_BYTES]).ok_or(NoVectors)?;
        }
        let code = machine.shared_address() + u64::from(CODE) * PAGE_BYTES;
        machine.write(code + stub::VECTOR_OFFSET, &VECTOR_CODE).ok_or(NoVectors)?;
        let shown = [(WORDS, true), (CODE, false)]
            .map(|(page, write)| Some(Shown { page: Page::Shared(page), write, execute: !write }));
        machine.map(Space(0), ADDRESS + PAGE_BYTES, &shown).or(Err(NoVectors))?;
        let way = match which {
            Vectors::Out => 0,
            Vectors::In => VECTOR_CODE.len() as u64 / 2,
        };
        Ok(GuestRegisters {
            rip: ADDRESS + 2 * PAGE_BYTES + stub::VECTOR_OFFSET + way,
            rdi: ADDRESS + PAGE_BYTES + VECTORS,
            // All that the CPU has.
            rax: u64::MAX,
            rdx: u64::MAX,
            half: GuestHalf::Both as u64,
            ..GuestRegisters::default()
        })
    }
}
