//! BMI, the basic management interface: has the builder start, watch and end domains for those whom the manifest lets ask
//! for it.
//!
//! This file passes on what is allowed, and says what has come of it. The library decides.

#![no_std]
#![no_main]

extern crate alloc;

use alloc::vec::Vec;
use core::fmt::Display;

use bmi::{Judge, NoTable};
use bmi_api::{
    DIGEST_BYTES, ManageError,
    manage::{
        self, About, Asked, Belongs, Contents, Crash, Grouped, Held, ImageSet, Killed, Listed, Memory,
        Refusal, Resumed, Runs, Server, Started,
    },
};
use cloison_abi::{Name, management::Operation};
use cloison_ipc::Failure;
use cloison_rt::{
    log,
    sys::{Badge, Slot, info, settings},
};

cloison_rt::entry!(main);

fn main() -> Result<(), Unfit> {
    let builder = manage::Client::find(builder_api::GATE).map_err(Unfit::Builder)?;
    let domains = (0..=u8::MAX).map_while(|place| Some(builder.entry(place).ok()?.name));
    let judge = Judge::new(settings::management(), domains.collect::<Vec<_>>()).map_err(Unfit::Table)?;
    manage::serve(&mut Bmi { builder, judge })
}

/// Why there is nobody to manage.
enum Unfit {
    Builder(ManageError),
    Table(NoTable),
}

impl Display for Unfit {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Builder(error) => error.fmt(out),
            Self::Table(error) => error.fmt(out),
        }
    }
}

struct Bmi {
    builder: manage::Client<Slot>,
    judge: Judge<'static>,
}

/// The name of a client, for a person.
fn name_of(client: Badge) -> &'static str {
    let page = info::get();
    let entry = page.clients().find(|entry| entry.channel.badge == client);
    entry.map_or("", |entry| entry.channel.peer.as_str())
}

/// What the builder has answered.
fn passed_on<R>(answer: Result<R, ManageError>) -> Result<R, Refusal> {
    answer.map_err(|error| match error {
        Failure::Refused(refusal) => refusal,
        _ => Refusal::NoBuilder,
    })
}

/// The start of a digest.
struct Digest([u8; DIGEST_BYTES]);

impl Display for Digest {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(out, "{byte:02x}"))?;
        out.write_str("...")
    }
}

impl Bmi {
    /// Has something done to a domain if that is allowed. Whatever comes of it, a person can read it.
    fn change<R>(
        &mut self,
        (client, operation, domain): (Badge, Operation, Name),
        done: &str,
        act: impl FnOnce(&manage::Client<Slot>) -> Result<R, ManageError>,
    ) -> Result<R, Refusal> {
        let allowed = self.judge.may_to(client, operation, domain);
        let outcome = allowed.and_then(|()| passed_on(act(&self.builder)));
        let (who, what) = (name_of(client), operation.name());
        match &outcome {
            Ok(_) => log!("{who}: {what} {domain}: {done}"),
            Err(refusal) => log!("{who}: {what} {domain}: refused: {refusal}"),
        }
        outcome
    }

    fn ask<R>(
        &self,
        (client, operation, domain): (Badge, Operation, Name),
        ask: impl FnOnce(&manage::Client<Slot>) -> Result<R, ManageError>,
    ) -> Result<R, Refusal> {
        self.judge.may_to(client, operation, domain)?;
        passed_on(ask(&self.builder))
    }
}

impl Server for Bmi {
    fn entry(&mut self, client: Badge, place: u8) -> Result<Listed, Refusal> {
        self.judge.may(client, Operation::List)?;
        passed_on(self.builder.entry(place))
    }

    fn info(&mut self, client: Badge, domain: Name) -> Result<About, Refusal> {
        self.ask((client, Operation::Info, domain), |builder| builder.info(domain))
    }

    fn program(&mut self, client: Badge, domain: Name) -> Result<Runs, Refusal> {
        self.ask((client, Operation::Info, domain), |builder| builder.program(domain))
    }

    fn fault(&mut self, client: Badge, domain: Name) -> Result<Crash, Refusal> {
        self.ask((client, Operation::Info, domain), |builder| builder.fault(domain))
    }

    fn registers(&mut self, client: Badge, domain: Name, first: u8) -> Result<Contents, Refusal> {
        self.ask((client, Operation::Info, domain), |builder| builder.registers(domain, first))
    }

    fn budget(&mut self, client: Badge) -> Result<Memory, Refusal> {
        self.judge.may(client, Operation::Budget)?;
        passed_on(self.builder.budget())
    }

    fn set_image(&mut self, client: Badge, domain: Name, image: Name) -> Result<ImageSet, Refusal> {
        let request = (client, Operation::SetImage, domain);
        self.change(request, "done", |builder| builder.set_image(domain, image)).inspect(|_| {
            log!("bmi_setImage_component(): (bmi)#####data:({image}$)");
        })
    }

    /// Says what the report's BMI says: which component it takes, and that it starts it.
    fn start(&mut self, client: Badge, domain: Name) -> Result<Started, Refusal> {
        self.judge.may_to(client, Operation::Start, domain).inspect_err(|refusal| {
            log!("{}: start {domain}: refused: {refusal}", name_of(client));
        })?;
        let image = self.builder.program(domain).map_or(domain, |runs| runs.image);
        log!("bmi_setImage_component(): (bmi)#####data:({image}$)");
        log!("startPD_intern(): (bmi) INIT DATANEW({domain})");
        let who = name_of(client);
        let started = passed_on(self.builder.start(domain)).inspect_err(|refusal| {
            log!("{who}: start {domain}: refused: {refusal}");
        })?;
        log!("{who}: start {domain}: running ({} KiB, program {})", started.kib, Digest(started.digest));
        Ok(started)
    }

    fn shutdown(&mut self, client: Badge, domain: Name) -> Result<Asked, Refusal> {
        self.change((client, Operation::Shutdown, domain), "asked", |builder| builder.shutdown(domain))
    }

    fn kill(&mut self, client: Badge, domain: Name) -> Result<Killed, Refusal> {
        self.change((client, Operation::Kill, domain), "ended", |builder| builder.kill(domain))
    }

    fn pause(&mut self, client: Badge, domain: Name) -> Result<Held, Refusal> {
        self.change((client, Operation::Pause, domain), "held", |builder| builder.pause(domain))
    }

    fn resume(&mut self, client: Badge, domain: Name) -> Result<Resumed, Refusal> {
        self.change((client, Operation::Resume, domain), "goes on", |builder| builder.resume(domain))
    }

    fn group(&mut self, client: Badge, place: u8) -> Result<Grouped, Refusal> {
        self.judge.may(client, Operation::List)?;
        Ok(Grouped { name: self.judge.group(place)? })
    }

    fn member(&mut self, client: Badge, group: Name, place: u8) -> Result<Belongs, Refusal> {
        self.judge.may(client, Operation::List)?;
        Ok(Belongs { domain: self.judge.member(group, place)? })
    }
}
