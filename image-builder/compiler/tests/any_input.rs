//! Whatever the input is, there is an answer: a system or a report, never a panic.

mod support;

use std::fs;

use proptest::prelude::*;

/// Loads a manifest with this text; whatever comes out must be able to be shown.
fn load(text: &[u8]) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("any.toml");
    fs::write(&path, text).unwrap();
    match image_compiler::load(&support::fixtures(), &path) {
        Ok(system) => {
            let binaries = support::binaries(&system, &support::elf(0x40_1000, &support::segments()));
            if let Ok(plan) = image_compiler::plan(&system, &binaries) {
                let image = image_compiler::image(&system, &plan);
                assert!(!image_compiler::report(&system, Some((&plan, &image))).is_empty());
            }
            assert!(!image_compiler::graph_svg(&system).is_empty());
        }
        Err(report) => {
            assert!(report.count() > 0);
            assert!(report.to_string().contains(".toml"));
            assert!(!report.coloured().is_empty());
        }
    }
}

/// Every manifest there is for tests, the refused ones too: what comes closest to what people get wrong.
fn corpus() -> Vec<Vec<u8>> {
    let folders =
        ["fixtures/manifests", "reject"].map(|name| support::project().join("tests/manifests").join(name));
    let files =
        folders.iter().flat_map(|folder| fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()));
    let files = files.filter(|path| path.is_file());
    let mut files: Vec<_> = files.collect();
    files.sort();
    files.iter().map(|path| fs::read(path).unwrap()).filter(|text| text.len() < 2000).collect()
}

/// What a change puts in.
const PIECES: [&[u8]; 17] = [
    b"",
    b"\"",
    b"[",
    b"]",
    b"{",
    b"=",
    b".",
    b"\n",
    b"-1",
    b"99999999999999999999",
    b"\xff",
    "é".as_bytes(),
    b"[domain.a]\n",
    b"uses.log = \"console\"\n",
    b"[switch.ore.port.a]\n",
    b"\"dhcp\"",
    b"\"192.168.0.11\"",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes(text in prop::collection::vec(any::<u8>(), 0..300)) {
        load(&text);
    }

    #[test]
    fn any_text(text in "[a-z\\[\\]\\.=\"'\n#{}, 0-9é]{0,200}") {
        load(text.as_bytes());
    }

    #[test]
    fn changed_manifests(
        choice in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), 0..12usize, 0..PIECES.len()), 1..4),
    ) {
        let corpus = corpus();
        let mut text = choice.get(&corpus).clone();
        for (place, length, piece) in changes {
            let start = place.index(text.len() + 1);
            let end = (start + length).min(text.len());
            text.splice(start..end, PIECES[piece].iter().copied());
        }
        load(&text);
    }

    #[test]
    fn changed_programs(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        headers_only: bool,
    ) {
        let system = support::everything();
        let mut program = support::elf(0x40_1000, &support::segments());
        let reach = if headers_only { 64 + 3 * 56 } else { program.len() };
        for (place, byte) in changes {
            program[place.index(reach)] = byte;
        }
        if let Ok(plan) = image_compiler::plan(&system, &support::binaries(&system, &program)) {
            assert!(!image_compiler::image(&system, &plan).is_empty());
        }
    }
}
