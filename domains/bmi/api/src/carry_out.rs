//! Does what a line of `bmic` asks for, and tells a person how it went.

mod linux;
mod list;
mod show;

pub use list::{domains, groups};
pub use show::Digest;

use alloc::{string::String, vec::Vec};
use core::fmt::{self, Display};

use cloison_abi::Name;
use cloison_ipc::{Failure, Transport};

use crate::{
    Command, MANUAL, ManageError, State, closest,
    command::did_you_mean,
    manage::{Client, Hindered, Listed, Refusal, Saved},
    text,
};

/// How it went, as an exit status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[must_use]
pub enum Status {
    /// It is done.
    Done = 0,
    /// It was refused, or has failed.
    Failed = 1,
    /// The line is wrong, or names nobody.
    Usage = 2,
}

/// What the command needs of what is around it.
pub trait Around {
    /// Shows a line.
    fn line(&mut self, text: fmt::Arguments<'_>);

    /// Lets some time pass.
    fn rest(&mut self, milliseconds: u32);

    /// For how many seconds a command may wait at most.
    fn longest_wait(&self) -> u16 {
        u16::MAX
    }
}

/// How often a second `--shutdown` looks whether the domain has ended.
const LOOKS_PER_SECOND: u32 = 10;

/// Carries a line out, which is what stands behind the word `bmic`.
pub fn carry_out<T: Transport>(line: &str, bmi: &Client<T>, around: &mut impl Around) -> Status {
    let command = match Command::parse(line) {
        Ok(command) => command,
        Err(error) => {
            around.line(format_args!("bmic: {error}"));
            return Status::Usage;
        }
    };
    match (Session { bmi, around }).carry_out(command) {
        Ok(()) => Status::Done,
        Err(status) => status,
    }
}

struct Session<'a, T: Transport, A> {
    bmi: &'a Client<T>,
    around: &'a mut A,
}

type Outcome = Result<(), Status>;

impl<T: Transport, A: Around> Session<'_, T, A> {
    fn carry_out(&mut self, command: Command) -> Outcome {
        match command {
            Command::Help => MANUAL.lines().for_each(|line| self.say(line)),
            Command::Version => self.say(concat!("bmic ", env!("CARGO_PKG_VERSION"))),
            Command::List { with_more } => return self.list(with_more),
            Command::Info(domain) => return self.info(domain),
            Command::Budget => return self.budget(),
            Command::Start(domain) => return self.start(domain),
            Command::StartGroup(group) => return self.start_group(group),
            Command::StartLinux { image, mib } => return self.start_linux(image, mib),
            Command::Shutdown(domain, seconds) => return self.shut_down(domain, seconds),
            Command::SetImage(domain, image) => {
                self.set_image(domain, image)?;
                self.say(format_args!("{domain}: is started with {image} from now on"));
            }
            Command::Kill(domain) => {
                let done = self.bmi.kill(domain).map(drop);
                self.judge(domain, done)?;
                self.say(format_args!("{domain}: killed, its memory is free"));
            }
            Command::Pause(domain) => {
                let done = self.bmi.pause(domain);
                let held = self.judge(domain, done)?;
                self.say(format_args!("{domain}: paused"));
                self.tell_waiting(domain, held.waiting);
            }
            Command::Resume(domain) => {
                let done = self.bmi.resume(domain).map(drop);
                self.judge(domain, done)?;
                self.say(format_args!("{domain}: goes on"));
            }
            Command::Save(domain) => {
                let saved = self.save(domain)?;
                self.say(format_args!("{domain}: saved, {} KiB; bmic --restore lets it go on", saved.kib));
            }
            Command::Restore(domain) => {
                let done = self.bmi.restore(domain).map(drop);
                self.judge(domain, done)?;
                self.say(format_args!("{domain}: goes on from where it was saved"));
            }
        }
        Ok(())
    }

    /// Who stands still with one that is held.
    fn tell_waiting(&mut self, domain: Name, waiting: u32) {
        // A client that may not list them is told how many they are.
        let all = self.domains().unwrap_or_default();
        let is_waiting = |place: &usize| waiting.checked_shr(*place as u32).is_some_and(|bits| bits & 1 == 1);
        let names = all.iter().enumerate().filter(|(place, _)| is_waiting(place));
        let names: Vec<&str> = names.map(|(_, listed)| listed.name.as_str()).collect();
        match (waiting.count_ones(), names.as_slice()) {
            (0, _) => {}
            (count, []) => {
                self.say(format_args!("  {count} that have called {domain} wait until it goes on"))
            }
            _ => self.say(format_args!("  waiting until {domain} goes on: {}", names.join(", "))),
        }
    }

    fn domains(&mut self) -> Result<Vec<Listed>, ManageError> {
        domains(self.bmi, |ms| self.around.rest(ms))
    }

    /// What there is at each place, up to the first where there is nothing.
    fn all<R>(
        &mut self,
        at: impl FnMut(u8) -> Result<R, ManageError>,
        end: Refusal,
    ) -> Result<Vec<R>, ManageError> {
        list::until(at, end, |ms| self.around.rest(ms))
    }

    fn say(&mut self, text: impl Display) {
        self.around.line(format_args!("{text}"));
    }

    fn complain(&mut self, text: impl Display) {
        self.say(format_args!("bmic: {text}"));
    }

    fn failed(&mut self, text: impl Display) -> Status {
        self.complain(text);
        Status::Failed
    }

    fn start(&mut self, domain: Name) -> Outcome {
        self.say(format_args!("(bmilib) get_data({domain}$)"));
        let done = self.bmi.start(domain);
        let started = self.judge(domain, done)?;
        let digest = show::Digest(started.digest);
        self.say(format_args!("{domain}: running, {} KiB, program {digest}", started.kib));
        Ok(())
    }

    /// Starts one after the other. Those behind one that does not start may rest on it, so they are left.
    fn start_group(&mut self, group: Name) -> Outcome {
        let bmi = self.bmi;
        let member = |place| bmi.member(group, place).map(|member| member.domain);
        match self.all(member, Refusal::UnknownGroup) {
            Ok(members) if members.is_empty() => Err(self.unknown_group(group)),
            Ok(members) => members.into_iter().try_for_each(|domain| self.start(domain)),
            Err(error) => Err(self.failed(error)),
        }
    }

    fn unknown_group(&mut self, group: Name) -> Status {
        let groups = groups(self.bmi, |ms| self.around.rest(ms)).unwrap_or_default();
        let meant = closest(group.as_str(), groups.iter().map(Name::as_str));
        let meant = meant.map_or(String::from("the manifest says which groups there are"), did_you_mean);
        self.complain(format_args!("there is no group `{group}`; {meant}"));
        Status::Usage
    }

    /// Of one that can never be saved it is told what keeps it from that.
    fn save(&mut self, domain: Name) -> Result<Saved, Status> {
        let done = self.bmi.save(domain);
        let Err(Failure::Refused(refusal @ (Refusal::HasDevice | Refusal::HasLoans | Refusal::HasShared))) =
            done
        else {
            return self.judge(domain, done);
        };
        // It is refused, whether or not the reason can be told.
        let nothing = Hindered { what: Name::EMPTY, whose: Name::EMPTY };
        let Hindered { what, whose } = self.bmi.hindrance(domain).unwrap_or(nothing);
        let named = match (what == Name::EMPTY, whose == Name::EMPTY) {
            (true, true) => String::new(),
            (true, false) => text(format_args!(": {whose} can lend it some")),
            (false, true) => text(format_args!(": {what}")),
            (false, false) => text(format_args!(": {what}, with {whose}")),
        };
        Err(self.refused(domain, format_args!("{refusal}{named}")))
    }

    fn set_image(&mut self, domain: Name, image: Name) -> Outcome {
        match self.bmi.set_image(domain, image).map(drop) {
            Err(Failure::Refused(Refusal::UnknownImage)) => Err(self.unknown_image(domain, image)),
            done => self.judge(domain, done),
        }
    }

    fn unknown_image(&mut self, domain: Name, image: Name) -> Status {
        let bmi = self.bmi;
        // To a client that may not list them none is proposed.
        let images = self.all(|place| bmi.image(domain, place), Refusal::UnknownImage);
        let images = images.map(|all| all.iter().map(|one| one.image).collect::<Vec<_>>());
        let images = images.map(|all| if all.is_empty() { Vec::from([domain]) } else { all });
        let images = images.unwrap_or_default();
        let names: Vec<&str> = images.iter().map(Name::as_str).collect();
        let meant = match closest(image.as_str(), names.iter().copied()) {
            Some(meant) => did_you_mean(meant),
            None if names.is_empty() => String::from("the manifest says which there are"),
            None => text(format_args!("it can be started with {}", names.join(", "))),
        };
        self.complain(format_args!("the manifest names no image `{image}` for {domain}; {meant}"));
        Status::Usage
    }

    /// Asks, and waits. Who has not ended by then is named, and goes on.
    fn shut_down(&mut self, domain: Name, seconds: u16) -> Outcome {
        let seconds = seconds.min(self.around.longest_wait());
        let done = self.bmi.shutdown(domain).map(drop);
        self.judge(domain, done)?;
        for look in 0..=u32::from(seconds) * LOOKS_PER_SECOND {
            if look > 0 {
                self.around.rest(1000 / LOOKS_PER_SECOND);
            }
            let about = self.bmi.info(domain);
            let about = self.judge(domain, about)?;
            if !matches!(about.state, State::Running | State::Paused) {
                self.say(format_args!("{domain}: {}", show::State(&about)));
                return Ok(());
            }
        }
        Err(self.failed(format_args!("{domain} has not ended within {seconds} s, and goes on")))
    }

    /// What has come of a request about a domain. A refusal is told, with what a person needs to know of it.
    fn judge<R>(&mut self, domain: Name, result: Result<R, ManageError>) -> Result<R, Status> {
        result.map_err(|error| match error {
            Failure::Refused(Refusal::Unknown) => self.unknown(domain),
            Failure::Refused(refusal @ (Refusal::NoMemory | Refusal::NoPiece)) => {
                let needed = self.bmi.info(domain).map_or(0, |about| about.kib);
                self.no_memory((domain, needed), refusal)
            }
            Failure::Refused(refusal) => self.refused(domain, refusal),
            error => self.failed(error),
        })
    }

    fn unknown(&mut self, domain: Name) -> Status {
        let domains = self.domains().unwrap_or_default();
        let groups = groups(self.bmi, |ms| self.around.rest(ms)).unwrap_or_default();
        let meant = closest(domain.as_str(), domains.iter().map(|listed| listed.name.as_str()));
        let meant = match meant {
            _ if groups.contains(&domain) => text(format_args!("it is a group: bmic --start {domain}.cfg")),
            Some(meant) => did_you_mean(meant),
            None => String::from("bmic --list names them"),
        };
        self.complain(format_args!("there is no domain `{domain}`; {meant}"));
        Status::Usage
    }

    fn refused(&mut self, domain: Name, refusal: impl Display) -> Status {
        let is = self
            .bmi
            .info(domain)
            .map_or(String::new(), |about| text(format_args!(" is {}", show::State(&about))));
        self.complain(format_args!("{domain}{is}: {refusal}; nothing was done"));
        Status::Failed
    }

    fn no_memory(&mut self, (domain, needed): (Name, u32), refusal: Refusal) -> Status {
        self.complain(format_args!("{domain} needs {needed} KiB: {refusal}; nothing was done"));
        // What is known of it is shown; that it cannot be known changes nothing.
        let _ = self.budget();
        Status::Failed
    }
}

#[cfg(test)]
mod tests;
