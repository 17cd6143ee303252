//! Storm: has a timer interrupt as often as it can, without acknowledging; then it reaches for a port of the
//! domain that ran before.

#![no_std]
#![no_main]
#![allow(unsafe_code, reason = "the storm does on purpose what no program may do")]

use core::{arch::asm, time::Duration};

use cloison_rt::{
    log,
    sys::{Slot, info, interrupt_acknowledge, memory::Ports, wait},
    time::after,
};

cloison_rt::entry!(main);

/// Offsets of ports (8254 data sheet): counter 0, and control.
const COUNTER: u16 = 0;
const CONTROL: u16 = 3;
/// Counter 0, both bytes: an interrupt in each period; one interrupt at the end.
const PERIODIC: u8 = 0x34;
const ONCE: u8 = 0x30;
/// 10,000 interrupts in a second. With many more, QEMU gets to nothing else.
const PERIOD: u16 = 119;
/// After how long without an interrupt none is to be expected.
const QUIET: Duration = Duration::from_secs(1);
/// How long to wait for one that has to come.
const PATIENCE: Duration = Duration::from_secs(20);
/// Interrupts after which a line that is not masked never will be.
const MANY: u32 = 1_000_000;
/// A port of the console's: the status of its serial line.
const CONSOLES_PORT: u16 = 0x3fd;

fn main() -> Result<(), &'static str> {
    let storm = Storm::find().ok_or("the plan gives this domain no timer")?;
    storm.program(PERIODIC, PERIOD);
    if !(0..MANY).any(|_| !storm.comes_within(QUIET)) {
        return Err("nobody masks the line");
    }
    log!("the line is masked");
    for _ in 0..50 {
        storm.acknowledge()?;
        // The first says that one may have been lost, the second is one.
        if !storm.comes_within(PATIENCE) || !storm.comes_within(PATIENCE) {
            return Err("an acknowledged line stays masked");
        }
    }
    log!("each acknowledgement opens it");
    storm.program(ONCE, 0xffff);
    while storm.comes_within(QUIET) {
        storm.acknowledge()?;
    }
    storm.acknowledge()?;
    storm.program(ONCE, 0x4000);
    if !storm.comes_within(PATIENCE) {
        return Err("the line stays masked when the storm is over");
    }
    log!("the storm is over, one interrupt arrives");
    let status: u8;
    // SAFETY: none: the instruction must fault. If it does not, the test has failed.
    unsafe { asm!("in al, dx", out("al") status, in("dx") CONSOLES_PORT, options(nostack)) };
    log!("the console's port is open, it reads {status:#x}");
    Ok(())
}

struct Storm {
    ports: Ports,
    interrupt: Slot,
    event: u64,
}

impl Storm {
    fn find() -> Option<Self> {
        let page = info::get();
        let interrupt = page.find::<info::Interrupt>("timer")?;
        Some(Self {
            ports: Ports::of(page.find("timer")?),
            interrupt: info::slot(interrupt)?,
            event: info::event_mask(interrupt),
        })
    }

    fn program(&self, mode: u8, count: u16) {
        self.ports.write8(CONTROL, mode);
        count.to_le_bytes().into_iter().for_each(|byte| self.ports.write8(COUNTER, byte));
    }

    fn comes_within(&self, time: Duration) -> bool {
        wait(self.event, after(time)) != 0
    }

    fn acknowledge(&self) -> Result<(), &'static str> {
        interrupt_acknowledge(self.interrupt).map(drop).map_err(|_| "the interrupt cannot be acknowledged")
    }
}
