//! Changes one line of the kernel, or of what runs on it, at a time, and sees whether a test notices.
//!
//! A [`Mutation`] is a file `tests/mutations/kernel/NAME`, or `domains/NAME` beside it. A [`Tree`] is the copy of the project in which it is
//! applied, so the checkout itself never changes. A [`Verdict`] says what came of it.

mod mutation;
mod run;
mod tree;

pub use mutation::{Mutation, Notices};
pub use run::{Outcome, Runner, Verdict, project};
pub use tree::Tree;
