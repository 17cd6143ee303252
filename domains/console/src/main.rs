//! Console: owns the serial port.
//!
//! It answers one client's message at a time. When more waits for the port than it wants to keep, it answers
//! later: a client that writes a lot waits for the port, and the others for no longer than one message of
//! each client takes.

#![no_std]
#![no_main]

extern crate alloc;

use core::time::Duration;

use cloison_drivers::uart::{Uart, UartError};
use cloison_ipc::log;
use cloison_rt::{
    sys::{
        self, Badge, Instant, LogRead, Message, Received, Slot, info,
        memory::Ports,
        peer::{PEER_FAILED, gone_clients},
    },
    time,
};
use console::{Clients, Director, Keyboard, Lines, Order, Screen};
use console_api::screen;
use embedded_io::Write as _;

cloison_rt::entry!(main);

/// After how long without an interrupt the console sends by polling, while bytes wait.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long a line that is edited may stay as it is shown. Most lines have their end by then and are shown once.
const DRAW_AFTER: Duration = Duration::from_millis(50);

fn main() -> Result<(), Unfit> {
    let mut console = Console::open()?;
    console.read_kernel_log();
    let mut answer = Message::default();
    loop {
        console.send();
        let received = sys::reply_wait(answer, console.events(), console.patience().min(console.draw_at));
        answer = Message::default();
        match received {
            Received::Message { badge, message } => answer = console.take(badge, message),
            Received::Events(events) => console.handle(events),
            Received::TimedOut if Instant::now() >= console.draw_at => {}
            Received::TimedOut => console.bring_out(),
        }
        console.wait_for_room();
        console.watch_line();
    }
}

/// Why the console cannot run.
enum Unfit {
    /// The manifest gave no device of this name, or not all of it.
    NoDevice(&'static str),
    Uart(UartError),
}

impl core::fmt::Display for Unfit {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::NoDevice(what) => write!(out, "the plan gives the console no {what}"),
            Self::Uart(error) => error.fmt(out),
        }
    }
}

/// The serial port, and everything that comes together there.
struct Console {
    uart: Uart<Ports>,
    interrupt: Slot,
    interrupt_event: u64,
    /// The kernel's log: right, event, and the line that it is in the middle of.
    kernel: Option<(Slot, u64)>,
    kernel_lines: Lines,
    clients: Clients,
    keyboard: Keyboard,
    screen: Screen,
    /// When the line that the domain in focus is in the middle of will be drawn.
    draw_at: Instant,
}

impl Console {
    fn open() -> Result<Self, Unfit> {
        let page = info::get();
        let ports = page.find("serial").ok_or(Unfit::NoDevice("ports of a serial device"))?;
        let interrupt: &info::Interrupt =
            page.find("serial").ok_or(Unfit::NoDevice("interrupt of a serial device"))?;
        let clients = Clients::new(page.clients());
        Ok(Self {
            uart: Uart::start(Ports::of(ports)).map_err(Unfit::Uart)?,
            interrupt: info::slot(interrupt).ok_or(Unfit::NoDevice("slot for its interrupt"))?,
            interrupt_event: info::event_mask(interrupt),
            kernel: page.find::<info::Right>("log-right").and_then(log_right),
            kernel_lines: Lines::new(None),
            screen: if clients.has_director() { Screen::keeping() } else { Screen::default() },
            clients,
            keyboard: Keyboard::default(),
            draw_at: Instant::NEVER,
        })
    }

    /// The events that this domain waits for.
    fn events(&self) -> u64 {
        PEER_FAILED | self.interrupt_event | self.kernel.map_or(0, |(_, event)| event)
    }

    /// A client's message. Text that is nonsense is dropped: there is nobody to tell but the client, who knows.
    fn take(&mut self, badge: Badge, message: Message) -> Message {
        if self.clients.directs(badge) {
            let mut director = Director { clients: &mut self.clients, screen: &mut self.screen };
            return screen::answer(&mut director, badge, message);
        }
        if let (Some(lines), Ok((text, length))) = (self.clients.lines(badge), log::decode(message)) {
            lines.push(&text[..length], &mut self.screen);
        }
        Message::default()
    }

    fn handle(&mut self, events: u64) {
        if events & self.interrupt_event != 0 {
            self.serve_port();
        }
        if self.kernel.is_some_and(|(_, event)| events & event != 0) {
            self.read_kernel_log();
        }
        if events & PEER_FAILED != 0 {
            gone_clients().for_each(|badge| self.clients.forget(badge, &mut self.screen));
        }
    }

    /// Holds up the client whose message has just been taken until the port has caught up.
    fn wait_for_room(&mut self) {
        while self.screen.is_full() {
            self.send();
            match sys::wait(self.interrupt_event, self.patience()) {
                0 => self.bring_out(),
                events => self.handle(events),
            }
        }
    }

    /// How long to wait for an interrupt: while bytes wait for the port, not for ever.
    fn patience(&self) -> Instant {
        if self.screen.pending().is_empty() { Instant::NEVER } else { time::after(PATIENCE) }
    }

    /// Draws the line of the domain in focus if it is time, or says when it will be.
    fn watch_line(&mut self) {
        let is_time = Instant::now() >= self.draw_at;
        self.draw_at = match self.clients.undrawn(&self.screen) {
            Some(lines) if is_time => {
                lines.draw(&mut self.screen);
                Instant::NEVER
            }
            Some(_) => self.draw_at.min(time::after(DRAW_AFTER)),
            None => Instant::NEVER,
        };
    }

    /// Gives the port what it takes now.
    fn send(&mut self) {
        let count = self.uart.send(self.screen.pending());
        self.screen.sent(count);
    }

    fn serve_port(&mut self) {
        let (keyboard, clients, screen) = (&mut self.keyboard, &mut self.clients, &mut self.screen);
        self.uart.service(|byte| obey(keyboard.press(byte), clients, screen));
        // The slot holds an interrupt, or the console would not have started.
        let _ = sys::interrupt_acknowledge(self.interrupt);
        self.send();
    }

    /// Takes over what the kernel has to say. It is read to its end, waiting for the port where it has to.
    fn read_kernel_log(&mut self) {
        let Some((right, _)) = self.kernel else { return };
        loop {
            match sys::log_read(right) {
                Ok(LogRead::Bytes(text, length)) => {
                    self.kernel_lines.push(&text[..length.min(text.len())], &mut self.screen);
                    if self.screen.is_full() {
                        self.bring_out();
                    }
                }
                Ok(LogRead::Ending) => self.finish(),
                Ok(LogRead::Empty) | Err(_) => return,
            }
        }
    }

    /// Brings out what everybody has said so far, line or not: the system ends. One at a time, because all of
    /// it together may be more than the screen has room for.
    fn finish(&mut self) {
        for lines in self.clients.all_lines().chain([&mut self.kernel_lines]) {
            lines.finish(&mut self.screen);
            bring_out(&mut self.uart, &mut self.screen);
        }
    }

    fn bring_out(&mut self) {
        bring_out(&mut self.uart, &mut self.screen);
    }
}

/// Sends everything that waits, by polling. A port that is stuck loses it, which beats a system that hangs.
fn bring_out(uart: &mut Uart<Ports>, screen: &mut Screen) {
    while !screen.pending().is_empty() {
        let count = uart.write(screen.pending()).unwrap_or(usize::MAX);
        screen.sent(count);
    }
    let _ = uart.flush();
}

/// Carries out what a typed byte asks for.
fn obey(order: Order, clients: &mut Clients, screen: &mut Screen) {
    match order {
        Order::Deliver(byte) => clients.type_byte(byte, screen),
        Order::Focus(index) => clients.focus(index, screen),
        Order::List => clients.list(screen),
        Order::Explain => {
            screen.say(format_args!(
                "Ctrl-] and a digit: give the focus away; Ctrl-] ?: list; Ctrl-] Ctrl-]: type Ctrl-]"
            ));
        }
        Order::Wait => {}
    }
}

/// Slot and event of the right to read the kernel's log.
fn log_right(right: &info::Right) -> Option<(Slot, u64)> {
    info::slot(right).map(|slot| (slot, info::event_mask(right)))
}
