//! A question about what flows in a system: whatever it says, it has an answer or a reason why it has none.

use std::path::Path;
use std::sync::OnceLock;

use image_compiler::flow::Flows;
use image_compiler::query::{Assume, ask_about, understand};
use image_compiler::{System, Workspace};

/// Asks about a system that has everything.
pub fn run(bytes: &[u8]) {
    static SYSTEM: OnceLock<(System, Flows)> = OnceLock::new();
    let (system, flows) = SYSTEM.get_or_init(|| {
        let system = everything();
        let flows = Flows::new(&system);
        (system, flows)
    });
    let question = String::from_utf8_lossy(bytes);
    for assume in [Assume::Usual, Assume::Nothing] {
        match ask_about(system, flows, &question, assume) {
            Ok(answer) => {
                assert!(understand(&question).is_ok() && !answer.text.is_empty());
                assert!(answer.way.iter().all(|step| !step.text.is_empty()));
            }
            Err(why) => assert!(!why.message.is_empty() && why.help.is_some()),
        }
    }
}

fn everything() -> System {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../manifests/fixtures");
    let manifest = root.join("manifests/everything.toml");
    image_compiler::load(&Workspace { root }, &manifest).unwrap_or_else(|report| panic!("{report}"))
}
