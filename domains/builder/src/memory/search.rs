//! Every state that the free memory can get into while four domains of different lengths are started and ended, in every
//! order, each in steps that may fail: pieces never overlap, nothing is lost, and what is free is in as few parts as can be.

use std::{collections::HashSet, vec};

use super::*;

/// Runs of the memory, and what the domains take: the last one fits once nothing else is there.
const RUNS: [(Slot, u64); 2] = [(Slot(4), 6), (Slot(5), 3)];
const LENGTHS: [u64; 4] = [1, 2, 3, 6];
/// Steps until a domain runs, or until its memory is scrubbed.
const STEPS: u8 = 2;

/// How far a domain has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Stage {
    /// It has no memory.
    Defined,
    /// It is being started, and so many steps are done.
    Starting(u8),
    Runs,
    /// It is being ended.
    Ending(u8),
}

/// One domain: what it has of which run, and how far it has come.
type Domain = (Stage, Option<(Slot, Part)>);

#[derive(Clone)]
struct State {
    memory: FreeMemory,
    domains: [Domain; LENGTHS.len()],
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Start(usize),
    Kill(usize),
    /// The builder goes on with what it is in the middle of, or that fails.
    GoOn,
    Fail,
}

impl State {
    fn new() -> Self {
        Self { memory: FreeMemory::new(RUNS), domains: [(Stage::Defined, None); LENGTHS.len()] }
    }

    /// The domain that the builder is in the middle of starting or ending: it does one thing at a time.
    fn job(&self) -> Option<usize> {
        self.domains.iter().position(|(stage, _)| matches!(stage, Stage::Starting(_) | Stage::Ending(_)))
    }

    fn act(&mut self, step: Step) {
        match (step, self.job()) {
            (Step::Start(which), None) if self.domains[which].0 == Stage::Defined => self.start(which),
            (Step::Kill(which), None) if self.domains[which].0 == Stage::Runs => {
                self.domains[which].0 = Stage::Ending(0);
            }
            (Step::GoOn, Some(which)) => self.go_on(which),
            (Step::Fail, Some(which)) if matches!(self.domains[which].0, Stage::Starting(_)) => {
                // What it has is scrubbed as that of one that has lived.
                self.domains[which].0 = Stage::Ending(0);
            }
            _ => {}
        }
    }

    fn start(&mut self, which: usize) {
        let largest = self.memory.largest();
        match self.memory.take(LENGTHS[which]) {
            Some(piece) => {
                assert!(LENGTHS[which] <= largest && piece.pages() == LENGTHS[which]);
                self.domains[which] = (Stage::Starting(0), Some((piece.run, piece.part)));
            }
            None => assert!(largest < LENGTHS[which], "it is refused though there is room"),
        }
    }

    fn go_on(&mut self, which: usize) {
        let (stage, held) = &mut self.domains[which];
        *stage = match *stage {
            Stage::Starting(STEPS) => Stage::Runs,
            Stage::Starting(step) => Stage::Starting(step + 1),
            Stage::Ending(STEPS) => {
                let (run, part) = held.take().unwrap();
                self.memory.give_back(Piece { run, part });
                Stage::Defined
            }
            Stage::Ending(step) => Stage::Ending(step + 1),
            other => other,
        };
    }

    fn check(&self) {
        for (slot, pages) in RUNS {
            let free = self.memory.runs.iter().filter(|run| run.slot == slot).flat_map(|run| &run.free);
            let held = self.domains.iter().filter_map(|(_, held)| *held).filter(|(run, _)| *run == slot);
            let mut parts: Vec<_> =
                free.copied().map(|part| (part, true)).chain(held.map(|(_, part)| (part, false))).collect();
            parts.sort_by_key(|(part, _)| part.first);
            let mut end = 0;
            for (part, _) in &parts {
                assert!(part.first == end && part.pages > 0, "a page is nobody's, or two have it: {parts:?}");
                end += part.pages;
            }
            assert_eq!(end, pages, "the run has all of its pages");
            let two_free = |pair: &[(Part, bool)]| pair[0].1 && pair[1].1;
            assert!(
                !parts.windows(2).any(two_free),
                "what is free is in more parts than it could be: {parts:?}"
            );
        }
        let held: u64 = self.domains.iter().filter_map(|(_, held)| Some(held.as_ref()?.1.pages)).sum();
        assert_eq!(self.memory.pages() + held, RUNS.iter().map(|(_, pages)| pages).sum());
        if held == 0 {
            assert_eq!(self.memory, FreeMemory::new(RUNS), "all is as it was");
        }
    }

    /// All of it, as bytes. What is free follows from what is held.
    fn key(&self) -> Vec<u8> {
        let held =
            |held: Option<(Slot, Part)>| held.map_or(0xff, |(run, part)| run.0 << 4 | part.first as u8);
        let of = |(stage, piece): &Domain| {
            let stage = match *stage {
                Stage::Defined => 0,
                Stage::Runs => 1,
                Stage::Starting(step) => 0x10 | step,
                Stage::Ending(step) => 0x20 | step,
            };
            [stage, held(*piece)]
        };
        self.domains.iter().flat_map(of).collect()
    }
}

#[test]
fn no_order_of_starts_ends_and_failures_loses_or_shares_a_page() {
    let first = State::new();
    let mut seen = HashSet::from([first.key()]);
    let mut open = vec![first];
    let each = (0..LENGTHS.len()).flat_map(|which| [Step::Start(which), Step::Kill(which)]);
    let steps: Vec<_> = each.chain([Step::GoOn, Step::Fail]).collect();
    while let Some(state) = open.pop() {
        for step in &steps {
            let mut next = state.clone();
            next.act(*step);
            if seen.insert(next.key()) {
                next.check();
                open.push(next);
            }
        }
    }
    // Fewer would say that something is never tried.
    assert!(seen.len() > 500, "{} states", seen.len());
}
