//! A proposal that is followed passes the check that made it.
//!
//! Each case is a manifest with one fault, what the help must say, and the manifest as it is when somebody has done
//! what it says.

#[path = "support/followed.rs"]
mod followed;
mod support;

use std::fs;

use followed::{CONSOLE, SYSTEM, assert_followed};
use image_compiler::Workspace;
use support::{fixtures, project};

#[test]
fn names() {
    let template = format!("{SYSTEM}[domain.@]\ncomponent = \"quiet\"\n");
    assert_followed(
        &template,
        &[
            ("M010", "\"größe-mit-namen\"", "use a-z, 0-9 and -", "groesse"),
            ("M010", "a-domain-with-a-long-name", "at most 16", "a-domain-with-a-"),
            ("M010", "\"Quiet\"", "beginning with a letter", "quiet"),
            ("M011", "kernel", "another name", "other"),
        ],
    );
    let template = format!("{SYSTEM}{CONSOLE}@");
    let hello = |rest: &str| format!("[domain.hello]\ncomponent = {rest}").leak() as &'static str;
    assert_followed(
        &template,
        &[
            ("M013", hello("\"helo\"\nlog = \"console\""), "`hello`", hello("\"hello\"\nlog = \"console\"")),
            (
                "M014",
                hello("\"hello\"\nlog = \"consle\""),
                "`console`",
                hello("\"hello\"\nlog = \"console\""),
            ),
            ("M004", hello("\"hello\"\nlgo = \"console\""), "`log`", hello("\"hello\"\nlog = \"console\"")),
            ("M020", hello("\"hello\""), "add `log = \"console\"`", hello("\"hello\"\nlog = \"console\"")),
            (
                "M023",
                hello("\"hello\"\nuses.lgo = \"console\""),
                "did you mean `log`?",
                hello("\"hello\"\nuses.log = \"console\""),
            ),
            (
                "M070",
                hello("\"hello\"\nlog = \"console\"\non_fault = \"restrat\""),
                "`restart`",
                hello("\"hello\"\nlog = \"console\"\non_fault = \"restart\""),
            ),
        ],
    );
}

/// However many there are, the one is proposed that was meant.
#[test]
fn components_of_the_project() {
    let workspace = Workspace { root: project() };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.toml");
    let names = ["domains", "domains/demos", "tests/domains"].map(|parent| {
        let entries = fs::read_dir(workspace.root.join(parent)).unwrap().map(|entry| entry.unwrap().path());
        let components =
            entries.filter(|path| path.join("domain.toml").exists() && !path.ends_with("builder"));
        components.map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect::<Vec<_>>()
    });
    let names = names.concat();
    assert!(names.len() > 70, "{names:?}");
    for name in names {
        // Its last two letters are the other way round, or there is one too many.
        let (start, end) = name.split_at(name.len() - 2);
        let slip = start.to_owned() + &end.chars().rev().collect::<String>();
        let slip = if slip == name { slip + "q" } else { slip };
        let system = "[system]\nname = \"test\"\nplatform = \"qemu-q35\"\n";
        fs::write(&path, format!("{system}[domain.a]\ncomponent = \"{slip}\"\n")).unwrap();
        let report = image_compiler::load(&workspace, &path).unwrap_err();
        let fault = report.diagnostics().iter().find(|fault| fault.id == "M013").unwrap();
        assert_eq!(fault.help, Some(format!("did you mean `{name}`?")), "{report}");
    }
}

#[test]
fn grants() {
    let template = format!("{SYSTEM}[domain.console]\ncomponent = \"console\"\n@");
    assert_followed(
        &template,
        &[
            (
                "M021",
                "rights = [\"log-right\"]",
                "add \"uart0\"",
                "rights = [\"log-right\"]\ndevices = [\"uart0\"]",
            ),
            (
                "M022",
                "devices = [\"uart0\"]",
                "add \"log-right\"",
                "rights = [\"log-right\"]\ndevices = [\"uart0\"]",
            ),
            (
                "M024",
                "rights = [\"log-right\"]\ndevices = [\"nic\"]",
                "put \"uart0\", a uart-16550, in its place",
                "rights = [\"log-right\"]\ndevices = [\"uart0\"]",
            ),
            (
                "M025",
                "rights = [\"census-right\"]\ndevices = [\"uart0\"]",
                "put \"log-right\" in its place",
                "rights = [\"log-right\"]\ndevices = [\"uart0\"]",
            ),
        ],
    );
}

/// What cannot be followed is not proposed: a device that somebody owns, a gate of the domain itself or of its
/// caller.
#[test]
fn nothing_that_another_check_refuses() {
    let help = |text: &str| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.toml");
        fs::write(&path, format!("{SYSTEM}{CONSOLE}{text}")).unwrap();
        let report = image_compiler::load(&fixtures(), &path).unwrap_err();
        assert_eq!(report.count(), 1, "{report}");
        report.diagnostics()[0].help.clone().unwrap()
    };
    let other = "[domain.other]\ncomponent = \"console\"\nrights = [\"log-right\"]\n";
    assert_eq!(help(other), "`uart0` is of that class, but `console` owns it");
    let stpm = "[domain.stpm]\ncomponent = \"stpm\"\ndevices = [\"tpm-tis\"]\nlog = \"stpm\"\n";
    assert_eq!(help(stpm), "`console` does");
    let hosts = "[domain.ore]\ncomponent = \"ore\"\n[domain.a]\ncomponent = \"host\"\n";
    let second = format!("{hosts}uses.net = \"ore\"\n[switch.ore.port.a]\ngate = \"other\"\n");
    assert_eq!(help(&second), "remove this use: a domain has one port on a switch");
}

#[test]
fn schedule_and_memory() {
    let template = format!("{SYSTEM}[domain.a]\ncomponent = \"quiet\"\n@");
    assert_followed(
        &template,
        &[
            ("M042", "priority = 0", "from 1 to 30", "priority = 1"),
            ("M042", "priority = 31", "from 1 to 30", "priority = 30"),
            (
                "M043",
                "budget_us = 8000\nperiod_us = 50",
                "a period from 8050 to",
                "budget_us = 8000\nperiod_us = 8050",
            ),
            ("M043", "period_us = 50", "a period from 250 to", "period_us = 250"),
            ("M043", "budget_us = 0", "from 1 to 9950", "budget_us = 9950"),
            ("M043", "budget_us = 20_000", "from 1 to 9950", "budget_us = 1"),
            (
                "M043",
                "budget_us = 5_000_000_000\nperiod_us = 6_000_000_000",
                "a budget of 4294967245",
                "budget_us = 4_294_967_245\nperiod_us = 4_294_967_295",
            ),
            (
                "M100",
                "priority = 30\nbudget_us = 9950\n[domain.b]\ncomponent = \"quiet\"\npriority = 30\nbudget_us = 9950",
                "give it and those others smaller budgets: 10000 µs less in all",
                "priority = 30\nbudget_us = 4950\n[domain.b]\ncomponent = \"quiet\"\npriority = 30\nbudget_us = 4950",
            ),
            ("M050", "stack_kib = 0", "from 4 to 65536", "stack_kib = 4"),
            ("M050", "heap_kib = 1_000_000", "at most 65536", "heap_kib = 20_000"),
            ("M080", "arguments = \"x\"", "remove them", ""),
        ],
    );
    let template = format!(
        "{SYSTEM}[domain.a]\ncomponent = \"peer\"\nuses.next = \"b\"\n[domain.b]\ncomponent = \"peer\"\n@"
    );
    assert_followed(
        &template,
        &[(
            "M041",
            "priority = 5\n[domain.a2]\ncomponent = \"peer\"\nuses.next = \"b\"\npriority = 30",
            "from 30 to 30",
            "priority = 30\n[domain.a2]\ncomponent = \"peer\"\nuses.next = \"b\"\npriority = 30",
        )],
    );
}

#[test]
fn switches() {
    let hosts = "[domain.ore]\ncomponent = \"ore\"\n[domain.a]\ncomponent = \"host\"\n[domain.b]\ncomponent = \"host\"\n";
    let template = format!("{SYSTEM}{hosts}[switch.ore]\nnetwork = @");
    let ports = "[switch.ore.port.a]\n[switch.ore.port.b]\naddress = ";
    let network = |text: &str| format!("{text}\n{ports}\"192.168.0.9\"").leak() as &'static str;
    let address = |text: &str| format!("\"192.168.0.0/24\"\n{ports}{text}").leak() as &'static str;
    let vlans = |a: &str, b: &str| {
        let c = "[domain.c]\ncomponent = \"host\"\n[switch.ore.port.c]\nvlan = 7";
        format!("\"192.168.0.0/24\"\n[switch.ore.port.a]\nvlan = {a}\n[switch.ore.port.b]\nvlan = {b}\n{c}")
            .leak() as &'static str
    };
    assert_followed(
        &template,
        &[
            ("M083", network("\"192.168.0.7/24\""), "give \"192.168.0.0/24\"", network("\"192.168.0.0/24\"")),
            ("M083", network("\"192.168.0.0/33\""), "\"192.168.0.0/24\"", network("\"192.168.0.0/24\"")),
            ("M083", address("\"DHCP\""), "did you mean `dhcp`?", address("\"dhcp\"")),
            ("M083", address("\"dchp\""), "did you mean `dhcp`?", address("\"dhcp\"")),
            ("M083", address("\"192.168.0.256\""), "give an IPv4 address", address("\"192.168.0.25\"")),
            ("M083", address("\"192.168.0.011\""), "or leave it out", address("\"192.168.0.11\"")),
            (
                "M084",
                address("\"10.0.0.1\""),
                "from 192.168.0.1 to 192.168.0.254",
                address("\"192.168.0.254\""),
            ),
            ("M087", vlans("7", "0"), "the VLAN of another port: 7", vlans("7", "7")),
            ("M087", vlans("4095", "7"), "the VLAN of another port: 7", vlans("7", "7")),
            ("M087", vlans("7", "8"), "the VLAN of other ports: 7", vlans("7", "7")),
            ("M087", vlans("9", "8"), "give them one VLAN", vlans("7", "7")),
            ("M087", vlans("9", "9999"), "another port: 7, 9", vlans("7", "7")),
            (
                "M088",
                address("\"192.168.0.9\"\nsends_to = [\"c\"]"),
                "known: `a`",
                address("\"192.168.0.9\"\nsends_to = [\"a\"]"),
            ),
            (
                "M088",
                address("\"192.168.0.9\"\nsends_to = [\"a\", \"a\"]"),
                "remove one of them",
                address("\"192.168.0.9\"\nsends_to = [\"a\"]"),
            ),
            (
                "M091",
                address("\"192.168.0.9\"\nrate_mbit = 0"),
                "from 1 to 1000000",
                address("\"192.168.0.9\"\nrate_mbit = 1000000"),
            ),
            (
                "M091",
                address("\"192.168.0.9\"\nrate_mbit = 1\nburst_kib = 1"),
                "`burst_kib` from 33 to",
                address("\"192.168.0.9\"\nrate_mbit = 1\nburst_kib = 33"),
            ),
        ],
    );
    // Which network is missing follows from the address.
    let template =
        format!("{SYSTEM}{hosts}[switch.ore]\n@\n[switch.ore.port.a]\n[switch.ore.port.b]\naddress = ");
    for (address, network) in
        [("10.0.0.1", "10.0.0.0/24"), ("172.16.1.0", "172.16.0.0/23"), ("172.16.0.255", "172.16.0.0/23")]
    {
        let template = format!("{template}\"{address}\"\n");
        let right = format!("network = \"{network}\"");
        assert_followed(&template, &[("M084", "", right.clone().leak(), right.leak())]);
    }
}

#[test]
fn options() {
    let domains = "[domain.stpm]\ncomponent = \"stpm\"\ndevices = [\"tpm-tis\"]\nlog = \"console\"\n";
    let template = format!("{SYSTEM}{CONSOLE}{domains}[domain.a]\ncomponent = \"client\"\n@\n");
    let tpm = |options: &str| {
        format!("log = \"console\"\nuses.tpm = {{ from = \"stpm\"{options} }}").leak() as &'static str
    };
    let log = |written: &str| format!("uses.tpm = \"stpm\"\n{written}").leak() as &'static str;
    assert_followed(
        &template,
        &[
            ("M029", tpm(", locality = 5"), "a number from 0 to 4", tpm(", locality = 4")),
            ("M029", tpm(", locality = 5"), "a number from 0 to 4", tpm(", locality = 0")),
            ("M029", tpm(", localty = 1"), "did you mean `locality`?", tpm(", locality = 1")),
            ("M029", tpm(", something = 1"), "known: `locality`", tpm(", locality = 1")),
            (
                "M029",
                log("uses.log = { from = \"console\", locality = 1 }"),
                "write `uses.log = \"console\"`",
                log("uses.log = \"console\""),
            ),
        ],
    );
}

const HOSTS: &str = "[domain.a]\ncomponent = \"host\"\n[domain.b]\ncomponent = \"host\"\n";

#[test]
fn what_can_be_a_switch_or_a_port() {
    let ports = "[switch.s.port.a]\n[switch.s.port.b]\n";
    let template = format!("{SYSTEM}{HOSTS}[domain.s]\ncomponent = @\n[switch.s]\n{ports}");
    assert_followed(&template, &[("M081", "\"no-memory\"", "such as `ore`", "\"ore\"")]);
    let ore = "[domain.ore]\ncomponent = \"ore\"\n[switch.ore.port.a]\n[switch.ore.port.b]\n";
    let template = format!("{SYSTEM}{HOSTS}{ore}@");
    let reader = |rest: &str| format!("[domain.c]\ncomponent = \"reader\"\n{rest}").leak() as &'static str;
    assert_followed(
        &template,
        &[(
            "M081",
            reader("[switch.ore.port.c]\ngate = \"numbers\""),
            "write `uses.numbers = \"ore\"` of the domain in place of the port",
            reader("uses.numbers = \"ore\""),
        )],
    );
}

#[test]
fn uplinks() {
    let ore = "[domain.ore]\ncomponent = \"ore\"\n";
    let ports = "[switch.ore.port.a]\n[switch.ore.port.b]\n";
    let card = "[domain.c]\ncomponent = \"card\"\n";
    let devices = "devices = [\"nic0\"]\n";
    let template = format!("{SYSTEM}{HOSTS}{ore}{card}@\n{ports}");
    assert_followed(
        &template,
        &[(
            "M089",
            "[switch.ore]\nuplink = \"c\"",
            "add `devices = [\"nic0\"]` to it",
            "devices = [\"nic0\"]\n[switch.ore]\nuplink = \"c\"",
        )],
    );
    let template =
        format!("{SYSTEM}{HOSTS}{ore}{card}{devices}[switch.ore]\nuplink = @\n{ports}[switch.ore.port.c]\n");
    assert_followed(&template, &[("M089", "\"a\"", "name `c`, which owns one", "\"c\"")]);
    let ports_with_addresses =
        "[switch.ore.port.a]\naddress = \"10.0.0.1\"\n[switch.ore.port.b]\naddress = \"10.0.0.2\"\n";
    let switch = "[switch.ore]\nnetwork = \"10.0.0.0/24\"\nuplink = \"c\"\n";
    let quiet = "[domain.quiet]\ncomponent = \"quiet\"\n";
    let template = format!(
        "{SYSTEM}{HOSTS}{ore}{card}{devices}{quiet}{switch}{ports_with_addresses}[forward.f]\nto = @\nport = 22\n"
    );
    assert_followed(
        &template,
        &[
            ("M093", "\"ore\"", "name a domain that has one: `a`, `b`", "\"a\""),
            ("M093", "\"c\"", "name a domain that has one: `a`, `b`", "\"b\""),
            ("M093", "\"quiet\"", "or name one that has: `a`, `b`", "\"a\""),
        ],
    );
    let template = format!("{SYSTEM}{HOSTS}{ore}@\n{ports}");
    assert_followed(
        &template,
        &[(
            "M089",
            "[switch.ore]\nuplink = \"a\"",
            "name a domain whose component drives a network card",
            format!("{card}{devices}[switch.ore]\nuplink = \"c\"").leak(),
        )],
    );
    let template = template.replace("\"machine\"", "\"no-exit\"");
    assert_followed(
        &template,
        &[("M089", "[switch.ore]\nuplink = \"a\"", "remove the uplink", "[switch.ore]")],
    );
}

#[test]
fn what_does_not_go_together() {
    let ore = "[domain.ore]\ncomponent = \"ore\"\n";
    let card = "[domain.c]\ncomponent = \"card\"\ndevices = [\"nic0\"]\n";
    let network = "[switch.ore]\nnetwork = \"192.168.0.0/24\"\n";
    let ports = "[switch.ore.port.a]\n[switch.ore.port.b]\n";
    let keys = [
        ("address", "\"192.168.0.6\""),
        ("mac", "\"02:00:00:00:00:0b\""),
        ("vlan", "1"),
        ("sends_to", "[\"a\"]"),
        ("rate_mbit", "1"),
        ("burst_kib", "64"),
        ("mirror", "true"),
    ];
    let removed = |template: &str, allowed: &str, keys: &[(&str, &str)]| {
        for (key, value) in keys {
            let wrong = format!("{allowed}{key} = {value}").leak();
            let help = format!("remove `{key}`").leak();
            assert_followed(template, &[("M090", wrong, help, String::from(allowed).leak())]);
        }
    };
    let recorder = "[domain.r]\ncomponent = \"recorder\"\ndevices = [\"capture0\"]\n";
    let mirror = format!("{SYSTEM}{HOSTS}{ore}{recorder}{network}{ports}[switch.ore.port.r]\n@");
    removed(&mirror, "mirror = true\n", &keys[..6]);
    let uplink = "uplink = \"c\"\nuplink_vlan = 1\n";
    let uplink = format!("{SYSTEM}{HOSTS}{ore}{card}{network}{uplink}{ports}[switch.ore.port.c]\n@");
    removed(&uplink, "", &[keys[0], keys[1], keys[2], keys[5], keys[6]]);
    let vlan = |before: &str, after: &str| format!("{before}{network}{after}").leak() as &'static str;
    assert_followed(
        &format!("{SYSTEM}{HOSTS}{ore}@\n{ports}"),
        &[
            ("M090", vlan("", "uplink_vlan = 1"), "or remove it", vlan("", "")),
            (
                "M090",
                vlan("", "uplink_vlan = 1"),
                "add `uplink = ` and a domain",
                vlan(card, "uplink_vlan = 1\nuplink = \"c\""),
            ),
        ],
    );
}

#[test]
fn missing_keys() {
    let template = format!("{SYSTEM}{CONSOLE}@\n");
    let budget = "[domain.boss]\ncomponent = \"bmi\"\nrights = [\"manage-right\"]\nlog = \"console\"\n[domain.worker]\ncomponent = \"hello\"\nstart = \"on-request\"\nlog = \"console\"\n[budget]\n";
    let filled: &str = format!("{budget}memory_mib = 1").leak();
    assert_followed(&template, &[("M005", budget, "add `memory_mib = ` and a number", filled)]);
    let none: &str = format!("{budget}memory_mib = 0").leak();
    assert_followed(&template, &[("M151", none, "a number of MiB from 1 on", filled)]);
    let group: &str = format!("{filled}\n[group.g]\n").leak();
    let started: &str = format!("{group}start = [\"worker\"]").leak();
    assert_followed(&template, &[("M005", group, "add `start = ` and a list of texts in quotes", started)]);
}

/// What has the wrong type, and how it is written right.
#[test]
fn values_of_another_type() {
    let template = format!("{SYSTEM}{CONSOLE}@\n");
    let hello = |rest: &str| format!("[domain.hello]\ncomponent = \"hello\"\n{rest}").leak() as &'static str;
    let log = "log = \"console\"\n";
    let with = |line: &str| hello(&format!("{log}{line}"));
    assert_followed(
        &template,
        &[
            (
                "M006",
                with("heap_kib = \"64 KiB\""),
                "write `heap_kib = 64`: it is in KiB",
                with("heap_kib = 64"),
            ),
            ("M006", with("heap_kib = \"64\""), "write `heap_kib = 64`: it is in KiB", with("heap_kib = 64")),
            (
                "M006",
                with("heap_kib = \"1 MiB\""),
                "write a number without quotes: it is in KiB",
                with("heap_kib = 64"),
            ),
            ("M006", with("budget_us = 2.5"), "`budget_us` is in µs, without", with("budget_us = 200")),
            ("M006", with("keeps_apart = \"yes\""), "without quotes", with("")),
            ("M006", hello("log = 7"), "put it in quotes: \"7\"", hello(log)),
            ("M006", hello("log = [\"console\"]"), "write one text, without brackets", hello(log)),
            ("M006", with("rights = \"log-right\""), "write `rights = [\"log-right\"]`", with("")),
        ],
    );
}

/// What a guest or a disk begins with that is not there, or cannot be what it is to be.
#[test]
fn files_of_guests_and_disks() {
    let template = format!("{SYSTEM}[domain.linux]\ncomponent = \"linux\"\nmemory_mib = 16\nkernel = @\n");
    let kernel = format!("{:?}", fixtures().root.join("files/kernel")).leak();
    assert_followed(&template, &[("M113", "\"./nope\"", "seen from the manifest's folder", kernel)]);
    let template =
        format!("{SYSTEM}[domain.store]\ncomponent = \"disk\"\ndevices = [\"disk0\"]\n[disk.store]\n@\n");
    let size = "scratch_mib = 64";
    assert_followed(&template, &[("M119", "file = \"nope.img\"", "or `scratch_mib`, a size", size)]);
}

/// Of a component that is not there, the one with a close name is hardly meant if it asks for other gates.
#[test]
fn a_component_that_is_not_there_is_one_fault() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.toml");
    // `client` needs a gate to a TPM.
    let domain = "[domain.a]\ncomponent = \"clent\"\nlog = \"console\"\n";
    fs::write(&path, format!("{SYSTEM}{CONSOLE}{domain}")).unwrap();
    let report = image_compiler::load(&fixtures(), &path).unwrap_err();
    let ids: Vec<_> = report.diagnostics().iter().map(|fault| fault.id).collect();
    assert_eq!(ids, ["M013"], "{report}");
}
