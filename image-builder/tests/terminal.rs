//! The terminal of whoever runs a system: keys reach the machine one by one, and afterwards it is as it was.

use std::{
    fs::{File, OpenOptions},
    io::{Read, Write},
    path::Path,
    process::{Command, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use rustix::{
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{LocalModes, tcgetattr},
};

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

/// Runs a system at a terminal and types `keys` once keys go to the machine. → the exit status.
fn run_and_type(keys: &[u8]) -> Option<i32> {
    let (mut person, program) = terminal();
    let before = modes(&program);
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    // `setsid` makes it the terminal at which Ctrl-C is pressed.
    let mut child = Command::new("setsid")
        .args(["--ctty", "--wait", env!("CARGO_BIN_EXE_image-builder")])
        // The machine waits for a debugger, so that it is sure to be there when keys are typed.
        .args(["run", "manifests/hello.toml", &format!("--gdb={port}")])
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
        .stdin(Stdio::from(program.try_clone().unwrap()))
        .stdout(Stdio::from(program.try_clone().unwrap()))
        .stderr(Stdio::from(program.try_clone().unwrap()))
        .spawn()
        .unwrap();
    let output = read_all(person.try_clone().unwrap());
    let limit = Instant::now() + Duration::from_secs(300);
    while shows_what_is_typed(&program) {
        assert!(
            child.try_wait().unwrap().is_none(),
            "ended early: {}",
            output.try_iter().collect::<String>()
        );
        assert!(Instant::now() < limit, "the keys never went to the machine");
        thread::sleep(Duration::from_millis(5));
    }
    person.write_all(keys).unwrap();
    let status = child.wait().unwrap();
    assert_eq!(modes(&program), before, "the terminal is not as it was");
    status.code()
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
    assert_eq!(run_and_type(b"some keys\r\x01x"), Some(0));
}

#[test]
fn ctrl_c_stops_everything() {
    assert_eq!(run_and_type(b"\x03"), Some(130));
}
