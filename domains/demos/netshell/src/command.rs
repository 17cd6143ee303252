//! What a client can ask, and what it is told if it asks something else.

use alloc::string::String;
use core::{fmt, net::Ipv4Addr};

/// A command of the shell, as typed in a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// List the commands.
    Help,
    /// Of the software.
    Version,
    /// Name of the domain and of its system.
    Name,
    /// Digest of the system's manifest.
    Manifest,
    /// How long the domain has been running.
    Uptime,
    /// What has passed the domain's port.
    Counters,
    /// The domain's arguments.
    Cmdline,
    /// Ask a host, or all, whether they are there.
    Ping(Ipv4Addr),
    /// End the session.
    Quit,
}

/// Why a line is no command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Complaint {
    /// Nobody knows this word.
    UnknownWord(String),
    /// More words than the command takes.
    TooManyWords(&'static str),
    /// `ping` was not told whom.
    NoAddress,
    /// Not an IPv4 address.
    BadAddress(String),
}

/// A command as it is typed, and what it does.
pub(crate) struct Entry {
    word: &'static str,
    usage: &'static str,
    summary: &'static str,
    command: Command,
}

const fn entry(word: &'static str, usage: &'static str, summary: &'static str, command: Command) -> Entry {
    Entry { word, usage, summary, command }
}

/// All commands.
pub(crate) const ENTRIES: [Entry; 9] = [
    entry("help", "help", "this list", Command::Help),
    entry("version", "version", "version of Cloison", Command::Version),
    entry("name", "name", "name of this domain and of its system", Command::Name),
    entry("manifest", "manifest", "SHA-256 of the system's manifest", Command::Manifest),
    entry("uptime", "uptime", "how long this domain has been running", Command::Uptime),
    entry(
        "counters",
        "counters",
        "frames and bytes at this domain's port, and at the switch",
        Command::Counters,
    ),
    entry("cmdline", "cmdline", "the arguments that the manifest gives this domain", Command::Cmdline),
    entry("ping", "ping ADDRESS", "ask a host for an answer, or all by the broadcast address", PING),
    entry("quit", "quit", "end the session", Command::Quit),
];

/// What Linux is asked for the same as `cmdline`: with this the L4 report asks its domains.
const CMDLINE_FILE: [&str; 2] = ["cat", "/proc/cmdline"];

const PING: Command = Command::Ping(Ipv4Addr::UNSPECIFIED);

impl Command {
    /// The command in a line; `None` if there is nothing but blanks in it.
    ///
    /// # Errors
    /// What is wrong with the line.
    pub fn parse(line: &str) -> Result<Option<Self>, Complaint> {
        let line = if line.split_ascii_whitespace().eq(CMDLINE_FILE) { "cmdline" } else { line };
        let mut words = line.split_ascii_whitespace();
        let Some(word) = words.next() else { return Ok(None) };
        let entry = ENTRIES.iter().find(|entry| entry.word == word);
        let entry = entry.ok_or_else(|| Complaint::UnknownWord(word.into()))?;
        let command = match entry.command {
            Command::Ping(_) => {
                let address = words.next().ok_or(Complaint::NoAddress)?;
                Self::Ping(address.parse().map_err(|_| Complaint::BadAddress(address.into()))?)
            }
            ref command => command.clone(),
        };
        if words.next().is_some() { Err(Complaint::TooManyWords(entry.usage)) } else { Ok(Some(command)) }
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:14}{}", self.usage, self.summary)
    }
}

impl fmt::Display for Complaint {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownWord(word) => {
                write!(out, "there is no command `{word}`; `help` lists those that there are")
            }
            Self::TooManyWords(usage) => write!(out, "too many words; it is used so: {usage}"),
            Self::NoAddress => out.write_str("ping whom? It is used so: ping ADDRESS"),
            Self::BadAddress(word) => write!(out, "`{word}` is no IPv4 address, such as 192.168.0.12"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_command_is_found_by_its_word() {
        for entry in &ENTRIES {
            let parsed = Command::parse(&entry.usage.replace("ADDRESS", "0.0.0.0"));
            assert_eq!(parsed, Ok(Some(entry.command.clone())));
        }
    }

    #[test]
    fn the_arguments_can_be_read_as_a_file() {
        assert_eq!(Command::parse(" cat  /proc/cmdline\r"), Ok(Some(Command::Cmdline)));
        for other in ["cat", "cat /proc/cpuinfo", "cat /proc/cmdline /proc/cmdline"] {
            assert_eq!(Command::parse(other), Err(Complaint::UnknownWord("cat".into())));
        }
    }

    #[test]
    fn what_is_no_command_is_refused() {
        assert_eq!(Command::parse(" \t "), Ok(None));
        assert_eq!(Command::parse("rm -rf /"), Err(Complaint::UnknownWord("rm".into())));
        assert_eq!(Command::parse("HELP"), Err(Complaint::UnknownWord("HELP".into())));
        assert_eq!(Command::parse("name you"), Err(Complaint::TooManyWords("name")));
        assert_eq!(Command::parse("ping"), Err(Complaint::NoAddress));
        assert_eq!(Command::parse("ping 1.2.3.4 5"), Err(Complaint::TooManyWords("ping ADDRESS")));
        assert_eq!(Command::parse("ping 1.2.3"), Err(Complaint::BadAddress("1.2.3".into())));
    }
}
