//! How modules and packages lie above each other: no circle among a crate's modules, and no component that needs a
//! demo.
//!
//! A module's edges are its `use` lines and the paths with `crate::` or `super::` in its text. A name that another module
//! passes on (`pub use`) leads to the module that has it. A module and the one that holds it may name each other; tests
//! are left out.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// Crates in which there are circles still, and why.
const KNOWN: &[(&str, &str)] = &[(
    "core-kernel/kernel/src/main.rs",
    "`impl Kernel` has a chapter in each file, and `Kernel` owns what they are about",
)];

/// The path of a module from the root of its crate; empty for the root itself.
type Module = Vec<String>;

#[test]
fn the_modules_of_a_crate_use_each_other_in_one_direction() {
    let roots = crate_roots(&project());
    assert!(roots.len() > 60, "few crates were found: {}", roots.len());
    let mut faults = Vec::new();
    for root in &roots {
        let name = root.strip_prefix(project()).unwrap().display().to_string();
        if KNOWN.iter().all(|(known, _)| *known != name) {
            faults.extend(Crate::read(root).circle().map(|circle| format!("{name}: {}", circle.join(" → "))));
        }
    }
    assert!(faults.is_empty(), "modules that use each other in a circle:\n{}", faults.join("\n"));
}

#[test]
fn no_component_depends_on_a_demo() {
    let domains = project().join("domains");
    let demos: Vec<String> = folders(&domains.join("demos")).iter().map(|folder| file_name(folder)).collect();
    assert!(demos.iter().any(|demo| demo == "hello"), "{demos:?}");
    for folder in folders(&domains).iter().filter(|folder| folder.join("Cargo.toml").is_file()) {
        let text = fs::read_to_string(folder.join("Cargo.toml")).unwrap();
        let needed = |line: &&str| demos.iter().any(|demo| names_package(line, demo));
        assert_eq!(text.lines().find(needed), None, "{}", folder.display());
    }
}

#[test]
fn a_circle_is_found() {
    let files = [
        ("", "mod a; mod b; mod c; pub use b::Thing;"),
        ("a", "use crate::{Thing, c};"),
        ("b", "mod inner; pub use inner::Thing;"),
        ("b::inner", "pub struct Thing; fn f() { crate::c::g() }"),
        ("c", "use super::d::{self, deep::{X, Y as Z}};"),
        ("d", "// use crate::a;\nuse crate::e;"),
        ("e", "#[cfg(test)]\nmod tests {\n    use crate::c;\n}"),
    ];
    assert_eq!(Crate::of(&files).circle(), None);
    let with = |changed: (&'static str, &'static str)| {
        let files: Vec<_> =
            files.iter().map(|file| if file.0 == changed.0 { changed } else { *file }).collect();
        Crate::of(&files).circle().map(|circle| circle.join(" "))
    };
    assert_eq!(with(("d", "use crate::a;")).as_deref(), Some("a b::inner c d a"), "by a line");
    assert_eq!(
        with(("c", "use crate::{\n    d,\n    Thing,\n};")).as_deref(),
        Some("b::inner c b::inner"),
        "by what is passed on"
    );
    assert_eq!(with(("e", "fn f() { super::c::g(); }")).as_deref(), Some("c d e c"), "by a path");
}

/// A crate: the text of its modules without comments and tests, and what each names.
struct Crate {
    /// The names that a module brings in, and whether it passes them on.
    uses: BTreeMap<Module, Vec<(Module, bool)>>,
}

impl Crate {
    fn read(root: &Path) -> Self {
        let folder = root.parent().unwrap();
        let mut uses = BTreeMap::from([(Module::new(), names(&fs::read_to_string(root).unwrap()))]);
        for path in sources(folder) {
            let inside = path.strip_prefix(folder).unwrap().with_extension("");
            let mut module: Module = inside.iter().map(|part| part.to_str().unwrap().to_owned()).collect();
            module.pop_if(|last| last == "mod");
            let is_root = module == ["lib"] || module == ["main"];
            if !is_root && !module.iter().any(|part| part == "tests") {
                uses.insert(module, names(&fs::read_to_string(&path).unwrap()));
            }
        }
        Self { uses }
    }

    fn of(files: &[(&str, &str)]) -> Self {
        let module =
            |name: &str| name.split("::").filter(|part| !part.is_empty()).map(str::to_owned).collect();
        Self { uses: files.iter().map(|(name, text)| (module(name), names(text))).collect() }
    }

    /// Modules that use each other in a circle, the first again at the end.
    fn circle(&self) -> Option<Vec<String>> {
        let mut done = BTreeSet::new();
        self.uses.keys().find_map(|module| self.walk(module, &mut Vec::new(), &mut done))
    }

    fn walk(&self, at: &Module, way: &mut Vec<Module>, done: &mut BTreeSet<Module>) -> Option<Vec<String>> {
        if let Some(start) = way.iter().position(|before| before == at) {
            return Some(way[start..].iter().chain([at]).map(|module| module.join("::")).collect());
        }
        if done.contains(at) {
            return None;
        }
        way.push(at.clone());
        let circle = self.edges(at).iter().find_map(|next| self.walk(next, way, done));
        way.pop();
        done.insert(at.clone());
        circle
    }

    /// The modules that one uses, without those that hold it and those that it holds.
    fn edges(&self, from: &Module) -> BTreeSet<Module> {
        let found = self.uses[from].iter().filter_map(|(path, _)| self.resolve(from, path, 0));
        found.filter(|to| !to.starts_with(from) && !from.starts_with(to)).collect()
    }

    /// The module that a path leads to. `None` for another crate's.
    fn resolve(&self, from: &Module, path: &[String], steps: usize) -> Option<Module> {
        let (mut at, mut rest) = (from.clone(), path);
        while let Some((part, behind)) = rest.split_first() {
            match part.as_str() {
                "crate" => at.clear(),
                "super" => drop(at.pop()),
                "self" => {}
                _ => break,
            }
            rest = behind;
        }
        while let Some(part) = rest.first() {
            let next: Module = at.iter().chain([part]).cloned().collect();
            if !self.uses.contains_key(&next) {
                break;
            }
            (at, rest) = (next, &rest[1..]);
        }
        if rest.len() == path.len() {
            return None;
        }
        // More than a few steps would be names that are passed on in a circle, which does not compile.
        let passed_on = rest.first().filter(|_| steps < 9).and_then(|name| {
            let source =
                self.uses[&at].iter().find(|(path, is_public)| *is_public && path.last() == Some(name));
            source.and_then(|(path, _)| self.resolve(&at, path, steps + 1))
        });
        Some(passed_on.unwrap_or(at))
    }
}

/// The paths that a module's text names, and whether it passes each on.
fn names(text: &str) -> Vec<(Module, bool)> {
    let without_comments: String = text
        .lines()
        .map(|line| line.split("//").next().unwrap_or_default())
        .flat_map(|line| [line, "\n"])
        .collect();
    let text = without_comments.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let mut found = Vec::new();
    for piece in text.split(';') {
        let start = piece.rfind("use ").filter(|start| {
            let before =
                piece[..*start].trim_end().rsplit(['\n', '}', '{']).next().unwrap_or_default().trim();
            before.is_empty() || before.starts_with("pub") || before.ends_with(']')
        });
        if let Some(start) = start {
            let before = piece[..start].trim_end();
            let is_public =
                before.ends_with("pub") || before.ends_with("pub(crate)") || before.ends_with("pub(super)");
            leaves(&piece[start + 4..], &Module::new(), is_public, &mut found);
        }
    }
    for start in ["crate::", "super::"] {
        let paths = text.match_indices(start).map(|(at, _)| &text[at..]);
        let path = |text: &str| -> Module {
            let end = text.find(|letter: char| !(letter.is_alphanumeric() || "_:".contains(letter)));
            text[..end.unwrap_or(text.len())]
                .split("::")
                .filter(|part| !part.is_empty())
                .map(str::to_owned)
                .collect()
        };
        found.extend(paths.map(|text| (path(text), false)));
    }
    found
}

/// The paths of a tree as it stands behind `use`.
fn leaves(tree: &str, before: &[String], is_public: bool, found: &mut Vec<(Module, bool)>) {
    let mut depth = 0;
    let parts = tree.split(|letter| {
        depth += i32::from(letter == '{') - i32::from(letter == '}');
        letter == ',' && depth == 0
    });
    for part in parts.map(str::trim).filter(|part| !part.is_empty()) {
        let (path, inner) =
            part.split_once('{').map_or((part, None), |(path, inner)| (path, inner.rsplit_once('}')));
        let path = path.split(" as ").next().unwrap_or_default();
        let own = path.split("::").map(str::trim).filter(|part| !part.is_empty() && *part != "*");
        let mut whole: Module = before.iter().cloned().chain(own.map(str::to_owned)).collect();
        match inner {
            Some((inner, _)) => leaves(inner, &whole, is_public, found),
            None => {
                whole.pop_if(|last| last == "self" && !before.is_empty());
                found.push((whole, is_public));
            }
        }
    }
}

/// Whether a line of a `Cargo.toml` names a package as a dependency.
fn names_package(line: &str, package: &str) -> bool {
    line.strip_prefix(package).is_some_and(|rest| rest.starts_with('.') || rest.trim_start().starts_with('='))
}

/// The root of every package's modules: `lib.rs`, or `main.rs` if there is no library.
fn crate_roots(folder: &Path) -> Vec<PathBuf> {
    let own = ["lib.rs", "main.rs"].map(|name| folder.join("src").join(name));
    let own = own.into_iter().find(|root| root.is_file() && folder.join("Cargo.toml").is_file());
    let inner =
        folders(folder).into_iter().filter(|folder| !["target", ".git"].contains(&&*file_name(folder)));
    own.into_iter().chain(inner.flat_map(|folder| crate_roots(&folder))).collect()
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let own = entries(folder).into_iter().filter(|path| path.extension().is_some_and(|end| end == "rs"));
    own.chain(folders(folder).iter().flat_map(|folder| sources(folder))).collect()
}

fn folders(folder: &Path) -> Vec<PathBuf> {
    entries(folder).into_iter().filter(|path| path.is_dir()).collect()
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap().to_str().unwrap().to_owned()
}

fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}
