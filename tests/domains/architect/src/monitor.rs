//! What becomes of calls about which a monitor decides: a child that is judged, its server, and the monitor.

use core::time::Duration;

use cloison_abi::{
    CallError, CallNumber, ObjectKind,
    access::{Class, Classes, Decision, Question},
    call::NO_DEADLINE,
};
use cloison_rt::time::after;
use cloison_sys::{
    Slot,
    access::access_ask,
    build::{Configuration, domain_configure, domain_give_gate, domain_give_right, domain_stop},
    slot_info, wait,
};

use crate::{
    child::{Call, Child},
    outcome::{Outcome, same},
    site::{RIGHT, Site, configuration, number},
};

/// The client's slot for its gate, the monitor's for its right, and the event that says that there is a question.
const GATE: u8 = 10;
const MONITOR: u8 = 11;
const BIT: u32 = 3;

const CALL: Call = (CallNumber::Call, GATE, [0; 6]);
const ASKED: Call = (CallNumber::Wait, 0, [0, 0, 0, 0, 1 << BIT, NO_DEADLINE]);
const READ: Call = (CallNumber::AskRead, MONITOR, [0; 6]);
/// A server takes a message, and answers the one before.
const SERVE: Call = (CallNumber::ReplyWait, 0, [0, 0, 0, 0, 0, NO_DEADLINE]);
/// From this nobody comes back: a child whose calls are done would fault, as one does that all wait for.
const FOR_EVER: Call = (CallNumber::Wait, 0, [0, 0, 0, 0, 0, NO_DEADLINE]);
const DENIED: i32 = number(CallError::Denied);

struct Judged {
    monitor: Child,
    client: Child,
    server: Child,
    /// The kernel's indices of client and server.
    ends: (u8, u8),
}

impl Judged {
    fn new(site: &mut Site) -> Outcome<Self> {
        let (monitor, client, server) = (site.child()?, site.child()?, site.child()?);
        for (child, priority) in [(&monitor, 3), (&server, 2)] {
            domain_configure(child.domain, &Configuration { priority, ..configuration() })?;
        }
        domain_give_right(monitor.domain, Slot(MONITOR), RIGHT, ObjectKind::MonitorRight, BIT)?;
        domain_give_gate(client.domain, Slot(GATE), server.domain, 0, (0, 0))?;
        access_ask(client.domain, Classes::CALL)?;
        let mut judged = Self { monitor, client, server, ends: (0, 0) };
        judged.learn_ends()?;
        Ok(judged)
    }

    /// The client asks, and gets no answer: the question says who is who. Then all begin other lives.
    fn learn_ends(&mut self) -> Outcome {
        self.run(&[ASKED, READ, FOR_EVER], &[FOR_EVER], [CALL])?;
        let found = Question::from_bits(self.monitor.first_result(1));
        self.ends = found.map_or((0, 0), |question| (question.subject, question.object));
        let (subject, object) = self.ends;
        let (class, call) = (Class::Call, CALL.0 as u8);
        same(found, Some(Question { subject, object, class, call, slot: GATE, asker: subject }))?;
        domain_stop(self.monitor.domain)?;
        Ok(domain_stop(self.server.domain)?)
    }

    fn decide(&self, decision: Decision) -> Call {
        let (subject, object) = self.ends;
        let classes = Classes::CALL.bits().into();
        let arguments = [subject.into(), object.into(), classes, decision as u64, 0, 0];
        (CallNumber::VerdictSet, MONITOR, arguments)
    }

    /// Each begins with what it does: last the client, which calls. Returns what its calls came to.
    fn run<const N: usize>(&self, monitor: &[Call], server: &[Call], client: [Call; N]) -> Outcome<[i32; N]> {
        self.monitor.begin(monitor)?;
        self.server.begin(server)?;
        wait(0, after(Duration::from_millis(1)));
        self.client.begin(&client)?;
        while slot_info(self.client.domain)?.is_alive {
            wait(0, after(Duration::from_millis(1)));
        }
        let mut found = [0; N];
        found.iter_mut().enumerate().for_each(|(place, found)| *found = self.client.answered(place));
        Ok(found)
    }
}

/// Long enough for all others to have done what they do.
fn a_while() -> Call {
    (CallNumber::Wait, 0, [0, 0, 0, 0, 0, after(Duration::from_millis(10)).0])
}

pub fn asked_and_answered(site: &mut Site) -> Outcome {
    for (decision, expected) in [(Decision::Allow, 0), (Decision::Deny, DENIED)] {
        let judged = Judged::new(site)?;
        let monitor = [ASKED, READ, judged.decide(decision), FOR_EVER];
        let found = judged.run(&monitor, &[SERVE, SERVE], [CALL])?;
        same([1, 2].map(|place| judged.monitor.answered(place)), [0, 0])?;
        same(found, [expected])?;
        site.clear()?;
    }
    Ok(())
}

pub fn without_an_answer(site: &mut Site) -> Outcome {
    let judged = Judged::new(site)?;
    same(judged.run(&[FOR_EVER], &[SERVE], [CALL, CALL])?, [DENIED; 2])
}

pub fn without_a_monitor(site: &mut Site) -> Outcome {
    // It faults when it has been asked.
    let judged = Judged::new(site)?;
    same(judged.run(&[ASKED], &[SERVE], [CALL, CALL])?, [DENIED; 2])
}

pub fn withdrawn_in_the_queue(site: &mut Site) -> Outcome {
    let judged = Judged::new(site)?;
    let monitor = [ASKED, judged.decide(Decision::Allow), a_while(), judged.decide(Decision::Deny), FOR_EVER];
    same(judged.run(&monitor, &[FOR_EVER], [CALL, CALL])?, [DENIED; 2])
}

pub fn withdrawn_while_served(site: &mut Site) -> Outcome {
    let judged = Judged::new(site)?;
    let monitor = [ASKED, judged.decide(Decision::Allow), a_while(), judged.decide(Decision::Deny), FOR_EVER];
    // It answers when nobody waits for that any more.
    let late = (CallNumber::Wait, 0, [0, 0, 0, 0, 0, after(Duration::from_millis(30)).0]);
    same(judged.run(&monitor, &[SERVE, late, SERVE], [CALL, CALL])?, [DENIED; 2])?;
    wait(0, after(Duration::from_millis(40)));
    same(judged.client.answered(0), DENIED)?;
    same(slot_info(judged.server.domain)?.is_alive, true)
}
