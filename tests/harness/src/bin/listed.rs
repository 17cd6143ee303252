//! Compares what a domain's page says of a system's domains with what `bmic --list` has printed.
//!
//! ```text
//! listed CONSOLE WHO < STATUS
//! ```
//!
//! CONSOLE is what was printed, with the last list of the domain WHO in it; STATUS is `status.json` of the page. CPU time goes on
//! between the two, so that of the page has to be at least that of the list.

use std::{env, error::Error, fs, io, process::ExitCode};

use serde_json::Value;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let compared = match &arguments[..] {
        [console, who] => compare(console, who),
        _ => Err("listed CONSOLE WHO < STATUS".into()),
    };
    match compared {
        Ok(count) => println!("{count} domains are as bmic lists them"),
        Err(error) => println!("the page is wrong: {error}"),
    }
    ExitCode::SUCCESS
}

/// How many domains both tell of, in the same way.
fn compare(console: &str, who: &str) -> Result<usize, Box<dyn Error>> {
    let status: Value = serde_json::from_str(&io::read_to_string(io::stdin())?)?;
    let told = status["domains"].as_array().ok_or("it has no list of domains")?;
    let console = fs::read_to_string(console)?;
    let listed = last_list(&console, who);
    if told.len() != listed.len() {
        return Err(format!("it has {} domains, and bmic {}", told.len(), listed.len()).into());
    }
    for (told, listed) in told.iter().zip(&listed) {
        if !is_same(told, listed) {
            return Err(format!("it says {told}, and bmic {listed:?}").into());
        }
    }
    Ok(told.len())
}

/// The rows of the last list, by their words.
fn last_list<'a>(console: &'a str, who: &str) -> Vec<Vec<&'a str>> {
    let prefix = format!("{who} | ");
    let lines = console.lines().filter_map(|line| line.trim_end().strip_prefix(&*prefix));
    let words = lines.map(|line| line.split_whitespace().collect::<Vec<_>>());
    words.fold(Vec::new(), |mut rows, words| {
        match words.first() {
            Some(&"id") => rows.clear(),
            Some(id) if u8::from_str_radix(id, 16).is_ok() => rows.push(words),
            _ => {}
        }
        rows
    })
}

/// Whether a domain of the page is that of a row: `c linux1 running 83764 KiB 3704 ms`, or `5 run at boot - -`.
fn is_same(told: &Value, row: &[&str]) -> bool {
    let (name, state) = (told["name"].as_str(), told["state"].as_str());
    let figures = [&told["kib"], &told["cpu_ms"]].map(Value::as_u64);
    match *row {
        [_, domain, "at", "boot", "-", "-"] => {
            [name, state] == [Some(domain), Some("at boot")] && figures == [None; 2]
        }
        [_, domain, listed, "-", cpu, "ms"] => {
            [name, state] == [Some(domain), Some(listed)]
                && figures[0] == Some(0)
                && is_later(figures[1], cpu)
        }
        [_, domain, listed, kib, "KiB", cpu, "ms"] => {
            let is_so = [name, state] == [Some(domain), Some(listed)] && figures[0] == kib.parse().ok();
            is_so && is_later(figures[1], cpu)
        }
        _ => false,
    }
}

fn is_later(told: Option<u64>, listed: &str) -> bool {
    told.zip(listed.parse().ok()).is_some_and(|(told, listed): (u64, u64)| told >= listed)
}
