//! The mutations are as they should be: each applies to the project as it is now.

use std::fs;

use mutations::{Mutation, project};

#[test]
fn every_mutation_applies_to_the_project_of_today() {
    let mutations = Mutation::read_all(&project()).unwrap();
    let wrong: Vec<String> = mutations
        .iter()
        .filter_map(|mutation| {
            let text = fs::read_to_string(project().join(&mutation.file)).map_err(|error| error.to_string());
            let error = text.and_then(|text| mutation.apply(&text)).err()?;
            Some(format!("{}: {error}", mutation.name))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(mutations.len() >= 80, "{} mutations", mutations.len());
}
