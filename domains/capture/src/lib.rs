//! The format of a capture, and which frames belong into it.

#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

mod filter;
mod pcap;

pub use filter::{BadArguments, Filter};
pub use pcap::{FILE_HEADER, record_header, recorded};
