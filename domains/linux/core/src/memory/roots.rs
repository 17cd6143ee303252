//! Lower halves: one space for each root that the guest's kernel uses, as long as there are spaces.

use cloison_abi::guest::GUEST_SPACES;
use cloison_abi::limits::PAGE_BYTES;

use super::Paging;
use super::entry::{Entry, LEVELS, TABLE_ENTRIES, index, pages_below};
use super::fault::hide;
use super::walk::{Path, load};
use crate::machine::{Machine, Memory, Space};

/// Pages of a lower half.
const HALF_PAGES: u64 = pages_below(LEVELS) * TABLE_ENTRIES / 2;

/// A space, and what its lower half shows.
#[derive(Clone, Copy)]
struct Lower {
    /// The kernel has made it.
    is_made: bool,
    /// The root of the guest's kernel that it is for.
    root: Option<u32>,
    /// The root of user programs for which it shows what it does.
    user: Option<u32>,
    /// It shows something.
    shown: bool,
    /// It shows something that user programs may not see, or the guest's kernel not.
    one_sided: bool,
    /// A root of it has ended while the space was in use: what it shows does not outlive that.
    is_over: bool,
    /// When it was switched to.
    switched: u64,
    /// The version of the upper half that its root has been compared with.
    settled: u64,
}

impl Lower {
    const NONE: Self = Self {
        is_made: false,
        root: None,
        user: None,
        shown: false,
        one_sided: false,
        is_over: false,
        switched: 0,
        settled: 0,
    };
}

/// All spaces.
pub struct Roots {
    spaces: [Lower; GUEST_SPACES],
    current: usize,
    switches: u64,
}

impl Roots {
    pub(super) const fn new() -> Self {
        Self { spaces: [Lower::NONE; GUEST_SPACES], current: 0, switches: 0 }
    }

    /// The first space is for a root.
    pub(super) fn start(&mut self, root: u32) {
        *self = Self::new();
        self.spaces[0] = Lower { is_made: true, root: Some(root), ..Lower::NONE };
    }

    /// The space in use.
    pub(super) fn current(&self) -> Space {
        Space(self.current as u8)
    }

    /// Whether there is a space: a place can outlive its own (see [`Places`](super::places::Places)).
    pub(super) fn has(&self, space: Space) -> bool {
        self.spaces[usize::from(space.0)].is_made
    }

    /// The root in use is compared with a version of the upper half. Returns with which it was before.
    pub(super) fn replace_settled(&mut self, version: u64) -> u64 {
        core::mem::replace(&mut self.spaces[self.current].settled, version)
    }

    /// Whether the space in use shows what only one side may see.
    pub(super) fn is_one_sided(&self) -> bool {
        self.spaces[self.current].one_sided
    }

    /// The roots for which a space shows what it does, of the guest's kernel and of user programs.
    pub(super) fn of_space(&self, space: Space) -> [Option<u32>; 2] {
        let lower = &self.spaces[usize::from(space.0)];
        [lower.root, lower.user]
    }

    /// Whether a space shows what only one side may see.
    pub(super) fn is_one_sided_in(&self, space: Space) -> bool {
        self.spaces[usize::from(space.0)].one_sided
    }

    /// Whether it shows the same to user programs with this root and to the guest's kernel.
    pub(super) fn is_even(&self, user: Option<u32>) -> bool {
        let space = &self.spaces[self.current];
        space.user == user && !space.one_sided
    }

    /// The space of a root.
    fn of(&self, root: u32) -> Option<usize> {
        self.spaces.iter().position(|space| space.root == Some(root))
    }

    /// The space that was not used for the longest time, of those that fit.
    fn oldest(&self, fits: impl Fn(usize, &Lower) -> bool) -> Option<usize> {
        let fitting = self.spaces.iter().enumerate().filter(|(number, space)| fits(*number, space));
        fitting.min_by_key(|(_, space)| space.switched).map(|(number, _)| number)
    }

    fn switch(&mut self, number: usize, root: u32) {
        self.switches += 1;
        self.current = number;
        let space = &mut self.spaces[number];
        if space.root != Some(root) {
            space.settled = 0;
        }
        (space.root, space.is_made, space.is_over) = (Some(root), true, false);
        space.switched = self.switches;
    }
}

impl Paging {
    /// Takes another root for the guest's kernel. A root that is already in use is flushed, as by a CPU.
    pub(super) fn change_root(&mut self, machine: &mut impl Machine, root: u32) {
        if self.keeps && self.kernel != root {
            let number = self.roots.of(root).unwrap_or_else(|| self.vacate(machine));
            let left = self.roots.current;
            self.roots.switch(number, root);
            if self.roots.spaces[left].is_over && left != number {
                self.leave_space(machine, left);
            }
        } else {
            if self.kernel != root || !self.sees_all() {
                self.drop_lower(machine);
            }
            self.roots.switch(self.roots.current, root);
        }
        self.kernel = root;
        self.tables.learn(root);
        self.settle_upper_once(machine);
    }

    /// A space that shows nothing in its lower half: a new one, or that of another root.
    fn vacate(&mut self, machine: &mut impl Machine) -> usize {
        let spaces = &self.roots.spaces;
        let left = spaces.iter().position(|space| space.root.is_none() && space.is_made);
        let unused = || spaces.iter().position(|space| space.root.is_none());
        if let Some(number) = left.or_else(unused)
            && (spaces[number].is_made || machine.create(Space(number as u8)).is_ok())
        {
            return number;
        }
        let number = self.roots.oldest(|_, space| space.root.is_some()).unwrap_or(self.roots.current);
        self.drop_lower_of(machine, number);
        number
    }

    /// A frame is no root any more.
    pub(super) fn end_root(&mut self, machine: &mut impl Machine, root: u32) {
        for number in 0..GUEST_SPACES {
            let space = &self.roots.spaces[number];
            let is_current = number == self.roots.current;
            let user = if is_current { self.user } else { space.user };
            if ![space.root, space.user, user].contains(&Some(root)) {
                continue;
            }
            if is_current {
                self.drop_lower(machine);
                self.roots.spaces[number].is_over = true;
            } else {
                self.leave_space(machine, number);
            }
        }
    }

    /// Lets a space that is not in use show nothing; the next root takes it. To make one costs more.
    fn leave_space(&mut self, machine: &mut impl Machine, number: usize) {
        self.drop_lower_of(machine, number);
        let lower = &mut self.roots.spaces[number];
        *lower = Lower { is_made: lower.is_made, ..Lower::NONE };
    }

    /// Gives a space back that is not in use. The first stays, for the upper half is its own.
    fn end_space(&mut self, machine: &mut impl Machine, number: usize) {
        if number == 0 {
            self.drop_lower_of(machine, 0);
            (self.roots.spaces[0].root, self.roots.spaces[0].is_over) = (None, false);
        } else if self.roots.spaces[number].is_made {
            machine.destroy(Space(number as u8));
            self.places.forget(Space(number as u8));
            self.roots.spaces[number] = Lower::NONE;
        }
    }

    /// Makes what is shown in the space in use fit the root of user programs.
    pub(super) fn settle(&mut self, machine: &mut impl Machine) {
        if self.roots.spaces[self.roots.current].user != self.user {
            self.drop_lower(machine);
            self.roots.spaces[self.roots.current].user = self.user;
        }
    }

    /// Shows nothing in the lower half of the space in use.
    pub(super) fn drop_lower(&mut self, machine: &mut impl Machine) {
        self.drop_lower_of(machine, self.roots.current);
    }

    fn drop_lower_of(&mut self, machine: &mut impl Machine, number: usize) {
        let space = Space(number as u8);
        let lower = &mut self.roots.spaces[number];
        if lower.shown {
            (lower.shown, lower.one_sided) = (false, false);
            hide(machine, space, 0, HALF_PAGES);
            self.places.forget(space);
            self.counters.drops += 1;
        }
    }

    /// Shows nothing at all any more.
    pub(super) fn drop_all(&mut self, machine: &mut impl Machine) {
        for number in 0..GUEST_SPACES {
            self.drop_lower_of(machine, number);
        }
        self.drop_upper(machine);
        self.places.clear();
    }

    /// Gives up what is shown, a part at a time: spaces that are not in use, the lower half, the upper half. The last two
    /// are tried once each. Returns whether something was given up.
    pub(super) fn make_room(&mut self, machine: &mut impl Machine, tried: &mut u8) -> bool {
        let current = self.roots.current;
        let elsewhere =
            |number, space: &Lower| number != current && space.is_made && (number > 0 || space.shown);
        if let Some(number) = self.roots.oldest(elsewhere) {
            self.end_space(machine, number);
        } else {
            *tried += 1;
            match *tried {
                1 => self.drop_lower(machine),
                2 => self.drop_upper(machine),
                _ => return false,
            }
        }
        self.counters.evictions += 1;
        true
    }

    /// Notes that a page of the lower half is about to be shown.
    pub(super) fn note_lower(&mut self, memory: &impl Memory, address: u64, path: &Path) {
        let both_see = self.both_see(memory, address, path);
        let lower = &mut self.roots.spaces[self.roots.current];
        lower.shown = true;
        lower.one_sided |= !both_see;
    }

    /// Whether user programs and the guest's kernel are let through alike to a page of the lower half: kernel and user
    /// share the shadow of it.
    fn both_see(&self, memory: &impl Memory, address: u64, path: &Path) -> bool {
        let Some(user) = self.user else { return true };
        let at = index(address, LEVELS);
        let entry = |root| load(memory, root, at).unwrap_or(Entry(0));
        path.user() && entry(user).is_like(entry(self.kernel))
    }

    /// Takes back what is shown in lower halves because of an entry of a root.
    pub(super) fn take_back_root(&mut self, machine: &mut impl Machine, root: u32, entry: u64) {
        let pages = pages_below(LEVELS);
        for (number, space) in self.roots.spaces.iter().enumerate() {
            if space.shown && (space.root == Some(root) || space.user == Some(root)) {
                hide(machine, Space(number as u8), entry * pages * PAGE_BYTES, pages);
            }
        }
    }
}
