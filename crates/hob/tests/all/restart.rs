//! `kill -9` of a node and a new start: the same revision serves.

use super::support::{Node, PATIENCE, Serving, write};
use std::path::Path;
use std::time::Instant;

#[test]
fn a_killed_node_comes_back_with_the_same_apps() {
    let node = Node::start();
    for number in 1..=2 {
        let script = format!("#!/bin/sh\nprintf 'Content-Type: text/plain\\r\\n\\r\\nrevision {number}'\n");
        let manifest: &[u8] = b"[functions.main]\nrun = \"main.sh\"\ncontract = \"stdio\"\n";
        write(node.home.path(), &[("kept/hob.toml", manifest), ("kept/main.sh", script.as_bytes())]);
        node.ok(&["deploy", "kept"]);
    }
    let before = node.ok(&["show", "kept", "-o", "name"]);
    node.serving.signal("KILL");
    let Node { serving, home } = node;
    assert_eq!(serving.wait().0, -9);
    let node = Node { serving: Serving::start(home.path(), &["serve", "--data", "data"]), home };
    assert_eq!(node.serving.get("/"), (200, "revision 2".to_owned()));
    assert_eq!(node.ok(&["show", "kept", "-o", "name"]), before);
    node.ok(&["rollback", "kept"]);
    assert_eq!(node.serving.get("/"), (200, "revision 1".to_owned()));
}

/// Kills a node while something is done to it, as soon as that has come so far, and starts it again; what was done.
fn killed_in<T: Send>(
    node: Node,
    doing: impl FnOnce(&Node) -> T + Send,
    so_far: impl Fn(&Path) -> bool,
) -> (Node, T) {
    let done = std::thread::scope(|scope| {
        let (shared, spaces) = (&node, node.home.path().join("data/spaces"));
        let doing = scope.spawn(move || doing(shared));
        let until = Instant::now() + PATIENCE;
        while !so_far(&spaces) {
            assert!(Instant::now() < until && !doing.is_finished(), "it never came so far");
            std::thread::yield_now();
        }
        node.serving.signal("KILL");
        doing.join().unwrap()
    });
    let Node { serving, home } = node;
    assert_eq!(serving.wait().0, -9);
    (Node { serving: Serving::start(home.path(), &["serve", "--data", "data"]), home }, done)
}

/// The spaces that there are, each whole: it is served, with the quota that it was made with, and has its folder; and no
/// other folder is left.
fn whole_spaces(node: &Node) -> Vec<String> {
    let there: Vec<String> =
        node.ok(&["space", "ls", "-o", "name"]).lines().skip(1).map(str::to_owned).collect();
    for name in &there {
        assert_eq!(node.ok(&["ls", "--space", name, "-o", "name"]), "", "{name}");
        let shown = node.ok(&["space", "show", name, "-o", "json"]);
        let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
        assert_eq!(
            (&shown["state"], &shown["use_of"]["apps"]["limit"]),
            (&"ready".into(), &3.into()),
            "{name}"
        );
    }
    let folders = std::fs::read_dir(node.home.path().join("data/spaces")).into_iter().flatten();
    let mut folders: Vec<String> =
        folders.map(|one| one.unwrap().file_name().into_string().unwrap()).collect();
    folders.sort_unstable();
    assert_eq!(folders, there);
    there
}

#[test]
fn a_killed_node_has_each_space_whole_or_not_at_all() {
    let mut node = Node::start();
    let name = |round: usize, number: usize| format!("space-{round}-{number}");
    // Killed when the folder of a space has just come, and when something is in it.
    for round in 0..4 {
        let folder = name(round, round);
        let (again, made) = killed_in(
            node,
            |node| {
                let create = |name: &String| node.hob(&["space", "create", name, "--apps", "3"]).code == 0;
                (0..12).map(|number| name(round, number)).take_while(create).collect::<Vec<_>>()
            },
            |spaces| match round % 2 {
                0 => spaces.join(&folder).is_dir(),
                _ => std::fs::read_dir(spaces.join(&folder)).is_ok_and(|mut inside| inside.next().is_some()),
            },
        );
        node = again;
        let there = whole_spaces(&node);
        assert!(made.iter().all(|made| there.contains(made)), "{made:?} were made, and there are {there:?}");
        for name in (0..=round + 1).map(|number| name(round, number)) {
            let again = node.hob(&["space", "create", &name, "--apps", "3"]);
            assert_eq!(again.code == 0, !there.contains(&name), "{name}: {}", again.stderr);
        }
    }
    // Killed when the folder of one that is removed has just begun to go.
    let all = whole_spaces(&node);
    for middle in [1, 3] {
        let (folder, before) = (all[middle].clone(), whole_spaces(&node).len());
        let (again, removed) = killed_in(
            node,
            |node| {
                let remove = |name: &&String| node.hob(&["space", "rm", name, "--yes"]).code == 0;
                all[middle - 1..].iter().take_while(remove).cloned().collect::<Vec<_>>()
            },
            |spaces| !spaces.join(&folder).join("state").exists(),
        );
        node = again;
        let there = whole_spaces(&node);
        assert!(
            removed.iter().all(|gone| !there.contains(gone)),
            "{removed:?} were removed, and there are {there:?}"
        );
        assert!(there.len() < before, "{there:?}");
    }
}
