//! The compiler reads no clock and no environment and starts no program: Clippy refuses each way that there is.

use std::{fs, path::Path, process::Command};

/// One function for each way, in the order of `clippy.toml`'s entries.
const WAYS: &[(&str, &str)] = &[
    ("std::process::Command", "pub fn f(_: &std::process::Command) {}"),
    ("std::time::Instant", "pub fn f(_: std::time::Instant) {}"),
    ("std::time::SystemTime", "pub fn f(_: std::time::SystemTime) {}"),
    ("std::process::Command::new", "pub fn f() { let _ = std::process::Command::new(\"true\"); }"),
    ("std::process::id", "pub fn f() -> u32 { std::process::id() }"),
    ("std::time::Instant::now", "pub fn f() { let _ = std::time::Instant::now(); }"),
    ("std::time::SystemTime::now", "pub fn f() { let _ = std::time::SystemTime::now(); }"),
    ("std::fs::Metadata::modified", "pub fn f(about: &std::fs::Metadata) { let _ = about.modified(); }"),
    ("std::fs::Metadata::created", "pub fn f(about: &std::fs::Metadata) { let _ = about.created(); }"),
    ("std::fs::Metadata::accessed", "pub fn f(about: &std::fs::Metadata) { let _ = about.accessed(); }"),
    ("std::env::args", "pub fn f() { let _ = std::env::args(); }"),
    ("std::env::args_os", "pub fn f() { let _ = std::env::args_os(); }"),
    ("std::env::current_dir", "pub fn f() { let _ = std::env::current_dir(); }"),
    ("std::env::current_exe", "pub fn f() { let _ = std::env::current_exe(); }"),
    ("std::env::home_dir", "pub fn f() { let _ = std::env::home_dir(); }"),
    ("std::env::temp_dir", "pub fn f() { let _ = std::env::temp_dir(); }"),
    ("std::env::var", "pub fn f() { let _ = std::env::var(\"HOME\"); }"),
    ("std::env::var_os", "pub fn f() { let _ = std::env::var_os(\"HOME\"); }"),
    ("std::env::vars", "pub fn f() { let _ = std::env::vars(); }"),
    ("std::env::vars_os", "pub fn f() { let _ = std::env::vars_os(); }"),
    ("std::thread::current", "pub fn f() { let _ = std::thread::current(); }"),
    ("std::env", "pub fn f() -> &'static str { env!(\"CARGO_MANIFEST_DIR\") }"),
    ("std::option_env", "pub fn f() -> Option<&'static str> { option_env!(\"HOME\") }"),
];

#[test]
fn what_the_image_must_not_depend_on_is_refused() {
    let compiler = Path::new(env!("CARGO_MANIFEST_DIR")).join("compiler");
    let package = tempfile::tempdir().unwrap();
    fs::create_dir(package.path().join("src")).unwrap();
    fs::copy(compiler.join("clippy.toml"), package.path().join("clippy.toml")).unwrap();
    let manifest = "[package]\nname = \"impure\"\nedition = \"2024\"\n[workspace]\n";
    fs::write(package.path().join("Cargo.toml"), manifest).unwrap();
    // The compiler's own settings, then one module a line.
    let library = fs::read_to_string(compiler.join("src/lib.rs")).unwrap();
    let settings: Vec<String> =
        library.lines().filter(|line| line.starts_with("#![")).map(str::to_owned).collect();
    let modules =
        WAYS.iter().enumerate().map(|(number, (_, code))| format!("pub mod m{number} {{ {code} }}"));
    let lines: Vec<String> = settings.iter().cloned().chain(modules).collect();
    fs::write(package.path().join("src/lib.rs"), lines.join("\n") + "\n").unwrap();
    let output = Command::new(std::env::var_os("CARGO").unwrap())
        .args(["clippy", "--quiet", "--offline"])
        .current_dir(package.path())
        .env("CARGO_TARGET_DIR", package.path().join("target"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    for (number, (path, _)) in WAYS.iter().enumerate() {
        let kind = if path.ends_with("env") { "macro" } else { "" };
        let place = format!("--> src/lib.rs:{}:", settings.len() + number + 1);
        let faults = said.split("\n\n").filter(|fault| fault.contains(&place));
        let is_refused = |fault: &str| {
            let named = fault.contains(&format!("`{path}`")) || fault.contains(&format!("`{path}!`"));
            fault.starts_with("error: use of a disallowed") && fault.contains(kind) && named
        };
        assert!(faults.clone().any(is_refused), "{path} is not refused:\n{said}");
    }
    let listed = fs::read_to_string(compiler.join("clippy.toml")).unwrap().matches("{ path = ").count();
    assert_eq!(listed, WAYS.len(), "a line of clippy.toml has no example here");
}
