//! Generated reference pages are what the program would write now.

use crate::{report, root};
use std::process::Command;

/// A file, and what the program is asked to write it.
const GENERATED: &[(&str, &[&str])] = &[
    ("docs/reference/manifest.md", &["__reference", "manifest"]),
    ("docs/reference/hosts.md", &["__reference", "hosts"]),
    ("docs/reference/contracts.md", &["__reference", "contracts"]),
    ("docs/reference/errors.md", &["__reference", "errors"]),
    ("docs/reference/cli.md", &["__reference", "cli"]),
    ("docs/reference/openapi.json", &["__openapi"]),
];

#[test]
fn generated_files_are_fresh() {
    let update = std::env::var_os("UPDATE").is_some();
    let mut problems = Vec::new();
    for (path, arguments) in GENERATED {
        let fresh = write(arguments);
        let file = root().join(path);
        if update {
            std::fs::create_dir_all(file.parent().expect("a file lies in a folder")).unwrap();
            std::fs::write(&file, &fresh).unwrap();
        } else if std::fs::read_to_string(&file).ok().as_ref() != Some(&fresh) {
            problems.push(format!(
                "{path}: is stale; write it anew with `UPDATE=1 cargo test -p hob --test house`"
            ));
        }
    }
    report(&problems);
}

fn write(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_hob"))
        .args(arguments)
        .env_clear()
        .output()
        .expect("the program was built for this test");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("the reference is text")
}
