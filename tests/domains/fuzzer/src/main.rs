//! Fuzzer: makes random calls with random arguments, and harms nobody.
//!
//! The manifest gives the seed (`uses.watch = { from = "watcher", seed = 7 }`); the same seed makes the same
//! calls. Left out is what would only end or cripple the fuzzer itself: ending, panicking, waiting for ever,
//! unmapping its own program, emptying the slots by which it reports.

#![no_std]
#![no_main]

mod random;

use cloison_abi::{
    CallError, CallNumber,
    limits::{DOMAIN_END, INFO_ADDRESS, KERNEL_BASE, PAGE_BYTES},
};
use cloison_rt::{
    log, start,
    sys::{Slot, any_call, info, memory::SharedMemory},
};
use watcher_api::{FaultSet, watch};

use random::Random;

cloison_rt::entry!(main);

const CALLS: u32 = 1_000_000;
/// From here on nothing that the plan maps for this domain is in the way.
const FREE: u64 = 0x2000_0000;
/// First label that no gate of the test's servers knows.
const UNKNOWN_LABEL: u64 = 0x100;

fn main() -> Result<(), &'static str> {
    let watch = info::get().find::<info::Use>("watch").ok_or("the plan gives the fuzzer no watcher")?;
    let gate = info::slot(watch).ok_or("the watcher has no gate")?;
    let watcher = watch::Client::new(gate);
    if start::argument() == 0 {
        let page = SharedMemory::of(watch).ok_or("the watcher shares no page")?;
        watcher_api::write_name(&page, "a million random calls harm nobody");
        watcher.announce(0, FaultSet::NONE, 0, 0).map_err(|_| "the watcher does not answer")?;
        let mut fuzzer = Fuzzer {
            random: Random::new(watch.channel.option.into()),
            report_gate: gate,
            done: 0,
            refused: 0,
        };
        log!("seed {}: {CALLS} calls", watch.channel.option);
        while fuzzer.done < CALLS {
            fuzzer.step();
        }
        // Random text may have begun a line.
        log!("");
        log!("{} carried out, {} refused", fuzzer.done - fuzzer.refused, fuzzer.refused);
        watcher.end(0).map_err(|_| "the watcher does not answer")?;
    }
    watcher.finish(1).map_err(|_| "the watcher does not answer")?;
    Ok(())
}

struct Fuzzer {
    random: Random,
    report_gate: Slot,
    done: u32,
    refused: u32,
}

/// The registers of one call.
struct Call {
    number: u64,
    slot: u64,
    label: u64,
    arguments: [u64; 6],
}

impl Fuzzer {
    /// Makes one random call, unless it is one of those that are left out.
    fn step(&mut self) {
        let mut call = self.any_call();
        if self.tame(&mut call) {
            self.done += 1;
            self.refused += u32::from(!make(&call));
        }
    }

    fn any_call(&mut self) -> Call {
        let number = match self.random.below(16) {
            0 => self.random.below(256),
            _ => u64::from(CallNumber::ALL[self.random.below(CallNumber::ALL.len() as u64) as usize].0),
        };
        let slot = if self.random.below(4) == 0 { self.random.below(256) } else { self.random.below(6) };
        let label = self.any_value() & 0xffff_ffff;
        Call { number, slot, label, arguments: core::array::from_fn(|_| self.any_value()) }
    }

    /// A number of the kinds that break programs.
    fn any_value(&mut self) -> u64 {
        let random = self.random.next();
        let page = random % 64 * PAGE_BYTES;
        match self.random.below(10) {
            0 | 1 => random % 8,
            2 => random % 256,
            3 => FREE + page,
            4 => INFO_ADDRESS + page,
            5 => KERNEL_BASE + page,
            6 => DOMAIN_END.wrapping_sub(page),
            7 => (1 << (random % 64)) - random / 64 % 2,
            8 => u64::MAX - random % 4,
            _ => random,
        }
    }

    /// Takes the teeth out of a call that would end or cripple the fuzzer. Returns false if nothing is left
    /// of it.
    fn tame(&mut self, call: &mut Call) -> bool {
        let rare = self.random.below(200) == 0;
        let Some(number) = u8::try_from(call.number).ok().and_then(CallNumber::from_number) else {
            return true;
        };
        match number {
            CallNumber::Exit | CallNumber::Panic => false,
            // A deadline in the past: look, do not wait.
            CallNumber::ReplyWait | CallNumber::Wait | CallNumber::SignalReplyWait => {
                call.arguments[5] = 0;
                true
            }
            // Text is shown only now and then, and the watcher is told nothing that it would believe.
            CallNumber::Call if call.slot == u64::from(self.report_gate.0) || !rare => {
                call.label |= UNKNOWN_LABEL;
                true
            }
            CallNumber::DebugWrite if !rare => {
                call.label |= UNKNOWN_LABEL;
                true
            }
            CallNumber::RegionUnmap => !(INFO_ADDRESS..FREE).contains(&call.arguments[0]),
            // Near the end, the region goes too.
            CallNumber::SlotDrop => self.done > CALLS / 10 * 9 && call.slot != u64::from(self.report_gate.0),
            _ => true,
        }
    }
}

/// Makes the call. The kernel may answer what it likes, but with something that it has declared. Returns
/// whether it was carried out.
#[allow(unsafe_code, reason = "any call can be made, with any arguments")]
fn make(call: &Call) -> bool {
    let rax = call.number | call.slot << 8 | call.label << 32;
    // SAFETY: `tame` has left out the calls that unmap this program; if another call does it, the test has
    // failed.
    let (status, _) = unsafe { any_call(rax, call.arguments) };
    assert!(
        status >= 0 || CallError::from_number(status).is_some(),
        "call {}, slot {}, label {:#x}, arguments {:x?} gave {status}",
        call.number,
        call.slot,
        call.label,
        call.arguments
    );
    status >= 0
}
