//! The command line, as its user meets it: exit statuses, sentences, and nothing left behind.

mod support;

use std::{
    ffi::OsStr,
    fs,
    mem::MaybeUninit,
    os::unix::{ffi::OsStrExt, fs::PermissionsExt},
    path::Path,
    process::{Command, Output},
    thread::sleep,
    time::Duration,
};

use rustix::{
    fs::{CWD, FileType, Mode, inotify, mknodat},
    process::Signal,
};
use support::*;

#[test]
fn a_bad_manifest_ends_with_2_and_nothing_is_built() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = folder.path().join("bad.toml");
    fs::write(&manifest, "[system]\nname = \"bad\"\nplatfrom = \"qemu-q35\"\n").unwrap();
    for command in ["check", "build", "run", "report", "graph"] {
        let (output, target) = with_own_target(&[command, manifest.to_str().unwrap()]);
        assert_says(&output, 2, "platfrom");
        assert_eq!(fs::read_dir(target.path()).unwrap().count(), 0, "{command} has built something");
    }
}

#[test]
fn a_pipe_in_place_of_a_manifest_ends_with_2() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    for path in [pipe.to_str().unwrap(), "/dev/zero"] {
        let (output, _target) = with_own_target(&["check", path]);
        assert_says(&output, 2, "not a file");
    }
}

#[test]
fn what_the_system_does_not_have_ends_with_2_and_nothing_is_built() {
    const FORWARD: &str = "tests/manifests/accept/forward.toml";
    const GREEDY: &str = "tests/manifests/accept/greedy.toml";
    let nowhere = tempfile::tempdir().unwrap();
    let file = nowhere.path().join("no/folder.pcap").display().to_string();
    let cases = [
        (FORWARD, ["--forward", "0:nobody:22"], 2, "nobody"),
        (FORWARD, ["--forward", "22"], 2, "not HOST:DOMAIN:PORT"),
        (FORWARD, ["--forward", "99999:alice:22"], 2, "\"99999\" is no port of the host: a number from 1"),
        (HELLO, ["--forward", "0:hello:22"], 2, "it has no port on a switch with an uplink"),
        (HELLO, ["--tpm", "2.0"], 2, "error: --tpm 2.0 is for nothing: no domain of hello owns"),
        (HELLO, ["--keep", "--timeout=9"], 2, "error: --keep keeps nothing: hello uses no TPM"),
        (DEMO, ["--keep", "--tpm=none"], 2, "error: --keep keeps nothing of a machine with --tpm none"),
        (FORWARD, ["--capture", "/dev/full"], 3, "cannot write /dev/full: no space left on device"),
        (HELLO, ["--capture", "x.pcap"], 2, "error: cannot capture: this system has no switch"),
        (
            HELLO,
            ["--entry", "hello"],
            2,
            "error: --entry hello is for nothing: manifests/hello.toml is no menu",
        ),
        (
            HELLO,
            ["--scene", "good"],
            2,
            "error: there is nobody to ask: hello has no [forward.attest], as manifests/pet-demo",
        ),
        (FORWARD, ["--capture", "x.pcap:ore:bob"], 2, "no port `bob`; it has: nic, alice"),
        (GREEDY, ["--memory", "16"], 2, "need 33 MiB; `--memory 16` leaves 14 MiB"),
        (HELLO, ["--memory", "3"], 2, "cannot have `--memory 3` in place of its 128 MiB"),
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
    for (option, value, expected) in [
        ("--memory", "128M", "give a number of MiB, such as 256"),
        ("--timeout", "10s", "give a number of seconds, such as 30"),
        ("--timeout", "0", "give a number of seconds, such as 30"),
        ("--gdb", "99999", "give the number of a port, or 0 for one that is free"),
        ("--smp", "256", "give a number of processors from 1 to 255"),
    ] {
        let output = tool(&["run", HELLO, &format!("{option}={value}")]).output().unwrap();
        assert_says(&output, 2, &format!("invalid value '{value}' for '{option}"));
        assert_says(&output, 2, expected);
    }
    assert_says(&tool(&["pcrs", HELLO, "--tpm", "none"]).output().unwrap(), 2, "--tpm 1.2 or 2.0");
    assert_says(&tool(&["run", HELLO, "--cpu", ""]).output().unwrap(), 2, "a value is required for '--cpu");
    assert_says(&tool(&["run", HELLO, "--capture", ""]).output().unwrap(), 2, "no file is named");
    assert_says(&tool(&["run", HELLO, "--capture", ":ore"]).output().unwrap(), 2, "no file is named");
}

#[test]
fn each_command_has_help_and_refuses_what_it_does_not_know() {
    let all = tool(&["--help"]).output().unwrap();
    let all = String::from_utf8_lossy(&all.stdout).into_owned();
    let list =
        all.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    // `bench` is a program of its own, which has to be compiled first.
    let names = list
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| !["bench", "help"].contains(name));
    let names: Vec<&str> = names.collect();
    assert!(names.len() > 9, "{names:?}");
    for name in names {
        let help = tool(&[name, "--help"]).output().unwrap();
        let text = String::from_utf8_lossy(&help.stdout).into_owned();
        assert!(
            help.status.success() && text.contains(&format!("Usage: cargo image {name}")),
            "{name}: {text}"
        );
        let refused = tool(&[name, "--fly"]).output().unwrap();
        assert_says(&refused, 2, "unexpected argument '--fly' found");
        assert!(!said(&refused).contains("as a value"), "{}", said(&refused));
    }
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
fn a_question_has_an_answer_and_a_status() {
    let ask = |arguments: &[&str]| tool(&[&["query", HELLO], arguments].concat()).output().unwrap();
    let shown = |output: &Output| String::from_utf8_lossy(&output.stdout).into_owned();
    let yes = ask(&["can hello reach console by call"]);
    assert!(yes.status.success(), "{}", said(&yes));
    let way = "yes, in 1 step:\n  hello -- gate log --> console  manifests/hello.toml:15\n";
    assert!(shown(&yes).starts_with(way), "{}", shown(&yes));
    assert!(ask(&["can", "hello", "reach", "console", "--expect", "yes"]).status.success());
    let unexpected = ask(&["--expect=no", "can hello reach console"]);
    assert_says(&unexpected, 1, "error: the answer is yes, which was not expected");
    assert!(shown(&unexpected).starts_with("yes"), "the answer is there nevertheless");
    assert_says(
        &ask(&["can helo reach console"]),
        2,
        "there is no domain `helo` in this system\ndid you mean `hello`?",
    );
    assert_says(&ask(&["can hello raech console"]), 2, "did you mean `reach`?");
    assert_says(&ask(&["can \u{1b}[2J reach console"]), 2, r"\x1b[2J");
    assert_says(&ask(&[]), 2, "Usage");
}

#[test]
fn the_reach_of_one_domain_is_reported() {
    let output = tool(&["report", HELLO, "--caps", "hello"]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("hello tells\n") && text.contains("console  gate log"),
        "{text}"
    );
    assert_says(&tool(&["report", HELLO, "--caps", "helo"]).output().unwrap(), 2, "did you mean `hello`?");
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
    for tool in qemu-system-x86_64 swtpm grub-mkrescue xorriso mformat setpriv dpkg-deb; do
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
fn a_current_folder_that_is_gone_is_told_in_plain_words() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new("sh");
    command.args([
        "-c",
        "rmdir \"$PWD\" && exec \"$0\" check /nothing.toml",
        env!("CARGO_BIN_EXE_image-builder"),
    ]);
    let output = command.current_dir(folder.path()).output().unwrap();
    assert_says(&output, 3, "error: cannot tell the current folder: no such file or directory\n");
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
fn a_reader_that_has_seen_enough_ends_every_command_quietly() {
    let nowhere = tempfile::tempdir().unwrap();
    let log = nowhere.path().join("log").display().to_string();
    let commands = [
        vec!["--help"],
        vec!["checks"],
        vec!["doctor"],
        vec!["check", HELLO],
        vec!["graph", HELLO, "--print", "svg"],
        vec!["report", HELLO],
        vec!["report", "--operations"],
        vec!["build", HELLO],
        vec!["run", HELLO, "--log", &log],
    ];
    for command in commands {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = tool(&command).stdout(writer).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{command:?}: {}", said(&output));
        assert!(!said(&output).contains("error"), "{command:?}: {}", said(&output));
        assert!(!said(&output).contains("ended well"), "{command:?} went on: {}", said(&output));
    }
}

#[test]
fn an_installation_stops_within_a_second_and_leaves_what_cannot_stop() {
    // It goes on for as long as its folder is there.
    const APT_GET: &str =
        "#!/bin/sh\ntrap '' INT\n: > \"$0.runs\"\nwhile [ -e \"$0.runs\" ]; do /bin/sleep 0.1; done\n";
    const SUDO: &str = "#!/bin/sh\n[ \"$2\" = true ] && exit\nshift 2\nexec \"$@\"\n";
    let folder = tempfile::tempdir().unwrap();
    for (name, script) in [("apt-get", APT_GET), ("sudo", SUDO)] {
        let file = folder.path().join(name);
        fs::write(&file, script).unwrap();
        fs::set_permissions(&file, PermissionsExt::from_mode(0o755)).unwrap();
    }
    let mut child = tool(&["doctor"]).env("PATH", folder.path()).spawn().unwrap();
    while !folder.path().join("apt-get.runs").exists() {
        assert!(child.try_wait().unwrap().is_none());
        sleep(Duration::from_millis(5));
    }
    stop(&mut child, Signal::TERM, Some(130));
    let output = child.wait_with_output().unwrap();
    assert_says(&output, 130, "apt-get goes on by itself");
}

#[test]
fn the_manifests_digest_is_printed_by_the_build() {
    let output = tool(&["build", HELLO]).output().unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let digest = Command::new("sha256sum").arg(root.join(HELLO)).output().unwrap();
    let digest = String::from_utf8(digest.stdout).unwrap();
    assert_says(&output, 0, &format!("manifest: SHA-256 {}", digest.split(' ').next().unwrap()));
}

#[test]
fn a_target_folder_that_cargo_cannot_use_is_named() {
    let folder = OsStr::from_bytes(b"/nonexistent/\xff");
    let output = tool(&["build", HELLO]).env("CARGO_TARGET_DIR", folder).output().unwrap();
    assert_says(&output, 3, "has a name that is not UTF-8");
}

#[test]
fn a_result_that_cannot_be_written_is_a_failure() {
    for asked in [&["--help"][..], &["run", "--help"], &["help", "check"], &["--version"], &["checks"]] {
        let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = tool(asked).stdout(full).output().unwrap();
        assert_says(&output, 3, "cannot write standard output: no space left on device");
    }
}

#[test]
fn an_error_output_that_nobody_reads_stops_nothing() {
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = tool(&["build", HELLO]).stderr(full).output().unwrap();
    assert!(output.status.success(), "{:?}", output.status);
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
fn a_manifest_is_read_once_whatever_is_done_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let [manifest, capture] = ["m.toml", "c.pcap"].map(|name| folder.path().join(name).display().to_string());
    fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/manifests/accept/forward.toml"), &manifest)
        .unwrap();
    let run = ["run", &manifest, "--capture", &capture, "--forward", "0:alice:22", "--", "-no-such-option"];
    let cases: [(&[&str], i32); 6] = [
        (&["check", &manifest], 0),
        (&["graph", "--print", "dot", &manifest], 0),
        (&["query", &manifest, "can alice reach outside"], 0),
        (&["report", "--manifest-only", &manifest], 0),
        (&["build", &manifest], 0),
        (&run, 1),
    ];
    for (arguments, status) in cases {
        let watch = inotify::init(inotify::CreateFlags::NONBLOCK).unwrap();
        // Two events that are alike and follow each other would count as one.
        let all = inotify::WatchFlags::OPEN | inotify::WatchFlags::CLOSE;
        inotify::add_watch(&watch, &*manifest, all).unwrap();
        let output = tool(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(status), "{arguments:?}: {}", said(&output));
        let mut space = [MaybeUninit::uninit(); 4096];
        let mut events = inotify::Reader::new(&watch, &mut space);
        let flags = std::iter::from_fn(|| events.next().ok().map(|event| event.events()));
        let opened = flags.filter(|flags| flags.contains(inotify::ReadFlags::OPEN)).count();
        assert_eq!(opened, 1, "{arguments:?}");
    }
}

/// No menu stands in a menu: one that names itself is no way round for ever.
#[test]
fn a_menu_that_names_itself_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = folder.path().join("m.toml");
    fs::write(&manifest, "[[menu]]\ntitle = \"itself\"\nmanifest = \"m.toml\"\n").unwrap();
    for command in ["check", "build"] {
        let output = tool(&[command, &manifest.display().to_string()]).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{command}: {}", said(&output));
    }
}
