//! See [`cloison_verify::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    cloison_verify::cli::main()
}
