//! What the program is made of: a list of its parts as CycloneDX, and versions that must not come back.
//!
//! **How.** Cargo's own metadata says what is linked and built; the lock file has the digests. `cargo deny` judges
//! licenses, sources and bans in CI (`.ci/run deny`); its list of advisories is fetched there where it can be. What
//! this project knows to be unsafe on the way of strangers' bytes is a table here, so that it is refused without a
//! network too.

use crate::{read, report, root};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::process::Command;

const SBOM: &str = "docs/reference/sbom.json";

/// The oldest version without a known hole, of crates that meet strangers' bytes; and which hole (RustSec, as of 2026-08-21).
const SAFE_FROM: &[(&str, &str, &str)] = &[
    (
        "wasmtime",
        "48.0.0",
        "RUSTSEC-2026-0223: traps inside bulk operations; the line that is looked after until 2028",
    ),
    ("h2", "0.4.16", "RUSTSEC-2026-0258: empty DATA frames"),
    ("hyper", "1.0.0", "RUSTSEC-2021-0078 and -0079: lengths and chunk sizes that are misread"),
    ("rustls", "0.23.18", "RUSTSEC-2024-0399: panic in a handshake"),
    ("rustls-webpki", "0.103.12", "RUSTSEC-2026-0104: panic on a certificate"),
    ("ring", "0.17.12", "RUSTSEC-2025-0009: panic with overflow checks"),
    ("idna", "1.0.0", "RUSTSEC-2024-0421: two names for one host"),
    ("tokio", "1.44.2", "RUSTSEC-2025-0023: unsound broadcast"),
    ("tracing-subscriber", "0.3.20", "RUSTSEC-2025-0055: escapes of a terminal in logs"),
    ("bytes", "1.11.1", "RUSTSEC-2026-0007: overflow in `reserve`"),
    ("crossbeam-channel", "0.5.15", "RUSTSEC-2025-0024: double free"),
    ("smallvec", "1.6.1", "RUSTSEC-2021-0003: overflow of a buffer"),
];

#[test]
fn no_version_with_a_known_hole_is_linked() {
    let lock = read("Cargo.lock");
    let numbers = |version: &str| -> Vec<u64> {
        version.split(['.', '-', '+']).map_while(|number| number.parse().ok()).collect()
    };
    let mut problems = Vec::new();
    for (name, version) in packages(&lock) {
        let unsafe_one =
            SAFE_FROM.iter().find(|(known, from, _)| *known == name && numbers(&version) < numbers(from));
        if let Some((_, from, why)) = unsafe_one {
            problems.push(format!("Cargo.lock: {name} {version} has {why}; {from} has not"));
        }
    }
    report(&problems);
}

/// Names and versions of the lock file.
fn packages(lock: &str) -> Vec<(String, String)> {
    let value = |block: &str, key: &str| {
        block
            .lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix(" = \"")?.strip_suffix('"'))
            .map(str::to_owned)
    };
    lock.split("[[package]]")
        .filter_map(|block| Some((value(block, "name")?, value(block, "version")?)))
        .collect()
}

#[test]
fn the_list_of_parts_is_fresh() {
    let fresh = format!("{:#}\n", sbom());
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(root().join(SBOM), &fresh).unwrap();
    } else if std::fs::read_to_string(root().join(SBOM)).ok().as_ref() != Some(&fresh) {
        report(&[format!("{SBOM}: is stale; write it anew with `UPDATE=1 cargo test -p hob --test house`")]);
    }
}

/// The program and everything that is linked into it or builds it, as CycloneDX 1.5.
fn sbom() -> Value {
    let metadata = metadata();
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let all: BTreeMap<String, Value> =
        list(&metadata["packages"]).into_iter().map(|one| (text(&one["id"]), one)).collect();
    let nodes: BTreeMap<String, Value> =
        list(&metadata["resolve"]["nodes"]).into_iter().map(|one| (text(&one["id"]), one)).collect();
    let program = all.values().find(|one| one["name"] == "hob").expect("the workspace has the program");
    let digests = digests();
    // What tests need is no part of the program.
    let needs = |id: &str| -> BTreeSet<String> {
        let counts =
            |dependency: &Value| list(&dependency["dep_kinds"]).iter().any(|kind| kind["kind"] != "dev");
        list(&nodes[id]["deps"]).iter().filter(|one| counts(one)).map(|one| text(&one["pkg"])).collect()
    };
    let mut found = BTreeMap::new();
    let mut left = VecDeque::from([text(&program["id"])]);
    while let Some(id) = left.pop_front() {
        if let std::collections::btree_map::Entry::Vacant(place) = found.entry(id) {
            let below = needs(place.key());
            left.extend(below.iter().cloned());
            place.insert(below);
        }
    }
    let purl = |id: &str| format!("pkg:cargo/{}@{}", text(&all[id]["name"]), text(&all[id]["version"]));
    let part = |id: &str| {
        let (one, reference) = (&all[id], purl(id));
        let mut part = json!({
            "type": if one["name"] == "hob" { "application" } else { "library" },
            "bom-ref": reference, "name": one["name"], "version": one["version"], "purl": reference,
            "licenses": [{ "expression": text(&one["license"]).replace('/', " OR ") }],
        });
        if let Some(digest) = digests.get(&(text(&one["name"]), text(&one["version"]))) {
            part["hashes"] = json!([{ "alg": "SHA-256", "content": digest }]);
        }
        part
    };
    let root_id = text(&program["id"]);
    let mut parts: Vec<Value> = found.keys().filter(|id| **id != root_id).map(|id| part(id)).collect();
    parts.sort_by_key(|part| text(&part["bom-ref"]));
    let depends = |(id, below): (&String, &BTreeSet<String>)| {
        let mut on: Vec<String> = below.iter().map(|id| purl(id)).collect();
        on.sort();
        json!({ "ref": purl(id), "dependsOn": on })
    };
    let mut dependencies: Vec<Value> = found.iter().map(depends).collect();
    dependencies.sort_by_key(|one| text(&one["ref"]));
    json!({
        "bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1,
        "metadata": { "component": part(&root_id) },
        "components": parts, "dependencies": dependencies,
    })
}

fn metadata() -> Value {
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--format-version",
            "1",
            "--locked",
            "--offline",
            "--filter-platform",
            "x86_64-unknown-linux-gnu",
        ])
        .current_dir(root())
        .output()
        .expect("cargo runs this test, so it is there");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("cargo writes JSON")
}

/// The SHA-256 of every package that comes from a registry, as the lock file has it.
fn digests() -> BTreeMap<(String, String), String> {
    let lock = read("Cargo.lock");
    let blocks = lock.split("[[package]]");
    let digest = |block: &str| {
        let sum = block.lines().find_map(|line| line.strip_prefix("checksum = \"")?.strip_suffix('"'))?;
        Some((packages(&format!("[[package]]{block}")).pop()?, sum.to_owned()))
    };
    blocks.filter_map(digest).collect()
}
