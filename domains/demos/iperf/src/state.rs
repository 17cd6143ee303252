//! The states of a test.

use crate::Error;

/// A state of a test, as it is sent: one byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i8)]
pub enum State {
    /// The clock starts.
    TestStart = 1,
    /// Data flows.
    TestRunning = 2,
    /// The client has had enough.
    TestEnd = 4,
    /// The server waits for the parameters.
    ParamExchange = 9,
    /// The server waits for the streams.
    CreateStreams = 10,
    /// The server goes.
    ServerTerminate = 11,
    /// The client goes.
    ClientTerminate = 12,
    /// Each side tells what it has seen.
    ExchangeResults = 13,
    /// The client may show the results.
    DisplayResults = 14,
    /// The client has all that it wants.
    IperfDone = 16,
    /// The server has another test to make.
    AccessDenied = -1,
    /// The server gives up. Two numbers follow, of four bytes each: iperf3's for the reason, and the system's.
    ServerError = -2,
}

impl State {
    const ALL: [Self; 12] = [
        Self::TestStart,
        Self::TestRunning,
        Self::TestEnd,
        Self::ParamExchange,
        Self::CreateStreams,
        Self::ServerTerminate,
        Self::ClientTerminate,
        Self::ExchangeResults,
        Self::DisplayResults,
        Self::IperfDone,
        Self::AccessDenied,
        Self::ServerError,
    ];

    /// The state as it is sent.
    #[must_use]
    pub const fn byte(self) -> u8 {
        (self as i8).cast_unsigned()
    }
}

impl TryFrom<u8> for State {
    type Error = Error;

    fn try_from(byte: u8) -> Result<Self, Error> {
        let state = Self::ALL.into_iter().find(|state| state.byte() == byte);
        state.ok_or(Error::Garbage("it sent a state that there is not"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_is_read_as_it_was_sent_and_no_other_byte_is_one() {
        for state in State::ALL {
            assert_eq!(State::try_from(state.byte()), Ok(state));
        }
        assert_eq!((0..=u8::MAX).filter(|byte| State::try_from(*byte).is_ok()).count(), State::ALL.len());
    }
}
