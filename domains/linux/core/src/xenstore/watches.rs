//! Watches: what the guest wants to be told of, and what it has not been told yet.

use heapless::{Deque, Vec};

use super::{
    Refusal,
    path::{self, Path},
};

use crate::saved::carried;

/// Watches at most.
pub const WATCHES: usize = 32;
/// Bytes of a token at most.
pub const TOKEN_BYTES: usize = 64;
/// Events at most that wait until the guest has room for them.
const EVENTS: usize = 2 * WATCHES;

#[derive(Default)]
struct Watch {
    /// As the guest gave it: events repeat its form.
    path: Path,
    token: Vec<u8, TOKEN_BYTES>,
    /// An event was lost, for there was no room. The guest is told of the watched path itself then, and looks at all
    /// below it.
    is_due: bool,
}

/// What has changed.
#[derive(Default)]
struct Event {
    watch: usize,
    /// In the form of the watch.
    path: Path,
}

/// All watches.
pub struct Watches {
    list: [Option<Watch>; WATCHES],
    events: Deque<Event, EVENTS>,
}

carried!(Watch { path, token, is_due });
carried!(Event { watch, path });
carried!(Watches { list, events });

impl Watches {
    pub const fn new() -> Self {
        Self { list: [const { None }; WATCHES], events: Deque::new() }
    }

    /// Adds a watch. It is told of its path at once.
    pub fn add(&mut self, path: &[u8], token: &[u8]) -> Result<(), Refusal> {
        path::absolute(path)?;
        if self.position(path, token).is_some() {
            return Err(Refusal::Exists);
        }
        let free = self.list.iter_mut().find(|watch| watch.is_none()).ok_or(Refusal::Full)?;
        let path = Path::from_slice(path).or(Err(Refusal::TooLong))?;
        let token = Vec::from_slice(token).or(Err(Refusal::TooLong))?;
        *free = Some(Watch { path, token, is_due: true });
        Ok(())
    }

    /// Removes a watch, and what it has not been told.
    pub fn remove(&mut self, path: &[u8], token: &[u8]) -> Result<(), Refusal> {
        let index = self.position(path, token).ok_or(Refusal::NotFound)?;
        self.list[index] = None;
        self.events.retain(|event| event.watch != index);
        Ok(())
    }

    pub fn clear(&mut self) {
        *self = Self::new();
    }

    /// Notes that a path has changed.
    pub fn changed(&mut self, path: &[u8]) {
        self.note(path, path::is_at_or_below);
    }

    /// Notes that a path is gone, with all below it.
    pub fn removed(&mut self, path: &[u8]) {
        self.note(path, |path, watched| {
            path::is_at_or_below(path, watched) || path::is_at_or_below(watched, path)
        });
    }

    /// The next event: its path and the watch's token.
    pub fn next(&mut self) -> Option<(Path, &[u8])> {
        if let Some(event) = self.events.pop_front() {
            return Some((event.path, &self.list[event.watch].as_ref()?.token));
        }
        let due = self.list.iter_mut().flatten().find(|watch| watch.is_due)?;
        due.is_due = false;
        Some((due.path.clone(), &due.token))
    }

    fn note(&mut self, path: &[u8], concerns: impl Fn(&[u8], &[u8]) -> bool) {
        for (index, watch) in self.list.iter_mut().enumerate() {
            let Some(watch) = watch else { continue };
            let is_relative = !watch.path.starts_with(b"/");
            let Some(seen) = (if is_relative { path::seen_from_home(path) } else { Some(path) }) else {
                continue;
            };
            if !concerns(seen, &watch.path) {
                continue;
            }
            // What is gone above the watched path is told as the watched path.
            let told = if path::is_at_or_below(seen, &watch.path) { seen } else { &watch.path };
            let told = Path::from_slice(told).map(|path| Event { watch: index, path });
            if told.is_ok_and(|event| self.events.push_back(event).is_ok()) {
                continue;
            }
            watch.is_due = true;
        }
    }

    fn position(&self, path: &[u8], token: &[u8]) -> Option<usize> {
        let is_it = |watch: &Watch| watch.path == path && watch.token == token;
        self.list.iter().position(|watch| watch.as_ref().is_some_and(is_it))
    }
}
