//! Every manifest in `tests/manifests/` is accepted or refused as it should be, and so are the manifests of
//! the project itself.

mod support;

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use image_compiler::check::CHECKS;
use image_compiler::query::{Assume, ask};
use image_compiler::{Inputs, Report, Workspace};
use support::{fixtures, is_menu, project};

/// The `.toml` files of a folder, sorted.
fn manifests(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> =
        entries.filter(|path| path.extension().is_some_and(|end| end == "toml")).collect();
    paths.sort();
    assert!(!paths.is_empty(), "no manifest in {}", folder.display());
    paths
}

/// The faults of a report, one a line: `ID FILE:LINE:COLUMN MESSAGE`, without the file if it is the manifest.
fn lines(report: &Report, manifest: &Path) -> Vec<String> {
    let manifest = manifest.display().to_string();
    let line = |diagnostic: &image_compiler::Diagnostic| {
        let (row, column) = report.sources().position(diagnostic.at);
        let path = &report.sources().get(diagnostic.at.source).path;
        let file = if *path == manifest { String::new() } else { format!("{path}:") };
        format!("{} {file}{row}:{column} {}", diagnostic.id, diagnostic.message)
    };
    report.diagnostics().iter().map(line).collect()
}

/// The `# expect: ` lines of a manifest.
fn expectations(manifest: &Path) -> Vec<String> {
    let bytes = fs::read(manifest).unwrap();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    text.lines().filter_map(|line| line.strip_prefix("# expect: ")).map(str::to_owned).collect()
}

#[test]
fn reject_files_give_exactly_the_faults_they_expect() {
    let mut wrong = Vec::new();
    for path in manifests(&project().join("tests/manifests/reject")) {
        let report = image_compiler::load(&fixtures(), &path).map(|system| system.name().to_owned());
        let report = report.expect_err(&path.display().to_string());
        let (found, expected) = (lines(&report, &path), expectations(&path));
        let id = path.file_name().unwrap().to_str().unwrap().split('-').next().unwrap();
        if !found.iter().any(|line| line.starts_with(id)) {
            wrong.push(format!("{}: no {id} in {found:#?}", path.display()));
        }
        let agree = found.len() == expected.len()
            && found.iter().zip(&expected).all(|(found, expected)| found.starts_with(expected.as_str()));
        let block: String = found.iter().map(|line| format!("# expect: {line}\n")).collect();
        if !agree {
            wrong.push(format!("{}: found\n{block}instead of {expected:#?}", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// More memory than the platform's lets it pass, less or as much as the platform's does not.
#[test]
fn memory_that_the_user_asks_for_is_judged_like_the_platforms() {
    let path = project().join("tests/manifests/reject/M051-memory.toml");
    let inputs = Inputs::read(&fixtures(), &path);
    let load = |memory_mib| image_compiler::resolve(&inputs.clone().with_memory(memory_mib));
    let faults = |memory_mib| lines(&load(Some(memory_mib)).unwrap_err(), &path);
    let needed = "the domains need 69 MiB; `--memory";
    let stated = "2 are the kernel's (the platform `machine` has 64)";
    assert_eq!(faults(70), [format!("M051 11:9 {needed} 70` leaves 68 MiB for them, {stated}")]);
    assert_eq!(faults(64), [format!("M051 11:9 {needed} 64` leaves 62 MiB for them, {stated}")]);
    let impossible =
        |mib| format!("M109 5:12 the platform `machine` cannot have `--memory {mib}` in place of its 64 MiB");
    assert_eq!(faults(0), [impossible(0)]);
    assert_eq!(faults(1_048_577), [impossible(1_048_577)]);
    assert_eq!(load(Some(71)).unwrap().platform().memory_mib(), 71, "QEMU is given as much");
    let help = load(Some(70)).unwrap_err().diagnostics()[0].help.clone().unwrap();
    assert_eq!(help, "give less stack or heap, or raise --memory");
    // An option beats what the system asks for.
    let path = project().join("tests/manifests/reject/M051-memory-of-system.toml");
    let inputs = Inputs::read(&fixtures(), &path).with_memory(Some(43));
    assert_eq!(image_compiler::resolve(&inputs).unwrap().platform().memory_mib(), 43);
}

#[test]
fn every_check_has_a_reject_file() {
    let files = manifests(&project().join("tests/manifests/reject"));
    let names: Vec<_> = files.iter().map(|path| path.file_name().unwrap().to_str().unwrap()).collect();
    for check in CHECKS {
        assert!(
            names.iter().any(|name| name.starts_with(&format!("{}-", check.id))),
            "{}, {}: no file in tests/manifests/reject",
            check.id,
            check.summary
        );
    }
}

#[test]
fn ids_of_checks_are_in_order() {
    let ids: Vec<_> = CHECKS.iter().map(|check| check.id).collect();
    assert!(ids.is_sorted_by(|a, b| a < b), "{ids:?}");
}

#[test]
fn good_manifests_pass() {
    let project = Workspace { root: project() };
    let folders = [
        (&project, project.root.join("manifests")),
        (&project, project.root.join("tests/manifests/accept")),
        (&fixtures(), fixtures().root.join("manifests")),
    ];
    for (workspace, folder) in folders {
        for path in manifests(&folder).into_iter().filter(|path| !is_menu(path)) {
            if let Err(report) = image_compiler::load(workspace, &path) {
                panic!("{report}");
            }
        }
    }
}

/// A menu has no faults, and its systems are there.
#[test]
fn good_menus_pass() {
    let workspace = Workspace { root: project() };
    let all = manifests(&project().join("manifests"));
    let menus: Vec<_> = all.into_iter().filter(|path| is_menu(path)).collect();
    assert!(!menus.is_empty());
    for path in menus {
        let entries = image_compiler::menu(&Inputs::read(&workspace, &path)).unwrap().unwrap();
        for entry in entries {
            let system = image_compiler::load(&workspace, &entry.manifest);
            assert!(system.is_ok(), "{}: {}", path.display(), entry.manifest.display());
        }
    }
}

/// `rtdemo` judges itself by the longest wait that the report states: its manifest says which that is.
#[test]
fn the_bound_of_a_periodic_domain_is_that_of_the_report() {
    let project = Workspace { root: project() };
    let folders = ["manifests", "tests/manifests/accept"].map(|folder| manifests(&project.root.join(folder)));
    let mut count = 0;
    for path in folders.concat().into_iter().filter(|path| !is_menu(path)) {
        let system = image_compiler::load(&project, &path).unwrap();
        for ((_, domain), sure) in system.domains().zip(system.guarantees()) {
            if system.component(domain.component).name == "rtdemo" {
                count += 1;
                let stated = domain.arguments.split(' ').next().and_then(|word| word.parse().ok());
                assert_eq!(
                    stated,
                    sure.wait_us,
                    "{}: its first argument, and its longest wait",
                    path.display()
                );
            }
        }
    }
    assert!(count >= 5, "{count} systems have one");
}

#[test]
fn files_without_text_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("empty.toml");
    fs::write(&empty, " \n").unwrap();
    let cases = [
        (empty, "the file is empty"),
        (folder.path().join("missing.toml"), "there is no such file"),
        (folder.path().to_owned(), "this is a folder, not a file"),
    ];
    for (path, message) in cases {
        let report = image_compiler::load(&fixtures(), &path).unwrap_err();
        assert_eq!(lines(&report, &path), [format!("M001 1:1 {message}")]);
        assert!(report.to_string().contains(&path.display().to_string()), "{report}");
    }
}

/// The image has to lie below 4 GiB; what does not fit is not even read.
#[test]
fn files_that_make_an_image_too_large_are_refused() {
    const LIMIT: u64 = 1 << 32;
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: u64| {
        File::create(folder.path().join(name)).unwrap().set_len(bytes).unwrap();
    };
    file("large", LIMIT + 1);
    let kernel = fs::read(fixtures().root.join("files/kernel")).unwrap();
    let rest = LIMIT - kernel.len() as u64;
    fs::write(folder.path().join("small"), &kernel).unwrap();
    file("rest", rest + 1);
    let path = folder.path().join("large.toml");
    let faults = |kernel: &str, initramfs: &str| {
        let text = "[system]\nname = \"x\"\nplatform = \"machine\"\n[domain.x]\ncomponent = \"linux\"\nmemory_mib = 16\n";
        fs::write(&path, format!("{text}kernel = \"./{kernel}\"\ninitramfs = \"./{initramfs}\"\n")).unwrap();
        lines(&image_compiler::load(&fixtures(), &path).unwrap_err(), &path)
    };
    let refused = |line: u32, column: u32, name: &str, bytes: u64, most: u64| {
        let reason = format!("the file has {bytes} bytes or more, at most {most} are read");
        format!("M113 {line}:{column} the file \"./{name}\" of a guest cannot be used: {reason}")
    };
    assert_eq!(faults("large", "small"), [refused(7, 10, "large", LIMIT + 1, LIMIT)]);
    assert_eq!(faults("small", "rest"), [refused(8, 13, "rest", rest + 1, rest)]);
}

#[test]
fn a_report_shows_place_both_parties_and_a_proposal() {
    let path = project().join("tests/manifests/reject/M013-unknown-component.toml");
    let text = image_compiler::load(&fixtures(), &path).unwrap_err().to_string();
    assert!(text.contains("M013-unknown-component.toml:"), "{text}");
    assert!(text.contains("did you mean `hello`?"), "{text}");
    assert!(!text.contains('\u{1b}'), "colour without a terminal: {text}");
}

/// What `manifests/README.md` says.
fn readme() -> String {
    fs::read_to_string(project().join("manifests/README.md")).unwrap()
}

#[test]
fn the_readme_has_the_table_of_checks() {
    let readme = readme();
    let (_, rest) = readme.split_once("<!-- checks -->\n").unwrap();
    let (table, _) = rest.split_once("<!-- end of checks -->").unwrap();
    let expected = image_compiler::checks_table();
    assert_eq!(table, expected, "put this between the two marks of manifests/README.md:\n{expected}");
}

/// What the builder has built, and does not start again, is in none of its slots.
#[test]
fn as_many_regions_as_there_can_be_are_accepted_if_the_builder_need_not_keep_them() {
    let text = fs::read_to_string(project().join("tests/manifests/reject/M067-slots-of-the-builder.toml"));
    let text = text.unwrap().replace("on_fault = \"restart\"\n", "");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("many.toml");
    fs::write(&path, text).unwrap();
    assert!(image_compiler::load(&fixtures(), &path).is_ok());
}

#[test]
fn the_readme_has_the_limits() {
    use cloison_abi::guest::MAX_GUESTS;
    use cloison_abi::limits::{
        MAX_DOMAINS, MAX_INTERRUPT_LINES, MAX_INTERRUPTS, MAX_MAPPINGS, MAX_PORT_RANGES, MAX_REGIONS,
        MAX_SLOTS, PLAN_EVENTS,
    };
    use cloison_abi::port::MAX_PORTS;
    let limits = [
        (MAX_DOMAINS - 1, "MAX_DOMAINS"),
        (MAX_SLOTS, "MAX_SLOTS"),
        (MAX_MAPPINGS, "MAX_MAPPINGS"),
        (PLAN_EVENTS as usize, "PLAN_EVENTS"),
        (MAX_PORT_RANGES, "MAX_PORT_RANGES"),
        (MAX_REGIONS, "MAX_REGIONS"),
        (MAX_INTERRUPTS, "MAX_INTERRUPTS"),
        (MAX_INTERRUPT_LINES as usize, "MAX_INTERRUPT_LINES"),
        (MAX_PORTS, "MAX_PORTS"),
        (MAX_GUESTS, "MAX_GUESTS"),
    ];
    for (limit, constant) in limits {
        let is_row = |line: &str| line.starts_with(&format!("| {limit} ")) && line.contains(constant);
        assert!(readme().lines().any(is_row), "{constant} is {limit}, the README says something else");
    }
}

/// The first line of each block says what kind of file it shows.
#[test]
fn the_examples_of_the_readme_pass() {
    let folder = tempfile::tempdir().unwrap();
    let mut kinds = Vec::new();
    for block in readme().split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap()) {
        let (kind, text) = block.split_once('\n').unwrap();
        let (workspace, manifest) = example(folder.path(), kind, text);
        let faults = match image_compiler::load(&workspace, &manifest) {
            Ok(_) => Vec::new(),
            Err(report) => lines(&report, &manifest),
        };
        // An example of a component or platform stands alone; what its system lacks is no fault of it.
        let is_whole = ["# system", "# disk", "# network"].contains(&kind);
        let own: Vec<_> = faults.iter().filter(|line| is_whole || line.contains(".toml:")).collect();
        assert!(own.is_empty(), "{kind}: {own:#?}");
        kinds.push(kind.to_owned());
    }
    let networks = ["# network"; 3];
    let systems = ["# system", "# system", "# disk", "# system", "# system"];
    let rest = ["# system", "# system", "# component", "# menu", "# platform"];
    let expected = [&systems[..], &networks, &rest].concat();
    assert_eq!(kinds, expected);
}

/// What the README shows of an office is booted by a scenario.
#[test]
fn the_office_of_the_readme_is_the_one_that_is_booted() {
    let booted = fs::read_to_string(project().join("tests/manifests/accept/walled-office.toml")).unwrap();
    assert!(readme().contains(&format!("```toml\n# system\n{booted}```")));
}

/// The commands that the README shows with their answers, each as it would be given in the folder of its manifest.
#[test]
fn the_answers_in_the_readme_are_those_that_are_given() {
    let folder = tempfile::tempdir().unwrap();
    let (mut count, mut wrong) = (0, String::new());
    for block in readme().split("```text\n").skip(1).map(|rest| rest.split("```").next().unwrap()) {
        for sample in block.split("$ cargo image query ").skip(1) {
            let (command, shown) = sample.split_once('\n').unwrap();
            let given = answer(folder.path(), command);
            if given != shown.trim_end().to_owned() + "\n" {
                wrong += &format!("$ cargo image query {command}\n{given}");
            }
            count += 1;
        }
    }
    assert!(wrong.is_empty(), "put this into manifests/README.md:\n{wrong}");
    assert!(count >= 5, "{count} samples");
}

/// What a query prints. A manifest without a folder is the README's own example of that name.
fn answer(folder: &Path, command: &str) -> String {
    let (manifest, rest) = command.split_once(" \"").unwrap();
    let (question, options) = rest.split_once('"').unwrap();
    let assume = match options {
        "" => Assume::Usual,
        " --assume nothing" => Assume::Nothing,
        other => panic!("unknown options:{other}"),
    };
    let project = project();
    let root = if manifest.contains('/') { &project } else { folder };
    if root == folder {
        let name = format!("name = \"{}\"", manifest.strip_suffix(".toml").unwrap());
        let readme = readme();
        let mut examples = readme.split("```toml\n# system\n").map(|rest| rest.split("```").next().unwrap());
        fs::write(folder.join(manifest), examples.find(|text| text.contains(&name)).unwrap()).unwrap();
    }
    let system = image_compiler::load(&Workspace { root: project.clone() }, &root.join(manifest));
    let system = system.unwrap_or_else(|report| panic!("{report}"));
    let answer = ask(&system, question, assume).unwrap_or_else(|why| panic!("{}", why.message));
    answer.text.replace(&format!("{}/", root.display()), "")
}

/// Puts an example where it belongs: where to load it, and by which manifest.
fn example(folder: &Path, kind: &str, text: &str) -> (Workspace, PathBuf) {
    let write = |path: &str, text: &str| {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    };
    let alone = "[system]\nname = \"x\"\nplatform = \"example\"\n[domain.x]\ncomponent = \"example\"\n";
    match kind {
        "# system" | "# menu" => (Workspace { root: project() }, write("system.toml", text)),
        "# disk" => {
            let head = "[system]\nname = \"x\"\nplatform = \"machine\"\n";
            (fixtures(), write("disk.toml", &format!("{head}{text}")))
        }
        // What is to be added to a system that has the domains.
        "# network" => (fixtures(), write("network.toml", &format!("{}{text}", network(text)))),
        "# component" => {
            write("domains/example/domain.toml", text);
            (Workspace { root: folder.to_owned() }, write("alone.toml", alone))
        }
        "# platform" => {
            write("manifests/platforms/example.toml", text);
            (Workspace { root: folder.to_owned() }, write("alone.toml", alone))
        }
        other => panic!("an example of unknown kind: {other}"),
    }
}

/// The rest of a system of which an example shows ports: the domains at them, a switch, a network card.
fn network(example: &str) -> String {
    let mut text = "[system]\nname = \"x\"\nplatform = \"machine\"\n".to_owned();
    let mut domain = |name: &str, rest: &str| text += &format!("[domain.{name}]\n{rest}\n");
    domain("ore", "component = \"ore\"");
    let ports = example.lines().filter_map(|line| line.trim_end_matches(']').split_once(".port."));
    ports.for_each(|(_, name)| domain(name, "component = \"host\""));
    if example.contains("uplink") {
        domain("nic", "component = \"card\"\ndevices = [\"nic0\"]");
    } else {
        text += "[switch.ore]\nnetwork = \"192.168.0.0/24\"\n";
    }
    text
}
