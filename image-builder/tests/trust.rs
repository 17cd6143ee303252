//! What a domain's memory rests on, counted of real programs, and a bound that is not kept.

mod support;

use std::fs;

use support::*;

#[test]
fn the_report_says_what_memory_rests_on_and_a_bound_fails_the_build() {
    let target = own_target();
    let run = |arguments: &[&str]| tool(arguments).env("CARGO_TARGET_DIR", target.path()).output().unwrap();
    let output = run(&["report", HELLO, "--tcb"]);
    assert!(output.status.success(), "{}", said(&output));
    let text = String::from_utf8(output.stdout).unwrap();
    let row = |start: &str| -> Vec<u64> {
        let line = text
            .lines()
            .find(|line| line.trim_start().starts_with(start))
            .unwrap_or_else(|| panic!("{text}"));
        line.split_whitespace().filter_map(|word| word.parse().ok()).collect()
    };
    let (kernel, builder) = (row("core-kernel "), row("builder "));
    // The last row of that name is the sum.
    let sums = text.split("All of it rests on").nth(1).unwrap();
    let sum: Vec<u64> = {
        let line = sums.lines().find(|line| line.trim_start().starts_with("hello ")).unwrap();
        assert!(line.ends_with("boot-efi, builder, core-kernel, hello"), "{line}");
        line.split_whitespace().filter_map(|word| word.parse().ok()).collect()
    };
    for (place, least) in [5_000, 5_000, 50, 3, 50_000].into_iter().enumerate() {
        assert!(kernel[place] >= least, "{text}");
        assert!(sum[place] > kernel[place].max(builder[place]), "{text}");
        let all = kernel[place] + builder[place] + row("boot-efi ")[place] + row("hello ")[place];
        assert!(sum[place] <= all, "what several have counts once: {text}");
    }
    let folder = tempfile::tempdir().unwrap();
    let manifest = folder.path().join("bounded.toml");
    let hello = fs::read_to_string(format!("{}/../{HELLO}", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let bound = format!("component = \"hello\"\nrests_on_at_most = {{ lines = {} }}\n", sum[0] - 1);
    let text = hello.replace("name = \"hello\"", "name = \"bounded\"");
    let text = text.replace("component = \"hello\"\n", &bound);
    fs::write(&manifest, text).unwrap();
    let output = run(&["build", manifest.to_str().unwrap()]);
    let message = format!(
        "B010]: the memory of `hello` rests on {} lines, and at most {} are allowed",
        sum[0],
        sum[0] - 1
    );
    assert_says(&output, 2, &message);
    assert!(!target.path().join("images/bounded").exists(), "it has been built");
}
