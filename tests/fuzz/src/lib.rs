//! Fuzz targets: each takes bytes as an enemy may have written them, and panics if what reads them goes wrong.

mod targets {
    pub mod checksums;
    pub mod devices;
    pub mod dhcp;
    pub mod dns;
    pub mod enrolment;
    pub mod event_log;
    pub mod evidence;
    pub mod frames;
    pub mod guest;
    pub mod http;
    pub mod instruction;
    pub mod iperf;
    pub mod loader;
    pub mod old_quote;
    pub mod partitions;
    pub mod query;
    pub mod rows;
    pub mod switch;
    pub mod tis;
    pub mod vmlinuz;
    pub mod xenstore;
}

/// A target.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name, which is that of its folder in `corpus/`.
    pub name: &'static str,
    /// What it does with an input.
    pub run: fn(&[u8]),
}

/// Every target.
pub const TARGETS: &[Target] = &[
    Target { name: "checksums", run: targets::checksums::run },
    Target { name: "devices", run: targets::devices::run },
    Target { name: "dhcp", run: targets::dhcp::run },
    Target { name: "dns", run: targets::dns::run },
    Target { name: "enrolment", run: targets::enrolment::run },
    Target { name: "event-log", run: targets::event_log::run },
    Target { name: "evidence", run: targets::evidence::run },
    Target { name: "frames", run: targets::frames::run },
    Target { name: "guest", run: targets::guest::run },
    Target { name: "http", run: targets::http::run },
    Target { name: "instruction", run: targets::instruction::run },
    Target { name: "iperf", run: targets::iperf::run },
    Target { name: "loader", run: targets::loader::run },
    Target { name: "old-quote", run: targets::old_quote::run },
    Target { name: "partitions", run: targets::partitions::run },
    Target { name: "query", run: targets::query::run },
    Target { name: "rows", run: targets::rows::run },
    Target { name: "switch", run: targets::switch::run },
    Target { name: "tis", run: targets::tis::run },
    Target { name: "vmlinuz", run: targets::vmlinuz::run },
    Target { name: "xenstore", run: targets::xenstore::run },
];

/// The target with this name.
#[must_use]
pub fn target(name: &str) -> Option<Target> {
    TARGETS.iter().copied().find(|target| target.name == name)
}
