//! A proposal that is followed passes the check that made it.

use std::fs;

use crate::support::fixtures;

/// Id, what is written, what the help says, and what is written then.
pub type Case = (&'static str, &'static str, &'static str, &'static str);

/// Faults of the value or table that stands in place of `@`.
pub fn assert_followed(template: &str, cases: &[Case]) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.toml");
    let load = |written: &str| {
        fs::write(&path, template.replace('@', written)).unwrap();
        image_compiler::load(&fixtures(), &path)
    };
    for (id, wrong, help, right) in cases {
        let report = load(wrong).expect_err(wrong);
        let faults = report.diagnostics();
        assert_eq!(faults.len(), 1, "{wrong}: {report}");
        assert_eq!(faults[0].id, *id, "{wrong}: {report}");
        assert!(faults[0].help.as_deref().unwrap_or_default().contains(help), "{wrong}: {report}");
        if let Err(report) = load(right) {
            panic!("`{help}` was followed: {report}");
        }
    }
}

pub const SYSTEM: &str = "[system]\nname = \"test\"\nplatform = \"machine\"\n";
pub const CONSOLE: &str =
    "[domain.console]\ncomponent = \"console\"\ndevices = [\"uart0\"]\nrights = [\"log-right\"]\n";
