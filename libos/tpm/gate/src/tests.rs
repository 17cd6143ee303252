//! The waiting client against a scripted service.

extern crate std;

use std::{cell::RefCell, collections::VecDeque, rc::Rc, vec, vec::Vec};

use cloison_abi::{Badge, CallError};
use cloison_ipc::{Failure, Link, Message, Transport};
use cloison_sys::Instant;

use cloison_tpm::MAX_MESSAGE_BYTES;

use crate::{Progress, RESPONSE_OFFSET, ServiceLink, Tpm, TpmError, tpm};

/// What the service says to `finish`, in order; the last one stays.
type Script = VecDeque<Result<tpm::Finished, tpm::Refusal>>;

struct Service {
    script: Script,
    memory: Vec<u8>,
    log: Vec<&'static str>,
    /// The call with this number (from 0) finds the service dead.
    dies_at: usize,
    calls: usize,
    /// How many waits end with an event; later ones meet the deadline.
    events: usize,
}

#[derive(Clone)]
struct Fake(Rc<RefCell<Service>>);

impl tpm::Server for Service {
    fn open(&mut self, _: Badge) -> Result<tpm::Opened, tpm::Refusal> {
        self.log.push("open");
        Ok(tpm::Opened { max_bytes: 4096 })
    }

    fn submit(&mut self, _: Badge, bytes: u32) -> Result<tpm::Submitted, tpm::Refusal> {
        self.log.push("submit");
        let command = self.memory[..bytes as usize].to_vec();
        self.memory[RESPONSE_OFFSET..][..command.len()].copy_from_slice(&command);
        Ok(tpm::Submitted {})
    }

    fn finish(&mut self, _: Badge) -> Result<tpm::Finished, tpm::Refusal> {
        self.log.push("finish");
        if self.script.len() > 1 { self.script.pop_front().expect("not empty") } else { self.script[0] }
    }

    fn cancel(&mut self, _: Badge) -> Result<tpm::Cancelled, tpm::Refusal> {
        self.log.push("cancel");
        Ok(tpm::Cancelled {})
    }

    fn close(&mut self, _: Badge) -> Result<tpm::Closed, tpm::Refusal> {
        self.log.push("close");
        Ok(tpm::Closed {})
    }
}

impl Transport for Fake {
    fn call(&self, message: Message) -> Result<Message, CallError> {
        let mut service = self.0.borrow_mut();
        service.calls += 1;
        if service.calls > service.dies_at {
            return Err(CallError::PeerFailed);
        }
        Ok(tpm::answer(&mut *service, Badge(0), message))
    }
}

impl Link for Fake {
    fn write(&self, offset: usize, bytes: &[u8]) -> bool {
        self.0.borrow_mut().memory[offset..][..bytes.len()].copy_from_slice(bytes);
        true
    }

    fn read(&self, offset: usize, bytes: &mut [u8]) -> bool {
        bytes.copy_from_slice(&self.0.borrow().memory[offset..][..bytes.len()]);
        true
    }
}

impl ServiceLink for Fake {
    fn wait(&self, _: Instant) -> bool {
        let mut service = self.0.borrow_mut();
        service.log.push("wait");
        service.events = service.events.wrapping_sub(1);
        service.events < usize::MAX / 2
    }
}

const PENDING: Result<tpm::Finished, tpm::Refusal> =
    Ok(tpm::Finished { progress: Progress::Pending, bytes: 0 });

const fn done(bytes: u32) -> Result<tpm::Finished, tpm::Refusal> {
    Ok(tpm::Finished { progress: Progress::Done, bytes })
}

fn service(script: &[Result<tpm::Finished, tpm::Refusal>]) -> Fake {
    Fake(Rc::new(RefCell::new(Service {
        script: script.iter().copied().collect(),
        memory: vec![0; 2 * MAX_MESSAGE_BYTES],
        log: Vec::new(),
        dies_at: usize::MAX,
        calls: 0,
        events: 100,
    })))
}

fn transmit(fake: &Fake, response: &mut [u8]) -> Result<Vec<u8>, TpmError> {
    let mut tpm = Tpm::open_link(fake.clone())?;
    tpm.transmit(b"a command!", response, Instant::NEVER).map(<[u8]>::to_vec)
}

#[test]
fn response_comes_back_after_events_that_say_nothing() {
    let fake = service(&[PENDING, PENDING, done(10)]);
    assert_eq!(transmit(&fake, &mut [0; 64]), Ok(b"a command!".to_vec()));
    let log = ["open", "submit", "finish", "wait", "finish", "wait", "finish", "close"];
    assert_eq!(fake.0.borrow().log, log);
}

#[test]
fn deadline_cancels() {
    let fake = service(&[PENDING]);
    fake.0.borrow_mut().events = 1;
    assert_eq!(transmit(&fake, &mut [0; 64]), Err(TpmError::DeadlinePassed));
    let log = ["open", "submit", "finish", "wait", "finish", "wait", "cancel", "close"];
    assert_eq!(fake.0.borrow().log, log);
}

#[test]
fn dead_or_restarted_service_is_told_apart_from_other_errors() {
    for dies_at in 0..3 {
        let fake = service(&[PENDING]);
        fake.0.borrow_mut().dies_at = dies_at;
        let error = transmit(&fake, &mut [0; 64]).expect_err("the service died");
        assert_eq!(error, TpmError::Service(Failure::Call(CallError::PeerFailed)));
        assert!(error.is_restart());
    }
    for (refusal, is_restart) in [(tpm::Refusal::NotOpen, true), (tpm::Refusal::NoTpm, false)] {
        let error = transmit(&service(&[Err(refusal)]), &mut [0; 64]).expect_err("the service refused");
        assert_eq!(error, TpmError::Service(Failure::Refused(refusal)));
        assert_eq!(error.is_restart(), is_restart);
    }
}

#[test]
fn lengths_are_checked_on_both_ways() {
    let fake = service(&[done(11)]);
    assert_eq!(transmit(&fake, &mut [0; 10]), Err(TpmError::ResponseTooLong { stated: 11 }));
    let mut tpm = Tpm::open_link(fake).expect("it opens");
    let given = MAX_MESSAGE_BYTES + 1;
    let outcome = tpm.transmit(&vec![0; given], &mut [], Instant::NEVER).map(<[u8]>::len);
    assert_eq!(outcome, Err(TpmError::CommandTooLong { given }));
}
