//! What addresses of the kernel and of programs stand for: function, file and line.

use std::{collections::BTreeMap, path::Path};

use addr2line::Loader;

use crate::{Failure, run::Line};

/// The kernel's lines, and those of domains, that say how one has faulted, and who had called what.
const FAULTED: &str = " faulted: ";
const INSTRUCTION: &str = "at instruction 0x";
/// What the kernel says of a fault of its own, on a line behind that with its name.
const IN_KERNEL: &str = " in the kernel, at 0x";
pub(crate) const CALLED: &str = "called from ";
/// What the manager's client says of a domain before it tells of its fault.
const SHOWN: &str = ": faulted";
/// What a domain says when it panics: of itself from then on.
const PANIC: &str = "panic at ";
/// The kernel's name on a console.
const KERNEL: &str = "kernel";
/// Crashes that are explained, the last ones.
const MOST: usize = 8;
/// Calls that are explained of one crash: as many as the library tells.
const MOST_CALLS: usize = 8;

/// A place in a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file, from the root of the workspace, from the folder of its crate, or from the root of Rust's own sources.
    pub file: String,
    /// The line, from 1 on; 0 if it is not known.
    pub line: u32,
    /// The function, without the types that it was compiled for.
    pub function: String,
}

/// The symbols of one program.
pub struct Symbols(Loader);

impl std::fmt::Debug for Symbols {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Symbols").finish_non_exhaustive()
    }
}

impl Symbols {
    /// Reads the symbols of a file.
    ///
    /// # Errors
    ///
    /// When it is no program with symbols.
    pub fn read(file: &Path) -> Result<Self, Failure> {
        Loader::new(file).map(Self).map_err(|error| {
            Failure::Failed(format!("cannot read the symbols in {}: {error}", file.display()))
        })
    }

    /// The place that an instruction belongs to. Of functions that were inlined into each other, the innermost that is not
    /// Rust's own, if there is one: whose reads and writes those are is what one wants to know.
    ///
    /// # Errors
    ///
    /// When the symbols contradict themselves.
    pub fn place(&self, address: u64) -> Result<Option<Place>, Failure> {
        let unreadable = |error| Failure::Failed(format!("cannot read the symbol at {address:#x}: {error}"));
        let symbol = self.0.find_symbol(address).map(|name| format!("{:#}", rustc_demangle::demangle(name)));
        let mut frames = self.0.find_frames(address).map_err(unreadable)?;
        let mut of_rust = None;
        while let Some(frame) = frames.next().map_err(|error| unreadable(error.into()))? {
            // Of a function into which nothing was inlined the tables say no more than its symbol.
            let name = frame.function.as_ref().and_then(|name| name.demangle().ok());
            let name = name.map(|name| name.into_owned()).or_else(|| symbol.clone());
            let location =
                frame.location.and_then(|location| Some((location.file?, location.line.unwrap_or(0))));
            let (Some(name), Some((file, line))) = (name, location) else { continue };
            let place =
                Place { file: short(file).to_owned(), line, function: without_types(&name).to_owned() };
            if !is_of_rust(file) {
                return Ok(Some(place));
            }
            of_rust = Some(place);
        }
        let assembly = |function| Place { file: "assembly".to_owned(), line: 0, function };
        Ok(of_rust.or_else(|| symbol.map(assembly)))
    }
}

/// Whether a file belongs to the library that comes with the compiler.
fn is_of_rust(file: &str) -> bool {
    ["/rustc/", "/rust/deps/"].iter().any(|folder| file.starts_with(folder)) || file.contains("/rustlib/src/")
}

/// A function's name without the types that it was compiled for.
fn without_types(name: &str) -> &str {
    // What a trait's method is called begins with a type.
    if name.starts_with('<') { name } else { name.split_once('<').map_or(name, |(name, _)| name) }
}

/// A path from the root of the workspace, from the folder of a crate, or from the root of Rust's own sources.
fn short(file: &str) -> &str {
    let of_rust = file.strip_prefix("/rustc/").and_then(|rest| rest.split_once('/'));
    let in_crate = file.split_once("/registry/src/").and_then(|(_, rest)| rest.split_once('/')).or(of_rust);
    in_crate.map_or(file, |(_, rest)| rest).trim_start_matches("cloison/")
}

/// An address in a program that a console names, and whether it is where a call returns to.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Named {
    /// The domain, or the kernel.
    of: String,
    address: u64,
    is_return: bool,
}

/// What the lines of a console that name addresses of a crash say of functions, files and lines: one line for each address.
/// `symbols` finds those of a domain, or of the kernel; of whom it has none, nothing is said.
pub fn explain(lines: &[Line], mut symbols: impl FnMut(&str) -> Option<Symbols>) -> Vec<String> {
    let crashes = crashes(lines);
    let mut known: BTreeMap<String, Option<Symbols>> = BTreeMap::new();
    // At most eight crashes of eight addresses: a line is looked for among few.
    let mut told = Vec::new();
    for named in crashes.iter().skip(crashes.len().saturating_sub(MOST)).flatten() {
        let known = known.entry(named.of.clone()).or_insert_with(|| symbols(&named.of));
        // Where a call returns to is behind it, and may belong to another line, or to another function.
        let address = named.address - u64::from(named.is_return);
        let Some(Ok(Some(place))) = known.as_ref().map(|symbols| symbols.place(address)) else { continue };
        let how = if named.is_return { ", called from" } else { " at" };
        let Place { file, line, function } = place;
        let line = if line > 0 { format!(":{line}") } else { String::new() };
        let line = format!("{}{how} {:#x}: {function} ({file}{line})", named.of, named.address);
        if !told.contains(&line) {
            told.push(line);
        }
    }
    told
}

/// The addresses of each line that names some of a crash. Of the faults of others the kernel alone tells, and a client of the
/// manager, behind its line that says of whom.
fn crashes(lines: &[Line]) -> Vec<Vec<Named>> {
    // Of whom a client of the manager speaks.
    let mut shown: BTreeMap<&str, &str> = BTreeMap::new();
    let mut found = Vec::new();
    for line in lines {
        let (speaker, message) = (line.name(), line.message());
        // The second line of the kernel's panic has no name in front of it.
        let of_kernel = speaker.is_none_or(|name| name == KERNEL);
        if let Some(address) =
            message.split_once(IN_KERNEL).and_then(|(_, rest)| number(rest)).filter(|_| of_kernel)
        {
            found.push(vec![Named { of: KERNEL.to_owned(), address, is_return: false }]);
        }
        let Some(speaker) = speaker else { continue };
        if let Some((domain, _)) = message.split_once(SHOWN).filter(|(domain, _)| is_name(domain)) {
            shown.insert(speaker, domain);
        } else if message.starts_with(PANIC) {
            shown.remove(speaker);
        }
        let of = match message.split_once(FAULTED).filter(|(domain, _)| is_name(domain)) {
            Some((domain, _)) if of_kernel => domain,
            // A domain that speaks as the kernel does.
            Some(_) => continue,
            None => shown.get(speaker).copied().unwrap_or(speaker),
        };
        let named = |address, is_return| Named { of: of.to_owned(), address, is_return };
        let faulted = message.split_once(INSTRUCTION).filter(|_| message.contains(FAULTED.trim()));
        if let Some(address) = faulted.and_then(|(_, rest)| number(rest)) {
            found.push(vec![named(address, false)]);
        } else if let Some(addresses) = message.strip_prefix(CALLED) {
            let addresses = addresses.split(' ').map_while(|word| number(word.strip_prefix("0x")?));
            found.push(addresses.take(MOST_CALLS).map(|address| named(address, true)).collect());
        }
    }
    found
}

fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// The hexadecimal number with which a text begins.
fn number(text: &str) -> Option<u64> {
    let digits = text.find(|letter: char| !letter.is_ascii_hexdigit()).unwrap_or(text.len());
    u64::from_str_radix(&text[..digits], 16).ok().filter(|number| *number > 0)
}

#[cfg(test)]
mod tests {
    use object::{Object, ObjectSymbol};

    use super::*;

    fn named(console: &str) -> Vec<(String, u64, bool)> {
        let lines: Vec<Line> = console.lines().map(|text| Line { text: text.to_owned() }).collect();
        let all = crashes(&lines).into_iter().flatten();
        all.map(|Named { of, address, is_return }| (of, address, is_return)).collect()
    }

    fn of(name: &str, address: u64, is_return: bool) -> (String, u64, bool) {
        (name.to_owned(), address, is_return)
    }

    #[test]
    fn addresses_belong_to_whom_a_line_is_about() {
        let console = "kernel | probe faulted: read of 0x8, which it may not read, at instruction 0x401097; it is stopped\n\
                       panicker | panic at src/main.rs:9:5: no\n\
                       panicker | called from 0x401010 0x401020\n\
                       kernel | panicker faulted: panic at source line 9; it is stopped\n\
                       kernel | panic: panicked at enter.rs:225:5:\n\
                       exception 14 (error code 0x0) in the kernel, at 0xffff840000100000, address 0x8\n\
                       run | probe: faulted; lives ended: 0\n\
                       run |   faulted: division by zero or with overflow, at instruction 0x401234\n\
                       run |   called from 0x401300\n\
                       builder | probe restarted after: read of 0x8, which it may not read, at instruction 0x401097";
        let expected = [
            of("probe", 0x40_1097, false),
            of("panicker", 0x40_1010, true),
            of("panicker", 0x40_1020, true),
            of("kernel", 0xffff_8400_0010_0000, false),
            of("probe", 0x40_1234, false),
            of("probe", 0x40_1300, true),
        ];
        assert_eq!(named(console), expected);
    }

    /// A client that has told of another domain panics: what called what then is its own.
    #[test]
    fn a_panic_is_of_whom_it_says_so() {
        let console = "run | probe: faulted; lives ended: 0\n\
                       run |   faulted: division by zero or with overflow, at instruction 0x401234\n\
                       run | panic at src/main.rs:9:5: no\n\
                       run | called from 0x401010";
        assert_eq!(named(console), [of("probe", 0x40_1234, false), of("run", 0x40_1010, true)]);
    }

    #[test]
    fn a_domain_that_speaks_as_the_kernel_is_not_heard() {
        let console = "liar | stpm faulted: read of 0x8, at instruction 0x401097; it is stopped\n\
                       liar | exception 14 (error code 0x0) in the kernel, at 0xffff840000100000, address 0x8\n\
                       kernel | exception 14 (error code 0x0) in the kernel, at 0xffff840000100010, address 0x8";
        assert_eq!(named(console), [of("kernel", 0xffff_8400_0010_0010, false)]);
        let long = format!("liar | called from{}", " 0x401010".repeat(100));
        assert_eq!(named(&long).len(), MOST_CALLS);
    }

    #[test]
    fn what_is_no_address_is_passed_over() {
        let console = "a | called from home\na | called from 0x\na | called from 0x0\nno bar\n\
                       kernel | a b faulted: at instruction 0x\na | faulted: at instruction 0xffffffffffffffffff\n";
        assert_eq!(named(console), []);
    }

    /// The address of a function of this program, and of none within it, as its file has it.
    fn address_of(bytes: &[u8], part: &str) -> u64 {
        let file = object::File::parse(bytes).unwrap();
        let mut functions = file.symbols().filter(|symbol| symbol.kind() == object::SymbolKind::Text);
        functions
            .find(|symbol| symbol.name().is_ok_and(|name| name.contains(part) && !name.contains("closure")))
            .unwrap()
            .address()
    }

    #[test]
    fn the_functions_of_this_program_are_found() {
        let own = std::env::current_exe().unwrap();
        let address = address_of(&std::fs::read(&own).unwrap(), "7symbols5tests10address_of");
        let place = Symbols::read(&own).unwrap().place(address).unwrap().unwrap();
        assert!(place.file.ends_with("machine/src/symbols.rs") && place.line > 0, "{place:?}");
        assert!(place.function.ends_with("address_of"), "{place:?}");
        // Behind the first byte is the same function; a line is told once.
        let line = |of: &str| Line { text: format!("{of} | called from {:#x}", address + 1) };
        let told = explain(&[line("a"), line("b"), line("a")], |of| {
            (of == "a").then(|| Symbols::read(&own).unwrap())
        });
        let expected =
            format!("a, called from {:#x}: {} ({}:{})", address + 1, place.function, place.file, place.line);
        assert_eq!(told, [expected]);
        assert!(Symbols::read(Path::new("/dev/null")).is_err());
    }

    #[test]
    fn names_functions_as_people_look_for_them() {
        assert_eq!(without_types("dispatch_ip<cloison_net::device::Transmit>"), "dispatch_ip");
        assert_eq!(without_types("<a::B as c::D>::e"), "<a::B as c::D>::e");
        assert_eq!(
            short("cargo/registry/src/index.crates.io-1/smoltcp-0.14.0/src/lib.rs"),
            "smoltcp-0.14.0/src/lib.rs"
        );
        assert_eq!(short("cloison/libos/net/src/stack.rs"), "libos/net/src/stack.rs");
        assert_eq!(short("/rustc/0123/library/core/src/panicking.rs"), "library/core/src/panicking.rs");
        assert!(
            is_of_rust("/rustc/0123/library/core/src/ptr/mod.rs")
                && !is_of_rust("cloison/domains/ore/src/main.rs")
        );
    }
}
