//! Handlers of JavaScript modules and what calls them: compared at the check and at the deploy, not at the first call.
//!
//! **Not here:** which trigger asks for which handler (`hob-core`, `handler`).

use super::support::{Node, write};

/// A manifest with these lines for the function `worker`, and its module.
fn app(node: &Node, lines: &str, module: &str) {
    let manifest = format!("app = \"app\"\n[functions.worker]\nrun = \"worker.js\"\n{lines}");
    let files = [("app/hob.toml", manifest.as_bytes()), ("app/worker.js", module.as_bytes())];
    write(node.home.path(), &files);
}

#[test]
fn a_trigger_without_its_handler_is_refused_before_anything_is_switched() {
    let node = Node::start_with(&["--dashboard", "none"]);
    let fetch = "export default { fetch() { return new Response('first') } }\n";
    app(&node, "route = \"/*\"\n", fetch);
    node.ok(&["deploy", "app"]);
    let on = |kind: &str| format!("route = \"/*\"\n[[on]]\nname = \"one\"\n{kind}\ncall = \"worker\"\n");
    let (nightly, orders) = (on("schedule = \"0 3 * * *\""), on("topic = \"orders\""));
    let hidden =
        "// scheduled and queue are not here\nexport default { fetch() { return new Response('second') } }\n";
    let neither = "// fetch, queue\nexport default { scheduled() {} }\n";
    for (lines, module, command, says) in [
        (
            &nightly,
            fetch,
            "check",
            "schedule `one` (`0 3 * * *`) calls handler `scheduled` of `app/worker.js`, which does not name it anywhere",
        ),
        (&nightly, fetch, "deploy", "which does not name it anywhere"),
        (
            &nightly,
            hidden,
            "deploy",
            "schedule `one` (`0 3 * * *`) calls handler `scheduled` of `worker.js`, which exports `fetch`",
        ),
        (
            &orders,
            neither,
            "deploy",
            "subscription `one` (topic `orders`) calls handler `queue` of `worker.js`, which exports `scheduled`",
        ),
    ] {
        app(&node, lines, module);
        let outcome = node.hob(&[command, "app"]);
        assert_eq!(outcome.code, 1, "{command} {module}: {}{}", outcome.stdout, outcome.stderr);
        assert!(outcome.stderr.contains("error[HOB-0341]"), "{command} {module}: {}", outcome.stderr);
        assert!(outcome.stderr.contains(says), "{command} should say `{says}`: {}", outcome.stderr);
        assert!(outcome.stderr.contains("hint: write `async "), "{}", outcome.stderr);
        assert_eq!(node.serving.get("/"), (200, "first".to_owned()), "what ran goes on");
    }
    // A Worker of crons alone, with the route that every Worker has.
    app(&node, &nightly, "export default { async scheduled() {} }\n");
    node.ok(&["check", "app"]);
    node.ok(&["deploy", "app"]);
    // An event of a topic may be a request: `fetch` can answer it with another event.
    app(&node, &orders, fetch);
    node.ok(&["deploy", "app"]);
}
