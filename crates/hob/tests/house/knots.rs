//! No cycle between the top-level modules of a crate.
//!
//! **How.** `crate::x` paths outside tests are the arrows; names that the root re-exports stand for
//! their module. Leaves are peeled off until nothing is left; what cannot be peeled is a knot.

use crate::source::{code, without_tests};
use crate::{read, report, sources};
use std::collections::{BTreeMap, BTreeSet};

/// Modules that used each other when the rule came. The list may only shrink.
const KNOTS: &[(&str, &[&str])] = &[];

type Arrows = BTreeMap<String, BTreeSet<String>>;

#[test]
fn modules_of_a_crate_form_no_cycle() {
    let mut problems = Vec::new();
    let mut crates: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    for path in sources() {
        let Some((folder, inside)) = path.split_once("/src/") else { continue };
        let tests = inside.ends_with("/tests.rs") || inside.contains("/tests/");
        if !tests {
            let text = without_tests(&code(&read(&path))).0;
            crates.entry(folder.to_owned()).or_default().push((inside.to_owned(), text));
        }
    }
    assert!(crates.len() >= 5, "found {} crates", crates.len());
    for (folder, files) in &crates {
        let knot = peel(arrows(files));
        let known = KNOTS.iter().find(|(known, _)| known == folder).map_or(&[][..], |(_, modules)| modules);
        if knot.keys().any(|module| !known.contains(&module.as_str())) {
            problems.push(format!("{folder}: these modules use each other: {}", show(&knot)));
        }
        if let Some(free) = known.iter().find(|module| !knot.contains_key(**module)) {
            problems.push(format!("{folder}: `{free}` is in no knot any more; take it out of the list"));
        }
    }
    report(&problems);
}

/// Which top-level module uses which.
fn arrows(files: &[(String, String)]) -> Arrows {
    let module =
        |inside: &str| inside.split('/').next().unwrap_or_default().trim_end_matches(".rs").to_owned();
    let is_root = |inside: &str| matches!(inside, "lib.rs" | "main.rs");
    let names: BTreeSet<String> = files.iter().map(|(inside, _)| module(inside)).collect();
    let root = files.iter().find(|(inside, _)| is_root(inside)).map_or("", |(_, text)| text);
    let reexports = reexports(root, &names);
    let mut arrows: Arrows = BTreeMap::new();
    for (inside, text) in files.iter().filter(|(inside, _)| !is_root(inside)) {
        let from = module(inside);
        let to = arrows.entry(from.clone()).or_default();
        for name in used(text) {
            let target = reexports.get(&name).cloned().unwrap_or(name);
            if names.contains(&target) && target != from {
                to.insert(target);
            }
        }
    }
    arrows
}

/// Names that follow `crate::`, also inside braces (`crate::{a, b::c}`).
fn used(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (at, _) in text.match_indices("crate::") {
        let rest = &text[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            None => found.extend(word(rest)),
            Some(group) => found.extend(branches(group).iter().filter_map(|branch| word(branch.trim()))),
        }
    }
    found
}

/// The comma-separated parts of a brace group, up to the brace that closes it.
fn branches(group: &str) -> Vec<&str> {
    let (mut depth, mut start, mut parts) = (0, 0, Vec::new());
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                parts.push(&group[start..at]);
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&group[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts
}

fn word(text: &str) -> Option<String> {
    let word: String = text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    (!word.is_empty()).then_some(word)
}

/// `pub use settings::{Address, Tls};` in the root: both names stand for `settings`.
fn reexports(root: &str, modules: &BTreeSet<String>) -> BTreeMap<String, String> {
    let mut map = BTreeMap::new();
    for statement in root.split("use ").skip(1) {
        let statement = statement.split(';').next().unwrap_or_default();
        let Some(module) = word(statement).filter(|word| modules.contains(word)) else { continue };
        let names = statement.split(|c: char| !c.is_alphanumeric() && c != '_');
        map.extend(
            names
                .filter(|name| !name.is_empty() && *name != module)
                .map(|name| (name.to_owned(), module.clone())),
        );
    }
    map
}

/// Removes modules that use no other, again and again; what is left uses itself.
fn peel(mut arrows: Arrows) -> Arrows {
    loop {
        let leaves: Vec<String> = arrows
            .iter()
            .filter(|(_, to)| to.iter().all(|to| !arrows.contains_key(to)))
            .map(|(from, _)| from.clone())
            .collect();
        if leaves.is_empty() {
            return arrows;
        }
        arrows.retain(|from, _| !leaves.contains(from));
    }
}

fn show(knot: &Arrows) -> String {
    let inside = |to: &BTreeSet<String>| {
        to.iter().filter(|to| knot.contains_key(*to)).cloned().collect::<Vec<_>>().join(", ")
    };
    knot.iter().map(|(from, to)| format!("{from} -> {}", inside(to))).collect::<Vec<_>>().join("; ")
}

#[test]
fn a_planted_knot_is_found() {
    let file = |name: &str, text: &str| (name.to_owned(), text.to_owned());
    let straight = [
        file("lib.rs", "mod a; mod b; mod c; pub use c::Thing;"),
        file("a.rs", "use crate::b::X;"),
        file("b/mod.rs", "use crate::{c::Y, std};"),
        file("c.rs", ""),
    ];
    assert!(peel(arrows(&straight)).is_empty());
    for knot in ["fn f() { crate::a::g() }", "use crate::{b::{X, Z}, y};"] {
        let mut files = straight.clone();
        files[3].1 = knot.to_owned();
        assert!(peel(arrows(&files)).contains_key("c"), "{knot}");
    }
    let mut files = straight;
    files[3].1 = "use crate::d::D;".to_owned();
    let with_reexport = [&files[..], &[file("d.rs", "use crate::Thing;")]].concat();
    assert!(peel(arrows(&with_reexport)).contains_key("d"), "a re-export is seen through");
}
