//! Programs of the tests for a Linux: compiled, and added to what guests begin with.

use std::{collections::BTreeSet, path::Path};

use image_builder::build::Context;
use image_compiler::{Inputs, manifest::GuestFile};
use image_machine::{
    Failure,
    initramfs::{Content, archive},
    linux_program::{self, Symbols},
};

/// The folder of the programs.
const PROGRAMS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../guest");

/// The same inputs, whose guests find a program as `/bin/NAME` in the file system with which they begin.
///
/// # Errors
///
/// When there is no such program, or it cannot be compiled.
pub(crate) fn with_program(context: &Context, inputs: Inputs, name: &str) -> Result<Inputs, Failure> {
    let source = Path::new(PROGRAMS).join(name).join("main.rs");
    let program = linux_program::compile(&source, Symbols::Kept, &context.target, &context.interrupts)?;
    let addition = archive(&[(&format!("bin/{name}"), Content::File(program))], &[])
        .map_err(|error| Failure::machine("cannot make an archive", &error))?;
    let named = inputs.manifest.domains.iter().filter_map(|domain| domain.guest.initramfs.as_ref());
    let named: BTreeSet<String> = named.map(|file| file.value.clone()).collect();
    named.into_iter().try_fold(inputs, |inputs, file| {
        let Some(GuestFile::Here(bytes)) = inputs.guest_files.get(&file) else {
            return Err(Failure::Failed(format!("{file} is not there, so {name} cannot be added to it")));
        };
        let whole = joined(bytes, &addition);
        Ok(inputs.with_payload(&file, whole))
    })
}

/// Two archives as one file system: a Linux looks for the second one at a multiple of four.
fn joined(first: &[u8], second: &[u8]) -> Vec<u8> {
    let mut whole = first.to_vec();
    whole.resize(whole.len().next_multiple_of(4), 0);
    whole.extend_from_slice(second);
    whole
}
