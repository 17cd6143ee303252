//! The tool as a program that is run, and the programs that it starts.
#![allow(dead_code, reason = "each test uses a part of it")]

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead, BufReader},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::Duration,
};

use image_machine::patience::comes_within;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

pub const HELLO: &str = "manifests/hello.toml";
pub const DEMO: &str = "manifests/tpm-demo.toml";
/// Seconds that end only a run that hangs, on the busiest host too.
pub const HANGS: &str = "3600";
/// The same for what is waited for here, counted as `patience` does.
pub const LATE: Duration = Duration::from_secs(300);
/// What comes at once comes within this time, counted in the same way.
pub const SOON: Duration = Duration::from_secs(5);

/// The tool, at the project's root.
pub fn tool(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_image-builder"));
    command.args(arguments).current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs it with a target directory of its own. Returns what it said, and the directory.
pub fn with_own_target(arguments: &[&str]) -> (Output, TempDir) {
    let target = tempfile::tempdir().unwrap();
    let output = tool(arguments).env("CARGO_TARGET_DIR", target.path()).output().unwrap();
    (output, target)
}

pub fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Fails unless the tool ended with this status and one of its sentences has this text, without a backtrace.
pub fn assert_says(output: &Output, status: i32, text: &str) {
    let said = said(output);
    assert_eq!(output.status.code(), Some(status), "{said}");
    assert!(said.contains(text), "`{text}` is not in: {said}");
    assert!(!said.contains("panicked") && !said.contains("backtrace"), "{said}");
}

/// A target directory of its own, with the programs that are there already.
pub fn own_target() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap();
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or(root.join("target"), |target| root.join(target));
    fs::create_dir_all(target.join("on-target")).unwrap();
    std::os::unix::fs::symlink(target.join("on-target"), folder.path().join("on-target")).unwrap();
    folder
}

/// A program that is found before all others. Returns its folder and the path to search.
pub fn with_program(name: &str, script: &str) -> (TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(name);
    fs::write(&file, script).unwrap();
    fs::set_permissions(&file, PermissionsExt::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap());
    (folder, path)
}

pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Sends a signal that has to end a program soon, with this status.
pub fn stop(child: &mut Child, signal: Signal, status: Option<i32>) {
    kill_process(Pid::from_child(child), signal).unwrap();
    assert!(comes_within(SOON, || child.try_wait().unwrap().is_some()), "{signal:?} does not end it");
    assert_eq!(child.wait().unwrap().code(), status);
}

/// Waits until programs with all of these names run below a process. Returns all that run below it.
pub fn wait_for_descendants(child: &mut Child, names: &[&str]) -> BTreeSet<u32> {
    let stderr = BufReader::new(child.stderr.take().unwrap());
    // Somebody has to read what it says, or it would stop at a full pipe.
    std::thread::spawn(move || stderr.lines().for_each(drop));
    let mut family = BTreeSet::new();
    let all_run = || {
        assert!(child.try_wait().unwrap().is_none(), "the tool ended before {names:?} ran");
        family = descendants(child.id());
        let running: Vec<String> = family.iter().filter_map(|id| name_of(*id)).collect();
        names.iter().all(|name| running.iter().any(|running| running == name))
    };
    assert!(comes_within(LATE, all_run), "{names:?} never ran");
    family
}

/// Fails unless all these processes are gone, or at least no longer run, within a short time.
pub fn assert_gone(family: &BTreeSet<u32>) {
    let runs = |id: &&u32| fs::read(process(**id).join("cmdline")).is_ok_and(|line| !line.is_empty());
    let gone = comes_within(SOON, || !family.iter().any(|id| runs(&id)));
    assert!(gone, "still there: {:?}", family.iter().filter(runs).collect::<Vec<_>>());
}

/// All processes below a process.
pub fn descendants(ancestor: u32) -> BTreeSet<u32> {
    let ids =
        fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let parents: Vec<(u32, u32)> = ids.filter_map(|id| Some((id, parent_of(id)?))).collect();
    let mut found = BTreeSet::from([ancestor]);
    loop {
        let before = found.len();
        found.extend(
            parents
                .iter()
                .filter(|(_, parent)| found.contains(parent))
                .map(|(id, _)| *id)
                .collect::<Vec<_>>(),
        );
        if found.len() == before {
            found.remove(&ancestor);
            return found;
        }
    }
}

pub fn parent_of(id: u32) -> Option<u32> {
    let stat = fs::read_to_string(process(id).join("stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

pub fn name_of(id: u32) -> Option<String> {
    Some(fs::read_to_string(process(id).join("comm")).ok()?.trim().to_owned())
}

pub fn process(id: u32) -> PathBuf {
    Path::new("/proc").join(id.to_string())
}
