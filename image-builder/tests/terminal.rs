//! The terminal of a user who runs a system: keys reach the machine one by one, and afterwards it is as it was.

mod support;

use std::{
    fs::{File, OpenOptions},
    io::{Read, Write},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
};

use image_machine::patience::comes_within;
use rustix::{
    process::{Pid, Signal, kill_process},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{LocalModes, OptionalActions, tcgetattr, tcgetpgrp, tcsetattr},
};
use support::LATE;

/// A terminal: the end that a person sits at, and the end that programs see.
fn terminal() -> (File, File) {
    let person = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&person).unwrap();
    unlockpt(&person).unwrap();
    let name = ptsname(&person, Vec::new()).unwrap().into_string().unwrap();
    let program = OpenOptions::new().read(true).write(true).open(name).unwrap();
    (person.into(), program)
}

/// Everything about a terminal that a program can change.
fn modes(terminal: &File) -> String {
    format!("{:?}", tcgetattr(terminal).unwrap())
}

fn shows_what_is_typed(terminal: &File) -> bool {
    tcgetattr(terminal).unwrap().local_modes.contains(LocalModes::ECHO)
}

/// A system that runs at a terminal, and waits for a debugger, so that it is sure to be there when keys are typed.
struct AtTerminal {
    person: File,
    program: File,
    child: Child,
    before: String,
    output: mpsc::Receiver<String>,
}

impl AtTerminal {
    fn start() -> Self {
        let (person, program) = terminal();
        let before = modes(&program);
        // `setsid` makes it the terminal at which Ctrl-C is pressed. It becomes the tool, if nothing has to be waited
        // for.
        let child = Command::new("setsid")
            .args(["--ctty", "--wait", env!("CARGO_BIN_EXE_image-builder")])
            .args(["run", "manifests/hello.toml", "--gdb=0"])
            .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
            .stdin(Stdio::from(program.try_clone().unwrap()))
            .stdout(Stdio::from(program.try_clone().unwrap()))
            .stderr(Stdio::from(program.try_clone().unwrap()))
            .spawn()
            .unwrap();
        let output = read_all(person.try_clone().unwrap());
        let mut run = Self { person, program, child, before, output };
        run.wait_for_keys();
        run
    }

    /// Waits until keys go to the machine.
    fn wait_for_keys(&mut self) {
        let go = || {
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none(), "ended early: {}", self.output.try_iter().collect::<String>());
            !shows_what_is_typed(&self.program)
        };
        assert!(comes_within(LATE, go), "the keys never went to the machine");
    }

    /// Types keys that end it. Returns the exit status.
    fn end(mut self, keys: &[u8]) -> Option<i32> {
        self.person.write_all(keys).unwrap();
        let status = self.child.wait().unwrap();
        assert_eq!(modes(&self.program), self.before, "the terminal is not as it was");
        status.code()
    }

    /// The tool's process: the one at the terminal's front.
    fn tool(&self) -> Pid {
        tcgetpgrp(&self.person).unwrap()
    }
}

/// Reads what programs print, so that they never wait for a reader.
fn read_all(mut person: File) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = person.read(&mut buffer) {
            let _ = sender.send(String::from_utf8_lossy(&buffer[..count]).into_owned());
        }
    });
    receiver
}

#[test]
fn ctrl_a_x_leaves_the_machine_and_the_terminal() {
    assert_eq!(AtTerminal::start().end(b"some keys\r\x01x"), Some(0));
}

#[test]
fn ctrl_c_stops_everything() {
    assert_eq!(AtTerminal::start().end(b"\x03"), Some(130));
}

#[test]
fn keys_go_to_the_machine_again_after_a_stop() {
    let mut run = AtTerminal::start();
    // What a shell does with a job that somebody stops: it takes the terminal back, as it knows it.
    kill_process(run.tool(), Signal::TSTP).unwrap();
    let mut shells = tcgetattr(&run.program).unwrap();
    shells.local_modes.insert(LocalModes::ICANON | LocalModes::ECHO);
    tcsetattr(&run.program, OptionalActions::Now, &shells).unwrap();
    kill_process(run.tool(), Signal::CONT).unwrap();
    run.wait_for_keys();
    assert_eq!(run.end(b"\x01x"), Some(0));
}
