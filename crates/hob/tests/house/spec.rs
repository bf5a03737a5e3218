//! `SPEC.md` names tests and benchmarks that exist.

use crate::{read, report, root};

#[test]
fn every_promise_names_what_holds_it() {
    let mut problems = Vec::new();
    let spec = read("SPEC.md");
    let rows: Vec<&str> =
        spec.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| promise")).collect();
    assert!(rows.len() >= 10, "SPEC.md has {} promises", rows.len());
    for row in rows {
        let named: Vec<&str> = row.split('`').filter(|part| part.contains(".rs::")).collect();
        if named.is_empty() && !row.contains("not proven yet") {
            problems.push(format!("SPEC.md: names no test and does not say `not proven yet`: {row}"));
        }
        for name in named {
            if let Err(why) = exists(name) {
                problems.push(format!("SPEC.md: `{name}` {why}"));
            }
        }
    }
    report(&problems);
}

/// `path/of/file.rs::function`.
fn exists(name: &str) -> Result<(), &'static str> {
    let (path, function) = name.split_once("::").ok_or("is not `file.rs::function`")?;
    let text = std::fs::read_to_string(root().join(path)).map_err(|_| "is in a file that is not there")?;
    let found = text.contains(&format!("fn {function}("));
    if found { Ok(()) } else { Err("is not in that file") }
}
