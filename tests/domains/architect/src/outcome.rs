//! What an act comes to.

use alloc::{
    format,
    string::{String, ToString},
};
use core::fmt::{self, Debug, Display};

use cloison_abi::CallError;

/// Nothing, or what went wrong.
pub type Outcome<T = ()> = Result<T, Wrong>;

/// What went wrong, for a person.
#[derive(Debug)]
pub struct Wrong(String);

impl Wrong {
    /// What a person is told.
    pub const fn new(what: String) -> Self {
        Self(what)
    }
}

impl Display for Wrong {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl From<CallError> for Wrong {
    fn from(error: CallError) -> Self {
        Self(error.to_string())
    }
}

/// A call has to be refused with this error.
pub fn refused<T: Debug>(result: Result<T, CallError>, error: CallError) -> Outcome {
    same(result.map_err(|found| found as i32).err(), Some(error as i32))
}

/// Two values have to be the same.
pub fn same<T: PartialEq + Debug>(found: T, expected: T) -> Outcome {
    if found == expected { Ok(()) } else { Err(Wrong(format!("found {found:?}, expected {expected:?}"))) }
}
