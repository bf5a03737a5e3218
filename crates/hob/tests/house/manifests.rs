//! Manifests of examples and templates are read and resolved without a fault.

use crate::{files, read, report};
use hob_core::digest::Digest;
use hob_core::fault::Result;
use hob_core::manifest::{Detected, Function, Resolved, assemble, parse, resolve};
use hob_core::name::AppName;
use hob_core::spec::PackageFile;
use std::collections::BTreeMap;

#[test]
fn examples_and_templates_have_good_manifests() {
    let manifests: Vec<String> = files().into_iter().filter(|path| path.ends_with("hob.toml")).collect();
    assert!(manifests.len() > 5, "found {} manifests", manifests.len());
    let problems: Vec<String> = manifests
        .iter()
        .filter_map(|path| check(&read(path), path).err().map(|fault| fault.to_string()))
        .collect();
    report(&problems);
}

#[test]
fn examples_of_the_reference_are_good_manifests() {
    let mut problems = Vec::new();
    for path in ["docs/reference/hosts.md", "docs/reference/contracts.md"] {
        let page = read(path);
        let examples: Vec<&str> =
            page.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
        assert!(examples.len() > 1, "{path} has examples");
        problems.extend(
            examples.iter().filter_map(|text| check(text, path).err()).map(|fault| fault.to_string()),
        );
    }
    report(&problems);
}

/// As the program does, with a package that holds what `run` names.
fn check(text: &str, path: &str) -> Result<()> {
    // Templates have two places to fill.
    let manifest = parse(&text.replace("{name}", "hello").replace("{crate}", "hello"), path)?;
    let functions: Result<Vec<Resolved>> =
        manifest.functions.iter().map(|function| one(path, function)).collect();
    let app = manifest.app.as_ref().map_or_else(|| AppName::new("app"), |app| Ok(app.value.clone()))?;
    assemble(&manifest, app, functions?).map(|_| ())
}

fn one(path: &str, function: &Function) -> Result<Resolved> {
    let words = function.run.as_ref().map(|run| run.value.clone()).unwrap_or_default();
    let file = PackageFile { digest: Digest::of(b""), size: 1, executable: true };
    let package: BTreeMap<String, PackageFile> =
        words.first().map(|word| (word.trim_start_matches("./").to_owned(), file)).into_iter().collect();
    let wasm = words.first().filter(|word| word.ends_with(".wasm"));
    let seen = wasm.map(|file| Detected {
        host: "wasm".into(),
        contract: "wasi-http".into(),
        run: vec![file.clone()],
    });
    resolve(path, function, seen.as_ref(), package)
}
