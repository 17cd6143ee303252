//! `cargo mutations`: changes one line at a time, and prints which test notices.

use std::{collections::BTreeSet, env, path::PathBuf, process::ExitCode, time::Instant};

use clap::Parser;
use mutations::{Mutation, Outcome, Runner, Tree, Verdict, project};

/// Changes one line of the kernel or of a domain at a time, in a copy, and prints which test notices
#[derive(Debug, Parser)]
#[command(name = "cargo mutations", bin_name = "cargo mutations")]
struct Arguments {
    /// Only those whose name contains one of these texts
    names: Vec<String>,
    /// Say what there is, and run nothing
    #[arg(long)]
    list: bool,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Returns whether every mutation is noticed by the test that its file names.
fn run(arguments: &Arguments) -> Result<bool, String> {
    let mut mutations = Mutation::read_all(&project())?;
    let asked = |name: &str| arguments.names.iter().any(|part| name.contains(part.as_str()));
    mutations.retain(|mutation| arguments.names.is_empty() || asked(&mutation.name));
    if mutations.is_empty() {
        return Err("no mutation has such a name; `--list` says which there are".to_owned());
    }
    if arguments.list {
        for Mutation { name, notices, reason, .. } in &mutations {
            println!("{name:<40} {:<50} {reason}", notices.to_string());
        }
        return Ok(true);
    }
    let place = target().join("mutations");
    let tree = Tree::copy(&project(), place.join("tree"))?;
    let runner = Runner::new(&tree, place.join("target"), place.join("last.log"));
    check_green(&runner, &mutations)?;
    try_all(&runner, &mutations)
}

fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| project().join("target"), PathBuf::from)
}

/// A test that is red without any change says nothing about one.
fn check_green(runner: &Runner<'_>, mutations: &[Mutation]) -> Result<(), String> {
    let tests: BTreeSet<_> = mutations.iter().map(|mutation| &mutation.notices).collect();
    for test in tests {
        eprintln!("without a change: {test}");
        match runner.test(test).map_err(|error| format!("cannot run cargo: {error}"))? {
            Outcome::Green => {}
            Outcome::Red => return Err(format!("`{test}` is red without any change")),
            Outcome::Broken => return Err(format!("`{test}` is no test, or does not compile")),
        }
    }
    Ok(())
}

fn try_all(runner: &Runner<'_>, mutations: &[Mutation]) -> Result<bool, String> {
    let mut noticed = 0;
    println!("| mutation | file | test that has to notice | verdict | s |\n| --- | --- | --- | --- | ---: |");
    for mutation in mutations {
        let begin = Instant::now();
        let verdict = runner.try_out(mutation).map_err(|error| format!("{}: {error}", mutation.name))?;
        let seconds = begin.elapsed().as_secs();
        let Mutation { name, file, notices, .. } = mutation;
        println!("| {name} | {file} | {notices} | {} | {seconds} |", verdict.word());
        noticed += usize::from(verdict == Verdict::Noticed);
    }
    println!("\n{noticed} of {} mutations are noticed by the test that they name", mutations.len());
    Ok(noticed == mutations.len())
}
