//! Format, lints, documentation and the number of dependencies, as cargo sees them.
//!
//! They share the target folder with the test that runs them, so nothing is compiled for them alone
//! but the lints' own view of the code.

use crate::{read, root};
use std::process::Command;

/// Packages in the lock file. A new dependency is argued for in its commit, and this number with it.
const PACKAGES_MAX: usize = 331;

#[test]
fn code_is_formatted() {
    cargo(&["fmt", "--all", "--check"], &[]);
}

#[test]
fn code_has_no_lint() {
    cargo(&["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"], &[]);
}

#[test]
fn documentation_builds() {
    cargo(&["doc", "--workspace", "--no-deps", "--quiet"], &[("RUSTDOCFLAGS", "-D warnings")]);
}

#[test]
fn dependencies_stay_below_the_ceiling() {
    let packages = read("Cargo.lock").matches("[[package]]").count();
    assert!(packages <= PACKAGES_MAX, "{packages} packages are locked, the ceiling is {PACKAGES_MAX}");
}

fn cargo(arguments: &[&str], environment: &[(&str, &str)]) {
    let output = Command::new(env!("CARGO"))
        .args(arguments)
        .envs(environment.iter().copied())
        .current_dir(root())
        .output()
        .expect("cargo runs this test, so it is there");
    let text =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(output.status.success(), "cargo {}\n{text}", arguments.join(" "));
}
