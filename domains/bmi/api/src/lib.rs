//! How domains have others started, watched and ended: the gate `bmi`, and the command `bmic`, which is the same wherever it
//! is typed.
//!
//! * [`manage`] is the gate's interface, and the builder's: BMI judges, and passes on.
//! * [`Command`] is what a line of `bmic` asks for; [`carry_out`] does it and tells a person how it went.
//! * [`Desk`] does so for bytes of a terminal that another one has.
//! * [`closest`] finds what somebody meant.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod carry_out;
mod command;
mod desk;
mod text;

pub use builder_api::{DIGEST_BYTES, ManageError, REGISTER_NAMES, REGISTERS, State, manage};
pub use carry_out::{Around, Digest, Status, carry_out, domains, groups};
pub use cloison_spelling::closest;
pub use command::{Command, MANUAL, OPTIONS, UsageError, did_you_mean};
pub use desk::Desk;
pub use text::text;
