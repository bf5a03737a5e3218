//! Every template of `hob new` is created, run, and answers, as far as the machine has its tool.

use super::skip::tell;
use super::support::{Serving, hob};
use std::process::{Command, Stdio};

/// Template, and the command that shows whether the machine has its tool.
const TOOLS: &[(&str, &[&str])] = &[
    ("rust", &["cargo", "--version"]),
    ("rust-wasm", &["rustc", "--target", "wasm32-wasip2", "--print", "target-libdir"]),
    ("javascript", &["node", "--version"]),
    ("python", &["python3", "--version"]),
    ("go", &["go", "version"]),
    ("c", &["cc", "--version"]),
    ("shell", &["sh", "-c", "true"]),
];

#[test]
fn templates_work() {
    let home = tempfile::tempdir().unwrap();
    let listed = hob(home.path(), &["new", "--list", "-o", "name"]).stdout;
    let tested: Vec<&str> = TOOLS.iter().map(|(name, _)| *name).collect();
    assert_eq!(listed.lines().collect::<Vec<_>>(), tested, "every template is tested");
    for (name, tool) in TOOLS {
        if !has(tool) {
            tell("templates_work", format_args!("template `{name}`, this machine lacks `{}`", tool[0]));
            continue;
        }
        let app = format!("my-{name}");
        let made = hob(home.path(), &["new", &app, "--template", name]);
        assert_eq!(made.code, 0, "{}", made.stderr);
        let serving = Serving::start(home.path(), &["run", &app]);
        let (status, text) = serving.get("/a");
        assert_eq!((status, text.trim()), (200, &*format!("hello from {app}, you asked for /a")), "{name}");
    }
}

/// Whether a command works; for a folder that it prints, whether there is something in it.
fn has(tool: &[&str]) -> bool {
    let output = Command::new(tool[0]).args(&tool[1..]).stderr(Stdio::null()).output();
    output.is_ok_and(|output| {
        let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        output.status.success() && (!text.starts_with('/') || std::path::Path::new(&text).is_dir())
    })
}
