//! The program `cloison-verify`, for the commands of a scenario.

use std::process::ExitCode;

fn main() -> ExitCode {
    cloison_verify::cli::main()
}
