//! What is read: files, up to a size, in time that grows with their length and no faster.

mod support;

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::time::Duration;

use image_compiler::manifest::{MAX_DEPTH, MAX_FILE_BYTES};
use image_compiler::{Report, System};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::time::{ClockId, clock_gettime};
use support::fixtures;

fn load(path: &Path) -> Result<System, Report> {
    image_compiler::load(&fixtures(), path)
}

fn only_fault(path: &Path) -> String {
    let report = load(path).unwrap_err();
    assert_eq!(report.count(), 1, "{report}");
    format!("{} {}", report.diagnostics()[0].id, report.diagnostics()[0].message)
}

#[test]
fn what_is_no_file_is_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let link = folder.path().join("link");
    std::os::unix::fs::symlink("/dev/zero", &link).unwrap();
    assert_eq!(only_fault(&pipe), "M001 this is a pipe, not a file");
    assert_eq!(only_fault(Path::new("/dev/zero")), "M001 this is a device, not a file");
    assert_eq!(only_fault(&link), "M001 this is a device, not a file");
    assert_eq!(only_fault(folder.path()), "M001 this is a folder, not a file");
}

/// What is said of a path at which there is no manifest that can be read.
fn proposal(path: &Path) -> String {
    let report = load(path).unwrap_err();
    assert_eq!(report.count(), 1, "{report}");
    report.diagnostics()[0].help.clone().unwrap_or_default()
}

#[test]
fn a_manifest_that_is_not_there_is_looked_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("my-office.toml"), "").unwrap();
    let mine = format!("did you mean `{}`?", path("my-office.toml").display());
    assert_eq!(proposal(&path("my-ofice.toml")), mine);
    assert_eq!(proposal(&path("my-office")), mine);
    // Those that are shipped are near, too.
    assert_eq!(
        proposal(Path::new("manifest/two_switches.toml")),
        "did you mean `manifests/two-switches.toml`?"
    );
    assert_eq!(proposal(Path::new("two-switches")), "did you mean `manifests/two-switches.toml`?");
    let example = "a manifest is a file such as manifests/hello.toml";
    assert_eq!(proposal(&path("something-else")), example);
    assert_eq!(
        proposal(folder.path()),
        format!("name a file in it, such as `{}`", path("my-office.toml").display())
    );
    assert_eq!(proposal(&path("my-office.toml")), "manifests/README.md begins with the smallest system");
    fs::create_dir(path("empty")).unwrap();
    assert_eq!(proposal(&path("empty")), example);
}

#[test]
fn a_file_of_another_kind_is_one_fault() {
    for (file, kind) in
        [("domains/hello/domain.toml", "component"), ("manifests/platforms/machine.toml", "platform")]
    {
        let path = fixtures().root.join(file);
        let message =
            format!("M005 the key `system` is missing: this is the file of a {kind}, not of a system");
        assert_eq!(only_fault(&path), message);
    }
}

#[test]
fn a_file_has_a_largest_size() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.toml");
    let text = "[system]\nname = \"test\"\nplatform = \"machine\"\n[domain.quiet]\ncomponent = \"quiet\"\n";
    let filler = |bytes: u64| "#".repeat((bytes - text.len() as u64) as usize);
    fs::write(&path, text.to_owned() + &filler(MAX_FILE_BYTES)).unwrap();
    assert!(load(&path).is_ok());
    fs::write(&path, text.to_owned() + &filler(MAX_FILE_BYTES + 1)).unwrap();
    assert_eq!(only_fault(&path), "M001 the file has 1048577 bytes or more, at most 1048576 are read");
    // One that is mostly a hole is not read either.
    let hole = fs::File::create(&path).unwrap();
    hole.set_len(1 << 40).unwrap();
    assert_eq!(only_fault(&path), "M001 the file has 1099511627776 bytes or more, at most 1048576 are read");
}

#[test]
fn tables_and_lists_have_a_largest_depth() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.toml");
    let system = "[system]\nname = \"test\"\nplatform = \"machine\"\n";
    let forms: [Kind; 4] = [
        ("lists", |depth| format!("x = {}{}\n", "[".repeat(depth), "]".repeat(depth))),
        ("tables", |depth| format!("x = {}{}\n", "{ a = ".repeat(depth - 1) + "{", "}".repeat(depth))),
        ("a dotted key", |depth| format!("x{} = 1\n", ".a".repeat(depth - 1))),
        ("a table's name", |depth| format!("[x{}]\n", ".a".repeat(depth - 1))),
    ];
    for (form, text) in forms {
        fs::write(&path, system.to_owned() + &text(MAX_DEPTH)).unwrap();
        let fault = load(&path).unwrap_err().to_string();
        assert!(fault.contains("M004") && !fault.contains("M002"), "{form}: {fault}");
        for depth in [MAX_DEPTH + 1, 5000] {
            fs::write(&path, system.to_owned() + &text(depth)).unwrap();
            let expected = "M002 tables and lists are nested too deep here: at most 80 levels are read";
            assert_eq!(only_fault(&path), expected, "{form}");
        }
    }
}

/// A manifest with a number of things of one kind.
type Kind = (&'static str, fn(usize) -> String);

const HEAD: &str = "[system]\nname = \"test\"\nplatform = \"machine\"\n";
const NET: &str = "[domain.ore]\ncomponent = \"ore\"\n[switch.ore]\nnetwork = \"10.0.0.0/8\"\n";

/// A text for each number.
fn each(count: usize, text: impl Fn(usize) -> String) -> String {
    (0..count).map(text).collect()
}

const KINDS: [Kind; 18] = [
    ("domains", |n| HEAD.to_owned() + &each(n, |i| format!("[domain.d{i}]\ncomponent = \"quiet\"\n"))),
    ("chain", |n| {
        HEAD.to_owned()
            + &each(n, |i| {
                format!("[domain.d{i}]\ncomponent = \"peer\"\nuses.next = \"d{}\"\n", (i + 1).min(n - 1))
            })
    }),
    ("chain upwards", |n| {
        HEAD.to_owned()
            + &each(n, |i| {
                let next = if i == 0 { n } else { i - 1 };
                format!("[domain.d{i}]\ncomponent = \"peer\"\nuses.next = \"d{next}\"\n")
            })
    }),
    ("circle", |n| {
        HEAD.to_owned()
            + &each(n, |i| format!("[domain.d{i}]\ncomponent = \"peer\"\nuses.next = \"d{}\"\n", (i + 1) % n))
    }),
    ("missing gates", |n| HEAD.to_owned() + &each(n, |i| format!("[domain.d{i}]\ncomponent = \"hello\"\n"))),
    ("unknown servers", |n| {
        HEAD.to_owned() + &each(n, |i| format!("[domain.d{i}]\ncomponent = \"hello\"\nlog = \"x{i}\"\n"))
    }),
    ("unknown components", |n| {
        HEAD.to_owned() + &each(n, |i| format!("[domain.d{i}]\ncomponent = \"c{i}\"\n"))
    }),
    ("unknown keys", |n| {
        HEAD.to_owned() + "[domain.a]\ncomponent = \"quiet\"\n" + &each(n, |i| format!("k{i} = 1\n"))
    }),
    ("repeated keys", |n| {
        HEAD.to_owned() + "[domain.a]\ncomponent = \"quiet\"\n" + &"priority = 1\n".repeat(n)
    }),
    ("repeated tables", |n| HEAD.to_owned() + &"[domain.a]\ncomponent = \"quiet\"\n".repeat(n)),
    ("devices", |n| {
        let names = "\"x\",".repeat(n);
        format!("{HEAD}[domain.a]\ncomponent = \"quiet\"\ndevices = [{names}]\n")
    }),
    ("rights", |n| {
        let names = "\"log-right\",".repeat(n);
        format!("{HEAD}[domain.a]\ncomponent = \"quiet\"\nrights = [{names}]\n")
    }),
    ("uses", |n| {
        let uses = each(n, |i| format!("uses.u{i} = \"a\"\n"));
        format!("{HEAD}[domain.a]\ncomponent = \"quiet\"\n{uses}")
    }),
    ("disks", |n| {
        let disks = each(n, |i| {
            format!("[domain.d{i}]\ncomponent = \"disk\"\n[disk.d{i}]\nfile = \"none{i}\"\nscratch_mib = 1\n")
        });
        format!("{HEAD}{disks}")
    }),
    ("uses of disks", |n| {
        let disks = each(n, |i| format!("\"d\",{{disk=\"d\",partition={i}}},"));
        format!(
            "{HEAD}[domain.a]\ncomponent = \"sectors\"\ndisks = [{disks}]\n[domain.d]\ncomponent = \"disk\"\n"
        )
    }),
    ("ports", |n| {
        let ports = each(n, |i| {
            format!(
                "[domain.d{i}]\ncomponent = \"host\"\n[switch.ore.port.d{i}]\naddress = \"10.1.2.3\"\nvlan = {i}\n"
            )
        });
        format!("{HEAD}{NET}{ports}")
    }),
    ("receivers", |n| {
        let names = each(n, |i| format!("\"r{i}\","));
        format!("{HEAD}{NET}[domain.a]\ncomponent = \"host\"\n[switch.ore.port.a]\nsends_to = [{names}]\n")
    }),
    ("forwards", |n| {
        let forwards = each(n, |i| format!("[forward.f{i}]\nhost_port = 1\nto = \"ore\"\nport = 22\n"));
        format!("{HEAD}{NET}{forwards}")
    }),
];

/// The time that this thread has had, which is the same on a busy machine as on a quiet one.
fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.try_into().unwrap(), time.tv_nsec.try_into().unwrap())
}

/// Eight times as much takes about eight times as long, not sixty-four times.
#[test]
fn effort_grows_with_length() {
    const FEW: usize = 1500;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("many.toml");
    let mut wrong = String::new();
    for (kind, text) in KINDS {
        let time = |count: usize| {
            fs::write(&path, text(count)).unwrap();
            let start = thread_time();
            let shown = load(&path).err().map(|report| report.to_string());
            assert!(shown.is_some_and(|shown| !shown.is_empty()), "{kind}: no fault");
            thread_time().saturating_sub(start)
        };
        // Caches, and CPUs that are shared with other machines, make time uneven by a factor of two and more. What is
        // measured one right after the other meets the same; one pair of five is enough, since what is quadratic has
        // a factor of 64 in each.
        let mut pairs = (0..5).map(|_| (time(FEW), time(8 * FEW)));
        if !pairs.any(|(few, many)| many < few * 24) {
            let _ = writeln!(wrong, "{kind}: {:?} for {FEW}, {:?} for {}", time(FEW), time(8 * FEW), 8 * FEW);
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}
