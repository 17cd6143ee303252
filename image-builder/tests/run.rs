//! `cargo image run`, as its user meets it: where things may go wrong, a sentence, and nothing left behind.

mod support;

use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
    thread::sleep,
    time::Duration,
};

use image_machine::patience::comes_within;
use rustix::process::Signal;
use support::*;

#[test]
fn a_full_disk_is_told_in_a_sentence_on_a_line_of_its_own() {
    let mut command = tool(&["run", HELLO, "--log", "/dev/full", "--timeout", HANGS]);
    // Both in one file, as on a terminal.
    let shown = tempfile::NamedTempFile::new().unwrap();
    let both = [shown.reopen().unwrap(), shown.reopen().unwrap()];
    let [out, error] = both.map(|file| {
        rustix::fs::fcntl_setfl(&file, rustix::fs::OFlags::APPEND).unwrap();
        file
    });
    let status = command.stdout(out).stderr(error).status().unwrap();
    let shown = fs::read_to_string(shown.path()).unwrap();
    assert_eq!(status.code(), Some(3), "{shown}");
    assert!(shown.contains("\nerror: cannot write /dev/full: no space left on device"), "{shown}");
}

/// Where domains have faulted, and who had called whom, in words: of what a domain says itself, and of what the builder found.
#[test]
fn a_crash_is_told_by_function_file_and_line() {
    let output = tool(&["run", "tests/manifests/accept/crash.toml", "--timeout", HANGS]).output().unwrap();
    let said = said(&output);
    let told = |begin: &str, end: &str| {
        said.lines().any(|line| line.contains(begin) && line.ends_with(end) && !line.contains('|'))
    };
    let faulter = "(tests/domains/faulter/src/main.rs:12)";
    assert!(told("faulter at 0x40", faulter), "{said}");
    assert!(told("faulter, called from 0x40", "(assembly)"), "{said}");
    assert!(told("panicker, called from 0x40", "(tests/domains/panicker/src/main.rs:9)"), "{said}");
    assert!(!told("bmic at", ")") && !told("bmic, called", ")"), "{said}");
}

#[test]
fn a_recording_that_does_not_fit_is_told() {
    let manifest = "tests/manifests/accept/forward.toml";
    assert!(tool(&["build", manifest]).output().unwrap().status.success());
    let mount = tempfile::tempdir().unwrap();
    let script = r#"mount -t tmpfs -o size=8k none "$0" && head -c 6000 /dev/zero > "$0/ballast" && \
                   exec "$1" run "$2" --capture "$0/all.pcap" --timeout "$3""#;
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", script]).arg(mount.path()).arg(env!("CARGO_BIN_EXE_image-builder"));
    command.args([manifest, HANGS]).current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."));
    let output = command.stdin(Stdio::null()).output().unwrap();
    if said(&output).contains("Operation not permitted") {
        return eprintln!("no small disc can be mounted by this user");
    }
    assert_says(&output, 3, "all.pcap: no space left on device");
}

#[test]
fn a_machine_that_is_halted_before_its_first_domain_is_told_soon() {
    let output = tool(&["run", HELLO, "--cpu", "kvm32"]).output().unwrap();
    assert_says(&output, 1, "the kernel has not reached the first domain: this needs a 64-bit CPU");
    assert!(said(&output).contains("its CPU is `kvm32`, the platform's `max`"), "{}", said(&output));
}

#[test]
fn a_machine_that_never_reaches_the_kernel_is_told() {
    // Firmware that goes round in a circle, and firmware that halts with interrupts off. A CPU begins 16 bytes before
    // the end.
    let cases: [(&[u8], &str); 2] =
        [(&[0xeb, 0xfe], "the kernel; it has had "), (&[0xf4], "the kernel; it is halted for good")];
    for (code, how) in cases {
        let mut firmware = vec![0; 0x1_0000];
        firmware[0xfff0..0xfff0 + code.len()].copy_from_slice(code);
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), firmware).unwrap();
        let output = tool(&["run", HELLO, "--", "-bios", file.path().to_str().unwrap()]).output().unwrap();
        assert_says(&output, 1, &format!("hello failed: the machine has not reached {how}"));
    }
}

#[test]
fn what_the_system_does_not_use_need_not_be_there() {
    let folder = tempfile::tempdir().unwrap();
    for tool in [
        "qemu-system-x86_64",
        "grub-mkrescue",
        "xorriso",
        "mformat",
        "mcopy",
        "setpriv",
        "sh",
        "cargo",
        "rustc",
    ] {
        let file = image_machine::tools::find(tool).unwrap();
        std::os::unix::fs::symlink(file, folder.path().join(tool)).unwrap();
    }
    let output = tool(&["run", HELLO, "--timeout", HANGS]).env("PATH", folder.path()).output().unwrap();
    assert_says(&output, 0, "hello ended well");
    let output =
        tool(&["run", DEMO, "--tpm", "none", "--timeout", HANGS]).env("PATH", folder.path()).output();
    assert!(!said(&output.unwrap()).contains("missing on this machine"));
    let output = tool(&["run", DEMO, "--timeout", HANGS]).env("PATH", folder.path()).output().unwrap();
    assert_says(&output, 3, "missing on this machine: swtpm (the machine's TPM)");
}

#[test]
fn a_folder_with_a_strange_and_long_name_is_like_any_other() {
    // The state of a TPM, discs, sockets: all that lies in the target folder or in TMPDIR. What the compiler
    // makes is the same as ever.
    let folder = tempfile::tempdir().unwrap();
    let strange = folder.path().join("a, b='c\";d ".repeat(10));
    fs::create_dir_all(strange.join("target")).unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap();
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or(root.join("target"), |target| root.join(target));
    std::os::unix::fs::symlink(target.join("on-target"), strange.join("target/on-target")).unwrap();
    for version in ["1.2", "2.0"] {
        let mut command = tool(&["run", DEMO, "--tpm", version, "--keep", "--timeout", HANGS]);
        command.env("CARGO_TARGET_DIR", strange.join("target")).env("TMPDIR", &strange);
        let output = command.output().unwrap();
        assert_says(&output, 0, "tpm-demo ended well");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(said.contains(&format!("TPM version {version}")), "{said}");
    }
    let left: Vec<_> =
        fs::read_dir(strange.join("target/tpm")).unwrap().flatten().map(|entry| entry.file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().starts_with("run-")), "{left:?}");
}

#[test]
fn a_kept_tpm_is_for_one_run_at_a_time_and_a_killed_run_leaves_nothing() {
    let target = own_target();
    let run = |options: &[&str]| {
        let mut command = tool(&[&["run", DEMO, "--keep", "--tpm", "2.0"], options].concat());
        command.env("CARGO_TARGET_DIR", target.path());
        command
    };
    let mut first = run(&["--gdb=0"]).spawn().unwrap();
    wait_for_descendants(&mut first, &["qemu-system-x86", "swtpm"]);
    let output = run(&["--timeout", HANGS]).output().unwrap();
    assert_says(&output, 3, "error: the kept TPM is in use");
    let folders =
        || fs::read_dir(target.path().join("tpm")).unwrap().flatten().map(|entry| entry.file_name());
    assert!(folders().any(|name| name.to_string_lossy().starts_with("run-")));
    stop(&mut first, Signal::KILL, None);
    let output = run(&["--timeout", HANGS]).output().unwrap();
    assert_says(&output, 0, "tpm-demo ended well");
    assert_eq!(folders().collect::<Vec<_>>(), ["kept-2.0"]);
}

#[test]
fn a_tpm_that_dies_before_the_start_is_told_in_a_sentence() {
    let (_folder, path) = with_program("swtpm", "#!/bin/sh\nexit 0\n");
    let output = tool(&["run", DEMO, "--tpm", "2.0", "--timeout", HANGS]).env("PATH", path).output().unwrap();
    assert_says(&output, 3, "error: the TPM emulator swtpm ended before the machine could use it");
}

#[test]
fn a_hostile_console_cannot_drive_the_terminal() {
    // A machine that says so, cut in the middle of a character, and ends as a failed system does.
    let qemu = "#!/bin/sh\nprintf 'hello | \\033[2J\\303'; sleep 0.2; printf '\\274\\r\\nhello | error: \\033]0;x\\007 \\377'; exit 35\n";
    let path = with_program("qemu-system-x86_64", qemu);
    let run = |options: &[&str]| {
        let log = path.0.path().join("log");
        let options = [&["run", HELLO, "--log", log.to_str().unwrap()], options].concat();
        let output = tool(&options).env("PATH", &path.1).output().unwrap();
        assert_eq!(output.stdout, fs::read(log).unwrap());
        assert_says(&output, 1, r"hello ended with an error: \x1b]0;x\x07 \xff");
        output.stdout
    };
    let shown = run(&[]);
    assert_eq!(shown, "hello | \\x1b[2Jü\r\nhello | error: \\x1b]0;x\\x07 \\xff".as_bytes());
    let raw = run(&["--raw"]);
    assert_eq!(raw, b"hello | \x1b[2J\xc3\xbc\r\nhello | error: \x1b]0;x\x07 \xff");
}

#[test]
fn a_port_that_is_taken_after_all_is_told_in_a_sentence() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let network = format!("user,id=more,hostfwd=tcp:127.0.0.1:{port}-:80");
    let output = tool(&["run", HELLO, "--timeout", HANGS, "--", "-netdev", &network]).output().unwrap();
    assert_says(&output, 3, "error: QEMU cannot listen where the forward");
}

#[test]
fn a_debuggers_port_is_chosen_and_named() {
    let mut child = tool(&["run", HELLO, "--gdb=0"]).spawn().unwrap();
    let stderr = BufReader::new(child.stderr.take().unwrap());
    let line = stderr.lines().map_while(Result::ok).find(|line| line.contains("waiting for: gdb")).unwrap();
    let port: u16 = line.split(':').next_back().unwrap().trim_end_matches('\'').parse().unwrap();
    assert_ne!(port, 0);
    // QEMU listens some time after its start.
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(child.try_wait().unwrap().is_none());
        sleep(Duration::from_millis(5));
    }
    stop(&mut child, Signal::TERM, Some(130));
    let (output, _target) = with_own_target(&["run", "manifests/net-demo.toml", "--gdb=8080"]);
    assert_says(&output, 2, "error: port 8080 cannot wait for a debugger: it leads to `carol`");
}

/// Whether a process does something of its own about a signal.
fn heeds(id: u32, signal: Signal) -> bool {
    let status = fs::read_to_string(process(id).join("status")).unwrap();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap().trim();
    u64::from_str_radix(caught, 16).unwrap() >> (signal.as_raw() - 1) & 1 == 1
}

/// Whether a process stands in the call that opens a file; true as well on a host that does not show it.
fn opens_a_file(id: u32) -> bool {
    const OPENAT: &str = "257 ";
    fs::read_to_string(process(id).join("syscall")).map_or(true, |call| call.starts_with(OPENAT))
}

#[test]
fn signals_end_a_tool_that_waits_for_others_within_a_second() {
    let folder = tempfile::tempdir().unwrap();
    let fifo = folder.path().join("fifo");
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    let mut child = tool(&["run", HELLO, "--log", fifo.to_str().unwrap()]).spawn().unwrap();
    let id = child.id();
    assert!(comes_within(LATE, || heeds(id, Signal::TERM) && opens_a_file(id)));
    stop(&mut child, Signal::TERM, Some(130));
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
    let output = tool(&["run", HELLO, "--timeout", HANGS, "--", "-no-such-option"]).output().unwrap();
    assert_says(&output, 1, "-no-such-option");
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
