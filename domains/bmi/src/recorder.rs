//! Has what is started measured before it runs: a line for each life of a domain, in a register of the TPM.

use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};
use core::fmt::Display;

use attester_api::record;
use bmi_api::{
    ManageError, State, domains,
    manage::{self, Listed, Refusal},
};
use cloison_abi::Name;
use cloison_ipc::{Failure, Link, Transport};
use cloison_measure::{Later, What, later::WITH};

/// The way to the one who measures, and what has been measured.
#[derive(Debug)]
pub struct Recorder<L> {
    link: L,
    /// Lets some milliseconds pass.
    rest: fn(u32),
    /// For each domain, in the order of the manifest.
    measured: Option<Vec<Measured>>,
}

/// What is measured of a domain.
#[derive(Debug, Default)]
struct Measured {
    /// How many of its lives: by the boot loader, or later.
    lives: u32,
    /// What it was started with last, if the manager has started it: each life that begins by itself has that, too,
    /// whatever is chosen for it meanwhile.
    begun: Option<Begun>,
}

/// What a domain was started with.
#[derive(Clone, Debug)]
struct Begun {
    /// It, and its image, as a line has them.
    subject: String,
    digest: [u8; 32],
}

/// Why a domain is not started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotStarted {
    /// It, or what has begun before it, cannot be measured. Why not, for a person.
    NotMeasured(String),
    /// The builder does not start it.
    Builder(ManageError),
}

impl From<ManageError> for NotStarted {
    fn from(error: ManageError) -> Self {
        Self::Builder(error)
    }
}

impl<L: Link + Copy> Recorder<L> {
    /// Nothing has been measured but what was started at boot. `rest` lets some milliseconds pass.
    pub const fn new(link: L, rest: fn(u32)) -> Self {
        Self { link, rest, measured: None }
    }

    /// Has a domain measured, and started with this image, if it has several, or a guest's.
    ///
    /// # Errors
    ///
    /// [`NotStarted`].
    pub fn start<T: Transport, R>(
        &mut self,
        builder: &manage::Client<T>,
        (domain, image): (Name, Option<Name>),
        start: impl Fn(&manage::Client<T>) -> Result<R, ManageError>,
    ) -> Result<R, NotStarted> {
        let all = domains(builder, self.rest)?;
        let place = all.iter().position(|listed| listed.name == domain);
        // What the builder refuses anyway is not worth a line.
        let place = place.filter(|place| matches!(all[*place].state, State::Defined | State::Saved));
        let Some(place) = place else { return Ok(start(builder)?) };
        self.note(builder, &all).map_err(NotStarted::NotMeasured)?;
        let begun = Begun { subject: subject(domain, image), digest: builder.measure(domain)?.digest };
        let line = |what| Later { what, subject: &begun.subject, digest: begun.digest };
        self.record(line(What::Start)).map_err(NotStarted::NotMeasured)?;
        let started = start(builder);
        if started.is_ok() {
            let its = self.measured.as_mut().map(|measured| &mut measured[place]);
            its.into_iter().for_each(|its| {
                its.lives += 1;
                its.begun = Some(begun.clone());
            });
        } else {
            // If this is not measured, a start is that has not been: more than what runs, never less.
            let _ = self.record(line(What::Failed));
        }
        Ok(started?)
    }

    /// Has the lives measured that have begun by themselves: after a fault.
    ///
    /// # Errors
    ///
    /// Why one is not.
    pub fn note_lives<T: Transport>(&mut self, builder: &manage::Client<T>) -> Result<(), String> {
        let all = domains(builder, self.rest).map_err(|error| format!("{error}"))?;
        self.note(builder, &all)
    }

    fn note<T: Transport>(&mut self, builder: &manage::Client<T>, all: &[Listed]) -> Result<(), String> {
        let at_boot = |listed: &Listed| Measured { lives: u32::from(!listed.is_managed), begun: None };
        let mut measured =
            self.measured.take().unwrap_or_else(|| all.iter().map(at_boot).collect::<Vec<_>>());
        let noted = all.iter().zip(&mut measured).try_for_each(|(listed, its)| {
            while its.lives < begun(listed) {
                let begun = match &its.begun {
                    Some(begun) => begun.clone(),
                    None => asked(builder, listed.name).map_err(|error| format!("{error}"))?,
                };
                self.record(Later { what: What::Again, subject: begun.subject, digest: begun.digest })?;
                its.lives += 1;
            }
            Ok(())
        });
        self.measured = Some(measured);
        noted
    }

    fn record<S: Display>(&self, later: Later<S>) -> Result<(), String> {
        let line = format!("{later}");
        if !self.link.write(0, line.as_bytes()) {
            return Err("its line does not fit".into());
        }
        let recorded = record::Client::new(self.link).record(line.len() as u32);
        recorded.map(drop).map_err(|error| format!("{error}"))
    }
}

/// The image with which a domain has begun, or is started next: a guest's kernel, a program if there are several; none if
/// nothing is chosen for it.
///
/// # Errors
/// Those of the calls.
pub fn image_of<T: Transport>(
    builder: &manage::Client<T>,
    domain: Name,
) -> Result<Option<Name>, ManageError> {
    match builder.image(domain, 0) {
        Err(Failure::Refused(Refusal::UnknownImage)) => Ok(None),
        Err(error) => Err(error),
        Ok(_) => builder.program(domain).map(|runs| Some(runs.image)),
    }
}

/// What a domain has begun with, as the builder has it: until it ends, or is started with something else.
fn asked<T: Transport>(builder: &manage::Client<T>, domain: Name) -> Result<Begun, ManageError> {
    let digest = builder.measure(domain)?.digest;
    Ok(Begun { subject: subject(domain, image_of(builder, domain)?), digest })
}

/// What a line is about.
fn subject(domain: Name, image: Option<Name>) -> String {
    image.map_or_else(|| domain.to_string(), |image| format!("{domain}{WITH}{image}"))
}

/// How many lives a domain has begun.
fn begun(listed: &Listed) -> u32 {
    listed.lives + u32::from(matches!(listed.state, State::Running | State::Paused))
}

#[cfg(test)]
mod tests;
