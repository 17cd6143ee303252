//! `cargo image`: from a manifest to a running system. The library does the work; this is the way in and out.

use std::process::ExitCode;

fn main() -> ExitCode {
    image_builder::cli::main()
}
