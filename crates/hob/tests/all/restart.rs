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
