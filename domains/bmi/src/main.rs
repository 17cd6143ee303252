//! BMI, the basic management interface: has the builder start, watch and end domains for those whom the manifest lets ask
//! for it.
//!
//! This file passes on what is allowed, and says what has come of it. The library decides.

#![no_std]
#![no_main]

extern crate alloc;

use alloc::{string::String, vec::Vec};
use core::{fmt::Display, time::Duration};

use bmi::{Judge, Need, NoTable, NotStarted, Recorder, image_of};
use bmi_api::{
    DIGEST_BYTES, Digest, ManageError, State, domains,
    manage::{
        self, About, Asked, Belongs, Contents, Crash, Grouped, Guested, Held, Hindered, ImageSet, Killed,
        Listed, Measured, Memory, Offered, Owned, Refusal, Restored, Resumed, Returns, Runs, Saved, Server,
        Started,
    },
    text,
};
use cloison_abi::{Name, management::Operation};
use cloison_ipc::{Failure, GateLink};
use cloison_rt::{
    log,
    sys::{Badge, Instant, Message, Received, Slot, info, reply_wait, settings},
    time::sleep,
};

cloison_rt::entry!(main);

fn main() -> Result<(), Unfit> {
    let builder = manage::Client::find(builder_api::GATE).map_err(Unfit::Builder)?;
    let names: Vec<_> =
        domains(&builder, rest).map_err(Unfit::Builder)?.iter().map(|listed| listed.name).collect();
    let judge = Judge::new(settings::management(), names).map_err(Unfit::Table)?;
    let recorder = GateLink::find(RECORD).map(|link| Recorder::new(link, rest));
    Bmi { builder, judge, recorder }.serve()
}

fn rest(milliseconds: u32) {
    sleep(Duration::from_millis(milliseconds.into()));
}

/// The gate by which what is started is measured, if there is one.
const RECORD: &str = "record";

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
    recorder: Option<Recorder<GateLink>>,
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

/// What a domain is to be started with.
struct Chosen {
    /// The image, if it has several, or a guest's.
    image: Option<Name>,
    need: Need,
}

/// The memory of the budget that a domain would have that has none.
fn startable(builder: &manage::Client<Slot>, domain: Name) -> Result<u32, ManageError> {
    let about = builder.info(domain)?;
    match about.state {
        State::Defined | State::Saved => Ok(about.kib),
        _ => Err(Failure::Refused(Refusal::IsStarted)),
    }
}

/// Says what the report's BMI says: which component it takes, and that it starts it.
fn introduce(domain: Name, image: Option<Name>) {
    let image = image.unwrap_or(domain);
    log!("bmi_setImage_component(): (bmi)#####data:({image}$)");
    log!("startPD_intern(): (bmi) INIT DATANEW({domain})");
}

/// A domain that was started, for a person.
fn running(kib: u32, digest: [u8; DIGEST_BYTES]) -> String {
    text(format_args!("running ({kib} KiB, program {})", Digest(digest)))
}

impl Bmi {
    /// Serves clients for ever, and has measured what begins another life.
    fn serve(mut self) -> ! {
        let news = info::get().find::<info::Use>(builder_api::GATE).map_or(0, info::event_mask);
        let mut reply = Message::default();
        loop {
            match reply_wait(core::mem::take(&mut reply), news, Instant::NEVER) {
                Received::Message { badge, message } => reply = manage::answer(&mut self, badge, message),
                Received::Events(_) | Received::TimedOut => self.note_lives(),
            }
        }
    }

    /// What is not measured now is when the next domain is started, or that is not.
    fn note_lives(&mut self) {
        if let Some(Err(why)) = self.recorder.as_mut().map(|recorder| recorder.note_lives(&self.builder)) {
            log!("a life that has begun is not measured yet: {why}");
        }
    }

    /// Has something done to a domain if that is allowed. Whatever comes of it, a person can read it.
    fn change<R>(
        &mut self,
        (client, operation, domain): (Badge, Operation, Name),
        done: impl FnOnce(&R) -> String,
        act: impl FnOnce(&manage::Client<Slot>) -> Result<R, ManageError>,
    ) -> Result<R, Refusal> {
        let allowed = self.judge.may_to(client, operation, domain);
        let outcome = allowed.and_then(|()| passed_on(act(&self.builder)));
        let (who, what) = (name_of(client), operation.name());
        match &outcome {
            Ok(reply) => log!("{who}: {what} {domain}: {}", done(reply)),
            Err(refusal) => log!("{who}: {what} {domain}: refused: {refusal}"),
        }
        outcome
    }

    /// Has a domain begin a life, and measured before, where the manifest wants that.
    fn begin<R>(
        &mut self,
        (client, operation, domain): (Badge, Operation, Name),
        running: impl FnOnce(&R) -> String,
        choose: impl FnOnce(&manage::Client<Slot>) -> Result<Chosen, ManageError>,
        start: impl Fn(&manage::Client<Slot>) -> Result<R, ManageError>,
    ) -> Result<R, Refusal> {
        let mut recorder = self.recorder.take();
        let started = self.change((client, operation, domain), running, |builder| {
            let Chosen { image, need } = choose(builder)?;
            need.fits(&builder.budget()?).map_err(Failure::Refused)?;
            if operation == Operation::Start {
                introduce(domain, image);
            }
            let Some(recorder) = &mut recorder else { return start(builder) };
            recorder.start(builder, (domain, image), start).map_err(|error| match error {
                NotStarted::Builder(error) => error,
                NotStarted::NotMeasured(why) => {
                    log!("{domain} is not measured: {why}");
                    Failure::Refused(Refusal::NotMeasured)
                }
            })
        });
        self.recorder = recorder;
        started
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

    fn measure(&mut self, client: Badge, domain: Name) -> Result<Measured, Refusal> {
        self.ask((client, Operation::Info, domain), |builder| builder.measure(domain))
    }

    fn fault(&mut self, client: Badge, domain: Name) -> Result<Crash, Refusal> {
        self.ask((client, Operation::Info, domain), |builder| builder.fault(domain))
    }

    fn registers(&mut self, client: Badge, domain: Name, first: u8) -> Result<Contents, Refusal> {
        self.ask((client, Operation::Info, domain), |builder| builder.registers(domain, first))
    }

    fn callers(&mut self, client: Badge, domain: Name, first: u8) -> Result<Returns, Refusal> {
        self.ask((client, Operation::Info, domain), |builder| builder.callers(domain, first))
    }

    fn parts(&mut self, client: Badge, place: u8) -> Result<Owned, Refusal> {
        self.judge.may(client, Operation::List)?;
        passed_on(self.builder.parts(place))
    }

    fn budget(&mut self, client: Badge) -> Result<Memory, Refusal> {
        self.judge.may(client, Operation::Budget)?;
        passed_on(self.builder.budget())
    }

    fn set_image(&mut self, client: Badge, domain: Name, image: Name) -> Result<ImageSet, Refusal> {
        self.change(
            (client, Operation::SetImage, domain),
            |_| "done".into(),
            |builder| {
                log!("bmi_setImage_component(): (bmi)#####data:({image}$)");
                builder.set_image(domain, image)
            },
        )
    }

    fn start(&mut self, client: Badge, domain: Name) -> Result<Started, Refusal> {
        let running = |started: &Started| running(started.kib, started.digest);
        let choose = |builder: &manage::Client<Slot>| {
            let (image, kib) = (image_of(builder, domain)?, startable(builder, domain)?);
            let offered = builder.image(domain, 0).ok();
            Ok(Chosen { image, need: Need::of_all(kib, offered) })
        };
        let begins = (client, Operation::Start, domain);
        self.begin(begins, running, choose, |builder| builder.start(domain))
    }

    fn image(&mut self, client: Badge, domain: Name, place: u8) -> Result<Offered, Refusal> {
        self.judge.may(client, Operation::List)?;
        passed_on(self.builder.image(domain, place))
    }

    fn start_guest(&mut self, client: Badge, domain: Name, image: u8, mib: u32) -> Result<Guested, Refusal> {
        let running = |started: &Guested| running(started.kib, started.digest);
        let choose = |builder: &manage::Client<Slot>| {
            let (kib, offered) = (startable(builder, domain)?, builder.image(domain, image)?);
            let need = Need::of_guest(kib, offered, mib).map_err(Failure::Refused)?;
            Ok(Chosen { image: Some(offered.image), need })
        };
        let begins = (client, Operation::Start, domain);
        self.begin(begins, running, choose, |builder| builder.start_guest(domain, image, mib))
    }

    fn shutdown(&mut self, client: Badge, domain: Name) -> Result<Asked, Refusal> {
        self.change(
            (client, Operation::Shutdown, domain),
            |_| "asked".into(),
            |builder| builder.shutdown(domain),
        )
    }

    fn kill(&mut self, client: Badge, domain: Name) -> Result<Killed, Refusal> {
        // It is known now with which image a life has begun that is not measured yet.
        self.note_lives();
        self.change((client, Operation::Kill, domain), |_| "ended".into(), |builder| builder.kill(domain))
    }

    fn pause(&mut self, client: Badge, domain: Name) -> Result<Held, Refusal> {
        self.change((client, Operation::Pause, domain), |_| "paused".into(), |builder| builder.pause(domain))
    }

    fn resume(&mut self, client: Badge, domain: Name) -> Result<Resumed, Refusal> {
        self.change(
            (client, Operation::Resume, domain),
            |_| "goes on".into(),
            |builder| builder.resume(domain),
        )
    }

    fn save(&mut self, client: Badge, domain: Name) -> Result<Saved, Refusal> {
        // As before a kill.
        self.note_lives();
        self.change(
            (client, Operation::Save, domain),
            |saved: &Saved| text(format_args!("saved ({} KiB)", saved.kib)),
            |builder| builder.save(domain),
        )
    }

    fn restore(&mut self, client: Badge, domain: Name) -> Result<Restored, Refusal> {
        let running = |restored: &Restored| running(restored.kib, restored.digest);
        let choose = |builder: &manage::Client<Slot>| {
            let About { state, kib, .. } = builder.info(domain)?;
            // Who is not saved needs nothing: the builder refuses it.
            let kib = if state == State::Saved { kib } else { 0 };
            // One that was saved with another image is refused, too.
            Ok(Chosen { image: image_of(builder, domain)?, need: Need::of_all(kib, None) })
        };
        let begins = (client, Operation::Restore, domain);
        self.begin(begins, running, choose, |builder| builder.restore(domain))
    }

    fn hindrance(&mut self, client: Badge, domain: Name) -> Result<Hindered, Refusal> {
        self.ask((client, Operation::Save, domain), |builder| builder.hindrance(domain))
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
