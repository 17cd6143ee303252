//! Asking QEMU about the machine, by its monitor protocol (QMP).

use std::{
    io::{Read, Write},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
};

use crate::{Failure, scratch::Scratch};

/// The socket's file.
const SOCKET: &str = "monitor";
/// The questions: whether the machine runs, and the registers of all its CPUs.
const QUESTIONS: &[u8] = br#"{"execute":"query-status"}
{"execute":"human-monitor-command","arguments":{"command-line":"info registers -a"}}
"#;
/// Bit of the flags register: interrupts are on.
const INTERRUPT_FLAG: u64 = 1 << 9;

/// The socket at which a machine can be asked. Nothing here waits for QEMU.
#[derive(Debug)]
pub struct Monitor {
    folder: Scratch,
    stream: Option<UnixStream>,
    text: Vec<u8>,
}

/// The state of a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Activity {
    /// It runs, or waits for an interrupt.
    Runs,
    /// Somebody has stopped it, such as a debugger.
    IsPaused,
    /// All its CPUs are halted, and no interrupt can wake them.
    IsDead,
}

impl Monitor {
    /// Prepares a place for the socket.
    ///
    /// # Errors
    ///
    /// When a folder cannot be made.
    pub fn new(parent: &Path) -> Result<Self, Failure> {
        Ok(Self { folder: Scratch::new(parent)?, stream: None, text: Vec::new() })
    }

    /// The socket, for [`Machine::monitor`](super::Machine::monitor).
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.folder.short(SOCKET)
    }

    /// The answer to the last question, if there is one, and the next question.
    pub(super) fn ask(&mut self) -> Option<Activity> {
        let socket = self.socket();
        let stream = match &mut self.stream {
            Some(stream) => stream,
            // QEMU opens it some time after its start.
            unconnected => unconnected.insert(connect(&socket)?),
        };
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = stream.read(&mut buffer) {
            self.text.extend_from_slice(&buffer[..count]);
        }
        let answer = activity(&String::from_utf8_lossy(&self.text));
        if answer.is_some() {
            self.text.clear();
            let _ = stream.write_all(QUESTIONS);
        }
        answer
    }
}

fn connect(socket: &Path) -> Option<UnixStream> {
    let mut stream = UnixStream::connect(socket).ok()?;
    stream.set_nonblocking(true).ok()?;
    stream.write_all(b"{\"execute\":\"qmp_capabilities\"}\n").ok()?;
    stream.write_all(QUESTIONS).ok()?;
    Some(stream)
}

/// The state in the answers. `None` while they are not complete.
fn activity(text: &str) -> Option<Activity> {
    let (_, status) = text.split_once("\"running\": ")?;
    let (_, registers) = status.split_once("HLT=")?;
    registers.contains("\"}").then_some(())?;
    if !status.starts_with("true") {
        return Some(Activity::IsPaused);
    }
    let mut flags = words(status, "FL=").filter_map(|flags| u64::from_str_radix(flags, 16).ok());
    let is_deaf = flags.all(|flags| flags & INTERRUPT_FLAG == 0);
    let is_halted = words(status, "HLT=").all(|halted| halted.starts_with('1'));
    Some(if is_deaf && is_halted { Activity::IsDead } else { Activity::Runs })
}

/// The values behind each `key`.
fn words<'a>(text: &'a str, key: &'a str) -> impl Iterator<Item = &'a str> {
    text.split(key).skip(1).map(|rest| rest.split([' ', '\\', '"']).next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(running: bool, cpus: &[(&str, u8)]) -> String {
        let cpus: String = cpus
            .iter()
            .map(|(flags, halted)| {
                format!("\\r\\nCPU#0\\r\\nEAX=00000000\\r\\nEIP=001000ea EFL={flags} [---Z-P-] CPL=0 II=0 A20=1 SMM=0 HLT={halted}\\r\\nES =0010")
            })
            .collect();
        format!(
            "{{\"QMP\": {{}}}}\r\n{{\"return\": {{}}}}\r\n\
             {{\"return\": {{\"status\": \"x\", \"singlestep\": false, \"running\": {running}}}}}\r\n{{\"return\": \"{cpus}\"}}\r\n"
        )
    }

    #[test]
    fn a_machine_is_dead_if_nothing_can_wake_any_cpu() {
        let halted = ("00000046", 1);
        assert_eq!(activity(&answers(true, &[halted, halted])), Some(Activity::IsDead));
        for other in [("00000246", 1), ("00000046", 0)] {
            assert_eq!(activity(&answers(true, &[halted, other])), Some(Activity::Runs));
        }
        assert_eq!(activity(&answers(false, &[halted])), Some(Activity::IsPaused));
    }

    #[test]
    fn half_an_answer_is_none() {
        let all = answers(true, &[("00000046", 1)]);
        let whole = all.rfind("\"}").unwrap() + 2;
        for end in 0..whole {
            assert_eq!(activity(&all[..end]), None, "{}", &all[..end]);
        }
    }
}
