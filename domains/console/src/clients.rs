//! Who writes lines, and who can be typed to.

use alloc::vec::Vec;

use cloison_abi::{Badge, Name};
use cloison_ipc::ring::{Doorbell, Producer, SharedRing};
use cloison_sys::info;
use console_api::screen::{Focused, Listed, Refusal, Server, Shown};

use crate::{Lines, Screen};

/// What the gate that gives a domain the keyboard is called in `domain.toml`.
const TERMINAL: &str = "terminal";
/// The same for a domain whose control bytes edit its line.
const TTY: &str = "tty";
/// What the gate of a domain that directs the screen is called.
const SCREEN: &str = "screen";

/// All clients, as the plan lists them.
#[derive(Debug)]
pub struct Clients {
    /// Badge of each client of the log, and the line it is in the middle of.
    writers: Vec<(Badge, Lines)>,
    terminals: Vec<Terminal>,
    /// Badges of those who direct the screen.
    directors: Vec<Badge>,
    /// Which terminal gets what is typed.
    focus: usize,
}

/// A domain that can be typed to.
#[derive(Debug)]
struct Terminal {
    entry: &'static info::Client,
    /// To the domain; `None` once it has left nonsense in the ring.
    input: Option<Producer<SharedRing, Doorbell>>,
}

impl Terminal {
    fn new(entry: &'static info::Client) -> Self {
        let input = SharedRing::of(entry).map(|ring| Producer::new(ring, Doorbell::of(entry)));
        Self { entry, input }
    }

    fn peer(&self) -> Name {
        self.entry.channel.peer
    }
}

impl Clients {
    /// Sorts the clients of the gates `log`, `terminal`, `tty` and `screen`.
    pub fn new(entries: impl Iterator<Item = &'static info::Client>) -> Self {
        let mut clients =
            Self { writers: Vec::new(), terminals: Vec::new(), directors: Vec::new(), focus: 0 };
        for entry in entries {
            match entry.name.as_str() {
                TERMINAL => clients.terminals.push(Terminal::new(entry)),
                SCREEN => clients.directors.push(entry.channel.badge),
                TTY => clients.terminals.push(Terminal::new(entry)),
                _ => clients.writers.push((entry.channel.badge, Lines::new(Some(entry.channel.peer)))),
            }
        }
        for terminal in clients.terminals.iter().filter(|terminal| terminal.entry.name.as_str() == TTY) {
            of_peer(&mut clients.writers, terminal.peer()).into_iter().for_each(Lines::edit);
        }
        clients
    }

    /// The line that the client with this badge is in the middle of.
    pub fn lines(&mut self, badge: Badge) -> Option<&mut Lines> {
        self.writers.iter_mut().find(|(known, _)| *known == badge).map(|(_, lines)| lines)
    }

    /// Whether somebody directs the screen.
    #[must_use]
    pub fn has_director(&self) -> bool {
        !self.directors.is_empty()
    }

    /// Whether the client with this badge directs the screen.
    #[must_use]
    pub fn directs(&self, badge: Badge) -> bool {
        self.directors.contains(&badge)
    }

    fn terminal(&self, number: u8) -> Result<(usize, Name), Refusal> {
        let index = usize::from(number).checked_sub(1).ok_or(Refusal::NoTerminal)?;
        self.terminals.get(index).map(|terminal| (index, terminal.peer())).ok_or(Refusal::NoTerminal)
    }

    /// The line that the domain in focus is in the middle of, if it has to be drawn because it is edited.
    pub fn undrawn(&mut self, screen: &Screen) -> Option<&mut Lines> {
        let peer = self.terminals.get(self.focus)?.peer();
        of_peer(&mut self.writers, peer).filter(|lines| lines.wants_drawing(screen))
    }

    /// A client has ended. The line that it was in the middle of is shown, and what was typed for it and that
    /// it has not read is dropped: neither is its next life's.
    pub fn forget(&mut self, badge: Badge, screen: &mut Screen) {
        if let Some(lines) = self.lines(badge) {
            lines.finish(screen);
        }
        let is_gone = |terminal: &&mut Terminal| terminal.entry.channel.badge == badge;
        if let Some(terminal) = self.terminals.iter_mut().find(is_gone) {
            *terminal = Terminal::new(terminal.entry);
            if let Some(input) = &mut terminal.input {
                input.restart();
            }
        }
    }

    /// The lines that all clients are in the middle of.
    pub fn all_lines(&mut self) -> impl Iterator<Item = &mut Lines> {
        self.writers.iter_mut().map(|(_, lines)| lines)
    }

    /// Gives a byte to the domain in focus. The terminal rings if it does not take it.
    pub fn type_byte(&mut self, byte: u8, screen: &mut Screen) {
        let Some(terminal) = self.terminals.get_mut(self.focus) else { return screen.ring() };
        let taken = terminal.input.as_mut().map(|input| input.try_write(&[byte]));
        match taken {
            Some(Ok(1)) => {}
            Some(Err(error)) => {
                screen.say(format_args!("no more input for {}: {error}", terminal.peer()));
                terminal.input = None;
            }
            _ => screen.ring(),
        }
    }

    /// Gives the focus to a terminal, counted from 0, and says so.
    pub fn focus(&mut self, index: usize, screen: &mut Screen) {
        match self.terminals.get(index) {
            Some(terminal) => {
                self.focus = index;
                screen.say(format_args!("{} has the focus", terminal.peer()));
            }
            None => screen.say(format_args!("no terminal {}; Ctrl-] ? lists them", index + 1)),
        }
    }

    /// Shows the terminals, and which of them has the focus.
    pub fn list(&self, screen: &mut Screen) {
        if self.terminals.is_empty() {
            screen.say(format_args!("no domain takes input"));
        }
        for (index, terminal) in self.terminals.iter().enumerate() {
            let focus = if index == self.focus { ", has the focus" } else { "" };
            screen.say(format_args!("{}: {}{focus}", index + 1, terminal.peer()));
        }
    }
}

/// What directs the screen, for the time of a request.
#[derive(Debug)]
pub struct Director<'a> {
    /// To whom is typed.
    pub clients: &'a mut Clients,
    /// What is shown.
    pub screen: &'a mut Screen,
}

impl Server for Director<'_> {
    fn terminal(&mut self, _client: Badge, number: u8) -> Result<Listed, Refusal> {
        let (index, domain) = self.clients.terminal(number)?;
        Ok(Listed { domain, has_focus: index == self.clients.focus })
    }

    fn focus(&mut self, _client: Badge, number: u8) -> Result<Focused, Refusal> {
        let (index, domain) = self.clients.terminal(number)?;
        self.clients.focus(index, self.screen);
        Ok(Focused { domain })
    }

    fn show(&mut self, _client: Badge, of: Name) -> Result<Shown, Refusal> {
        Ok(Shown { lines: self.screen.show_again(of) })
    }
}

/// The line of a domain that may have a terminal too: its badge is another there.
fn of_peer(writers: &mut [(Badge, Lines)], peer: Name) -> Option<&mut Lines> {
    writers.iter_mut().map(|(_, lines)| lines).find(|lines| lines.name() == Some(peer))
}
