//! The command line, as its user meets it: exit statuses, sentences, and nothing left behind.

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead, BufReader},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

const HELLO: &str = "manifests/hello.toml";
const DEMO: &str = "manifests/tpm-demo.toml";

/// The tool, at the project's root.
fn tool(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_image-builder"));
    command.args(arguments).current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs it with a target directory of its own. → what it said, and the directory.
fn with_own_target(arguments: &[&str]) -> (Output, TempDir) {
    let target = tempfile::tempdir().unwrap();
    let output = tool(arguments).env("CARGO_TARGET_DIR", target.path()).output().unwrap();
    (output, target)
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Fails unless the tool ended with this status and one of its sentences has this text, without a backtrace.
fn assert_says(output: &Output, status: i32, text: &str) {
    let said = said(output);
    assert_eq!(output.status.code(), Some(status), "{said}");
    assert!(said.contains(text), "`{text}` is not in: {said}");
    assert!(!said.contains("panicked") && !said.contains("backtrace"), "{said}");
}

#[test]
fn a_bad_manifest_ends_with_2_and_nothing_is_built() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = folder.path().join("bad.toml");
    fs::write(&manifest, "[system]\nname = \"bad\"\nplatfrom = \"qemu-q35\"\n").unwrap();
    for command in ["check", "build", "run", "report", "graph", "bench"] {
        let (output, target) = with_own_target(&[command, manifest.to_str().unwrap()]);
        assert_says(&output, 2, "platfrom");
        assert_eq!(fs::read_dir(target.path()).unwrap().count(), 0, "{command} has built something");
    }
}

#[test]
fn what_the_system_does_not_have_ends_with_2_and_nothing_is_built() {
    const FORWARD: &str = "tests/manifests/accept/forward.toml";
    let nowhere = tempfile::tempdir().unwrap();
    let file = nowhere.path().join("no/folder.pcap").display().to_string();
    let cases = [
        (FORWARD, ["--forward", "0:nobody:22"], 2, "error: cannot forward to `nobody`: there is no domain"),
        (FORWARD, ["--forward", "22"], 2, "not HOST:DOMAIN:PORT"),
        (HELLO, ["--forward", "0:hello:22"], 2, "it has no port on a switch with an uplink"),
        (HELLO, ["--capture", "x.pcap"], 2, "error: cannot capture: this system has no switch"),
        (FORWARD, ["--capture", "x.pcap:ore:bob"], 2, "no port `bob`; it has: nic, alice"),
        (FORWARD, ["--capture", &file], 3, "folder.pcap: no such file or directory"),
    ];
    for (manifest, [option, value], status, text) in cases {
        let (output, target) = with_own_target(&["run", manifest, option, value]);
        assert_says(&output, status, text);
        assert_eq!(fs::read_dir(target.path()).unwrap().count(), 0, "{option} {value} has built something");
    }
}

#[test]
fn a_manifest_that_is_not_there_ends_with_2() {
    let (output, _target) = with_own_target(&["run", "manifests/nothing.toml"]);
    assert_says(&output, 2, "manifests/nothing.toml");
}

#[test]
fn wrong_usage_ends_with_2() {
    assert_says(&tool(&["run"]).output().unwrap(), 2, "Usage");
    assert_says(&tool(&["run", HELLO, "--tpm", "3.0"]).output().unwrap(), 2, "3.0");
    assert_says(&tool(&["fly"]).output().unwrap(), 2, "fly");
}

#[test]
fn help_ends_with_0_and_shows_examples_and_statuses() {
    let output = tool(&["--help"]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("Examples:") && text.contains("Exit status:"), "{text}");
}

#[test]
fn every_good_manifest_can_be_checked_and_drawn() {
    for manifest in [HELLO, DEMO] {
        assert!(tool(&["check", manifest]).output().unwrap().status.success());
        let output = tool(&["graph", manifest, "--print", "svg"]).output().unwrap();
        assert!(String::from_utf8_lossy(&output.stdout).contains("<svg"));
    }
}

#[test]
fn a_missing_tool_is_named_with_the_line_that_installs_it() {
    let output = tool(&["doctor"]).env("PATH", "").output().unwrap();
    assert_says(&output, 3, "qemu-system-x86_64");
    assert!(said(&output).contains("apt-get install"), "{}", said(&output));
}

#[test]
fn missing_tools_are_installed_after_fetching_the_package_lists() {
    // An `apt-get` that knows no package until it has updated its lists, and a `sudo` that needs no password.
    const APT_GET: &str = r##"#!/bin/sh
cd "$(/usr/bin/dirname "$0")" || exit 1
case "$*" in
*update*) : > lists ;;
*install*)
    [ -e lists ] || exit 100
    for tool in qemu-system-x86_64 swtpm grub-mkrescue xorriso mformat setpriv; do
        echo "#!/bin/sh" > "$tool"
        /bin/chmod +x "$tool"
    done ;;
esac
"##;
    const SUDO: &str = "#!/bin/sh\n[ \"$2\" = true ] && exit\nshift 2\nexec \"$@\"\n";
    let folder = tempfile::tempdir().unwrap();
    for (name, script) in [("apt-get", APT_GET), ("sudo", SUDO)] {
        let file = folder.path().join(name);
        fs::write(&file, script).unwrap();
        fs::set_permissions(&file, PermissionsExt::from_mode(0o755)).unwrap();
    }
    let output = tool(&["doctor"]).env("PATH", folder.path()).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    assert!(folder.path().join("lists").exists());
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    // A file in the way stops root, too, which a missing permission would not.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let output = tool(&["build", HELLO]).env("CARGO_TARGET_DIR", file.join("target")).output().unwrap();
    assert_says(&output, 3, "error: ");
}

#[test]
fn a_full_disk_is_told_in_a_sentence() {
    let output = tool(&["run", HELLO, "--log", "/dev/full", "--timeout", "60"]).output().unwrap();
    assert_says(&output, 3, "cannot write /dev/full: no space left on device");
}

#[test]
fn an_error_output_that_nobody_reads_stops_nothing() {
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = tool(&["build", HELLO]).stderr(full).output().unwrap();
    assert!(output.status.success(), "{:?}", output.status);
}

#[test]
fn a_debuggers_port_that_is_taken_is_told_before_anything_starts() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (output, _target) = with_own_target(&["run", HELLO, &format!("--gdb={port}")]);
    assert_says(&output, 3, &port.to_string());
}

#[test]
fn qemus_own_complaint_is_passed_on() {
    let output = tool(&["run", HELLO, "--timeout", "60", "--", "-no-such-option"]).output().unwrap();
    assert_says(&output, 1, "-no-such-option");
}

#[test]
fn ctrl_c_during_the_build_leaves_no_compiler() {
    let target = tempfile::tempdir().unwrap();
    let mut child = tool(&["build", HELLO]).env("CARGO_TARGET_DIR", target.path()).spawn().unwrap();
    let family = wait_for_descendants(&mut child, &["rustc"]);
    stop(&mut child, Signal::INT, Some(130));
    assert_gone(&family);
}

#[test]
fn ctrl_c_during_the_run_leaves_no_machine() {
    for (signal, status) in [(Signal::INT, Some(130)), (Signal::TERM, Some(130)), (Signal::KILL, None)] {
        // The machine waits for a debugger, so that it is sure to be there.
        let mut child = tool(&["run", DEMO, &format!("--gdb={}", free_port())]).spawn().unwrap();
        let family = wait_for_descendants(&mut child, &["qemu-system-x86", "swtpm"]);
        stop(&mut child, signal, status);
        assert_gone(&family);
    }
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn stop(child: &mut Child, signal: Signal, status: Option<i32>) {
    kill_process(Pid::from_child(child), signal).unwrap();
    assert_eq!(child.wait().unwrap().code(), status);
}

/// Waits until programs with all of these names run below a process. → all that run below it.
fn wait_for_descendants(child: &mut Child, names: &[&str]) -> BTreeSet<u32> {
    let stderr = BufReader::new(child.stderr.take().unwrap());
    // Somebody has to read what it says, or it would stop at a full pipe.
    std::thread::spawn(move || stderr.lines().for_each(drop));
    let limit = Instant::now() + Duration::from_secs(300);
    while Instant::now() < limit {
        assert!(child.try_wait().unwrap().is_none(), "the tool ended before {names:?} ran");
        let family = descendants(child.id());
        let running: Vec<String> = family.iter().filter_map(|id| name_of(*id)).collect();
        if names.iter().all(|name| running.iter().any(|running| running == name)) {
            return family;
        }
        sleep(Duration::from_millis(5));
    }
    panic!("{names:?} never ran");
}

/// Fails unless all these processes are gone, or at least no longer run, within a short time.
fn assert_gone(family: &BTreeSet<u32>) {
    let runs = |id: &&u32| fs::read(process(**id).join("cmdline")).is_ok_and(|line| !line.is_empty());
    let limit = Instant::now() + Duration::from_secs(5);
    while family.iter().any(|id| runs(&id)) {
        assert!(Instant::now() < limit, "still there: {:?}", family.iter().filter(runs).collect::<Vec<_>>());
        sleep(Duration::from_millis(5));
    }
}

/// All processes below a process.
fn descendants(ancestor: u32) -> BTreeSet<u32> {
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

fn parent_of(id: u32) -> Option<u32> {
    let stat = fs::read_to_string(process(id).join("stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

fn name_of(id: u32) -> Option<String> {
    Some(fs::read_to_string(process(id).join("comm")).ok()?.trim().to_owned())
}

fn process(id: u32) -> PathBuf {
    Path::new("/proc").join(id.to_string())
}
