//! The loader's file as firmware finds it: small, and the same wherever it is built, since a register follows from it.

use std::env;

use cloison_measure::firmware;
use image_builder::build::{self, Context};
use image_machine::{interrupts::Interrupts, progress::Progress};

/// What is to be trusted before the kernel should be as small as that.
const MOST_BYTES: usize = 64 << 10;

#[test]
fn the_loaders_file_is_small_and_says_nothing_of_where_it_was_built() {
    let context = Context::find(Progress::silent(), Interrupts::none().unwrap()).unwrap();
    let file = build::loader(&context).unwrap();
    assert!(file.len() <= MOST_BYTES, "{} bytes", file.len());
    assert!(firmware::program(&file).is_some(), "firmware would hash it in another way");
    let home = env::var("HOME").unwrap_or_default();
    let places = [context.workspace.root.display().to_string(), context.target.display().to_string(), home];
    for place in places.iter().filter(|place| place.len() > 1) {
        let is_there = file.windows(place.len()).any(|bytes| bytes == place.as_bytes());
        assert!(!is_there, "the file names {place}");
    }
    assert!(!file.windows(4).any(|bytes| bytes == b".pdb"), "the file names one with debug information");
}
