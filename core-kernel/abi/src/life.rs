//! Where a domain is in its life, as [`DomainInfo`](crate::CallNumber::DomainInfo) tells it.

/// Where a domain is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum DomainState {
    /// It has not been started, has ended, or was stopped.
    Stopped = 0,
    /// It runs, or waits for something.
    Running = 1,
    /// It is held, or will be when the call that it makes comes to its end.
    Paused = 2,
    /// It has faulted, and somebody decides what happens then.
    Faulted = 3,
}

impl DomainState {
    /// The state with this number.
    #[must_use]
    pub fn from_number(number: u32) -> Option<Self> {
        [Self::Stopped, Self::Running, Self::Paused, Self::Faulted]
            .get(usize::try_from(number).ok()?)
            .copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_state_has_its_number() {
        for state in [DomainState::Stopped, DomainState::Running, DomainState::Paused, DomainState::Faulted] {
            assert_eq!(DomainState::from_number(state as u32), Some(state));
        }
        assert_eq!(DomainState::from_number(4), None);
    }
}
