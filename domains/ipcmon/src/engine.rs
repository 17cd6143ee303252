//! What is decided: by the policy in force, by its walls, and by what was withdrawn by hand.

use cloison_abi::{
    Name,
    access::{Class, Classes, Decision, Question},
    policy::{FIRST_INDEX, MAX_POLICIES},
};
use cloison_spelling::closest;
use heapless::Vec;
use ipcmon_api::{
    control::{Counted, Refusal},
    record::Entry,
};
use ipcmon_policy::{Domains, Fault, Flow, History, Meeting, Policies, Policy};

use crate::{
    chain::Chain,
    state::{MAX_WITHDRAWN, Row, State},
    told::{Denial, Reason, Restored},
};

/// The monitor.
#[derive(Clone, Debug)]
pub struct Engine<'a> {
    policies: Policies<'a>,
    policy: Policy<'a>,
    history: History,
    withdrawn: Vec<Withdrawn, MAX_WITHDRAWN>,
    counted: Counted,
    chain: Chain,
    /// Whether it is not known what was decided in an earlier life.
    is_lost: bool,
}

/// What one domain may not do to another one, whatever the policy says.
#[derive(Clone, Copy, Debug)]
struct Withdrawn {
    subject: u8,
    object: u8,
    by: Name,
    /// How often the subject had been refused when it first tried.
    refusals_before: Option<u32>,
}

impl Withdrawn {
    fn row(&self) -> Row {
        Row {
            ends: [self.subject, self.object],
            is_tried: self.refusals_before.is_some().into(),
            refusals_before: self.refusals_before.unwrap_or(0),
            by: self.by,
        }
    }

    fn of_row(row: &Row) -> Self {
        let ([subject, object], refusals) = (row.ends, row.refusals_before);
        Self { subject, object, by: row.by, refusals_before: (row.is_tried != 0).then_some(refusals) }
    }
}

/// Why a policy is not in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotLoaded {
    /// There is none of this name. One is close to it, perhaps.
    Unknown(Option<Name>),
    /// It is none that can be in force.
    Bad(Fault),
    /// It is not known what was decided in an earlier life, so nothing is allowed.
    Lost,
}

impl core::fmt::Display for NotLoaded {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Unknown(meant) => {
                out.write_str("the manifest has no policy of this name")?;
                meant.map_or(Ok(()), |meant| write!(out, "; did you mean `{meant}`?"))
            }
            Self::Bad(fault) => fault.fmt(out),
            Self::Lost => Reason::Lost.fmt(out),
        }
    }
}

impl core::error::Error for NotLoaded {}

/// What is answered, the place of the manifest that says so (0: none), and what a person is told of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What the kernel is told.
    pub decision: Decision,
    /// The line of the rule, or of the wall.
    pub line: u32,
    /// Of a denial.
    pub denial: Option<Denial>,
}

impl<'a> Engine<'a> {
    /// The policy of this name is in force, nothing is withdrawn, nobody has done anything.
    ///
    /// # Errors
    /// [`NotLoaded`].
    pub fn new(policies: Policies<'a>, first: Name) -> Result<Self, NotLoaded> {
        let policy = find(&policies, first)?;
        let history = History::new(policies.domains());
        let counted = Counted { questions: 0, allowed: 0, denied: 0, kept: 0, refused: 0, epoch: 1 };
        let (withdrawn, chain) = (Vec::new(), Chain::new());
        Ok(Self { policies, policy, history, withdrawn, counted, chain, is_lost: false })
    }

    /// Goes on with what another life has left.
    ///
    /// # Errors
    /// [`NotLoaded`]: the policies are not those of that life.
    pub fn resume(policies: Policies<'a>, state: &State) -> Result<Self, NotLoaded> {
        let mut engine = Self::new(policies, state.policy)?;
        engine.history = state.history.clone();
        let rows = state.withdrawn.iter().take(state.rows as usize);
        engine.withdrawn = rows.map(Withdrawn::of_row).collect();
        let [questions, allowed, denied, epoch] = state.counts;
        engine.counted = Counted { questions, allowed, denied, epoch, ..engine.counted };
        engine.chain = Chain::after(state.head, state.entries);
        Ok(engine)
    }

    /// Allows nothing to anybody, as it is not known what was decided in an earlier life.
    ///
    /// # Errors
    /// [`NotLoaded`].
    pub fn lost(policies: Policies<'a>, first: Name) -> Result<Self, NotLoaded> {
        Ok(Self { is_lost: true, ..Self::new(policies, first)? })
    }

    /// Whether it is not known what was decided in an earlier life.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.is_lost
    }

    /// What another life has to know.
    #[must_use]
    pub fn state(&self) -> State {
        let mut withdrawn = [Row::default(); MAX_WITHDRAWN];
        withdrawn.iter_mut().zip(&self.withdrawn).for_each(|(row, one)| *row = one.row());
        let Counted { questions, allowed, denied, epoch, .. } = self.counted;
        State {
            policy: self.policy.name,
            history: self.history.clone(),
            withdrawn,
            counts: [questions, allowed, denied, epoch],
            head: self.chain.heads().0,
            entries: self.chain.numbers().0,
            rows: self.withdrawn.len() as u64,
        }
    }

    /// The log.
    #[must_use]
    pub fn chain(&self) -> &Chain {
        &self.chain
    }

    /// Appends to the log.
    pub fn record(&mut self, entry: Entry, time: u64) {
        self.chain.append(entry, time, self.counted.epoch);
    }

    /// Pairs from which something is withdrawn.
    pub fn withdrawn(&self) -> impl Iterator<Item = (u8, u8)> {
        self.withdrawn.iter().map(|one| (one.subject, one.object))
    }

    /// The domains that are judged, and those that are not.
    #[must_use]
    pub fn domains(&self) -> Domains<'a> {
        self.policies.domains()
    }

    /// The name of the policy in force.
    #[must_use]
    pub fn policy(&self) -> Name {
        self.policy.name
    }

    /// What has been asked so far; what the kernel counts is missing.
    #[must_use]
    pub fn counted(&self) -> Counted {
        self.counted
    }

    /// Answers a question. `refusals`: how often the subject has been refused so far.
    pub fn judge(&mut self, question: Question, refusals: u32) -> Answer {
        let Question { subject, object, class, .. } = question;
        let flow = Flow { subject, object, class };
        self.counted.questions += 1;
        let (line, reason) = match self.decide(flow, refusals) {
            Ok(line) => {
                self.counted.allowed += 1;
                return Answer { decision: Decision::Allow, line, denial: None };
            }
            Err(denied) => denied,
        };
        self.counted.denied += 1;
        let ends = [subject, object].map(|index| self.domains().name(index));
        let denial = Some(Denial { question, ends, reason });
        Answer { decision: Decision::Deny, line, denial }
    }

    /// The line that allows it, or the one that does not, and why.
    fn decide(&mut self, flow: Flow, refusals: u32) -> Result<u32, (u32, Reason)> {
        let domains = self.domains();
        if self.is_lost {
            return Err((0, Reason::Lost));
        }
        if let Some(place) = self.place(flow.subject, flow.object) {
            let withdrawn = &mut self.withdrawn[place];
            withdrawn.refusals_before.get_or_insert(refusals);
            return Err((0, Reason::WithdrawnBy(withdrawn.by)));
        }
        if u32::from(flow.object) == FIRST_INDEX - 1 && flow.class == Class::Call {
            // The builder has no type. Its one gate is the manager's, by a right that the manifest gives.
            return Ok(0);
        }
        let Some(rule) = self.policy.rule(domains, flow) else {
            let kinds = [flow.subject, flow.object].map(|index| domains.kind_of(index));
            return Err((0, Reason::NoRule(kinds)));
        };
        match self.history.open(domains, self.policy.walls, flow) {
            Ok(()) => Ok(rule.line),
            Err(meeting) => Err(self.wall(flow, meeting)),
        }
    }

    fn wall(&self, flow: Flow, Meeting { wall, at, known, learned }: Meeting) -> (u32, Reason) {
        let domains = self.domains();
        let other = if at == flow.subject { flow.object } else { flow.subject };
        let is_news = domains.kind(other) != Some(learned);
        let also = is_news.then(|| [domains.name(other), domains.kind_name(learned)]);
        let (name, line) =
            self.policy.walls.get(wall).map_or((Name::EMPTY, 0), |wall| (wall.name, wall.line));
        let is_own = domains.kind(at) == Some(known);
        let (at, known) = (domains.name(at), domains.kind_name(known));
        (line, Reason::Wall { name, line, at, known, is_own, also })
    }

    /// The indices of two domains of which one is to be withdrawn something.
    ///
    /// # Errors
    /// [`Refusal::Unknown`], [`Refusal::NotJudged`].
    pub fn ends(&self, subject: Name, object: Name) -> Result<(u8, u8), Refusal> {
        let domains = self.domains();
        let find = |name| domains.find(name).ok_or(Refusal::Unknown);
        let (subject, object) = (find(subject)?, find(object)?);
        let is_judged =
            domains.judged().any(|(index, classes)| index == subject && classes == Classes::ASKED);
        if is_judged && subject != object { Ok((subject, object)) } else { Err(Refusal::NotJudged) }
    }

    /// From now on the subject may do nothing to the object; `by`: who wants it so.
    ///
    /// # Errors
    /// [`Refusal::Full`].
    pub fn withdraw(&mut self, (subject, object): (u8, u8), by: Name) -> Result<(), Refusal> {
        if self.place(subject, object).is_none() {
            let withdrawn = Withdrawn { subject, object, by, refusals_before: None };
            self.withdrawn.push(withdrawn).map_err(|_| Refusal::Full)?;
        }
        Class::ALL.into_iter().for_each(|class| self.history.close(Flow { subject, object, class }));
        Ok(())
    }

    /// Whether two domains are to have no memory together, as far as that is the subject's to decide: what a policy allows,
    /// and is withdrawn, or not allowed by the policy in force. What no policy speaks of, the manifest has them share.
    #[must_use]
    pub fn closes_memory(&self, subject: u8, object: u8) -> bool {
        let flow = Flow { subject, object, class: Class::Share };
        let is_allowed = self.policy.rule(self.domains(), flow).is_some();
        let is_narrower = !is_allowed && self.policies.ever_allow(flow);
        is_narrower || self.is_withdrawn(subject, object)
    }

    /// Whether the subject may do nothing to the object, whatever the policy says.
    #[must_use]
    pub fn is_withdrawn(&self, subject: u8, object: u8) -> bool {
        self.is_lost || self.place(subject, object).is_some()
    }

    /// The policy decides again. `refusals`: how often the subject has been refused so far. Nothing if nothing was
    /// withdrawn.
    pub fn restore(&mut self, ends: (u8, u8), refusals: u32) -> Option<Restored> {
        let withdrawn = self.withdrawn.swap_remove(self.place(ends.0, ends.1)?);
        // The first is the one of which a person was told.
        let refused =
            withdrawn.refusals_before.map_or(0, |before| refusals.wrapping_sub(before).saturating_sub(1));
        Some(Restored { ends, refused })
    }

    /// Another policy is in force. What has been learned is not forgotten, and what was withdrawn by hand stays so; what
    /// is open stays open if the new policy would open it now. Returns what does not.
    ///
    /// # Errors
    /// [`NotLoaded`]; then the old one stays in force.
    pub fn load(&mut self, name: Name) -> Result<impl Iterator<Item = Flow> + use<'a>, NotLoaded> {
        let (policy, domains) = (find(&self.policies, name)?, self.domains());
        if self.is_lost {
            return Err(NotLoaded::Lost);
        }
        let before = self.history.clone();
        before.flows().for_each(|flow| self.history.close(flow));
        let is_allowed = move |flow: &Flow| policy.rule(domains, *flow).is_some();
        for flow in before.flows().filter(is_allowed) {
            // What a wall does not let open any more stays closed.
            let _ = self.history.open(domains, policy.walls, flow);
        }
        self.policy = policy;
        self.counted.epoch += 1;
        let after = self.history.clone();
        Ok(before.flows().filter(move |flow| !after.is_open(*flow) || !is_allowed(flow)))
    }

    fn place(&self, subject: u8, object: u8) -> Option<usize> {
        self.withdrawn.iter().position(|one| (one.subject, one.object) == (subject, object))
    }
}

fn find<'a>(policies: &Policies<'a>, name: Name) -> Result<Policy<'a>, NotLoaded> {
    policies.find(name).map_err(NotLoaded::Bad)?.ok_or_else(|| NotLoaded::Unknown(meant(policies, name)))
}

/// The policy that somebody meant who has misspelt its name.
fn meant(policies: &Policies<'_>, name: Name) -> Option<Name> {
    let mut names: Vec<Name, MAX_POLICIES> = Vec::new();
    // There are no more than that.
    names.extend(policies.names().take(MAX_POLICIES));
    let meant = closest(name.as_str(), names.iter().map(Name::as_str))?;
    Name::new(meant)
}
