//! Arrows between crates point down, as the design draws them.

use crate::{files, read, report};

/// Who may know whom. Leaving an arrow out is the design; adding one is a review of its own.
const ARROWS: &[(&str, &[&str])] = &[
    ("hob", &["hob-core", "hob-node"]),
    ("hob-node", &["hob-bus", "hob-core", "hob-runtime"]),
    ("hob-bus", &["hob-core"]),
    ("hob-runtime", &["hob-core"]),
    ("hob-core", &[]),
    ("hob-bench", &["hob-core"]),
];

/// What `hob-core` may never depend on: it decides, and does not wait.
const WAITING: &[&str] = &["tokio", "futures-util", "hyper", "async-std", "smol"];

#[test]
fn crates_know_only_those_below() {
    let mut problems = Vec::new();
    let mut seen = Vec::new();
    for path in files().into_iter().filter(|path| is_crate(path)) {
        let manifest: toml::Table = read(&path).parse().unwrap_or_else(|error| panic!("{path}: {error}"));
        let name = manifest["package"]["name"].as_str().unwrap_or_default().to_owned();
        let Some((_, allowed)) = ARROWS.iter().find(|(known, _)| *known == name) else {
            problems.push(format!("{path}: `{name}` has no line in the table of arrows"));
            continue;
        };
        for dependency in dependencies(&manifest) {
            if dependency.starts_with("hob") && !allowed.contains(&dependency.as_str()) {
                problems.push(format!("{path}: `{name}` must not know `{dependency}`"));
            }
            if name == "hob-core" && WAITING.contains(&dependency.as_str()) {
                problems.push(format!("{path}: `hob-core` must not depend on `{dependency}`"));
            }
        }
        if path.starts_with("crates/") && path != format!("crates/{name}/Cargo.toml") {
            problems.push(format!("{path}: a crate's folder has the crate's name"));
        }
        seen.push(name);
    }
    report(&problems);
    for (name, _) in ARROWS {
        assert!(seen.iter().any(|seen| seen == name), "`{name}` is in the table, but is no crate");
    }
}

fn is_crate(path: &str) -> bool {
    path == "bench/Cargo.toml"
        || (path.starts_with("crates/") && path.matches('/').count() == 2 && path.ends_with("/Cargo.toml"))
}

fn dependencies(manifest: &toml::Table) -> Vec<String> {
    let tables = ["dependencies", "dev-dependencies", "build-dependencies"];
    let tables = tables.iter().filter_map(|table| manifest.get(*table)?.as_table());
    tables.flat_map(|table| table.keys().cloned()).collect()
}
