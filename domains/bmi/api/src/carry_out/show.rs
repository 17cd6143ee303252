//! What `bmic` shows.

use core::fmt;

use cloison_abi::{Fault, FaultKind, Name, policy::FIRST_INDEX};
use cloison_ipc::{Failure, Transport};

use super::{Around, Outcome, Session};
use crate::{
    DIGEST_BYTES, REGISTER_NAMES, REGISTERS,
    manage::{About, Crash, Listed, Owned, Refusal},
    text,
};

/// The start of a digest.
pub struct Digest(pub [u8; DIGEST_BYTES]);

impl fmt::Display for Digest {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(out, "{byte:02x}"))?;
        out.write_str("...")
    }
}

/// The state of a domain, with what it has ended with.
pub(super) struct State<'a>(pub &'a About);

impl fmt::Display for State<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.state {
            crate::State::Ended => write!(out, "ended with code {}", self.0.code),
            state => state.fmt(out),
        }
    }
}

/// A number of KiB, or none.
struct Kib(u32);

impl fmt::Display for Kib {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => write!(out, "{:>11}", "-"),
            kib => write!(out, "{kib:>7} KiB"),
        }
    }
}

/// CPU time of a life, if it is known.
struct Cpu(Option<u32>);

impl fmt::Display for Cpu {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => write!(out, "{:>11}", "-"),
            Some(ms) => write!(out, "{ms:>8} ms"),
        }
    }
}

impl<T: Transport, A: Around> Session<'_, T, A> {
    /// The kernel numbers domains in the order of the manifest, and so does this.
    pub(super) fn list(&mut self, with_more: bool) -> Outcome {
        let all = self.domains().map_err(|error| self.failed(error))?;
        let more = if with_more { " lives  image             program" } else { "" };
        let head =
            text(format_args!(" id  {:<16}  {:<8}  {:>11}  {:>11}", "domain", "state", "memory", "CPU"));
        self.say(format_args!("{head}{more}"));
        for (id, listed) in (FIRST_INDEX..).zip(&all) {
            let Listed { name, kib, .. } = listed;
            // Of the others the builder knows no more than that it has started them.
            let state = if listed.is_managed { listed.state.name() } else { "at boot" };
            let cpu = Cpu(listed.is_managed.then_some(listed.cpu_ms));
            let row = text(format_args!("{id:>3x}  {name:<16}  {state:<8}  {}  {cpu}", Kib(*kib)));
            let more = if with_more { self.more(listed) } else { alloc::string::String::new() };
            self.say(text(format_args!("{row}{more}")).trim_end());
        }
        if with_more { self.list_parts(&all) } else { Ok(()) }
    }

    /// What each has beside time and memory of the budget.
    fn list_parts(&mut self, all: &[Listed]) -> Outcome {
        self.say(format_args!(" id  {:<16}  threads    pages  interrupts  ports", "domain"));
        for (id, (place, Listed { name, .. })) in (FIRST_INDEX..).zip((0..).zip(all)) {
            let parts = self.bmi.parts(place).map_err(|error| self.failed(error))?;
            let Owned { threads, pages, interrupts, ports } = parts;
            let row =
                format_args!("{id:>3x}  {name:<16}  {threads:>7}  {pages:>7}  {interrupts:>10}  {ports:>5}");
            self.say(row);
        }
        Ok(())
    }

    fn more(&mut self, listed: &Listed) -> alloc::string::String {
        if !listed.is_managed {
            return alloc::string::String::new();
        }
        let program = self.bmi.program(listed.name);
        let program = program.map(|runs| text(format_args!("{:<16}  {}", runs.image, Digest(runs.digest))));
        text(format_args!(" {:>5}  {}", listed.lives, program.unwrap_or_default()))
    }

    pub(super) fn budget(&mut self) -> Outcome {
        let budget = self.bmi.budget().map_err(|error| self.failed(error))?;
        let used = budget.total_kib.saturating_sub(budget.free_kib);
        let (total, free, largest) = (budget.total_kib, budget.free_kib, budget.largest_kib);
        self.say(format_args!(
            "budget: {total} KiB, used {used}, free {free}, of that {largest} in one piece"
        ));
        // A client that may not list them is not told who has it.
        let all = self.domains().unwrap_or_default();
        let holders = all.iter().filter(|one| one.is_managed && one.state != crate::State::Defined);
        holders.for_each(|one| self.say(format_args!("  {:<16}  {}", one.name, Kib(one.kib))));
        Ok(())
    }

    pub(super) fn info(&mut self, domain: Name) -> Outcome {
        let about = self.bmi.info(domain);
        let about = self.judge(domain, about)?;
        self.say(format_args!("{domain}: {}; lives ended: {}", State(&about), about.lives));
        if about.is_managed {
            self.say(format_args!("  memory    {} KiB", about.kib));
            self.say(format_args!("  CPU       {}.{:03} ms", about.cpu_us / 1000, about.cpu_us % 1000));
            if about.refusals > 0 {
                self.say(format_args!("  refused   {} times, by the policy", about.refusals));
            }
        }
        if let Ok(runs) = self.bmi.program(domain) {
            self.say(format_args!("  program   {}, SHA-256 {}", runs.image, Digest(runs.digest)));
        }
        match self.bmi.fault(domain) {
            Ok(crash) => self.crash(domain, &crash),
            Err(Failure::Refused(Refusal::NotFaulted | Refusal::NotManaged)) => Ok(()),
            Err(error) => Err(self.failed(error)),
        }
    }

    fn crash(&mut self, domain: Name, crash: &Crash) -> Outcome {
        let Crash { kind, code, instruction, address } = *crash;
        let kind = FaultKind::from_number(kind).unwrap_or(FaultKind::OtherException);
        self.say(format_args!("  faulted: {}", Fault { kind, code, instruction, address }));
        for (place, names) in (0..).zip(REGISTER_NAMES.chunks(REGISTERS.into())) {
            let contents = self.bmi.registers(domain, place * REGISTERS);
            let contents = self.judge(domain, contents)?;
            let values = [contents.a, contents.b, contents.c, contents.d];
            let all =
                names.iter().zip(values).map(|(name, value)| text(format_args!("{name:>6} {value:016x}")));
            self.say(all.collect::<alloc::vec::Vec<_>>().join(" "));
        }
        self.callers(domain)
    }

    /// Who had called whom, the innermost first.
    fn callers(&mut self, domain: Name) -> Outcome {
        let mut line = alloc::string::String::new();
        for first in [0, REGISTERS] {
            let returns = self.bmi.callers(domain, first);
            let returns = self.judge(domain, returns)?;
            let all =
                [returns.a, returns.b, returns.c, returns.d].into_iter().filter(|address| *address != 0);
            all.for_each(|address| line += &text(format_args!(" {address:#x}")));
        }
        if !line.is_empty() {
            self.say(format_args!("  called from{line}"));
        }
        Ok(())
    }
}
