//! Every parser of outside bytes has a fuzzer and a corpus, and no fuzzer is left behind.

use crate::{files, read, report};
use std::collections::BTreeSet;

#[test]
fn every_target_has_a_program_and_a_corpus() {
    let (mut problems, files) = (Vec::new(), files());
    let manifest = read("fuzz/Cargo.toml");
    let programs: BTreeSet<&str> = manifest
        .lines()
        .skip_while(|line| *line != "[[bin]]")
        .filter_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"'))
        .collect();
    let targets: BTreeSet<&str> = hob_node::fuzz::all().map(|(name, _)| name).collect();
    assert_eq!(hob_node::fuzz::all().count(), targets.len(), "two targets have one name");
    for target in &targets {
        let folder = format!("fuzz/corpus/{target}/");
        if !files.iter().any(|file| file.starts_with(&folder)) {
            problems.push(format!("{folder}: needs at least one input to begin with"));
        }
    }
    for name in targets.difference(&programs) {
        problems.push(format!("fuzz/Cargo.toml: has no `[[bin]]` for target `{name}`"));
    }
    for name in programs.difference(&targets) {
        problems.push(format!("fuzz/Cargo.toml: `{name}` is in no table `TARGETS`"));
    }
    report(&problems);
}
