//! Each request and each reply as a message, there and back.

extern crate std;

use std::{string::ToString, vec::Vec};

use cloison_abi::CallError;
use cloison_ipc::{Badge, Message, Transport};

use super::*;
use manage::{
    About, Asked, Belongs, Client, Contents, Crash, Grouped, Guested, Held, Hindered, ImageSet, Killed,
    Listed, Measured, Memory, Offered, Owned, Refusal, Request, Restored, Resumed, Returns, Runs, Saved,
    Server, Started,
};

/// A builder that has one domain, and the gate into it.
struct Answers(core::cell::RefCell<One>);

struct One {
    name: Name,
    state: State,
}

impl Answers {
    fn new() -> Self {
        Self(core::cell::RefCell::new(One { name: name("hello"), state: State::Defined }))
    }
}

impl Transport for Answers {
    fn call(&self, message: Message) -> Result<Message, CallError> {
        Ok(manage::answer(&mut *self.0.borrow_mut(), Badge(0), message))
    }
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

impl One {
    fn turn(&mut self, domain: Name, from: State, to: State, why: Refusal) -> Result<(), Refusal> {
        if domain != self.name {
            return Err(Refusal::Unknown);
        }
        if self.state != from {
            return Err(why);
        }
        self.state = to;
        Ok(())
    }
}

impl Server for One {
    fn entry(&mut self, _client: Badge, place: u8) -> Result<Listed, Refusal> {
        let One { name, state } = *self;
        let listed = Listed { name, state, is_managed: true, lives: u32::MAX, kib: 76, cpu_ms: 5 };
        (place == 0).then_some(listed).ok_or(Refusal::Unknown)
    }

    fn info(&mut self, _client: Badge, _domain: Name) -> Result<About, Refusal> {
        let state = self.state;
        Ok(About { state, is_managed: true, lives: 1, kib: 2, code: u64::MAX, cpu_us: 1 << 40, refusals: 3 })
    }

    fn program(&mut self, _client: Badge, _domain: Name) -> Result<Runs, Refusal> {
        Ok(Runs { image: self.name, digest: [7; DIGEST_BYTES] })
    }

    fn measure(&mut self, _client: Badge, _domain: Name) -> Result<Measured, Refusal> {
        Ok(Measured { digest: [0xd1; 32] })
    }

    fn fault(&mut self, _client: Badge, _domain: Name) -> Result<Crash, Refusal> {
        Err(Refusal::NotFaulted)
    }

    fn registers(&mut self, _client: Badge, _domain: Name, first: u8) -> Result<Contents, Refusal> {
        let first = u64::from(first);
        Ok(Contents { a: first, b: first + 1, c: first + 2, d: first + 3 })
    }

    fn callers(&mut self, _client: Badge, _domain: Name, first: u8) -> Result<Returns, Refusal> {
        Ok(Returns { a: u64::MAX, b: first.into(), c: 1, d: 0 })
    }

    fn parts(&mut self, _client: Badge, place: u8) -> Result<Owned, Refusal> {
        Ok(Owned { threads: 1, pages: u32::MAX, interrupts: place.into(), ports: 8 })
    }

    fn start(&mut self, _client: Badge, domain: Name) -> Result<Started, Refusal> {
        self.turn(domain, State::Defined, State::Running, Refusal::IsStarted)?;
        Ok(Started { kib: 76, digest: [7; DIGEST_BYTES] })
    }

    fn image(&mut self, _client: Badge, _domain: Name, place: u8) -> Result<Offered, Refusal> {
        let offered = Offered { image: self.name, least_mib: u32::MAX, most_mib: 1 };
        (place == 0).then_some(offered).ok_or(Refusal::UnknownImage)
    }

    fn start_guest(
        &mut self,
        _client: Badge,
        _domain: Name,
        image: u8,
        mib: u32,
    ) -> Result<Guested, Refusal> {
        Ok(Guested { kib: mib, digest: [image; DIGEST_BYTES] })
    }

    fn shutdown(&mut self, _client: Badge, _domain: Name) -> Result<Asked, Refusal> {
        Ok(Asked {})
    }

    fn kill(&mut self, _client: Badge, domain: Name) -> Result<Killed, Refusal> {
        self.turn(domain, State::Running, State::Defined, Refusal::IsDefined)?;
        Ok(Killed {})
    }

    fn pause(&mut self, _client: Badge, domain: Name) -> Result<Held, Refusal> {
        self.turn(domain, State::Running, State::Paused, Refusal::IsPaused)?;
        Ok(Held { waiting: 1 << 30 })
    }

    fn resume(&mut self, _client: Badge, domain: Name) -> Result<Resumed, Refusal> {
        self.turn(domain, State::Paused, State::Running, Refusal::NotPaused)?;
        Ok(Resumed {})
    }

    fn save(&mut self, _client: Badge, domain: Name) -> Result<Saved, Refusal> {
        self.turn(domain, State::Running, State::Saved, Refusal::IsDefined)?;
        Ok(Saved { kib: u32::MAX })
    }

    fn restore(&mut self, _client: Badge, domain: Name) -> Result<Restored, Refusal> {
        self.turn(domain, State::Saved, State::Running, Refusal::NotSaved)?;
        Ok(Restored { kib: 76, digest: [7; DIGEST_BYTES] })
    }

    fn set_image(&mut self, _client: Badge, _domain: Name, image: Name) -> Result<ImageSet, Refusal> {
        (image == self.name).then_some(ImageSet {}).ok_or(Refusal::UnknownImage)
    }

    fn budget(&mut self, _client: Badge) -> Result<Memory, Refusal> {
        Ok(Memory { total_kib: 1, free_kib: 2, largest_kib: 3 })
    }

    fn hindrance(&mut self, _client: Badge, domain: Name) -> Result<Hindered, Refusal> {
        Ok(Hindered { what: name("a-name-of-16-xyz"), whose: domain })
    }

    fn group(&mut self, _client: Badge, place: u8) -> Result<Grouped, Refusal> {
        (place == 0).then_some(Grouped { name: self.name }).ok_or(Refusal::UnknownGroup)
    }

    fn member(&mut self, _client: Badge, group: Name, _place: u8) -> Result<Belongs, Refusal> {
        Ok(Belongs { domain: group })
    }
}

#[test]
fn a_domain_is_started_held_and_killed() {
    let (builder, hello) = (Answers::new(), name("hello"));
    let client = Client::new(&builder);
    assert_eq!(client.kill(hello), Err(Failure::Refused(Refusal::IsDefined)));
    assert_eq!(client.start(hello).unwrap(), Started { kib: 76, digest: [7; DIGEST_BYTES] });
    assert_eq!(client.start(hello), Err(Failure::Refused(Refusal::IsStarted)));
    assert_eq!(client.pause(hello), Ok(Held { waiting: 1 << 30 }));
    assert_eq!(client.pause(hello), Err(Failure::Refused(Refusal::IsPaused)));
    assert_eq!(client.resume(hello), Ok(Resumed {}));
    assert_eq!(client.restore(hello), Err(Failure::Refused(Refusal::NotSaved)));
    assert_eq!(client.save(hello), Ok(Saved { kib: u32::MAX }));
    assert_eq!(client.restore(hello), Ok(Restored { kib: 76, digest: [7; DIGEST_BYTES] }));
    assert_eq!(client.kill(hello), Ok(Killed {}));
    assert_eq!(client.start(name("nobody")), Err(Failure::Refused(Refusal::Unknown)));
}

#[test]
fn what_is_told_arrives_whole() {
    let (builder, hello) = (Answers::new(), name("hello"));
    let client = Client::new(&builder);
    let (state, lives) = (State::Defined, u32::MAX);
    let listed = Listed { name: hello, state, is_managed: true, lives, kib: 76, cpu_ms: 5 };
    assert_eq!(client.entry(0), Ok(listed));
    assert_eq!(client.entry(1), Err(Failure::Refused(Refusal::Unknown)));
    let state = State::Defined;
    let about =
        About { state, is_managed: true, lives: 1, kib: 2, code: u64::MAX, cpu_us: 1 << 40, refusals: 3 };
    assert_eq!(client.info(hello), Ok(about));
    assert_eq!(client.program(hello), Ok(Runs { image: hello, digest: [7; DIGEST_BYTES] }));
    assert_eq!(client.measure(hello), Ok(Measured { digest: [0xd1; 32] }));
    assert_eq!(client.fault(hello), Err(Failure::Refused(Refusal::NotFaulted)));
    assert_eq!(client.registers(hello, 16), Ok(Contents { a: 16, b: 17, c: 18, d: 19 }));
    assert_eq!(client.callers(hello, 4), Ok(Returns { a: u64::MAX, b: 4, c: 1, d: 0 }));
    assert_eq!(client.parts(3), Ok(Owned { threads: 1, pages: u32::MAX, interrupts: 3, ports: 8 }));
    assert_eq!(client.image(hello, 0), Ok(Offered { image: hello, least_mib: u32::MAX, most_mib: 1 }));
    assert_eq!(client.image(hello, 1), Err(Failure::Refused(Refusal::UnknownImage)));
    let started = Guested { kib: u32::MAX, digest: [9; DIGEST_BYTES] };
    assert_eq!(client.start_guest(hello, 9, u32::MAX), Ok(started));
    assert_eq!(client.shutdown(hello), Ok(Asked {}));
    assert_eq!(client.set_image(hello, hello), Ok(ImageSet {}));
    assert_eq!(client.set_image(hello, name("other")), Err(Failure::Refused(Refusal::UnknownImage)));
    assert_eq!(client.budget(), Ok(Memory { total_kib: 1, free_kib: 2, largest_kib: 3 }));
    let what = name("a-name-of-16-xyz");
    assert_eq!(client.hindrance(hello), Ok(Hindered { what, whose: hello }));
    assert_eq!(client.group(0), Ok(Grouped { name: hello }));
    assert_eq!(client.group(1), Err(Failure::Refused(Refusal::UnknownGroup)));
    assert_eq!(client.member(hello, 0), Ok(Belongs { domain: hello }));
}

#[test]
fn a_message_of_another_interface_is_none_of_these() {
    let labels = (0..=u32::from(u8::MAX)).chain([u32::MAX]);
    let requests: Vec<_> =
        labels.filter_map(|label| Request::decode(Message { label, words: [0; 4] }).ok()).collect();
    assert_eq!(requests.len(), 22, "each operation, by its number");
    assert!(requests.iter().all(|request| Request::decode(request.encode()).as_ref() == Ok(request)));
}

#[test]
fn each_state_has_a_name_of_its_own() {
    let states = [
        State::Defined,
        State::Running,
        State::Paused,
        State::Ended,
        State::Faulted,
        State::Resting,
        State::Saved,
    ];
    let mut names: Vec<_> = states.iter().map(ToString::to_string).collect();
    names.dedup();
    assert_eq!(names.join(" "), "defined running paused ended faulted resting saved");
}
