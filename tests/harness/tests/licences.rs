//! What the project is made of may be passed on under its own licences.

use std::{path::Path, process::Command};

/// Licences under which a dependency may come; one of several that it offers is enough.
const ACCEPTED: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "MIT",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Whether an expression in SPDX's terms, of names, `AND`, `OR` and brackets, can be met. (An old form has `/` for
/// `OR`.) `AND` binds tighter than `OR`; brackets are taken away from inside.
fn is_accepted(expression: &str) -> bool {
    let expression = expression.replace('/', " OR ");
    if let Some(close) = expression.find(')') {
        let open = expression[..close].rfind('(').expect("a bracket that opens");
        let inner = if is_accepted(&expression[open + 1..close]) { "MIT" } else { "none" };
        return is_accepted(&format!("{}{inner}{}", &expression[..open], &expression[close + 1..]));
    }
    let is_met = |names: &str| names.split(" AND ").all(|name| ACCEPTED.contains(&name.trim()));
    expression.split(" OR ").any(is_met)
}

#[test]
fn an_expression_is_met_by_one_of_several() {
    for met in [
        "MIT",
        "GPL-3.0 OR MIT",
        "MIT/Apache-2.0",
        "(MIT OR GPL-2.0) AND Unicode-3.0",
        "(MIT AND ISC) OR GPL-3.0",
    ] {
        assert!(is_accepted(met), "{met}");
    }
    for not in ["GPL-3.0", "MIT AND GPL-3.0", "(GPL-2.0 OR GPL-3.0) AND MIT", ""] {
        assert!(!is_accepted(not), "{not}");
    }
}

#[test]
fn every_dependency_has_a_licence_that_is_accepted() {
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let output = Command::new(env!("CARGO"))
        .args([
            "tree",
            "--workspace",
            "--locked",
            "--offline",
            "--edges",
            "normal,build,dev",
            "--prefix",
            "none",
        ])
        .args(["--format", "{p}|{l}"])
        .current_dir(project)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let tree = String::from_utf8(output.stdout).unwrap();
    let packages: Vec<(&str, &str)> = tree.lines().filter_map(|line| line.split_once('|')).collect();
    assert!(packages.len() > 100, "{} packages", packages.len());
    let strange: Vec<_> =
        packages.into_iter().filter(|(_, licence)| !is_accepted(licence.trim_end_matches(" (*)"))).collect();
    assert!(strange.is_empty(), "licences that nobody has accepted: {strange:?}");
}
