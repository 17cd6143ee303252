//! A manager between a builder and one who measures, each made up, and what is done in which order.

use std::{
    cell::{Cell, RefCell},
    vec,
};

use attester_api::record::{Recorded, Refusal as NoRecord};
use bmi_api::manage::{
    About, Asked, Belongs, Contents, Crash, Grouped, Guested, Held, Hindered, ImageSet, Killed, Measured,
    Memory, Offered, Owned, Refusal, Restored, Resumed, Returns, Runs, Saved, Server, Started,
};
use cloison_abi::{Badge, CallError};
use cloison_ipc::{Failure, Message};

use super::*;

/// What is around the manager.
struct World {
    /// Each domain: its name, whether it is managed, its state, its lives that have ended.
    domains: RefCell<Vec<Listed>>,
    line: RefCell<Vec<u8>>,
    /// What was measured and started, in this order.
    done: RefCell<Vec<String>>,
    /// Whether what is written can be measured.
    measures: Cell<bool>,
    starts: Cell<bool>,
    /// With what the domain's guest begins, if it has one.
    kernel: Cell<Option<Name>>,
    /// Each byte of the digest of what a domain has begun with, or is started with next.
    digest: Cell<u8>,
}

fn named(text: &str) -> Name {
    Name::new(text).unwrap()
}

/// The console, started at boot, and a domain that is started on request.
fn world() -> World {
    let listed = |name, is_managed, state| Listed {
        name: named(name),
        state,
        is_managed,
        lives: 0,
        kib: 4,
        cpu_ms: 0,
    };
    World {
        domains: RefCell::new(vec![
            listed("console", false, State::Running),
            listed("ticker", true, State::Defined),
        ]),
        line: RefCell::default(),
        done: RefCell::default(),
        measures: Cell::new(true),
        starts: Cell::new(true),
        kernel: Cell::default(),
        digest: Cell::new(0xd1),
    }
}

impl World {
    fn builder(&self) -> manage::Client<Builder<'_>> {
        manage::Client::new(Builder(self))
    }

    /// A domain begins another life.
    fn falls_and_rises(&self, place: usize) {
        self.domains.borrow_mut()[place].lives += 1;
    }

    /// What was done since this was asked, without digests.
    fn done(&self) -> Vec<String> {
        let done = self.done.take();
        done.iter().map(|line| line.replace(&format!(" sha256:{}", "d1".repeat(32)), "")).collect()
    }
}

/// The builder behind its gate.
struct Builder<'a>(&'a World);

impl Transport for Builder<'_> {
    fn call(&self, message: Message) -> Result<Message, CallError> {
        Ok(manage::answer(&mut Self(self.0), Badge(0), message))
    }
}

/// The one who measures, behind its gate.
#[derive(Clone, Copy)]
struct Measurer<'a>(&'a World);

impl Transport for Measurer<'_> {
    fn call(&self, message: Message) -> Result<Message, CallError> {
        Ok(record::answer(&mut Self(self.0), Badge(0), message))
    }
}

impl Link for Measurer<'_> {
    fn write(&self, offset: usize, bytes: &[u8]) -> bool {
        self.0.line.replace(bytes.to_vec());
        offset == 0
    }

    fn read(&self, _offset: usize, _bytes: &mut [u8]) -> bool {
        false
    }
}

impl record::Server for Measurer<'_> {
    fn record(&mut self, _: Badge, bytes: u32) -> Result<Recorded, NoRecord> {
        let line = self.0.line.take();
        assert_eq!(line.len(), bytes as usize);
        let line = String::from_utf8(line).unwrap();
        assert!(Later::read(&line).is_some(), "{line}");
        if !self.0.measures.get() {
            return Err(NoRecord::NotExtended);
        }
        self.0.done.borrow_mut().push(line);
        Ok(Recorded {})
    }
}

impl Server for Builder<'_> {
    fn entry(&mut self, _: Badge, place: u8) -> Result<Listed, Refusal> {
        self.0.domains.borrow().get(usize::from(place)).copied().ok_or(Refusal::Unknown)
    }

    fn measure(&mut self, _: Badge, _: Name) -> Result<Measured, Refusal> {
        Ok(Measured { digest: [self.0.digest.get(); 32] })
    }

    fn start(&mut self, _: Badge, domain: Name) -> Result<Started, Refusal> {
        let mut domains = self.0.domains.borrow_mut();
        let listed = domains.iter_mut().find(|listed| listed.name == domain).ok_or(Refusal::Unknown)?;
        if listed.state != State::Defined {
            return Err(Refusal::IsStarted);
        }
        if !self.0.starts.get() {
            return Err(Refusal::NoMemory);
        }
        listed.state = State::Running;
        self.0.done.borrow_mut().push(format!("runs {domain}"));
        Ok(Started { kib: 4, digest: [7; 8] })
    }

    fn image(&mut self, _: Badge, domain: Name, place: u8) -> Result<Offered, Refusal> {
        let is_guest = self.0.kernel.get().is_some() && domain.as_str() == "ticker" && place == 0;
        // The first of several: not always the one in use.
        let first = Offered { image: named("vmlinux"), least_mib: 1, most_mib: 2 };
        is_guest.then_some(first).ok_or(Refusal::UnknownImage)
    }

    fn start_guest(&mut self, _: Badge, _: Name, _: u8, _: u32) -> Result<Guested, Refusal> {
        Err(Refusal::Failed)
    }

    fn info(&mut self, _: Badge, _: Name) -> Result<About, Refusal> {
        Err(Refusal::Failed)
    }

    fn program(&mut self, _: Badge, domain: Name) -> Result<Runs, Refusal> {
        Ok(Runs { image: self.0.kernel.get().unwrap_or(domain), digest: [7; 8] })
    }

    fn fault(&mut self, _: Badge, _: Name) -> Result<Crash, Refusal> {
        Err(Refusal::Failed)
    }

    fn registers(&mut self, _: Badge, _: Name, _: u8) -> Result<Contents, Refusal> {
        Err(Refusal::Failed)
    }

    fn callers(&mut self, _: Badge, _: Name, _: u8) -> Result<Returns, Refusal> {
        Err(Refusal::Failed)
    }

    fn parts(&mut self, _: Badge, _: u8) -> Result<Owned, Refusal> {
        Err(Refusal::Failed)
    }

    fn shutdown(&mut self, _: Badge, _: Name) -> Result<Asked, Refusal> {
        Err(Refusal::Failed)
    }

    fn kill(&mut self, _: Badge, _: Name) -> Result<Killed, Refusal> {
        Err(Refusal::Failed)
    }

    fn pause(&mut self, _: Badge, _: Name) -> Result<Held, Refusal> {
        Err(Refusal::Failed)
    }

    fn resume(&mut self, _: Badge, _: Name) -> Result<Resumed, Refusal> {
        Err(Refusal::Failed)
    }

    fn save(&mut self, _: Badge, _: Name) -> Result<Saved, Refusal> {
        Err(Refusal::Failed)
    }

    fn restore(&mut self, _: Badge, domain: Name) -> Result<Restored, Refusal> {
        let mut domains = self.0.domains.borrow_mut();
        let listed = domains.iter_mut().find(|listed| listed.name == domain).ok_or(Refusal::Unknown)?;
        if listed.state != State::Saved {
            return Err(Refusal::NotSaved);
        }
        listed.state = State::Running;
        self.0.done.borrow_mut().push(format!("goes on {domain}"));
        Ok(Restored { kib: 4, digest: [7; 8] })
    }

    fn set_image(&mut self, _: Badge, _: Name, _: Name) -> Result<ImageSet, Refusal> {
        Err(Refusal::Failed)
    }

    fn budget(&mut self, _: Badge) -> Result<Memory, Refusal> {
        Err(Refusal::Failed)
    }

    fn hindrance(&mut self, _: Badge, _: Name) -> Result<Hindered, Refusal> {
        Err(Refusal::Failed)
    }

    fn group(&mut self, _: Badge, _: u8) -> Result<Grouped, Refusal> {
        Err(Refusal::UnknownGroup)
    }

    fn member(&mut self, _: Badge, _: Name, _: u8) -> Result<Belongs, Refusal> {
        Err(Refusal::UnknownGroup)
    }
}

#[test]
fn a_domain_is_measured_before_it_runs() {
    let world = world();
    let (mut recorder, ticker) = (Recorder::new(Measurer(&world), |_| ()), named("ticker"));
    recorder.start(&world.builder(), (ticker, None), |builder| builder.start(ticker)).unwrap();
    assert_eq!(world.done(), ["start ticker", "runs ticker"]);
    // It runs: this is no start, and no life has begun.
    let again =
        recorder.start(&world.builder(), (ticker, None), |builder| builder.start(ticker)).unwrap_err();
    assert_eq!(again, NotStarted::Builder(Failure::Refused(Refusal::IsStarted)));
    assert_eq!(recorder.note_lives(&world.builder()), Ok(()));
    assert!(world.done().is_empty());
}

/// A life that goes on from where another one was saved begins by what has been started before: it is measured as that.
#[test]
fn a_domain_is_measured_before_it_goes_on() {
    let world = world();
    let (mut recorder, ticker) = (Recorder::new(Measurer(&world), |_| ()), named("ticker"));
    world.domains.borrow_mut()[1].state = State::Saved;
    recorder.start(&world.builder(), (ticker, None), |builder| builder.restore(ticker)).unwrap();
    assert_eq!(world.done(), ["start ticker", "goes on ticker"]);
    assert_eq!(recorder.note_lives(&world.builder()), Ok(()));
    assert!(world.done().is_empty());
}

/// It is the domain that is started, and its program that is measured, whatever its guest begins with.
#[test]
fn a_guest_is_named_with_its_kernel() {
    let world = world();
    let (mut recorder, ticker, kernel) =
        (Recorder::new(Measurer(&world), |_| ()), named("ticker"), named("vmlinuz_6.1"));
    assert_eq!(image_of(&world.builder(), ticker), Ok(None));
    world.kernel.set(Some(kernel));
    assert_eq!(image_of(&world.builder(), ticker), Ok(Some(kernel)));
    recorder.start(&world.builder(), (ticker, Some(kernel)), |builder| builder.start(ticker)).unwrap();
    assert_eq!(world.done(), ["start ticker with vmlinuz_6.1", "runs ticker"]);
    world.falls_and_rises(1);
    assert_eq!(recorder.note_lives(&world.builder()), Ok(()));
    assert_eq!(world.done(), ["again ticker with vmlinuz_6.1"]);
    // A manager that knows of no start asks the builder.
    assert_eq!(Recorder::new(Measurer(&world), |_| ()).note_lives(&world.builder()), Ok(()));
    assert_eq!(world.done(), ["again ticker with vmlinuz_6.1"; 2]);
}

#[test]
fn what_is_not_measured_does_not_run() {
    let world = world();
    world.measures.set(false);
    let (mut recorder, ticker) = (Recorder::new(Measurer(&world), |_| ()), named("ticker"));
    let refused =
        recorder.start(&world.builder(), (ticker, None), |builder| builder.start(ticker)).unwrap_err();
    assert!(matches!(refused, NotStarted::NotMeasured(why) if why.contains("does not extend")));
    assert!(world.done().is_empty());
    world.measures.set(true);
    recorder.start(&world.builder(), (ticker, None), |builder| builder.start(ticker)).unwrap();
    assert_eq!(world.done(), ["start ticker", "runs ticker"]);
}

#[test]
fn a_start_that_comes_to_nothing_is_said_to() {
    let world = world();
    world.starts.set(false);
    let (mut recorder, ticker) = (Recorder::new(Measurer(&world), |_| ()), named("ticker"));
    assert!(recorder.start(&world.builder(), (ticker, None), |builder| builder.start(ticker)).is_err());
    assert_eq!(world.done(), ["start ticker", "failed ticker"]);
    assert!(
        recorder
            .start(&world.builder(), (named("nobody"), None), |builder| builder.start(named("nobody")))
            .is_err()
    );
    assert!(world.done().is_empty());
}

/// Each life counts once, whenever the manager hears of it; and none is forgotten because it could not be measured.
#[test]
fn a_life_after_a_fault_is_measured() {
    let world = world();
    let (mut recorder, ticker) = (Recorder::new(Measurer(&world), |_| ()), named("ticker"));
    world.falls_and_rises(0);
    assert_eq!(recorder.note_lives(&world.builder()), Ok(()));
    assert_eq!(world.done(), ["again console"], "before the manager has started anything");
    recorder.start(&world.builder(), (ticker, None), |builder| builder.start(ticker)).unwrap();
    world.done();
    world.falls_and_rises(1);
    world.falls_and_rises(1);
    assert_eq!(recorder.note_lives(&world.builder()), Ok(()));
    assert_eq!(world.done(), ["again ticker", "again ticker"]);
    world.measures.set(false);
    world.falls_and_rises(0);
    assert!(recorder.note_lives(&world.builder()).is_err());
    world.falls_and_rises(1);
    world.domains.borrow_mut()[1].state = State::Defined;
    world.measures.set(true);
    recorder.start(&world.builder(), (ticker, None), |builder| builder.start(ticker)).unwrap();
    assert_eq!(world.done(), ["again console", "start ticker", "runs ticker"]);
    assert_eq!(recorder.note_lives(&world.builder()), Ok(()));
    assert!(world.done().is_empty());
}

/// A life begins by itself with what the one before it had. It cannot be measured at once, and when it can, something else is
/// chosen for the next start.
#[test]
fn a_life_that_begins_by_itself_has_the_image_of_the_one_before() {
    let world = world();
    let (first, second) = (named("first"), named("second"));
    let (mut recorder, ticker) = (Recorder::new(Measurer(&world), |_| ()), named("ticker"));
    world.kernel.set(Some(first));
    recorder.start(&world.builder(), (ticker, Some(first)), |builder| builder.start(ticker)).unwrap();
    world.done();
    world.falls_and_rises(1);
    world.measures.set(false);
    assert!(recorder.note_lives(&world.builder()).is_err());
    world.domains.borrow_mut()[1].lives += 1;
    world.domains.borrow_mut()[1].state = State::Defined;
    world.kernel.set(Some(second));
    world.digest.set(0xd2);
    world.measures.set(true);
    assert_eq!(recorder.note_lives(&world.builder()), Ok(()));
    assert_eq!(world.done(), ["again ticker with first"]);
    recorder.start(&world.builder(), (ticker, Some(second)), |builder| builder.start(ticker)).unwrap();
    world.falls_and_rises(1);
    assert_eq!(recorder.note_lives(&world.builder()), Ok(()));
    let sha = format!("sha256:{}", "d2".repeat(32));
    let expected = [
        format!("start ticker with second {sha}"),
        "runs ticker".into(),
        format!("again ticker with second {sha}"),
    ];
    assert_eq!(world.done(), expected);
}
