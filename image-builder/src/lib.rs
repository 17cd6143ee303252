//! What joins the compiler and the machine: from a manifest to the files of a system, and the command line of
//! `cargo image`.

#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used))]

pub mod build;
pub mod cli;
pub mod output;
