//! `kill -9` of a node and a new start: the same revision serves.

use super::support::{Node, Serving, write};

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

#[test]
fn a_killed_node_has_each_space_whole_or_not_at_all() {
    let mut node = Node::start();
    let mut made = Vec::new();
    for round in 0..4 {
        let name = |number: usize| format!("space-{round}-{number}");
        std::thread::scope(|scope| {
            let creating = scope.spawn(|| {
                let created =
                    |number: &usize| node.hob(&["space", "create", &name(*number), "--apps", "3"]).code == 0;
                (0..12).take_while(created).map(name).collect::<Vec<_>>()
            });
            // Somewhere in between: at another place in each round, wherever that is.
            std::thread::sleep(std::time::Duration::from_millis(60 * round + 7));
            node.serving.signal("KILL");
            made.extend(creating.join().unwrap());
        });
        let Node { serving, home } = node;
        assert_eq!(serving.wait().0, -9);
        node = Node { serving: Serving::start(home.path(), &["serve", "--data", "data"]), home };
        let there = node.ok(&["space", "ls", "-o", "name"]);
        let there: Vec<&str> = there.lines().collect();
        for name in &made {
            assert!(there.contains(&name.as_str()), "`{name}` was made, and there is {there:?}");
        }
        for name in &there[1..] {
            assert_eq!(node.ok(&["ls", "--space", name, "-o", "name"]), "", "{name}");
        }
        for number in 0..12 {
            let name = name(number);
            let again = node.hob(&["space", "create", &name]);
            assert_eq!(again.code == 0, !there.contains(&name.as_str()), "{name}: {}", again.stderr);
            node.ok(&["space", "rm", &name, "--yes"]);
            made.retain(|made| *made != name);
        }
    }
}
