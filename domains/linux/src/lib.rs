//! What the domain `linux` does: it runs an unmodified Linux kernel beside domains.
//!
//! The guest runs in ring 3, in spaces of its own. Whatever it cannot do by itself brings it out, and the core
//! (`core/`) does it in its place; here is the loop around that.

#![no_std]

extern crate alloc;

mod clerk;
mod date;
mod keyboard;
mod place;
mod save;
mod storage;
mod tpm;
mod watch;
mod wire;

use alloc::boxed::Box;
use core::fmt;

use cloison_abi::{CallError, guest::GuestRegisters, limits::PAGE_BYTES};
use cloison_rt::{
    log,
    sys::{self, Instant, guest, info, settings},
};
use keyboard::{Keyboard, ORDERS, Order};
use linux_core::{
    boot::{self, BootError, SCRATCH_BYTES},
    guest::{Death, Exit, Guest, Next, Shutdown},
    machine::{Machine, Memory, NoRoom},
};
use place::Place;
use save::{Lost, Save};
pub use watch::Watch;

/// Runs the guest until it is switched off. `watch` looks on: `()` for nobody.
///
/// # Errors
/// [`Unfit`]: why there is no guest, or no more.
pub fn run(watch: impl Watch) -> Result<(), Unfit> {
    let mut place = Place::find(watch)?;
    let mut keyboard = Keyboard::open();
    let save = Save::find();
    let mut guest = Box::new(Guest::new());
    let mut goes_back = true;
    loop {
        let mut registers = match save.as_ref().filter(|save| goes_back && save.is_whole()) {
            Some(save) => go_back(save, &mut guest, &mut place)?,
            None => begin(&mut guest, &mut place)?,
        };
        let mut user = User { keyboard: &mut keyboard, save: save.as_ref() };
        let ended = run_once(&mut guest, &mut place, &mut user, &mut registers);
        tell_foreign(&guest);
        goes_back = matches!(ended, Ok(Ended::GoesBack));
        match ended {
            Ok(Ended::Itself(Shutdown::PowerOff)) => return Ok(()),
            Ok(Ended::Itself(Shutdown::Reboot) | Ended::GoesBack) => place.clear(),
            Ok(Ended::Itself(how)) => return give_up(save.as_ref(), Unfit::Ended(how)),
            Err(why) => return give_up(save.as_ref(), why),
        }
    }
}

/// How a guest's run has ended.
enum Ended {
    /// By the guest's own wish.
    Itself(Shutdown),
    /// Its user wants it back where it was saved.
    GoesBack,
}

/// The guest cannot go on. If it was saved that is a fault, so that it can go on from there where the manifest has the domain
/// restarted.
fn give_up(save: Option<&Save>, why: Unfit) -> Result<(), Unfit> {
    match save {
        Some(save) if save.is_whole() => panic!("{why}"),
        _ => Err(why),
    }
}

/// Why there is no guest, or no more.
pub enum Unfit {
    /// The manifest did not give this.
    Missing(&'static str),
    /// The kernel cannot be started.
    Kernel(BootError),
    /// There is no room for its first page tables.
    NoRoom,
    /// The guest's registers are such that nothing can run.
    Registers(CallError),
    /// It has ended itself, and not because it was done.
    Ended(Shutdown),
    /// It could not go on.
    Dead(Death),
    /// What was saved is of no use.
    Lost(Lost),
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(what) => write!(f, "the plan gives this domain no {what}"),
            Self::Kernel(error) => error.fmt(f),
            Self::NoRoom => f.write_str("the guest's table pages do not suffice for a first space"),
            Self::Registers(error) => write!(f, "the guest cannot be entered: {error}"),
            Self::Ended(how) => write!(f, "the guest has ended: {how}"),
            Self::Dead(why) => write!(f, "the guest cannot go on: {why}"),
            Self::Lost(why) => write!(f, "the guest cannot go on from where it was saved: {why}"),
        }
    }
}

/// Puts the kernel into the guest's memory. Returns its first registers.
fn begin(guest: &mut Guest, place: &mut Place<impl Watch>) -> Result<GuestRegisters, Unfit> {
    let mut scratch = Box::new([0; SCRATCH_BYTES]);
    let kernel = settings::kernel().ok_or(Unfit::Missing("kernel"))?;
    let initramfs = settings::initramfs().unwrap_or_default();
    let start =
        boot::build(place, kernel, initramfs, settings::cmdline(), &mut scratch).map_err(Unfit::Kernel)?;
    let mib = (u64::from(place.pages()) * PAGE_BYTES) >> 20;
    log!(
        "{mib} MiB of memory, kernel of {} KiB, initramfs of {} KiB",
        kernel.len() >> 10,
        initramfs.len() >> 10
    );
    guest.start(place, &start).map_err(|NoRoom| Unfit::NoRoom)
}

/// Puts the guest there that was saved. Returns the registers with which it goes on.
fn go_back(save: &Save, guest: &mut Guest, place: &mut Place<impl Watch>) -> Result<GuestRegisters, Unfit> {
    let (registers, ticks) = save.read(guest, place).map_err(Unfit::Lost)?;
    log!("the guest goes on from where it was saved {} ms ago", milliseconds(place, ticks));
    Ok(registers)
}

/// Who has a say while the guest runs.
struct User<'a> {
    keyboard: &'a mut Keyboard,
    save: Option<&'a Save>,
}

/// Runs the guest until it ends itself, or its user wants it back.
fn run_once(
    guest: &mut Guest,
    place: &mut Place<impl Watch>,
    User { keyboard, save }: &mut User<'_>,
    registers: &mut GuestRegisters,
) -> Result<Ended, Unfit> {
    let (mut exit, mut is_to_be_saved) = (Exit::Pause, false);
    let shutdown = info::get().shutdown_event();
    let events = keyboard.events() | place.events() | shutdown;
    loop {
        if exit == Exit::Pause || keyboard.has_bytes() {
            while let Some(order) = keyboard.deliver(|bytes| guest.input(place, bytes)) {
                match order {
                    Order::Pause => stand_still(guest, place, keyboard),
                    Order::Save => is_to_be_saved = true,
                    Order::GoBack if save.is_some_and(Save::is_whole) => return Ok(Ended::GoesBack),
                    Order::GoBack => log!("the guest was not saved"),
                    other => answer(other, guest, place),
                }
            }
        }
        place.look(guest);
        let next = guest.step(place, exit, registers);
        if is_to_be_saved && matches!(next, Next::Go { .. } | Next::Wait { .. }) {
            is_to_be_saved = false;
            put_by(*save, guest, place, registers);
        }
        let (reason, came) = match next {
            Next::Go { deadline } => {
                let deadline = earlier(deadline, place.deadline());
                // What has come meanwhile has its turn at the next exit.
                let deadline = if place.settle() { Instant::PAST } else { deadline };
                let exit = place.enter(registers, (guest.place(), guest.switches()), events, deadline);
                match exit.map_err(Unfit::Registers)? {
                    guest::Exit::Call => (Exit::Call, 0),
                    guest::Exit::Trap { vector, code, address } => (Exit::Trap { vector, code, address }, 0),
                    guest::Exit::Events(came) => (Exit::Pause, came),
                    guest::Exit::Deadline => (Exit::Pause, 0),
                }
            }
            Next::Wait { until } => {
                let until = earlier(until, place.deadline());
                (Exit::Pause, if place.settle() { 0 } else { sys::wait(events, until) })
            }
            Next::End(how) => return Ok(Ended::Itself(how)),
            Next::Dead(why) => {
                count(guest, place);
                return Err(Unfit::Dead(why));
            }
        };
        exit = reason;
        if came & shutdown != 0 {
            log!("the guest is asked to switch itself off");
            guest.ask_to_end(place).map_err(Unfit::Dead)?;
        }
    }
}

/// Does what the user wants to know.
fn answer(order: Order, guest: &mut Guest, place: &mut Place<impl Watch>) {
    match order {
        Order::Count => count(guest, place),
        Order::Pause | Order::Save | Order::GoBack | Order::Explain => log!("{ORDERS}"),
    }
}

/// Says what the guest did so far.
fn count(guest: &mut Guest, place: &mut Place<impl Watch>) {
    guest.count_stub(place);
    guest.log().report(|line| log!("{line}"));
    log!("page tables: {}", guest.paging().counters());
}

/// Says how often a guest has tried to see what is not its own.
fn tell_foreign(guest: &Guest) {
    let foreign = guest.paging().counters().foreign;
    if foreign > 0 {
        log!("{foreign} entries of the guest's page tables named memory that is not its own: none was shown");
    }
}

/// Lets the guest stand still until its user wants it to go on. What else is typed meanwhile is lost.
fn stand_still(guest: &mut Guest, place: &mut Place<impl Watch>, keyboard: &mut Keyboard) {
    log!("the guest stands still");
    let since = Instant::now();
    while keyboard.is_there() {
        match keyboard.deliver(<[u8]>::len) {
            Some(Order::Pause) => break,
            Some(other) => answer(other, guest, place),
            None => {
                sys::wait(keyboard.events(), Instant::NEVER);
            }
        }
    }
    let ticks = Instant::now().0 - since.0;
    guest.stood_still(place, ticks);
    log!("the guest goes on, {} ms later", milliseconds(place, ticks));
}

/// Saves the guest, which stands still meanwhile.
fn put_by(save: Option<&Save>, guest: &mut Guest, place: &mut Place<impl Watch>, registers: &GuestRegisters) {
    let since = Instant::now();
    match save.ok_or(Lost::NoMemory).and_then(|save| save.write(guest, place, registers)) {
        Ok(()) => log!("the guest is saved"),
        Err(why) => log!("the guest is not saved: {why}"),
    }
    guest.stood_still(place, Instant::now().0 - since.0);
}

fn milliseconds(place: &Place<impl Watch>, ticks: u64) -> u64 {
    ticks / (place.frequency() / 1000).max(1)
}

/// The earlier of when the guest wants to come out, and when its devices have to be looked at.
fn earlier(guest: Option<u64>, devices: Option<Instant>) -> Instant {
    let guest = guest.map_or(Instant::NEVER, Instant);
    devices.map_or(guest, |devices| devices.min(guest))
}
