//! A shell on the console: who is there, who can reach whom, what was said, and BMI's commands.
//!
//! This file connects the editor and the commands to the console and to BMI. The library decides.

#![no_std]
#![no_main]

extern crate alloc;

use alloc::{string::String, vec::Vec};
use core::{fmt, time::Duration};

use bmi_api::{Status, carry_out, manage, text};
use cloison_abi::{
    Name,
    directory::{self, DirectoryEntry},
};
use cloison_ipc::{
    Failure,
    ring::{Consumer, Doorbell, RingError, SharedRing},
};
use cloison_rt::{
    log,
    sys::{Slot, info, settings},
    time::sleep,
};
use console_api::{ScreenError, screen};
use embedded_io::{Read, ReadExactError};
use run::{Around, Editor, HELP, Known, Line, Typed, complete};

const PROMPT: &str = "> ";

cloison_rt::entry!(main);

fn main() -> Result<(), Unfit> {
    let entry = info::get().find::<info::Use>("terminal").ok_or(Unfit::NoTerminal)?;
    let ring = SharedRing::of(entry).ok_or(Unfit::NoTerminal)?;
    let mut keyboard = Consumer::new(ring, Doorbell::of(entry));
    let mut shell = Shell::new();
    let mut editor = Editor::new(PROMPT);
    log!("h lists the commands");
    editor.draw(&mut shell);
    loop {
        let mut byte = [0];
        keyboard.read_exact(&mut byte).map_err(|error| match error {
            ReadExactError::UnexpectedEof => Unfit::NoTerminal,
            ReadExactError::Other(error) => Unfit::Terminal(error),
        })?;
        match editor.press(byte[0], &mut shell) {
            Typed::More => continue,
            Typed::Line(line) if shell.obey(&line) => {}
            Typed::GivenUp => {}
            Typed::Line(_) | Typed::Closed => return Ok(()),
        }
        editor.draw(&mut shell);
    }
}

/// Why nobody can type.
enum Unfit {
    NoTerminal,
    Terminal(RingError),
}

impl fmt::Display for Unfit {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoTerminal => out.write_str("this domain was given no terminal"),
            Self::Terminal(error) => error.fmt(out),
        }
    }
}

/// What the shell knows, and whom it asks.
struct Shell {
    entries: &'static [DirectoryEntry],
    texts: &'static str,
    bmi: Option<manage::Client<Slot>>,
    screen: Option<screen::Client<Slot>>,
}

impl Around for Shell {
    fn show(&mut self, bytes: &[u8]) {
        log::text(bytes);
    }

    fn complete(&mut self, text: &str) -> Vec<String> {
        let domains: Vec<Name> = self.entries.iter().map(|entry| entry.name).collect();
        let groups = self.bmi.as_ref().map(|bmi| bmi_api::groups(bmi, rest)).and_then(Result::ok);
        let groups = groups.unwrap_or_default();
        complete(text, Known { domains: &domains, groups: &groups })
    }
}

impl bmi_api::Around for Shell {
    fn line(&mut self, text: fmt::Arguments<'_>) {
        log!("{text}");
    }

    fn rest(&mut self, milliseconds: u32) {
        rest(milliseconds);
    }
}

fn rest(milliseconds: u32) {
    sleep(Duration::from_millis(milliseconds.into()));
}

impl Shell {
    fn new() -> Self {
        let (entries, texts) = directory::read(settings::directory()).unwrap_or_default();
        let (bmi, screen) = (manage::Client::find("bmi").ok(), screen::Client::find("screen").ok());
        Self { entries, texts, bmi, screen }
    }

    /// Does what a line asks for. Whether the shell goes on.
    fn obey(&mut self, line: &str) -> bool {
        match Line::parse(line) {
            Ok(Line::Empty) => {}
            Ok(Line::Help) => HELP.lines().for_each(|line| log!("{line}")),
            Ok(Line::Domains) if self.bmi.is_some() => self.bmic("--list"),
            Ok(Line::Domains) => self.list(),
            Ok(Line::Load(name)) => self.bmic(&text(format_args!("--start {name}"))),
            Ok(Line::Caps(name)) => self.caps(name),
            Ok(Line::Log(name)) => self.log(name),
            Ok(Line::Switch(which)) => self.switch(which),
            Ok(Line::Bmic(line)) => self.bmic(line),
            Ok(Line::Exit) => return false,
            Err(wrong) => log!("{}", wrong.0),
        }
        true
    }

    fn bmic(&mut self, line: &str) {
        let Some(client) = self.bmi.take() else { return log!("the manifest gives this domain no BMI") };
        let status = carry_out(line, &client, self);
        self.bmi = Some(client);
        if status != Status::Done {
            log!("bmic: exit status {}", status as u32);
        }
    }

    /// The domains as the manifest has them, where nobody can say how they are.
    fn list(&self) {
        log!("{:<16}  {:<16}  priority", "domain", "component");
        for entry in self.entries {
            log!("{:<16}  {:<16}  {:>8}", entry.name, entry.component, entry.priority);
        }
    }

    fn caps(&self, name: Name) {
        match self.entries.iter().find(|entry| entry.name == name) {
            Some(entry) => entry.reach(self.texts).lines().for_each(|line| log!("{line}")),
            None => self.unknown(name),
        }
    }

    fn unknown(&self, name: Name) {
        let meant = bmi_api::closest(name.as_str(), self.entries.iter().map(|entry| entry.name.as_str()));
        let meant = meant.map_or("ps names them".into(), bmi_api::did_you_mean);
        log!("there is no domain `{name}`; {meant}");
    }

    /// The console shows it; nothing of it comes here.
    fn log(&self, name: Name) {
        let is_known = name == Name::EMPTY || self.entries.iter().any(|entry| entry.name == name);
        if !is_known && !["kernel", "builder"].contains(&name.as_str()) {
            return self.unknown(name);
        }
        match self.screen.as_ref().map(|screen| screen.show(name)) {
            None => no_screen(),
            Some(Ok(shown)) if shown.lines == 0 => log!("{name} has said nothing that is kept"),
            Some(Ok(_)) => {}
            Some(Err(error)) => log!("{error}"),
        }
    }

    fn switch(&self, which: Option<&str>) {
        let Some(screen) = &self.screen else { return no_screen() };
        let terminals = (1..=u8::MAX).map_while(|number| Some((number, screen.terminal(number).ok()?)));
        let Some(which) = which else {
            for (number, terminal) in terminals {
                let focus = if terminal.has_focus { ", has the focus" } else { "" };
                log!("{number}: {}{focus}", terminal.domain);
            }
            return;
        };
        let named = || terminals.clone().find(|(_, terminal)| terminal.domain.as_str() == which);
        let number = which.parse().ok().or_else(|| named().map(|(number, _)| number));
        let done = number.map(|number| screen.focus(number).map(drop));
        match done {
            // The console says who has the focus.
            Some(Ok(())) => {}
            None => log!("no terminal is called `{which}`; switch lists them"),
            Some(Err(error)) => log!("{error}; switch lists them"),
        }
    }
}

fn no_screen() {
    let missing: ScreenError = Failure::NotGiven("screen");
    log!("{missing}");
}
