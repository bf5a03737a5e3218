//! Headers, lengths, and words that do not belong into the repository.

use crate::source::{code, without_tests};
use crate::{files, read, report, root, sources};

/// Lines of one file.
const FILE_LINES_MAX: usize = 800;
/// Lines of tests inside a module; longer ones have a file of their own.
const INLINE_TEST_LINES_MAX: usize = 150;
/// Files that were longer when the rule came, with their length. The list may only shrink, and so may each.
const LONGER: &[(&str, usize)] = &[];

#[test]
fn every_file_opens_with_a_sentence() {
    let mut problems = Vec::new();
    for path in sources() {
        let text = read(&path);
        let header: Vec<&str> =
            text.lines().map_while(|line| line.strip_prefix("//!")).map(str::trim).collect();
        let paragraph = header.split(|line| line.is_empty()).next().unwrap_or_default().join(" ");
        let begins = paragraph.starts_with(|c: char| c.is_uppercase() || c == '`');
        if !begins || !paragraph.ends_with(['.', ':', '?']) {
            problems
                .push(format!("{path}: the first line is `//!` and one sentence that says what the file is"));
        }
    }
    report(&problems);
}

#[test]
fn files_fit_behind_the_wall() {
    let mut problems = Vec::new();
    for path in sources() {
        let text = read(&path);
        let lines = text.lines().count();
        match LONGER.iter().find(|(long, _)| *long == path) {
            Some((_, length)) if lines < *length => {
                problems.push(format!(
                    "{path}: has only {lines} lines now; write that into the list of longer files"
                ));
            }
            Some((_, length)) if lines > *length => {
                problems.push(format!("{path}: has grown from {length} to {lines} lines"))
            }
            None if lines > FILE_LINES_MAX => {
                problems.push(format!("{path}: has {lines} lines, the wall is at {FILE_LINES_MAX}"));
            }
            _ => {}
        }
        let (_, tests) = without_tests(&code(&text));
        if let Some(lines) = tests.into_iter().find(|lines| *lines > INLINE_TEST_LINES_MAX) {
            problems.push(format!("{path}: {lines} lines of tests move into a file `tests.rs`"));
        }
    }
    for (path, _) in LONGER {
        if !root().join(path).exists() {
            problems.push(format!("{path}: is gone; take it out of the list of longer files"));
        }
    }
    report(&problems);
}

#[test]
fn nothing_is_left_to_do_and_nothing_is_allowed_wholesale() {
    let mut problems = Vec::new();
    for path in sources() {
        let text = read(&path);
        for (number, line) in text.lines().enumerate() {
            let place = format!("{path}:{}", number + 1);
            for word in [concat!("TO", "DO"), concat!("FIX", "ME")] {
                if line.contains(word) {
                    problems.push(format!("{place}: do it, or say in an issue why not: {word}"));
                }
            }
        }
        let code = code(&text);
        for attribute in ["#[allow(", "#![allow("] {
            if code.contains(attribute) {
                problems.push(format!(
                    "{path}: write `#[expect(lint, reason = \"…\")]` instead of `{attribute}`"
                ));
            }
        }
        if code.contains("unsafe ") && !path.starts_with("crates/hob-runtime/") {
            problems.push(format!("{path}: `unsafe` belongs into `hob-runtime` alone"));
        }
    }
    report(&problems);
}

/// Folders of the machines on which this was written; a build must not carry them.
const MACHINE_PATHS: &[&str] =
    &[concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/ho", "me/"), concat!("/Us", "ers/")];
/// Hosts from which locked dependencies come.
const SOURCES: &[&str] = &[
    "github.com",
    "registry.npmjs.org",
    "opencollective.com",
    "www.patreon.com",
    "feross.org",
    "tidelift.com",
];

#[test]
fn nothing_of_a_build_machine_is_in_the_repository() {
    let mut problems = Vec::new();
    // The script that keeps these out of guests has to name them.
    for path in files().into_iter().filter(|path| path != "examples/build-guests") {
        let bytes = std::fs::read(root().join(&path)).unwrap_or_else(|error| panic!("{path}: {error}"));
        for needle in MACHINE_PATHS {
            if bytes.windows(needle.len()).any(|window| window == needle.as_bytes()) {
                problems.push(format!("{path}: names `{needle}…`, a folder of some machine"));
            }
        }
        if path.ends_with(".lock") || path.ends_with("-lock.json") {
            let text = String::from_utf8_lossy(&bytes);
            let hosts = text.split("https://").skip(1).filter_map(|rest| rest.split(['/', '"']).next());
            if let Some(host) = hosts.into_iter().find(|host| !SOURCES.contains(host)) {
                problems.push(format!(
                    "{path}: names the host `{host}`; lock files name the public registries only"
                ));
            }
        }
    }
    report(&problems);
}
