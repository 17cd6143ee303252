//! Every input of the corpus, and inputs near them: what coverage once found stays tested everywhere.

use std::{fs, path::Path};

use fuzz::{TARGETS, Target};
use proptest::{collection::vec, prelude::*, test_runner::TestRunner};

/// Inputs made from each input of the corpus.
const NEAR: u32 = 500;

#[test]
fn the_corpus_and_what_is_near_it_do_no_harm() {
    for target in TARGETS {
        let corpus = corpus(target);
        assert!(!corpus.is_empty(), "{} has inputs", target.name);
        for input in &corpus {
            (target.run)(input);
            run_near(target, input);
        }
    }
}

/// Runs inputs that differ from one in a few bytes and in length.
fn run_near(target: &Target, input: &[u8]) {
    let config = ProptestConfig { cases: NEAR, failure_persistence: None, ..ProptestConfig::default() };
    let changes =
        (vec((any::<prop::sample::Index>(), any::<u8>()), 0..8), vec(any::<u8>(), 0..32), any::<u16>());
    let result = TestRunner::new(config).run(&changes, |(bytes, tail, length)| {
        let mut near = [input, &tail].concat();
        for (index, byte) in bytes.iter().filter(|_| !input.is_empty()) {
            near[index.index(input.len())] = *byte;
        }
        near.truncate(usize::from(length) % (near.len() + 1));
        (target.run)(&near);
        Ok(())
    });
    assert!(
        result.is_ok(),
        "{}: {}",
        target.name,
        result.err().map_or_else(String::new, |error| error.to_string())
    );
}

fn corpus(target: &Target) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target.name);
    let mut files: Vec<_> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .collect();
    files.sort();
    files.iter().map(|path| fs::read(path).unwrap()).collect()
}
