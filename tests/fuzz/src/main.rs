//! Looks for inputs by coverage. The environment variable `TARGET` names the target.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;

static TARGET: LazyLock<fuzz::Target> = LazyLock::new(|| {
    let name = std::env::var("TARGET").unwrap_or_default();
    let known: Vec<_> = fuzz::TARGETS.iter().map(|target| target.name).collect();
    fuzz::target(&name).unwrap_or_else(|| panic!("no target {name:?}: TARGET is one of {known:?}"))
});

fuzz_target!(|input: &[u8]| (TARGET.run)(input));
