//! The house rules, kept by tests: shape, arrows, words, pages, and files that are generated.
//!
//! **Why.** A rule that nobody checks is a wish. Everything that CI checks is a test, so that a
//! laptop knows as much as CI does.
//!
//! **How.** Each module reads the repository's files as `git` lists them. `UPDATE=1` writes generated
//! files anew instead of comparing them.

mod arrows;
mod cargo;
mod fuzz;
mod knots;
mod manifests;
mod pages;
mod reference;
mod shape;
mod source;
mod spec;
mod supply;

use std::path::{Path, PathBuf};

/// The repository's root.
fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).expect("a crate lies two folders below the root").to_owned()
}

/// The text of a file below the root.
fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every file of the repository, relative to the root, that is not ignored.
fn files() -> Vec<String> {
    let output = std::process::Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()
        .expect("git lists the files of the repository");
    assert!(output.status.success(), "git: {}", String::from_utf8_lossy(&output.stderr));
    let mut all: Vec<String> = String::from_utf8_lossy(&output.stdout)
        .split('\0')
        .filter(|path| !path.is_empty() && root().join(path).is_file())
        .map(str::to_owned)
        .collect();
    assert!(all.len() > 50, "the repository has more than {} files", all.len());
    all.sort();
    all
}

/// The files of our own crates with this ending.
fn sources() -> Vec<String> {
    let own = |path: &String| ["crates/", "bench/", "exam/"].iter().any(|folder| path.starts_with(folder));
    files()
        .into_iter()
        .filter(|path| own(path) && path.ends_with(".rs") && !path.contains("/templates/"))
        .collect()
}

/// Fails with every problem at once.
fn report(problems: &[String]) {
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
}
