//! The mutations are as they should be: each applies to the kernel as it is now.

use std::fs;

use mutations::{Mutation, folder};

#[test]
fn every_mutation_applies_to_the_kernel_of_today() {
    let mutations = Mutation::read_all(&folder()).unwrap();
    let project = folder().join("../../..");
    let wrong: Vec<String> = mutations
        .iter()
        .filter_map(|mutation| {
            let text = fs::read_to_string(project.join(&mutation.file)).map_err(|error| error.to_string());
            let error = text.and_then(|text| mutation.apply(&text)).err()?;
            Some(format!("{}: {error}", mutation.name))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(mutations.iter().all(|mutation| mutation.file.starts_with("core-kernel/")));
    assert!(mutations.len() >= 80, "{} mutations", mutations.len());
}
