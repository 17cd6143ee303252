//! The store against a map of paths, and its page with anything in it.

use std::collections::{BTreeMap, VecDeque};
use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

use cloison_xen::xenstore::kind;
use proptest::prelude::*;

use super::{Guest, PAGE};
use crate::machine::Memory;
use crate::testing::Ram;

/// A path of the guest's, in one form or the other.
fn path() -> impl Strategy<Value = String> {
    let name = prop_oneof![Just("a"), Just("b"), Just("ab"), Just("state")];
    let relative = prop::collection::vec(name, 1..4).prop_map(|names| names.join("/"));
    (relative, 0..4_usize).prop_map(|(path, form)| match form {
        0 => format!("/local/domain/1/{path}"),
        _ => path,
    })
}

#[derive(Clone, Debug)]
enum Step {
    Write(String, Vec<u8>),
    Make(String),
    Remove(String),
    Read(String),
    List(String),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (path(), prop::collection::vec(any::<u8>(), 0..20))
            .prop_map(|(path, value)| Step::Write(path, value)),
        path().prop_map(Step::Make),
        path().prop_map(Step::Remove),
        path().prop_map(Step::Read),
        path().prop_map(Step::List),
    ]
}

/// Nodes by their names from the guest's home on.
type Model = BTreeMap<Vec<String>, Vec<u8>>;

fn names(path: &str) -> Vec<String> {
    let relative = path.strip_prefix("/local/domain/1/").unwrap_or(path);
    relative.split('/').map(ToString::to_string).collect()
}

fn apply(model: &mut Model, step: &Step) -> Option<Vec<u8>> {
    let make = |model: &mut Model, path: &str| {
        let names = names(path);
        for end in 1..=names.len() {
            model.entry(names[..end].to_vec()).or_default();
        }
        names
    };
    match step {
        Step::Write(path, value) => {
            let names = make(model, path);
            model.insert(names, value.clone());
            Some(b"OK\0".to_vec())
        }
        Step::Make(path) => {
            make(model, path);
            Some(b"OK\0".to_vec())
        }
        Step::Remove(path) => {
            let names = names(path);
            let could_be = names.len() == 1 || model.contains_key(&names[..names.len() - 1]);
            // The home itself is there once something is in it.
            let could_be = could_be && (names.len() > 1 || model.contains_key(&Vec::new()));
            model.retain(|node, _| !node.starts_with(&names));
            could_be.then(|| b"OK\0".to_vec())
        }
        Step::Read(path) => model.get(&names(path)).cloned(),
        Step::List(path) => {
            let names = names(path);
            model.get(&names)?;
            let below = model.keys().filter(|node| node.len() == names.len() + 1 && node.starts_with(&names));
            Some(below.flat_map(|node| [node[names.len()].as_bytes(), b"\0"].concat()).collect())
        }
    }
}

proptest! {
    #[test]
    fn the_tree_is_what_a_map_of_paths_is(steps in prop::collection::vec(step(), 0..60)) {
        let mut guest = Guest::new();
        let mut model = Model::new();
        for step in &steps {
            let (kind, text) = match step {
                Step::Write(path, value) => (kind::WRITE, [path.as_bytes(), b"\0", value].concat()),
                Step::Make(path) => (kind::MKDIR, [path.as_bytes(), b"\0"].concat()),
                Step::Remove(path) => (kind::RM, [path.as_bytes(), b"\0"].concat()),
                Step::Read(path) => (kind::READ, [path.as_bytes(), b"\0"].concat()),
                Step::List(path) => (kind::DIRECTORY, [path.as_bytes(), b"\0"].concat()),
            };
            if matches!(step, Step::Write(..) | Step::Make(_)) {
                model.insert(Vec::new(), Vec::new());
            }
            let expected = apply(&mut model, step);
            let reply = guest.ask_all(kind, &text).remove(0);
            match expected {
                None => prop_assert_eq!(reply.text, b"ENOENT\0"),
                Some(expected) if kind == kind::DIRECTORY => {
                    let sorted = |text: &[u8]| {
                        let mut names: Vec<_> = text.split(|&byte| byte == 0).map(<[u8]>::to_vec).collect();
                        names.sort();
                        names
                    };
                    prop_assert_eq!(sorted(&reply.text), sorted(&expected));
                }
                Some(expected) => prop_assert_eq!(reply.text, expected),
            }
        }
    }

    #[test]
    fn whatever_lies_in_the_page_nothing_else_is_written(
        page in prop::collection::vec(any::<u8>(), 2048), indices in prop::array::uniform4(0..1100_u32), free in any::<bool>(),
        rounds in 1..6_usize,
    ) {
        let mut guest = Guest::new();
        guest.store.write("/local/domain/1/a", b"x").unwrap();
        guest.ram.write(PAGE, &page).unwrap();
        let base = if free { u32::MAX - 500 } else { 0 };
        for (at, index) in [2048, 2052, 2056, 2060].iter().zip(indices) {
            guest.ram.write(PAGE + at, &index.wrapping_add(base).to_le_bytes()).unwrap();
        }
        for _ in 0..rounds {
            let _ = guest.store.serve(&mut guest.ram, PAGE);
            let mut taken = [0; 700];
            let _ = Guest::replies().take(&mut guest.ram, &mut taken);
        }
        prop_assert!(guest.ram.bytes(0, PAGE as usize).unwrap().iter().all(|&byte| byte == 0));
        let after = guest.ram.bytes(PAGE + 2064, 2 * PAGE as usize - 2064).unwrap();
        prop_assert!(after.iter().all(|&byte| byte == 0));
    }

    #[test]
    fn a_ring_hands_on_the_bytes_in_their_order(steps in prop::collection::vec((any::<bool>(), 0..1200_usize), 1..40), base in any::<u32>()) {
        let mut ram = Ram::new(3);
        let ring = Guest::requests();
        for at in [ring.consumed, ring.produced] {
            ram.write(at, &base.to_le_bytes()).unwrap();
        }
        let mut model = VecDeque::new();
        let mut next = 0_u8;
        for (puts, count) in steps {
            let mut bytes: Vec<u8> = (0..count).map(|n| next.wrapping_add(n as u8)).collect();
            if puts {
                let put = ring.put(&mut ram, &bytes).unwrap();
                prop_assert_eq!(put, count.min(1024 - model.len()));
                model.extend(&bytes[..put]);
                next = next.wrapping_add(put as u8);
            } else {
                let taken = ring.take(&mut ram, &mut bytes).unwrap();
                prop_assert_eq!(taken, count.min(model.len()));
                prop_assert_eq!(&bytes[..taken], &model.drain(..taken).collect::<Vec<_>>()[..]);
            }
        }
    }
}
