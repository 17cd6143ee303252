//! A proposal about policies, management or assertions that is followed passes the check that made it.

#[path = "support/followed.rs"]
mod followed;
mod support;

use std::fs;

use followed::{CONSOLE, SYSTEM, assert_followed};
use support::fixtures;

#[test]
fn policies() {
    let monitor = "[domain.monitor]\ncomponent = \"monitor\"\ntype = \"judge\"\nrights = [\"monitor-right\"]\nlog = \"console\"\nkeeps_apart = true\n";
    let hello = "[domain.hello]\ncomponent = \"hello\"\ntype = \"app\"\nlog = \"console\"\n";
    let console = CONSOLE.replace("devices", "type = \"service\"\ndevices");
    let second = "[domain.second]\ncomponent = \"quiet\"\ntype = \"app\"\n";
    let template = format!("{SYSTEM}[policy]\nmonitor = \"monitor\"\n@{console}{monitor}{hello}{second}");
    let types = "types = [\"service\", \"judge\", \"app\"]\n";
    let with = |rules: &str| format!("{types}{rules}\n").leak() as &'static str;
    let rule = |from: &str| format!("{{ from = [\"{from}\"], to = [\"service\"], may = [\"call\"] }}");
    let (judge, app) = (rule("judge"), rule("app"));
    let all = format!("allow = [{judge}, {app}]");
    let both = "{ from = [\"judge\", \"app\"], to = [\"service\"], may = [\"call\"] }";
    let wall = |between: &str| with(&format!("{all}\nwalls = {{ name = \"w\", between = {between} }}"));
    assert_followed(
        &template,
        &[
            ("M133", with(&format!("allow = [{judge}]")), app.clone().leak(), with(&all)),
            ("M166", with(&format!("allow = [{app}]")), judge.clone().leak(), with(&all)),
            ("M133", with(""), both, with(&format!("allow = [{both}]"))),
            ("M132", with(&all.replace("from = [\"app\"]", "from = []")), "something in `from`", with(&all)),
            ("M131", "", "add `types = [\"app\", \"judge\", \"service\"]`", with(&all)),
            (
                "M131",
                &*format!("types = [\"service\", \"judge\"]\n{all}\n").leak(),
                "known: `service`, `judge` (a new one is added to `types`",
                with(&all),
            ),
            ("M132", with(&all.replace("\"call\"] }]", "\"cal\"] }]")), "`call`", with(&all)),
            ("M132", with(&all.replace("app", "ap")), "`app`", with(&all)),
            ("M165", wall("[\"app\", \"juge\"]"), "`judge`", with(&all)),
            ("M165", wall("[\"app\", \"app\"]"), "remove one", with(&all)),
            ("M167", wall("\"app\""), "or remove it", with(&all)),
            (
                "M168",
                with(&format!("{all}\n[policy.first]\n")),
                "another name",
                with(&format!("{all}\n[policy.other]\n")),
            ),
        ],
    );
}

#[test]
fn types_of_domains() {
    let policy = "[policy]\nmonitor = \"monitor\"\ntypes = [\"service\", \"judge\"]\nallow = { from = \"judge\", to = \"service\", may = \"call\" }\n";
    let console = CONSOLE.replace("devices", "type = \"service\"\ndevices");
    let monitor = "[domain.monitor]\ncomponent = \"monitor\"\nlog = \"console\"\n";
    let right = "type = \"judge\"\nrights = [\"monitor-right\"]\n";
    let template = format!("{SYSTEM}@{console}{monitor}{right}");
    assert_followed(&template, &[("M131", "", "add [policy] with `monitor` and `types`", policy)]);
    let template = format!("{SYSTEM}{policy}{console}{monitor}@");
    let typed = |kind: &str| format!("{kind}rights = [\"monitor-right\"]\n").leak() as &'static str;
    assert_followed(
        &template,
        &[
            ("M131", typed(""), "one of `service`, `judge`", right),
            ("M131", typed("type = \"jugde\"\n"), "did you mean `judge`?", right),
            ("M022", "type = \"judge\"\n", "add \"monitor-right\" to its `rights`", right),
        ],
    );
    let template =
        format!("{SYSTEM}{}{console}{monitor}{right}", policy.replace("\"monitor\"\ntypes", "@\ntypes"));
    assert_followed(
        &template,
        &[
            ("M014", "\"monitro\"", "did you mean `monitor`?", "\"monitor\""),
            ("M014", "\"nobody\"", "known: `console`, `monitor`", "\"monitor\""),
        ],
    );
}

#[test]
fn priorities_of_a_monitor() {
    let policy = "[policy]\nmonitor = \"monitor\"\ntypes = [\"judge\", \"app\"]\n";
    let monitor = "[domain.monitor]\ncomponent = \"monitor\"\ntype = \"judge\"\nrights = [\"monitor-right\"]\nlog = \"console\"\n";
    let policy = policy.replace("\"judge\", ", "\"service\", \"judge\", ");
    let policy = policy + "allow = { from = \"judge\", to = \"service\", may = \"call\" }\n";
    let console = CONSOLE.replace("devices", "type = \"service\"\ndevices");
    let app = |own: &str, app: u64| {
        format!("{own}\n[domain.x]\ncomponent = \"quiet\"\ntype = \"app\"\npriority = {app}").leak()
            as &'static str
    };
    let template = format!("{SYSTEM}{policy}{console}{monitor}@\n");
    assert_followed(
        &template,
        &[
            (
                "M134",
                app("priority = 5", 7),
                "a number from 8 to 30, or leave it out",
                app("priority = 8", 7),
            ),
            ("M134", app("priority = 5", 7), "or leave it out", app("", 7)),
            ("M134", app("priority = 29", 30), "below 29", app("priority = 29", 28)),
            ("M042", app("", 30), "a number from 1 to 28", app("", 28)),
        ],
    );
}

#[test]
fn management() {
    let boss = "[budget]\nmemory_mib = 1\n[domain.boss]\ncomponent = \"bmi\"\nlog = \"console\"\n@";
    let worker = "[domain.worker]\ncomponent = \"hello\"\nstart = \"on-request\"\nlog = \"console\"\n";
    let operator = "[domain.operator]\ncomponent = \"operator\"\nlog = \"console\"\n";
    let right = "rights = [\"manage-right\"]\n";
    let uses = |rest: &str| {
        format!("{right}{worker}{operator}uses.bmi = {{ from = \"boss\"{rest} }}").leak() as &'static str
    };
    let good = uses(", may = [\"list\"]");
    let group = |names: &str| format!("{good}\n[group.g]\nstart = {names}").leak() as &'static str;
    let without: &str = good.replace(right, "").leak();
    let late: &str = good.replace("on-request", "on-reqeust").leak();
    assert_followed(
        &format!("{SYSTEM}{CONSOLE}{boss}\n"),
        &[
            ("M022", without, "add \"manage-right\" to its `rights`", good),
            ("M150", late, "did you mean `on-request`?", good),
            ("M160", uses(", may = [\"lits\"]"), "did you mean `list`?", good),
            ("M160", uses(", may = [\"list\"], on = [\"console\"]"), "or leave it out", good),
            ("M014", uses(", may = [\"list\"], on = [\"wroker\"]"), "did you mean `worker`?", good),
            ("M162", uses(""), "{ from = \"boss\", may = [\"list\", \"start\"] }", good),
            ("M014", group("[\"wroker\"]"), "did you mean `worker`?", group("[\"worker\"]")),
            ("M163", group("[]"), "name 1 to 32 domains", group("[\"worker\"]")),
            ("M163", group("[\"console\"]"), "or leave it out", group("[\"worker\"]")),
        ],
    );
}

#[test]
fn assertions() {
    let domains = "[domain.first]\ncomponent = \"peer\"\nuses.next = \"second\"\n[domain.second]\ncomponent = \"peer\"\n";
    let template = format!("{SYSTEM}{domains}[[assert]]\nnever = \"@\"\n");
    let right = "can first reach second by frames";
    assert_followed(
        &template,
        &[
            ("M126", "can first raech second by frames", "did you mean `reach`?", right),
            ("M126", "can first reach second by frame", "did you mean `frames`?", right),
            ("M126", "can domian:first reach second by frames", "did you mean `domain`?", right),
            ("M126", "", "ask `can A reach B`", right),
            ("M126", "can to reach second", "a domain of that name is `domain:to`", right),
            ("M127", "can frist reach second by frames", "did you mean `first`?", right),
            ("M127", "can first reach type:bank by frames", "name the domains, with commas", right),
            ("M127", "who holds log-rihgt", "did you mean `log-right`?", "who holds log-right"),
        ],
    );
    let template = format!("{SYSTEM}{domains}@\n[[assert]]\nnever = \"{right}\"\n");
    assert_followed(&template, &[("M128", "keeps_apart = true", "remove `keeps_apart`", "")]);
    let template = format!("{SYSTEM}{domains}@\n");
    assert_followed(
        &template,
        &[(
            "M126",
            "[[assert]]",
            "add `never = `",
            "[[assert]]\nnever = \"can first reach second by frames\"",
        )],
    );
}

/// A rule is not proposed for a guess: of a name that nobody has, or that two have, it is not known whose type counts.
#[test]
fn no_rule_for_a_domain_that_was_guessed() {
    let policy = "[policy]\nmonitor = \"monitor\"\ntypes = [\"service\", \"judge\", \"app\", \"rival\"]\nallow = [{ from = \"judge\", to = \"service\", may = \"call\" }, { from = \"app\", to = \"app\", may = \"call\" }, { from = \"rival\", to = \"rival\", may = \"call\" }]\n";
    let console = CONSOLE.replace("devices", "type = \"service\"\ndevices");
    let monitor = "[domain.monitor]\ncomponent = \"monitor\"\ntype = \"judge\"\nrights = [\"monitor-right\"]\nlog = \"console\"\n";
    let office = |kind: &str, desk: &str, asked: &str| {
        let desk = format!("[domain.{desk}]\ncomponent = \"desk\"\ntype = \"{kind}\"\n");
        format!("{desk}[domain.{kind}]\ncomponent = \"trader\"\ntype = \"{kind}\"\nuses.one = \"{asked}\"\n")
    };
    let system = |app: String, rival: String| format!("{SYSTEM}{policy}{console}{monitor}{app}{rival}");
    // The rival's desk is nearer to what is written than the own one is.
    let misspelt = system(office("app", "my-desk", "desk-x"), office("rival", "desk-2", "desk-2"));
    assert_eq!(faults_of(&misspelt), ["M014 there is no domain `desk-x` in this system"]);
    let twice = system(office("app", "desk", "desk"), office("rival", "desk", "desk"));
    assert_eq!(faults_of(&twice), ["M003 `desk` is used twice"]);
}

/// What a manifest is refused for.
fn faults_of(text: &str) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.toml");
    fs::write(&path, text).unwrap();
    let report = image_compiler::load(&fixtures(), &path).unwrap_err();
    report.diagnostics().iter().map(|fault| format!("{} {}", fault.id, fault.message)).collect()
}
